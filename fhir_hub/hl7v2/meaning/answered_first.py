"""A referral (REF) whose answer (RRI) came before it: it takes the place of what was answered.

Some answers have the number without whose it is; it is then taken for the answering institution's,
until the referral of the patient comes that has it. Who was asked is known by the referral alone:
an answer of somebody else is none, and one that a trusted facility passed on is that of who was
asked, so it names nobody itself.

Spec: HL7v2 chapter 11; DOMAIN 2.5b
"""

from collections.abc import Collection, Sequence
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.hl7v2.conversion.convert import with_resource
from fhir_hub.hl7v2.meaning.telling import Note, Telling
from fhir_hub.hl7v2.storing.things import Thing
from fhir_hub.identity.systems import BASE
from fhir_hub.referral.finding import find as find_related
from fhir_hub.referral.reading import at, each, has_code, key_of
from fhir_hub.referral.states import is_referral
from fhir_hub.repository.unit import Resource, Unit

_ORGANIZATIONS = f"{BASE}/sid/organization"


async def find(unit: Unit, things: Sequence[Thing], telling: Telling) -> None:
    """Have a referral found as what was answered before it came, if by who is asked."""
    tasks = [one for one in things if one.resource_type == "Task"]
    for thing in tasks if telling.teller.message_type == "REF" else ():
        stored, numbers = thing.stored, numbers_of(thing.resource)
        if stored is None and not thing.is_anothers:
            stored = await _by_number_alone(unit, things, numbers)
        if stored is None or key_of(stored.get("focus")) is not None:
            continue
        answered, asked = await institutions_of(unit, stored), _asked(thing, things)
        if not answered or not asked or not answered.isdisjoint(asked):
            kept = [one for one in each(stored, "identifier") if one.get("value") not in numbers]
            thing.found(stored if thing.stored else {**stored, "identifier": kept})
        elif thing.stored:
            thing.is_replaced = True
            telling.notes.append(Note("answer_of_another", "Task", stored["id"]))


def leave_parties_open(thing: Thing) -> None:
    """Leave out who was asked where a trusted facility passes an answer on: it is not known yet."""
    rest = {name: part for name, part in thing.resource.items() if name != "restriction"}
    restriction = dict(thing.resource.get("restriction", {}))
    if rest.get("owner") in restriction.pop("recipient", ()):
        del rest["owner"]
    rest |= {"restriction": restriction} if restriction else {}
    thing.converted = with_resource(thing.converted, rest)


def numbers_of(task: Resource) -> list[str]:
    """Return the numbers that who asks gave a referral, without whose they are."""
    identifiers = each(task, "identifier")
    return [str(one.get("value")) for one in identifiers if has_code(one.get("type"), "PLAC")]


async def institutions_of(unit: Unit, task: Resource) -> set[str]:
    """Return the codes of the institution that a referral went to, none if it has none."""
    asked = at(task, "restriction", "recipient", 0) or task.get("owner")
    key = key_of(asked)
    return await codes_of(unit, asked) if key and key.resource_type == "Organization" else set()


async def codes_of(unit: Unit, reference: Any) -> set[str]:
    """Return the codes of the institution that is referred to, or for which a role is held."""
    key = key_of(reference)
    stored = await unit.current(key) if key else None
    if stored is None or stored.is_deleted:
        return set()
    found: Resource = fhirjson.loads(stored.content)
    if found["resourceType"] == "PractitionerRole":
        return await codes_of(unit, found.get("organization"))
    return _codes(found) if found["resourceType"] == "Organization" else set()


async def _by_number_alone(
    unit: Unit, things: Sequence[Thing], numbers: Collection[str]
) -> Resource | None:
    """Return what is known of a referral of the patient by its answer, under a number alone."""
    patients = [one.key for one in things if one.resource_type == "Patient" and one.stored]
    found: dict[str, Resource] = {}
    for patient in patients:
        for number in numbers:
            for one in await find_related(unit, "Task", patient=patient, identifier=number):
                found[one.logical_id] = fhirjson.loads(one.content)
    waiting = [
        one
        for one in found.values()
        if is_referral(one)
        and key_of(one.get("focus")) is None
        and not set(numbers).isdisjoint(numbers_of(one))
    ]
    return waiting[0] if len(waiting) == 1 else None


def _asked(thing: Thing, things: Sequence[Thing]) -> set[str]:
    """Return the codes of the institution that a message asks."""
    url = at(thing.resource, "owner", "reference")
    named = [one for one in things if one.resource_type == "Organization" and url in one.full_urls]
    return {code for one in named for held in (one.resource, one.stored) for code in _codes(held)}


def _codes(organization: Resource | None) -> set[str]:
    identifiers = each(organization, "identifier")
    return {str(one.get("value")) for one in identifiers if one.get("system") == _ORGANIZATIONS}
