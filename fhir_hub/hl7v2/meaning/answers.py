"""Who may answer a referral by a message: the institution that it was sent to, and nobody else.

An RRI finds its referral by the number (RF1-6). One from another facility is refused (AE).

Spec: DOMAIN 2.5b; HL7v2 chapter 11
"""

from collections.abc import Sequence

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidMessage
from fhir_hub.hl7v2.meaning.teller import Teller
from fhir_hub.hl7v2.things import Thing
from fhir_hub.identity.systems import BASE
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.store.base import Key

_ORGANIZATIONS = f"{BASE}/sid/organization"


async def require(unit: Unit, things: Sequence[Thing], teller: Teller) -> None:
    """Raise `InvalidMessage` if an RRI does not come from the institution that was asked."""
    if teller.message_type != "RRI" or not teller.facility:
        return
    for thing in things:
        if thing.resource["resourceType"] != "Task" or thing.stored is None:
            continue
        codes = await _codes(unit, thing.stored)
        if codes and teller.facility not in codes:
            raise InvalidMessage(
                "only the institution that was asked answers a referral / 仅转入机构可答复转诊",
                error_code="207",
                location="MSH-4",
            )


async def _codes(unit: Unit, task: Resource) -> set[str]:
    """Return the codes of the institution that a referral went to, none if it has none."""
    recipients = task.get("restriction", {}).get("recipient") or [task.get("owner", {})]
    kind, _, logical_id = recipients[0].get("reference", "").partition("/")
    stored = await unit.current(Key(kind, logical_id)) if kind == "Organization" else None
    if stored is None or stored.is_deleted:
        return set()
    organization: Resource = fhirjson.loads(stored.content)
    return {
        str(one.get("value"))
        for one in organization.get("identifier", ())
        if one.get("system") == _ORGANIZATIONS
    }
