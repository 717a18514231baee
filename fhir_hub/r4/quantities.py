"""Decimals as half-open intervals of floats, so that a search compares two numbers.

A decimal means what its digits say: as a query, `5.4` asks for everything that rounds to it,
from 5.35 up to 5.45. As a value in a resource it is a point, because R4 compares "greater than
exactly 100"; a point is the interval from a float to the next one, so both are compared alike.

Spec: https://hl7.org/fhir/R4/search.html#number
"""

import re
from decimal import Decimal
from math import inf, isfinite, nextafter
from typing import NamedTuple

_match = re.compile(r"[+-]?[0-9]{1,40}(?:\.([0-9]{1,40}))?(?:[eE]([+-]?[0-9]{1,3}))?").fullmatch


class NumberInterval(NamedTuple):
    """`low` is in the interval, `high` is not."""

    low: float
    high: float


def implied_interval(text: str) -> NumberInterval | None:
    """Return what rounds to the decimal `text`; None if it is no decimal, or too large.

    In exponential form one digit more counts: R4 reads `1e2` as from 95 to 105.

    >>> implied_interval("5.40")
    NumberInterval(low=5.395, high=5.405)
    >>> implied_interval("100"), implied_interval("1e2")
    (NumberInterval(low=99.5, high=100.5), NumberInterval(low=95.0, high=105.0))
    """
    match = _match(text)
    if match is None:
        return None
    digits, exponent = match.groups()
    unit = int(exponent or 0) - len(digits or "") - (exponent is not None)
    half = Decimal(5).scaleb(unit - 1)
    value = Decimal(text)
    low, high = float(value - half), float(value + half)
    if not (isfinite(low) and isfinite(high)):
        return None
    return NumberInterval(low, max(high, nextafter(low, inf)))


def point(value: float | Decimal) -> NumberInterval | None:
    """Return the interval of the number `value` alone; None if it is too large for a float.

    >>> point(Decimal("5.4")).low
    5.4
    """
    low = float(value)
    return NumberInterval(low, nextafter(low, inf)) if isfinite(low) else None
