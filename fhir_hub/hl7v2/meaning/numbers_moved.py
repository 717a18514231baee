"""Whose record a number goes to (A43), and which record loses it, if any does.

A number is nobody's while it moves: who had it is found by it, who gets it by what else the
message says of her. Where it says nothing else, or she has it already, nothing moves.

Spec: HL7v2 chapter 3, A43: PID-3 and MRG-1 have one value, PID-2 and MRG-4 say to and from whom
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_hub.hl7v2.storing.things import Thing
from fhir_hub.identity import match
from fhir_hub.identity.match import Number

Json = Mapping[str, Any]


def is_losing(thing: Thing) -> bool:
    """Say whether the message takes a number off a record."""
    return "identifier" in thing.converted.removes


def moving(patients: Sequence[Thing]) -> set[Number]:
    """Return the numbers that a message takes off the records that have them."""
    return {
        number
        for thing in patients
        if thing.stored
        for number in match.numbers(thing.converted.removes.get("identifier", ()))
        if number in match.numbers(thing.stored.get("identifier", ()))
    }


def find_holder(thing: Thing, resource: Json, patients: Sequence[Thing]) -> None:
    """Have a patient of no other number found as who has the moving ones, if that may be she.

    `resource` is what the message says of her without them.
    """
    if thing.stored or match.numbers(resource.get("identifier", ())):
        return
    for loser in patients:
        if loser.stored and is_losing(loser) and may_be(resource, loser.stored):
            thing.found(loser.stored)


def may_be(one: Json, other: Json) -> bool:
    """Say whether no birth date or name of two Patients denies that they are one."""
    born = {one.get("birthDate"), other.get("birthDate")} - {None}
    names = [{name.get("text") for name in who.get("name", ())} for who in (one, other)]
    return len(born) < 2 and (not all(names) or not names[0].isdisjoint(names[1]))


def is_left(thing: Thing) -> bool:
    """Say whether a Patient is whom a visit or an account is moved away from (A44, A45)."""
    said = thing.converted
    is_named = thing.resource_type == "Patient" and said.segment == "MRG"
    return is_named and said.mode == "create" and not is_losing(thing)


def settle(things: list[Thing]) -> None:
    """Leave out the records that lose nothing: unknown ones, and that of who has the number."""
    to: Thing | None = None
    for thing in [one for one in things if one.resource_type == "Patient"]:
        if is_left(thing):
            if thing.stored is None and to:
                things.remove(thing)
        elif not is_losing(thing):
            to = thing
        elif to and (thing.stored is None or thing.logical_id == to.logical_id):
            to.full_urls += thing.full_urls
            things.remove(thing)
