"""`fhir-hub reindex`: make every index entry anew from the stored contents.

For a database in which `fhir-hub check` found what disagrees. What an older hub or one with other
settings (`timezone`, `base_url`) indexed, a hub that starts indexes anew by itself: this does it
before. Nothing of a resource changes, nor its versions. It works in short transactions: a hub may
run meanwhile, and whoever is stopped is gone on with by `--resume`, or by the next hub that
starts.
"""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhir_hub.cli.check import progress
from fhir_hub.cli.say import count, fail, refuse, say
from fhir_hub.nearest import did_you_mean

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
    from fhir_hub.search.parameters import EVERY_TYPE
    from fhir_hub.store.checking import mend_after, mend_before
    from fhir_hub.store.open import open_backend
    from fhir_hub.telemetry import Logs

    async with open_backend(settings.store) as backend:
        hub = build(settings, backend, Logs(settings.log_level, settings.log_format))
        if unknown := sorted(set(only) - hub.service.definitions.resource_types):
            near = did_you_mean(unknown[0], hub.service.definitions.resource_types)
            told = f"--type: {', '.join(unknown)} is no resource type of R4{near}"
            refuse(f"{told} / 未知的资源类型")
        mended = await mend_before(settings.store, progress, hub.receiver.turns_of)
        stored = (await backend.store.status()).resources
        await hub.indexing.refresh()
        wanted = set(only or (EVERY_TYPE,))
        if is_resumed:
            wanted = set(hub.indexing.unfinished).intersection(only or hub.indexing.unfinished)
        else:
            await hub.indexing.rebuild(wanted)
        batches = 0
        while await hub.indexing.step(only):
            batches += 1
            if not batches % _EVERY:
                say(f"{count(hub.indexing.left, 'resource')} left / 剩余 {hub.indexing.left}")
        mended += await mend_after(settings.store, progress)
        if mended:
            say(f"{count(mended, 'row')} mended / 已修复 {mended} 行")
        return sum(stored[name] for name in stored if not wanted.isdisjoint((name, EVERY_TYPE)))
