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
from fhir_hub.search.parameter import Elsewhere
from fhir_hub.search.plan import Apart, Has, Is, Not, Or, Plan, Test, Together, kind_of, some

Collect = Callable[[Any, dict[str, Any], int, list[Entry]], None]


def part_name(parameter: str, number: int) -> str:
    """Return the name that the part of a composite is stored under."""
    return f"{parameter}.{number}"


def other_name(parameter: str) -> str:
    """Return under what a resource says that a value of its is no part of the composite."""
    return f"{parameter}:other"


def add_other(parameter: str, fhir_type: str) -> Callable[[Any, int, list[Entry]], None]:
    """Return what adds that there is a value of a type that the composite leaves out."""
    entry = Entry(other_name(parameter), "token", fhir_type)

    def add(_: Any, group: int, out: list[Entry]) -> None:
        out.append(entry)

    return add


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


def pair(
    index: str, elsewhere: Elsewhere | None, kinds: Sequence[Kind], tests: Sequence[Sequence[Test]]
) -> Plan:
    """Return what asks for a pair under `index`, or where its parts stand, by tests of each."""
    together = _together(index, kinds, tests)
    if elsewhere is None:
        return together
    asked = zip(elsewhere.names, kinds, tests, strict=True)
    plans = [some((name,), kind, passed) for name, kind, passed in asked]
    return _apart(index, plans, elsewhere, together)


def any_pair(index: str, elsewhere: Elsewhere | None, kinds: Sequence[Kind]) -> Plan:
    """Return what asks for a pair of any values; without its other parts there is no first."""
    first = Has(part_name(index, 0), kinds[0])
    if elsewhere is None:
        return first
    named = zip(elsewhere.names, kinds, strict=True)
    return _apart(index, [Has(name, kind) for name, kind in named], elsewhere, first)


def no_pair(index: str, elsewhere: Elsewhere | None, kinds: Sequence[Kind]) -> Plan:
    """Return what asks for the absence of a pair, as each part's: an index finds what lacks one."""
    if elsewhere is None:
        return Not(Has(part_name(index, 0), kinds[0]))
    named = zip(elsewhere.names, kinds, strict=True)
    return Or((*(Not(Has(name, kind)) for name, kind in named), *_left_out(index, elsewhere)))


def _apart(index: str, plans: Sequence[Plan], elsewhere: Elsewhere, pair: Plan) -> Plan:
    return Apart((*plans, *map(Not, _left_out(index, elsewhere))), pair)


def _left_out(index: str, elsewhere: Elsewhere) -> list[Has]:
    """Return what asks for a value that is no part, if there may be one."""
    tests = tuple(Is(path.type, "") for path in elsewhere.others)
    return [Has(other_name(index), "token", tests)] if tests else []


def _together(parameter: str, kinds: Sequence[Kind], tests: Sequence[Sequence[Test]]) -> Plan:
    plans: list[Plan] = [
        Together(
            parameter,
            tuple((kind_of(test, kind), test) for kind, test in zip(kinds, chosen, strict=True)),
        )
        for chosen in product(*tests)
    ]
    return plans[0] if len(plans) == 1 else Or(tuple(plans))
