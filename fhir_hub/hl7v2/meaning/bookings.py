"""A booking that is cancelled gives its slot back, even where the message does not name it.

Only a new booking or another time (S12, S13) books again what is over: a change of it (S14) does
not, nor does that of a referral (I13) open one that was cancelled. A message that comes late, of
a booking that is cancelled by then, takes no slot.

Spec: HL7v2 chapter 10, S12 to S17, chapter 11, I13; DOMAIN 2.5 (slot back to the pool)
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from fhir_hub import fhirjson
from fhir_hub.hl7v2.making.rules import who
from fhir_hub.hl7v2.storing.things import Thing
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.store.base import Key

_GONE = ("cancelled", "entered-in-error")
_STATE = ("status", "businessStatus", "statusReason")
# By the event of a change: the states in which it leaves what it changes.
_BOOKED: Mapping[str, tuple[str, ...]] = {"Appointment": (*_GONE, "noshow", "fulfilled")}
_CHANGES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("S14", "S18", "S19", "S20", "S21", "S22"), _BOOKED),
    "I13": {"ServiceRequest": ("revoked", _GONE[1]), "Task": _GONE},
}


def adjusted(stored: Resource, merged: Resource, new: Resource) -> Resource:
    """Return the Appointment with the times that go with its own.

    Where a message tells a start alone it is as long as before. When somebody was booked for
    another time, and how long that was, is over where the message does not tell it anew.
    """
    result, lasted = dict(merged), _length(stored)
    if lasted is not None and _length(new) == timedelta():  # a start alone
        end = datetime.fromisoformat(new["start"]) + lasted
        result["end"] = stored["end"] if new["start"] == stored["start"] else end.isoformat()
    if "minutesDuration" not in new and _length(result) != lasted:
        result.pop("minutesDuration", None)
    if result.get("start") != stored.get("start") and "participant" in result:
        told = [who(one) for one in new.get("participant", ()) if "period" in one]
        result["participant"] = [
            one if who(one) in told else {n: part for n, part in one.items() if n != "period"}
            for one in result["participant"]
        ]
    return result


def _length(booking: Resource) -> timedelta | None:
    if not {"start", "end"} <= booking.keys():
        return None
    return datetime.fromisoformat(booking["end"]) - datetime.fromisoformat(booking["start"])


def keep_over(things: Sequence[Thing], event: str) -> None:
    """Leave a booking or referral that is over its state where a message changes the rest of it."""
    states = _CHANGES.get(event, {})
    for thing in things if states else ():
        said, over = thing.resource, states.get(thing.resource_type, ())
        if (thing.stored or {}).get("status") in over and said.get("status") not in over:
            thing.leave_out(*_STATE)


async def free_slots(unit: Unit, things: Sequence[Thing]) -> None:
    """Stage the slots of each Appointment that the message cancels as free again.

    Those that it would take for one that is cancelled already are as they were.
    """
    for thing in things:
        if thing.resource_type != "Appointment":
            continue
        current = await unit.current(thing.key)
        held = fhirjson.loads(current.content) if current and current.content else {}
        if held.get("status") not in _GONE:
            continue
        if thing.resource.get("status") not in _GONE:
            await _give_back(unit, things)
        elif (thing.stored or {}).get("status") not in _GONE:  # else somebody may have it since
            for reference in held.get("slot", ()):
                address = str(reference.get("reference", ""))
                await _set(unit, address.partition("/")[2], "free")


async def _give_back(unit: Unit, things: Sequence[Thing]) -> None:
    for thing in things:
        if thing.resource_type == "Slot":
            before: Resource = thing.stored or {"status": "free"}
            await _set(unit, thing.logical_id, before.get("status", "free"))


async def _set(unit: Unit, logical_id: str, status: str) -> None:
    stored = await unit.current(Key("Slot", logical_id))
    if stored is None or stored.is_deleted:
        return
    slot = fhirjson.loads(stored.content)
    if slot.get("status") == "busy":
        await unit.update({**slot, "status": status}, logical_id)
