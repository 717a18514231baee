"""Everything of one store into another: versions in their order, messages, notes; then compared.

The commit order has no gaps, so a target that gets the source's versions one after the other
gives each the number that it has there. How far a copy is stands nowhere: it is what the target
holds. So one that was killed goes on after the target's last version, and one that is run again
takes what is new. The entries of resources are made anew from their contents, for two kinds of
store keep them in two ways.

At the end both sides are read again from the first version and the first message to the last,
and must be the same byte for byte; the SHA-256 of each is told.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from typing import Any, NamedTuple, TypeVar

from fhir_hub.search.entry import Entry
from fhir_hub.store.base import Change, Conflict, Key, Status, Store, Stored
from fhir_hub.store.journal import Entered, Journal, Selection, TurnsOf
from fhir_hub.store.open import Backend

COPY = "copy"  # the note of a target that was begun by a copy
_VERSIONS = 250
_MESSAGES = 100

T = TypeVar("T")

EntriesOf = Callable[[Stored], tuple[Entry, ...]]
OnStep = Callable[[str, int, int], None]


class CannotCopy(Exception):
    """The copy cannot be begun or gone on with, or is not the same; the text is for a person."""


class Copied(NamedTuple):
    """What was found the same on both sides, and the SHA-256 of it."""

    resources: int
    versions: int
    messages: int
    versions_sha256: str
    messages_sha256: str


@dataclass(frozen=True, slots=True)
class Copying:
    """One copy. `entries_of` returns what a current version is found by.

    `notes_of` gets the source's notes and returns those that the target is to have. `turns_of`
    says what orders a message that is still to be done. `on_step` hears what is done, how much of
    it, and of how much.
    """

    source: Backend
    target: Backend
    entries_of: EntriesOf
    notes_of: Callable[[Mapping[str, str]], Mapping[str, str]]
    turns_of: TurnsOf
    on_step: OnStep

    async def run(self) -> Copied:
        """Copy what is not there yet and return what both sides hold now.

        Raises `CannotCopy`. Nothing else may write to either side meanwhile.
        """
        done = await self._begin()
        await self._copy_versions(done)
        await self._copy_messages()
        notes = self.notes_of(await self.source.store.notes())
        store = self.target.store
        old = dict.fromkeys((await store.notes()).keys() - notes.keys() - {COPY}, "")
        await store.reindex([], {**notes, **old}, await store.generation())
        return await self._compare()

    async def _begin(self) -> int:
        """Return how many versions the target has already, of this very source."""
        store, journal = self.target.store, self.target.journal
        here, there = await self.source.store.status(), await store.status()
        if COPY not in await store.notes():
            if there.sequence or await journal.recent(count=1):
                raise CannotCopy("the target is not empty / 目标库不为空")
            await store.reindex([], {COPY: "begun"}, 0)
        elif not await self._is_begun(here.sequence, there.sequence):
            raise CannotCopy(
                "the target is a copy of something else, or was written to since"
                " / 目标库是其他库的副本, 或复制后已被写入"
            )
        return there.sequence

    async def _is_begun(self, here: int, there: int) -> bool:
        """Return whether what the target holds is the beginning of the source."""
        if there > here:
            return False
        ends = [await _version(side.store, there) for side in (self.source, self.target)]
        return there == 0 or ends[0] == ends[1]

    async def _copy_versions(self, done: int) -> None:
        total = (await self.source.store.status()).sequence
        while batch := await _versions(self.source.store, done):
            keys = dict.fromkeys(Key(one.resource_type, one.logical_id) for one in batch)
            current = {
                (one.resource_type, one.logical_id): one.version_id
                for one in await self.source.store.read_many(keys)
            }
            for part in _apart(batch):
                changes = [self._change(one, current) for one in part]
                await self._write(changes, part[0].sequence)
            done = batch[-1].sequence
            self.on_step("versions", done, max(done, total))

    def _change(self, stored: Stored, current: Mapping[tuple[str, str], int]) -> Change:
        key = (stored.resource_type, stored.logical_id)
        is_current = current.get(key) == stored.version_id
        entries = self.entries_of(stored) if is_current else ()
        return Change(
            *key,
            stored.version_id,
            stored.last_updated,
            stored.method,
            stored.content,
            entries,
        )

    async def _write(self, changes: list[Change], sequence: int) -> None:
        try:
            stored = await self.target.store.write(changes)
        except Conflict:
            stored = []
        if not stored or stored[0].sequence != sequence:
            raise CannotCopy("something else writes to the target / 目标库正在被其他程序写入")

    async def _copy_messages(self) -> None:
        """Copy the messages that the target lacks, or has otherwise."""
        source, target = self.source.journal, self.target.journal
        owed, paid = await source.owing(), await target.owing()
        newest = await source.select(Selection(), count=1)
        beyond = 0
        while page := await _messages(source, beyond):
            numbers = tuple(one.number for one in page)
            there = {one.number: one for one in await _numbered(target, numbers)}
            missing = tuple(
                one.number
                for one in page
                if there.get(one.number) != one or (one.number in owed) != (one.number in paid)
            )
            if missing:
                whole = await _numbered(source, missing, with_raw=True)
                await target.adopt([*map(self._ordered, whole)], owed.intersection(missing))
            beyond = numbers[-1]
            self.on_step("messages", beyond, max(beyond, newest[0].number))

    def _ordered(self, entered: Entered) -> Entered:
        """Return a message with what orders it, if it is still to be done."""
        if entered.state != "received":
            return entered
        turns = self.turns_of(entered)
        return replace(entered, message=replace(entered.message, turns=turns))

    async def _compare(self) -> Copied:
        """Read both sides again from the first to the last; raises where they are not the same."""
        here, there = await self.source.store.status(), await self.target.store.status()
        if _counts(here) != _counts(there):
            raise CannotCopy(f"the counts are not the same: {_differing(here, there)} / 数量不一致")
        versions, told = hashlib.sha256(), 0
        async for one, other in _pairs(_all_versions(self.source), _all_versions(self.target)):
            if one != other:
                raise CannotCopy(f"version {told + 1} is not the same / 版本内容不一致")
            assert one is not None
            told += 1
            _feed(versions, (*one[:6], len(one.content)), one.content)
            self.on_step("compared versions", told, here.sequence)
        messages, number = hashlib.sha256(), 0
        async for entry, another in _pairs(_all_messages(self.source), _all_messages(self.target)):
            if entry != another:
                raise CannotCopy(f"a message after {number} is not the same / 消息不一致")
            assert entry is not None
            number += 1
            _feed(messages, astuple(entry), b"")
            self.on_step("compared messages", number, number)
        if await self.source.journal.owing() != await self.target.journal.owing():
            raise CannotCopy("answers that are owed to senders are not the same / 待回答不一致")
        resources = sum(here.resources.values())
        return Copied(resources, told, number, versions.hexdigest(), messages.hexdigest())


def _apart(batch: Iterable[Stored]) -> list[list[Stored]]:
    """Return the versions in parts, in their order; a resource stands in each part once."""
    parts: list[list[Stored]] = []
    seen: set[tuple[str, str]] = set()
    for stored in batch:
        key = (stored.resource_type, stored.logical_id)
        if not parts or key in seen:
            parts.append([])
            seen.clear()
        seen.add(key)
        parts[-1].append(stored)
    return parts


async def _versions(store: Store, after: int) -> list[Stored]:
    """Return the next versions, oldest first. Raises `CannotCopy` if one is missing."""
    page = await store.history(count=_VERSIONS, before=after + _VERSIONS + 1)
    batch = [stored for stored in reversed(page.matches) if stored.sequence > after]
    if [stored.sequence for stored in batch] != list(range(after + 1, after + len(batch) + 1)):
        raise CannotCopy(f"a version after {after} is missing / 缺少版本")
    return batch


async def _version(store: Store, sequence: int) -> list[Stored]:
    return (await store.history(count=1, before=sequence + 1)).matches


async def _messages(journal: Journal, beyond: int, *, with_raw: bool = False) -> list[Entered]:
    return await journal.select(
        Selection(), count=_MESSAGES, beyond=beyond, is_oldest_first=True, with_raw=with_raw
    )


async def _numbered(
    journal: Journal, numbers: tuple[int, ...], *, with_raw: bool = False
) -> list[Entered]:
    selection = Selection(numbers=numbers)
    return await journal.select(selection, count=len(numbers), with_raw=with_raw)


async def _all_versions(backend: Backend) -> AsyncIterator[Stored]:
    done = 0
    while batch := await _versions(backend.store, done):
        for stored in batch:
            yield stored
        done = batch[-1].sequence


async def _all_messages(backend: Backend) -> AsyncIterator[Entered]:
    beyond = 0
    while page := await _messages(backend.journal, beyond, with_raw=True):
        for entered in page:
            yield entered
        beyond = page[-1].number


def _counts(status: Status) -> tuple[dict[str, int], int]:
    return {name: number for name, number in status.resources.items() if number}, status.sequence


def _differing(here: Status, there: Status) -> str:
    names = sorted({*here.resources, *there.resources})
    return (
        ", ".join(
            f"{name} {here.resources.get(name, 0)}/{there.resources.get(name, 0)}"
            for name in names
            if here.resources.get(name, 0) != there.resources.get(name, 0)
        )
        or f"versions {here.sequence}/{there.sequence}"
    )


async def _pairs(
    ones: AsyncIterator[T], others: AsyncIterator[T]
) -> AsyncIterator[tuple[T | None, T | None]]:
    """Yield the first of both, the second of both …; None where one side has no more."""
    while True:
        pair = await anext(ones, None), await anext(others, None)
        if pair == (None, None):
            return
        yield pair


def _feed(digest: Any, told: tuple[object, ...], content: bytes) -> None:
    digest.update(repr(told).encode(errors="backslashreplace"))
    digest.update(content)
