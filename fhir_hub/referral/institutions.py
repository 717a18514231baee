"""Which institution somebody belongs to: a department, a service, a role, down from the top.

Spec: https://hl7.org/fhir/R4/organization.html (partOf); DOMAIN 2.2
"""

from fhir_hub import fhirjson
from fhir_hub.referral.reading import key_of
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.store.base import Key

_ABOVE = {
    "Organization": "partOf",
    "HealthcareService": "providedBy",
    "PractitionerRole": "organization",
    "Location": "managingOrganization",
}
_MOST_LEVELS = 6  # of departments within an institution


async def institution_of(unit: Unit, reference: object) -> Key | None:
    """Return the institution that a Reference is, or is a part of; whoever else is himself."""
    key = key_of(reference)
    for _ in range(_MOST_LEVELS):
        element = _ABOVE.get(key.resource_type) if key is not None else None
        if key is None or element is None:
            return key
        content = await resource_at(unit, key)
        above = key_of((content or {}).get(element))
        if above is None:
            return key
        key = above
    return key


async def resource_at(unit: Unit, key: Key | None) -> Resource | None:
    """Return a resource as it is in this unit, None if it is not there."""
    stored = await unit.current(key) if key is not None else None
    if stored is None or stored.is_deleted:
        return None
    resource: Resource = fhirjson.reread(stored.content)
    return resource
