"""A placeholder: the least that a resource of a type can be, for what is known by address alone.

A message may refer to what the hub has never seen. The placeholder stands there until the real
resource comes, and says so in a tag. What its type needs and nobody knows has the extension
data-absent-reason in its place.

Spec: https://hl7.org/fhir/R4/extension-data-absent-reason.html
"""

from collections.abc import Callable, Mapping
from typing import Any

from fhir_hub.errors import InvalidResource
from fhir_hub.r4.definitions import Definitions, Element

SYSTEM = "https://fhir-hub.example/CodeSystem/resource-state"
TAG = {"system": SYSTEM, "code": "placeholder", "display": "Known by reference only"}
_UNKNOWN = {
    "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
    "valueCode": "unknown",
}


def is_placeholder(resource: Mapping[str, Any]) -> bool:
    """Say whether a resource is a placeholder."""
    tags = resource.get("meta", {}).get("tag", [])
    return any((tag.get("system"), tag.get("code")) == (SYSTEM, TAG["code"]) for tag in tags)


def placeholder(
    definitions: Definitions,
    require: Callable[[Any], object],
    key: tuple[str, str],
    reference: Mapping[str, Any],
) -> dict[str, Any] | None:
    """Return a placeholder of this type and logical id for what `reference` refers to.

    It has the identifier of the reference, else its logical id as a temporary one. None if
    `require` lets none of its type pass (raises `InvalidResource`).
    """
    resource_type, logical_id = key
    structure = definitions.structure(resource_type)
    if structure is None or resource_type not in definitions.resource_types:
        return None
    elements = structure.elements
    made = {
        "resourceType": resource_type,
        "id": logical_id,
        "meta": {"tag": [TAG]},
        **_needed(resource_type, elements, definitions),
    }
    if (element := elements.get(f"{resource_type}.identifier")) is not None:
        known = reference.get("identifier", {"use": "temp", "value": logical_id})
        made["identifier"] = [known] if element.is_list else known
    try:
        require(made)
    except InvalidResource:
        return None
    return made


def _needed(path: str, elements: Mapping[str, Element], definitions: Definitions) -> dict[str, Any]:
    """Return what the elements directly under `path` must have at least."""
    found: dict[str, Any] = {}
    depth = path.count(".") + 1
    for name, element in elements.items():
        if element.min == 0 or name.count(".") != depth or not name.startswith(f"{path}."):
            continue
        code = element.types[0].code
        key = name.rpartition(".")[2].replace("[x]", code[:1].upper() + code[1:])
        absent: Any = {"extension": [_UNKNOWN]}
        if code[:1].islower():  # a primitive
            found[f"_{key}"] = [absent] if element.is_list else absent
            continue
        inner = _needed(name, elements, definitions) if code == "BackboneElement" else {}
        value = inner or absent
        found[key] = [value] if element.is_list else value
    return found
