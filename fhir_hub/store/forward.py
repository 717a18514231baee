"""One file, several processes: each reads by itself, one of them writes for all.

SQLite lets one connection write at a time, and the lock that says which is unfair: two busy
writers starve each other, and each throws away what the other has cached. So a worker sends
its changes to the process that writes, which checks and commits them in groups with those of
the other workers. The answer comes after the COMMIT, so a worker that then reads finds them.

What travels is plain tuples in the interpreter's own form (`marshal`, a few microseconds a
change), between processes of one hub only. A guard whose parts ask for codes alone, as all of a
message do, is a tuple too; any other is pickled.

Spec: https://www.sqlite.org/wal.html
"""

import pickle
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import Has, Is, Query, conditions_of
from fhir_hub.store.base import (
    NOTHING,
    PARAMETERS,
    Change,
    CodeGuard,
    Finish,
    Generation,
    Guard,
    Indexed,
    Key,
    Page,
    Referrers,
    State,
    Status,
    Store,
    Stored,
    Target,
    key_of,
    page_of,
    stored_of,
)
from fhir_hub.store.journal import Entered, Journal, Kept, Pruned, Received, Selection
from fhir_hub.store.open import Backend
from fhir_hub.store.packing import Packing

Ask = Callable[[str, Any], Awaitable[Any]]
Plain = tuple[Any, ...]

_JOURNAL = ("keep", "finish", "turn", "note", "elsewhere", "reopen", "settle", "adopt", "prune")
KINDS = frozenset(("write", "reindex", "shrink", *_JOURNAL))
_PLACE = [field.name for field in fields(Received)].index("place")
_RECEIVED = attrgetter(*(field.name for field in fields(Received)))
_ENTERED_FIELDS = tuple(
    field.name for field in fields(Entered) if field.name not in ("message", "links")
)
_ENTERED = attrgetter(*_ENTERED_FIELDS)


def forwarding(near: Backend, ask: Ask) -> Backend:
    """Return a backend that reads from `near` and asks another process to write."""
    store = ForwardingStore(near.store, ask, near.packing)
    return Backend(store, ForwardingJournal(near.journal, ask), near.close)


async def answer(backend: Backend, kind: str, value: Any) -> Any:
    """Do what a worker asked, by the backend that writes; return the answer to send back.

    Raises what the store or the journal raises.
    """
    if kind == "write":
        heads, entries, generation, guards, finish, targets = value
        conditions = list(map(_guard, guards))
        stored = await backend.store.write(
            backend.packing.unpacked(heads, entries),
            conditions if generation is None else [Generation(generation), *conditions],
            _finish(*finish) if finish else None,
            None if targets is None else list(map(Target._make, targets)),
        )
        return [one.sequence for one in stored]
    if kind == "reindex":
        items, *rest = value
        await backend.store.reindex([_indexed(*plain) for plain in items], *rest)
        return None
    if kind == "finish":
        await backend.journal.finish(_finish(*value))
        return None
    if kind == "turn":
        return await backend.journal.turn(value)
    if kind == "elsewhere":
        return await backend.journal.elsewhere(value)
    if kind == "note":
        return await backend.journal.note(*value)
    if kind == "shrink":
        return await backend.journal.shrink()
    if kind == "settle":
        return await backend.journal.settle(value)
    if kind == "prune":
        before, forget, most = value
        return tuple(await backend.journal.prune(before, forget, most=most))
    if kind == "adopt":
        messages, owing = value
        return await backend.journal.adopt([_entered(*plain) for plain in messages], owing)
    if kind == "reopen":
        number, turns, again = value
        return (await backend.journal.reopen(number, turns, again=again)).is_free
    assert kind == "keep", kind
    message, is_early = value
    kept = await backend.journal.keep(Received(*message), is_early=is_early)
    return kept.entered.number, kept.is_duplicate, kept.is_changed, kept.is_free


def changes_parameters(kind: str, value: Any) -> bool:
    """Return whether a question changes what is searched by."""
    changed = value[0] if kind == "write" else ()
    return kind == "reindex" or PARAMETERS in [head[0] for head in changed]


def place(kept: Any) -> int:
    """Return the `place` of the message that the question `keep` asks to keep."""
    return int(kept[0][_PLACE])


def finished(kind: str, value: Any) -> int:
    """Return the number of the message that a question finishes, 0 if it finishes none."""
    finish = value[4] if kind == "write" else value if kind == "finish" else None
    return int(finish[0]) if finish else 0


