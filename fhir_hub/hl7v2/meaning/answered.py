"""Which referral an answer (RRI) or booking (SIU) is of, where its number is not known as such.

Some write the number without whose it is, and it is then taken for the answering hospital's; some
leave it out, and an answer says only to which message it is (MSA-2). So the number alone counts
among the referrals of the patient, then the message that told of one of them. An answer without a
number to nothing that is known is refused: no referral that comes later would ever find it.

Spec: HL7v2 chapter 11, 11.3.1 and chapter 2, MSA-2; DOMAIN 2.5b
"""

from collections.abc import Iterable, Sequence

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidMessage
from fhir_hub.hl7v2.meaning.teller import Teller
from fhir_hub.hl7v2.storing.things import Thing
from fhir_hub.identity.systems import authority_system
from fhir_hub.referral.finding import find as find_related
from fhir_hub.referral.finding import find_naming
from fhir_hub.referral.states import is_referral
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.search.plan import Is
from fhir_hub.store.base import Key


async def find(unit: Unit, things: Sequence[Thing], teller: Teller) -> None:
    """Have the referral found that no number (RF1-6, RF1-11, SCH-26) finds as it stands.

    Raises `InvalidMessage` if it has none by which its referral could ever be known.
    """
    if teller.message_type not in ("RRI", "SIU"):
        return
    patients = [one.key for one in things if one.resource_type == "Patient" and one.stored]
    if teller.message_type == "SIU":
        for thing in things:
            if thing.resource_type == "Appointment" and "basedOn" in thing.resource:
                await _find_booked(unit, patients, thing)
        return
    for thing in things:
        if thing.resource_type != "Task" or thing.stored or thing.is_anothers:
            continue
        placed = [one["value"] for one in thing.resource.get("identifier", ()) if _is_placed(one)]
        found = await by_number(unit, patients, placed)
        found = found or await _by_message(unit, patients, teller)
        if len(found) == 1:
            (stored,) = found.values()
            thing.found(stored)
            _leave_number(thing, stored)
        elif not placed:
            raise InvalidMessage(
                "the answer is to no referral that is known: RF1-6 is empty, and MSA-2 names no"
                " message about one"
                " / 未找到所答复的转诊：转诊单号（RF1-6）为空，MSA-2 也不是已知转诊的消息号",
                error_code="204",
                location="RF1-6",
            )


async def _find_booked(unit: Unit, patients: Iterable[Key], booking: Thing) -> None:
    """Have a booking name a referral of the patient by its number, said without whose that is."""
    named: list[Resource] = []
    for reference in booking.resource["basedOn"]:
        said = reference.get("identifier", {})
        number = Is(said.get("value"), said.get("system"))
        if number.code and not await find_related(unit, "ServiceRequest", identifier=number):
            found = [
                stored
                for one in patients
                for stored in await find_related(
                    unit,
                    "ServiceRequest",
                    patient=one,
                    identifier=number.code,
                    category="referral",
                )
            ]
            if len(found) == 1:
                held = fhirjson.loads(found[0].content)["identifier"]
                same = next(one for one in held if one.get("value") == number.code)
                reference = {**reference, "identifier": {**said, **same}}
        named.append(reference)
    if named != booking.resource["basedOn"]:
        booking.say({**booking.resource, "basedOn": named})


def _is_placed(number: Resource) -> bool:
    codings = number.get("type", {}).get("coding", ())
    return any(one.get("code") == "PLAC" for one in codings)


async def by_number(
    unit: Unit, patients: Iterable[Key], numbers: Iterable[str]
) -> dict[str, Resource]:
    """Return the patients' referrals that have one of the numbers, whosever it is, by id."""
    asked = [(patient, number) for patient in patients for number in numbers]
    found = [await find_related(unit, "Task", patient=one, identifier=of) for one, of in asked]
    return _referrals(stored.content for several in found for stored in several)


async def _by_message(unit: Unit, patients: Sequence[Key], teller: Teller) -> dict[str, Resource]:
    """Return the patient's referrals of which the message told that is answered."""
    if not teller.answers:
        return {}
    wanted = {f"Patient/{one.logical_id}" for one in patients}
    contents: list[bytes] = []
    for record in await find_naming(unit, "Provenance", "entity", Is(teller.answers)):
        told = fhirjson.loads(record.content)
        targets = [str(one.get("reference", "")) for one in told["target"]]
        if wanted.isdisjoint(targets) or _is_his(told, teller):
            continue
        tasks = [Key("Task", one.partition("/")[2]) for one in targets if one.startswith("Task/")]
        read = [await unit.current(one) for one in tasks]
        contents += [one.content for one in read if one is not None and not one.is_deleted]
    return _referrals(contents)


def _is_his(record: Resource, teller: Teller) -> bool:
    """Say whether a message is one that the institution sent that answers."""
    own = f"{authority_system(teller.facility)}/message"
    whats = (one.get("what", {}).get("identifier", {}) for one in record.get("entity", ()))
    return any(one.get("system") == own for one in whats)


def _referrals(contents: Iterable[bytes]) -> dict[str, Resource]:
    return {one["id"]: one for one in map(fhirjson.loads, contents) if is_referral(one)}


def _leave_number(thing: Thing, stored: Resource) -> None:
    """Leave out the referral's number as the answer has it, where it is known as another's."""
    known = {one.get("value") for one in stored.get("identifier", ())}
    said = thing.resource
    kept = [one for one in said.get("identifier", ()) if one.get("value") not in known]
    thing.leave_out("identifier")
    if kept:
        thing.say({**thing.resource, "identifier": kept})
