"""What refers to a resource, staged as referring to another one.

Of what goes to another Patient a tag says whom it left: messages may still name her.
"""

from collections.abc import AsyncIterator, Mapping

from fhir_hub import fhirjson
from fhir_hub.identity import merging
from fhir_hub.r4.references import find_references
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.search.parameters import Parameters
from fhir_hub.search.plan import Has, Is, Or
from fhir_hub.store.base import Key, Stored


def key_at(address: str) -> Key:
    """Return the key of the resource at an address (`Encounter/1`)."""
    resource_type, _, logical_id = address.partition("/")
    return Key(resource_type, logical_id)


def address_in(resource: Resource, element: str) -> str:
    """Return where an element refers to, of several the first; `""` if nowhere."""
    value = resource.get(element, {})
    one = next(iter(value), {}) if isinstance(value, list | tuple) else value
    return str(one.get("reference", ""))


async def referring(
    unit: Unit, address: str, parameters: Parameters
) -> AsyncIterator[tuple[str, Stored]]:
    """Yield what refers to an address, with its own; records of what was done are not asked."""
    kind = key_at(address).resource_type
    for resource_type, indexes in merging.referrers(parameters, kind).items():
        plan = Or(tuple(Has(index, "reference", (Is(address),)) for index in indexes))
        for stored in await unit.find(resource_type, plan):
            yield f"{resource_type}/{stored.logical_id}", stored


async def lead_on(
    unit: Unit, address: str, changes: Mapping[str, str], parameters: Parameters
) -> None:
    """Stage what refers to an address with its references changed, but for what is of its type."""
    kind = key_at(address).resource_type
    async for one, stored in referring(unit, address, parameters):
        if key_at(one).resource_type != kind:
            await change(unit, stored, changes)


async def change(unit: Unit, stored: Stored, changes: Mapping[str, str]) -> None:
    """Stage a stored resource with its references changed."""
    resource = fhirjson.loads(stored.content)
    for reference, _ in find_references(resource):
        old = reference["reference"]
        if (new := changes.get(old, old)) != old:
            reference["reference"] = new
            if old.startswith("Patient/"):
                resource = merging.tagged(resource, merging.MOVED, old.partition("/")[2])
    await unit.update(merging.settled(resource), stored.logical_id)
