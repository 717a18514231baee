"""Date: the interval that a time covers, compared by R4's prefixes.

The query's interval and the resource's are half-open, so "the range above the search value
overlaps with the range of the target" is one comparison.

Spec: https://hl7.org/fhir/R4/search.html#date and #prefix
"""

from collections.abc import Callable, Mapping
from typing import Any

from fhir_hub.r4.dates import date_interval, period_bounds, timing_bounds
from fhir_hub.search.context import Context
from fhir_hub.search.entry import Entry, entry_of
from fhir_hub.search.kinds.modifier import Meaning, Modifier
from fhir_hub.search.kinds.values import prefixed
from fhir_hub.search.plan import Compare, Range, Test

Alternatives = tuple[tuple[Compare, ...], ...]
Add = Callable[[Any, int, list[Entry]], None]

TYPES = ("date", "dateTime", "instant", "Period", "Timing")


def adder(parameter: str, fhir_type: str, context: Context) -> Add:
    """Return what adds the entry of one value of the type; none for one that names no time."""
    zone = context.zone
    if fhir_type in ("Period", "Timing"):
        bounds_of = period_bounds if fhir_type == "Period" else timing_bounds

        def add_bounds(value: Any, group: int, out: list[Entry]) -> None:
            bounds = bounds_of(value, zone) if type(value) is dict else None
            if bounds:
                out.append(entry_of((parameter, "date", "", "", *bounds, "", group)))

        return add_bounds

    def add(value: Any, group: int, out: list[Entry]) -> None:
        if type(value) is str:
            start, end = date_interval(value, zone)
            out.append(entry_of((parameter, "date", "", "", start, end, "", group)))

    return add


# R4 search.html#prefix, word for word: start and end are those of the search value
_ALTERNATIVES: Mapping[str, Callable[[int, int], Alternatives]] = {
    "eq": lambda start, end: ((Compare("low", ">=", start), Compare("high", "<=", end)),),
    "ne": lambda start, end: ((Compare("low", "<", start),), (Compare("high", ">", end),)),
    "gt": lambda start, end: ((Compare("high", ">", end),),),
    "lt": lambda start, end: ((Compare("low", "<", start),),),
    # "or contains": what does not end above the value is contained if it starts in it
    "ge": lambda start, end: ((Compare("low", ">=", start),), (Compare("high", ">", end),)),
    "le": lambda start, end: ((Compare("high", "<=", end),), (Compare("low", "<", start),)),
    "sa": lambda start, end: ((Compare("low", ">=", end),),),
    "eb": lambda start, end: ((Compare("high", "<=", start),),),
    # as far around as the value is long: a tenth of the time until now would change with every
    # page, and a page must be of the search that the first one was of
    "ap": lambda start, end: (
        (Compare("low", "<", 2 * end - start), Compare("high", ">", 2 * start - end)),
    ),
}


def compares(text: str, meaning: Meaning) -> tuple[Test, ...]:
    """Return what a query's value asks; raises `InvalidResource` if it is no date."""
    prefix, rest = prefixed(text)
    # the "+" of an offset arrives as a blank where a client did not percent-encode it
    start, end = date_interval(rest.replace(" ", "+"), meaning.context.zone)
    return (Range(_ALTERNATIVES[prefix](start, end)),)


def overlaps(text: str, meaning: Meaning) -> tuple[Test, ...]:
    """Return what asks for a period with a part in the one of `text`; raises `InvalidResource`."""
    start, end = date_interval(text, meaning.context.zone)
    return (Range(((Compare("low", "<", end), Compare("high", ">", start)),)),)


MODIFIERS: Mapping[str, Modifier] = {"": Modifier(compares)}