class ForwardingStore:
    """The resources, as a worker reads and changes them."""

    def __init__(self, near: Store, ask: Ask, packing: Packing) -> None:
        self._near, self._ask, self._packing = near, ask, packing
        self._written = 0  # the last sequence of which this worker knows that it is durable

    async def read(self, key: Key) -> Stored | None:
        """Return the current version, a deletion too, or None if there never was one."""
        return await self._near.read(key)

    async def vread(self, key: Key, version_id: int) -> Stored | None:
        """Return that version, or None."""
        return await self._near.vread(key, version_id)

    async def read_many(self, keys: Iterable[Key]) -> list[Stored]:
        """Return the current versions that exist and are not deleted, in the order of `keys`."""
        return await self._near.read_many(keys)

    async def write(
        self,
        changes: Sequence[Change],
        guards: Sequence[Guard | Generation] = (),
        finish: Finish | None = None,
        targets: Collection[Target] | None = None,
    ) -> list[Stored]:
        """Have all `changes` and `finish` stored, atomically and durably."""
        plain = [one for one in guards if not isinstance(one, Generation)]
        generation = next((one.number for one in guards if isinstance(one, Generation)), None)
        heads = [change[:-1] for change in changes]
        sequences = await self._ask(
            "write",
            (
                heads,
                self._packing.packed(changes),
                generation,
                [_plain_guard(one) for one in plain],
                _plain(finish) if finish else None,
                None if targets is None else list(map(tuple, targets)),
            ),
        )
        self._written = max((self._written, *sequences))
        return [
            stored_of((*head[:3], sequence, *head[3:]))
            for head, sequence in zip(heads, sequences, strict=True)
        ]

    async def reindex(
        self,
        items: Sequence[Indexed],
        notes: Mapping[str, str],
        generation: int,
        expected: Mapping[str, str] = NOTHING,
    ) -> None:
        """Have the entries of resources replaced and `notes` set."""
        plain = [
            (tuple(item.key), item.version_id, list(map(tuple, item.entries))) for item in items
        ]
        await self._ask("reindex", (plain, dict(notes), generation, dict(expected)))

    async def notes(self) -> dict[str, str]:
        """Return the notes, by name."""
        return await self._near.notes()

    async def generation(self) -> int:
        """Return the sequence of the last version of a SearchParameter, 0 if there is none."""
        return await self._near.generation()

    async def referrers(self, key: Key, *, most: int, without: Collection[Key] = ()) -> Referrers:
        """Return who refers to a resource, without some and without records."""
        return await self._near.referrers(key, most=most, without=without)

    async def search(self, query: Query) -> Page:
        """Return a page of current, not deleted resources that meet the query."""
        written = self._written
        page = await self._near.search(query)
        return page_of((*page[:3], written if page.as_of >= 0 else -1))

    async def search_all(self, queries: Sequence[Query]) -> list[Page]:
        """Return what `search` does of each query."""
        written = self._written
        pages = await self._near.search_all(queries)
        return [page_of((*one[:3], written if one.as_of >= 0 else -1)) for one in pages]

    async def explain(self, query: Query) -> list[str]:
        """Return how it would search."""
        return await self._near.explain(query)

    async def history(self, resource_type: str = "", logical_id: str = "", **options: Any) -> Page:
        """Return versions, newest first, of one resource, one type, or all."""
        return await self._near.history(resource_type, logical_id, **options)

    async def status(self) -> Status:
        """Return how much is stored."""
        return await self._near.status()

    async def close(self) -> None:
        """Let go of the near store."""
        await self._near.close()


