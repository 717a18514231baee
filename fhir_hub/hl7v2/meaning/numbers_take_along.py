"""What was told under a number goes along with it to another patient (A43).

So that it can, the Provenance of a message says by which numbers it named the patient, where she
has others too.

Spec: HL7v2 chapter 3, A43; 3.6.2.1.4, move: all that is subordinate moves along
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from fhir_hub import fhirjson
from fhir_hub.hl7v2.meaning import numbers_moved
from fhir_hub.hl7v2.meaning.referrers import change, referring
from fhir_hub.hl7v2.storing.things import Thing
from fhir_hub.identity import match, review_tasks, systems
from fhir_hub.identity.match import Number
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.search.parameters import Parameters
from fhir_hub.search.plan import Has, Is

BY_NUMBER = f"{systems.BASE}/StructureDefinition/patient-by-number"
_AT_ONCE = 500  # addresses in one search


def name_numbers(records: Sequence[Thing], patients: Sequence[Thing]) -> None:
    """Say in the message's Provenance by which numbers it names a patient who has others too."""
    if len(patients) > 1:
        patients = [one for one in patients if not numbers_moved.is_left(one)]
    if len(patients) != 1 or not (stored := patients[0].stored):
        return
    named = match.numbers(patients[0].resource.get("identifier", ()))
    if named and set(match.numbers(stored.get("identifier", ()))) - set(named):
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
            thing.say({**thing.resource, "extension": extensions})
            thing.refer_to(taken)


async def follow(unit: Unit, things: Sequence[Thing], parameters: Parameters) -> None:
    """Stage what was told under the numbers that a message moves as whose they are now."""
    for move in _moves(things):
        if taken := await _take_along(unit, move, parameters):
            _say(things, move.numbers, taken)  # should the number move on, they go with it


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


async def _take_along(unit: Unit, move: _Move, parameters: Parameters) -> list[str]:
    """Stage what was told under the numbers as the patient's who has them now; return what is."""
    old = move.loser.address
    held = {
        address: stored
        async for address, stored in referring(unit, old, parameters)
        if not review_tasks.is_review(fhirjson.loads(stored.content))
    }
    told = await _told(unit, [*held])
    theirs = [address for address in held if _is_theirs(move, told.get(address, []))]
    for address in theirs:
        await change(unit, held[address], {old: move.to})
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
