"""What a referral must bring when it is submitted.

Spec: DOMAIN 2.5a; WS/T 790.16 names the same groups of content
"""

from collections.abc import Iterator

from fhir_hub import fhirjson
from fhir_hub.errors import Issue
from fhir_hub.identity.systems import STRONG
from fhir_hub.referral.reading import codings, each, extension, key_of
from fhir_hub.repository.unit import Resource, Unit

DIRECTION = "https://fhir-hub.example/StructureDefinition/referral-direction"


async def missing_content(unit: Unit, task: Resource) -> list[Issue]:
    """Return an issue for each thing that a submitted referral lacks."""
    order = await _read(unit, task.get("focus"))
    issues = [] if task.get("owner") else [_lacks("Task.owner", "to whom", "转入机构")]
    issues += [] if task.get("requester") else [_lacks("Task.requester", "from whom", "转出机构")]
    if order is None or order["resourceType"] != "ServiceRequest":
        return [*issues, _lacks("Task.focus", "the ServiceRequest", "转诊申请")]
    patient = await _read(unit, task.get("for") or order.get("subject"))
    issues += _of_patient(patient)
    issues += _of_order(order)
    linked = [await _read(unit, one) for one in each(order, "supportingInfo")]
    issues += _of_links([one for one in linked if one is not None])
    reasons = [await _read(unit, one) for one in each(order, "reasonReference")]
    diagnoses = [one for one in reasons if one is not None and one["resourceType"] == "Condition"]
    if not any(codings(one.get("code")) for one in diagnoses):
        issues.append(_lacks("ServiceRequest.reasonReference", "a coded diagnosis", "主要诊断"))
    return issues


def _of_patient(patient: Resource | None) -> Iterator[Issue]:
    if patient is None:
        yield _lacks("Task.for", "the patient", "患者")
        return
    if not any(one.get("system") in STRONG for one in each(patient, "identifier")):
        yield _lacks("Patient.identifier", "a strong identifier of the patient", "患者有效证件号")
    if not any(one.get("system") in ("phone", "sms") for one in each(patient, "telecom")):
        yield _lacks("Patient.telecom", "a phone number of the patient", "患者电话")


def _of_order(order: Resource) -> Iterator[Issue]:
    if extension(order, DIRECTION) is None:
        yield _lacks("ServiceRequest.extension", "the direction (up, down, peer)", "转诊方向")
    if not order.get("requester"):
        yield _lacks("ServiceRequest.requester", "the referring doctor", "转诊医师")
    if not order.get("performer") and not order.get("performerType"):
        yield _lacks("ServiceRequest.performer", "the institution or department", "转入科室")
    if not order.get("reasonCode") and not order.get("reasonReference"):
        yield _lacks("ServiceRequest.reasonCode", "the reason", "转诊原因")
    if not order.get("priority"):
        yield _lacks("ServiceRequest.priority", "the urgency", "紧急程度")
    if not any(one.get("text") for one in each(order, "note")):
        yield _lacks("ServiceRequest.note", "a summary of the illness", "病情摘要")


def _of_links(linked: list[Resource]) -> Iterator[Issue]:
    types = {one["resourceType"] for one in linked}
    if "AllergyIntolerance" not in types:
        yield _lacks("ServiceRequest.supportingInfo", "allergies, or that none are known", "过敏史")


async def _read(unit: Unit, reference: object) -> Resource | None:
    key = key_of(reference)
    stored = await unit.current(key) if key is not None else None
    if stored is None or stored.is_deleted:
        return None
    resource: Resource = fhirjson.loads(stored.content)
    return resource


def _lacks(expression: str, english: str, chinese: str) -> Issue:
    text = f"a referral says {english}"
    return Issue("business-rule", text, expression, chinese=f"转诊缺少：{chinese}")
