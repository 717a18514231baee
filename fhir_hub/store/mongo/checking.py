"""Find what disagrees in a database on MongoDB, also while hubs write to it.

Resources come in batches in the order of their `_id`, each batch with all its versions in one
snapshot, so that a look of hours needs no snapshot of hours (MongoDB keeps one for five minutes).
The counters are compared in one snapshot more. What is found is told by type and id, sequence or
number, never by content.

Spec: https://www.mongodb.com/docs/manual/reference/read-concern-snapshot/
"""

from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager

from fhir_hub.search.parameters import EVERY_TYPE
from fhir_hub.store.base import PARAMETERS, Stored
from fhir_hub.store.findings import EntriesOf, Finding, Progress, is_own
from fhir_hub.store.mongo.agreement import (
    CONTENT,
    COUNTER,
    COUNTS,
    ENTRIES,
    GAP,
    GENERATION,
    INDEX,
    NOT_LAST,
    PLACE,
    WIDTH,
    Version,
    disagreements,
    said_of,
    version_of,
)
from fhir_hub.store.mongo.documents import of_resource, of_version, said
from fhir_hub.store.mongo.driver import Connection, Document, Session, connect
from fhir_hub.store.mongo.journal_checking import journal_findings
from fhir_hub.store.mongo.schema import (
    HUB,
    INDEXES,
    ORDER,
    RESOURCE,
    SPREADS,
    VERSION,
    read_address,
)
from fhir_hub.store.mongo.spreads import Spreads

_BATCH = 200
_OF_VERSION = ("k", "t", "v", "u", "m", "e")
_OF_CURRENT = ("n", "s", "v", "u", "m", "t", "i", "x", "d", "g", "w", "f")


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Connection]:
    """Yield a connection to the database at `url` for a look at it."""
    connection = connect(*read_address(url))
    try:
        yield connection
    finally:
        await connection.close()


class Checking:
    """One look. `entries_of` says what a resource is found by now.

    The entries of the types `passed_over` (`*`: of all) are not compared with the contents.
    """

    def __init__(
        self,
        connection: Connection,
        entries_of: EntriesOf,
        progress: Progress,
        passed_over: Collection[str] = (),
    ) -> None:
        self._connection, self._entries_of, self._progress = connection, entries_of, progress
        self._passed_over = frozenset(passed_over)

    async def findings(self, *, is_quick: bool = False) -> AsyncIterator[Finding]:
        """Yield all that disagrees; `is_quick` reads no content at all."""
        async for one in gaps(self._connection):
            yield one
        async for one in self._resources(is_quick):
            yield one
        async for one in counters(self._connection):
            yield one
        async for one in missing_indexes(self._connection):
            yield one
        self._progress("messages", 0, 1)
        async for one in journal_findings(self._connection):
            yield one

    async def _resources(self, is_quick: bool) -> AsyncIterator[Finding]:
        last, done = "", 0
        order = await self._connection.find_one(HUB, {"_id": ORDER})
        total = sum(order["c"].values()) if order else 0
        while True:
            async with self._connection.session(is_snapshot=True) as session:
                batch = await resources(self._connection, session, last, with_content=not is_quick)
                end = batch[-1]["_id"] if len(batch) == _BATCH else ""
                spreads = await known_spreads(self._connection, session)
                found = _Found(self, {one["_id"]: one for one in batch}, spreads)
                async for version in versions(
                    self._connection, session, last, end, with_content=not is_quick
                ):
                    for one in found.take(version):
                        yield one
                for one in found.rest():
                    yield one
            done += len(batch)
            self._progress("resources", done, max(done, total))
            if not end:
                return
            last = end

    def compare(self, document: Document, stored: Stored, spreads: Spreads) -> Iterator[Finding]:
        """Yield what the current document says otherwise than its content."""
        key, resource_type = document["_id"], stored.resource_type
        if spreads.widened(resource_type, document.get("d", [])) is not spreads:
            yield WIDTH.broken(key)
        if self._passed_over.isdisjoint((resource_type, EVERY_TYPE)) and said_of(document) != said(
            resource_type, self._entries_of(stored)
        ):
            yield ENTRIES.broken(key)


class _Found:
    """The resources of a batch; each is looked at when its last version has come."""

    def __init__(
        self, checking: Checking, documents: dict[str, Document], spreads: Spreads
    ) -> None:
        self._checking, self._documents, self._spreads = checking, documents, spreads
        self._key, self._versions = "", list[Version]()
        self._stored: Stored | None = None

    def take(self, version: Document) -> Iterator[Finding]:
        """Take the next version, in order of resources."""
        if version["k"] != self._key:
            yield from self._end()
            self._key = version["k"]
        self._versions.append(version_of(version))
        if "c" in version:
            self._stored = of_version(version)
            if not is_own(self._stored):
                yield CONTENT.broken(self._key)

    def rest(self) -> Iterator[Finding]:
        """Yield what there is to be said of the last one, and of those without versions."""
        yield from self._end()
        for key, document in self._documents.items():
            yield from disagreements(key, document, ())

    def _end(self) -> Iterator[Finding]:
        if not self._key:
            return
        key, versions, stored = self._key, self._versions, self._stored
        self._versions, self._stored = [], None
        document = self._documents.pop(key, None)
        broken = list(disagreements(key, document, versions))
        yield from broken
        if document is None or stored is None or any(one.rule == NOT_LAST.name for one in broken):
            return
        if of_resource(document) != stored:
            yield NOT_LAST.broken(key)
        elif "t" in document and is_own(stored):
            yield from self._checking.compare(document, stored, self._spreads)


