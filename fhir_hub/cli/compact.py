"""`fhir-hub compact`: give the disk back that a database does not need, while a hub runs or not.

It works in short transactions beside the hub, as the hub itself does every hour, and may be
stopped at any moment. Only a database that was made before hubs could do that is rewritten
once, with the hub stopped.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhir_hub.cli import journal
from fhir_hub.cli.say import fail

if TYPE_CHECKING:
    from fhir_hub.store.open import Backend

EXAMPLE = "fhir-hub compact --store sqlite:data/hub.sqlite"


def command(
    store: Annotated[
        str | None, typer.Option(help="sqlite:PATH (sqlite:data/hub.sqlite if not set)")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings in TOML, the same as the hub's.")
    ] = None,
) -> None:
    """Give disk that is not needed back to the system; a hub may run. 回收数据库空闲空间。"""
    settings = journal.settings_of(store, config)
    scheme, _, rest = settings.store.partition(":")
    if scheme != "sqlite":
        fail("only a SQLite file has disk to give back / 仅适用于 SQLite")
    path = Path(rest)
    before = path.stat().st_size
    from fhir_hub.store.sqlite.compacting import keeps_track, rewrite
    from fhir_hub.store.sqlite.files import is_in_use

    if keeps_track(path):
        journal.run_on_store(settings, _shrink)
    elif is_in_use(path):
        fail("this file was made by an older hub: stop the hub, compact once / 请先停止平台")
    else:
        try:
            rewrite(path)
        except OSError as error:
            fail(f"{error} / 无法重写数据库")
    print(f"{_size(before)} before, {_size(path.stat().st_size)} now")


async def _shrink(backend: "Backend") -> None:
    while await backend.journal.shrink():
        pass


def _size(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 20):.1f} MB"
