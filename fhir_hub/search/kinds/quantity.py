"""Quantity: a number as in `number.py`, and its unit.

A unit of UCUM is converted: the number in the canonical unit stands in a second entry, the
measure. The units that most results come in need none, because a query asks for them too,
each with the number converted. Other units are compared as they are written.

`<0.5` in a resource is every number below 0.5, so it meets `lt0.4` and not `eq0.4`.

Spec: https://hl7.org/fhir/R4/search.html#quantity
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from math import inf, nextafter
from typing import Any

from fhir_hub.errors import InvalidResource
from fhir_hub.r4.quantities import number
from fhir_hub.r4.units import UCUM, Scale, Unit, unit_of
from fhir_hub.search.context import Context
from fhir_hub.search.entry import Entry, entry_of
from fhir_hub.search.kinds.modifier import Meaning, Modifier
from fhir_hub.search.kinds.number import alternatives, range_bounds
from fhir_hub.search.kinds.values import split, unescape
from fhir_hub.search.plan import Measure, Range, Test

Add = Callable[[Any, int, list[Entry]], None]
Bounds = tuple[float | None, float | None]
Read = Callable[[object], float | None]

_is_decimal = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?").fullmatch
_CURRENCIES = "urn:iso:std:iso:4217"
_COMPARATORS: Mapping[str, Callable[[float], Bounds]] = {
    "<": lambda value: (None, nextafter(value, -inf)),
    "<=": lambda value: (None, value),
    ">=": lambda value: (value, None),
    ">": lambda value: (nextafter(value, inf), None),
}


def _quantity(value: dict[str, Any], read: Read) -> tuple[Bounds, dict[str, Any]]:
    found, comparator = read(value.get("value")), value.get("comparator")
    if found is not None and type(comparator) is str and comparator in _COMPARATORS:
        return _COMPARATORS[comparator](found), value
    return (found, found), value


def _range(value: dict[str, Any], read: Read) -> tuple[Bounds, dict[str, Any]]:
    unit = value.get("low") or value.get("high")
    return range_bounds(value, read), unit if type(unit) is dict else {}


def _money(value: dict[str, Any], read: Read) -> tuple[Bounds, dict[str, Any]]:
    found = read(value.get("value"))
    return (found, found), {"code": value.get("currency"), "system": _CURRENCIES}


def _sampled(value: dict[str, Any], read: Read) -> tuple[Bounds, dict[str, Any]]:
    """Return the smallest and largest sample; E (error), L and U (beyond the limits) are none."""
    origin, data = value.get("origin"), value.get("data")
    if type(origin) is not dict or type(data) is not str:
        return (None, None), {}
    start, factor = number(origin.get("value")) or 0.0, number(value.get("factor"))
    scale = 1.0 if factor is None else factor
    samples: list[float] = []
    for word in data.split():
        if _is_decimal(word):
            samples.append(start + scale * float(word))
    if not samples:
        return (None, None), {}
    return (read(min(samples)), read(max(samples))), origin


TYPES: Mapping[str, Callable[[dict[str, Any], Read], tuple[Bounds, dict[str, Any]]]] = {
    **dict.fromkeys(("Quantity", "Age", "Duration", "Count", "Distance"), _quantity),
    "Range": _range,
    "Money": _money,
    "SampledData": _sampled,
}


def adder(parameter: str, fhir_type: str, _: Context) -> Add:
    """Return what adds the entries of one value of the type; none for one without a number."""
    bounds_of = TYPES[fhir_type]

    def add(value: Any, group: int, out: list[Entry]) -> None:
        if type(value) is not dict:
            return
        (low, high), unit = bounds_of(value, number)
        if low is None and high is None:
            return
        code, system = unit.get("code") or "", unit.get("system") or ""
        text = unit.get("unit") or ""
        out.append(entry_of((parameter, "quantity", code, system, low, high, text, group)))
        measured = unit_of(code) if system == UCUM and type(code) is str else None
        if measured and not measured.is_plain:
            (low, high), _ = bounds_of(value, measured.number)
            if low is not None or high is not None:
                canonical = measured.canonical
                out.append(entry_of((parameter, "measure", canonical, "", low, high, "", group)))

    return add


def compares(text: str, _: Meaning) -> tuple[Test, ...]:
    """Return what `[prefix]number|system|code` asks; raises `InvalidResource` otherwise.

    `number||code` asks for the code or the unit as written, whatever its system. A unit of UCUM
    asks for all numbers and units of that size.
    """
    value, *unit = [unescape(part) for part in split(text, "|")]
    asked = alternatives(value)
    if not unit or unit == ["", ""]:
        return (Range(asked),)
    if len(unit) != 2:
        raise InvalidResource("a quantity is written number, number|system|code or number||unit")
    system, code = unit
    if not system:
        return (Range(asked, unit=code),)
    if system == UCUM and code and (measured := unit_of(code)):
        return _measures(value, measured)
    return (Range(asked, system=system, code=code or None),)


def _measures(value: str, unit: Unit) -> tuple[Test, ...]:
    """Return what asks for all quantities of that size: as written in plain units, and measures."""

    def to(scale: Scale) -> Callable[[Decimal], float]:
        return lambda number: float(scale.written(unit.scale.canonical(number)))

    plain = [
        Range(alternatives(value, to(scale)), system=UCUM, code=code) for code, scale in unit.plain
    ]
    canonical = alternatives(value, lambda number: float(unit.scale.canonical(number)))
    return (*plain, Measure(canonical, code=unit.canonical))


MODIFIERS: Mapping[str, Modifier] = {"": Modifier(compares)}
