"""How wide the intervals under a parameter are, and if some resource has two: what ranges need.

Where no resource has two, "from" and "until" are one range with two ends. Where none is wider
than a day, what ends after a moment begins at most a day before it: a range of starts again.
Both only grow. They are kept in the document `spreads`, read again whenever the number of its
changes in `order` is another one, in the snapshot that they are used in.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import isinf
from typing import Any, TypeGuard

from fhir_hub.search.plan import Compare, Has, Plan, Range
from fhir_hub.store.mongo.documents import BETWEEN, CODED, interval_name
from fhir_hub.store.mongo.driver import Document
from fhir_hub.store.ranges import both, parted, plain_range

_OWN = ("_id", "_type", "_lastUpdated")
_ROUNDING = 1e-12  # more than a number loses when a width is taken from it


class Spreads:
    """The widths and numbers of intervals by resource type and parameter."""

    def __init__(self, rows: Iterable[Sequence[Any]] = ()) -> None:
        self._known = {name: (float(width), bool(many)) for name, width, many in rows}

    def rows(self) -> list[list[Any]]:
        """Return what the database keeps."""
        return [[name, *spread] for name, spread in sorted(self._known.items())]

    def widened(self, resource_type: str, intervals: Sequence[Document]) -> "Spreads":
        """Return what is known with the intervals of a resource; itself if they add nothing."""
        found: dict[str, tuple[float, bool]] = {}
        for interval in intervals:
            name = f"{resource_type}{BETWEEN}{interval['k']}"
            width, is_many = self._known.get(name, (-1.0, False))
            if name in found:
                width, is_many = found[name][0], True
            found[name] = (max(width, float(interval["h"]) - float(interval["l"])), is_many)
        if all(self._known.get(name) == spread for name, spread in found.items()):
            return self
        wider = Spreads()
        wider._known = self._known | found
        return wider

    def of(self, resource_types: Sequence[str], parameter: str, kind: str) -> tuple[float, bool]:
        """Return the greatest width, and if a resource of the types (of none: any) has many."""
        end = BETWEEN + interval_name(parameter, kind)
        names = [name + end for name in resource_types] or [
            n for n in self._known if n.endswith(end)
        ]
        found = [self._known[name] for name in names if name in self._known]
        return max((width for width, _ in found), default=0.0), any(many for _, many in found)

    def merged(self, parts: Sequence[Plan], resource_types: Sequence[str]) -> list[Plan]:
        """Make one range of two under one parameter, where no resource has two intervals."""
        merged: dict[tuple[str, str], Has] = {}
        others: list[Plan] = []
        for part in parts:
            if not is_range(part) or not plain_range(part):
                others.append(part)
                continue
            if self.of(resource_types, part.parameter, part.kind)[1]:
                others.append(part)
                continue
            key, one = (part.parameter, part.kind), parted(part)
            together = both(merged[key], one) if key in merged else one
            if together:
                merged[key] = together
            else:
                others.append(part)
        return [*merged.values(), *others]

    def narrowed(self, has: Has, resource_types: Sequence[str]) -> Has:
        """Return a part of ranges with the bounds of low that follow from those of high."""
        if not is_range(has):
            return has
        width, _ = self.of(resource_types, has.parameter, has.kind)
        tests = []
        for test in has.tests:
            if isinstance(test, Range):
                ranges = [(*one, *_derived(one, width)) for one in test.any_of]
                test = replace(test, any_of=tuple(ranges))
            tests.append(test)
        return replace(has, tests=tuple(tests))


def is_range(part: Plan) -> TypeGuard[Has]:
    """Say whether a part asks for intervals of entries by their bounds."""
    return (
        isinstance(part, Has)
        and part.parameter not in _OWN
        and part.kind not in CODED
        and any(isinstance(test, Range) for test in part.tests)
    )


def _derived(comparisons: Sequence[Compare], width: float) -> Iterator[Compare]:
    """Yield bounds of low that follow from bounds of high, so that the walk has two ends."""
    if any(compare.bound == "low" and compare.operator == "=" for compare in comparisons):
        return
    for compare in comparisons:
        if compare.bound != "high":
            continue
        if compare.operator in ("<", "<=", "="):  # low is not above high
            yield Compare("low", "<=", compare.value)
        if compare.operator in (">", ">=", "=") and not isinf(width):
            least = compare.value - width
            yield Compare("low", ">=", least - abs(least) * _ROUNDING)
