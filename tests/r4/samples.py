"""Makers of small resources that are right, for tests to break."""

from typing import Any

Sample = tuple[Any, str, str]

XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'
LOINC = {"coding": [{"system": "http://loinc.org", "code": "718-7"}]}
ABSENT = {
    "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
    "valueCode": "unknown",
}
UCUM = "http://unitsofmeasure.org"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
VERIFIED = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
ALLERGY = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
ALLERGY_VERIFIED = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"


def patient(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **elements}


def observation(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": LOINC, **elements}


def bundle(kind: str, *entries: Any, **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries), **elements}


def appointment(**elements: Any) -> dict[str, Any]:
    participant = [{"actor": {"reference": "Patient/1"}, "status": "accepted"}]
    return {"resourceType": "Appointment", "status": "booked", "participant": participant} | {
        "start": "2024-02-29T10:00:00+08:00",
        "end": "2024-02-29T10:20:00+08:00",
        **elements,
    }


def condition(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "subject": {"reference": "Patient/1"}, **elements}


def concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def timing(**repeat: Any) -> dict[str, Any]:
    request = {"resourceType": "MedicationRequest", "status": "active", "intent": "order"}
    return {
        **request,
        "subject": {"reference": "Patient/1"},
        "medicationCodeableConcept": {"text": "a drug"},
        "dosageInstruction": [{"timing": {"repeat": repeat}}],
    }


def narrative(div: Any) -> dict[str, Any]:
    return patient(text={"status": "generated", "div": div})


def extended(*extensions: Any) -> dict[str, Any]:
    return patient(extension=list(extensions))
