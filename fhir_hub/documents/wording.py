"""A resource in a few words, for people: what, how much, when, by which institution.

Spec: https://hl7.org/fhir/R4/datatypes.html
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from fhir_hub.documents.archive import when
from fhir_hub.identity.systems import ORGANIZATION
from fhir_hub.referral.reading import at, each, key_of
from fhir_hub.repository.unit import Resource
from fhir_hub.store.base import Key

_TOLD_BY = "/StructureDefinition/told-by"
_NAMED = ("code", "vaccineCode", "medicationCodeableConcept", "type", "name", "description")
_BY = ("performer", "custodian", "serviceProvider", "managingOrganization", "requester")
_BY_OTHERS = ("recorder", "asserter", "author", "source", "informationSource", "encounter")
Known = Mapping[Key, Resource]  # what the document holds, by its key


class Row(NamedTuple):
    """What a line of a narrative says."""

    what: str
    detail: str
    when: str
    institution: str


def concept_text(concept: Any) -> str:
    """Return what a CodeableConcept says: its text, else a display, else a code."""
    text = at(concept, "text")
    if isinstance(text, str) and text:
        return text
    for name in ("display", "code"):
        for coding in each(concept, "coding"):
            if isinstance(coding.get(name), str):
                return str(coding[name])
    return ""


def quantity_text(quantity: Any) -> str:
    """Return a Quantity as people write it: `>300 mg/g`."""
    if not isinstance(quantity, dict) or "value" not in quantity:
        return ""
    unit = quantity.get("unit") or quantity.get("code") or ""
    return f"{quantity.get('comparator', '')}{quantity['value']} {unit}".strip()


def value_text(node: Any) -> str:
    """Return the value of an Observation or of one of its components."""
    if "valueQuantity" in node:
        return quantity_text(node["valueQuantity"])
    if "valueCodeableConcept" in node:
        return concept_text(node["valueCodeableConcept"])
    if "valueRange" in node:
        low, high = (quantity_text(at(node, "valueRange", end)) for end in ("low", "high"))
        return f"{low} – {high}"
    if "valueRatio" in node:
        ends = (quantity_text(at(node, "valueRatio", end)) for end in ("numerator", "denominator"))
        return " : ".join(ends)
    for name, value in node.items():
        if name.startswith("value") and not isinstance(value, dict | list):
            return str(value)
    return concept_text(node.get("dataAbsentReason"))


def row_of(resource: Resource, known: Known, institutions: Iterable[str]) -> Row:
    """Return the line of a resource; `known` has what it refers to."""
    return Row(
        what_of(resource, known),
        detail_of(resource, known),
        when(resource),
        "; ".join(institutions),
    )


def what_of(resource: Resource, known: Known) -> str:
    """Return what a resource is about: the drug, the test, the illness, the document."""
    if resource["resourceType"] == "Task":
        return "转诊进度 / Referral status"
    for name in _NAMED:
        value = resource.get(name)
        if isinstance(value, str):
            return value
        if text := concept_text(value):
            return text
    medication = known.get(key_of(resource.get("medicationReference")) or Key("", ""))
    if medication is not None:
        return concept_text(medication.get("code"))
    for name in ("medicationReference", "device"):
        if text := at(resource, name, "display"):
            return str(text)
    found = [concept_text(one) for one in each(resource, "category")]
    return next((one for one in found if one), resource["resourceType"])


def detail_of(resource: Resource, known: Known) -> str:
    """Return what else there is to say: the value, the dose, the reaction, the members."""
    say = _DETAILS.get(resource["resourceType"], _status)
    return "; ".join(part for part in say(resource, known) if part)


def _observation(resource: Resource, known: Known) -> Iterable[str]:
    yield value_text(resource)
    for part in each(resource, "component"):
        yield f"{concept_text(part.get('code'))} {value_text(part)}"
    flags = [concept_text(one) for one in each(resource, "interpretation")]
    yield " ".join(flags)
    yield from (f"[{one['text']}]" for one in each(resource, "referenceRange") if one.get("text"))
    if resource.get("status") not in ("final", None):
        yield str(resource["status"])


def _report(resource: Resource, known: Known) -> Iterable[str]:
    yield str(resource.get("conclusion", ""))
    yield from (concept_text(one) for one in each(resource, "conclusionCode"))
    if count := len(list(each(resource, "result"))):
        yield f"{count} 项结果 / results"


def _medication(resource: Resource, known: Known) -> Iterable[str]:
    for name in ("dosageInstruction", "dosage"):
        for dosage in each(resource, name):
            yield _dose(dosage)
    supply = at(resource, "dispenseRequest", "expectedSupplyDuration")
    yield quantity_text(supply)
    yield str(resource.get("status", ""))


def _dose(dosage: Resource) -> str:
    amount = next(
        (quantity_text(one.get("doseQuantity")) for one in each(dosage, "doseAndRate")), ""
    )
    often = concept_text(at(dosage, "timing", "code"))
    repeat = at(dosage, "timing", "repeat") or {}
    if not often and "frequency" in repeat:
        often = f"{repeat['frequency']}×/{repeat.get('period', 1)} {repeat.get('periodUnit', '')}"
    words = (amount, often, concept_text(dosage.get("route")), str(dosage.get("text") or ""))
    return " ".join(word for word in words if word)


def _allergy(resource: Resource, known: Known) -> Iterable[str]:
    for reaction in each(resource, "reaction"):
        signs = [concept_text(one) for one in each(reaction, "manifestation")]
        yield " ".join([*signs, str(reaction.get("severity", ""))]).strip()
    yield str(resource.get("criticality", ""))
    yield concept_text(resource.get("clinicalStatus"))


def _condition(resource: Resource, known: Known) -> Iterable[str]:
    for name in ("severity", "clinicalStatus", "verificationStatus"):
        yield concept_text(resource.get(name))
    yield from (str(note.get("text", "")) for note in each(resource, "note"))


def _immunization(resource: Resource, known: Known) -> Iterable[str]:
    yield quantity_text(resource.get("doseQuantity"))
    for protocol in each(resource, "protocolApplied"):
        number = protocol.get("doseNumberPositiveInt") or protocol.get("doseNumberString")
        yield f"第 {number} 剂 / dose {number}" if number else ""
    yield f"批号 / lot {resource['lotNumber']}" if resource.get("lotNumber") else ""


def _team(resource: Resource, known: Known) -> Iterable[str]:
    for member in each(resource, "participant"):
        key = key_of(member.get("member"))
        name = name_of(known.get(key)) if key else str(at(member, "member", "display") or "")
        roles = [concept_text(one) for one in each(member, "role")]
        yield f"{' '.join(roles)}: {name}" if name else ""
    start, end = (at(resource, "period", name) or "" for name in ("start", "end"))
    yield f"{start} – {end}" if start or end else ""


def _document(resource: Resource, known: Known) -> Iterable[str]:
    for content in each(resource, "content"):
        yield str(at(content, "attachment", "title") or "")
    yield str(resource.get("description", ""))


def _status(resource: Resource, known: Known) -> Iterable[str]:
    yield str(resource.get("status", ""))
    yield from (str(note.get("text", "")) for note in each(resource, "note"))


def _task(resource: Resource, known: Known) -> Iterable[str]:
    yield concept_text(resource.get("businessStatus")) or str(resource.get("status", ""))
    yield concept_text(resource.get("statusReason"))
    yield from (str(note.get("text", "")) for note in each(resource, "note"))


_DETAILS = {
    "Observation": _observation,
    "DiagnosticReport": _report,
    "MedicationRequest": _medication,
    "MedicationStatement": _medication,
    "AllergyIntolerance": _allergy,
    "Condition": _condition,
    "Immunization": _immunization,
    "CareTeam": _team,
    "DocumentReference": _document,
    "Task": _task,
}


def name_of(resource: Resource | None) -> str:
    """Return what a person, institution or place is called; an institution with its code."""
    if resource is None:
        return ""
    name = resource.get("name")
    if isinstance(name, list):
        said = next((one for one in each(resource, "name") if one.get("text")), None)
        first = said or next(each(resource, "name"), {})
        parts = [first.get("family", ""), *(first.get("given") or ())]
        return str(first.get("text") or "".join(str(part) for part in parts))
    code = institution_code(resource)
    return " ".join(part for part in (str(name or ""), code) if part)


def institution_code(organization: Resource) -> str:
    """Return the code by which a feed names an institution (`SHTH01`), empty without one."""
    for one in each(organization, "identifier"):
        if one.get("system") == ORGANIZATION:
            return str(one.get("value", ""))
    return ""


def institutions_of(resource: Resource, known: Known, records: Iterable[Resource]) -> list[str]:
    """Return the institutions that stand behind a resource: who performed it, else who told it."""
    names = [name_of(one) for one in organizations_of(resource, known, records)]
    return list(dict.fromkeys(name for name in names or told_by(resource) if name))


def organizations_of(
    resource: Resource, known: Known, records: Iterable[Resource]
) -> list[Resource]:
    """Return them as Organizations, as far as `known` has them; `records` are its Provenance."""
    by = [*_organizations(resource, _BY, known)] or [*_organizations(resource, _BY_OTHERS, known)]
    if not by:
        for record in records:
            for agent in each(record, "agent"):
                by += _named(agent.get("onBehalfOf"), known) or _named(agent.get("who"), known)
    return by


def _organizations(resource: Resource, names: Iterable[str], known: Known) -> Iterable[Resource]:
    for name in names:
        value = resource.get(name)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                yield from _named(one, known) or _named(one.get("actor"), known)


def _named(reference: Any, known: Known) -> list[Resource]:
    """Return the Organization that a reference leads to, by a role or an encounter too."""
    key = key_of(reference)
    found = known.get(key) if key is not None else None
    if found is None:
        return []
    if found["resourceType"] == "Organization":
        return [found]
    for name in ("organization", "serviceProvider"):
        if name in found:
            return _named(found[name], known)
    return []


def told_by(resource: Resource) -> list[str]:
    """Return the codes of the facilities whose applications told a resource."""
    found = []
    for one in each(resource, "meta", "extension"):
        if str(one.get("url")).endswith(_TOLD_BY):
            system = str(at(one, "valueIdentifier", "system"))
            found.append(system.removesuffix("/application").rpartition("/")[2])
    return found
