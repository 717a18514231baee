"""NM, SN, CQ, MO and the text of numbers as Quantity, Range, Ratio, Duration and Money.

A number keeps its digits (`9.80` stays `9.80`); a comparator before it is FHIR's comparator.
The unit stands in another field (OBX-6) or in the value (CQ.2): each function takes it apart.

Spec: https://hl7.org/fhir/R4/datatypes.html#Quantity; HL7v2 chapter 2A, NM, SN, CQ
"""

import re
from decimal import Decimal
from typing import Any, NamedTuple

from fhir_hub.hl7v2.datatypes import coding_systems, units
from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.datatypes.numbers import (
    COMPARATORS,
    parts_thousands,
    read_compared,
    read_decimal,
)
from fhir_hub.hl7v2.datatypes.parts import half_width, part, whole
from fhir_hub.hl7v2.datatypes.units import Unit
from fhir_hub.hl7v2.parsing.er7 import Value

_YUAN = re.compile(r"(?:[¥￥]\s*([-+]?[\d,.]{1,20})元?|([-+]?[\d,.]{1,20})\s*元)", re.ASCII)
_JIN = "斤"
_HALF = Decimal("0.5")
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_CURRENCIES = {
    **dict.fromkeys(("CN", "CHN", "156"), "CNY"),
    **dict.fromkeys(("HK", "HKG", "344"), "HKD"),
    **dict.fromkeys(("MO", "MAC", "446"), "MOP"),
    **dict.fromkeys(("US", "USA", "840"), "USD"),
    **dict.fromkeys(("CA", "CAN", "124"), "CAD"),
    **dict.fromkeys(("GB", "GBR", "826"), "GBP"),
    **dict.fromkeys(("AU", "AUS", "036"), "AUD"),
    **dict.fromkeys(("JP", "JPN", "392"), "JPY"),
}


class Typed(NamedTuple):
    """A value of a choice element: the FHIR type (`Quantity`) and the JSON."""

    fhir_type: str
    value: Any


def days(value: Value, context: Context) -> dict[str, Any] | None:
    """Return the Duration in days of NM (PV2-11); nothing of what is not positive."""
    text = part(value)
    number = read_decimal(text)
    if text and number is None:
        context.issue("unreadable-number", "a number of days cannot be read; it was left out")
    if number is None or number <= 0:
        return None
    unit = "days" if context.by_table else "d"
    return {"value": number, "unit": unit, "system": coding_systems.UCUM, "code": "d"}


def of_number(
    number: Decimal, unit: Unit, context: Context, comparator: str = ""
) -> dict[str, Any]:
    """Return the Quantity of a number; 斤 becomes half as many kg, with an issue."""
    if unit.text == _JIN:
        context.issue("converted-unit", "a weight in 斤 was halved to kilograms")
        number, unit = number * _HALF, Unit("kg", "kg")
    quantity: dict[str, Any] = {"value": number}
    if comparator not in ("", "="):
        quantity["comparator"] = comparator
    text, code, system = unit
    if text or code:
        quantity["unit"] = text
    if code:
        quantity["system"], quantity["code"] = system, code
    return quantity


def read_quantity(text: str, unit: Unit, context: Context) -> dict[str, Any] | None:
    """Return the Quantity that a text writes, `None` if it is no number."""
    found = read_compared(text)
    return of_number(found[1], unit, context, found[0]) if found else None


def quantity(value: Value, context: Context) -> dict[str, Any] | None:
    """Return the Quantity of NM, of CQ with its unit, or of a text such as `<0.5`."""
    held = value.component(2) if part(value, 2) or part(value, 2, 2) else None
    found = read_quantity(part(value, 1), units.unit_of(held), context)
    if found is None and part(value, 1):
        context.issue("unreadable-number", "a quantity is not a number; it was left out")
    return with_name(found, held, context) if found else None


def with_name(quantity: dict[str, Any], unit: Value | None, context: Context) -> dict[str, Any]:
    """Return a Quantity with what CWE.2 calls its unit, where the standard's tables are followed.

    The hub keeps the unit as it is written beside a number; one that it converted is another.
    """
    if unit is None or not context.by_table or quantity.get("unit", "") != part(unit, 1):
        return quantity
    name = units.name_of(unit)
    return quantity | {"unit": name} if name else quantity


def decimal(value: Value, context: Context) -> Decimal | None:
    """Return the number of NM, digit for digit; `None` with an issue for others."""
    number = read_decimal(part(value, 1))
    if number is None and part(value, 1):
        context.issue("unreadable-number", "a number cannot be read; it was left out")
    return number


