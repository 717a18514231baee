"""FHIRPath's functions of numbers, and the bounds of what a number or moment may stand for.

Spec: http://hl7.org/fhirpath/N1/#math and https://hl7.org/fhirpath/#lowboundary
"""

import math
from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from fhir_hub.r4.expressions.moments import Moment, Part, written
from fhir_hub.r4.expressions.scope import Function
from fhir_hub.r4.expressions.values import Amount, Items, Wrong, is_number, one

_MOST_DIGITS = 28
_WIDTHS = {4: 1, 6: 2, 8: 3, 10: 4, 12: 5, 14: 6, 17: 6}
_TIME_WIDTHS = {2: 1, 4: 2, 6: 3, 9: 3}


def _number(act: Callable[..., Any]) -> Function:
    def compute(items: Items, *arguments: Items) -> Items:
        values = [one(each) for each in (items, *arguments)]
        if None in values:
            return []
        amount = values[0] if isinstance(values[0], Amount) else None
        if amount:
            values[0] = amount.value
        if not all(map(is_number, values)):
            raise Wrong("a number is needed here")
        try:
            found = act(*values)
        except (InvalidOperation, ValueError, OverflowError, ZeroDivisionError):
            return []
        if found is None:
            return []
        return [amount._replace(value=Decimal(found)) if amount else found]

    return compute


def _decimal(act: Callable[..., float]) -> Callable[..., Decimal]:
    def compute(*values: Any) -> Decimal:
        found = act(*map(float, values))
        return Decimal(repr(found)).quantize(Decimal("1e-8")).normalize() + 0

    return compute


def _power(base: Any, exponent: Any) -> Any:
    if abs(exponent) > 1000 or abs(base) > 10**12:
        return None
    if type(base) is int and type(exponent) is int and exponent >= 0:
        return base**exponent
    return Decimal(base) ** Decimal(exponent)


def _round(value: Any, digits: int = 0) -> Decimal:
    if not 0 <= digits <= _MOST_DIGITS:
        raise Wrong("round() takes 0 to 28 digits")
    return Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


def _precision(items: Items) -> Items:
    value = one(items)
    if isinstance(value, Moment):
        widths = _TIME_WIDTHS if value.kind == "Time" else _WIDTHS
        by_parts: dict[int, int] = {}
        for width, parts in widths.items():
            by_parts.setdefault(parts, width)
        width = by_parts[len(value.parts)]
        return [
            width + 3
            if isinstance(value.parts[-1], Decimal) and "." in str(value.parts[-1])
            else width
        ]
    return [] if value is None else [max(-_exponent(value), 0)]


def _exponent(value: Any) -> int:
    return int(Decimal(value).as_tuple().exponent)


def _boundary(*, is_low: bool) -> Function:
    def bound(items: Items, digits: Items | None = None) -> Items:
        value = one(items)
        wanted = one(digits) if digits else None
        if value is None:
            return []
        if isinstance(value, Moment):
            found: Any = _moment_bound(value, wanted, is_low=is_low)
        elif isinstance(value, Amount):
            number = _number_bound(value.value, 8 if wanted is None else wanted, is_low=is_low)
            found = None if number is None else value._replace(value=number)
        elif is_number(value):
            found = _number_bound(Decimal(value), 8 if wanted is None else wanted, is_low=is_low)
        else:
            raise Wrong("a number or a moment is needed here")
        return [] if found is None else [found]

    return bound


def _number_bound(value: Decimal, digits: int, *, is_low: bool) -> Decimal | None:
    if not 0 <= digits <= 31:
        return None
    half = Decimal(5).scaleb(min(_exponent(value), 0) - 1)
    edge = value - half if is_low else value + half
    rounding = ROUND_FLOOR if is_low else ROUND_CEILING
    try:
        return edge.quantize(Decimal(1).scaleb(-digits), rounding)
    except InvalidOperation:
        return None


def _moment_bound(moment: Moment, digits: int | None, *, is_low: bool) -> Moment | None:
    is_time = moment.kind == "Time"
    widths = _TIME_WIDTHS if is_time else _WIDTHS
    most = 9 if is_time else 8 if moment.kind == "Date" else 17
    count = widths.get(most if digits is None else digits)
    if count is None:
        return None
    parts = list(moment.parts)[:count]
    first = 3 if is_time else 0
    while len(parts) < count:
        parts.append(_edge(first + len(parts), parts, is_low=is_low))
    wants_fraction = (most if digits is None else digits) in (9, 17)
    if wants_fraction and "." not in str(parts[-1]):
        parts[-1] = Decimal(f"{int(parts[-1])}.{'000' if is_low else '999'}")
    kind = moment.kind
    if kind == "Date" and count > 3:
        kind = "DateTime"
    offset = moment.offset
    if kind == "DateTime" and count > 3 and offset is None:
        offset = 14 * 60 if is_low else -12 * 60
    return written(Moment(kind, (), offset, ""), tuple(parts))


def _edge(at: int, parts: list[Part], *, is_low: bool) -> int:
    if is_low:
        return 1 if at < 3 else 0
    if at == 2:
        from calendar import monthrange

        return monthrange(int(parts[0]), int(parts[1]))[1]
    return (9999, 12, 31, 23, 59, 59)[at]


NUMBERS: Mapping[str, Function] = {
    "abs": _number(abs),
    "ceiling": _number(math.ceil),
    "floor": _number(math.floor),
    "truncate": _number(math.trunc),
    "round": _number(_round),
    "sqrt": _number(_decimal(math.sqrt)),
    "exp": _number(_decimal(math.exp)),
    "ln": _number(_decimal(math.log)),
    "log": _number(_decimal(math.log)),
    "power": _number(_power),
    "precision": _precision,
    "lowBoundary": _boundary(is_low=True),
    "highBoundary": _boundary(is_low=False),
}
