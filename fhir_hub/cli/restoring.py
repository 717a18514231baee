"""What `fhir-hub restore` does: everything beside the place first, then each file in its place.

Until the last step nothing has the name that a hub would open, so a restore that is stopped has
done nothing, and can be begun again.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fhir_hub.cli.backup import sources_of
from fhir_hub.cli.say import say
from fhir_hub.clock import new_logical_id, now
from fhir_hub.store.backups import DATABASE, Backup, NoBackup, digest
from fhir_hub.store.base import Change, Key
from fhir_hub.store.sqlite.files import facts, gather, is_in_use, sync
from fhir_hub.store.sqlite.log import CommitLog, Cut

if TYPE_CHECKING:
    from fhir_hub.hub import Hub
    from fhir_hub.settings import Settings

_NEW = ".restoring"
_BESIDE = ("-wal", "-shm", "-journal")
_EVERY = 100_000
_BATCH = 100


class Wanted(NamedTuple):
    """What is to be restored: where to, from which backup, going on by which files, how far."""

    settings: "Settings"
    backup: Backup
    log: Path | None
    until: int | None
    sequence: int | None
    messages: Path | None


class Done(NamedTuple):
    """What was done: the last sequence, the files moved aside, messages done anew and failed."""

    sequence: int
    aside: list[Path]
    messages: int
    failed: int


def restore(wanted: Wanted, *, is_replacing: bool) -> Done:
    """Restore. Raises `NoBackup`, `CannotGoOn`, `CannotOpen`, `OSError`; then nothing is done."""
    sources = sources_of(wanted.settings)
    places = {DATABASE: sources.database, **dict(sources.beside())}
    held = {name: places[name] for name in wanted.backup.names if name in places}
    changed = [name for name in held if not _is_same(wanted.backup, name, held[name])]
    _require_free([held[name] for name in changed], is_replacing=is_replacing)
    for name in changed:
        place = held[name]
        place.parent.mkdir(parents=True, exist_ok=True)
        new = _new(place)
        _remove(new)
        shutil.copyfile(wanted.backup.folder / name, new)
    database = _new(sources.database)
    until = None if wanted.log else wanted.until
    try:
        asyncio.run(_go_on(wanted, database))
        fresh = _take_messages(wanted.messages, database, until) if wanted.messages else 0
        sequence = facts(database).sequence
        gather(database)
    except BaseException:
        for name in changed:
            _remove(_new(held[name]))
        raise
    stamp = now().strftime("%Y%m%dT%H%M%SZ")
    aside = [path for name in reversed(changed) for path in _put(held[name], stamp)]
    failed = asyncio.run(_do_messages(wanted.settings, fresh)) if fresh else 0
    return Done(sequence, aside, fresh, failed)


def _is_same(backup: Backup, name: str, place: Path) -> bool:
    """Say whether what lies beside the database is already what the backup holds."""
    sha256 = backup.manifest["files"][name]["sha256"]
    return name != DATABASE and place.is_file() and digest(place) == sha256


def _require_free(places: Iterable[Path], *, is_replacing: bool) -> None:
    for place in places:
        if place.exists() and not is_replacing:
            raise NoBackup(f"{place} is there: --replace moves it aside / 文件已存在")
        if place.exists() and is_in_use(place):
            raise NoBackup(f"{place} is in use: stop the hub / 数据库正在使用,请先停止平台")


def _new(place: Path) -> Path:
    return place.with_name(f"{place.name}{_NEW}")


def _remove(place: Path) -> None:
    for end in ("", *_BESIDE):
        place.with_name(f"{place.name}{end}").unlink(missing_ok=True)


def _put(place: Path, stamp: str) -> list[Path]:
    """Give a restored file its name; what had the name is moved aside, its log with it."""
    aside = []
    for end in (*_BESIDE[::-1], ""):
        old = place.with_name(f"{place.name}{end}")
        if old.exists():
            kept = place.with_name(f"{place.name}.before-{stamp}{end}")
            old.rename(kept)
            if not end:
                aside.append(kept)
    new = _new(place)
    sync(new)
    new.rename(place)
    sync(place.parent)
    return aside


async def _go_on(wanted: Wanted, database: Path) -> None:
    """Migrate the restored database, and write what the other file wrote after it."""
    from fhir_hub.app import build
    from fhir_hub.hl7v2.deliver.outbox import restored
    from fhir_hub.store.open import open_backend
    from fhir_hub.telemetry import Logs

    settings = wanted.settings.model_copy(update={"store": f"sqlite:{database}"})
    notes: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        log = CommitLog(wanted.log) if wanted.log else None
        if log is not None:
            stack.callback(log.close)
            notes = log.notes()
        async with open_backend(settings.store) as backend:
            hub = build(settings, backend, Logs("error", settings.log_format))
            cut = await _follow(wanted, hub, log, database) if log is not None else None
            sequence = (await backend.store.status()).sequence
            await restored(backend.store, notes, sequence, new_logical_id)
        if log is not None and cut is not None:
            log.copy_messages(database, cut)


async def _follow(wanted: Wanted, hub: "Hub", log: CommitLog, database: Path) -> Cut:
    """Write what the log says up to the cut, and index it by the definitions of now."""
    after = log.require_same(database)
    cut = log.cut(after=after, sequence=wanted.sequence, until=wanted.until)
    store, done = hub.backend.store, 0
    changed: dict[Key, None] = {}
    for batch in log.changes(after, cut.sequence):
        await store.write(batch)
        changed.update(dict.fromkeys(_keys(batch)))
        if (done + len(batch)) // _EVERY > done // _EVERY:
            say(f"sequence {after + done + len(batch)} of {cut.sequence} / 已恢复至此序号")
        done += len(batch)
    await hub.indexing.refresh()
    keys = list(changed)
    for first in range(0, len(keys), _BATCH):
        stored = await store.read_many(keys[first : first + _BATCH])
        await store.reindex([*hub.indexing.indexed(stored)], {}, await store.generation())
    return cut


def _keys(batch: Iterable[Change]) -> Iterable[Key]:
    return (Key(change.resource_type, change.logical_id) for change in batch)


def _take_messages(other: Path, database: Path, until: int | None) -> int:
    log = CommitLog(other)
    try:
        log.require_same_journal(database)
        return log.take_messages(database, until)
    finally:
        log.close()


async def _do_messages(settings: "Settings", wanted: int) -> int:
    """Do what was received and is not done; return how many of the newest `wanted` failed."""
    from fhir_hub.app import build
    from fhir_hub.store.open import open_backend
    from fhir_hub.telemetry import Logs

    async with open_backend(settings.store) as backend:
        numbers = [entered.number for entered in await backend.journal.pending()][-wanted:]
        hub = build(settings, backend, Logs("error", settings.log_format))
        await hub.prepare(None)
        ended = [await backend.journal.find(number) for number in numbers]
        return sum(one is None or one.state != "done" for one in ended)
