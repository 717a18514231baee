"""The text of OBX-7 as Observation.referenceRange: bounds where it writes them, text always.

`3.9-6.1`, `<30`, `≥60`, `3.5～5.3 mmol/L` have bounds in the unit of the value; `阴性`,
`90/60-139/89` or a list by sex have not, and stay text.

Spec: https://hl7.org/fhir/R4/observation-definitions.html#Observation.referenceRange
"""

import re
from decimal import Decimal
from typing import Any

from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.datatypes.numbers import WRITTEN, read_compared, read_decimal
from fhir_hub.hl7v2.datatypes.parts import half_width, whole
from fhir_hub.hl7v2.datatypes.quantities import of_number
from fhir_hub.hl7v2.datatypes.units import Unit
from fhir_hub.hl7v2.parsing.er7 import Value

_UNIT = r"(?:\s*[A-Za-zμµ°%×*][A-Za-zμµ°%*/^\[\]{}().0-9]{0,20}|\s+10[*^][\w/]{1,12})?"
_BETWEEN = re.compile(
    rf"[(\[]?\s*({WRITTEN}){_UNIT}\s*(?:-{{1,3}}?|~|–|—|―|‐|−|至|到|to)\s*({WRITTEN})"
    rf"\s*[)\]]?{_UNIT}",
    re.ASCII | re.IGNORECASE,
)
_ONE_SIDED = re.compile(rf"((?:<=?|>=?|≤|≥)\s*{WRITTEN}){_UNIT}", re.ASCII)
_WORDS = (("小于等于", "<="), ("大于等于", ">="), ("小于", "<"), ("大于", ">"))
_PRESSURES = re.compile(
    r"(\d{2,3})\s*/\s*(\d{2,3})\s*[-~–—]{1,2}\s*(\d{2,3})\s*/\s*(\d{2,3})", re.ASCII
)
_PRESSURE_LIMIT = re.compile(rf"(<=?|>=?|≤|≥)\s*(\d{{2,3}})\s*/\s*(\d{{2,3}}){_UNIT}", re.ASCII)
_LONGEST = 120
Json = dict[str, Any]


def reference_ranges(value: Value, context: Context, unit: Unit = Unit()) -> list[Json] | None:  # noqa: B008 - an immutable record
    """Return the referenceRange list of a text; its bounds are in `unit`."""
    text = whole(value)
    if not text:
        return None
    return [_bounds(text, unit, context) | {"text": text}]


def _bounds(text: str, unit: Unit, context: Context) -> Json:
    if len(text) > _LONGEST:
        return {}
    plain = half_width(text)
    for word, mark in _WORDS:
        plain = plain.replace(word, mark)
    if match := _BETWEEN.fullmatch(plain):
        low, high = read_decimal(match[1]), read_decimal(match[2])
        return _range(low, high, unit, context) if low is not None and high is not None else {}
    if (match := _ONE_SIDED.fullmatch(plain)) and (found := read_compared(match[1])):
        comparator, number = found
        side = "high" if comparator.startswith("<") else "low"
        return {side: of_number(number, unit, context)}
    return {}


def _range(low: Decimal, high: Decimal, unit: Unit, context: Context) -> Json:
    if high < 0 <= low:  # 3.9--6.1: two dashes, not a negative number
        high = -high
    if low > high:
        return {}
    return {"low": of_number(low, unit, context), "high": of_number(high, unit, context)}


def pressure_ranges(text: str, unit: Unit, context: Context) -> tuple[list[Json], list[Json]]:
    """Return the ranges of both pressures that `90/60-139/89` or `<140/90` says."""
    plain = half_width(text).strip() if len(text) <= _LONGEST else ""
    if match := _PRESSURE_LIMIT.fullmatch(plain):
        side = "high" if match[1][0] in "<≤" else "low"
        upper, lower = (of_number(Decimal(one), unit, context) for one in match.groups()[1:])
        return [{side: upper}], [{side: lower}]
    match = _PRESSURES.fullmatch(plain)
    if not match:
        return [], []
    lows, highs = (match[1], match[2]), (match[3], match[4])
    first, second = (
        _range(Decimal(low), Decimal(high), unit, context)
        for low, high in zip(lows, highs, strict=True)
    )
    return [first] if first else [], [second] if second else []
