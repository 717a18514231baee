"""The store on one SQLite file: point reads on the loop's thread, one writer, few searchers.

A read by id takes a few microseconds, less than any way to a thread. A search runs on the
loop's thread too if its plan walks few rows (under 1,000 by count, or the first rows of an
index), else in a thread with a connection of its own.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import apsw

from fhir_hub.errors import Closing, InvalidParameter, InvalidResource
from fhir_hub.search.plan import Query
from fhir_hub.store.base import (
    NOTHING,
    Change,
    Conflict,
    Finish,
    Generation,
    Guard,
    Indexed,
    Key,
    Page,
    Referrers,
    Status,
    Stored,
    Target,
    page_of,
)
from fhir_hub.store.notes import require_notes
from fhir_hub.store.sqlite.changes import GENERATION, Changes
from fhir_hub.store.sqlite.checkpoints import Checkpoints
from fhir_hub.store.sqlite.coding import Sender
from fhir_hub.store.sqlite.connection import LOG_PAGES, open_reader, open_writer
from fhir_hub.store.sqlite.early import Early
from fhir_hub.store.sqlite.integrity import Integrity
from fhir_hub.store.sqlite.journal import SqliteJournal, apply_finish
from fhir_hub.store.sqlite.migrations import migrate
from fhir_hub.store.sqlite.readers import Readers
from fhir_hub.store.sqlite.reads import Reader
from fhir_hub.store.sqlite.walks import LIMITS, Limits
from fhir_hub.store.sqlite.writer import Writer
from fhir_hub.store.turns import Turns

_SEARCHERS = 4
_LOOP_CACHE_KIB, _SEARCHER_CACHE_KIB = 24_576, 4_096


class SqliteStore:
    """The resources of a database."""

    def __init__(
        self,
        guarding: Reader,
        changes: Changes,
        writer: Writer,
        reader: Reader,
        readers: Readers,
        turns: Turns,
        early: Early,
    ) -> None:
        self._guarding, self._changes, self._writer = guarding, changes, writer
        self._connection = guarding.connection
        self._integrity = Integrity(guarding.connection, guarding.names, changes.there)
        self._reader, self._readers, self._turns = reader, readers, turns
        self._early = early
        self.packing = Sender(reader.names)
        self._is_open = True

    async def read(self, key: Key) -> Stored | None:
        """Return the current version, a deletion too, or None if there never was one."""
        return self._here().read(key)

    async def vread(self, key: Key, version_id: int) -> Stored | None:
        """Return that version, or None."""
        return self._here().vread(key, version_id)

    async def read_many(self, keys: Iterable[Key]) -> list[Stored]:
        """Return the current versions that exist and are not deleted, in the order of `keys`."""
        return self._here().read_many(keys)

    async def write(
        self,
        changes: Sequence[Change],
        guards: Sequence[Guard | Generation] = (),
        finish: Finish | None = None,
        targets: Collection[Target] | None = None,
    ) -> list[Stored]:
        """Store all `changes` and `finish` atomically and durably; return them as stored.

        Raises `Conflict` if a version or a guard is not as expected, `Broken` if `targets` are
        given and a reference would point to nothing, `Unavailable` if the database cannot be
        written.
        """
        keys = {change[:2] for change in changes}
        if len(keys) < len(changes):
            raise ValueError("a resource stands in the changes twice")

        def work() -> list[Stored]:
            places = self._changes.check(changes)
            holds = self._changes.touched.holds
            for guard in guards:
                if isinstance(guard, Generation):
                    self._check_generation(guard)
                elif not holds(guard):
                    self._search_again(guard)
            if targets is not None:
                is_deletion = "DELETE" in [change.method for change in changes]
                if is_deletion or any(target.version_id for target in targets):
                    self._changes.settle()
                self._integrity.check(changes, targets)
            if finish is not None:
                apply_finish(self._connection, finish, self._early)
            return self._changes.apply(changes, places) if changes else []

        if finish is not None:
            self._early.coming.discard(finish.number)
        try:
            size, is_patient = max(1, len(changes)), finish is not None
            stored = await self._writer.run(work, size, is_patient=is_patient)
        except UnicodeEncodeError:
            raise InvalidResource("a text of the content is not valid Unicode") from None
        if finish is not None:
            self._turns.end(finish.number)
        return stored

    async def reindex(
        self,
        items: Sequence[Indexed],
        notes: Mapping[str, str],
        generation: int,
        expected: Mapping[str, str] = NOTHING,
    ) -> None:
        """Replace the entries of resources and set `notes`, atomically and durably."""

        def work() -> None:
            self._check_generation(Generation(generation))
            if expected:
                require_notes(expected, _notes(self._connection, *expected))
            self._changes.reindex(items)
            for name, text in notes.items():
                self._connection.execute("DELETE FROM note WHERE name = ?", (name,))
                if text:
                    self._connection.execute("INSERT INTO note VALUES (?, ?)", (name, text))

        await self._writer.run(work, max(1, len(items)))

    async def notes(self) -> dict[str, str]:
        """Return the notes, by name."""
        return _notes(self._here().connection)

    async def generation(self) -> int:
        """Return the sequence of the last version of a SearchParameter, 0 if there is none."""
        row = self._here().connection.execute(GENERATION).fetchone()
        return (row and row[0]) or 0

    async def referrers(self, key: Key, *, most: int, without: Collection[Key] = ()) -> Referrers:
        """Return who refers to a resource, without some and without records."""

        def work(reader: Reader) -> Referrers:
            return Integrity(reader.connection, reader.names).referrers(key, most, without)

        return await self._readers.run(work)

    async def search(self, query: Query) -> Page:
        """Return a page of current, not deleted resources that meet the query."""
        try:
            reader, as_of = self._here(), self._changes.committed
            sees_all, page = reader.sees_all(), reader.quick(query) or reader.glance(query)
            if page is not None:
                return page_of((*page[:3], as_of if sees_all else -1))
            sees_all, found = await self._readers.run(
                lambda other: (other.sees_all(), other.search(query))
            )
            return page_of((*found[:3], as_of if sees_all else -1))
        except UnicodeEncodeError:
            raise InvalidParameter("a value of the search is not valid Unicode") from None

    async def search_all(self, queries: Sequence[Query]) -> list[Page]:
        """Return what `search` does of each query: who holds some codes is found at one step."""
        reader, as_of = self._here(), self._changes.committed
        sees_all, pages = reader.sees_all(), reader.held_by_all(queries)
        if pages is None:
            return [await self.search(query) for query in queries]
        return [page_of((*page[:3], as_of if sees_all else -1)) for page in pages]

    async def history(
        self,
        resource_type: str = "",
        logical_id: str = "",
        *,
        count: int = 20,
        before: int = 0,
        since: int = 0,
        at: tuple[int, int] | None = None,
        with_total: bool = False,
    ) -> Page:
        """Return versions, newest first, of one resource, one type, or all."""

        def work(reader: Reader) -> Page:
            return reader.history(
                resource_type,
                logical_id,
                count=count,
                before=before,
                since=since,
                at=at,
                with_total=with_total,
            )

        is_long = bool(since or at or with_total) and not logical_id
        return await self._readers.run(work) if is_long else work(self._here())

    async def status(self) -> Status:
        """Return how much is stored."""
        return self._here().status()

    async def explain(self, query: Query) -> list[str]:
        """Return the SQL that a query runs, each statement followed by SQLite's plan of it."""
        self._here()
        return await self._readers.run(lambda reader: reader.explain(query))

    async def close(self) -> None:
        """Finish what is under way and let go of files and connections."""
        if self._is_open:
            self._is_open = False
            await self._readers.close()
            self._reader.connection.close()
            await self._writer.close()

    def _here(self) -> Reader:
        if not self._is_open:
            raise Closing("the store is closed")
        return self._reader

    def _check_generation(self, generation: Generation) -> None:
        if generation.number != self._changes.generation:
            raise Conflict("the search parameters have changed")

    def _search_again(self, guard: Guard) -> None:
        self._changes.settle()
        query = Query((guard.resource_type,), guard.plan, count=len(guard.logical_ids) + 1)
        if self._guarding.logical_ids(query) != guard.logical_ids:
            raise Conflict(f"the matches of a guard on {guard.resource_type} have changed")


