"""Residents whose care must not pause: dialysis, pregnancy, chemotherapy, emergencies.

They are registered by an EpisodeOfCare of a special programme (or their Appointment is of the kind
SPECIAL). When one does not come, whoever looks after them hears of it: a Task for the community
centre of the contract, else for who manages the programme, with a time to act. A message that says
so makes it at once; an Appointment that nobody moved on, the hub's clock.

Spec: DOMAIN 1.3 S19
"""

from datetime import timedelta

from fhir_hub.clock import instant
from fhir_hub.identity.systems import BASE
from fhir_hub.referral.contracts import contract_on, members
from fhir_hub.referral.finding import Followed, find, read
from fhir_hub.referral.reading import codings, each, key_of
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.store.base import Key

PROGRAMMES = f"{BASE}/CodeSystem/special-programme"
TASKS = f"{BASE}/CodeSystem/coordination-task"
_SPECIAL = "SPECIAL"
_MISSED = ("noshow",)


async def follow_appointment(unit: Unit, followed: Followed, *, minutes: int) -> None:
    """Have it looked into that a special resident did not come."""
    before, appointment = followed.before, followed.after
    if appointment is None or appointment.get("status") not in _MISSED:
        return
    if before is None or before.get("status") != appointment["status"]:
        await escalate(unit, followed.key, appointment, minutes)


async def escalate(unit: Unit, key: Key, appointment: Resource, minutes: int) -> None:
    """Stage the Task about a missed Appointment of a special resident, unless there is one."""
    patient = patient_of(appointment)
    if patient is None:
        return
    programmes = await programmes_of(unit, patient)
    is_special = any(code == _SPECIAL for _, code in codings(appointment.get("appointmentType")))
    if not programmes and not is_special:
        return
    if await find(unit, "Task", focus=key, code="missed-session"):
        return
    task = follow_up("missed-session", "未到诊，请随访", key, patient, await _owner(unit, patient))
    until = instant(unit.now + timedelta(minutes=minutes))
    unit.create(
        task
        | {
            "priority": "stat",
            "authoredOn": instant(unit.now),
            "restriction": {"period": {"end": until}},
        }
    )


def follow_up(code: str, text: str, focus: Key, patient: Key, owner: Resource | None) -> Resource:
    """Return a Task of the coordination of special residents."""
    made: Resource = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": TASKS, "code": code}], "text": text},
        "focus": {"reference": "/".join(focus)},
        "for": {"reference": "/".join(patient)},
    }
    return made | ({"owner": owner} if owner else {})


def patient_of(appointment: Resource) -> Key | None:
    """Return the Patient who takes part in an Appointment."""
    actors = (key_of(one.get("actor")) for one in each(appointment, "participant"))
    return next((key for key in actors if key is not None and key.resource_type == "Patient"), None)


async def programmes_of(unit: Unit, patient: Key) -> list[Resource]:
    """Return the special programmes that a patient is in now."""
    found = await find(unit, "EpisodeOfCare", patient=patient, status="active")
    return [
        one
        for one in map(read, found)
        if any(system == PROGRAMMES for kind in each(one, "type") for system, _ in codings(kind))
    ]


async def owner_of(unit: Unit, patient: Key) -> Resource | None:
    """Return the Reference to who looks after a special resident, None if nobody is known."""
    return await _owner(unit, patient)


async def _owner(unit: Unit, patient: Key) -> Resource | None:
    contract = await contract_on(unit, patient, unit.today)
    if contract is not None:
        for centre in members(contract, "community"):
            return {"reference": "/".join(centre)}
    for programme in await programmes_of(unit, patient):
        if key_of(manager := programme.get("managingOrganization")) is not None:
            return dict(manager)  # type: ignore[arg-type]  # a Reference, by its key
    return None
