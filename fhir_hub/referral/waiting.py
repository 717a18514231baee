"""The waiting list: a place that comes free goes to the first who waits for it, in the same write.

Who waits is an Appointment of the status `waitlist`. It names Slots, or, with `requestedPeriod`
and a participant whose Schedules they are, any Slot of that time. Whenever a Slot has more places
than before, those whom its pool lets in get them: urgent referrals first, then by how long they
wait. The Appointment is booked, the referral moves, the patient is told, or nothing of it happens.

Spec: https://hl7.org/fhir/R4/valueset-appointmentstatus.html (waitlist); DOMAIN 2.6
"""

from datetime import datetime, timedelta

from fhir_hub.clock import instant
from fhir_hub.errors import NotAllowed, NotInThisState, RuleBroken
from fhir_hub.identity.systems import BASE
from fhir_hub.referral.finding import Followed, find, plan_between, read
from fhir_hub.referral.places import resource_at
from fhir_hub.referral.pools import (
    Tables,
    orders_of,
    places,
    policy_of,
    require_open,
    start_of,
    with_extension,
)
from fhir_hub.referral.reading import at, codings, each, extension, key_of
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.store.base import Key

WAITING_SINCE = f"{BASE}/StructureDefinition/waiting-since"
EVENTS = f"{BASE}/CodeSystem/waiting-list-event"
WAITS = "waitlist"
_LOOKED_AHEAD = timedelta(days=28)
_RANKS = {"stat": 0, "asap": 1, "urgent": 2}
_OF_SCHEDULES = ("Practitioner", "PractitionerRole", "HealthcareService", "Location", "Device")
_TOLD = ("Patient", "RelatedPerson")
_CATEGORIES = "http://terminology.hl7.org/CodeSystem/communication-category"


def complete(before: Resource | None, appointment: Resource, now: datetime) -> Resource:
    """Return an Appointment with since when it waits, if it does: by the hub's clock alone."""
    listed = appointment.get("extension", [])
    is_list = isinstance(listed, list) and all(isinstance(one, dict) for one in listed)
    if appointment.get("status") != WAITS or not is_list:
        return appointment  # what is no list the checks refuse
    since = extension(before, WAITING_SINCE) if at(before, "status") == WAITS else None
    return with_extension(
        appointment, {"url": WAITING_SINCE, "valueDateTime": since or instant(now)}
    )


async def follow_slot(unit: Unit, followed: Followed, *, tables: Tables) -> None:
    """Give the places that a Slot has more than before to who waits for them."""
    before, slot = followed.before, followed.after
    if slot is not None and places(slot) > (0 if before is None else places(before)):
        await offer(unit, followed.key, tables)


async def follow_appointment(
    unit: Unit, followed: Followed, *, tables: Tables, is_strict: bool
) -> None:
    """Take up who begins to wait; he is booked at once where a place is free for him.

    Raises `RuleBroken` if a command says neither for which Slots nor for when and for whom.
    """
    before, appointment = followed.before, followed.after
    if at(appointment, "status") != WAITS or at(before, "status") == WAITS:
        return
    assert appointment is not None
    if is_strict and not slots_of(appointment) and not _is_wish(appointment):
        raise RuleBroken(
            "who waits names slots, or requestedPeriod with start and end and whose slots",
            expression="Appointment.slot",
        )
    for key in await slots_for(unit, appointment):
        await offer(unit, key, tables)


def slots_of(appointment: Resource) -> set[Key]:
    """Return the Slots that an Appointment names."""
    keys = (key_of(one) for one in each(appointment, "slot"))
    return {key for key in keys if key is not None and key.resource_type == "Slot"}


async def look_again(unit: Unit, appointment: Resource, tables: Tables) -> None:
    """Stage what the clock brings to one that waits: a place, since its pool opened, or the end."""
    for key in await slots_for(unit, appointment):
        await offer(unit, key, tables)
    current = await resource_at(unit.current, Key("Appointment", appointment["id"]))
    if current is None or current.get("status") != WAITS or not await _is_over(unit, current):
        return
    reason = {"text": "no place came free in time / 候补期内无号"}
    ended = current | {"status": "cancelled", "cancelationReason": reason}
    await unit.update(ended, current["id"])
    await tell(unit, current["id"], "wait-ended")


async def _is_over(unit: Unit, appointment: Resource) -> bool:
    """Say whether all that one waits for has begun."""
    ends = [_moment(one.get("end")) for one in each(appointment, "requestedPeriod")]
    for key in slots_of(appointment):
        slot = await resource_at(unit.current, key)
        ends.append(start_of(slot) if slot is not None else None)
    known = [one for one in ends if one is not None]
    return bool(known) and max(known) <= unit.now


async def slots_for(unit: Unit, appointment: Resource) -> list[Key]:
    """Return the Slots with a place that an Appointment that waits is for, the earliest first."""
    found: list[tuple[datetime, Key]] = []
    for key in await _wanted(unit, appointment):
        slot = await resource_at(unit.current, key)
        start = start_of(slot) if slot is not None else None
        if slot is not None and start is not None and places(slot) and start > unit.now:
            found.append((start, key))
    return [key for _, key in sorted(found)]


