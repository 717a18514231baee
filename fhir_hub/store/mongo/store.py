"""The store on MongoDB: reads of one document, searches by index, writes in transactions.

Any number of processes on any number of machines may use one database.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from bson.errors import BSONError

from fhir_hub.errors import InvalidParameter, InvalidResource, TooLarge
from fhir_hub.search.entry import UNNAMED
from fhir_hub.search.plan import Query
from fhir_hub.store.base import (
    NOTHING,
    Change,
    Finish,
    Generation,
    Guard,
    Indexed,
    Key,
    Page,
    Referrer,
    Referrers,
    Status,
    Stored,
    Target,
)
from fhir_hub.store.mongo.commits import Commit
from fhir_hub.store.mongo.conditions import FEW
from fhir_hub.store.mongo.documents import (
    ANY_VERSION,
    BETWEEN,
    LETTERS,
    address,
    of_resource,
    of_version,
)
from fhir_hub.store.mongo.driver import Connection, Session
from fhir_hub.store.mongo.histories import history
from fhir_hub.store.mongo.schema import HUB, ORDER, RESOURCE, VERSION
from fhir_hub.store.mongo.searches import Searches
from fhir_hub.store.mongo.writer import Writer
from fhir_hub.store.notes import require_notes

_MOST_BYTES = 15_000_000  # of a content; a document has at most 16 MB, and entries beside it
_READ = {"v": 1, "s": 1, "u": 1, "m": 1, "c": 1}


class Finishes(Protocol):
    """What ends received messages: the journal of the same database."""

    async def finish_in(self, session: Session, finish: Finish) -> None:
        """Record the end of a message in a transaction, which may be run again.

        Raises `Conflict`, before anything is changed, if it has ended, or is unknown.
        """

    def ended(self, number: int) -> None:
        """Let those go on who wait for a message: its end is durable."""


class MongoStore:
    """The resources of a database."""

    def __init__(self, connection: Connection, journal: Finishes, few: int = FEW) -> None:
        self._connection, self._journal = connection, journal
        self._searches = Searches(connection, few)
        self._writer = Writer(connection, self._searches)

    async def read(self, key: Key) -> Stored | None:
        """Return the current version, a deletion too, or None if there never was one."""
        found = await self._connection.find_one(RESOURCE, {"_id": address(key)}, fields=_READ)
        return of_resource(found) if found else None

    async def vread(self, key: Key, version_id: int) -> Stored | None:
        """Return that version, or None."""
        if not 0 < version_id < 2**63:
            return None
        found = await self._connection.find_one(VERSION, {"k": address(key), "v": version_id})
        return of_version(found) if found else None

    async def read_many(self, keys: Iterable[Key]) -> list[Stored]:
        """Return the current versions that exist and are not deleted, in the order of `keys`."""
        wanted = [address(key) for key in keys]
        where = {"_id": {"$in": list(dict.fromkeys(wanted))}, "t": {"$exists": True}}
        found = await self._connection.find(RESOURCE, where, fields=_READ) if wanted else []
        known = {document["_id"]: of_resource(document) for document in found}
        return [known[name] for name in wanted if name in known]

    async def write(
        self,
        changes: Sequence[Change],
        guards: Sequence[Guard | Generation] = (),
        finish: Finish | None = None,
        targets: Collection[Target] | None = None,
    ) -> list[Stored]:
        """Store all `changes` and `finish` atomically and durably; return them as stored.

        Raises `Conflict` if a version or a guard is not as expected, `Broken` if `targets` are
        given and a reference would point to nothing, `TooLarge` for more than MongoDB keeps in a
        document, `Unavailable` if the database cannot be written.
        """
        keys = {(change.resource_type, change.logical_id) for change in changes}
        if len(keys) < len(changes):
            raise ValueError("a resource stands in the changes twice")
        if any(len(change.content) > _MOST_BYTES for change in changes):
            raise TooLarge(
                f"a resource has more than the {_MOST_BYTES:,} bytes that are kept"
                f" / 资源超过可保存的 {_MOST_BYTES:,} 字节"
            )

        async def work(commit: Commit) -> list[Stored]:
            await commit.check(changes, guards, targets)
            if finish is not None:
                await self._journal.finish_in(commit.session, finish)
            return await commit.apply(changes)

        keys.update((target.resource_type, target.logical_id) for target in targets or ())
        try:
            stored = await self._writer.run(work, max(1, len(changes)), keys)
        except (UnicodeEncodeError, BSONError):
            raise InvalidResource("a text of the content is not valid Unicode") from None
        if finish is not None:
            self._journal.ended(finish.number)
        return stored

    async def reindex(
        self,
        items: Sequence[Indexed],
        notes: Mapping[str, str],
        generation: int,
        expected: Mapping[str, str] = NOTHING,
    ) -> None:
        """Replace the entries of resources and set `notes`, atomically and durably."""

        async def work(commit: Commit) -> None:
            await commit.check((), [Generation(generation)], None)
            if expected:
                require_notes(expected, await commit.notes(expected))
            await commit.reindex(items, notes)

        await self._writer.run(work, max(1, len(items)), ())

    async def notes(self) -> dict[str, str]:
        """Return the notes, by name."""
        where = {"_id": {"$gte": "note:", "$lt": "note;"}}
        found = await self._connection.find(HUB, where)
        return {one["_id"].partition(":")[2]: one["text"] for one in found if one["text"]}

    async def generation(self) -> int:
        """Return the sequence of the last version of a SearchParameter, 0 if there is none."""
        order = await self._connection.find_one(HUB, {"_id": ORDER}, fields={"g": 1})
        return int(order["g"]) if order else 0

    async def referrers(self, key: Key, *, most: int, without: Collection[Key] = ()) -> Referrers:
        """Return who refers to a resource, without some and without records."""
        target = address(key)
        where = {"f": target, "_id": {"$nin": [address(one) for one in without]}}
        found = await self._connection.find(
            RESOURCE, where, fields={"x": 1}, sort=[("n", 1)], limit=most
        )
        counted = await self._connection.aggregate(
            RESOURCE, [{"$match": where}, {"$count": "found"}]
        )
        first = []
        for one in found:
            resource_type, _, logical_id = one["_id"].partition("/")
            first.append(Referrer(resource_type, logical_id, _referring(one["x"], target)))
        return Referrers(first, int(counted[0]["found"]) if counted else 0)

    async def search(self, query: Query) -> Page:
        """Return a page of current, not deleted resources that meet the query."""
        self._connection.check_open()
        try:
            return await self._searches.page(query)
        except (UnicodeEncodeError, BSONError):
            raise InvalidParameter("a value of the search is not valid Unicode") from None

    async def search_all(self, queries: Sequence[Query]) -> list[Page]:
        """Return what `search` does of each query."""
        return [await self.search(query) for query in queries]

    async def explain(self, query: Query) -> list[str]:
        """Return the pipelines that a query runs, each followed by MongoDB's plan of it."""
        return await self._searches.explain(query)

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
        self._connection.check_open()
        return await history(
            self._connection,
            resource_type,
            logical_id,
            count=count,
            before=before,
            since=since,
            at=at,
            with_total=with_total,
        )

    async def status(self) -> Status:
        """Return how much is stored; bytes are those of documents and indexes on one copy."""
        order = await self._connection.find_one(HUB, {"_id": ORDER})
        assert order is not None
        size = await self._connection.command("dbStats")
        counts = {name: int(number) for name, number in sorted(order["c"].items()) if number}
        return Status(counts, int(order["s"]), int(size["storageSize"] + size["indexSize"]))

    async def close(self) -> None:
        """Finish what is under way and let go of connections."""
        if self._connection.is_open:
            await self._writer.close()
            await self._connection.close()


def _referring(codes: Sequence[str], target: str) -> str:
    """Return the first parameter, in the order of names, under which a resource refers."""
    between = f"{BETWEEN}{LETTERS['reference']}{BETWEEN}{target}"
    names = [
        code.removeprefix(ANY_VERSION).partition(BETWEEN)[0]
        for code in codes
        if code.endswith(between) or f"{between}{BETWEEN}" in code
    ]
    return min(names, default=UNNAMED)
