"""The package of a referral: a document with what the institution it goes to may see.

What the referral itself names (`supportingInfo`, the diagnosis, the insurance, the attachments)
is always in it, also what is otherwise restricted: whoever referred put it there. Besides it has
what a referral opens of the record: allergies, medicines, problems, care, and the results of 24
months.

Spec: DOMAIN 2.5a, 2.8; WS/T 790.16; https://hl7.org/fhir/R4/documents.html
"""

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from fhir_hub.documents.archive import MOST, Archive
from fhir_hub.documents.assembly import Contents
from fhir_hub.documents.composing import NEWEST_ONLY, Part, key_in, moment_text, write
from fhir_hub.documents.disclosure import (
    RESULTS_FOR,
    is_referral_order,
    is_restricted,
    permission,
    referral_ground,
    told_with,
)
from fhir_hub.documents.people import Person, person_of
from fhir_hub.documents.sameness import Fact, told_once
from fhir_hub.documents.sections import LOINC, SECTIONS, Section, statement
from fhir_hub.documents.wording import concept_text
from fhir_hub.errors import NotSupported
from fhir_hub.referral.content import DIRECTION
from fhir_hub.referral.finding import plan_for, read
from fhir_hub.referral.reading import at, codings, each, extension, key_of
from fhir_hub.referral.states import is_referral
from fhir_hub.repository.unit import Resource
from fhir_hub.search.plan import Query
from fhir_hub.store.base import Key

# the sections of a summary that a package has too, in its order
_RECORD = (
    *("10160-0", "48765-2", "11450-4", "30954-2", "8716-3", "11369-6", "47519-4", "11348-0"),
    *("46264-8", "18776-5", "104605-1"),
)
_LINKS = ("supportingInfo", "reasonReference", "insurance", "specimen")
_DATED = ("Observation", "DiagnosticReport")


class _Referral(NamedTuple):
    """The order, its Task if there is one, and what the two name, resources that are there."""

    order: Resource
    task: Resource | None
    named: tuple[Resource, ...]

    def keys(self) -> frozenset[Key]:
        """Return what is told because it was put into the package."""
        return frozenset(key_in(one) for one in (self.order, *self.named)) | (
            frozenset() if self.task is None else {key_in(self.task)}
        )


async def package(archive: Archive, order: Resource) -> Resource:
    """Return the package of a referral: a Bundle of the type document.

    Raises `NotSupported` if the ServiceRequest is no referral or is of no Patient, `NotFound`.
    """
    subject = key_of(order.get("subject"))
    if subject is None or subject.resource_type != "Patient":
        raise NotSupported("this referral names no Patient of this server")
    person = await person_of(archive.store, subject.logical_id)
    referral = await _referral(archive, order)
    if not is_referral_order(order) and not (referral.task and is_referral(referral.task)):
        raise NotSupported("this is no referral: neither its category nor a Task says so")
    now = archive.clock()
    ground = referral_ground(
        frozenset(person.ids), referral.keys() | {person.key}, referral.task, now
    )
    may = permission(ground, archive)
    contents = Contents(archive, may, dict.fromkeys(person.ids, person.ids[0]))
    contents.put(person.patient)
    for one in (referral.order, referral.task, *referral.named):
        if one is not None:
            contents.put(one)
    today = now.astimezone(archive.zone).date()
    parts = [_request(referral), _illness(referral)]
    for section in SECTIONS:
        if section.code in _RECORD:
            found = await _of_record(archive, section, person, referral.named)
            parts.append(_section(contents, section, found, today))
    parts += [
        _listed(contents, "85847-2", "签约 / Contract", await _contracts(archive, person, today)),
        _listed(contents, "48768-6", "医保 / Insurance", _of(referral, "Coverage")),
        _consent(contents, referral),
        _listed(
            contents, "77599-9", "附件 / Attachments", _of(referral, "DocumentReference", "Media")
        ),
        _listed(contents, "", "其他附带资料 / Other supporting information", _others(referral)),
    ]
    await contents.follow()
    composition = await _composition(contents, archive, referral, person)
    return await write(contents, archive, composition, [one for one in parts if one is not None])


async def _referral(archive: Archive, order: Resource) -> _Referral:
    page = await archive.store.search(
        Query(("Task",), plan_for("Task", focus=key_in(order)), count=10)
    )
    tasks = sorted((read(one) for one in page.matches), key=lambda one: str(one.get("authoredOn")))
    task = tasks[-1] if tasks else None
    links = [one for name in _LINKS for one in each(order, name)]
    links += [one["valueReference"] for one in each(task, "input") if "valueReference" in one]
    keys = dict.fromkeys(key for one in links if (key := key_of(one)) is not None)
    named = await archive.read_many(keys)
    within = dict.fromkeys(key for one in named for key in told_with(one))
    named += await archive.read_many(key for key in within if key not in keys)
    return _Referral(order, task, tuple(named))


async def _of_record(
    archive: Archive, section: Section, person: Person, named: Iterable[Resource]
) -> list[Resource]:
    """Return what there is for a section: of the record, and what is named, however old."""
    found: dict[Key, Resource] = {}
    for name in section.types:
        since = archive.clock() - RESULTS_FOR if name in _DATED else None
        for one in await archive.of_patients(name, person.ids, since):
            found[key_in(one)] = one
    for one in named:
        if one["resourceType"] in section.types:
            found.setdefault(key_in(one), one)
    return [*found.values()]


