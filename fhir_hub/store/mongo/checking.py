"""Find what disagrees in a database on MongoDB, also while hubs write to it.

Resources come in batches in the order of their `_id`, each batch with all its versions in one
snapshot, so that a look of hours needs no snapshot of hours (MongoDB keeps one for five minutes).
Numbers of resources are compared as they were at the commit when the look began (`tally.py`). What
is found is told by type and id, sequence or number, never by content.

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
    RESOURCE,
    SPREADS,
    VERSION,
    read_address,
)
from fhir_hub.store.mongo.spreads import Spreads
from fhir_hub.store.mongo.tally import Tally, order_now

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
    `batch` is for tests.
    """

    def __init__(
        self,
        connection: Connection,
        entries_of: EntriesOf,
        progress: Progress,
        passed_over: Collection[str] = (),
        batch: int = _BATCH,
    ) -> None:
        self._batch = batch
        self._connection, self._entries_of, self._progress = connection, entries_of, progress
        self._passed_over = frozenset(passed_over)

    async def findings(self, *, is_quick: bool = False) -> AsyncIterator[Finding]:
        """Yield all that disagrees; `is_quick` reads no content at all."""
        async for one in gaps(self._connection):
            yield one
        begun = await order_now(self._connection)
        tally = Tally(begun["s"])
        async for one in self._resources(is_quick, tally, sum(begun["c"].values())):
            yield one
        async for one in places(self._connection):
            yield one
        async for one in counters(self._connection, begun, tally):
            yield one
        async for one in missing_indexes(self._connection):
            yield one
        self._progress("messages", 0, 1)
        async for one in journal_findings(self._connection):
            yield one

    async def _resources(self, is_quick: bool, tally: Tally, total: int) -> AsyncIterator[Finding]:
        last, done = "", 0
        while True:
            async with self._connection.session(is_snapshot=True) as session:
                batch = await resources(
                    self._connection, session, last, self._batch, with_content=not is_quick
                )
                end = batch[-1]["_id"] if len(batch) == self._batch else ""
                spreads = await known_spreads(self._connection, session)
                found = _Found(self, {one["_id"]: one for one in batch}, spreads, tally)
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
        self,
        checking: Checking,
        documents: dict[str, Document],
        spreads: Spreads,
        tally: Tally,
    ) -> None:
        self._checking, self._documents, self._spreads = checking, documents, spreads
        self._tally = tally
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
            self._tally.see(document, ())
            yield from disagreements(key, document, ())

    def _end(self) -> Iterator[Finding]:
        if not self._key:
            return
        key, versions, stored = self._key, self._versions, self._stored
        self._versions, self._stored = [], None
        document = self._documents.pop(key, None)
        if document is not None:
            self._tally.see(document, [(one.sequence, one.method) for one in versions])
        broken = list(disagreements(key, document, versions))
        yield from broken
        if document is None or stored is None or any(one.rule == NOT_LAST.name for one in broken):
            return
        if of_resource(document) != stored:
            yield NOT_LAST.broken(key)
        elif "t" in document and is_own(stored):
            yield from self._checking.compare(document, stored, self._spreads)


async def resources(
    connection: Connection, session: Session, after: str, most: int, *, with_content: bool
) -> list[Document]:
    """Return the next documents of resources, in the order of their `_id`."""
    fields = dict.fromkeys((*_OF_CURRENT, *(("c",) if with_content else ())), 1)
    return await connection.find(
        RESOURCE,
        {"_id": {"$gt": after}},
        fields=fields,
        sort=[("_id", 1)],
        limit=most,
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


async def places(connection: Connection) -> AsyncIterator[Finding]:
    """Yield which resources have the place of another one. A place is never given again."""
    last: tuple[str, int, str] = ("", 0, "")
    fields, sort = ["t", "n"], [("t", 1), ("n", 1)]
    async for one in connection.stream(
        RESOURCE, {"t": {"$exists": True}}, fields=fields, sort=sort
    ):
        found = (one["t"], one["n"], one["_id"])
        if found[:2] == last[:2] and found != last:
            yield PLACE.broken(one["_id"])
        last = found


async def counters(connection: Connection, begun: Document, tally: Tally) -> AsyncIterator[Finding]:
    """Yield which counters are not what they count: as `begun` when `tally` was, and as now."""
    before = await order_now(connection)
    sequence = await last_sequence(connection, {})
    generation = await last_sequence(connection, {"t": PARAMETERS})
    order = await order_now(connection)
    if order["s"] < sequence:
        yield COUNTER.broken("commits")
    if order["n"] < tally.place:
        yield COUNTER.broken("resources")
    if before["s"] > sequence:
        yield GAP.broken(f"sequence {before['s'] + 1}")
    if before["g"] == order["g"] != generation:
        yield GENERATION.broken("")
    counts = tally.counts()
    for name in sorted({*begun["c"], *counts}):
        if begun["c"].get(name, 0) != counts.get(name, 0):
            yield COUNTS.broken(name)


async def last_sequence(connection: Connection, where: Document, session: Session = None) -> int:
    """Return the sequence of the last version, of those that meet a filter; 0 if there is none."""
    found = await connection.find(
        VERSION, where, fields=["_id"], sort=[("_id", -1)], limit=1, session=session
    )
    return int(found[0]["_id"]) if found else 0


async def missing_indexes(connection: Connection) -> AsyncIterator[Finding]:
    """Yield the indexes that are not there."""
    for collection, indexes in INDEXES.items():
        there = await connection[collection].index_information()
        keys = [list(one["key"]) for one in there.values()]
        for index in indexes:
            if list(index.document["key"].items()) not in keys:
                yield INDEX.broken(f"{collection} {', '.join(index.document['key'])}")
