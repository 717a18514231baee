"""`fhir-hub copy`: everything of one store into another, whole, in order, and compared.

For moving from a file to MongoDB, back, or to a smaller file. What a killed copy has done stays,
and the same command goes on from there. Imported terminology, which lies in
a file of its own, and local codes seen, which are counted anew, are no part of it.
"""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhir_hub.cli.say import count, fail, refuse

if TYPE_CHECKING:
    from fhir_hub.settings import Settings
    from fhir_hub.store.copying import Copied, OnStep

EXAMPLE = "fhir-hub copy --from sqlite:data/hub.sqlite --to mongodb://db1,db2,db3/fhir_hub"


def command(
    source: Annotated[
        str, typer.Option("--from", help="The store to copy: sqlite:PATH, mongodb://HOST/DATABASE.")
    ],
    target: Annotated[
        str, typer.Option("--to", help="An empty store, or this copy as it was interrupted.")
    ],
    config: Annotated[
        Path | None, typer.Option(help="Settings in TOML, the same as the hub's.")
    ] = None,
) -> None:
    """Copy a store with versions, history and journal, with no hub on it. 复制整个数据库。"""
    from fhir_hub.settings import InvalidSettings, load_settings
    from fhir_hub.settings.types import shown_address
    from fhir_hub.store.base import CannotOpen
    from fhir_hub.store.copying import CannotCopy

    try:
        settings = load_settings(config, {"store": source}, os.environ)
        load_settings(None, {"store": target}, {})
    except InvalidSettings as error:
        refuse(str(error))
    for url in (source, target):
        if url.startswith("memory:"):
            refuse(f"{url} is gone at the end of a program / memory: 不能复制")
    if source == target:
        refuse("--from and --to are the same / 源库与目标库相同")
    if source.startswith("sqlite:") and not Path(source.removeprefix("sqlite:")).is_file():
        fail(f"{source}: there is no such database / 数据库文件不存在")
    try:
        copied = asyncio.run(_copy(settings, target))
    except CannotOpen as error:  # it says which
        fail(str(error))
    except CannotCopy as error:
        fail(f"{shown_address(target)}: {error}")
    print(
        f"{count(copied.resources, 'resource')}, {count(copied.versions, 'version')},"
        f" {count(copied.messages, 'message')} are the same on both sides"
    )
    print(f"versions sha256 {copied.versions_sha256}")
    print(f"messages sha256 {copied.messages_sha256}")


async def _copy(settings: "Settings", target: str) -> "Copied":
    from fhir_hub.app import build
    from fhir_hub.store.copying import Copying
    from fhir_hub.store.open import open_backend
    from fhir_hub.telemetry import Logs

    async with open_backend(settings.store) as source, open_backend(target) as into:
        hub = build(settings, source, Logs(settings.log_level, settings.log_format))
        await hub.indexing.refresh()  # the search parameters of the site's own
        told = (hub.indexing.entries_of, hub.indexing.portable, hub.receiver.turns_of)
        with _shown() as on_step:
            return await Copying(source, into, *told, on_step).run()


@contextmanager
def _shown() -> "Iterator[OnStep]":
    """Yield what shows each step on a bar, where standard error is a terminal."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress, TaskID

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bars: dict[str, TaskID] = {}

        def on_step(what: str, done: int, total: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, total=total)
            progress.update(bars[what], completed=done, total=total)

        yield on_step
