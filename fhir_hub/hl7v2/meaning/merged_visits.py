"""Visits that are one: a visit that goes into another one, or that gets another number.

A42 takes a visit into another one: it stays readable, entered in error and part of that. A50 and
A51 give a visit a number beside the one that it has; what came early under the new one may have
made a visit of its own, which goes into it.

Spec: HL7v2 chapter 3, A42, A50, A51
"""

from collections.abc import Mapping, Sequence

from fhir_hub import fhirjson
from fhir_hub.hl7v2.meaning.referrers import address_in, key_at, lead_on
from fhir_hub.hl7v2.storing.things import Thing, is_anothers
from fhir_hub.identity import match
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.search.parameters import Parameters

IN_ERROR = "entered-in-error"
_NUMBERED = ("A50", "A51")


async def find_renumbered(unit: Unit, things: Sequence[Thing], event: str) -> None:
    """Have a visit that gets another number (A50, A51) found by the one that it had.

    What came early under its new number may have made a visit of its own, which goes into it.
    """
    for thing in _renumbered(things, event):
        for stored in await unit.find("Encounter", match.plan_of(thing.numbers[-1:])):
            prior = fhirjson.loads(stored.content)
            if is_anothers(prior, thing.stored or {}):
                continue
            if prior.get("status") != IN_ERROR and prior["id"] != thing.logical_id:
                thing.found(prior)


def _renumbered(things: Sequence[Thing], event: str) -> list[Thing]:
    return [
        one
        for one in (things if event in _NUMBERED else ())
        if one.resource_type == "Encounter" and one.stored and len(one.numbers) > 1
    ]


async def find_merged(unit: Unit, things: Sequence[Thing], event: str) -> None:
    """Have what an ADT event tells of a visit that was merged away told of the one that is left.

    That has its own numbers; that the one merged away never was (A11) cancels nothing there.
    """
    for thing in things if event[:1] == "A" else ():
        if thing.converted.segment == "MRG" or not _is_merged(thing):
            continue
        chain = await _chain(unit, thing.stored or {})
        if chain and thing.resource.get("status") != "cancelled":
            thing.leave_out("identifier")
            thing.found(chain[-1])


async def merged_into(unit: Unit, things: Sequence[Thing]) -> dict[str, str]:
    """Return the addresses of the visits that the message's were merged into, by full url.

    What is told of such a visit by its number alone leaves it in error.
    """
    found = dict[str, str]()
    for thing in things:
        if thing.resource_type != "Encounter" or not _is_merged(thing):  # as nearly always
            continue
        if chain := await _chain(unit, thing.stored or {}):
            found |= dict.fromkeys(thing.full_urls, f"Encounter/{chain[-1]['id']}")
            thing.is_left = thing.is_left or thing.converted.segment != "MRG"
    return found


def _is_merged(thing: Thing) -> bool:
    stored = thing.stored if thing.resource_type == "Encounter" else None
    return stored is not None and stored.get("status") == IN_ERROR and "partOf" in stored


async def _chain(unit: Unit, visit: Resource) -> list[Resource]:
    """Return the visits that one was merged into, one after another.

    Such a visit is entered in error and part of that one (A42, A50), which may be so too.
    """
    chain, seen = list[Resource](), set[str]()
    while visit and visit.get("status") == IN_ERROR:
        seen.add(f"Encounter/{visit['id']}")
        into = address_in(visit, "partOf")
        stored = await unit.current(key_at(into)) if into and into not in seen else None
        following = fhirjson.loads(stored.content) if stored and stored.content else None
        if following is None or is_anothers(visit, following):
            break
        chain.append(following)
        visit = following
    return chain


async def follow(
    unit: Unit,
    things: Sequence[Thing],
    addresses: Mapping[str, str],
    event: str,
    parameters: Parameters,
) -> None:
    """Stage what refers to a visit that goes into another one, and what came early under a number.

    `addresses` are those of the message's full urls.
    """
    for thing in things if event == "A42" else ():
        if thing.resource_type == "Encounter" and thing.stored and thing.converted.segment == "MRG":
            into = address_in(thing.resource, "partOf")
            to = addresses.get(into, into)
            if into and to != thing.address:
                await lead_on(unit, thing.address, {thing.address: to}, parameters)
    for thing in _renumbered(things, event):
        await _take_in(unit, thing, parameters)


async def _take_in(unit: Unit, visit: Thing, parameters: Parameters) -> None:
    """Stage other visits of the numbers that a visit has now as part of it, made in error."""
    for stored in await unit.find("Encounter", match.plan_of(visit.numbers)):
        early: Resource = fhirjson.loads(stored.content)
        if is_anothers(early, visit.stored or {}):
            continue
        if stored.logical_id != visit.logical_id and early.get("status") != IN_ERROR:
            part = {"status": IN_ERROR, "partOf": {"reference": visit.address}}
            await unit.update(early | part, stored.logical_id)
            address = f"Encounter/{stored.logical_id}"
            await lead_on(unit, address, {address: visit.address}, parameters)
