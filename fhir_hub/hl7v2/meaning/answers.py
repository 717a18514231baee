"""Who may say what of a referral by a message: by its number (RF1-6), and as who was asked.

An answer (RRI) of another facility than the one that was asked is refused, and so is a new referral
(REF^I12) under the number of another. A referral is of its patient: a message of another patient
under its number is refused.

Spec: DOMAIN 2.5b; HL7v2 chapter 11
"""

from collections.abc import Sequence

from fhir_hub import fhirjson
from fhir_hub.errors import Duplicate, InvalidMessage
from fhir_hub.hl7v2.meaning.teller import Teller
from fhir_hub.hl7v2.storing.things import Thing
from fhir_hub.identity.systems import BASE
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.store.base import Key

_ORGANIZATIONS = f"{BASE}/sid/organization"


async def require(unit: Unit, things: Sequence[Thing], teller: Teller) -> None:
    """Raise `InvalidMessage` if a referral's number is another patient's, or who answers it wrong.

    An RRI comes from the institution that was asked.
    """
    if teller.message_type in ("REF", "RRI") and any(map(_is_anothers_referral, things)):
        raise InvalidMessage(
            "the referral of this number is another patient's / 该转诊单号属于其他患者",
            error_code="205",
            location="PID-3",
        )
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


def _is_anothers_referral(thing: Thing) -> bool:
    return thing.is_anothers and thing.converted.segment == "RF1"


def require_same_order(unit: Unit, things: Sequence[Thing], teller: Teller) -> None:
    """Raise `Duplicate` if a new referral (REF^I12) has the number of another that says else.

    Who changes a referral says so (I13); the same one again changes nothing.
    """
    if (teller.message_type, teller.event) != ("REF", "I12"):
        return
    for thing in things:
        staged = unit.changes.get(thing.key) if thing.stored is not None else None
        if staged is None or thing.resource["resourceType"] != "ServiceRequest":
            continue
        if _said(fhirjson.loads(staged.content)) != _said(thing.stored):
            raise Duplicate(
                "another referral has this number, and says something else: change it by REF^I13"
                " / 转诊单号已被使用且内容不同，请用 REF^I13 修改",
                expression="RF1-6",
            )


def _said(order: Resource | None) -> bytes:
    """Return what an order says, without who told it and when."""
    plain = {name: value for name, value in (order or {}).items() if name not in ("id", "meta")}
    return fhirjson.canonical(plain)


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
