"""What belongs to a visit, an account or a number goes with it, to another patient or visit.

A45 takes a visit to another patient, A44 an account, A43 a number: what was told under it is from
then on the patient's who has it. A42 takes a visit into another one: it stays readable, entered
in error and part of that. So that a number can take along what is its, the Provenance of a message
says by which numbers it named the patient, where she has others too.

Spec: HL7v2 chapter 3, A42 to A45; 3.6.2.1.4, move: all that is subordinate moves along
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from fhir_hub import fhirjson
from fhir_hub.hl7v2.conversion.convert import with_resource
from fhir_hub.hl7v2.meaning import numbers_moved
from fhir_hub.hl7v2.meaning.telling import Telling
from fhir_hub.hl7v2.storing.things import Thing, is_anothers, patients_of
from fhir_hub.identity import match, merging, review_tasks, systems
from fhir_hub.identity.match import Number
from fhir_hub.r4.references import RECORDS, find_references
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.search.parameters import Parameters
from fhir_hub.search.plan import Has, Is, Or
from fhir_hub.store.base import Key, Stored

BY_NUMBER = f"{systems.BASE}/StructureDefinition/patient-by-number"
_MOVED = {"A43": "Patient", "A44": "Account", "A45": "Encounter"}
_NUMBERED = ("A50", "A51")
_IN_ERROR = "entered-in-error"
_AT_ONCE = 500  # addresses in one search


async def mark(things: Sequence[Thing], event: str, telling: Telling) -> None:
    """Tag a visit or an account that moves with whom it leaves: messages may still name her.

    One that was moved since stays where it is.
    """
    urls = {url: one.address for one in things for url in one.full_urls}
    for thing in things:
        if thing.key[0] != _MOVED.get(event) or not thing.stored:
            continue
        if event != "A43" and await telling.has_since((event,), thing.key):
            rest = {name: part for name, part in thing.resource.items() if name != "subject"}
            thing.converted = with_resource(thing.converted, rest)
        to = {urls.get(one, one) for one in patients_of(thing.resource)}
        for address in patients_of(thing.stored):
            if address in to:
                continue
            logical_id = address.partition("/")[2]
            resource = merging.tagged(thing.resource, merging.MOVED, logical_id)
            thing.converted = thing.converted._replace(resource=resource)


async def find_renumbered(unit: Unit, things: Sequence[Thing], event: str) -> None:
    """Have a visit that gets another number (A50, A51) found by the one that it had.

    What came early under its new number may have made a visit of its own, which goes into it.
    """
    for thing in _renumbered(things, event):
        for stored in await unit.find("Encounter", match.plan_of(thing.numbers[-1:])):
            prior = fhirjson.loads(stored.content)
            if is_anothers(prior, thing.stored or {}):
                continue
            if prior.get("status") != _IN_ERROR and prior["id"] != thing.logical_id:
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
        chain = await _merged(unit, thing.stored or {})
        if chain and thing.resource.get("status") != "cancelled":
            rest = {name: v for name, v in thing.resource.items() if name != "identifier"}
            thing.converted = with_resource(thing.converted, rest)
            thing.found(chain[-1])


async def merged_into(unit: Unit, things: Sequence[Thing]) -> dict[str, str]:
    """Return the addresses of the visits that the message's were merged into, by full url.

    What is told of such a visit by its number alone leaves it in error.
    """
    found = dict[str, str]()
    for thing in things:
        if thing.resource_type != "Encounter" or not _is_merged(thing):  # as nearly always
            continue
        if chain := await _merged(unit, thing.stored or {}):
            found |= dict.fromkeys(thing.full_urls, f"Encounter/{chain[-1]['id']}")
            thing.is_left = thing.is_left or thing.converted.segment != "MRG"
    return found


def _is_merged(thing: Thing) -> bool:
    stored = thing.stored if thing.resource_type == "Encounter" else None
    return stored is not None and stored.get("status") == _IN_ERROR and "partOf" in stored


async def _merged(unit: Unit, visit: Resource) -> list[Resource]:
    """Return the visits that one was merged into, one after another.

    Such a visit is entered in error and part of that one (A42, A50), which may be so too.
    """
    chain, seen = list[Resource](), set[str]()
    while visit and visit.get("status") == _IN_ERROR:
        seen.add(f"Encounter/{visit['id']}")
        into = _target(visit, "partOf")
        stored = await unit.current(_key(into)) if into and into not in seen else None
        following = fhirjson.loads(stored.content) if stored and stored.content else None
        if following is None or is_anothers(visit, following):
            break
        chain.append(following)
        visit = following
    return chain


def _key(address: str) -> Key:
    resource_type, _, logical_id = address.partition("/")
    return Key(resource_type, logical_id)


def name_numbers(records: Sequence[Thing], patients: Sequence[Thing]) -> None:
    """Say in the message's Provenance by which numbers it names a patient who has others too."""
    if len(patients) > 1:
        patients = [one for one in patients if not numbers_moved.is_left(one)]
    if len(patients) != 1 or not (stored := patients[0].stored):
        return
    named = match.numbers(patients[0].resource.get("identifier", ()))
    if not set(match.numbers(stored.get("identifier", ()))) - set(named):
        return
    if named:
        _say(records, named)


