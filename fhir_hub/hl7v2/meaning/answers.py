"""Who may say what of a referral by a message: by its number (RF1-6), and as who was asked.

An answer (RRI) of another facility than the one that was asked is refused, unless that is trusted
(a platform that passes answers on), and so is a new referral (REF^I12) under the number of another.
A referral is of its patient: a message of another patient under its number is refused.

Spec: DOMAIN 2.5b; HL7v2 chapter 11
"""

from collections.abc import Sequence

from fhir_hub import fhirjson
from fhir_hub.errors import Duplicate, InvalidMessage
from fhir_hub.hl7v2.meaning import answered_first
from fhir_hub.hl7v2.meaning.teller import Teller, told_at
from fhir_hub.hl7v2.meaning.telling import Telling
from fhir_hub.hl7v2.storing.things import Thing
from fhir_hub.referral.states import state_of
from fhir_hub.repository.unit import Resource, Unit

_UNDECIDED = ("draft", "audit", "requested", "received", "info-requested")


async def require(unit: Unit, things: Sequence[Thing], telling: Telling) -> None:
    """Raise `InvalidMessage` if a referral's number is another patient's, or who answers it wrong.

    An RRI comes from the institution that was asked. Who asks stays as the referral says it.
    """
    teller = telling.teller
    if teller.message_type in ("REF", "RRI") and any(map(_is_anothers_referral, things)):
        raise InvalidMessage(
            "the referral of this number is another patient's / 该转诊单号属于其他患者",
            error_code="205",
            location="PID-3",
        )
    if teller.message_type == "REF":
        _leave_as_it_is(things)
    for thing in things if teller.message_type == "RRI" else ():
        if thing.resource["resourceType"] != "Task":
            continue
        _give_reason(thing)
        if thing.stored is None:
            if telling.is_trusted:
                answered_first.leave_parties_open(thing)
            continue
        asked = await answered_first.institutions_of(unit, thing.stored)
        is_passed_on = bool(asked and teller.facility) and teller.facility not in asked
        if is_passed_on and not telling.is_trusted:
            named = ", ".join(sorted(asked))
            raise InvalidMessage(
                f"only the institution that was asked answers a referral: {named} (or a platform"
                f" that passes answers on, if trusted_facilities has {teller.facility})"
                f" / 仅转入机构可答复转诊：{named}（代为转发的平台须列入 trusted_facilities）",
                error_code="207",
                location="MSH-4",
            )
        _leave_parties(thing, is_passed_on=is_passed_on)


def _leave_as_it_is(things: Sequence[Thing]) -> None:
    """Leave an order's status as it is once the referral is taken up.

    Its Task says then what becomes of it: I14 asks for a cancellation, I12 again opens nothing.
    """
    told = [one for one in things if one.converted.segment == "RF1"]
    states = [state_of(one.stored) for one in told if one.resource_type == "Task" and one.stored]
    is_settled = any(state and state.name not in _UNDECIDED for state in states)
    for thing in told:
        if thing.resource_type == "ServiceRequest" and thing.stored and is_settled:
            thing.leave_out("status")


def _give_reason(thing: Thing) -> None:
    """Have a refusal say why by its first note (NTE), where RF1 does not say it."""
    told = thing.resource
    if told.get("status") == "rejected" and told.get("note") and "statusReason" not in told:
        reason = {"text": told["note"][0]["text"]}
        thing.say({**told, "statusReason": reason})


def _leave_parties(thing: Thing, *, is_passed_on: bool) -> None:
    """Leave who asks and who is asked as the referral has them: MSH may name a hub between."""
    said, stored = dict(thing.resource), thing.stored or {}
    if "requester" in stored:
        said.pop("requester", None)
    restriction = dict(said.get("restriction", {}))
    if is_passed_on and said.get("owner") in restriction.get("recipient", ()):
        del said["owner"]  # as MSH-4 has it
    if "recipient" in stored.get("restriction", {}) and restriction.pop("recipient", None):
        said["restriction"] = {**stored["restriction"], **restriction}
    thing.say(said)


def _is_anothers_referral(thing: Thing) -> bool:
    return thing.is_anothers and thing.converted.segment == "RF1"


def require_same_order(unit: Unit, things: Sequence[Thing], teller: Teller) -> None:
    """Raise `Duplicate` if a new referral (REF^I12) has the number of another that says else.

    Who changes a referral says so (I13); the same one again changes nothing. One that its sender
    changed since (an I13 came before its I12) is no other: it adds what was not said again.
    """
    if (teller.message_type, teller.event) != ("REF", "I12"):
        return
    for thing in things:
        staged = unit.changes.get(thing.key) if thing.stored is not None else None
        if staged is None or thing.resource["resourceType"] != "ServiceRequest":
            continue
        if told_at(thing.stored or {}, teller) > teller.time > 0:
            continue
        if _said(fhirjson.loads(staged.content)) != _said(thing.stored):
            raise Duplicate(
                "another referral has this number, and says something else: change it by I13"
                " / 转诊单号已被使用且内容不同，请用 I13 事件修改",
                expression="RF1-6",
            )


def _said(order: Resource | None) -> bytes:
    """Return what an order says, without who told it and when, and what became of it."""
    own = ("id", "meta", "status")
    plain = {name: value for name, value in (order or {}).items() if name not in own}
    return fhirjson.canonical(plain)
