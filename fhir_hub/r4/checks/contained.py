"""Contained resources: one level, known by an id, referred to, without a life of their own.

Spec: https://hl7.org/fhir/R4/references.html#contained
"""

from collections.abc import Iterator
from typing import Any

from fhir_hub.errors import Issue
from fhir_hub.r4.checks.issues import Issues


def scope_of(resource: dict[str, Any]) -> dict[str, str]:
    """Return id → resource type of what `resource` contains, as far as it is well formed."""
    found = resource["contained"]
    return {
        each["id"]: str(each.get("resourceType"))
        for each in (found if isinstance(found, list) else ())
        if isinstance(each, dict) and isinstance(each.get("id"), str)
    }


def issues(resource: dict[str, Any]) -> Issues:
    """Return what is wrong with the contained resources of a `resource` that is otherwise right."""
    found: list[Issue] = []
    used = set(_fragments(resource))
    seen: set[str] = set()
    for place, each in enumerate(resource["contained"]):
        logical_id = each.get("id")
        advice = _advice(each, used, seen)
        if advice:
            found.append(Issue("invariant", advice, f".contained[{place}]"))
        seen.add(logical_id)
    return found


def _advice(each: dict[str, Any], used: set[str], seen: set[str]) -> str:
    logical_id = each.get("id")
    if logical_id is None:
        return "give the contained resource an id, so that it can be referred to"
    if logical_id in seen:
        return "give every contained resource an id of its own"
    if "contained" in each:
        return "contain nothing in a contained resource (dom-2)"
    # dom-3: it is referred to, or itself refers to what contains it
    if "#" + logical_id not in used and "#" not in set(_fragments(each)):
        return "refer to the contained resource by #id, or leave it out (dom-3)"
    meta = each.get("meta", {})
    if "versionId" in meta or "lastUpdated" in meta:
        return "leave versionId and lastUpdated out of a contained resource's meta (dom-4)"
    if "security" in meta:
        return "leave security labels out of a contained resource's meta (dom-5)"
    return ""


def _fragments(value: Any) -> Iterator[str]:
    """Yield every string in `value` that begins with `#`: whatever can refer to a contained one."""
    if isinstance(value, dict):
        for item in value.values():
            yield from _fragments(item)
    elif isinstance(value, list):
        for item in value:
            yield from _fragments(item)
    elif isinstance(value, str) and value.startswith("#"):
        yield value
