"""A diagnosis of a visit that no number and no key finds is found by its code.

DG1 has no number before 2.5, and seldom one since; its key (`calls/keys.py`) is what messages of
one institution give it. So what a client of the API wrote, which has none, is found among the
diagnoses of its visit by what it is called, and by that too what the same institution told without
a number and tells with one now. Two visits have two diagnoses of one code.

Spec: docs/outbound.md; HL7v2 chapter 6, DG1-3 and DG1-20
"""

from collections.abc import Sequence

from fhir_hub import fhirjson
from fhir_hub.hl7v2.meaning.snapshots import is_of_list
from fhir_hub.hl7v2.meaning.teller import Teller, institution_of, stamps_of
from fhir_hub.hl7v2.storing.alike import are_alike
from fhir_hub.hl7v2.storing.merge import Resource
from fhir_hub.hl7v2.storing.things import Thing, patients_of
from fhir_hub.repository.unit import Unit
from fhir_hub.search.parameters import Parameters
from fhir_hub.search.plan import Has, Is
from fhir_hub.store.base import Key


async def find(unit: Unit, things: Sequence[Thing], parameters: Parameters, teller: Teller) -> None:
    """Have diagnoses (DG1) of visits that are stored found among those of the visit."""
    left = [one for one in things if one.converted.segment == "DG1" and _is_sought(one)]
    if not left:
        return
    stored = {url: one for one in things if one.stored for url in one.full_urls}
    taken = {one.key for one in things if one.logical_id}
    known: dict[str, list[Resource]] = {}
    for thing in left:
        visit = stored.get(thing.resource.get("encounter", {}).get("reference", ""))
        patients = [stored[url] for url in patients_of(thing.resource) if url in stored]
        if visit is None or not patients:
            continue
        if visit.address not in known:
            known[visit.address] = await _of_visit(unit, visit, parameters, teller)
        for one in known[visit.address]:
            key = Key("Condition", one["id"])
            is_hers = patients[0].address in patients_of(one)
            is_known = key in taken or _is_told_apart(one, thing)
            if not is_known and is_hers and are_alike(one, thing.resource):
                taken.add(key)
                thing.found(one)
                break


def _is_sought(thing: Thing) -> bool:
    return thing.resource_type == "Condition" and not (thing.logical_id or thing.is_anothers)


def _is_told_apart(stored: Resource, thing: Thing) -> bool:
    """Say whether what is stored has the number that a thing shares, by which it is not it."""
    shared = {value for _, value in thing.converted.earlier}
    return any(one.get("value") in shared for one in stored.get("identifier", ()))


async def _of_visit(
    unit: Unit, visit: Thing, parameters: Parameters, teller: Teller
) -> list[Resource]:
    """Return the Conditions of a visit, also those that only its list names, oldest first."""
    indexes = parameters.of("Condition")["encounter"].indexes
    found = await unit.find("Condition", Has(indexes[0], "reference", (Is(visit.address),)))
    by_id = {one.logical_id: one for one in found}
    for item in (visit.stored or {}).get("diagnosis", ()):
        kind, _, logical_id = item.get("condition", {}).get("reference", "").partition("/")
        if kind == "Condition" and logical_id not in by_id:
            named = await unit.current(Key(kind, logical_id))
            if named is not None and not named.is_deleted:
                by_id[logical_id] = named
    held: list[Resource] = [fhirjson.loads(one.content) for one in by_id.values()]
    return [one for one in held if _may_be(one, visit, teller)]


def _may_be(stored: Resource, visit: Thing, teller: Teller) -> bool:
    """Say whether it is of no other visit, and nobody told it but this institution by DG1."""
    told = {institution_of(stamp) for stamp in stamps_of(stored)}
    where = stored.get("encounter", {}).get("reference", visit.address)
    return where == visit.address and (not told or (told == {teller.system} and is_of_list(stored)))