class ForwardingJournal:
    """The received messages, as a worker reads and changes them."""

    def __init__(self, near: Journal, ask: Ask) -> None:
        self._near, self._ask = near, ask

    async def keep(self, message: Received, *, is_early: bool = False) -> Kept:
        """Have the message stored durably, unless it is a duplicate."""
        asked = _RECEIVED(message), is_early
        number, is_duplicate, is_changed, is_free = await self._ask("keep", asked)
        if is_duplicate:
            return Kept(await self._found(number), is_duplicate)
        state: State = "quarantined" if is_changed else "received"
        entered = Entered(number, message, state, size_bytes=len(message.raw))
        return Kept(entered, is_changed=is_changed, is_free=is_free)

    async def turn(self, number: int) -> None:
        """Wait until what came before, in any process, and shares a turn is finished."""
        await self._ask("turn", number)

    async def finish(self, finish: Finish) -> None:
        """Have the end of a message recorded."""
        await self._ask("finish", _plain(finish))

    async def note(self, number: int, reason: str) -> None:
        """Have it recorded what is known of a message that has not ended."""
        await self._ask("note", (number, reason))

    async def elsewhere(self, number: int) -> None:
        """Wait until no other process does the message, as the one that writes knows."""
        await self._ask("elsewhere", number)

    async def reopen(self, number: int, turns: tuple[str, ...], *, again: bool = False) -> Kept:
        """Have an ended message made `received`; return it."""
        is_free = await self._ask("reopen", (number, turns, again))
        return Kept(await self._found(number), is_free=is_free)

    async def prune(self, before: Mapping[str, int], forget: int, *, most: int = 500) -> Pruned:
        """Have old messages removed."""
        return Pruned(*await self._ask("prune", (dict(before), forget, most)))

    async def _found(self, number: int) -> Entered:
        found = await self._near.find(number)
        assert found is not None
        return found

    async def owed(self) -> list[Entered]:
        """Return the messages that have ended and whose end is still to be told, oldest first."""
        return await self._near.owed()

    async def settle(self, number: int) -> None:
        """Have it recorded that the end of a message was told, or will not be."""
        await self._ask("settle", number)

    async def tally(self) -> dict[str, int]:
        """Return how many messages are in each state of which there are few."""
        return await self._near.tally()

    async def shrink(self) -> int:
        """Have a little of the disk given back."""
        return int(await self._ask("shrink", None))

    async def owing(self) -> frozenset[int]:
        """Return the numbers of the messages whose end is to be told, ended or not."""
        return await self._near.owing()

    async def adopt(self, messages: Sequence[Entered], owing: Collection[int] = ()) -> None:
        """Have messages of another journal put as they are there."""
        plain = [
            (_RECEIVED(one.message), _ENTERED(one), list(map(tuple, one.links))) for one in messages
        ]
        await self._ask("adopt", (plain, list(owing)))

    async def pending(self) -> list[Entered]:
        """Return the messages that were received and not finished, oldest first."""
        return await self._near.pending()

    async def find(self, number: int) -> Entered | None:
        """Return one message."""
        return await self._near.find(number)

    async def recent(self, *, count: int = 20, before: int = 0, state: str = "") -> list[Entered]:
        """Return messages, newest first, with a number below `before` (0: from the newest)."""
        return await self._near.recent(count=count, before=before, state=state)

    async def select(self, selection: Selection, **options: Any) -> list[Entered]:
        """Return the first messages of a selection."""
        return await self._near.select(selection, **options)


def _plain_guard(guard: Guard) -> Plain | bytes:
    """Return a guard as plain tuples; pickled where it asks for more than codes."""
    parts = []
    for part in conditions_of(guard.plan):
        if type(part) is not Has:
            return pickle.dumps(guard)
        tests = [(test.code, test.system) for test in part.tests if type(test) is Is]
        if len(tests) < len(part.tests):
            return pickle.dumps(guard)
        parts.append((part.parameter, part.kind, tests))
    if not parts:
        return pickle.dumps(guard)
    return guard.resource_type, parts, guard.logical_ids, guard.as_of


def _guard(plain: Any) -> Guard:
    if type(plain) is bytes:
        guard: Guard = pickle.loads(plain)
        return guard
    return tuple.__new__(CodeGuard, plain)


def _indexed(key: Plain, version_id: int, entries: list[Plain]) -> Indexed:
    return Indexed(Key(*key), version_id, tuple(map(Entry._make, entries)))


def _entered(message: Plain, plain: Plain, links: list[Plain]) -> Entered:
    named = dict(zip(_ENTERED_FIELDS, plain, strict=True))
    return Entered(message=Received(*message), links=tuple(Key(*link) for link in links), **named)


def _plain(finish: Finish) -> Plain:
    links = list(map(tuple, finish.links))
    first = (finish.number, finish.state, finish.ack, finish.error, links)
    return *first, finish.finished, finish.attempts, finish.maps, finish.is_again


def _finish(
    number: int, state: Any, ack: bytes, error: str, links: list[Plain], *rest: Any
) -> Finish:
    return Finish(number, state, ack, error, tuple(map(key_of, links)), *rest)
