"""How many resources of each type there were at one commit, counted in pieces while hubs write.

The pieces need no common snapshot, which MongoDB keeps for five minutes: what a resource was at
that commit is its document, if that has not changed since, and else what its versions up to then
say, which never change. From there a tally is led to a later commit by the versions between.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from fhir_hub.store.mongo.driver import Connection, Document, Session
from fhir_hub.store.mongo.schema import HUB, ORDER, RESOURCE, VERSION

_BATCH = 5_000
_NOTHING: Document = {"s": 0, "n": 0, "g": 0, "c": {}}


async def order_now(connection: Connection, session: Session = None) -> Document:
    """Return the document that every commit changes."""
    found = await connection.find_one(HUB, {"_id": ORDER}, session=session)
    return found or dict(_NOTHING)


class Tally:
    """The live resources by type at the commit `sequence`; `place` is the greatest number seen."""

    def __init__(self, sequence: int) -> None:
        self.sequence, self.place = sequence, 0
        self.live: Counter[str] = Counter()

    def see(self, document: Document, versions: Iterable[tuple[int, str]]) -> None:
        """Count a resource by its document and its versions: sequence and method, in order."""
        self.place = max(self.place, document["n"])
        if document["s"] <= self.sequence:
            is_live = "t" in document
        else:
            methods = [method for sequence, method in versions if sequence <= self.sequence]
            is_live = bool(methods) and methods[-1] != "DELETE"
        if is_live:
            self.live[document["_id"].partition("/")[0]] += 1

    def copy(self) -> "Tally":
        """Return another one of the same."""
        other = Tally(self.sequence)
        other.place, other.live = self.place, self.live.copy()
        return other

    def counts(self) -> dict[str, int]:
        """Return the types that there are, with their numbers."""
        return {name: number for name, number in self.live.items() if number}

    async def advance(self, connection: Connection, to: int, session: Session = None) -> None:
        """Lead it to a later commit."""
        while self.sequence < to:
            where = {"_id": {"$gt": self.sequence, "$lte": min(to, self.sequence + _BATCH)}}
            later = await _ends(connection, where, session)
            before = {"k": {"$in": sorted(later)}, "_id": {"$lte": self.sequence}}
            were = await _ends(connection, before, session)
            for key, method in later.items():
                is_new = were.get(key, "DELETE") == "DELETE"
                change = (method != "DELETE") - (not is_new)
                self.live[key.partition("/")[0]] += change
            self.sequence = where["_id"]["$lte"]


async def _ends(connection: Connection, where: Document, session: Session) -> dict[str, str]:
    """Return the method of the last version of each resource among some."""
    found = await connection.find(
        VERSION, where, fields=["k", "m"], sort=[("_id", 1)], session=session
    )
    return {one["k"]: one["m"] for one in found}


async def tallied(connection: Connection) -> Tally:
    """Return the tally of what is there, at the commit that was the last when this began."""
    tally = Tally((await order_now(connection))["s"])
    last = ""
    while batch := await _resources(connection, last):
        changed = [one["_id"] for one in batch if one["s"] > tally.sequence]
        methods = await _methods(connection, changed, tally.sequence)
        for one in batch:
            tally.see(one, methods.get(one["_id"], ()))
        last = batch[-1]["_id"]
    return tally


async def _resources(connection: Connection, after: str) -> list[Document]:
    return await connection.find(
        RESOURCE,
        {"_id": {"$gt": after}},
        fields=["s", "n", "t"],
        sort=[("_id", 1)],
        limit=_BATCH,
    )


async def _methods(
    connection: Connection, keys: Sequence[str], until: int
) -> dict[str, list[tuple[int, str]]]:
    if not keys:
        return {}
    where = {"k": {"$in": list(keys)}, "_id": {"$lte": until}}
    return {
        key: [(until, method)] for key, method in (await _ends(connection, where, None)).items()
    }
