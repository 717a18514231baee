"""Broken samples of the invariants that shortcuts check, one at least for each.

Each: the resource, the issue code and the element that the checks must name.
"""

from typing import Any

from r4.broken_rules import item, questionnaire, value_set
from r4.samples import ABSENT, LOINC, Sample, extended, timing


def expansion(**contains: Any) -> dict[str, Any]:
    expanded = {"timestamp": "2024", "contains": [contains]}
    return {"resourceType": "ValueSet", "status": "draft", "expansion": expanded}


def listed(mode: str, emptyReason: Any = None, **entry: Any) -> dict[str, Any]:  # noqa: N803  # FHIR's
    about = {"emptyReason": emptyReason} if emptyReason else {}
    row = {"item": {"reference": "Patient/1"}, **entry}
    return {"resourceType": "List", "status": "current", "mode": mode, "entry": [row]} | about


def composed(section: dict[str, Any]) -> dict[str, Any]:
    about = {"resourceType": "Composition", "status": "final", "type": LOINC, "date": "2024"}
    return about | {"title": "x", "author": [{"display": "x"}], "section": [section]}


_EXTENDED = "Patient.extension[0]"
_VALUE = "Patient.extension[0].value"
_INCLUDE = "ValueSet.compose.include[0]"
_REPEAT = "MedicationRequest.dosageInstruction[0].timing.repeat"
OPTION = {"valueString": "a"}
CODING = LOINC["coding"][0]
_FILTER = {"property": "a", "op": "=", "value": "b"}
_ITEM = "Questionnaire.item[0]"
_PLAN = {"resourceType": "CarePlan", "status": "draft", "intent": "plan"}

SHORTCUTS: list[Sample] = [
    (
        {"resourceType": "AppointmentResponse", "appointment": {"reference": "Appointment/1"}}
        | {"participantStatus": "accepted"},
        "invariant",
        "AppointmentResponse",
    ),
    (
        _PLAN
        | {
            "subject": {"reference": "Patient/1"},
            "activity": [{"reference": {"reference": "Task/1"}, "detail": {"status": "scheduled"}}],
        },
        "invariant",
        "CarePlan.activity[0]",
    ),
    (extended({"url": "x:y", "valueDistance": {"value": 1}}), "invariant", f"{_EXTENDED}.value"),
    (extended({"url": "x:y", "valueExpression": {"language": "text/cql"}}), "invariant", _VALUE),
    (value_set(system="urn:x", concept=[{"code": "a"}], filter=[_FILTER]), "invariant", _INCLUDE),
    (expansion(display="x", code="a"), "invariant", "ValueSet.expansion.contains[0]"),
    (expansion(system="urn:x"), "invariant", "ValueSet.expansion.contains[0]"),
    (listed(emptyReason={"text": "x"}, mode="working"), "invariant", "List"),
    (listed(mode="snapshot", deleted=True), "invariant", "List"),
    (listed(mode="snapshot", date="2024"), "invariant", "List"),
    (timing(countMax=2), "invariant", _REPEAT),
    (timing(period=1), "invariant", _REPEAT),
    (timing(duration=1), "invariant", _REPEAT),
    (timing(duration=-1, durationUnit="h"), "invariant", _REPEAT),
    (timing(period=-1, periodUnit="h"), "invariant", _REPEAT),
    (timing(periodMax=2), "invariant", _REPEAT),
    (timing(durationMax=2), "invariant", _REPEAT),
    (timing(timeOfDay=["10:00:00"], when=["AC"]), "invariant", _REPEAT),
    (timing(offset=10), "invariant", _REPEAT),
    (
        {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "x"}}
        | {"subject": {"reference": "Patient/1"}, "target": [{"detailString": "x"}]},
        "invariant",
        "Goal.target[0]",
    ),
    (extended({"url": "x:y"}), "invariant", _EXTENDED),
    (
        {"resourceType": "OperationDefinition", "name": "X", "status": "draft", "code": "x"}
        | {"kind": "operation", "system": False, "type": True, "instance": False}
        | {"parameter": [{"name": "a", "use": "in", "min": 0, "max": "1"}]},
        "invariant",
        "OperationDefinition.parameter[0]",
    ),
    (
        {"resourceType": "FamilyMemberHistory", "status": "partial", "relationship": LOINC}
        | {"patient": {"reference": "Patient/1"}, "estimatedAge": True},
        "invariant",
        "FamilyMemberHistory",
    ),
    (
        {"resourceType": "QuestionnaireResponse", "status": "completed"}
        | {"item": [{"linkId": "1", "answer": [{"valueString": "a"}], "item": [{"linkId": "2"}]}]},
        "invariant",
        "QuestionnaireResponse.item[0]",
    ),
    (
        {"resourceType": "Immunization", "status": "completed", "vaccineCode": LOINC}
        | {"patient": {"reference": "Patient/1"}, "occurrenceDateTime": "2024"}
        | {"education": [{"publicationDate": "2024"}]},
        "invariant",
        "Immunization.education[0]",
    ),
    (composed({"title": "x"}), "invariant", "Composition.section[0]"),
    (
        composed({"entry": [{"reference": "Patient/1"}], "emptyReason": LOINC}),
        "invariant",
        "Composition.section[0]",
    ),
    (
        {"resourceType": "Condition", "subject": {"reference": "Patient/1"}}
        | {"evidence": [{"extension": [ABSENT]}]},
        "invariant",
        "Condition.evidence[0]",
    ),
    (
        {"resourceType": "CoverageEligibilityResponse", "status": "active", "outcome": "complete"}
        | {"purpose": ["benefits"], "patient": {"reference": "Patient/1"}, "created": "2024"}
        | {"request": {"reference": "CoverageEligibilityRequest/1"}}
        | {"insurer": {"reference": "Organization/1"}}
        | {"insurance": [{"coverage": {"reference": "Coverage/1"}, "item": [{"name": "x"}]}]},
        "invariant",
        "CoverageEligibilityResponse.insurance[0].item[0]",
    ),
    (
        {"resourceType": "Consent", "status": "active", "scope": LOINC, "category": [LOINC]},
        "invariant",
        "Consent",
    ),
    (
        {"resourceType": "MedicationDispense", "status": "completed"}
        | {"medicationCodeableConcept": LOINC}
        | {"whenPrepared": "2024-03", "whenHandedOver": "2024-02"},
        "invariant",
        "MedicationDispense",
    ),
    (
        {"resourceType": "ServiceRequest", "status": "active", "intent": "order"}
        | {"subject": {"reference": "Patient/1"}, "orderDetail": [LOINC]},
        "invariant",
        "ServiceRequest",
    ),
    (
        {"resourceType": "AuditEvent", "type": CODING, "recorded": "2024-02-29T10:00:00Z"}
        | {"agent": [{"requestor": True}], "source": {"observer": {"display": "x"}}}
        | {"entity": [{"name": "x", "query": "aGk="}]},
        "invariant",
        "AuditEvent.entity[0]",
    ),
    (
        questionnaire(item(type="choice", answerOption=[OPTION], answerValueSet="urn:x")),
        "invariant",
        _ITEM,
    ),
    (
        questionnaire(item(type="choice", answerOption=[OPTION], initial=[{"valueString": "a"}])),
        "invariant",
        _ITEM,
    ),
]
