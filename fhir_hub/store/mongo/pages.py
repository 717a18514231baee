"""A query to the pipeline of its page: filter, order, where the page before ended, joins, limit.

Without a sort, matches come by number of creation, which every index ends with. With one, the
values are computed from the document and sorted, absent ones last. Pages are by key, not by offset.
"""

from collections.abc import Sequence
from typing import Any

from fhir_hub.search.plan import SortKey
from fhir_hub.store.cursor import Value
from fhir_hub.store.mongo.conditions import Asked
from fhir_hub.store.mongo.documents import BETWEEN, CODED, code_in, interval_name, is_of, named
from fhir_hub.store.mongo.driver import Document
from fhir_hub.store.mongo.patterns import either, joined

SHOWN = ("n", "v", "s", "u", "m", "c")


def page_stages(
    asked: Asked, sort: Sequence[SortKey], after: tuple[Value, ...], limit: int
) -> list[Document]:
    """Return the stages that yield the next `limit` matches, with `s0`, `s1` … to sort by."""
    filtered = asked.first if asked.stages else asked.where
    order: dict[str, int] = {}
    values: Document = {}
    absences: Document = {}
    for place, key in enumerate(sort):
        value, absent = f"s{place}", f"a{place}"
        values[value] = _value(key)
        absences[absent] = {"$eq": [{"$ifNull": [f"${value}", None]}, None]}
        order |= {absent: 1, value: -1 if key.descending else 1}
    stages: list[Document] = [{"$match": joined([filtered, _beyond(after)])}]
    if not sort:
        stages[0] = {"$match": joined([filtered, _beyond(after)])}
    else:
        stages = [{"$match": filtered}, {"$set": values}, {"$set": absences}]
        if after:
            stages.append({"$match": _after(sort, after)})
    stages.append({"$sort": order | {"n": 1}})
    if asked.stages:
        stages += [*asked.stages, {"$match": asked.where}]
    shown = dict.fromkeys((*SHOWN, *values), 1)
    return [*stages, {"$limit": limit}, {"$project": shown}]


def _beyond(after: tuple[Value, ...]) -> Document:
    return {"n": {"$gt": after[-1]}} if after else {}


def _value(key: SortKey) -> Any:
    """Return the expression of the value of a sort key, null if there is none."""
    if (key.parameter, key.kind) == ("_id", "token"):
        return "$i"
    if (key.parameter, key.kind) == ("_lastUpdated", "date"):
        return "$u"
    parameters = (key.parameter, *key.others)
    choose = "$max" if key.descending else "$min"
    if key.kind in CODED:
        mine = {"$or": [_counts(key, named(one, key.kind)) for one in parameters]}
        found = _filtered("$x", mine)
        return {choose: {"$map": {"input": found, "as": "e", "in": code_in("$$e")}}}
    names = [interval_name(one, key.kind) for one in parameters]
    found = _filtered("$d", {"$in": ["$$e.k", names]})
    bound = "$$e.h" if key.descending else "$$e.l"
    return {choose: {"$map": {"input": found, "as": "e", "in": bound}}}


def _counts(key: SortKey, start: str) -> Document:
    """Return the expression that a flat string is a value to sort by; `start` is its beginning."""
    asked = is_of("$$e", start)
    if key.kind != "reference":
        return asked
    nowhere = [
        is_of("$$e", f"{start}{BETWEEN}"),
        {"$eq": [{"$substrCP": [code_in("$$e"), 0, 1]}, "#"]},
    ]
    return {"$and": [asked, {"$not": [{"$or": nowhere}]}]}


def _filtered(field: str, condition: Document) -> Document:
    return {"$filter": {"input": {"$ifNull": [field, []]}, "as": "e", "cond": condition}}


def _after(sort: Sequence[SortKey], after: tuple[Value, ...]) -> Document:
    """Return the condition of what comes after the values of a cursor."""
    alternatives = []
    same: list[Document] = []
    for place, (key, value) in enumerate(zip(sort, after, strict=False)):
        name, absent = f"s{place}", f"a{place}"
        if value is None:
            same.append({absent: True})
            continue
        beyond = {name: {"$lt" if key.descending else "$gt": value}, absent: False}
        alternatives.append(joined([*same, either([beyond, {absent: True}])]))
        same.append({name: value, absent: False})
    alternatives.append(joined([*same, {"n": {"$gt": after[-1]}}]))
    return either(alternatives)
