"""What belongs to a visit or an account goes with it to another patient (A44, A45).

A number (A43) takes along what was told under it: `numbers_take_along`.

Spec: HL7v2 chapter 3, A43 to A45; 3.6.2.1.4, move: all that is subordinate moves along
"""

from collections.abc import Mapping, Sequence

from fhir_hub import fhirjson
from fhir_hub.hl7v2.meaning import numbers_moved, numbers_take_along
from fhir_hub.hl7v2.meaning.merged_visits import IN_ERROR
from fhir_hub.hl7v2.meaning.referrers import address_in, change, key_at, lead_on, referring
from fhir_hub.hl7v2.meaning.telling import Telling
from fhir_hub.hl7v2.storing.things import Thing, patients_of
from fhir_hub.identity import match, merging
from fhir_hub.r4.references import find_references
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.search.parameters import Parameters

_MOVED = {"A43": "Patient", "A44": "Account", "A45": "Encounter"}


async def mark(things: Sequence[Thing], event: str, telling: Telling) -> None:
    """Tag a visit or an account that moves with whom it leaves: messages may still name her.

    One that was moved since stays where it is.
    """
    urls = {url: one.address for one in things for url in one.full_urls}
    for thing in things:
        if thing.key[0] != _MOVED.get(event) or not thing.stored:
            continue
        if event != "A43" and await telling.has_since((event,), thing.key):
            thing.leave_out("subject")
        to = {urls.get(one, one) for one in patients_of(thing.resource)}
        for address in patients_of(thing.stored):
            if address in to:
                continue
            logical_id = address.partition("/")[2]
            resource = merging.tagged(thing.resource, merging.MOVED, logical_id)
            thing.converted = thing.converted._replace(resource=resource)


async def follow(
    unit: Unit,
    things: Sequence[Thing],
    addresses: Mapping[str, str],
    event: str,
    parameters: Parameters,
) -> None:
    """Stage what refers to a visit or an account that moved, or came under a number that did.

    `addresses` are those of the message's full urls.
    """
    if event == "A43":
        await numbers_take_along.follow(unit, things, parameters)
        return
    for thing in things if event in _MOVED else ():
        if thing.resource_type != _MOVED[event] or not thing.stored:
            continue
        old, new = (address_in(one, "subject") for one in (thing.stored, thing.resource))
        if old and new:
            to = addresses.get(new, new)
            await _move(unit, thing, {old: to}, parameters)
            await _take_from(unit, thing, things, to, parameters)


async def _move(
    unit: Unit, thing: Thing, changes: Mapping[str, str], parameters: Parameters
) -> None:
    """Stage a thing with its patient changed, where an older message left her, and what is of it.

    An account has its visits go along.
    """
    current = await unit.current(thing.key)
    whose = patients_of(fhirjson.loads(current.content)) if current else ()
    if current and any(changes.get(one, one) != one for one in whose):
        await change(unit, current, changes)
    if any(old != new for old, new in changes.items()):
        await lead_on(unit, thing.address, changes, parameters)
    if thing.resource_type == "Account":
        await _take_visits(unit, thing, changes, parameters)


async def _take_from(
    unit: Unit, thing: Thing, things: Sequence[Thing], to: str, parameters: Parameters
) -> None:
    """Stage what whom a visit or account leaves has of its numbers as part of it, made in error.

    That is so where the patient `to` whom it goes had one of her own already.
    """
    left = {one.address for one in things if numbers_moved.is_left(one)} - {to}
    kind = thing.resource_type
    for stored in await unit.find(kind, match.plan_of(thing.numbers)) if left else ():
        wrong: Resource = fhirjson.loads(stored.content)
        whose = left.intersection(patients_of(wrong))
        if not whose or wrong.get("status") == IN_ERROR:
            continue
        old = Thing(thing.converted, kind, [], stored.logical_id, wrong)
        changes = {old.address: thing.address, **dict.fromkeys(whose, to)}
        part = {"status": IN_ERROR, "partOf": {"reference": thing.address}}
        await change(unit, stored._replace(content=fhirjson.dumps(wrong | part)), changes)
        await lead_on(unit, old.address, changes, parameters)
        if kind == "Account":
            await _take_visits(unit, old, changes, parameters)


async def _take_visits(
    unit: Unit, account: Thing, changes: Mapping[str, str], parameters: Parameters
) -> None:
    """Stage an account's visits, and what refers to them, with their references changed.

    Its visits name it; one that a charge of it names is of it too, if it names no other.
    """
    visits: dict[str, None] = {}
    async for address, stored in referring(unit, account.address, parameters):
        named = find_references(fhirjson.loads(stored.content))
        every = address, *(one["reference"] for one, _ in named)
        visits |= dict.fromkeys(one for one in every if one.startswith("Encounter/"))
    for address in visits:
        visit = await unit.current(key_at(address))
        of = address_in(fhirjson.loads(visit.content), "account") if visit else "none"
        if visit and of in ("", account.address):
            await change(unit, visit, changes)
            await lead_on(unit, address, changes, parameters)
