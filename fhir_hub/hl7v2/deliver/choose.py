"""Which messages a partner gets of a commit.

A resource of a type that he wants, that meets his condition, and that did not come from him. Of
a referral's Task the one who is asked gets REF, the one who asks RRI, by the codes of their
institutions. Results go with their report, a visit with its patient, an order with its Task:
of each such group one message.

Spec: DOMAIN 2.5, 2.9; HL7v2 chapters 3, 7, 10, 11
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from fhir_hub import fhirjson
from fhir_hub.hl7v2.deliver import kin, origins
from fhir_hub.hl7v2.deliver.desk import Desk, may_name
from fhir_hub.hl7v2.emit.events import (
    answer_event,
    booking_event,
    given_back,
    is_expired,
    is_question,
    is_referral,
    is_taken_back,
    new_merges,
    referral_event,
    undone_merges,
    visit_event,
)
from fhir_hub.hl7v2.emit.layouts import WITHOUT_DIAGNOSES
from fhir_hub.hl7v2.emit.resources import Resources
from fhir_hub.hl7v2.emit.senders import institution
from fhir_hub.hl7v2.meaning.teller import microseconds_of
from fhir_hub.r4.placeholders import is_placeholder
from fhir_hub.settings.partners import PartnerSettings
from fhir_hub.store.base import Key, Stored

Json = dict[str, Any]
_ASKED = ("requested", "received", "cancelled", "entered-in-error")
_ANSWERED = ("accepted", "rejected", "in-progress", "completed", "on-hold", "failed")
RESULTS = ("DiagnosticReport", "Observation")
_MOST = 50  # messages about one referral
_PANELS = 3  # in each other


class Choice(NamedTuple):
    """A message to make: its event, what it is about, the change that it tells of.

    `answers` is the control id of the partner's own message that it answers, where there is one.
    """

    event: str
    main: Json
    before: Json | None
    resources: Resources
    change: Stored
    answers: str = ""

    @property
    def results(self) -> str:
        """Return the report whose results it tells, empty for another message."""
        kind = self.main["resourceType"]
        return f"{kind}/{self.main['id']}" if kind in RESULTS else ""


def candidates(commit: Sequence[Stored], partner: PartnerSettings) -> list[Stored]:
    """Return the changes of which a partner may have to be told: of his types, not from him."""
    kinds = partner.sends.keys() | (kin.KINDS if "Patient" in partner.sends else ())
    kinds |= {"Condition"} if "Encounter" in partner.sends else set()
    wanted = [one for one in commit if one.resource_type in kinds]
    if not wanted:
        return []
    own = origins.told_by(commit, partner)
    return [one for one in wanted if f"{one.resource_type}/{one.logical_id}" not in own]


async def choice_in(
    change: Stored, wanted: Sequence[Stored], partner: PartnerSettings, desk: Desk
) -> Choice | None:
    """Return the message that a partner gets of a change, None if he gets none.

    `wanted` are his candidates of what was written together with it.
    """
    content = await desk.content(change)
    if content is None or is_placeholder(content):
        return None
    others = [one for one in wanted if one is not change]
    if change.resource_type in kin.KINDS:
        is_news = await kin.is_news(change, content, others, partner, desk)
        return await _choice(change, content, partner, desk) if is_news else None
    if change.resource_type == "Condition":
        return await _diagnosis(change, content, others, partner, desk)
    if await _is_told_otherwise(change, content, others, partner, desk):
        return None
    condition = partner.sends.get(change.resource_type, "")  # type: ignore[call-overload]  # any type may be asked
    if not await desk.meets(change, condition):
        return None
    return await _choice(change, content, partner, desk)


async def choice_of(change: Stored, partner: PartnerSettings, desk: Desk) -> Choice | None:
    """Return the message that tells a partner of one change, None if there is none any more."""
    content = await desk.content(change)
    return await _choice(change, content, partner, desk) if content else None


async def _is_told_otherwise(
    change: Stored, content: Json, others: Sequence[Stored], partner: PartnerSettings, desk: Desk
) -> bool:
    """Say whether another message of the same commit tells of it: of one that he is told of."""
    address = f"{change.resource_type}/{change.logical_id}"
    if change.resource_type == "Patient":
        is_merged = any(link.get("type") == "replaced-by" for link in content.get("link", ()))
        if is_merged or await _is_unlinked(address, others, partner, desk):
            return True
        if _has_own_event(content, await desk.before(change)):
            return False
    holder, element = {
        "ServiceRequest": ("Task", "focus"),
        "Observation": ("DiagnosticReport", "result"),
        "Patient": ("Encounter", "subject"),
    }.get(change.resource_type, ("", ""))
    for one in others if holder in partner.sends else ():
        if one.resource_type == holder and may_name(one, address):
            held = (await desk.content(one) or {}).get(element, [])
            listed = held if isinstance(held, list) else [held]
            condition = partner.sends[holder]  # type: ignore[index]  # one of its names
            is_held = any(other.get("reference") == address for other in listed)
            if is_held and await desk.meets(one, condition):
                return True
    return False


def _has_own_event(patient: Json, before: Json | None) -> bool:
    """Say whether what became of a Patient is more than a message of her visit says."""
    is_ended = patient.get("active") is False
    links = (new_merges, undone_merges, given_back)
    return is_ended or any(changed(patient, before) for changed in links)


async def _is_unlinked(
    address: str, others: Sequence[Stored], partner: PartnerSettings, desk: Desk
) -> bool:
    """Say whether the message of who replaced a Patient tells that she does no more.

    It has room for the first whom she replaced; each other one has a message of her own.
    """
    for one in others:
        if one.resource_type == "Patient" and not one.is_deleted:
            gone = undone_merges(fhirjson.loads(one.content), await desk.before(one))
            told = [link["other"].get("reference", "") for link in gone]
            if address in told and await _first_known(told, desk) == address:
                return await desk.meets(one, partner.sends["Patient"])
    return False


async def _first_known(addresses: Sequence[str], desk: Desk) -> str:
    """Return the first of these addresses of Patients at which somebody is or was."""
    for address in addresses:
        kind, _, logical_id = address.partition("/")
        if kind == "Patient" and await desk.store.read(Key(kind, logical_id)) is not None:
            return address
    return ""


async def _choice(
    change: Stored, content: Json, partner: PartnerSettings, desk: Desk
) -> Choice | None:
    before = await desk.before(change)
    kind = change.resource_type
    if kind in kin.KINDS:
        return await _beside(change, content, partner, desk)
    if kind == "Condition":
        return await _diagnosis(change, content, (), partner, desk)
    if kind in ("Task", "ServiceRequest"):
        return await _referral(change, content, before, partner, desk)
    if kind == "Observation":
        content = await _whole(content, desk)
    if kind == "Encounter":
        return await _visit(change, content, before, desk)
    if kind == "Patient":
        return await _person(change, content, before, desk)
    resources = await desk.gather(content)
    event = booking_event(content, before) if kind == "Appointment" else "ORU^R01"
    if kind == "Appointment" and content.get("status") in ("proposed", "pending", "waitlist"):
        return None
    told = before if kind == "Appointment" else None
    return Choice(event, content, told, resources, change)


async def _whole(observation: Json, desk: Desk) -> Json:
    """Return the report with which a result is told, else the panel, itself if it is of neither."""
    for _ in range(_PANELS):
        address = f"Observation/{observation['id']}"
        if reports := await desk.find("DiagnosticReport", f"result={address}", 1):
            report: Json = fhirjson.loads(reports[0].content)
            return report
        panels = await desk.find("Observation", f"has-member={address}", 1)
        if not panels:
            break
        observation = fhirjson.loads(panels[0].content)
    return observation


async def _referral(
    change: Stored, content: Json, before: Json | None, partner: PartnerSettings, desk: Desk
) -> Choice | None:
    """Return REF for who is asked, RRI for who asked; nothing for others."""
    task: Json | None
    if content["resourceType"] == "Task":
        task, resources = content, await desk.gather(content)
        request = resources.resolve(content.get("focus"))
    else:
        request = content
        found = await desk.find("Task", f"focus=ServiceRequest/{change.logical_id}", 1)
        task = fhirjson.loads(found[0].content) if found else None
        resources = await desk.gather(*([content, task] if task else [content]))
    if request is not None and not is_referral(request):
        return None
    who = (request or task or {}).get("subject" if request else "for", {}).get("reference", "")
    for one in await kin.kin(who, desk, kin.RELATIVES):
        resources.add(f"RelatedPerson/{one['id']}", one)
    asked = _asked(task) or next(iter((request or {}).get("performer", ())), None)
    is_of_task = change.resource_type == "Task" and task is not None
    if request is not None and _is_at(asked, partner, resources):
        is_his = not is_of_task or before is None
        if before is not None and is_of_task:
            is_his = _is_at(_asked(before), partner, await desk.gather(before))
        told = before if is_of_task else None
        event = _told_event(request, task, before, told) if is_his else "REF^I12"
        return Choice(event, request, before, resources, change) if event else None
    if task is None or not is_of_task:
        return None
    if request is not None and before is not None:
        there = await desk.gather(before)
        if _is_at(_asked(before), partner, there):  # it went to another institution
            return Choice("REF^I14", request, before, resources, change)
    if _is_answer(task, before) and _is_at(task.get("requester"), partner, resources):
        asking = await _asking(task, partner, desk)
        return Choice(answer_event(task, before), task, before, resources, change, asking)
    return None


async def _asking(task: Json, partner: PartnerSettings, desk: Desk) -> str:
    """Return the control id (MSH-10) of the last message by which the partner told a referral.

    Empty where none did. Of his messages that is one whose Provenance has both Task and order.
    """
    order = (task.get("focus") or {}).get("reference", "")
    criteria = f"target=Task/{task['id']}" + (f"&target={order}" if order.count("/") == 1 else "")
    told = [fhirjson.loads(one.content) for one in await desk.find("Provenance", criteria, _MOST)]
    his = [one for one in told if origins.is_told_by(one, partner)]
    last: Json = max(his, key=_told_at, default={})
    whats = (entity.get("what", {}) for entity in last.get("entity", ()))
    return next((str(what.get("identifier", {}).get("value", "")) for what in whats), "")


def _told_at(provenance: Json) -> tuple[int, int]:
    recorded, stored = provenance.get("recorded", ""), provenance["meta"]["lastUpdated"]
    return microseconds_of(str(recorded)), microseconds_of(str(stored))


def _told_event(request: Json, task: Json | None, before: Json | None, was: Json | None) -> str:
    """Return the event that tells who is asked of a change, empty if there is none.

    `before` is the changed record before, `was` the Task before if the Task changed.
    """
    if task is not None and was is not None and is_taken_back(task) != is_taken_back(was):
        return "REF^I14" if is_taken_back(task) else ""  # else he answered it himself
    if task is not None and was is not None and not is_question(was):
        is_delivered = (was.get("status"), task.get("status")) == ("requested", "received")
        if is_delivered or is_question(task):
            return ""  # he has it, or asks
    status = task.get("status") if task else "requested"
    return referral_event("REF", request, task, before) if status in _ASKED else ""


def _asked(task: Json | None) -> Any:
    """Return the Reference to who is asked: the institution, though a person took it up."""
    recipients = ((task or {}).get("restriction") or {}).get("recipient") or [None]
    return recipients[0] or (task or {}).get("owner")


def _is_answer(task: Json, before: Json | None) -> bool:
    """Say whether who asked is to be told: not of what he did himself."""
    if is_taken_back(task):
        return False
    if task.get("status") == "cancelled":
        return is_expired(task) or (before is not None and is_taken_back(before))
    return task.get("status") in _ANSWERED or is_question(task)


def _is_at(reference: Any, partner: PartnerSettings, resources: Resources) -> bool:
    return bool(partner.facility) and institution(reference, resources) == partner.facility


async def _visit(change: Stored, content: Json, before: Json | None, desk: Desk) -> Choice | None:
    subject = content.get("subject", {})
    hers = await kin.kin(subject.get("reference", ""), desk)
    found = await kin.diagnoses(f"Encounter/{change.logical_id}", desk)
    resources = await desk.gather(content, *hers, *found)
    patient = resources.resolve(subject)
    if patient is None:
        return None
    return Choice(visit_event(content, before), patient, before, resources, change)


async def _diagnosis(
    change: Stored, content: Json, others: Sequence[Stored], partner: PartnerSettings, desk: Desk
) -> Choice | None:
    """Return the message of the visit to which a diagnosis belongs that changed alone."""
    found = await kin.visit_of(change, content, others, desk)
    if found is None or not await desk.meets(found, partner.sends.get("Encounter", "")):
        return None
    visit = fhirjson.loads(found.content)
    choice = await _visit(found, visit, visit, desk)
    if choice is None or choice.event in WITHOUT_DIAGNOSES:
        return None
    if change.is_deleted:  # when it was written before says nothing of that
        choice.resources.add(f"Condition/{change.logical_id}", content | {"meta": {}})
    return choice._replace(before=None, change=change)


async def _person(change: Stored, content: Json, before: Json | None, desk: Desk) -> Choice | None:
    resources = await desk.gather(*filter(None, (before, content)))
    if new_merges(content, before):
        return Choice("ADT^A40", content, before, resources, change)
    if undone_merges(content, before):
        return Choice("ADT^A37", content, before, resources, change)
    for survivor in [link["other"] for link in given_back(content, before)]:
        if found := await _left(change, survivor.get("reference", ""), desk):
            resources = await desk.gather(content, *found)
            return Choice("ADT^A37", found[0], found[1], resources, change)
    if content.get("active") is False:
        # of who was not in use before he knows nothing, or that
        is_news = before is not None and before.get("active") is not False
        return Choice("ADT^A29", content, before, resources, change) if is_news else None
    resources = await desk.gather(content, *await kin.kin(f"Patient/{change.logical_id}", desk))
    return Choice("ADT^A31", content, before, resources, change)


async def _beside(
    change: Stored, content: Json, partner: PartnerSettings, desk: Desk
) -> Choice | None:
    """Return ADT^A31 of the person of whom something changed that is told with her."""
    found = await kin.person_of(content, desk)
    if found is None or not await desk.meets(found[0], partner.sends.get("Patient", "")):
        return None
    stored, person = found
    hers = await kin.kin(f"Patient/{stored.logical_id}", desk)
    # if it was the last, there are none now; when it was written before says nothing of that
    gone = [{**content, "meta": {}}] if change.is_deleted else []
    resources = await desk.gather(person, *hers, *gone)
    return Choice("ADT^A31", person, None, resources, change)


async def _left(change: Stored, survivor: str, desk: Desk) -> tuple[Json, Json] | None:
    """Return who replaced a Patient until the commit of `change`, and as she was before, with her.

    None if that was undone in another commit, which told of it.
    """
    moment, logical_id = change.last_updated, survivor.removeprefix("Patient/")
    if not logical_id:
        return None
    page = await desk.store.history("Patient", logical_id, count=1, at=(moment, moment))
    for one in page.matches:
        if one.last_updated == moment and not one.is_deleted:
            content, before = fhirjson.loads(one.content), await desk.before(one)
            address = f"Patient/{change.logical_id}"
            gone = undone_merges(content, before)
            links = [link for link in gone if link["other"].get("reference") == address]
            return (content, (before or {}) | {"link": links}) if links else None
    return None
