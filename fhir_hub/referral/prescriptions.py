"""Prescriptions of 1+1+1: for how many days, on which basis, and what does not go together.

A MedicationRequest that says its kind (extension `prescription-type`) is held to the rules of its
kind when it becomes active. A command that breaks one is refused; a copy of what was prescribed
elsewhere is stored and flagged: each finding is a DetectedIssue, once. Findings that a doctor may
answer for (an allergy, a second drug of one ingredient, an early refill) flag a command too.

Spec: https://hl7.org/fhir/R4/medicationrequest.html and detectedissue.html; DOMAIN 2.7
"""

from collections.abc import Collection, Mapping

from fhir_hub.clock import instant
from fhir_hub.errors import Issue, RuleBroken
from fhir_hub.identity import merging
from fhir_hub.identity.systems import BASE
from fhir_hub.referral.finding import Followed, find, read
from fhir_hub.referral.places import place_of_request
from fhir_hub.referral.prescription_rules import Finding, findings
from fhir_hub.referral.reading import at, has_code, key_of
from fhir_hub.repository.unit import Resource, Unit, Warned
from fhir_hub.settings.care import PrescriptionSettings, is_by_place, rules_at
from fhir_hub.store.base import Key

Tables = Mapping[str, PrescriptionSettings]
FINDINGS = f"{BASE}/CodeSystem/prescription-finding"


async def follow(unit: Unit, followed: Followed, *, tables: Tables, is_strict: bool) -> None:
    """Hold a staged prescription to the rules of its kind; raises `RuleBroken`."""
    key, before, request = followed
    if request is None or request.get("status") != "active":
        return
    if before is not None and _content(before) == _content(request):
        return
    codes: Collection[str] = ()
    if is_by_place(tables):
        codes = (await place_of_request(unit.current, request)).codes
    limits = rules_at(PrescriptionSettings(), tables, codes)
    found = await findings(unit, key, request, limits)
    broken = [one for one in found if one.is_broken]
    if broken and is_strict and not _is_led_on(before, request):
        raise RuleBroken(broken[0].english, *(_issue(one, "error") for one in broken))
    known = await find(unit, "DetectedIssue", implicated=key) if found else []
    there = [read(one) for one in known]
    for one in found:
        unit.warnings.append(Warned(key, _issue(one, "warning")))
        if not any(has_code(issue.get("code"), one.code, FINDINGS) for issue in there):
            unit.create(_detected(one, key, request, instant(unit.now)))


def _is_led_on(before: Resource | None, request: Resource) -> bool:
    """Say whether a merge or a move has it be of another record: nobody prescribes it anew."""
    old, new = (key_of(at(one, "subject")) for one in (before, request))
    if before is None or old is None or new is None:
        return False
    return merging.is_led_on(before, request, old.logical_id, new.logical_id)


def _content(request: Resource) -> Resource:
    return {name: value for name, value in request.items() if name not in ("meta", "note")}


def _issue(one: Finding, severity: str) -> Issue:
    expression = f"MedicationRequest.{one.element}"
    return Issue("business-rule", one.english, expression, severity, one.chinese)


def _detected(one: Finding, key: Key, request: Resource, now: str) -> Resource:
    made: Resource = {
        "resourceType": "DetectedIssue",
        "status": "preliminary",
        "code": {
            "coding": [{"system": FINDINGS, "code": one.code}],
            "text": f"{one.english} / {one.chinese}",
        },
        "severity": "high" if one.is_broken or one.is_grave else "moderate",
        "identifiedDateTime": now,
        "implicated": [
            {"reference": "/".join(key)},
            *({"reference": "/".join(other)} for other in one.others),
        ],
    }
    if isinstance(at(request, "subject", "reference"), str):
        made["patient"] = request["subject"]
    return made
