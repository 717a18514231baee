"""The references of a bundle's resources: full urls replaced, conditional ones found.

Spec: https://hl7.org/fhir/R4/http.html#trules and references.html
"""

import re
from collections.abc import Mapping
from typing import Any

from fhir_hub.errors import InvalidResource

_CONDITIONAL = re.compile(r"[A-Z][A-Za-z]+\?.+")
_IN_TEXT = re.compile(r'(?<=["\'])urn:(?:uuid|oid):[^"\'#]+')


def replaced(resource: dict[str, Any], replacements: Mapping[str, str]) -> dict[str, Any]:
    """Return the resource with every full url in it replaced: references, uris, narrative links.

    Raises `InvalidResource` for a `urn:uuid` reference to nothing in the bundle: nobody could
    ever follow it.
    """
    result = _walk(resource, replacements, resource.get("resourceType", ""))
    assert isinstance(result, dict)
    return result


def _walk(node: Any, replacements: Mapping[str, str], path: str) -> Any:
    if type(node) is dict:
        changed = None
        for name, value in node.items():
            if type(value) is str:
                new = _text(name, value, replacements, path)
            elif type(value) is dict or type(value) is list:
                new = _walk(value, replacements, f"{path}.{name}")
            else:
                continue
            if new is not value:
                changed = dict(node) if changed is None else changed
                changed[name] = new
        return node if changed is None else changed
    items = [
        _walk(item, replacements, path)
        if type(item) is dict or type(item) is list
        else (replacements.get(item, item) if type(item) is str else item)
        for item in node
    ]
    return items if any(new is not old for new, old in zip(items, node, strict=True)) else node


def _text(name: str, value: str, replacements: Mapping[str, str], path: str) -> str:
    if value in replacements:
        return replacements[value]
    if name == "reference" and value.startswith("urn:uuid:"):
        raise InvalidResource("no entry has this urn:uuid as its fullUrl", expression=f"{path}")
    if name == "div" and "urn:" in value:
        return _IN_TEXT.sub(lambda match: replacements.get(match[0], match[0]), value)
    return value


def conditional(node: Any) -> set[str]:
    """Return the conditional references (`Patient?identifier=…`) in a resource."""
    found: set[str] = set()
    if type(node) is dict:
        reference = node.get("reference")
        if type(reference) is str and "?" in reference and _CONDITIONAL.fullmatch(reference):
            found.add(reference)
        for value in node.values():
            if type(value) is dict or type(value) is list:
                found |= conditional(value)
    elif type(node) is list:
        for item in node:
            if type(item) is dict or type(item) is list:
                found |= conditional(item)
    return found