def _say(records: Sequence[Thing], numbers: Iterable[Number], taken: Sequence[str] = ()) -> None:
    """Say in the message's Provenance by which numbers it names the patient, and what it took."""
    said = [
        {"url": BY_NUMBER, "valueIdentifier": {"system": one.system, "value": one.value}}
        for one in sorted(numbers)
    ]
    for thing in records:
        if thing.resource["resourceType"] == "Provenance":
            extensions = [*thing.resource.get("extension", ()), *said]
            targets = [*thing.resource["target"], *({"reference": one} for one in taken)]
            resource = {**thing.resource, "target": targets, "extension": extensions}
            thing.converted = thing.converted._replace(resource=resource)


async def follow(
    unit: Unit, things: Sequence[Thing], addresses: dict[str, str], event: str, known: Parameters
) -> None:
    """Stage what refers to a visit or an account that moved, or came under a number that did."""
    if event == "A42":
        for thing in things:
            if thing.key[0] == "Encounter" and thing.stored and thing.converted.segment == "MRG":
                into = _target(thing.resource, "partOf")
                if into:
                    changes = {thing.address: addresses.get(into, into)}
                    await _re_point(unit, thing, changes, known)
    elif event in _NUMBERED:
        for thing in _renumbered(things, event):
            await _take_in(unit, thing, known)
    elif event == "A43":
        for move in _moves(things):
            if taken := await _take_along(unit, move, known):
                _say(things, move.numbers, taken)  # should the number move on, they go with it
    elif event in _MOVED:
        for thing in things:
            if thing.key[0] == _MOVED[event] and thing.stored:
                old, new = _target(thing.stored, "subject"), _target(thing.resource, "subject")
                if old and new:
                    changes = {old: addresses.get(new, new)}
                    await _move(unit, thing, changes)
                    await _re_point(unit, thing, changes, known)
                    if event == "A44":
                        await _take_visits(unit, thing, changes, known)
                    await _take_from(unit, thing, things, changes[old], known)


async def _take_in(unit: Unit, visit: Thing, known: Parameters) -> None:
    """Stage other visits of the numbers that a visit has now as part of it, made in error."""
    for stored in await unit.find("Encounter", match.plan_of(visit.numbers)):
        early: Resource = fhirjson.loads(stored.content)
        if is_anothers(early, visit.stored or {}):
            continue
        if stored.logical_id != visit.logical_id and early.get("status") != _IN_ERROR:
            part = {"status": _IN_ERROR, "partOf": {"reference": visit.address}}
            await unit.update(early | part, stored.logical_id)
            address = f"Encounter/{stored.logical_id}"
            await _lead(unit, "Encounter", address, {address: visit.address}, known)


async def _take_from(
    unit: Unit, thing: Thing, things: Sequence[Thing], to: str, known: Parameters
) -> None:
    """Stage what whom a visit or account leaves has of its numbers as part of it, made in error.

    That is so where the patient `to` whom it goes had one of her own already.
    """
    left = {one.address for one in things if numbers_moved.is_left(one)} - {to}
    kind = thing.key[0]
    for stored in await unit.find(kind, match.plan_of(thing.numbers)) if left else ():
        wrong: Resource = fhirjson.loads(stored.content)
        whose = left.intersection(patients_of(wrong))
        if not whose or wrong.get("status") == _IN_ERROR:
            continue
        old = Thing(thing.converted, kind, [], stored.logical_id, wrong)
        changes = {old.address: thing.address, **dict.fromkeys(whose, to)}
        part = {"status": _IN_ERROR, "partOf": {"reference": thing.address}}
        await _change(unit, stored._replace(content=fhirjson.dumps(wrong | part)), changes)
        await _lead(unit, kind, old.address, changes, known)
        if kind == "Account":
            await _take_visits(unit, old, changes, known)


def _target(resource: dict[str, Any], element: str) -> str:
    value = resource.get(element, {})
    one = next(iter(value), {}) if isinstance(value, list | tuple) else value
    return str(one.get("reference", ""))


async def _take_visits(
    unit: Unit, account: Thing, changes: Mapping[str, str], known: Parameters
) -> None:
    """Stage an account's visits, and what refers to them, with their references changed.

    Its visits name it; one that a charge of it names is of it too, if it names no other.
    """
    visits: dict[str, None] = {}
    async for resource_type, stored in _referring(unit, "Account", account.address, known):
        named = find_references(fhirjson.loads(stored.content))
        every = f"{resource_type}/{stored.logical_id}", *(one["reference"] for one, _ in named)
        visits |= dict.fromkeys(one for one in every if one.startswith("Encounter/"))
    for address in visits:
        visit = await unit.current(_key(address))
        of = _target(fhirjson.loads(visit.content), "account") if visit else "none"
        if visit and of in ("", account.address):
            await _change(unit, visit, changes)
            await _lead(unit, "Encounter", address, changes, known)


