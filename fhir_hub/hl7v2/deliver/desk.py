"""What deliveries read of the store: what belongs to a resource, if it meets a condition."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidResource
from fhir_hub.hl7v2.emit.resources import Resources
from fhir_hub.repository.criteria import Entries, is_met
from fhir_hub.search.parameters import Parameters
from fhir_hub.search.parse import criteria_plan
from fhir_hub.search.plan import Plan, Query
from fhir_hub.store.base import Key, Store, Stored

Json = dict[str, Any]
_DEEP, _MOST, _PAGE = 3, 10_000, 400
_WITNESSES = frozenset({"Provenance", "AuditEvent"})


@dataclass(frozen=True, slots=True)
class Desk:
    """The reading side of a hub."""

    store: Store
    parameters: Parameters
    zone: tzinfo
    base: str
    aliases: Mapping[str, str]
    entries: Entries

    async def meets(self, change: Stored, condition: str) -> bool:
        """Say whether a version meets a FHIR search; an empty one it does.

        Of a deletion it is the version before.
        """
        if not condition:
            return True
        plan = self.plan(change.resource_type, condition)
        last = await self._last(change)
        return last is not None and await is_met(plan, last, self.store, self.entries)

    async def content(self, change: Stored) -> Json | None:
        """Return what a version says; of a deletion what was deleted, as no longer so.

        None if that is not known any more.
        """
        last = await self._last(change)
        if last is None:
            return None
        content: Json = fhirjson.loads(last.content)
        return content if last is change else content | ended(change.resource_type)

    async def _last(self, change: Stored) -> Stored | None:
        """Return a version, of a deletion the one before."""
        if not change.is_deleted:
            return change
        key = Key(change.resource_type, change.logical_id)
        found = await self.store.vread(key, change.version_id - 1)
        return None if found is None or found.is_deleted else found

    def plan(self, resource_type: str, criteria: str) -> Plan:
        """Return what a FHIR search asks; raises `UnknownParameter`, `InvalidParameter`."""
        return criteria_plan(
            resource_type,
            criteria or "_id=any",
            parameters=self.parameters,
            zone=self.zone,
            base=self.base,
            aliases=self.aliases,
        )

    async def find(self, resource_type: str, criteria: str, count: int = 20) -> list[Stored]:
        """Return what meets a FHIR search (`focus=ServiceRequest/1`)."""
        plan = self.plan(resource_type, criteria)
        return (await self.store.search(Query((resource_type,), plan, count=count))).matches

    async def before(self, stored: Stored) -> Json | None:
        """Return the version before this one, None if there was none."""
        key = Key(stored.resource_type, stored.logical_id)
        found = await self.store.vread(key, stored.version_id - 1)
        return fhirjson.loads(found.content) if found and not found.is_deleted else None

    async def gather(self, *first: Json) -> Resources:
        """Return resources with what they refer to, and what that does, three steps far.

        What they refer to and was deleted is as it was, no longer so. Raises `InvalidResource` if
        that is too much for a message.
        """
        known: dict[str, Json] = {}
        for one in first:
            known[f"{one['resourceType']}/{one['id']}"] = one
        edge = list(first)
        for step in range(_DEEP):
            wanted = {address for one in edge for address in _references(one)} - known.keys()
            if len(known) + len(wanted) > _MOST:
                raise InvalidResource(f"it refers to more than {_MOST} resources")
            keys = [Key(*address.split("/")) for address in sorted(wanted)]
            edge = [
                fhirjson.loads(one.content)
                for start in range(0, len(keys), _PAGE)
                for one in await self.store.read_many(keys[start : start + _PAGE])
            ]
            known |= {f"{one['resourceType']}/{one['id']}": one for one in edge}
            if not step:
                for address in sorted(wanted - known.keys()):
                    if (gone := await self._gone(Key(*address.split("/")))) is not None:
                        known[address] = gone
            if not edge:
                break
        return Resources(known.items())

    async def _gone(self, key: Key) -> Json | None:
        """Return what was deleted, as no longer so."""
        found = await self.store.read(key)
        return await self.content(found) if found is not None and found.is_deleted else None


def may_name(change: Stored, address: str) -> bool:
    """Say whether a version may refer to an address, without reading it; a deletion always may."""
    return change.is_deleted or f'"{address}"'.encode() in change.content


def ended(resource_type: str) -> Json:
    """Return what a resource says that was deleted: it is not in use, or was never so."""
    if resource_type in ("Patient", "RelatedPerson"):
        return {"active": False}
    if resource_type in ("AllergyIntolerance", "Condition"):
        return {"verificationStatus": {"coding": [{"code": "entered-in-error"}]}}
    return {"status": "entered-in-error"}


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for one in node:
            yield from _references(one)
    elif isinstance(node, dict):
        held = node.get("reference")
        address = held if isinstance(held, str) else ""
        is_local = address.count("/") == 1 and ":" not in address
        if is_local and address.partition("/")[0] not in _WITNESSES:
            yield address
        for one in node.values():
            if isinstance(one, dict | list):
                yield from _references(one)
