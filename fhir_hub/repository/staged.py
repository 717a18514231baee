"""What is staged and not yet written, as a plan sees it.

Spec: https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.search.plan import Among, And, Has, Is, Or, Plan
from fhir_hub.store.base import Change, Key, Stored

Resource = dict[str, Any]
_SET = frozenset(("id", "meta"))  # what the server sets, or a part of it
_FEW = 16  # are looked at one by one: as nearly always
_OF_NO_ENTRY = frozenset(("_id", "_type", "_lastUpdated"))
Code = tuple[str, str]  # a search parameter and a code


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


class OfType:
    """The `changes` staged of one resource type, by key, in their order; deletions are left out.

    Where they are many, those that may meet a plan are looked up by the codes that it asks for: a
    bundle or message of thousands asks as many times.
    """

    __slots__ = ("_by_code", "_fresh", "_places", "changes")

    def __init__(self) -> None:
        self.changes: dict[Key, Change] = {}
        self._fresh: list[Key] = []
        self._by_code: dict[Code, dict[Key, None]] = {}
        self._places: dict[Key, int] = {}

    def put(self, key: Key, change: Change) -> None:
        """Take a change, or what is staged of the same resource now."""
        self.changes[key] = change
        self._fresh.append(key)

    def perhaps(self, plan: Plan) -> Collection[Key]:
        """Return what may meet a plan, and may be gone again."""
        if len(self.changes) <= _FEW:
            return self.changes
        for key in self._fresh:
            self._places.setdefault(key, len(self._places))
            if (change := self.changes.get(key)) is not None:
                for entry in change.entries:
                    if entry.code is not None:
                        self._by_code.setdefault((entry.parameter, entry.code), {})[key] = None
        self._fresh.clear()
        codes = _codes(plan)
        if codes is None:
            return self.changes
        found = {key for code in codes for key in self._by_code.get(code, ())}
        return sorted(found, key=self._places.__getitem__)


def _codes(plan: Plan) -> set[Code] | None:
    """Return parameters and codes of which what meets a plan has one; None if nobody knows."""
    if type(plan) is Has:
        if plan.parameter in _OF_NO_ENTRY or not plan.tests:
            return None
        found: set[Code] = set()
        for test in plan.tests:
            if type(test) is Is and test.code is not None:
                found.add((plan.parameter, test.code))
            elif type(test) is Among:
                found.update((plan.parameter, code) for code in test.codes)
            else:
                return None
        return found
    if type(plan) is And:
        known = [codes for part in plan.plans if (codes := _codes(part)) is not None]
        return min(known, key=len, default=None)
    if type(plan) is Or:
        parts = [_codes(part) for part in plan.plans]
        return None if None in parts else {code for codes in parts for code in codes or ()}
    return None


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
