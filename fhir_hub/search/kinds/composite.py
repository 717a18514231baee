"""Composite: pairs of values that stand together, such as a code and its value.

The parts of one pair share a group. A composite with a part missing is no pair, so it has no
entry, and the part that is missing most often is looked for first.

Spec: https://hl7.org/fhir/R4/search.html#composite
"""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from fhir_hub.errors import InvalidResource
from fhir_hub.search.entry import Entry, Kind
from fhir_hub.search.kinds.values import split
from fhir_hub.search.plan import Or, Plan, Test, Together, kind_of

Collect = Callable[[Any, dict[str, Any], int, list[Entry]], None]


def part_name(parameter: str, number: int) -> str:
    """Return the name that the part of a composite is stored under."""
    return f"{parameter}.{number}"


def add_pairs(
    parts: Sequence[Collect],
    items: Sequence[Any],
    resource: dict[str, Any],
    first: int,
    out: list[Entry],
) -> None:
    """Add the entries of each of `items` that has all parts; groups count from `first`."""
    for group, item in enumerate(items, first):
        found: list[Entry] = []
        for collect in reversed(parts):
            before = len(found)
            collect(item, resource, group, found)
            if len(found) == before:
                break
        else:
            out += found


def parts_of(text: str, count: int) -> list[str]:
    """Return the parts of a query's value, still escaped; raises `InvalidResource`."""
    parts = split(text, "$")
    if len(parts) != count or not all(parts):
        raise InvalidResource(f"a composite is written as {count} values joined by $")
    return parts


def together(
    parameters: Sequence[str], kinds: Sequence[Kind], tests: Sequence[Sequence[Test]]
) -> Plan:
    """Return what asks for a pair with one of the tests of each part, under one of `parameters`."""
    plans: list[Plan] = [
        Together(
            parameter,
            tuple((kind_of(test, kind), test) for kind, test in zip(kinds, chosen, strict=True)),
        )
        for parameter in parameters
        for chosen in product(*tests)
    ]
    return plans[0] if len(plans) == 1 else Or(tuple(plans))
