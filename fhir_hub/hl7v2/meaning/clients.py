"""What clients of the API wrote of a person is known again when a message tells it.

An allergy, a relative or a cover that nobody told by a message has no key by which a message
could find it. A partner who was told of it tells it again one day, with what changed there; without
this there would be two, and one more at each change on either side. It is found by what it is of
(`alike.py`); what a message told is found by its key alone, for each institution has facts of
its own.

Spec: docs/outbound.md; HL7v2 chapter 2, 2.10.4
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from fhir_hub import fhirjson
from fhir_hub.hl7v2.alike import are_alike
from fhir_hub.hl7v2.meaning.teller import stamps_of
from fhir_hub.hl7v2.merge import Resource
from fhir_hub.hl7v2.things import Thing, patients_of
from fhir_hub.repository.unit import Unit
from fhir_hub.search.parameters import Parameters
from fhir_hub.search.plan import Has, Is
from fhir_hub.store.base import Key

# By which search parameter what belongs to a person is found.
_OWNERS: Mapping[str, str] = MappingProxyType(
    {"AllergyIntolerance": "patient", "Coverage": "beneficiary", "RelatedPerson": "patient"}
)


async def find(unit: Unit, things: Sequence[Thing], parameters: Parameters) -> None:
    """Have what no key finds found among what clients wrote of the same person."""
    sought = [one for one in things if one.resource_type in _OWNERS and not one.logical_id]
    if not sought:
        return
    taken = {one.key for one in things if one.logical_id}
    known = {
        url: one.address
        for one in things
        if one.resource_type == "Patient" and one.stored
        for url in one.full_urls
    }
    written: dict[tuple[str, str], list[Resource]] = {}
    for thing in sought:
        owner = next((known[url] for url in patients_of(thing.resource) if url in known), "")
        if not owner or thing.is_anothers:
            continue
        kind = (thing.resource_type, owner)
        if kind not in written:
            indexes = parameters.of(kind[0])[_OWNERS[kind[0]]].indexes
            found = await unit.find(kind[0], Has(indexes[0], "reference", (Is(owner),)))
            held = [fhirjson.loads(one.content) for one in found]
            written[kind] = [one for one in held if not stamps_of(one)]
        for one in written[kind]:
            if are_alike(one, thing.resource) and Key(kind[0], one["id"]) not in taken:
                taken.add(Key(kind[0], one["id"]))
                thing.found(one)
                break