async def _wanted(unit: Unit, appointment: Resource) -> set[Key]:
    if (named := slots_of(appointment)) or not _is_wish(appointment):
        return named
    found = set()
    for period in each(appointment, "requestedPeriod"):
        first, end = _moment(period.get("start")), _moment(period.get("end"))
        if first is None or end is None:
            continue
        first, end = max(first, unit.now), min(end, unit.now + _LOOKED_AHEAD)
        for actor in _actors(appointment):
            for schedule in await find(unit, "Schedule", actor=actor):
                of = Key("Schedule", schedule.logical_id)
                plan = plan_between("Slot", "start", first, end, schedule=of, status="free")
                slots = [read(one) for one in await unit.find("Slot", plan)]
                found |= {Key("Slot", one["id"]) for one in slots if _fits(appointment, one)}
    return found


async def offer(unit: Unit, key: Key, tables: Tables) -> None:
    """Stage the booking of those who wait for a Slot, as many as it has places."""
    slot = await resource_at(unit.current, key)
    start = start_of(slot) if slot is not None else None
    if slot is None or start is None or start <= unit.now:
        return
    left, policy = places(slot), None
    for appointment in await _queue(unit, key, slot) if left else []:
        policy = policy or await policy_of(unit, slot, tables)
        try:
            await require_open(unit, slot, appointment, policy)
        except (NotInThisState, NotAllowed):
            continue  # the pool does not let him in now; the next one may be in
        times = {name: slot[name] for name in ("start", "end")}
        booked = appointment | times | {"status": "booked", "slot": [{"reference": "/".join(key)}]}
        await unit.update(booked, appointment["id"])
        await tell(unit, appointment["id"], "place-found")
        left -= 1
        if not left:
            return


async def _queue(unit: Unit, key: Key, slot: Resource) -> list[Resource]:
    """Return who waits for a Slot, the first of them first."""
    found = {
        one.logical_id: read(one) for one in await find(unit, "Appointment", slot=key, status=WAITS)
    }
    schedule = await resource_at(unit.current, key_of(slot.get("schedule"))) or {}
    for actor in each(schedule, "actor"):
        if (of := key_of(actor)) is not None:
            wishes = [read(one) for one in await find(unit, "Appointment", actor=of, status=WAITS)]
            found |= {one["id"]: one for one in wishes if _is_wish(one) and _fits(one, slot)}
    ranked = []
    for appointment in found.values():
        orders = await orders_of(unit, appointment)
        rank = min((_RANKS.get(str(one.get("priority")), 3) for one in orders), default=3)
        since = str(extension(appointment, WAITING_SINCE) or "")
        ranked.append((rank, since, appointment["id"], appointment))
    return [appointment for *_, appointment in sorted(ranked, key=lambda one: one[:3])]


def _is_wish(appointment: Resource) -> bool:
    """Say whether one waits for any slot of a time and of somebody, and names none."""
    periods = list(each(appointment, "requestedPeriod"))
    is_whole = bool(periods) and all(_moment(p.get(n)) for p in periods for n in ("start", "end"))
    return is_whole and not slots_of(appointment) and bool(_actors(appointment))


def _fits(appointment: Resource, slot: Resource) -> bool:
    """Say whether a Slot is in the time, and of the service, that is wished for."""
    start = start_of(slot)
    is_then = start is not None and any(
        (first := _moment(period.get("start"))) is not None
        and (end := _moment(period.get("end"))) is not None
        and first <= start < end
        for period in each(appointment, "requestedPeriod")
    )
    wished = {code for one in each(appointment, "serviceType") for code in codings(one)}
    offered = {code for one in each(slot, "serviceType") for code in codings(one)}
    return is_then and (not wished or not offered or bool(wished & offered))


def _actors(appointment: Resource) -> list[Key]:
    keys = (key_of(one.get("actor")) for one in each(appointment, "participant"))
    return [key for key in keys if key is not None and key.resource_type in _OF_SCHEDULES]


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


_TEXTS = {
    "place-found": "a place was found and is booked / 候补成功，已为您预约",
    "wait-ended": "no place was found in time / 候补未成功，已结束等待",
}


async def tell(unit: Unit, appointment_id: str, event: str) -> None:
    """Stage the notice to the patients of a staged Appointment: where, when and which number."""
    key = Key("Appointment", appointment_id)
    appointment = await resource_at(unit.current, key)
    actors = [one["actor"] for one in each(appointment, "participant") if key_of(one.get("actor"))]
    patients = [one for one in actors if one["reference"].partition("/")[0] in _TOLD]
    if not patients or appointment is None:
        return
    start = appointment.get("start", "")
    unit.create(
        {
            "resourceType": "Communication",
            "status": "completed",
            "category": [{"coding": [{"system": _CATEGORIES, "code": "notification"}]}],
            "topic": {"coding": [{"system": EVENTS, "code": event}]},
            "about": [{"reference": "/".join(key)}],
            "sent": instant(unit.now),
            "recipient": patients,
            "payload": [{"contentString": f"{_TEXTS[event]} {start}".strip()}],
        }
    )
