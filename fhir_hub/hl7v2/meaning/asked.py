"""A referral that a message asks about (REF^I15): which one, and who may know how it stands.

Asking changes nothing. Who asks for the referral, who is asked, who gave it a number and a trusted
facility are told; to everybody else, and under another patient's name, there is no such referral,
in the same words as of one that is not known.

Spec: HL7v2 chapter 11, 11.3.1 (I15)
"""

from collections.abc import Sequence

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidMessage
from fhir_hub.hl7v2.meaning.answered import by_number
from fhir_hub.hl7v2.meaning.answered_first import codes_of
from fhir_hub.hl7v2.meaning.teller import Teller
from fhir_hub.hl7v2.meaning.telling import Telling
from fhir_hub.hl7v2.storing.things import Thing
from fhir_hub.identity.systems import authority_system
from fhir_hub.referral.finding import bookings_naming
from fhir_hub.referral.finding import find as find_related
from fhir_hub.referral.reading import at, each, key_of
from fhir_hub.referral.states import is_referral, state_of
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.store.base import Key

_UNSENT = ("draft", "audit")
_KEPT = ("pending", "booked", "arrived", "checked-in", "fulfilled", "noshow")


def is_asking(teller: Teller) -> bool:
    """Say whether a message asks how a referral stands, and tells nothing."""
    return (teller.message_type, teller.event) == ("REF", "I15")


async def find(unit: Unit, things: Sequence[Thing], telling: Telling) -> tuple[Key, ...]:
    """Return what is asked about: the referral's Task, its order, its patient, its bookings.

    Raises `InvalidMessage` if the message does not say which one it is, or there is none that who
    asks may know.
    """
    asked = [one for one in things if one.resource_type == "Task" and "identifier" in one.resource]
    if not asked:
        raise InvalidMessage(
            "which referral is asked about is not said / 未写所查询的转诊单号",
            error_code="101",
            location="RF1-6",
        )
    patients = [one.key for one in things if one.resource_type == "Patient" and one.stored]
    numbers = [str(one.get("value")) for one in asked[0].resource["identifier"]]
    stored = asked[0].stored
    found = [stored] if stored else (await by_number(unit, patients, numbers)).values()
    tasks = [one for one in found if is_referral(one) and await _may_know(unit, one, telling)]
    if len(tasks) != 1:
        raise InvalidMessage(
            "no referral has this number / 没有此转诊单号的转诊",
            error_code="204",
            location="RF1-6",
        )
    return await _keys(unit, tasks[0])


async def _may_know(unit: Unit, task: Resource, telling: Telling) -> bool:
    """Say whether who asks has to do with a referral; who is asked has once it was sent."""
    facility = telling.teller.facility
    if telling.is_trusted or facility in await codes_of(unit, task.get("requester")):
        return True
    state = state_of(task)
    if state is not None and state.name in _UNSENT:
        return False
    own = authority_system(facility)
    if facility and any(one.get("system") == own for one in each(task, "identifier")):
        return True
    asked = (at(task, "restriction", "recipient", 0), task.get("owner"))
    return any([facility in await codes_of(unit, one) for one in asked])


async def _keys(unit: Unit, task: Resource) -> tuple[Key, ...]:
    key, order = Key("Task", task["id"]), key_of(task.get("focus"))
    based_on = tuple(one for one in (key, order) if one)
    booked = await find_related(unit, "Appointment", based_on=based_on, status=_KEPT)
    booked += [
        one
        for one in await bookings_naming(unit, task)
        if fhirjson.loads(one.content).get("status") in _KEPT
    ]
    named = (
        key,
        order,
        key_of(task.get("for")),
        *(Key("Appointment", one.logical_id) for one in booked),
    )
    return tuple(dict.fromkeys(one for one in named if one))
