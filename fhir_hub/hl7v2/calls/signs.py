"""What `+` or `-` beside a result (OBX-8) says: positive and negative, or high and low.

HL7 table 0078 has neither. Beside a word, or a number that is judged by one (OBX-7 `阴性`), they
are positive and negative. Beside another number laboratories mean either, so the number is compared
with its range; where that does not say what the sign does, the sign stays as it is written.

Spec: https://hl7.org/fhir/R4/observation.html (interpretation); HL7v2 chapter 7, OBX-8
"""

from decimal import Decimal
from typing import Any

from fhir_hub.hl7v2.calls import results
from fhir_hub.hl7v2.datatypes import codes, measured, numbers, ranges, units
from fhir_hub.hl7v2.datatypes.parts import part, whole
from fhir_hub.hl7v2.making.drafts import Draft, Place
from fhir_hub.hl7v2.parsing.path import Path

Json = dict[str, Any]
Paths = tuple[Path, ...]


def sign(place: Place, draft: Draft, paths: Paths) -> list[Json]:
    """Return the interpretations of OBX-8, the first of which is a sign.

    The other paths are the value, its type, its unit and its range.
    """
    context = place.run.context
    table = context.table(measured.FLAGS)
    side = _side(place, draft, paths[1:])
    found = []
    for value in place.values(paths[0]):
        text = part(value)
        if side is None or text.strip("+-"):
            made = codes.table_codeable_concept(value, context, table)
        else:
            coded = table.get(side) if side and side == ("L" if "-" in text else "H") else None
            made = {"text": text} | ({"coding": [coded.coding()]} if coded else {})
        found += [made] if made else []
    return found


def _side(place: Place, draft: Draft, paths: Paths) -> str | None:
    """Return H or L of a number that is beyond its range, `""` of another, None of a word."""
    *of_value, unit, bounds = paths
    if "component" in draft.resource:
        return ""
    found = results.observed_value(place, draft, (*of_value, unit))
    context, said = place.run.context, place.segment.whole(bounds.field)
    if found is None or context.table(measured.FLAGS).knows(whole(said)):
        return None
    of_unit = units.unit_of(place.value(unit))
    if found.fhir_type == "Quantity":
        comparator, number = found.value.get("comparator", ""), found.value["value"]
    elif told := _number(str(found.value), of_unit):
        comparator, number = told
    else:
        is_number = place.text(paths[1]) == "NM" and numbers.parts_thousands(str(found.value))
        return "" if is_number else None
    (limits,) = ranges.reference_ranges(said, context, of_unit) or [{}]
    low, high = (limits.get(one, {}).get("value", number) for one in ("low", "high"))
    if (number, comparator) == (high, ">") or (number > high and "<" not in comparator):
        return "H" if "high" in limits else ""
    if (number, comparator) == (low, "<") or (number < low and ">" not in comparator):
        return "L" if "low" in limits else ""
    return ""


def _number(text: str, unit: units.Unit) -> tuple[str, Decimal] | None:
    """Return comparator and number of a text that holds its unit, or has it beside."""
    if found := measured.with_unit(text, unit):
        return found.comparator, found.number
    return numbers.read_compared(text) if unit.text else None
