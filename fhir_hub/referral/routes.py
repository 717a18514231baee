"""Whether a referral may go from one institution to another, and whether the other takes any.

A route is the resident's contract that holds and has both, an OrganizationAffiliation between
them (either way: up, and back down), an alliance that both take part in, or the way back of a
referral that came. Whoever is closed, or does not offer the department, takes none.

Spec: DOMAIN 2.1, 2.5b; https://hl7.org/fhir/R4/organizationaffiliation.html
"""

from collections.abc import Iterator
from datetime import date

from fhir_hub.errors import FhirError, Issue, RuleBroken
from fhir_hub.identity.systems import BASE
from fhir_hub.referral.contracts import INSTITUTIONS, contract_on, members, overlaps
from fhir_hub.referral.finding import find, read
from fhir_hub.referral.institutions import institution_of, resource_at
from fhir_hub.referral.reading import at, codings, each, has_code, key_of
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.store.base import Key

AFFILIATIONS = f"{BASE}/CodeSystem/affiliation"
_ALLIANCE = "medical-alliance"


async def no_route(unit: Unit, task: Resource, patient: Key | None) -> FhirError | None:
    """Return why no route leads from who asks to who is asked, None if one does."""
    start = await institution_of(unit, task.get("requester"))
    end = await institution_of(unit, recipient_of(task))
    if start is None or end is None or start == end:
        return None
    if patient is not None and await _in_contract(unit, patient, {start, end}):
        return None
    if await _is_way_back(unit, task, start, end) or await _is_affiliated(unit, start, end):
        return None
    text = "no route leads to this institution: no contract, affiliation or alliance has both"
    chinese = "转入机构不在签约组合或合作（医联体）范围内，不能转诊"
    return RuleBroken(text, Issue("business-rule", text, "Task.owner", chinese=chinese))


def recipient_of(task: Resource) -> object:
    """Return the Reference to who is asked: the institution, though a person took it up."""
    return next(each(task, "restriction", "recipient"), None) or task.get("owner")


async def _in_contract(unit: Unit, patient: Key, wanted: set[Key]) -> bool:
    contract = await contract_on(unit, patient, unit.today)
    if contract is None:
        return False
    return wanted <= {key for tier in INSTITUTIONS for key in members(contract, tier)}


async def _is_way_back(unit: Unit, task: Resource, start: Key, end: Key) -> bool:
    for reference in each(task, "partOf"):
        first = await resource_at(unit, key_of(reference))
        if first is not None and first["resourceType"] == "Task":
            came_from = await institution_of(unit, first.get("requester"))
            went_to = await institution_of(unit, recipient_of(first))
            if (came_from, went_to) == (end, start):
                return True
    return False


async def _is_affiliated(unit: Unit, start: Key, end: Key) -> bool:
    ours, theirs = await _affiliations(unit, start), await _affiliations(unit, end)
    if any(end in _parties(one) for one in ours):
        return True
    return bool(_alliances(ours) & _alliances(theirs))


async def _affiliations(unit: Unit, institution: Key) -> list[Resource]:
    """Return the affiliations of an institution that hold today, on either side."""
    leads = await find(unit, "OrganizationAffiliation", primary_organization=institution)
    joins = await find(unit, "OrganizationAffiliation", participating_organization=institution)
    found = [read(one) for one in (*leads, *joins)]
    today = unit.today
    return [one for one in found if one.get("active") is not False and overlaps(one, today, today)]


def _parties(affiliation: Resource) -> set[Key | None]:
    names = ("organization", "participatingOrganization")
    return {key_of(affiliation.get(name)) for name in names} - {None}


def _alliances(affiliations: list[Resource]) -> set[Key | None]:
    """Return the leading hospitals of the alliances that affiliations are of."""
    return {
        key_of(one.get("organization"))
        for one in affiliations
        if any(has_code(code, _ALLIANCE, AFFILIATIONS) for code in each(one, "code"))
    } - {None}


async def not_open(unit: Unit, task: Resource, order: Resource) -> FhirError | None:
    """Return why who is asked takes no such referral now, None if nothing is known against it."""
    for reference in [recipient_of(task), *each(order, "performer")]:
        asked = await resource_at(unit, key_of(reference))
        if asked is not None and (asked.get("active") is False or any(_away(asked, unit.today))):
            return _closed("the institution or department is closed", "转入机构或科室已停诊")
    institution = await institution_of(unit, recipient_of(task))
    wanted = set(codings(order.get("performerType")))
    if institution is None or not wanted:
        return None
    services = await find(unit, "HealthcareService", organization=institution)
    offered: dict[tuple[str, str], bool] = {}
    for service in map(read, services):
        is_open = service.get("active") is not False and not any(_away(service, unit.today))
        for one in _kinds(service):
            offered[one] = offered.get(one, False) or is_open
    known = {system for system, _ in offered}
    asked_for = {one for one in wanted if one[0] in known}
    if not asked_for or any(offered.get(one) for one in asked_for):
        return None
    if any(one in offered for one in asked_for):
        return _closed("the department is closed", "转入科室已停诊")
    return _closed("the institution does not offer this department", "转入机构未开设该科室")


def _kinds(service: Resource) -> Iterator[tuple[str, str]]:
    for element in ("specialty", "type", "category"):
        for concept in each(service, element):
            yield from codings(concept)


def _away(service: Resource, today: date) -> Iterator[bool]:
    for one in each(service, "notAvailable"):
        if at(one, "during"):
            yield overlaps({"period": one["during"]}, today, today)


def _closed(english: str, chinese: str) -> RuleBroken:
    issue = Issue("business-rule", english, "ServiceRequest.performer", chinese=chinese)
    return RuleBroken(english, issue)
