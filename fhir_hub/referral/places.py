"""Whose a slot or a prescription is: the hospital and the department, by every code they have.

A Schedule is a doctor's, a room's or a clinic's; each leads to an Organization, and that by
`partOf` to the hospital. Rules name a place by a code, so what comes back is all codes on the way.

Spec: https://hl7.org/fhir/R4/schedule.html and organization.html; DOMAIN 2.2
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from fhir_hub.referral.finding import read
from fhir_hub.referral.reading import at, codings, each, key_of
from fhir_hub.repository.unit import Resource
from fhir_hub.store.base import Key, Stored

Read = Callable[[Key], Awaitable[Stored | None]]
_MOST_LEVELS = 5  # of departments within an institution
_LEADS = ("organization", "providedBy", "managingOrganization", "serviceProvider")
_CONCEPTS = ("serviceType", "specialty", "type", "code")


class Place(NamedTuple):
    """All `codes` of a place; the `hospital`, None if it is not known."""

    codes: frozenset[str]
    hospital: Key | None


async def resource_at(get: Read, key: Key | None) -> Resource | None:
    """Return the resource, None if there is none."""
    stored = await get(key) if key is not None else None
    return None if stored is None or stored.is_deleted else read(stored)


async def place_of_slot(get: Read, slot: Resource) -> Place:
    """Return where a Slot is: by its Schedule and the actors of that."""
    schedule = await resource_at(get, key_of(slot.get("schedule"))) or {}
    codes, hospital = _codes(slot) | _codes(schedule), None
    for actor in each(schedule, "actor"):
        resource = await resource_at(get, key_of(actor))
        if resource is not None:
            found = await _place(get, resource)
            codes, hospital = codes | found.codes, hospital or found.hospital
    return Place(codes, hospital)


async def place_of_request(get: Read, request: Resource) -> Place:
    """Return where an order was written: by its visit, else by who wrote it."""
    for name in ("encounter", "requester"):
        resource = await resource_at(get, key_of(request.get(name)))
        if resource is not None:
            found = await _place(get, resource)
            if found.hospital is not None:
                return found
    return Place(frozenset(), None)


async def _place(get: Read, resource: Resource) -> Place:
    codes, hospital = _codes(resource), None
    if resource.get("resourceType") == "Organization":
        keys: list[Key | None] = [Key("Organization", resource["id"])]
    else:
        keys = [key_of(resource.get(name)) for name in _LEADS]
    for key in keys:
        if key is None or key.resource_type != "Organization":
            continue
        hospital = hospital or key
        for _ in range(_MOST_LEVELS):
            organization = await resource_at(get, key)
            if key is None or organization is None:
                break
            codes |= _codes(organization) | {key.logical_id}
            hospital, key = key, key_of(organization.get("partOf"))
    return Place(codes, hospital)


def _codes(resource: Resource) -> frozenset[str]:
    """Return the identifiers of a resource, who gave them, and the codes of what it does."""
    found = {str(one.get("value")) for one in each(resource, "identifier")}
    if institution := authority(resource):
        found.add(institution)
    for name in _CONCEPTS:
        value = resource.get(name)
        concepts = value if isinstance(value, list) else [value]
        found |= {code for one in concepts for _, code in codings(one)}
    found |= {str(at(resource, "id"))}
    return frozenset(found)


def authority(resource: Resource) -> str:
    """Return the code of the institution whose number a resource has: {base}/sid/CODE."""
    systems = (str(one.get("system", "")) for one in each(resource, "identifier"))
    return next((one.rpartition("/sid/")[2] for one in systems if "/sid/" in one), "")