async def resources(
    connection: Connection, session: Session, after: str, *, with_content: bool
) -> list[Document]:
    """Return the next documents of resources, in the order of their `_id`."""
    fields = dict.fromkeys((*_OF_CURRENT, *(("c",) if with_content else ())), 1)
    return await connection.find(
        RESOURCE,
        {"_id": {"$gt": after}},
        fields=fields,
        sort=[("_id", 1)],
        limit=_BATCH,
        session=session,
    )


def versions(
    connection: Connection, session: Session, after: str, end: str, *, with_content: bool
) -> AsyncIterator[Document]:
    """Yield the versions of the resources after `after` up to `end` (empty: to the last)."""
    fields = dict.fromkeys((*_OF_VERSION, *(("c",) if with_content else ())), 1)
    where = {"k": {"$gt": after, **({"$lte": end} if end else {})}}
    return connection.stream(
        VERSION, where, fields=fields, sort=[("k", 1), ("v", 1)], session=session
    )


async def known_spreads(connection: Connection, session: Session) -> Spreads:
    """Return what is known of intervals."""
    kept = await connection.find_one(HUB, {"_id": SPREADS}, session=session)
    return Spreads(kept["rows"] if kept else ())


async def gaps(connection: Connection) -> AsyncIterator[Finding]:
    """Yield where the sequence is not one after the other."""
    expected = 1
    async for one in connection.stream(VERSION, {}, fields=["_id"], sort=[("_id", 1)]):
        if one["_id"] != expected:
            yield GAP.broken(f"sequence {one['_id']}")
        expected = one["_id"] + 1


async def counters(connection: Connection) -> AsyncIterator[Finding]:
    """Yield which counters are not what they count."""
    async with connection.session(is_snapshot=True) as session:
        order = await connection.find_one(HUB, {"_id": ORDER}, session=session)
        truth = await counted(connection, session)
        places: dict[str, int] = {}
        async for one in connection.stream(
            RESOURCE,
            {"t": {"$exists": True}},
            fields=["t", "n"],
            sort=[("t", 1), ("n", 1)],
            session=session,
        ):
            if places.get(one["t"]) == one["n"]:
                yield PLACE.broken(one["_id"])
            places[one["t"]] = one["n"]
    known = order or {"s": 0, "n": 0, "g": 0, "c": {}}
    for name, told in (("s", "commits"), ("n", "resources")):
        if known[name] < truth[name]:
            yield COUNTER.broken(told)
    if known["s"] > truth["s"]:
        yield GAP.broken(f"sequence {known['s'] + 1}")
    if known["g"] != truth["g"]:
        yield GENERATION.broken("")
    for name in sorted({*known["c"], *truth["c"]}):
        if known["c"].get(name, 0) != truth["c"].get(name, 0):
            yield COUNTS.broken(name)


async def counted(connection: Connection, session: Session) -> Document:
    """Return what the document `order` must say: `s`, `n`, `g` and `c`."""

    async def last(collection: str, where: Document, field: str) -> int:
        stages: list[Document] = [{"$match": where}, {"$sort": {field: -1}}, {"$limit": 1}]
        shown = [*stages, {"$project": {field: 1}}]
        found = await connection.aggregate(collection, shown, session=session)
        return int(found[0][field]) if found else 0

    live: list[Document] = [
        {"$match": {"t": {"$exists": True}}},
        {"$group": {"_id": "$t", "count": {"$sum": 1}}},
    ]
    counts = await connection.aggregate(RESOURCE, live, session=session)
    places: list[Document] = [{"$group": {"_id": None, "n": {"$max": "$n"}}}]
    place = await connection.aggregate(RESOURCE, places, session=session)
    return {
        "s": await last(VERSION, {}, "_id"),
        "n": int(place[0]["n"] or 0) if place else 0,
        "g": await last(VERSION, {"t": PARAMETERS}, "_id"),
        "c": {one["_id"]: one["count"] for one in counts},
    }


async def missing_indexes(connection: Connection) -> AsyncIterator[Finding]:
    """Yield the indexes that are not there."""
    for collection, indexes in INDEXES.items():
        there = await connection[collection].index_information()
        keys = [list(one["key"]) for one in there.values()]
        for index in indexes:
            if list(index.document["key"].items()) not in keys:
                yield INDEX.broken(f"{collection} {', '.join(index.document['key'])}")
