"""`fhir-hub reindex`: make every index entry anew from the stored contents.

For a database whose resources were indexed by other settings (another `timezone`, `base_url`)
or by an older hub that indexed less, or in which `fhir-hub check` found what disagrees. Nothing
of a resource changes, nor its versions. It works in short transactions: a hub may run meanwhile,
and whoever is stopped is gone on with by `--resume`, or by the next hub that starts.
"""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhir_hub.cli.check import progress
from fhir_hub.cli.say import count, fail, refuse, say

if TYPE_CHECKING:
    from fhir_hub.settings import Settings

EXAMPLE = "fhir-hub reindex --store sqlite:data/hub.sqlite --type Patient"
_EVERY = 20  # batches between two lines of progress


def command(
    store: Annotated[
        str | None,
        typer.Option(help="sqlite:PATH or mongodb://… (sqlite:data/hub.sqlite if not set)"),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings in TOML, the same as the hub's.")
    ] = None,
    resource_type: Annotated[
        list[str] | None, typer.Option("--type", help="Only this resource type; may be repeated.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a reindex was stopped.")
    ] = False,
) -> None:
    """Index everything stored anew, and mend what `check` found. 重建全部检索索引。"""
    from fhir_hub.settings import InvalidSettings, load_settings
    from fhir_hub.store.base import CannotOpen

    try:
        settings = load_settings(config, {"store": store}, os.environ)
    except InvalidSettings as error:
        refuse(str(error))
    if not settings.store_is_there:
        fail(f"{settings.store}: there is no such database / 数据库文件不存在")
    try:
        resources = asyncio.run(_reindex(settings, resource_type or [], resume))
    except CannotOpen as error:
        fail(f"{settings.shown_store}: {error}")
    print(f"{count(resources, 'resource')} indexed")


async def _reindex(settings: "Settings", only: list[str], is_resumed: bool) -> int:
    from fhir_hub.app import build
    from fhir_hub.store.checking import mend_after, mend_before
    from fhir_hub.store.open import open_backend
    from fhir_hub.telemetry import Logs

    async with open_backend(settings.store) as backend:
        hub = build(settings, backend, Logs(settings.log_level, settings.log_format))
        if unknown := sorted(set(only) - hub.service.definitions.resource_types):
            refuse(f"--type: {', '.join(unknown)} is no resource type of R4 / 未知的资源类型")
        mended = await mend_before(settings.store, progress, hub.receiver.turns_of)
        stored = (await backend.store.status()).resources
        wanted = [name for name in stored if not only or name in only]
        await hub.indexing.refresh()
        under_way = set(hub.indexing.unfinished) if is_resumed else set()
        wanted = [name for name in wanted if not is_resumed or name in under_way]
        if not is_resumed:
            await hub.indexing.rebuild(wanted)
        batches = 0
        while await hub.indexing.step():
            batches += 1
            if not batches % _EVERY:
                say(f"{count(hub.indexing.left, 'resource')} left / 剩余 {hub.indexing.left}")
        mended += await mend_after(settings.store, progress)
        if mended:
            say(f"{count(mended, 'row')} mended / 已修复 {mended} 行")
        return sum(stored[name] for name in wanted)
