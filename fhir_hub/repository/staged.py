"""What is staged and not yet written, as a plan sees it.

Spec: https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.store.base import Change, Key, Stored

Resource = dict[str, Any]
_SET = frozenset(("id", "meta"))  # what the server sets, or a part of it


class Staged:
    """A staged change, as a plan sees it: a chain from it sees the other `changes`."""

    def __init__(self, change: Change, changes: Mapping[Key, Change]) -> None:
        self.resource_type, self.logical_id = change.resource_type, change.logical_id
        self.last_updated, self.entries = change.last_updated, change.entries
        self._changes = changes

    def others(self, resource_types: tuple[str, ...]) -> "Iterator[Staged]":
        """Return the staged resources of the types (of no types: all)."""
        for key, change in self._changes.items():
            if change.method != "DELETE" and (not resource_types or key[0] in resource_types):
                yield Staged(change, self._changes)


def as_stored(change: Change) -> Stored:
    """Return a change as the version that holds where it is staged."""
    key = change.resource_type, change.logical_id
    version = change.version_id, 0, change.last_updated
    return Stored(*key, *version, change.method, change.content)


def same(current: Stored, resource: Resource) -> bool:
    """Say whether a resource says what is stored of it, digit for digit."""
    stored: Resource = fhirjson.loads(current.content)
    if stored.keys() | _SET != resource.keys() | _SET or _differ(stored, resource):
        return False
    return _meaning(stored) == _meaning(resource)


def _differ(stored: Resource, resource: Resource) -> bool:
    """Say whether a text of the resource itself differs: then nothing else has to be looked at."""
    return any(
        type(value) is str and type(other := resource.get(name)) is str and value != other
        for name, value in stored.items()
        if name != "id"
    )


def _meaning(resource: Resource) -> bytes:
    """Return the resource without what the server sets, in a form that compares digits too."""
    meta = resource.get("meta")
    own = ("versionId", "lastUpdated")
    rest = {k: v for k, v in meta.items() if k not in own} if isinstance(meta, dict) else meta
    plain = {k: v for k, v in resource.items() if k not in ("id", "meta")}
    return fhirjson.canonical(plain | ({"meta": rest} if rest else {}))


def stamp(resource: Resource, logical_id: str, version_id: int, now: str) -> Resource:
    """Return the resource with the `id` and `meta` of this version, the rest as it was sent."""
    meta = {
        **resource.get("meta", {}),
        "versionId": str(version_id),
        "lastUpdated": now,
    }
    if "id" in resource and "meta" in resource:
        return {**resource, "id": logical_id, "meta": meta}
    stamped = {"resourceType": "", "id": "", "meta": meta, **resource}
    stamped["id"], stamped["meta"] = logical_id, meta
    return stamped
