"""The algebra of ranges where a resource has one interval: meets, parts that exclude each other.

R4's `ge2025` is "starts in it or after, or ends after it": two alternatives that overlap. Where a
resource has one interval under a parameter, the second may leave out what the first has found; then
no resource is found twice, and counting them is counting rows. `ge` and `lt` together become
ranges with two ends.

Spec: https://hl7.org/fhir/R4/search.html#prefix
"""

from dataclasses import replace
from itertools import product
from math import isinf

from fhir_hub.search.plan import Compare, Has, Operator, Range

_OPPOSITE: dict[Operator, Operator] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_MOST = 9  # alternatives of a product

Alternative = tuple[Compare, ...]


def plain_range(has: Has) -> Range | None:
    """Return the only test of a part, if it is one of bounds with no unit."""
    test = has.tests[0] if len(has.tests) == 1 else None
    if not isinstance(test, Range) or (test.system, test.code, test.unit) != (None, None, None):
        return None
    return test


def both(one: Has, other: Has) -> Has | None:
    """Return the part that asks what two plain ranges ask, None if that has too many parts."""
    first, second = plain_range(one), plain_range(other)
    if first is None or second is None or len(first.any_of) * len(second.any_of) > _MOST:
        return None
    pairs = product(first.any_of, second.any_of)
    return replace(one, tests=(Range(tuple(a + b for a, b in pairs)),))


def parted(has: Has) -> Has:
    """Return a plain range with alternatives of which an interval meets at most one."""
    test = plain_range(has)
    if test is None or len(test.any_of) != 2:
        return has
    first, second = test.any_of
    if len(first) != 1 or are_apart(first, second) or first[0].operator not in _OPPOSITE:
        return has
    return replace(has, tests=(Range((first, (*second, _opposite(first[0])))),))


def is_parted(test: Range) -> bool:
    """Say whether an interval meets at most one alternative, as far as one can see."""
    found = test.any_of
    if len(found) == 2:
        return are_apart(*found)
    return all(are_apart(a, b) for place, a in enumerate(found) for b in found[:place])


def are_apart(one: Alternative, other: Alternative) -> bool:
    """Say whether one has the opposite of a comparison of the other."""
    return any(compare.operator in _OPPOSITE and _opposite(compare) in other for compare in one)


def ends(test: Range, column: str, width: float) -> tuple[float | None, float | None]:
    """Return what the column (`low`, `high`) of every interval that passes lies between.

    Both ends are included; None is without end. No interval is wider than `width`.
    """
    lows, highs = [], []
    for alternative in test.any_of:
        least = [at for c in alternative if (at := _least(c, column, width)) is not None]
        most = [at for c in alternative if (at := _most(c, column, width)) is not None]
        lows.append(max(least, default=None))
        highs.append(min(most, default=None))
    known_lows = [at for at in lows if at is not None]
    known_highs = [at for at in highs if at is not None]
    return (
        min(known_lows) if lows and len(known_lows) == len(lows) else None,
        max(known_highs) if highs and len(known_highs) == len(highs) else None,
    )


def _least(compare: Compare, column: str, width: float) -> float | None:
    """Return what the column is not below, if the comparison holds."""
    if compare.operator not in (">", ">=", "="):
        return None
    if compare.bound == column or column == "high":  # high is not below low
        return compare.value
    return None if isinf(width) else compare.value - width


def _most(compare: Compare, column: str, width: float) -> float | None:
    if compare.operator not in ("<", "<=", "="):
        return None
    if compare.bound == column or column == "low":
        return compare.value
    return None if isinf(width) else compare.value + width


def opposite(alternative: Alternative) -> Alternative | None:
    """Return what just those intervals meet that do not meet this; None if it is no comparison."""
    if len(alternative) != 1 or alternative[0].operator not in _OPPOSITE:
        return None
    return (_opposite(alternative[0]),)


def _opposite(compare: Compare) -> Compare:
    return replace(compare, operator=_OPPOSITE[compare.operator])
