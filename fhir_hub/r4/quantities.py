"""Decimals as floats and intervals, so that a search compares two numbers.

A value in a resource is a point, because R4 compares with "greater than exactly 100". As a query,
`5.4` asks for everything that rounds to it: from 5.35 up to 5.45.

Spec: https://hl7.org/fhir/R4/search.html#number
"""

import re
from collections.abc import Callable
from decimal import Decimal
from math import isfinite
from typing import NamedTuple

from fhir_hub.errors import InvalidResource

_match = re.compile(r"[+-]?[0-9]{1,40}(?:\.([0-9]{1,40}))?(?:[eE]([+-]?[0-9]{1,3}))?").fullmatch

_NUMBERS = (Decimal, int, float)


class Asked(NamedTuple):
    """A decimal as a query writes it: the number, and the interval that its digits imply.

    `low` is in the interval, `high` is not.
    """

    exact: float
    low: float
    high: float


def asked_number(text: str, scale: Callable[[Decimal], float] = float) -> Asked:
    """Return what the decimal `text` asks for; raises `InvalidResource` if it is none.

    In exponential form one digit more counts: R4 reads `1e2` as from 95 to 105. `scale` makes the
    numbers those of another unit.

    >>> asked_number("5.40")
    Asked(exact=5.4, low=5.395, high=5.405)
    >>> asked_number("100")[1:], asked_number("1e2")[1:]
    ((99.5, 100.5), (95.0, 105.0))
    """
    value, half = _decimal(text)
    asked = Asked(scale(value), scale(value - half), scale(value + half))
    if not all(map(isfinite, asked)):
        raise InvalidResource("a number out of range")
    return asked


def tenth_around(text: str, scale: Callable[[Decimal], float] = float) -> tuple[float, float]:
    """Return a tenth less and a tenth more than `text`; raises `InvalidResource` likewise.

    >>> tenth_around("-10")
    (-11.0, -9.0)
    """
    value, _ = _decimal(text)
    tenth = abs(value) / 10
    around = scale(value - tenth), scale(value + tenth)
    if not all(map(isfinite, around)):
        raise InvalidResource("a number out of range")
    return around


def _decimal(text: str) -> tuple[Decimal, Decimal]:
    """Return a number and half of its last digit's unit."""
    match = _match(text)
    if match is None:
        raise InvalidResource("not a decimal number")
    digits, exponent = match.groups()
    unit = int(exponent or 0) - len(digits or "") - (exponent is not None)
    return Decimal(text), Decimal(5).scaleb(unit - 1)


def number(value: object) -> float | None:
    """Return a JSON number as a float; None for what is no number, or too large for a float."""
    # a Decimal may be one that keeps its own text
    if type(value) not in _NUMBERS and not isinstance(value, Decimal):
        return None
    try:
        found = float(value)  # type: ignore[arg-type]  # it is one of them
    except OverflowError:
        return None
    return found if isfinite(found) else None
