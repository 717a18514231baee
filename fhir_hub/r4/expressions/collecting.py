"""FHIRPath's functions of collections that need no expression as an argument.

Spec: http://hl7.org/fhirpath/N1/#functions
"""

from collections.abc import Mapping
from typing import Any

from fhir_hub.r4.expressions.nodes import Node
from fhir_hub.r4.expressions.scope import Function
from fhir_hub.r4.expressions.values import (
    Amount,
    Items,
    Wrong,
    contains,
    distinct,
    in_one_unit,
    is_number,
    one,
    system,
    truth,
)


def _count(items: Items) -> int:
    value = one(items)
    if type(value) is not int:
        raise Wrong("a whole number is needed here")
    return value


def _single(items: Items) -> Items:
    if len(items) > 1:
        raise Wrong("single() finds several")
    return items


def _not(items: Items) -> Items:
    value = truth(items)
    return [] if value is None else [not value]


def _has_value(items: Items) -> Items:
    if len(items) != 1:
        return [False]
    item = items[0]
    return [not (type(item) is Node and (item.inside or item.value is None))]


def _value(items: Items) -> Items:
    return [system(items[0])] if _has_value(items)[0] else []


def _booleans(items: Items) -> list[Any]:
    values = [system(item) for item in items]
    if not all(type(value) is bool for value in values):
        raise Wrong("booleans are needed here")
    return values


def _combined(items: Items, others: Items) -> Items:
    return [*items, *others]


def _comparable(items: Items, others: Items) -> Items:
    left, right = one(items), one(others)
    if not isinstance(left, Amount) or not isinstance(right, Amount):
        return []
    return [in_one_unit(left, right) is not None]


def _sum(items: Items) -> Items:
    values = [system(item) for item in items]
    if not all(map(is_number, values)):
        raise Wrong("sum() needs numbers")
    return [sum(values)]


COLLECTING: Mapping[str, Function] = {
    "empty": lambda items: [not items],
    "not": _not,
    "count": lambda items: [len(items)],
    "first": lambda items: items[:1],
    "last": lambda items: items[-1:],
    "tail": lambda items: items[1:],
    "single": _single,
    "skip": lambda items, number: items[max(_count(number), 0) :],
    "take": lambda items, number: items[: max(_count(number), 0)],
    "distinct": distinct,
    "isDistinct": lambda items: [len(distinct(items)) == len(items)],
    "allTrue": lambda items: [all(_booleans(items))],
    "anyTrue": lambda items: [any(_booleans(items))],
    "allFalse": lambda items: [not any(_booleans(items))],
    "anyFalse": lambda items: [not all(_booleans(items))],
    "subsetOf": lambda items, others: [all(contains(others, item) for item in items)],
    "supersetOf": lambda items, others: [all(contains(items, item) for item in others)],
    "intersect": lambda items, others: distinct([i for i in items if contains(others, i)]),
    "exclude": lambda items, others: [item for item in items if not contains(others, item)],
    "union": lambda items, others: distinct([*items, *others]),
    "combine": _combined,
    "hasValue": _has_value,
    "getValue": _value,
    "comparable": _comparable,
    "sum": _sum,
}
