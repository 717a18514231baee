"""What belongs to a visit goes with it: to another patient (A45), or into another visit (A42).

A visit merged away stays readable, entered in error and part of the one that survives.

Spec: HL7v2 chapter 3, A42 and A45
"""

from collections.abc import Sequence
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.hl7v2.things import Thing
from fhir_hub.r4.references import RECORDS, find_references
from fhir_hub.repository.unit import Unit
from fhir_hub.search.parameters import Parameters
from fhir_hub.search.plan import Has, Is, Or

EVENTS = ("A42", "A45")


def keep_class(things: Sequence[Thing], event: str) -> None:
    """Leave a stored visit that is merged away the class that it has: MRG says none."""
    for thing in things if event == "A42" else ():
        if thing.converted.segment == "MRG" and thing.stored and "class" in thing.resource:
            rest = {name: value for name, value in thing.resource.items() if name != "class"}
            thing.converted = thing.converted._replace(resource=rest)


async def follow(
    unit: Unit, things: Sequence[Thing], addresses: dict[str, str], event: str, known: Parameters
) -> None:
    """Stage what refers to a visit that moved: with its patient, or with the visit it went into."""
    for thing in things if event in EVENTS else ():
        if thing.key[0] != "Encounter" or not thing.stored:
            continue
        changes = {}
        if event == "A45":
            old, new = _target(thing.stored, "subject"), _target(thing.resource, "subject")
            changes = {old: addresses.get(new, new)} if old and new else {}
        elif thing.converted.segment == "MRG":
            into = _target(thing.resource, "partOf")
            changes = {thing.address: addresses.get(into, into)} if into else {}
        if any(old != new for old, new in changes.items()):
            await _re_point(unit, thing.address, changes, known)


def _target(resource: dict[str, Any], element: str) -> str:
    return str(resource.get(element, {}).get("reference", ""))


async def _re_point(unit: Unit, visit: str, changes: dict[str, str], known: Parameters) -> None:
    for resource_type in sorted(known.definitions.resource_types):
        indexes = {
            index
            for parameter in known.of(resource_type).values()
            if parameter.kind == "reference" and "Encounter" in parameter.targets
            for index in parameter.indexes
        }
        if not indexes or resource_type in RECORDS or resource_type == "Encounter":
            continue
        plan = Or(tuple(Has(index, "reference", (Is(visit),)) for index in sorted(indexes)))
        for stored in await unit.find(resource_type, plan):
            resource = fhirjson.loads(stored.content)
            for reference, _ in find_references(resource):
                reference["reference"] = changes.get(reference["reference"], reference["reference"])
            await unit.update(resource, stored.logical_id)