def simple_quantity(value: Value, context: Context) -> dict[str, Any] | None:
    """Return a Quantity without comparator, `None` with an issue where it has one."""
    found = quantity(value, context)
    if found and "comparator" in found:
        context.issue("unreadable-number", "a quantity may have no comparator; it was left out")
        return None
    return found


def duration(value: Value, context: Context) -> dict[str, Any] | None:
    """Return a Duration; one in no unit of time keeps its number and unit without a code."""
    found = simple_quantity(value, context)
    if found and found.get("unit") == "分":
        found["code"] = "min"
    if found and found.get("code") not in (None, "s", "min", "h", "d", "wk", "mo", "a"):
        return {name: part for name, part in found.items() if name in ("value", "unit")}
    return found


def money(value: Value, context: Context) -> dict[str, Any] | None:
    """Return the Money of MO, CP or NM; where it says no currency, of the message's country.

    That is MSH-17, else what the sender's file says; without, or of a country that is not listed
    here, no currency is told.
    """
    amount = value.component(1) if any(value.components[2:]) or part(value, 1, 2) else value
    text = part(amount, 1)
    number = _yuan(text)
    if number is None:
        if text:
            context.issue("unreadable-number", "an amount is not a number; it was left out")
        return None
    currency = part(amount, 2).upper()
    if not _CURRENCY.fullmatch(currency):
        currency = _CURRENCIES.get(context.country.strip().upper(), "")
    return {"value": number, "currency": currency} if currency else {"value": number}


def _yuan(text: str) -> Decimal | None:
    """Return the number of an amount such as `20元` or `1,200`: no money has three decimals."""
    text = half_width(text).strip()
    if match := _YUAN.fullmatch(text):
        text = match[1] or match[2]
    return read_decimal(text.replace(",", "") if parts_thousands(text) else text)


def structured_numeric(value: Value, unit: Unit, context: Context) -> Typed | None:
    """Return what SN says: Quantity, Range (`^1^-^2`), Ratio (`^1^:^128`), else its text.

    A sign that R4 has no comparator for (`<>`, unequal) is never left out: it makes a text.
    """
    comparator, separator = part(value, 1).translate(COMPARATORS), part(value, 3)
    first, second = read_decimal(part(value, 2)), read_decimal(part(value, 4))
    comparator = "" if comparator == "=" else comparator
    if comparator not in ("", "<", "<=", ">", ">="):
        first = None
    if first is not None and second is not None and separator in ("-", "~"):
        if first <= second and not comparator:
            low, high = (of_number(number, unit, context) for number in (first, second))
            return Typed("Range", {"low": low, "high": high})
    elif first is not None and second is not None and separator in (":", "/"):
        # the table gives OBX-6 to both; a titre's unit is of the whole, so the hub gives it to none
        unit = unit if context.by_table else Unit()
        above = of_number(first, unit, context, comparator)
        below = of_number(second, unit, context)
        return Typed("Ratio", {"numerator": above, "denominator": below})
    elif first is not None and second is None and separator in ("", "."):
        return Typed("Quantity", of_number(first, unit, context, comparator))
    if len(value.components) == 1 and (found := read_quantity(part(value, 1), unit, context)):
        return Typed("Quantity", found)
    text = "".join(part(value, number) for number in range(1, 5)) or whole(value)
    return Typed("string", f"{text} {unit.text}".rstrip()) if text else None


def sn_quantity(value: Value, context: Context) -> dict[str, Any] | None:
    """Return the Quantity of SN, `None` if it is a range, a ratio or a text."""
    return _only(structured_numeric(value, Unit(), context), "Quantity")


def sn_range(value: Value, context: Context) -> dict[str, Any] | None:
    """Return the Range of SN or NR (`3^6`), `None` if it is none."""
    low, high = read_decimal(part(value, 1)), read_decimal(part(value, 2))
    if low is not None and high is not None and low > high:
        return None  # rng-2
    if len(value.components) <= 2 and (low is not None or high is not None):
        ends = {"low": low, "high": high}
        return {name: {"value": end} for name, end in ends.items() if end is not None}
    return _only(structured_numeric(value, Unit(), context), "Range")


def sn_ratio(value: Value, context: Context) -> dict[str, Any] | None:
    """Return the Ratio of SN, `None` if it is none."""
    return _only(structured_numeric(value, Unit(), context), "Ratio")


def _only(typed: Typed | None, fhir_type: str) -> dict[str, Any] | None:
    return typed.value if typed and typed.fhir_type == fhir_type else None
