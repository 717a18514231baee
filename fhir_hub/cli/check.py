"""`fhir-hub check`: does everything in the database agree?

It tells who does not agree, by type and id, sequence or number, and never what a content says.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fhir_hub.cli.backup import Config, Store
from fhir_hub.cli.say import count, fail, refuse, say

if TYPE_CHECKING:
    from fhir_hub.settings import Settings
    from fhir_hub.store.findings import Finding

EXAMPLE = "fhir-hub check --store sqlite:data/hub.sqlite"
_SHOWN = 5
_OUTDATED = (
    "the index was made by another version of the hub or by other settings (timezone, base_url):"
    " a hub that starts makes it anew by itself, fhir-hub reindex at once"
    " / 索引由其他版本或其他设置建立, 平台启动后自动重建"
)


def command(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON for each finding.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only the file and the tables, not each content.")
    ] = False,
    store: Store = None,
    config: Config = None,
) -> None:
    """Find any disagreement in the database, also of a hub that runs; 1 if there is one. 检查。"""
    from fhir_hub.settings import InvalidSettings, load_settings
    from fhir_hub.store.base import CannotOpen

    try:
        settings = load_settings(config, {"store": store}, os.environ)
    except InvalidSettings as error:
        refuse(str(error))
    if not settings.store_is_there:
        fail(f"{settings.shown_store}: there is no such database / 数据库文件不存在")
    try:
        broken = _damages(settings.store_file, as_json, quick) if settings.store_file else 0
        found = 0 if broken else asyncio.run(_check(settings, as_json, quick))
    except CannotOpen as error:
        fail(f"{settings.shown_store}: {error}")
    if broken or found:
        say(f"{count(broken + found, 'disagreement')}; see docs/backup.md / 发现不一致")
        raise typer.Exit(1)
    say("everything agrees / 检查通过")


def _damages(path: Path, as_json: bool, quick: bool) -> int:
    """Print what is wrong with the file itself; return how much it is."""
    from fhir_hub.store.sqlite.checking import schema_is_current
    from fhir_hub.store.sqlite.files import damages

    if not schema_is_current(path):
        fail(
            f"{path}: its tables are an older hub's; start the hub once, or restore a backup"
            " of it, then check / 数据库版本较旧,请先启动一次平台"
        )
    broken = damages(path, is_quick=quick)
    for line in broken:
        print(json.dumps({"rule": "file", "told": line}) if as_json else f"file: {line}")
    return len(broken)


async def _check(settings: "Settings", as_json: bool, quick: bool) -> int:
    """Print what is found; return how much it is."""
    from fhir_hub.app import build
    from fhir_hub.store.checking import findings
    from fhir_hub.store.open import open_backend
    from fhir_hub.telemetry import Logs

    async with open_backend(settings.store) as backend:
        hub = build(settings, backend, Logs("error", settings.log_format))
        await hub.indexing.refresh()
        passed_over = set(hub.indexing.unfinished)
        if hub.indexing.is_outdated:
            say(_OUTDATED)
            passed_over &= set(hub.indexing.under_way)  # what it has is compared until then
        if passed_over:
            names = ", ".join(sorted(name or "all types" for name in passed_over))
            say(f"not compared while they are being indexed / 索引重建中: {names}")
        parts = (settings.store, hub.indexing.entries_of, progress, passed_over)
        return await _tell(findings(*parts, is_quick=quick), as_json)


async def _tell(findings: AsyncIterator["Finding"], as_json: bool) -> int:
    counts = Counter[str]()
    kinds: dict[str, Finding] = {}
    async for one in findings:
        kinds.setdefault(one.rule, one)
        counts[one.rule] += 1
        if as_json:
            print(json.dumps(_row(one), ensure_ascii=False))
        elif counts[one.rule] <= _SHOWN:
            print(f"{one.rule}: {one.told}{f': {one.where}' if one.where else ''}")
    for rule, one in kinds.items():
        cure = "fhir-hub reindex mends it" if one.can_be_mended else "a backup has it, or nobody"
        say(f"{rule}: {counts[rule]} ({cure}) / {one.chinese}")
    return counts.total()


def _row(one: "Finding") -> dict[str, Any]:
    return {"rule": one.rule, "told": one.told, "where": one.where, "mended": one.can_be_mended}


def progress(what: str, done: int, total: int) -> None:
    """Tell on a terminal what is looked at."""
    if sys.stderr.isatty():
        print(f"\r\033[K{what} {done} of {total}", end="\r", file=sys.stderr, flush=True)