async def _move(unit: Unit, thing: Thing, changes: Mapping[str, str]) -> None:
    """Stage a thing with its patient changed, where an older message left her as she was."""
    current = await unit.current(thing.key)
    if current is None:
        return
    whose = patients_of(fhirjson.loads(current.content))
    if any(changes.get(one, one) != one for one in whose):
        await _change(unit, current, changes)


async def _re_point(
    unit: Unit, thing: Thing, changes: Mapping[str, str], known: Parameters
) -> None:
    """Stage what refers to a thing with its references changed, if any is."""
    if all(old == new for old, new in changes.items()):
        return
    await _lead(unit, thing.key[0], thing.address, changes, known)


async def _lead(
    unit: Unit, kind: str, address: str, changes: Mapping[str, str], known: Parameters
) -> None:
    """Stage what refers to an address of a kind with its references changed."""
    async for resource_type, stored in _referring(unit, kind, address, known):
        if resource_type != kind:
            await _change(unit, stored, changes)


async def _referring(
    unit: Unit, kind: str, address: str, known: Parameters
) -> AsyncIterator[tuple[str, Stored]]:
    """Yield the type of each resource that refers to one of a kind, and the resource."""
    for resource_type in sorted(known.definitions.resource_types):
        indexes = {
            index
            for parameter in known.of(resource_type).values()
            if parameter.kind == "reference" and kind in parameter.targets
            for index in parameter.indexes
        }
        if not indexes or resource_type in RECORDS:
            continue
        plan = Or(tuple(Has(index, "reference", (Is(address),)) for index in sorted(indexes)))
        for stored in await unit.find(resource_type, plan):
            yield resource_type, stored


async def _change(unit: Unit, stored: Stored, changes: Mapping[str, str]) -> None:
    resource = fhirjson.loads(stored.content)
    for reference, _ in find_references(resource):
        old = reference["reference"]
        if (new := changes.get(old, old)) != old:
            reference["reference"] = new
            if old.startswith("Patient/"):
                resource = merging.tagged(resource, merging.MOVED, old.partition("/")[2])
    await unit.update(merging.settled(resource), stored.logical_id)


class _Move(NamedTuple):
    """The record that loses `numbers`, and the address of the one that they go to."""

    loser: Thing
    to: str
    numbers: frozenset[Number]


def _moves(things: Sequence[Thing]) -> list[_Move]:
    """Return what moves by an A43: its patient comes before each whose numbers it has now."""
    found, to = [], ""
    for thing in (one for one in things if one.key[0] == "Patient"):
        gone = frozenset(match.numbers(thing.converted.removes.get("identifier", ())))
        if not gone:
            to = thing.address
        elif to and thing.stored and thing.address != to:
            found.append(_Move(thing, to, gone))
    return found


async def _take_along(unit: Unit, move: _Move, known: Parameters) -> list[str]:
    """Stage what was told under the numbers as the patient's who has them now; return what is."""
    old = move.loser.address
    held = {
        f"{resource_type}/{stored.logical_id}": stored
        async for resource_type, stored in _referring(unit, "Patient", old, known)
        if resource_type != "Patient" and not review_tasks.is_review(fhirjson.loads(stored.content))
    }
    told = await _told(unit, [*held])
    theirs = [address for address in held if _is_theirs(move, told.get(address, []))]
    for address in theirs:
        await _change(unit, held[address], {old: move.to})
    return theirs


async def _told(unit: Unit, addresses: Sequence[str]) -> dict[str, list[Resource]]:
    """Return the Provenances of the messages about each resource, the newest first."""
    found: dict[str, Resource] = {}
    for at in range(0, len(addresses), _AT_ONCE):
        tests = tuple(Is(one) for one in addresses[at : at + _AT_ONCE])
        for stored in await unit.find("Provenance", Has("target", "reference", tests)):
            found[stored.logical_id] = fhirjson.loads(stored.content)
    told: dict[str, list[Resource]] = {}
    for one in sorted(found.values(), key=_recorded, reverse=True):
        for target in one["target"]:
            told.setdefault(str(target.get("reference", "")), []).append(one)
    return told


def _recorded(provenance: Resource) -> datetime:
    return datetime.fromisoformat(provenance["recorded"])


def _is_theirs(move: _Move, told: Sequence[Resource]) -> bool:
    """Say whether the newest message about a resource that tells named the patient by the numbers.

    One that names both what goes and what stays does not tell; one that names none came when she
    had no other than her first.
    """
    stored = (move.loser.stored or {}).get("identifier", ())
    every = [number for one in stored for number in match.numbers([one])]
    kinds = {number.system for number in move.numbers}
    own = {number for number in every if number.system in kinds}
    first = [*(one for one in every if one.system not in systems.STRONG), *own][:1]
    for one in told:
        said = {*_said(one)} or {*first}
        goes, stays = said & move.numbers, (said & own) - move.numbers
        if bool(goes) != bool(stays):
            return bool(goes)
    return False


def _said(provenance: Resource) -> Iterator[Number]:
    for extension in provenance.get("extension", ()):
        if extension["url"] == BY_NUMBER:
            number = extension["valueIdentifier"]
            yield Number(number["system"], number["value"])
