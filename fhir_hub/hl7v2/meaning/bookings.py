"""A booking that is cancelled gives its slot back, even where the message does not name it.

Spec: HL7v2 chapter 10, S15 to S17; DOMAIN 2.5 (slot back to the pool)
"""

from collections.abc import Sequence

from fhir_hub import fhirjson
from fhir_hub.hl7v2.things import Thing
from fhir_hub.repository.unit import Unit
from fhir_hub.store.base import Key


async def free_slots(unit: Unit, things: Sequence[Thing]) -> None:
    """Stage the slots of each Appointment that the message cancels as free again."""
    for thing in things:
        if thing.resource_type != "Appointment" or thing.resource.get("status") != "cancelled":
            continue
        if (thing.stored or {}).get("status") == "cancelled":  # somebody may have it since
            continue
        current = await unit.current(thing.key)
        held = fhirjson.loads(current.content) if current and current.content else {}
        if held.get("status") != "cancelled":  # an older message cancelled nothing
            continue
        for reference in held.get("slot", ()):
            key = Key("Slot", str(reference.get("reference", "")).partition("/")[2])
            stored = await unit.current(key)
            if stored is None or stored.is_deleted:
                continue
            slot = fhirjson.loads(stored.content)
            if slot["status"] == "busy":
                await unit.update({**slot, "status": "free"}, key.logical_id)
