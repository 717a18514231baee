"""Find what is stored of that which a message is about and is no Patient: by number and by key.

One question a resource type finds who holds the numbers of its things, and all are asked at once;
which of them each thing is follows without another. What is another patient's is not it
(`meaning/whose.py`).

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir/mapping_guidelines.html
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from fhir_hub import fhirjson
from fhir_hub.errors import PreconditionFailed
from fhir_hub.hl7v2.conversion import facts
from fhir_hub.hl7v2.conversion.matches import code_of
from fhir_hub.hl7v2.making.drafts import keys_of
from fhir_hub.hl7v2.making.rules import REQUESTS
from fhir_hub.hl7v2.meaning import merged_visits, numbers_moved, orders
from fhir_hub.hl7v2.meaning.telling import Note
from fhir_hub.hl7v2.meaning.whose import Holders, Whose
from fhir_hub.hl7v2.storing import numbered_later, shared_facts
from fhir_hub.hl7v2.storing.merge import Resource
from fhir_hub.hl7v2.storing.parted import choose_named, choose_part, name_both, names_part
from fhir_hub.hl7v2.storing.things import Thing, numbers_of
from fhir_hub.identity import match, systems
from fhir_hub.identity.match import Number
from fhir_hub.repository.familiar import Asked, By
from fhir_hub.repository.unit import Unit
from fhir_hub.search.plan import Has, Is
from fhir_hub.store.base import Key, Stored

# Of these a message mostly tells no more than who and where: which one it is, is all that matters.
_NAMED = frozenset({"Organization", "Location", "Practitioner", "PractitionerRole", "Device"})
_SHORT = 500  # characters of numbers; what asks for longer ones is not kept
_SMALL = 16_384  # bytes of a resource that is kept as it was read


class _Sought(NamedTuple):
    """The things of a type that have numbers, and what is stored under these."""

    of_type: list[Thing]
    holders: Holders


async def find(
    unit: Unit, things: list[Thing], event: str, made: Iterable[Key], notes: list[Note]
) -> None:
    """Find what is no Patient by identifier and by key, all types at one step of the store.

    `made` is what the message was about when it was done before.
    """
    whose = Whose(things, event, made, notes)
    numbers_moved.settle(things)
    by_type: dict[str, list[Thing]] = {}
    for thing in things:
        if thing.numbers and thing.resource_type != "Patient":
            by_type.setdefault(thing.resource_type, []).append(thing)
    in_turn = sorted(by_type, key="DiagnosticReport".__eq__)  # after its results
    asked = {kind: _questions(kind, by_type[kind]) for kind in in_turn}
    await unit.ask_ahead([one for questions in asked.values() for one in questions])
    sought: list[_Sought] = []
    for resource_type, questions in asked.items():
        of_type = by_type[resource_type]
        holders = await _holders(unit, questions)
        if holders or resource_type == "ServiceRequest":
            sought.append(_Sought(of_type, holders))
    for patient in whose.unnumbered():
        await whose.find(unit, patient, sought)
    for of_type, holders in sought:
        await _choose_all(unit, of_type, holders, things, whose)
    await numbered_later.find_results(unit, things)
    await merged_visits.find_renumbered(unit, things, event)
    await merged_visits.find_merged(unit, things, event)
    name_both(things)
    whose.keep(things)


def _questions(resource_type: str, of_type: Sequence[Thing]) -> list[tuple[Asked, By]]:
    """Return what to ask for what is stored under the numbers and keys of the things of a type."""
    keys, wanted = set[Number](), set[Number]()
    for thing in of_type:
        converted = thing.converted
        own = keys_of(converted.resource)
        if own == converted.match:  # as every result is found
            keys.update(thing.numbers)
        else:
            wanted.update(thing.numbers)
            keys.update(numbers_of(own))
        if converted.earlier:
            by = keys if resource_type == "Observation" else wanted
            by.update(numbers_of(converted.earlier))
    questions: list[tuple[Asked, By]] = []
    if numbers := sorted(wanted - keys):
        is_named = resource_type in _NAMED and all(t.converted.mode == "create" for t in of_type)
        asked = (asked_again if is_named else _asked)(resource_type, numbers)
        questions.append((asked, "name" if is_named else "whole"))
    if keys:
        tests = tuple(Is(key.value, key.system) for key in sorted(keys))
        questions.append((Asked(resource_type, Has("_tag", "token", tests)), ""))
    return questions


async def _holders(unit: Unit, questions: Sequence[tuple[Asked, By]]) -> Holders:
    """Return what is found, under its numbers and keys, by logical id."""
    found: list[Stored] = []
    for asked, familiar in questions:
        found += await unit.answer(asked, familiar=familiar)
    holders: dict[Number, dict[str, Resource]] = {}
    read = _familiar_holder if [by for _, by in questions] == ["name"] else _holder
    for resource, held in map(read, [stored.content for stored in found]):
        for number in held:
            holders.setdefault(number, {})[resource["id"]] = resource
    return holders


async def _choose_all(
    unit: Unit, of_type: list[Thing], holders: Holders, things: list[Thing], whose: Whose
) -> None:
    """Have the things of a type found, each among what is of its patient, or of nobody."""
    theirs = whose.among(holders)
    named = [thing for thing in of_type if names_part(thing, theirs(thing))]
    apart = {id(thing) for thing in named}
    told = [thing for thing in of_type if id(thing) not in apart] if named else of_type
    for thing in told:
        _choose(thing, theirs(thing), things)
    if of_type[0].resource_type in facts.TYPES:
        shared_facts.choose(told, theirs)
    else:
        for thing in told:
            if thing.converted.earlier and not thing.logical_id:
                choose_part(thing, theirs(thing), told, things)
    if named:
        has_results = any(thing.resource_type == "DiagnosticReport" for thing in things)
        folded = await choose_named(unit, named, theirs, has_results=has_results)
        gone = {id(one) for one in folded}
        things[:] = [thing for thing in things if id(thing) not in gone]
    whose.note(of_type, holders)


def _asked(resource_type: str, numbers: Iterable[Number]) -> Asked:
    """Return the question who has one of the numbers."""
    return Asked(resource_type, match.plan_of(numbers))


def asked_again(resource_type: str, numbers: Sequence[Number]) -> Asked:
    """Return it of whom the messages of a feed name again and again."""
    is_short = sum([len(system) + len(value) for system, value in numbers]) < _SHORT
    return _asked_before(resource_type, *numbers) if is_short else _asked(resource_type, numbers)


@lru_cache(maxsize=2048)
def _asked_before(resource_type: str, *numbers: Number) -> Asked:
    return _asked(resource_type, numbers)


def _holder(content: bytes) -> tuple[Resource, set[Number]]:
    """Return a stored resource and the numbers that it is found by."""
    resource = fhirjson.reread(content)
    return resource, _held(resource)


@lru_cache(maxsize=512)
def _known_holder(content: bytes) -> tuple[Resource, set[Number]]:
    return _holder(content)


def _familiar_holder(content: bytes) -> tuple[Resource, set[Number]]:
    """Return it of staff and wards, which the messages of a feed name again and again."""
    return (_known_holder if len(content) < _SMALL else _holder)(content)


def _held(resource: Resource) -> set[Number]:
    identifiers = resource.get("identifier", ())
    listed = identifiers if isinstance(identifiers, list | tuple) else [identifiers]
    held = {
        Number(systems.canonical(one.get("system", "")), one["value"])
        for one in listed
        if "value" in one
    }
    tags = resource.get("meta", {}).get("tag", ())
    return held | {Number(one.get("system", ""), one.get("code", "")) for one in tags}


def _choose(
    thing: Thing, holders: Mapping[Number, Mapping[str, Resource]], things: list[Thing]
) -> None:
    """Have a thing found that its key or number finds; a number of several says nothing of one.

    That is so where it has a key of its own; without one nobody knows which is meant.
    """
    if orders.is_alone(thing) and orders.find_group(thing, holders, things):
        return
    for number in thing.numbers:
        found = list(holders.get(number, {}).values())
        if len(found) > 1 and thing.resource_type in facts.TYPES:
            if (meant := shared_facts.meant(thing.resource, found)) is not None:
                thing.found(meant)
                return
            continue
        if len(found) > 1:
            if keys_of(thing.resource):
                continue
            found = [one for one in found if one.get("status") != "entered-in-error"] or found
        if len(found) > 1 and thing.resource_type in REQUESTS:
            found = orders.meant(thing, found)
        if len(found) > 1:
            if asked := code_of(thing.resource):
                found = [one for one in found if code_of(one) == asked]
                if len(found) == 1:
                    thing.found(found[0])
                if len(found) < 2:
                    return
            raise PreconditionFailed(
                f"one identifier is held by {len(found)} resources"
                f" / 同一号码属于 {len(found)} 个资源",
                expression=f"{thing.resource_type}.identifier",
            )
        if found:
            thing.found(found[0])
            return
