"""One transaction of writes: what is there, what is asked, what is written, in one order.

It begins by changing the one document `order`, so of two transactions at the same time, in
whatever process, one is told to start again. That makes the sequence free of gaps, and a
guard true when it is written: nobody else can have written since the transaction began.

What is written waits in memory until something has to be asked of the database, or the end.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import InsertOne, ReplaceOne, UpdateMany, UpdateOne

from fhir_hub.search.plan import Query
from fhir_hub.search.predicate import meets
from fhir_hub.store.base import (
    PARAMETERS,
    Broken,
    Change,
    Conflict,
    Generation,
    Guard,
    Indexed,
    Key,
    Stored,
    Target,
    version_number,
)
from fhir_hub.store.mongo.documents import (
    SAID,
    address,
    resource_document,
    said,
    stored_of,
    version_document,
)
from fhir_hub.store.mongo.driver import Connection, Document, Session, told
from fhir_hub.store.mongo.schema import HUB, ORDER, RESOURCE, SPREADS, VERSION
from fhir_hub.store.mongo.searches import Searches, is_chained
from fhir_hub.store.mongo.spreads import Spreads

_MOST_WAITING = 1_000


@dataclass(slots=True)
class _Current:
    version_id: int
    place: int
    is_live: bool


class _Facts:
    """What waits to be written, as a plan asks about it."""

    def __init__(self, change: Change) -> None:
        self.resource_type, self.logical_id = change.resource_type, change.logical_id
        self.last_updated, self.entries = change.last_updated, change.entries

    def others(self, resource_types: tuple[str, ...]) -> Iterable["_Facts"]:
        """Return nothing: a plan that looks at others is asked of the database."""
        return ()


class Commit:
    """A transaction under way. `changes` wait until `flush`; `end` must come before the commit."""

    def __init__(self, connection: Connection, searches: Searches, session: Session) -> None:
        self._connection, self._searches, self.session = connection, searches, session
        self._current: dict[str, _Current | None] = {}
        self._waiting: dict[str, Change] = {}
        self._resources: dict[str, InsertOne[Document] | ReplaceOne[Document]] = {}
        self._ended: list[UpdateMany] = []
        self._versions: list[InsertOne[Document]] = []
        self._sequence = self._place = self.generation = 0
        self._counts: dict[str, int] = {}
        self._spreads, self._widenings, self._is_wider = Spreads(), 0, False

    async def begin(self) -> None:
        """Take the place in the order of commits."""
        with told():
            order: Document = await self._connection[HUB].find_one_and_update(
                {"_id": ORDER}, {"$inc": {"l": 1}}, session=self.session
            )
        self._sequence, self._place, self.generation = order["s"], order["n"], order["g"]
        self._counts = dict(order["c"])
        self._widenings = order["w"]
        self._spreads = await self._searches.known(self._widenings, self.session)

    async def know(self, keys: Iterable[tuple[str, str]]) -> None:
        """Learn which of the resources are there, in one question."""
        unknown = {address(Key(*key)) for key in keys} - set(self._current)
        if not unknown:
            return
        found = await self._connection.find(
            RESOURCE,
            {"_id": {"$in": sorted(unknown)}},
            fields={"v": 1, "n": 1, "t": 1},
            session=self.session,
        )
        self._current.update(dict.fromkeys(unknown))
        for one in found:
            self._current[one["_id"]] = _Current(one["v"], one["n"], "t" in one)

    async def check(
        self,
        changes: Sequence[Change],
        guards: Sequence[Guard | Generation],
        targets: Collection[Target] | None,
    ) -> None:
        """Raise `Conflict` or `Broken` unless all is as expected."""
        await self.know(_keys(changes))
        for change in changes:
            current = self._current[_address(change)]
            if change.version_id != (current.version_id if current else 0) + 1:
                raise Conflict(f"the version of a {change.resource_type} is not as expected")
        for guard in guards:
            await self._guard(guard)
        if targets is not None:
            await self._require(changes, targets)

    async def _guard(self, guard: Guard | Generation) -> None:
        if isinstance(guard, Generation):
            if guard.number != self.generation:
                raise Conflict("the search parameters have changed")
            return
        if await self._matches(guard) != guard.logical_ids:
            raise Conflict(f"the matches of a guard on {guard.resource_type} have changed")

    async def _matches(self, guard: Guard) -> frozenset[str]:
        """Return the logical ids of the matches of a guard; if there are too many, not of all.

        What waits is asked in memory, unless the plan looks at other resources too.
        """
        resource_type, most = guard.resource_type, len(guard.logical_ids) + 1
        if is_chained(guard.plan):
            await self.flush()
        waiting = [one for one in self._waiting.values() if one.resource_type == resource_type]
        query = Query((resource_type,), guard.plan, count=most + len(waiting))
        found = await self._searches.logical_ids(query, self.session, self._spreads)
        here = frozenset(
            one.logical_id
            for one in waiting
            if one.method != "DELETE" and meets(guard.plan, _Facts(one))
        )
        return found - {one.logical_id for one in waiting} | here

    async def _require(self, changes: Sequence[Change], targets: Collection[Target]) -> None:
        """Raise `Broken` unless references stay whole when `changes` are stored."""
        await self.know((target.resource_type, target.logical_id) for target in targets)
        gone = [Key(*key) for key in _keys(c for c in changes if c.method == "DELETE")]
        missing = []
        for target in targets:
            is_gone = Key(*target[:2]) in gone and not target.may_be_deleted
            if is_gone or not await self._is_there(target):
                missing.append(target)
        held: list[Key] = []
        if gone:
            await self.flush()
            changed = [_address(change) for change in changes]
            for key in gone:
                refers = {"f": address(key), "_id": {"$nin": changed}}
                if await self._connection.find_one(
                    RESOURCE, refers, fields={"_id": 1}, session=self.session
                ):
                    held.append(key)
        if missing or held:
            raise Broken(missing, held)

    async def _is_there(self, target: Target) -> bool:
        key = Key(*target[:2])
        current = self._current[address(key)]
        if current is None or not (current.is_live or target.may_be_deleted):
            return False
        if not target.version_id:
            return True
        await self.flush()
        wanted = {"k": address(key), "v": version_number(target.version_id)}
        version = await self._connection.find_one(
            VERSION, wanted, fields={"m": 1}, session=self.session
        )
        return version is not None and version["m"] != "DELETE"

    async def apply(self, changes: Sequence[Change]) -> list[Stored]:
        """Write the changes, which were checked; return them as stored."""
        if len(self._versions) + len(changes) > _MOST_WAITING or any(
            _address(change) in self._resources for change in changes
        ):
            await self.flush()
        return [self._apply(change) for change in changes]

    def _apply(self, change: Change) -> Stored:
        key, before = _address(change), self._current[_address(change)]
        self._sequence += 1
        stored = stored_of(change, self._sequence)
        if before is None:
            self._place += 1
        place = before.place if before else self._place
        document = resource_document(stored, place, change.entries)
        self._see(change.resource_type, document)
        self._versions.append(InsertOne(version_document(stored)))
        self._waiting[key] = change
        if before is None:
            self._resources[key] = InsertOne(document)
        else:
            self._resources[key] = ReplaceOne({"_id": key}, document)
            later = {"k": key, "$or": [{"e": None}, {"e": {"$gt": change.last_updated}}]}
            self._ended.append(UpdateMany(later, {"$set": {"e": change.last_updated}}))
        was_live = before is not None and before.is_live
        difference = (not stored.is_deleted) - was_live
        if difference:
            name = change.resource_type
            self._counts[name] = self._counts.get(name, 0) + difference
        self._current[key] = _Current(change.version_id, place, not stored.is_deleted)
        if change.resource_type == PARAMETERS:
            self.generation = self._sequence
        return stored

    def _see(self, resource_type: str, document: Document) -> None:
        """Take in the intervals of what is to be written."""
        if intervals := document.get("d"):
            wider = self._spreads.widened(resource_type, intervals)
            self._is_wider = self._is_wider or wider is not self._spreads
            self._spreads = wider

    async def reindex(self, items: Sequence[Indexed], notes: Mapping[str, str]) -> None:
        """Replace the entries of resources whose version is as said, and set notes."""
        await self.flush()
        updates: list[Any] = []
        for item in items:
            fields = said(item.key.resource_type, item.entries)
            self._see(item.key.resource_type, fields)
            change: Document = {"$set": fields} if fields else {}
            if missing := [name for name in SAID if name not in fields]:
                change["$unset"] = dict.fromkeys(missing, "")
            where = {"_id": address(item.key), "v": item.version_id, "t": {"$exists": True}}
            updates.append(UpdateOne(where, change))
        await self._bulk(RESOURCE, updates)
        changed: list[Any] = []
        for name, text in notes.items():
            where = {"_id": f"note:{name}"}
            changed.append(UpdateOne(where, {"$set": {"text": text}}, upsert=True))
        await self._bulk(HUB, changed)

    async def notes(self, names: Iterable[str]) -> dict[str, str]:
        """Return these notes as they are now."""
        where = {"_id": {"$in": [f"note:{name}" for name in names]}}
        found = await self._connection.find(HUB, where, session=self.session)
        return {one["_id"].partition(":")[2]: one["text"] for one in found}

    async def flush(self) -> None:
        """Send what waits."""
        versions, resources = [*self._ended, *self._versions], list(self._resources.values())
        self._ended, self._versions, self._resources, self._waiting = [], [], {}, {}
        await self._bulk(VERSION, versions)
        await self._bulk(RESOURCE, resources)

    async def end(self) -> None:
        """Send what waits, and where the order has come to."""
        await self.flush()
        order = {"s": self._sequence, "n": self._place, "g": self.generation, "c": self._counts}
        if self._is_wider:
            order["w"] = self._widenings + 1
            rows = {"$set": {"rows": self._spreads.rows()}}
            await self._bulk(HUB, [UpdateOne({"_id": SPREADS}, rows, upsert=True)])
        with told():
            await self._connection[HUB].update_one(
                {"_id": ORDER}, {"$set": order}, session=self.session
            )

    async def _bulk(self, collection: str, operations: Sequence[Any]) -> None:
        if operations:
            with told():
                await self._connection[collection].bulk_write(operations, session=self.session)


def _keys(changes: Iterable[Change]) -> list[tuple[str, str]]:
    return [(change.resource_type, change.logical_id) for change in changes]


def _address(change: Change) -> str:
    return f"{change.resource_type}/{change.logical_id}"
