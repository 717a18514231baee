"""Reading elements of records that may not have been checked yet: what is not there is None.

Spec: https://hl7.org/fhir/R4/json.html
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from fhir_hub.r4.references import is_id
from fhir_hub.store.base import Key


def at(node: Any, *path: str | int) -> Any:
    """Return what is at a path of names and places in lists, None if it is not there.

    >>> at({"period": {"end": "2026"}, "name": [{"text": "a"}]}, "name", 0, "text")
    'a'
    """
    for step in path:
        if isinstance(step, str):
            node = node.get(step) if type(node) is dict else None
        else:
            node = node[step] if type(node) is list and -len(node) <= step < len(node) else None
    return node


def each(node: Any, *path: str | int) -> Iterator[dict[str, Any]]:
    """Yield the objects of the list at a path."""
    found = at(node, *path)
    if isinstance(found, list):
        yield from (item for item in found if isinstance(item, dict))


def codings(concept: Any) -> list[tuple[str, str]]:
    """Return system and code of each coding of a CodeableConcept."""
    found = concept.get("coding") if type(concept) is dict else None
    if type(found) is not list:
        return []
    return [
        (str(one.get("system", "")), str(one.get("code", ""))) for one in found if type(one) is dict
    ]


def has_code(concept: Any, code: str, system: str = "") -> bool:
    """Say whether a CodeableConcept has the code, of the system if one is given."""
    return any(found[1] == code and system in ("", found[0]) for found in codings(concept))


def key_of(reference: Any) -> Key | None:
    """Return which resource of this server a Reference points to, None if to none by its id."""
    text = at(reference, "reference")
    parts = text.split("/") if isinstance(text, str) else []
    if len(parts) >= 2 and parts[0].isalpha() and is_id(parts[1]):
        return Key(parts[0], parts[1])
    return None


def moment(text: Any) -> datetime | None:
    """Return the moment that an instant or dateTime names; None for one without an offset."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def extension(node: Any, url: str) -> Any:
    """Return the value of an extension, whatever its type, None if it is not there."""
    for one in each(node, "extension"):
        if one.get("url") == url:
            return next((one[name] for name in one if name.startswith("value")), None)
    return None
