"""Who or what messages only name, such as a doctor or a ward: named when one has a name first.

A mention changes nothing: the staff file (MFN M02) and clients say who somebody is. But one that
has a number alone says nothing else, so until somebody has the name it is filled in.

Spec: HL7v2 chapter 2A, XCN and PL
"""

from collections.abc import Mapping
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.hl7v2.storing.rewriting import Rewriting
from fhir_hub.hl7v2.storing.things import Thing
from fhir_hub.repository.unit import Unit

_NAMED = frozenset({"Organization", "Location", "Practitioner"})
_KEPT = ("id", "meta", "resourceType", "identifier")


def is_named_first(thing: Thing) -> bool:
    """Say whether what is stored of a thing that is only named has no name, and the message has."""
    if thing.resource_type not in _NAMED or thing.stored is None or "name" not in thing.resource:
        return False
    return _is_nameless(thing.stored) and not _is_nameless(thing.resource)


async def name(unit: Unit, thing: Thing, rewriting: Rewriting) -> None:
    """Stage what is stored now with the name, and what else is not there yet."""
    stored = await unit.current(thing.key)
    if stored is None or stored.is_deleted:
        return
    current = fhirjson.loads(stored.content)
    if _is_nameless(current):
        told = rewriting.converted(thing.converted).resource
        more = {part: value for part, value in told.items() if part not in _KEPT}
        known = {part: value for part, value in current.items() if part != "name"}
        await unit.update({**more, **known}, thing.logical_id)


def _is_nameless(resource: Mapping[str, Any]) -> bool:
    """Say whether it has no name, or its number as one."""
    held = resource.get("name")
    numbers = [one.get("value") for one in resource.get("identifier", ())]
    return not held or held in numbers
