"""What bookings, visits and reports say of a referral: its Task moves with them.

Whoever speaks no Task moves a referral all the same: an Appointment that is booked for it,
cancelled or not kept, an Encounter at the recipient, a report of that Encounter. Each becomes the
event of the table that it means. A booking before the acceptance is taken and says what it
implies; a booking that the state rules out is refused; whatever else the state rules out says
nothing about the referral.

Spec: DOMAIN 2.5
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from fhir_hub import fhirjson
from fhir_hub.errors import NotInThisState
from fhir_hub.referral.finding import Followed, bookings_naming, find, number_in, plan_between, read
from fhir_hub.referral.institutions import institution_of, resource_at
from fhir_hub.referral.reading import at, each, key_of, moment
from fhir_hub.referral.states import TERMINAL, allowed, state_of, step
from fhir_hub.referral.tasks import (
    advance,
    another_patient,
    is_referral_order,
    is_same_patient,
    tasks_of,
)
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.search.plan import Is
from fhir_hub.store.base import Key, Stored

_OF_APPOINTMENT = {
    "booked": "scheduled",
    "cancelled": "appointment cancelled",
    "noshow": "unattended",
    "arrived": "arrived",
    "checked-in": "arrived",
    "fulfilled": "seen",
}
_OF_ENCOUNTER = {
    "arrived": "arrived",
    "triaged": "arrived",
    "in-progress": "arrived",
    "onleave": "arrived",
    "finished": "seen",
}
_BEFORE = timedelta(hours=2)  # how early somebody comes who is booked
_UNDECIDED = ("requested", "received")
_OF_TIME_GIVEN = ("scheduled", "unattended")  # what implies that it was accepted


async def follow_appointment(unit: Unit, followed: Followed) -> None:
    """Move the referrals that an Appointment is based on; raises `NotInThisState`."""
    key, before, appointment = followed
    if appointment is None:
        appointment = (before or {}) | {"status": "cancelled"}
    target = _OF_APPOINTMENT.get(str(appointment.get("status")))
    if target is None:
        return
    if before and before.get("status") == appointment.get("status"):
        if target == "scheduled" and before.get("start") != appointment.get("start"):
            await _meet_moved(unit, appointment)
        return
    for order in await _orders(unit, appointment):
        await _require_patient(unit, appointment, order)
        await _move(unit, order, target, key, "appointment", must=target == "scheduled")


async def _require_patient(unit: Unit, appointment: Resource, order: Resource) -> None:
    """Raise `RuleBroken` if an Appointment books the referral of another patient."""
    booked = [key_of(one.get("actor")) for one in each(appointment, "participant")]
    patients = [one for one in booked if one is not None and one.resource_type == "Patient"]
    wanted = key_of(order.get("subject"))
    if wanted is None or not patients:
        return
    if not any([one == wanted or await is_same_patient(unit, one, wanted) for one in patients]):
        raise another_patient("Appointment.participant")


async def follow_task(unit: Unit, followed: Followed) -> None:
    """Book a referral that comes after its booking: the Appointment named it by its number.

    So is it with one whose answer came first: until the order comes only its number is known.
    """
    key, before, task = followed
    state = None if task is None else state_of(task)
    if task is None or state is None:
        return
    if state.name == "scheduled" and (before is None or state_of(before) != state):
        await _meet(unit, task)
    if before and key_of(before.get("focus")):
        return
    if state.name != "requested" and key_of(task.get("focus")) is None:
        return
    named = [await _booked(unit, one, task) for one in await bookings_naming(unit, task)]
    told = [(_OF_APPOINTMENT.get(str(read(one).get("status")), ""), one) for one in named]
    for target, booking in sorted(told, key=lambda pair: pair[0] == "scheduled"):
        current = await unit.current(key)
        if current is not None and step(state.name, target) is not None:
            source = Key("Appointment", booking.logical_id)
            await _advance_told(unit, current, target, source, "appointment")


async def _booked(unit: Unit, stored: Stored, task: Resource) -> Stored:
    """Have an Appointment name a referral under the number that it has, and return it."""
    appointment = read(stored)
    known = [Is(one.get("value"), one.get("system")) for one in each(task, "identifier")]
    systems = {one.code: one.system for one in reversed(known) if one.system}
    named = [
        one | {"identifier": {**one["identifier"], "system": systems[number.code]}}
        if (number := number_in(one)).code in systems and number not in known
        else one
        for one in each(appointment, "basedOn")
    ]
    if named == appointment["basedOn"]:
        return stored
    await unit.update(appointment | {"basedOn": named}, stored.logical_id)
    return await unit.current(Key("Appointment", stored.logical_id)) or stored


async def follow_encounter(unit: Unit, followed: Followed) -> None:
    """Move the referral that a visit at its recipient belongs to, and tie the visit to it."""
    key, encounter = followed.key, followed.after or {}
    target = _OF_ENCOUNTER.get(str(encounter.get("status")))
    if target is None:
        return
    orders = await _orders(unit, encounter)
    if not orders:
        orders = await _orders_met(unit, encounter)
        if orders:
            based = [{"reference": f"ServiceRequest/{one['id']}"} for one in orders]
            await unit.update(encounter | {"basedOn": based}, key.logical_id)
    is_tied = bool(followed.before) and "basedOn" not in (followed.before or {})
    for order in orders:
        await _move(unit, order, target, key, "encounter")
        for kind in ("DiagnosticReport", "DocumentReference") if is_tied else ():
            for report in await find(unit, kind, encounter=key):
                await _move(unit, order, "seen", Key(kind, report.logical_id), "report")


async def _meet_moved(unit: Unit, appointment: Resource) -> None:
    """Tie the visit to a referral whose booking is moved to when that was."""
    for order in await _orders(unit, appointment):
        for stored in await tasks_of(unit, Key("ServiceRequest", order["id"])):
            task = read(stored)
            state = state_of(task)
            if state is not None and state.name == "scheduled":
                await _meet(unit, task)


async def _meet(unit: Unit, task: Resource) -> None:
    """Tie the visit to a referral that is booked now, though the visit was told before that."""
    patient, order = key_of(task.get("for")), key_of(task.get("focus"))
    if patient is None or order is None:
        return
    to = [await institution_of(unit, one) for one in each(task, "restriction", "recipient")]
    for start in await _starts(unit, task):
        first = start - _BEFORE
        end = start.replace(hour=0, minute=0, second=0) + timedelta(days=1)
        wanted = plan_between("Encounter", "date", first, end, patient=patient)
        for stored in await unit.find("Encounter", wanted):
            visit = read(stored)
            if "basedOn" in visit or visit.get("status") not in _OF_ENCOUNTER:
                continue
            place = await institution_of(unit, visit.get("serviceProvider"))
            if place is not None and place in to:
                based = [{"reference": "/".join(order)}]
                await unit.update(visit | {"basedOn": based}, stored.logical_id)


async def follow_report(unit: Unit, followed: Followed) -> None:
    """Add a report of a referral's visit to the Task's output: the visit has begun to tell."""
    key, report = followed.key, followed.after or {}
    visit = key_of(report.get("encounter")) or key_of(at(report, "context", "encounter", 0))
    encounter = None if visit is None else unit.staged(visit)
    if encounter is None and (encounter := await resource_at(unit, visit)) is None:
        return
    if "basedOn" not in encounter:  # as of nearly all visits
        return
    for order in await _orders(unit, encounter):
        await _move(unit, order, "seen", key, "report")


async def _orders(unit: Unit, resource: Resource) -> list[Resource]:
    """Return the referrals that a resource is based on, by their ids or by their numbers."""
    orders: list[Resource] = []
    for reference in each(resource, "basedOn"):
        key = key_of(reference)
        found: list[Stored | None] = []
        if key is not None:
            found = [await unit.current(key)]
        elif isinstance(value := at(reference, "identifier", "value"), str):
            number = Is(value, at(reference, "identifier", "system"))
            found += await find(unit, "ServiceRequest", identifier=number)
        orders += _living(found)
    return orders


def _living(found: list[Stored | None]) -> Iterator[Resource]:
    for stored in found:
        if (
            stored is not None
            and not stored.is_deleted
            and stored.resource_type == "ServiceRequest"
        ):
            order = fhirjson.loads(stored.content)
            if is_referral_order(order):
                yield order


async def _orders_met(unit: Unit, encounter: Resource) -> list[Resource]:
    """Return the referral of the patient to this institution that is booked for this day."""
    patient, day = key_of(encounter.get("subject")), str(at(encounter, "period", "start"))[:10]
    if patient is None or len(day) < 10:
        return []
    place = await institution_of(unit, encounter.get("serviceProvider"))
    if place is None:
        return []
    orders = await find(
        unit, "ServiceRequest", patient=patient, status="active", category="referral"
    )
    met: list[Resource] = []
    for stored in orders:
        for task in await tasks_of(unit, Key("ServiceRequest", stored.logical_id)):
            content = fhirjson.loads(task.content)
            to = [
                await institution_of(unit, one) for one in each(content, "restriction", "recipient")
            ]
            if place in to and day in await _days(unit, content):
                met.append(fhirjson.loads(stored.content))
    return met


async def _days(unit: Unit, task: Resource) -> set[str]:
    """Return the days for which a referral is booked."""
    return {str(one.get("start"))[:10] for one in await _booked_for(unit, task)}


async def _starts(unit: Unit, task: Resource) -> list[datetime]:
    """Return the moments for which a referral is booked."""
    booked = [one for one in await _booked_for(unit, task) if one.get("status") == "booked"]
    return [start for one in booked if (start := moment(one.get("start"))) is not None]


async def _booked_for(unit: Unit, task: Resource) -> list[Resource]:
    keys = (key_of(output.get("valueReference")) for output in each(task, "output"))
    of_type = [key for key in keys if key is not None and key.resource_type == "Appointment"]
    found = [await unit.current(key) for key in of_type]
    return [fhirjson.loads(one.content) for one in found if one is not None and not one.is_deleted]


async def _move(
    unit: Unit, order: Resource, target: str, source: Key, kind: str, *, must: bool = False
) -> None:
    """Stage the event that `source` means for the Tasks of a referral."""
    for stored in await tasks_of(unit, Key("ServiceRequest", order["id"])):
        task = fhirjson.loads(stored.content)
        state = state_of(task)
        if state is None:
            continue
        elements: Resource = {"output": _with_output(task, source, kind)}
        if step(state.name, target) is not None:
            await _advance_told(unit, stored, target, source, kind)
        elif state.name == target or (target == "seen" and state.name not in TERMINAL):
            await unit.update(task | elements, stored.logical_id)
        elif must:
            events = ", ".join(allowed(state.name)) or "none"
            raise NotInThisState(
                f"the referral is {state.name} and cannot be booked; events allowed now: {events}",
                expression="Appointment.basedOn",
            )


async def _advance_told(unit: Unit, stored: Stored, target: str, source: Key, kind: str) -> None:
    """Stage the step that a record means, with what it implies."""
    task = fhirjson.loads(stored.content)
    state = state_of(task)
    elements: Resource = {"output": _with_output(task, source, kind)}
    if state is not None and state.name in _UNDECIDED and target in _OF_TIME_GIVEN:
        inferred = {"text": f"inferred from the {kind} / 由预约推断已接收"}
        elements["note"] = [*each(task, "note"), inferred]
    await advance(unit, stored, target, **elements)


def _with_output(task: Resource, source: Key, kind: str) -> list[Resource]:
    """Return the Task's output with one more reference, which it has once."""
    address = "/".join(source)
    there = list(each(task, "output"))
    if any(at(one, "valueReference", "reference") == address for one in there):
        return there
    return [*there, {"type": {"text": kind}, "valueReference": {"reference": address}}]