def _section(
    contents: Contents, section: Section, found: list[Resource], today: date
) -> Part | None:
    picked = [one for one in found if section.picks(one, today)]
    facts = told_once([one for one in picked if contents.put(one)], contents.archive)
    if facts:
        notes = (NEWEST_ONLY,) if len(found) >= MOST else ()
        return Part(section.code, section.display, section.title, facts, notes)
    code, text = section.absent
    if not code:
        return None
    patient = next(key for key in contents.stored if key.resource_type == "Patient")
    urn = contents.make(statement(section, contents.address(patient)))
    return Part(section.code, section.display, section.title, notes=(text,), made=(urn,))


def _request(referral: _Referral) -> Part:
    """Return why, where to and how urgently: the order and the Task."""
    order = referral.order
    direction = extension(order, DIRECTION)
    reasons = [concept_text(one) for one in each(order, "reasonCode")]
    words = [
        f"方向 / Direction: {' '.join(code for _, code in codings(direction))}"
        if direction
        else "",
        f"紧急程度 / Priority: {order['priority']}" if order.get("priority") else "",
        *(f"原因 / Reason: {one}" for one in reasons if one),
        f"科室 / Department: {concept_text(order.get('performerType'))}"
        if order.get("performerType")
        else "",
        *(f"有效期 / Valid until: {end}" for end in [at(order, "occurrencePeriod", "end")] if end),
    ]
    facts = [Fact(order)] + ([] if referral.task is None else [Fact(referral.task)])
    notes = tuple(word for word in words if word)
    return Part("42349-1", "Reason for referral (narrative)", "转诊 / Referral", facts, notes)


def _illness(referral: _Referral) -> Part | None:
    notes = tuple(str(one["text"]) for one in each(referral.order, "note") if one.get("text"))
    if not notes:
        return None
    return Part("10164-2", "", "病情摘要 / Summary of the Illness", notes=notes)


async def _contracts(archive: Archive, person: Person, today: date) -> list[Resource]:
    teams = await archive.of_patients("CareTeam", person.ids)
    section = next(one for one in SECTIONS if "CareTeam" in one.types)
    return [one for one in teams if section.picks(one, today)]


def _of(referral: _Referral, *resource_types: str) -> list[Resource]:
    return [one for one in referral.named if one["resourceType"] in resource_types]


def _others(referral: _Referral) -> list[Resource]:
    """Return what was put into the package and stands in no other section."""
    elsewhere = {name for one in SECTIONS if one.code in _RECORD for name in one.types}
    elsewhere |= {"Coverage", "Consent", "DocumentReference", "Media", "CareTeam", "Patient"}
    return [one for one in referral.named if one["resourceType"] not in elsewhere]


def _listed(contents: Contents, code: str, title: str, found: list[Resource]) -> Part | None:
    facts = [Fact(one) for one in found if contents.put(one)]
    return Part(code, "", title, facts) if facts else None


def _consent(contents: Contents, referral: _Referral) -> Part | None:
    """Return the consent to share: the resource, or the number that the referral names."""
    part = _listed(contents, "59284-0", "知情同意 / Consent", _of(referral, "Consent"))
    numbers = [
        str(value)
        for one in each(referral.order, "supportingInfo")
        if isinstance(value := at(one, "identifier", "value"), str)
        and (one.get("type") == "Consent" or value.lower().startswith("consent"))
    ]
    if not numbers:
        return part
    facts = part.facts if part else ()
    return Part("59284-0", "", "知情同意 / Consent", facts, tuple(numbers))


async def _composition(
    contents: Contents, archive: Archive, referral: _Referral, person: Person
) -> Resource:
    order, task = referral.order, referral.task
    author = _author(contents, order.get("requester"), at(task, "requester"))
    sender = await _institution(archive, at(task, "requester"), order.get("requester"))
    is_closed = any(is_restricted(one) for one in contents.stored.values())
    kind = {"system": LOINC, "code": "57133-1", "display": "Referral note"}
    made: Resource = {
        "resourceType": "Composition",
        "language": "zh-CN",
        "status": "final",
        "type": {"coding": [kind]},
        "subject": {"reference": contents.address(person.key)},
        "date": moment_text(archive.clock(), archive),
        "author": [author],
        "title": "转诊资料包 / Referral Package",
        "confidentiality": "R" if is_closed else "N",
    }
    if sender is not None and contents.put(sender):
        made["custodian"] = {"reference": contents.address(key_in(sender))}
        await contents.follow()
    return made


def _author(contents: Contents, *references: object) -> Resource:
    """Return who referred: the first of these that is in the document, or is no link to it."""
    for one in references:
        if isinstance(one, dict):
            key = key_of(one)
            if key in contents.stored or "reference" not in one:
                return one
    return {"display": "fhir-hub"}


async def _institution(archive: Archive, *references: object) -> Resource | None:
    """Return the institution that refers, by its role where need be."""
    for reference in references:
        key = key_of(reference)
        if key is None or key.resource_type not in ("Organization", "PractitionerRole"):
            continue
        for one in await archive.read_many([key]):
            if one["resourceType"] == "Organization":
                return one
            return await _institution(archive, one.get("organization"))
    return None
