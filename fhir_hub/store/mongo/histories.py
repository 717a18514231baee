"""Versions, newest first. A version has the time when a later one took its place (`e`), if any.

With that, the versions that were current at a moment are a range, also where the clock went back.

Spec: https://hl7.org/fhir/R4/http.html#history
"""

from fhir_hub.store.base import Page
from fhir_hub.store.mongo.documents import of_version
from fhir_hub.store.mongo.driver import Connection, Document
from fhir_hub.store.mongo.patterns import joined
from fhir_hub.store.mongo.schema import HUB, ORDER, VERSION


async def history(
    connection: Connection,
    resource_type: str,
    logical_id: str,
    *,
    count: int,
    before: int,
    since: int,
    at: tuple[int, int] | None,
    with_total: bool,
) -> Page:
    """Return versions of one resource, one type, or all."""
    level: Document = {}
    if resource_type:
        level = {"k": f"{resource_type}/{logical_id}"} if logical_id else {"t": resource_type}
    elif logical_id:
        return Page([], "", 0 if with_total else None)
    asked = joined([level, _when(since, at)])
    found: list[Document] = []
    if count > 0:
        start: Document = {"_id": {"$lt": before}} if before else {}
        found = await connection.find(
            VERSION, joined([asked, start]), sort=[("_id", -1)], limit=count + 1
        )
    matches = [of_version(document) for document in found[:count]]
    cursor = str(matches[-1].sequence) if len(found) > count and matches else ""
    return Page(matches, cursor, await _total(connection, asked) if with_total else None)


def _when(since: int, at: tuple[int, int] | None) -> Document:
    conditions: list[Document] = []
    if since:
        conditions.append({"u": {"$gte": since}})
    if at:
        first, last = at
        conditions += [{"u": {"$lte": last}}, {"$or": [{"e": None}, {"e": {"$gt": first}}]}]
    return joined(conditions)


async def _total(connection: Connection, asked: Document) -> int:
    if not asked:  # the sequence has no gaps
        order = await connection.find_one(HUB, {"_id": ORDER})
        return int(order["s"]) if order else 0
    found = await connection.aggregate(VERSION, [{"$match": asked}, {"$count": "found"}])
    return int(found[0]["found"]) if found else 0