def _notes(connection: apsw.Connection, *names: str) -> dict[str, str]:
    """Return these notes, or all."""
    where = f" WHERE name IN ({','.join('?' * len(names))})" if names else ""
    rows = connection.execute(f"SELECT name, value FROM note{where}", names).fetchall()
    return {str(name): str(text) for name, text in rows}


def open_sqlite(
    path: Path, limits: Limits = LIMITS, mapped_mb: int = 0
) -> tuple[SqliteStore, SqliteJournal]:
    """Return the store and journal in the file at `path`, made or migrated if need be.

    Its first `mapped_mb` are read as memory. Raises `CannotOpen` if the file cannot be used.
    `limits` is for tests.
    """
    connection = open_writer(path)
    try:
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    reader = Reader(open_reader(path, _LOOP_CACHE_KIB, mapped_mb), limits)
    searching = (_SEARCHER_CACHE_KIB, mapped_mb)
    readers = Readers([Reader(open_reader(path, *searching), limits) for _ in range(_SEARCHERS)])
    guarding = Reader(connection, limits)
    changes = Changes(connection, guarding.names)
    checkpoints = Checkpoints(path, LOG_PAGES)
    checkpoints.watch(connection)
    early = Early()
    writer = Writer(connection, changes, checkpoints, expected=lambda: len(early.coming))
    turns = Turns()
    store = SqliteStore(guarding, changes, writer, reader, readers, turns, early)
    return store, SqliteJournal(connection, writer, reader, readers, turns, early)
