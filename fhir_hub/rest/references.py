"""The references of a bundle's resources: full urls replaced, conditional ones found.

Spec: https://hl7.org/fhir/R4/http.html#trules and references.html
"""

import re
from collections.abc import Mapping
from typing import Any

from fhir_hub.errors import InvalidResource

_CONDITIONAL = re.compile(r"[A-Z][A-Za-z]+\?.+")
_IN_TEXT = re.compile(r'(?<=["\'])urn:(?:uuid|oid):[^"\'#]+')


def replaced(
    resource: dict[str, Any], replacements: Mapping[str, str], queries: set[str] | None = None
) -> dict[str, Any]:
    """Return the resource with every full url in it replaced: references, uris, narrative links.

    The conditional references (`Patient?identifier=…`) that are left are added to `queries`.
    Raises `InvalidResource` for a `urn:uuid` reference to nothing in the bundle: nobody could
    ever follow it.
    """
    try:
        result = _of_object(resource, replacements, set() if queries is None else queries)
    except LookupError as error:
        path = _path(resource, error.args[0], resource.get("resourceType", ""))
        text = "no entry has this urn:uuid as its fullUrl"
        raise InvalidResource(text, expression=path or "") from None
    return result


def _of_object(
    node: dict[str, Any], replacements: Mapping[str, str], queries: set[str]
) -> dict[str, Any]:
    changed = None
    for name, value in node.items():
        kind = type(value)
        if kind is str:
            new: Any = replacements.get(value, value)
            if new is value:
                if name == "reference":
                    _look_at(value, queries)
                elif name == "div" and "urn:" in value:
                    new = _IN_TEXT.sub(lambda match: replacements.get(match[0], match[0]), value)
        elif kind is dict:
            new = _of_object(value, replacements, queries)
        elif kind is list:
            new = _of_list(value, replacements, queries)
        else:
            continue
        if new is not value:
            changed = dict(node) if changed is None else changed
            changed[name] = new
    return node if changed is None else changed


def _of_list(node: list[Any], replacements: Mapping[str, str], queries: set[str]) -> list[Any]:
    changed = None
    for place, item in enumerate(node):
        kind = type(item)
        if kind is dict:
            new: Any = _of_object(item, replacements, queries)
        elif kind is list:
            new = _of_list(item, replacements, queries)
        else:
            new = replacements.get(item, item) if kind is str else item
        if new is not item:
            changed = list(node) if changed is None else changed
            changed[place] = new
    return node if changed is None else changed


def _look_at(reference: str, queries: set[str]) -> None:
    """Add a conditional reference to `queries`; raise `LookupError` for one to nothing."""
    if reference.startswith("urn:uuid:"):
        raise LookupError(reference)
    if "?" in reference and _CONDITIONAL.fullmatch(reference):
        queries.add(reference)


def _path(node: Any, reference: str, path: str) -> str | None:
    """Return the FHIRPath of the element that says `reference`, without places in lists."""
    if type(node) is dict:
        if node.get("reference") == reference:
            return path
        inner = ((value, f"{path}.{name}") for name, value in node.items())
    else:
        inner = ((value, path) for value in node)
    found = (_path(value, reference, at) for value, at in inner if type(value) in (dict, list))
    return next((one for one in found if one is not None), None)
