"""Number: a point or a range, compared at the precision that the query writes.

R4: an implied precision counts for `eq`, `ne` and `ap` only; the other prefixes compare with
the exact number. So an entry holds the number itself, both bounds included.

Spec: https://hl7.org/fhir/R4/search.html#number and #prefix
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from fhir_hub.r4.quantities import Asked, asked_number, number, tenth_around
from fhir_hub.search.context import Context
from fhir_hub.search.entry import Entry
from fhir_hub.search.kinds.modifier import Meaning, Modifier
from fhir_hub.search.kinds.values import prefixed
from fhir_hub.search.plan import Compare, Range, Test

Alternatives = tuple[tuple[Compare, ...], ...]
Add = Callable[[Any, int, list[Entry]], None]

TYPES = ("decimal", "integer", "positiveInt", "unsignedInt", "Range")


def adder(parameter: str, fhir_type: str, _: Context) -> Add:
    """Return what adds the entry of one value of the type; none for one without a number."""
    if fhir_type == "Range":

        def add_range(value: Any, group: int, out: list[Entry]) -> None:
            low, high = range_bounds(value)
            if low is not None or high is not None:
                out.append(Entry(parameter, "number", "", "", low, high, "", group))

        return add_range

    def add(value: Any, group: int, out: list[Entry]) -> None:
        found = number(value)
        if found is not None:
            out.append(Entry(parameter, "number", "", "", found, found, "", group))

    return add


def range_bounds(
    value: Any, read: Callable[[object], float | None] = number
) -> tuple[float | None, float | None]:
    """Return the bounds of a Range, None where it is open; `read` reads their numbers."""
    ends = (value.get("low"), value.get("high")) if type(value) is dict else (None, None)
    low, high = (read(end.get("value")) if type(end) is dict else None for end in ends)
    return low, high


_ALTERNATIVES: Mapping[str, Callable[[Asked], Alternatives]] = {
    "eq": lambda asked: ((Compare("low", ">=", asked.low), Compare("high", "<", asked.high)),),
    "ne": lambda asked: ((Compare("low", "<", asked.low),), (Compare("high", ">=", asked.high),)),
    "gt": lambda asked: ((Compare("high", ">", asked.exact),),),
    "lt": lambda asked: ((Compare("low", "<", asked.exact),),),
    "ge": lambda asked: ((Compare("high", ">=", asked.exact),),),
    "le": lambda asked: ((Compare("low", "<=", asked.exact),),),
    "sa": lambda asked: ((Compare("low", ">", asked.exact),),),
    "eb": lambda asked: ((Compare("high", "<", asked.exact),),),
}
_APPROXIMATELY = "ap"


def alternatives(text: str, scale: Callable[[Decimal], float] = float) -> Alternatives:
    """Return what a prefix and a number ask; raises `InvalidResource` if it is no number.

    `scale` makes the number one of another unit.
    """
    prefix, rest = prefixed(text)
    if prefix == _APPROXIMATELY:
        low, high = tenth_around(rest, scale)
        return ((Compare("low", "<=", high), Compare("high", ">=", low)),)
    return _ALTERNATIVES[prefix](asked_number(rest, scale))


def compares(text: str, _: Meaning) -> tuple[Test, ...]:
    """Return what a query's value asks; raises `InvalidResource` if it is no number."""
    return (Range(alternatives(text)),)


MODIFIERS: Mapping[str, Modifier] = {"": Modifier(compares)}
