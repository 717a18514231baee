"""Calls for orders: amounts whose unit is in another field, orders that go on.

Spec: HL7v2 chapter 4A (RXO, RXE)
"""

import re
from typing import Any

from fhir_hub.hl7v2.calls.source import kept
from fhir_hub.hl7v2.datatypes import (
    codes,
    coding_systems,
    identifiers,
    quantities,
    units,
)
from fhir_hub.hl7v2.datatypes.parts import one_line, part, whole
from fhir_hub.hl7v2.datatypes.quantities import Typed
from fhir_hub.hl7v2.making.drafts import Draft, Place
from fhir_hub.hl7v2.parsing.er7 import Value
from fhir_hub.hl7v2.parsing.path import Path
from fhir_hub.identity import systems

Json = dict[str, Any]
Paths = tuple[Path, ...]
PART = f"{systems.BASE}/CodeSystem/part-of-number"
_PER_TIME = re.compile(r"([SMHDWL])(\d{0,4})")
_TIMES = {
    "S": ("s", "s"),
    "M": ("min", "min"),
    "H": ("h", "h"),
    "D": ("d", "d"),
    "W": ("wk", "wk"),
    "L": ("mo", "mo"),
}


def quantity(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Quantity of an amount and the unit that another field has."""
    amount, unit = paths
    return _amount(place, amount, place.value(unit))


def _amount(place: Place, path: Path, unit: Value | None) -> Json | None:
    text = place.text(path)
    if not text:
        return None
    context = place.run.context
    found = quantities.read_quantity(text, units.unit_of(unit), context)
    if found is None or "comparator" in found:
        place.run.issue("unreadable-number", "an amount is not a number; it was left out")
        return None  # "half a tablet"
    return quantities.with_name(found, unit, context)


def dose(place: Place, draft: Draft, paths: Paths) -> Typed | None:
    """Return the dose: a Quantity, or a Range where a different maximum is given."""
    least, most, unit_path = paths
    unit = place.value(unit_path)
    low, high = _amount(place, least, unit), _amount(place, most, unit)
    if low and high and low["value"] < high["value"]:
        return Typed("Range", {"low": low, "high": high})
    if low and high and low["value"] > high["value"] and (segment := place.find(most.segment)):
        place.run.keep(segment, most.field)  # rng-2: no maximum below what is to be given
    only = low or high
    return Typed("Quantity", only) if only else None


def dose_rate(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Ratio of a dose to the time in which it is given (RXE-22: `H8` is 8 hours)."""
    amount, unit, time = paths
    told = _PER_TIME.fullmatch(place.text(time).strip().upper())
    dose = _amount(place, amount, place.value(unit)) if told else None
    if not told or not dose:
        return None
    code, name = _TIMES[told[1]]
    per = {"value": int(told[2] or 1), "unit": name, "system": coding_systems.UCUM, "code": code}
    return {"numerator": dose, "denominator": per}


def prior_order(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Reference to the order that ORC-8 names, by its number."""
    value = place.value(paths[0])
    if value is None:
        return None
    context, first = place.run.context, value.component(1)
    is_pair = len(first.components) > 1
    found = identifiers.placer_ei(value, context) if is_pair else identifiers.ei(value, context)
    second = identifiers.filler_ei(value, context) if is_pair else None
    if found and second:
        kept(place, draft, paths)  # a reference has one identifier
    found = found or second
    return {"type": draft.resource["resourceType"], "identifier": found} if found else None


def parent_diagnosis(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the diagnosis to which this one is due (DG1-22), by its number or who assigned it."""
    value = place.value(paths[0])
    found = identifiers.ei(value, place.run.context) if value else None
    if value and found is None:
        system = systems.universal(part(value, 3), part(value, 4)) if part(value, 3) else ""
        found = {"system": system} if system else None
    patients = place.node.nearest_drafts("Patient")
    if not place.run.by_table or not patients or value is None:
        is_number = found and "value" in found
        return {"type": "Condition", "identifier": found} if is_number else None
    parts = {"identifier": [found]} if found else {}
    subject = {"reference": patients[0].full_url}
    return {"resourceType": "Condition"} | parts | {"subject": subject}


def parent_order(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the order of which this one is a part or that it follows (OBR-29, OBR-54, ORC-8).

    What the message itself orders is that order, by one of its numbers.
    """
    values = [found for path in paths if (found := place.value(path))]
    if not values:
        return None
    value, context = values[0], place.run.context
    both = (
        identifiers.typed(identifiers.ei(value.component(1), context), "PLAC"),
        identifiers.typed(identifiers.ei(value.component(2), context), "FILL"),
    )
    numbers = [one for one in both if one]
    patients = place.node.nearest_drafts("Patient")
    if not numbers or not place.run.by_table or not patients:
        if len(numbers) > 1 or len({one.raw for one in values}) > 1:
            kept(place, draft, paths)  # a reference has one identifier
        return {"type": "ServiceRequest", "identifier": numbers[0]} if numbers else None
    for other in place.run.drafts:
        if (
            other.name == draft.name
            and other is not draft
            and any(one in numbers for one in other.resource.get("identifier", ()))
        ):
            return {"reference": other.full_url}
    return {
        "resourceType": "ServiceRequest",
        "identifier": numbers,
        "status": "unknown",
        "intent": "order",
        "subject": {"reference": patients[0].full_url},
    }


def order_of_reflex(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the order that led to a test which has no order of its own, as it is stored.

    The standard's tables in full have an order beside each report, and that names its parent.
    """
    return None if place.run.by_table else parent_order(place, draft, paths)


def specimen_source(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the CodeableConcept of a component of SPS (OBR-15), the first by SpecimenType.

    Some write a CWE there (`BLD^Blood^L`): then it is the kind of specimen alone.
    """
    (path,) = paths
    run = place.run
    value, context = place.value(Path(path.segment, path.field)), run.context
    if value is None:
        return None
    is_source = _is_source(value)

    def make() -> Json | None:
        if path.component == 1:
            kind = value.component(1) if is_source else value
            return codes.table_codeable_concept(kind, context, context.table("SpecimenType"))
        found = value.component(path.component)
        return codes.codeable_concept(found, context) if is_source and found else None

    known = ("specimen", path.component, value.raw)
    concept: Json | None = run.memory.get(known, make, run.issues, run.row)
    return concept


def specimen_method(place: Place, draft: Draft, paths: Paths) -> str | None:
    """Return the text of SPS.3, how a specimen was collected; of a CWE there is none."""
    value = place.value(Path(paths[0].segment, paths[0].field))
    is_source = value is not None and _is_source(value)
    return place.text(paths[0]) or None if is_source else None


def _is_source(value: Value) -> bool:
    """Say whether OBR-15 is SPS and no CWE: of subcomponents, or what CWE would not have there.

    That is a body site alone (`BLD^^^LA`), or words and no name of a system (`BLD^^left arm`).
    """
    if value.encoding.subcomponent in value.raw:
        return True
    if part(value, 2):
        return False
    words = part(value, 3)
    return " " in words.strip() if words else bool(part(value, 4)) and not part(value, 6)


def annotation(place: Place, draft: Draft, paths: Paths) -> list[Json] | None:
    """Return Annotations of the texts of coded values, by the standard's tables with the code."""
    context = place.run.context
    read = codes.all_text if context.by_table else codes.code_text
    texts = (read(value, context) for value in place.values(paths[0]))
    return [{"text": text} for text in texts if text] or None


def local_number(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Identifier of the sender for the first of the numbers that there is."""
    number = next((text for path in paths if (text := one_line(place.text(path)))), "")
    if not number:
        return None
    kind = draft.resource["resourceType"].lower()
    system = f"{systems.authority_system(place.run.facility)}/{kind}"
    return {"system": system, "value": number}


def supply_key(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the key of a supply: the prescription's number, and which of its supplies it is.

    Some senders do not count (RXD-1), or say 1 of each, as of each drug of one number: its day
    (RXD-3) and the drug (RXD-2) then tell it apart.
    """
    number, counted = local_number(place, draft, paths[:1]), one_line(place.text(paths[1]))
    pieces = [counted or "1"]
    if pieces == ["1"]:
        drug = place.value(paths[3])
        told = (part(drug, at) for at in (1, 4, 2, 5)) if drug else ()
        pieces += [place.text(paths[2])[:8], next(filter(None, told), "")]
    which = "/".join(one_line(one) for one in pieces if one)
    if number is None or not (counted or which != "1"):
        return None
    return {"system": PART, "code": f"{number['system']}|{number['value']}/{which}"}


def manifestations(place: Place, draft: Draft, paths: Paths) -> list[Json]:
    """Return what an allergy shows itself by, of each repetition (AL1-5, IAM-5).

    The field is a text; some write a code there, its text and its system.
    """
    values = [value for value in place.values(paths[0]) if not value.is_null]
    context = place.run.context
    told = (
        codes.codeable_concept(value, context) if part(value, 3) else {"text": whole(value)}
        for value in values
        if whole(value)
    )
    return [one for one in told if one]


def joined_texts(place: Place, draft: Draft, paths: Paths) -> str | None:
    """Return the texts of all segments of a name nearby, a line each (NTE-3)."""
    (path,) = paths
    texts = (whole(one.whole(path.field)) for one in place.node.nearest_all(path.segment))
    return "\n".join(text for text in texts if text) or None


def described_code(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the CodeableConcept of a code, called as another field describes it (DG1-4).

    Where the code names no system a third field does (DG1-2), as it was until 2.3.
    """
    coded, described, *methods = (place.value(path) for path in paths)
    if coded and methods and methods[0] and part(coded, 1) and not part(coded, 3):
        pieces = [*coded.components, "", ""]
        pieces[2] = part(methods[0], 1)
        coded = Value(coded.encoding.component.join(pieces), coded.encoding)
    found = codes.codeable_concept(coded, place.run.context) if coded else None
    text = whole(described) if described else ""
    if not text or (coded and part(coded, 9)):
        return found
    return {**(found or {}), "text": text}


def parent_specimen(place: Place, draft: Draft, paths: Paths) -> list[Json] | None:
    """Return the specimens that this one is part of (SPM-3), by their numbers."""
    found = []
    for value in place.values(paths[0]):
        both = (
            identifiers.placer_ei(value, place.run.context),
            identifiers.filler_ei(value, place.run.context),
        )
        if numbers := [one for one in both if one]:
            named: Json = {"type": "Specimen", "identifier": numbers[-1]}
            whole_one: Json = {"resourceType": "Specimen", "identifier": numbers}
            found.append(whole_one if place.run.by_table else named)
    return found or None
