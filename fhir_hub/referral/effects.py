"""What a step of a referral brings about: the order follows, places come free, people are told.

Spec: DOMAIN 2.5 (side effects)
"""

from fhir_hub.clock import instant
from fhir_hub.identity.systems import BASE
from fhir_hub.referral.finding import bookings_naming, find, read
from fhir_hub.referral.institutions import resource_at
from fhir_hub.referral.reading import at, each, extension, key_of
from fhir_hub.referral.states import State, Step
from fhir_hub.referral.trail import audit_event, notice
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.store.base import Key, Stored

EXTENDABLE = f"{BASE}/StructureDefinition/prescription-extendable"
# what becomes of the order itself
_ORDER_STATUS = {
    "requested": "active",
    "cancellation requested": "active",  # until who was asked agrees
    "rejected": "revoked",
    "cancelled": "revoked",
    "expired": "revoked",
    "completed": "completed",
    "entered in error": "entered-in-error",
}
_FREES = ("rejected", "cancelled", "expired", "entered in error")
_TO_COME = ("proposed", "pending", "booked", "waitlist")


async def effects(
    unit: Unit, stored: Stored, row: Step, new: State, task: Resource, was: Resource | None
) -> None:
    """Stage what follows from a step."""
    order = await have_order_follow(unit, new, task)
    if order is not None and row.event == "submit" and task.get("partOf"):
        await _mark_extendable(unit, order)
    if row.event == "return":
        unit.create(_question(stored, task, was, unit))
    if row.event == "supplement" or (was is not None and new.name in _FREES):
        await _answer_questions(unit, Key("Task", stored.logical_id), row.event == "supplement")
    unit.create(audit_event(row, stored, task, unit.now))
    message = notice(row, new, stored, task, was, unit.now)
    if message is not None and new.status != "draft":  # until then it is the sender's own affair
        unit.create(message)


async def have_order_follow(unit: Unit, new: State, task: Resource) -> Resource | None:
    """Stage the order of a referral in the state that goes with the referral's, and return it."""
    order_key = key_of(task.get("focus"))
    order = await resource_at(unit, order_key)
    if order is None or order_key is None or order["resourceType"] != "ServiceRequest":
        return None
    status = _ORDER_STATUS.get(new.name)
    if status is not None and order.get("status") != status:
        await unit.update(order | {"status": status}, order["id"])
    if new.name in _FREES:
        await _free(unit, order_key, task)
    return order


async def _free(unit: Unit, order: Key, task: Resource) -> None:
    """Cancel the appointments that are still to come of a referral that is no more."""
    reason = task.get("statusReason") or {"text": "the referral ended / 转诊已终止"}
    booked = await find(unit, "Appointment", based_on=order, status=_TO_COME)
    for stored in (*booked, *await bookings_naming(unit, task)):
        appointment = read(stored)
        if appointment.get("status") in _TO_COME:
            cancelled = {"status": "cancelled", "cancelationReason": reason}
            await unit.update(appointment | cancelled, stored.logical_id)


async def _mark_extendable(unit: Unit, order: Resource) -> None:
    """Mark the prescriptions that go back down with a referral: the centre may extend them."""
    for reference in each(order, "supportingInfo"):
        key = key_of(reference)
        drug = await resource_at(unit, key)
        if key is None or drug is None or drug["resourceType"] != "MedicationRequest":
            continue
        if drug.get("status") == "active" and extension(drug, EXTENDABLE) is None:
            mark = {"url": EXTENDABLE, "valueBoolean": True}
            changed = drug | {"extension": [*drug.get("extension", ()), mark]}
            await unit.update(changed, key.logical_id)


def _question(stored: Stored, task: Resource, was: Resource | None, unit: Unit) -> Resource:
    """Return the request for more information, to whoever asked for the referral."""
    said = len(list(each(was, "note")))
    notes = [str(one.get("text", "")) for one in list(each(task, "note"))[said:]]
    reason = at(task, "statusReason", "text") or at(task, "statusReason", "coding", 0, "display")
    text = "\n".join(one for one in (*notes, str(reason or "")) if one)
    made: Resource = {
        "resourceType": "CommunicationRequest",
        "basedOn": [{"reference": f"Task/{stored.logical_id}"}],
        "status": "active",
        "authoredOn": instant(unit.now),
        "payload": [{"contentString": text or "supplement / 请补充"}],
    }
    if isinstance(at(task, "for", "reference"), str):
        made["subject"] = task["for"]
    if isinstance(at(task, "owner", "reference"), str):
        made["requester"] = task["owner"]
    if isinstance(at(task, "requester", "reference"), str):
        made["recipient"] = [task["requester"]]
    return made


async def _answer_questions(unit: Unit, task: Key, is_answered: bool) -> None:
    """Close the requests for more information."""
    status = "completed" if is_answered else "revoked"
    for stored in await find(unit, "CommunicationRequest", based_on=task, status="active"):
        await unit.update(read(stored) | {"status": status}, stored.logical_id)
