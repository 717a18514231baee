"""Conversion between the System types of FHIRPath, and what texts they write and read.

Spec: http://hl7.org/fhirpath/N1/#conversion
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from fhir_hub.r4.expressions.moments import Moment, read_moment
from fhir_hub.r4.expressions.scope import Function
from fhir_hub.r4.expressions.values import Amount, Items, in_one_unit, one
from fhir_hub.r4.fhirpath_text import UNITS

_TRUE = frozenset(("true", "t", "yes", "y", "1", "1.0"))
_FALSE = frozenset(("false", "f", "no", "n", "0", "0.0"))
_is_integer = re.compile(r"[+-]?[0-9]{1,10}").fullmatch
_is_decimal = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?").fullmatch
_is_quantity = re.compile(
    r"([+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?)\s*(?:'([^']{1,80})'|([a-z]{3,12}))?"
)
_MOST = 2**31


def text_of(value: Any) -> str | None:
    """Return a System value as a text, None if it has none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Moment):
        return value.text.removesuffix("T") if value.kind != "Time" else value.text.lstrip("T")
    if isinstance(value, Amount):
        unit = value.unit if value.is_calendar else f"'{value.unit}'"
        return f"{value.value:f} {unit}"
    return None


def _boolean(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | Decimal):
        return bool(value) if value in (0, 1) else None
    if isinstance(value, str):
        text = value.lower()
        return True if text in _TRUE else False if text in _FALSE else None
    return None


def _integer(value: Any) -> int | None:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str) and _is_integer(value):
        number = int(value)
        return number if -_MOST <= number < _MOST else None
    return None


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, int | Decimal):
        return Decimal(value)
    return Decimal(value) if isinstance(value, str) and _is_decimal(value) else None


def _moment(kind: str) -> Callable[[Any], Moment | None]:
    def read(value: Any) -> Moment | None:
        found = value if isinstance(value, Moment) else None
        if isinstance(value, str):
            found = read_moment(value, "Time" if kind == "Time" else "")
        if found is None or (found.kind == "Time") != (kind == "Time"):
            return None
        if kind == "Date":
            parts = found.parts[:3]
            text = found.text.partition("T")[0]
            return found._replace(kind="Date", parts=parts, offset=None, text=text)
        return found._replace(kind=kind)

    return read


def _quantity(value: Any) -> Amount | None:
    if isinstance(value, Amount):
        return value
    if isinstance(value, bool | int | Decimal):
        return Amount(Decimal(value), "1")
    match = _is_quantity.fullmatch(value) if isinstance(value, str) and len(value) < 200 else None
    if match is None:
        return None
    number, code, word = match.groups()
    if word and word not in UNITS:
        return None
    if word:
        return Amount(Decimal(number), word.removesuffix("s"), is_calendar=True)
    return Amount(Decimal(number), code or "1")


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "Boolean": _boolean,
    "Integer": _integer,
    "Decimal": _decimal,
    "String": text_of,
    "Date": _moment("Date"),
    "DateTime": _moment("DateTime"),
    "Time": _moment("Time"),
    "Quantity": _quantity,
}


def _to(read: Callable[[Any], Any]) -> Function:
    def convert(items: Items, unit: Items | None = None) -> Items:
        value = one(items)
        found = None if value is None else read(value)
        if unit and isinstance(found, Amount):
            found = _in_unit(found, one(unit))
        return [] if found is None else [found]

    return convert


def _in_unit(amount: Amount, unit: str) -> Amount | None:
    pair = in_one_unit(amount, Amount(Decimal(1), unit))
    return None if pair is None else Amount(pair[0] / pair[1], unit)


def _converts_to(read: Callable[[Any], Any]) -> Function:
    convert = _to(read)

    def converts(items: Items, unit: Items | None = None) -> Items:
        return [bool(convert(items, unit))] if items else []

    return converts


CONVERSIONS: Mapping[str, Function] = {
    **{f"to{name}": _to(read) for name, read in _READERS.items()},
    **{f"convertsTo{name}": _converts_to(read) for name, read in _READERS.items()},
}
