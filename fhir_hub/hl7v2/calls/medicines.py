"""Calls for medicines: from which batches they are, what is in them, who prescribed them.

Spec: HL7v2 chapter 4A (RXA-15, RXD-18, RXG-19: several batches of one dose; RXC)
"""

from itertools import zip_longest
from typing import Any

from fhir_hub.hl7v2.calls import keys, orders
from fhir_hub.hl7v2.calls.source import kept
from fhir_hub.hl7v2.datatypes import codes, identifiers
from fhir_hub.hl7v2.datatypes.parts import compact, one_line, whole
from fhir_hub.hl7v2.datatypes.table import DATATYPES
from fhir_hub.hl7v2.making.drafts import Draft, Place, keys_of
from fhir_hub.hl7v2.parsing.er7 import Value
from fhir_hub.hl7v2.parsing.path import Path
from fhir_hub.identity import systems

COMPONENT = f"{systems.BASE}/StructureDefinition/medication-component"
Json = dict[str, Any]
Paths = tuple[Path, ...]


def batches(place: Place, draft: Draft, paths: Paths) -> list[Json] | None:
    """Return References to Medications, one a lot: its number, its end, its maker.

    The paths are the drug, its lots, and their ends and makers, in the order of the lots; a single
    maker is that of all. A lot has a key, so that the next dose of it finds it.
    """
    drug, *several = paths
    coded, context = place.value(drug), place.run.context
    code = codes.codeable_concept(coded, context) if coded else None
    lots, ends, makers = (_repetitions(place, path) for path in several)
    makers = makers * len(lots) if len(makers) == 1 else makers
    found: list[Json] = []
    for lot, end, maker in zip_longest(lots, ends, makers):
        number = one_line(whole(lot)) if lot else ""
        if not number:
            continue
        until = DATATYPES["dateTime"](end, context) if end else None
        made = DATATYPES["CodedOrganization"](maker, context) if maker else None
        said = [keys.told(one) if one else "" for one in (coded, lot, maker)]
        batch = {"lotNumber": number} | ({"expirationDate": until} if until else {})
        parts = {
            "code": code,
            "manufacturer": place.run.settled(made, place.segment) if made else None,
            "batch": batch,
        }
        found.append(_made(place, compact(parts) or {}, said))
    return found or None


def _repetitions(place: Place, path: Path) -> list[Value | None]:
    """Return the repetitions of a field, None for what an empty one holds the place of."""
    segment = place.find(path.segment)
    values = segment.repetitions(path.field) if segment is not None else []
    return [one if one and not one.is_null else None for one in values]


def _made(place: Place, parts: Json, said: list[str]) -> Json:
    """Return the Reference to a Medication that is known by a key of what tells it from others."""
    run = place.run
    medication = Draft("Medication", {"resourceType": "Medication"}, "", place.segment)
    tag = keys.natural(place, medication, said)
    medication.resource |= {"meta": {"tag": [tag]}} | parts
    medication.full_url = run.full_url("batch|Medication")
    medication.match = keys_of(medication.resource)
    run.mentions.append(medication)
    return {"reference": medication.full_url}


def component(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the extension of a component of a medicine, once.

    What the pharmacy mixes (RXE) often says again what was asked for (RXO).
    """
    named, kind, *amounts = paths
    value, context = place.value(named), place.run.context
    code = codes.codeable_concept(value, context) if value else None
    amount, strength = (
        orders.quantity(place, draft, tuple(one)) for one in (amounts[:2], amounts[2:])
    )
    sort = one_line(place.text(kind))
    parts = [
        {"url": "medication", "valueCodeableConcept": code} if code else None,
        {"url": "kind", "valueCode": sort} if sort else None,
        {"url": "amount", "valueQuantity": amount} if amount else None,
        {"url": "strength", "valueQuantity": strength} if strength else None,
    ]
    made = [one for one in parts if one]
    known, told = draft.items.setdefault("components", set()), _frozen(made)
    if not made or told in known:
        return None
    known.add(told)
    return {"url": COMPONENT, "extension": made}


def _frozen(value: Any) -> Any:
    """Return what is equal where a value of FHIR is, and can be looked for among very many."""
    if isinstance(value, dict):
        return frozenset((name, _frozen(part)) for name, part in value.items())
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def mixture(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the CodeableConcept of a mixture without a name: its one component, else all as text.

    Each component that follows goes on with the text of those before.
    """
    value, context = place.value(paths[0]), place.run.context
    told = codes.code_text(value, context) if value else None
    if value is None or not told:
        return None
    held: Json | None = draft.items.get("mixture")
    if held is None:
        made = (codes.codeable_concept(value, context) or {}) | {"text": told}
        draft.items["mixture"] = made
        return made
    held.pop("coding", None)
    held["text"] += f" + {told}"
    return None


def known_order(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Reference to the prescription of which the message has the numbers alone."""
    context, read = place.run.context, (identifiers.placer_number, identifiers.filler_number)
    values = (place.value(path) for path in paths)
    numbers = (one(value, context) for one, value in zip(read, values, strict=True) if value)
    found = [one for one in numbers if one]
    if len(found) > 1:
        kept(place, draft, paths[1:])
    return {"type": "MedicationRequest", "identifier": found[0]} if found else None
