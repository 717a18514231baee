"""Broken samples of invariants, those of bundles among them.

Each: the resource, the issue code and the element that the checks must name.
"""

from decimal import Decimal

from r4.samples import (
    ALLERGY,
    ALLERGY_VERIFIED,
    CLINICAL,
    LOINC,
    UCUM,
    VERIFIED,
    Sample,
    appointment,
    bundle,
    concept,
    condition,
    extended,
    observation,
    patient,
    timing,
)

INVARIANTS: list[Sample] = [
    # invariants
    (
        patient(name=[{"period": {"start": "2024-03", "end": "2024-02"}}]),
        "invariant",
        "Patient.name[0].period",
    ),
    (patient(contact=[{"gender": "male"}]), "invariant", "Patient.contact[0]"),
    (patient(telecom=[{"value": "1"}]), "invariant", "Patient.telecom[0]"),
    (patient(photo=[{"data": "aGk="}]), "invariant", "Patient.photo[0]"),
    (observation(valueQuantity={"value": 1, "code": "g"}), "invariant", "Observation.value"),
    (
        observation(valueRange={"low": {"value": 2}, "high": {"value": Decimal("1.5")}}),
        "invariant",
        "Observation.value",
    ),
    (
        observation(valueRange={"low": {"value": 2, "comparator": "<"}}),
        "structure",
        "Observation.value.low.comparator",
    ),
    (observation(valueRatio={"numerator": {"value": 2}}), "invariant", "Observation.value"),
    (observation(valueString="x", dataAbsentReason={"text": "x"}), "invariant", "Observation"),
    (observation(valueString="x", component=[{"code": LOINC}]), "invariant", "Observation"),
    (
        observation(referenceRange=[{"appliesTo": [LOINC]}]),
        "invariant",
        "Observation.referenceRange[0]",
    ),
    (
        observation(component=[{"code": LOINC, "referenceRange": [{"type": LOINC}]}]),
        "invariant",
        "Observation.component[0].referenceRange[0]",
    ),
    ({"resourceType": "Organization", "active": True}, "invariant", "Organization"),
    (
        {"resourceType": "Organization", "name": "x", "telecom": [{"use": "home"}]},
        "invariant",
        "Organization",
    ),
    (
        {"resourceType": "Organization", "name": "x", "address": [{"use": "home"}]},
        "invariant",
        "Organization",
    ),
    ({k: v for k, v in appointment().items() if k != "end"}, "invariant", "Appointment"),
    (
        {k: v for k, v in appointment().items() if k not in ("start", "end")},
        "invariant",
        "Appointment",
    ),
    (appointment(cancelationReason={"text": "x"}), "invariant", "Appointment"),
    (appointment(participant=[{"status": "accepted"}]), "invariant", "Appointment.participant[0]"),
    (condition(abatementString="x"), "invariant", "Condition"),
    (
        condition(
            clinicalStatus=concept(CLINICAL, "active"),
            verificationStatus=concept(VERIFIED, "entered-in-error"),
        ),
        "invariant",
        "Condition",
    ),
    (condition(onsetAge={"value": 3}), "invariant", "Condition.onset"),
    (condition(onsetAge={"value": 0, "system": UCUM, "code": "a"}), "invariant", "Condition.onset"),
    (
        condition(onsetAge={"value": 3, "system": "x:y", "code": "a"}),
        "invariant",
        "Condition.onset",
    ),
    (
        extended(
            {"url": "x:y", "valueCount": {"value": Decimal("1.5"), "code": "1", "system": UCUM}}
        ),
        "invariant",
        "Patient.extension[0].value",
    ),
    (
        extended({"url": "x:y", "valueDuration": {"code": "h", "system": UCUM}}),
        "invariant",
        "Patient.extension[0].value",
    ),
    (
        {
            "resourceType": "FamilyMemberHistory",
            "status": "partial",
            "patient": {"reference": "Patient/1"},
            "relationship": {"text": "mother"},
            "ageString": "x",
            "bornString": "y",
        },
        "invariant",
        "FamilyMemberHistory",
    ),
    (
        {"resourceType": "Group", "type": "person", "actual": False}
        | {"member": [{"entity": {"reference": "Patient/1"}}]},
        "invariant",
        "Group",
    ),
    (
        {"resourceType": "Questionnaire", "status": "draft"}
        | {"item": [{"linkId": "1", "type": "group"}]},
        "invariant",
        "Questionnaire.item[0]",
    ),
    (
        {"resourceType": "ValueSet", "status": "draft"}
        | {"compose": {"include": [{"valueSet": ["x:y"], "concept": [{"code": "x"}]}]}},
        "invariant",
        "ValueSet.compose.include[0]",
    ),
    (condition(stage=[{"type": LOINC}]), "invariant", "Condition.stage[0]"),
    (
        {"resourceType": "AllergyIntolerance", "patient": {"reference": "Patient/1"}},
        "invariant",
        "AllergyIntolerance",
    ),
    (
        {
            "resourceType": "AllergyIntolerance",
            "patient": {"reference": "Patient/1"},
            "clinicalStatus": concept(ALLERGY, "active"),
            "verificationStatus": concept(ALLERGY_VERIFIED, "entered-in-error"),
        },
        "invariant",
        "AllergyIntolerance",
    ),
    (timing(duration=1), "invariant", "MedicationRequest.dosageInstruction[0].timing.repeat"),
    (
        timing(period=-1, periodUnit="d"),
        "invariant",
        "MedicationRequest.dosageInstruction[0].timing.repeat",
    ),
    (timing(offset=5), "invariant", "MedicationRequest.dosageInstruction[0].timing.repeat"),
    (
        timing(when=["C"], offset=5),
        "invariant",
        "MedicationRequest.dosageInstruction[0].timing.repeat",
    ),
    (
        {"resourceType": "Parameters", "parameter": [{"name": "x"}]},
        "invariant",
        "Parameters.parameter[0]",
    ),
    (
        {
            "resourceType": "List",
            "status": "current",
            "mode": "working",
            "entry": [{"item": {"display": "x"}, "deleted": True}],
        },
        "invariant",
        "List",
    ),
    (
        {
            "resourceType": "List",
            "status": "current",
            "mode": "changes",
            "entry": [{"item": {"display": "x"}, "date": "2024"}],
        },
        "invariant",
        "List",
    ),
    (
        {"resourceType": "Linkage", "item": [{"type": "source", "resource": {"display": "x"}}]},
        "invariant",
        "Linkage",
    ),
    (
        {
            "resourceType": "MedicationAdministration",
            "status": "completed",
            "medicationCodeableConcept": LOINC,
            "subject": {"reference": "Patient/1"},
            "dosage": {"text": "x"},
        },
        "invariant",
        "MedicationAdministration.dosage",
    ),
    # bundles
    (bundle("collections"), "code-invalid", "Bundle.type"),
    (bundle("collection", {"fullUrl": "urn:x:1"}), "invariant", "Bundle.entry[0]"),
    (bundle("collection", {"resource": patient()}, total=1), "invariant", "Bundle.total"),
    (bundle("transaction", {"resource": patient()}), "invariant", "Bundle.entry[0].request"),
    (
        bundle("collection", {"resource": patient(), "response": {"status": "200"}}),
        "invariant",
        "Bundle.entry[0].response",
    ),
    (
        bundle("collection", {"resource": patient(), "search": {"mode": "match"}}),
        "invariant",
        "Bundle.entry[0]",
    ),
    (
        bundle("collection", *[{"fullUrl": "urn:x:1", "resource": patient()}] * 2),
        "invariant",
        "Bundle.entry[1].fullUrl",
    ),
    (
        bundle(
            "collection",
            {"fullUrl": "http://a.example/Patient/1/_history/1", "resource": patient()},
        ),
        "invariant",
        "Bundle.entry[0].fullUrl",
    ),
    (
        bundle("document", {"resource": patient()}, timestamp="2024-02-29T10:00:00Z"),
        "invariant",
        "Bundle.identifier",
    ),
    (
        bundle("document", {"resource": patient()}, identifier={"system": "x:y", "value": "1"}),
        "invariant",
        "Bundle.timestamp",
    ),
    (bundle("message", {"resource": patient()}), "invariant", "Bundle.entry"),
]
