"""Decimals as floats and intervals, so that a search compares two numbers.

A value in a resource is a point, because R4 compares with "greater than exactly 100". As a query,
`5.4` asks for everything that rounds to it: from 5.35 up to 5.45.

Spec: https://hl7.org/fhir/R4/search.html#number
"""

import re
from decimal import Decimal
from math import isfinite
from typing import NamedTuple

from fhir_hub.errors import InvalidResource

_match = re.compile(r"[+-]?[0-9]{1,40}(?:\.([0-9]{1,40}))?(?:[eE]([+-]?[0-9]{1,3}))?").fullmatch


class Asked(NamedTuple):
    """A decimal as a query writes it: the number, and the interval that its digits imply.

    `low` is in the interval, `high` is not.
    """

    exact: float
    low: float
    high: float


def asked_number(text: str) -> Asked:
    """Return what the decimal `text` asks for; raises `InvalidResource` if it is none.

    In exponential form one digit more counts: R4 reads `1e2` as from 95 to 105.

    >>> asked_number("5.40")
    Asked(exact=5.4, low=5.395, high=5.405)
    >>> asked_number("100")[1:], asked_number("1e2")[1:]
    ((99.5, 100.5), (95.0, 105.0))
    """
    match = _match(text)
    if match is None:
        raise InvalidResource("not a decimal number")
    digits, exponent = match.groups()
    unit = int(exponent or 0) - len(digits or "") - (exponent is not None)
    half = Decimal(5).scaleb(unit - 1)
    value = Decimal(text)
    asked = Asked(float(value), float(value - half), float(value + half))
    if not all(map(isfinite, asked)):
        raise InvalidResource("a number out of range")
    return asked


def number(value: object) -> float | None:
    """Return a JSON number as a float; None for what is no number, or too large for a float."""
    if type(value) is bool or not isinstance(value, int | float | Decimal):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if isfinite(found) else None
