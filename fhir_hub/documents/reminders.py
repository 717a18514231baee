"""What was done already, elsewhere too, before it is ordered again: tests, examinations, drugs.

An order is looked at against what is known of the person: results, reports and procedures with
an equal code within the code's window, orders of it that are still open, and for a drug the
prescriptions of the same ingredient whose supply still lasts. What is restricted reminds nobody.

Spec: WS/T 790.18; DOMAIN 1.3 S4, 3.9; https://hl7.org/fhir/R4/detectedissue.html
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from fhir_hub.clock import from_microseconds, instant, microseconds
from fhir_hub.documents.archive import Archive, when
from fhir_hub.documents.composing import key_in
from fhir_hub.documents.disclosure import Ground, permission
from fhir_hub.documents.equivalents import equivalents
from fhir_hub.documents.people import Person
from fhir_hub.documents.sameness import same_concept
from fhir_hub.documents.sections import supply_end
from fhir_hub.documents.windows import Kind, Window, window_of
from fhir_hub.documents.wording import (
    detail_of,
    institution_code,
    institutions_of,
    organizations_of,
    what_of,
)
from fhir_hub.identity.systems import BASE
from fhir_hub.referral.prescription_rules import ingredients
from fhir_hub.referral.reading import at, codings, each, key_of
from fhir_hub.repository.unit import Resource
from fhir_hub.search.plan import Has, Is, Or
from fhir_hub.store.base import Key

CODES = f"{BASE}/CodeSystem/reminder"
_IMAGING = ("363679005", "imaging", "RAD", "IMG", "exam")
_GONE = frozenset(("entered-in-error", "cancelled", "not-done", "revoked", "unknown"))
_CRITICAL = frozenset(("HH", "LL", "AA", "<", ">"))
_EARLIEST = microseconds(datetime(1900, 1, 1, tzinfo=UTC))
_LATEST = microseconds(datetime(9000, 1, 1, tzinfo=UTC))  # what is beyond is no moment of an order
_DRUG_WITHOUT_END = timedelta(days=30)  # how long a prescription that says no days counts


@dataclass(frozen=True, slots=True)
class Reminder:
    """What was done: the resource, when (as told), where, within which window, until when."""

    of: Kind
    done: Resource
    moment: str
    day: str
    institutions: tuple[str, ...]
    organization: Resource | None
    window: Window
    until: str
    is_open: bool
    is_critical: bool
    detail: str

    def text(self) -> tuple[str, str]:
        """Return what to tell people, in English and in Chinese."""
        names = "; ".join(self.institutions)
        code = institution_code(self.organization) if self.organization else ""
        where = code or names or "an unknown institution"
        verb = {"drug": "prescribed"}.get(self.of, "ordered" if self.is_open else "done")
        english = f"already {verb} {self.day} at {where}"
        action = {"drug": "开过药"}.get(self.of, "开单，尚无结果" if self.is_open else "做过")
        chinese = f"{self.day} 已在{names or '其他机构'}{action}"
        if self.detail:
            english, chinese = f"{english}: {self.detail}", f"{chinese}：{self.detail}"
        if self.is_critical:
            english += "; it was critical, a repeat may be needed"
            chinese += "；该结果为危急值，可能需要复查"
        return english, chinese


class _Asked(NamedTuple):
    """The order, when it is to be done, and since when what was done counts."""

    order: Resource
    moment: datetime
    since: datetime


async def remind(
    archive: Archive,
    person: Person,
    order: Resource,
    maps: Iterable[Mapping[str, Any]],
    own: Mapping[str, int],
) -> list[Reminder]:
    """Return what there is to remind of before `order` is written, the latest first.

    `order` is a ServiceRequest or a MedicationRequest, stored or not; `maps` say which codes
    mean the same, `own` has the site's windows.
    """
    may = permission(Ground("summary", frozenset(person.ids)), archive)
    if order["resourceType"] == "MedicationRequest":
        found = await _drugs(archive, person, order, may, own)
    else:
        found = await _tests(archive, person, order, may, (maps, own))
    return sorted(found, key=lambda one: archive.moment_of(one.moment) or 0, reverse=True)


def _moment(order: Resource, archive: Archive) -> datetime:
    for text in (
        order.get("occurrenceDateTime"),
        at(order, "occurrencePeriod", "start"),
        order.get("authoredOn"),
    ):
        moment = archive.end_of(text) if isinstance(text, str) else None
        if moment is not None and _EARLIEST < moment < _LATEST:
            return from_microseconds(moment)
    return archive.clock()


async def _tests(
    archive: Archive,
    person: Person,
    order: Resource,
    may: Callable[[Resource], bool],
    rules: tuple[Iterable[Mapping[str, Any]], Mapping[str, int]],
) -> list[Reminder]:
    maps, own = rules
    codes = equivalents(codings(order.get("code")), maps)
    if not codes:
        return []
    kind: Kind = "exam" if _is_exam(order) else "test"
    window = window_of(codes, kind, own)
    moment = _moment(order, archive)
    local = moment.astimezone(archive.zone)  # the window counts calendar days
    since = local.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(window.days)
    asked = _Asked(order, moment, since)
    found: list[Resource] = []
    for name in ("Observation", "DiagnosticReport", "Procedure", "ServiceRequest"):
        code = archive.parameters.of(name)["code"]
        tests = tuple(Is(one, system) for system, one in sorted(codes))
        plan = Or(tuple(Has(index, "token", tests) for index in code.indexes))
        found += await archive.of_patients(name, person.ids, since, plan)
    found = [one for one in found if may(one) and _counts(one, asked, archive)]
    return [await _reminder(archive, kind, one, window) for one in _without_parts(found)]


def _is_exam(order: Resource) -> bool:
    return any(code in _IMAGING for one in each(order, "category") for _, code in codings(one))


def _counts(one: Resource, asked: _Asked, archive: Archive) -> bool:
    """Say whether what was found was done before the order, and not for it."""
    moment = archive.moment(one)
    if str(one.get("status")) in _GONE or moment is None:
        return False
    if not microseconds(asked.since) <= moment <= microseconds(asked.moment):
        return False
    if _is_itself(one, asked.order):
        return False
    if one["resourceType"] == "ServiceRequest":
        return one.get("status") in ("active", "on-hold")
    return True


def _is_itself(one: Resource, order: Resource) -> bool:
    if "id" in order:
        own = Key(order["resourceType"], order["id"])
        if key_in(one) == own or any(key_of(each_one) == own for each_one in each(one, "basedOn")):
            return True
    numbers = [
        {f"{one.get('system')}|{one['value']}" for one in each(of, "identifier") if "value" in one}
        for of in (one, order)
    ]
    return bool(numbers[0] & numbers[1])


def _without_parts(found: Sequence[Resource]) -> list[Resource]:
    """Return without the results of a report that is there, and orders that have a result."""
    inside = {
        key_of(one)
        for report in found
        for name in ("result", "hasMember", "basedOn")
        for one in each(report, name)
    }
    return [one for one in found if key_in(one) not in inside]


async def _drugs(
    archive: Archive,
    person: Person,
    order: Resource,
    may: Callable[[Resource], bool],
    own: Mapping[str, int],
) -> list[Reminder]:
    wanted = await _with_drug(archive, order)
    moment = _moment(order, archive)
    window = window_of(codings(wanted.get("medicationCodeableConcept")), "drug", own)
    today = moment.astimezone(archive.zone).date()
    found = []
    for one in await archive.of_patients("MedicationRequest", person.ids):
        if one.get("status") not in ("active", "on-hold") or _is_itself(one, order):
            continue
        written = archive.moment(one)
        if written is None or not _EARLIEST < written <= microseconds(moment) or not may(one):
            continue
        if not _is_same_drug(await _with_drug(archive, one), wanted):
            continue
        end = supply_end(one) or (
            (from_microseconds(written) + _DRUG_WITHOUT_END).astimezone(archive.zone).date()
        )
        if end > today + timedelta(days=window.days):
            reminder = await _reminder(archive, "drug", one, window, end.isoformat())
            found.append(reminder)
    return found


async def _with_drug(archive: Archive, request: Resource) -> Resource:
    """Return the request with its drug as a concept, where it refers to a Medication."""
    if "medicationCodeableConcept" in request:
        return request
    reference = str(at(request, "medicationReference", "reference") or "")
    for one in each(request, "contained"):
        if f"#{one.get('id')}" == reference:
            return request | {"medicationCodeableConcept": one.get("code")}
    key = key_of(request.get("medicationReference"))
    for one in await archive.read_many([key]) if key else []:
        return request | {"medicationCodeableConcept": one.get("code")}
    return request


def _is_same_drug(one: Resource, other: Resource) -> bool:
    if ingredients(one) & ingredients(other):
        return True
    concepts = (of.get("medicationCodeableConcept") for of in (one, other))
    return same_concept(*concepts)


async def _reminder(
    archive: Archive, kind: Kind, done: Resource, window: Window, until: str = ""
) -> Reminder:
    known = await _surroundings(archive, done)
    records = [one for one in known.values() if one["resourceType"] == "Provenance"]
    moment = archive.moment(done) or 0
    local = from_microseconds(moment).astimezone(archive.zone)
    organizations = organizations_of(done, known, records)
    ends = until or (local + timedelta(days=window.days)).date().isoformat()
    said = "; ".join(part for part in (what_of(done, known), detail_of(done, known)) if part)
    flags = {code for one in each(done, "interpretation") for _, code in codings(one)}
    return Reminder(
        kind,
        done,
        when(done),
        local.date().isoformat(),
        tuple(institutions_of(done, known, records)),
        organizations[0] if organizations else None,
        window,
        ends,
        done["resourceType"] == "ServiceRequest",
        bool(flags & _CRITICAL),
        said,
    )


async def _surroundings(archive: Archive, done: Resource) -> dict[Key, Resource]:
    """Return who performed it and who told it."""
    records = await archive.records_of([key_in(done)])
    waiting: list[Resource] = [done, *records[:1]]
    known = {key_in(one): one for one in records[:1]}
    for _ in range(2):  # a role leads on to its institution
        keys = {key for one in waiting for key in _who(one)} - known.keys()
        waiting = await archive.read_many(sorted(keys))
        known |= {key_in(one): one for one in waiting}
    return known


def _who(resource: Resource) -> Iterable[Key]:
    names = ("performer", "requester", "encounter", "organization", "serviceProvider", "agent")
    for name in (*names, "medicationReference"):
        value = resource.get(name)
        for one in value if isinstance(value, list) else [value]:
            for found in (one, at(one, "actor"), at(one, "who"), at(one, "onBehalfOf")):
                if (key := key_of(found)) is not None:
                    yield key


def detected(reminder: Reminder, person: Person, order: Resource, now: datetime) -> Resource:
    """Return a reminder as a DetectedIssue: what is doubled, by which record."""
    english, chinese = reminder.text()
    code = f"duplicate-{reminder.of}"
    coding = [{"system": CODES, "code": code}]
    if reminder.of == "drug":
        system = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
        coding.append({"system": system, "code": "DUPTHPY", "display": "Duplicate Therapy Alert"})
    implicated = [{"reference": "/".join(key_in(reminder.done))}]
    if "id" in order:
        implicated.append({"reference": f"{order['resourceType']}/{order['id']}"})
    return {
        "resourceType": "DetectedIssue",
        "status": "preliminary",
        "code": {"coding": coding, "text": _TITLES[reminder.of]},
        "severity": "low" if reminder.is_critical or reminder.is_open else "moderate",
        "patient": {"reference": "/".join(person.key)},
        "identifiedDateTime": instant(now.astimezone(UTC)),
        "implicated": implicated,
        "detail": f"{english} / {chinese}",
    }


_TITLES = {
    "test": "重复检验提醒 / Duplicate test",
    "exam": "重复检查提醒 / Duplicate examination",
    "drug": "重复用药提醒 / Duplicate drug",
}
