"""What clients of the API wrote is known again when a message tells it: it does not become two.

A partner who was told of it tells it again one day, with what changed there. What has no number
was told by its id in the hub (`a1^FHIRHUB`), and is found by that. An allergy, a relative or a
cover has no number in a message: it is found by what it is of (`alike.py`), a result by its report
and its code. So is what nobody told by a message: else that has a key, for each institution has
facts of its own. A hub's are copies of theirs (`is_hub` in its file), so they are found among
these, and these among its.

Spec: docs/outbound.md; HL7v2 chapter 2, 2.10.4
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from fhir_hub import fhirjson
from fhir_hub.hl7v2.meaning import numbers_moved
from fhir_hub.hl7v2.meaning.teller import Teller, is_copied, stamps_of, tellers_of
from fhir_hub.hl7v2.storing.alike import are_alike, share_a_name
from fhir_hub.hl7v2.storing.merge import Resource
from fhir_hub.hl7v2.storing.rewriting import Rewriting
from fhir_hub.hl7v2.storing.things import Thing, patients_of
from fhir_hub.identity import match, systems
from fhir_hub.repository.unit import Unit
from fhir_hub.search.parameters import Parameters
from fhir_hub.search.plan import Has, Is
from fhir_hub.store.base import Key

# By which search parameter what belongs to a person is found.
_OWNERS: Mapping[str, str] = MappingProxyType(
    {"AllergyIntolerance": "patient", "Coverage": "beneficiary", "RelatedPerson": "patient"}
)
_OWN = systems.authority_system("FHIRHUB")


async def find_patient(unit: Unit, thing: Thing) -> bool:
    """Have a patient found by her id in the hub, if nothing told of her denies it."""
    for logical_id in _own_ids(thing):
        known = await _written(unit, "Patient", logical_id)
        if known is None or match.survivor_id(known) or known.get("active") is False:
            continue
        if numbers_moved.may_be(thing.resource, known):
            thing.found(known)
            return True
    return False


async def find(unit: Unit, things: Sequence[Thing], parameters: Parameters, teller: Teller) -> None:
    """Have what no key finds found among what clients wrote of the same person."""
    left = [one for one in things if not one.logical_id and not one.is_anothers]
    if not left:
        return
    known = {
        url: one.address
        for one in things
        if one.resource_type == "Patient" and one.stored
        for url in one.full_urls
    }
    for thing in left:
        for logical_id in _own_ids(thing) if thing.resource_type != "Patient" else ():
            stored = await _written(unit, thing.resource_type, logical_id)
            if stored is not None and _is_same_patients(stored, thing, known):
                thing.found(stored)
                break
    await _find_results(unit, things, known)
    await _find_facts(unit, things, known, parameters, teller)


def _own_ids(thing: Thing) -> Iterator[str]:
    """Yield the ids in the hub that a message has as numbers."""
    for number in thing.numbers:
        if number.system == _OWN or number.system.startswith(f"{_OWN}/"):
            yield number.value


async def _written(unit: Unit, resource_type: str, logical_id: str) -> Resource | None:
    """Return what a client wrote under an id, if it has no number by which it would be told."""
    stored = await unit.current(Key(resource_type, logical_id))
    if stored is None or stored.is_deleted:
        return None
    resource: Resource = fhirjson.loads(stored.content)
    return None if resource.get("identifier") else resource


def _is_same_patients(stored: Resource, thing: Thing, known: Mapping[str, str]) -> bool:
    told = {known.get(url, url) for url in patients_of(thing.resource)}
    held = set(patients_of(stored))
    return not told or not held or not told.isdisjoint(held)


async def _find_results(unit: Unit, things: Sequence[Thing], known: Mapping[str, str]) -> None:
    """Have results found by their report's, or their own, number and their code."""
    urls: dict[str, Thing] = {}
    for report in things:
        if report.resource_type != "DiagnosticReport":
            continue
        if report.stored is not None and stamps_of(report.stored):
            continue
        held = (report.stored or {}).get("result", ())
        ids = [one.get("reference", "").rpartition("/")[2] for one in held]
        ids = ids or list(_own_ids(report))  # a result alone was told by a report's number
        if not ids:
            continue
        urls = urls or {url: one for one in things for url in one.full_urls}
        named = (urls.get(one.get("reference", "")) for one in report.resource.get("result", ()))
        told = [one for one in named if one is not None and not one.logical_id]
        for logical_id in ids if told else ():
            stored = await _written(unit, "Observation", logical_id)
            if stored is None or stamps_of(stored):
                continue
            for thing in told:
                is_it = not thing.logical_id and are_alike(stored, thing.resource)
                if is_it and _is_same_patients(stored, thing, known):
                    thing.found(stored)
                    break


async def _find_facts(
    unit: Unit,
    things: Sequence[Thing],
    known: Mapping[str, str],
    parameters: Parameters,
    teller: Teller,
) -> None:
    """Have allergies, relatives and covers found by what they are of."""
    taken = {one.key for one in things if one.logical_id}
    written: dict[Key, list[Resource]] = {}
    for thing in things:
        kind = thing.resource_type
        if kind not in _OWNERS or thing.logical_id or thing.is_anothers:
            continue
        owner = next((known[url] for url in patients_of(thing.resource) if url in known), "")
        if not owner:
            continue
        if Key(kind, owner) not in written:
            indexes = parameters.of(kind)[_OWNERS[kind]].indexes
            found = await unit.find(kind, Has(indexes[0], "reference", (Is(owner),)))
            held = [fhirjson.loads(one.content) for one in found]
            written[Key(kind, owner)] = [one for one in held if _may_be_found(one, teller)]
        told = _addressed(thing.resource, things) if kind == "Coverage" else thing.resource
        for one in written[Key(kind, owner)]:
            is_own = tellers_of(one) == {teller.system}
            is_it = share_a_name if is_own and kind == "RelatedPerson" else are_alike
            if is_it(one, told) and Key(kind, one["id"]) not in taken:
                taken.add(Key(kind, one["id"]))
                thing.found(one)
                break


def _addressed(cover: Resource, things: Sequence[Thing]) -> Resource:
    """Return what a message says of a cover, who pays by address where that is known."""
    return Rewriting({url: o.address for o in things if o.stored for url in o.full_urls}).of(cover)


def _may_be_found(stored: Resource, teller: Teller) -> bool:
    """Say whether no message told it, or it is a relative whom the teller's institution told.

    How a relative is related is in her key, and said in other words later. What a hub passes on may
    be told by its own institution too, before or since.
    """
    told = tellers_of(stored)
    if not told or teller.is_hub or all(map(is_copied, stamps_of(stored))):
        return True
    return stored["resourceType"] == "RelatedPerson" and told == {teller.system}
