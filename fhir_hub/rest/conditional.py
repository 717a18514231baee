"""Conditional references of a transaction: what each finds when all else is staged.

`Patient?identifier=…` may mean what another entry of the same bundle makes, so it is resolved
when everything that needs no such answer is staged. A bundle may have thousands of both: those
that ask for a code look only at the staged resources that say it.

Spec: https://hl7.org/fhir/R4/http.html#trules
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from fhir_hub.errors import InvalidResource, PreconditionFailed
from fhir_hub.repository.unit import Unit
from fhir_hub.rest.criteria import criteria
from fhir_hub.rest.entries import Entry
from fhir_hub.rest.service import Service
from fhir_hub.search.plan import And, Has, Is, Plan
from fhir_hub.store.base import Key

Codes = Mapping[tuple[str, str, str], Collection[Key]]


class Waiting(NamedTuple):
    """An entry that waits for the others, its resource, and the criteria that are in it."""

    entry: Entry
    key: Key
    resource: dict[str, Any]
    queries: Collection[str]


class Referred:
    """What conditional references find in a unit of work, in which nothing more is staged.

    `known` are the resources that conditional entries found or make, by type and criteria.
    """

    def __init__(
        self, service: Service, unit: Unit, known: Mapping[tuple[str, str], Key | None]
    ) -> None:
        self._service, self._unit = service, unit
        self._known = {asked: key for asked, key in known.items() if key is not None}
        self._codes = _codes(unit)

    async def key(self, query: str, base: str) -> Key:
        """Return the one resource that `query` finds.

        Raises `PreconditionFailed` for none or several, `InvalidResource` for an unknown type,
        `UnknownParameter`, `InvalidParameter`.
        """
        resource_type, _, text = query.partition("?")
        if resource_type not in self._service.definitions.resource_types:
            raise InvalidResource("a conditional reference begins with a resource type of R4")
        if key := self._known.get((resource_type, text)):
            return key
        plan = criteria(resource_type, text, base, self._service)
        among = _among(resource_type, plan, self._codes)
        if among is None:
            await asyncio.sleep(0)  # all that is staged is looked at: others are served between
        found = await self._unit.find(resource_type, plan, among)
        if len(found) != 1:
            count = len(found) or "no"
            raise PreconditionFailed(f"a conditional reference matches {count} resources, not one")
        key = self._known[resource_type, text] = Key(resource_type, found[0].logical_id)
        return key


def _codes(unit: Unit) -> Codes:
    """Return the staged resources by type, parameter and code."""
    found: dict[tuple[str, str, str], set[Key]] = {}
    for key, change in unit.changes.items():
        found.setdefault((key.resource_type, "_id", key.logical_id), set()).add(key)
        for entry in change.entries:
            found.setdefault((key.resource_type, entry.parameter, entry.code), set()).add(key)
    return found


def _among(resource_type: str, plan: Plan, codes: Codes) -> Collection[Key] | None:
    """Return the staged resources that may meet `plan`; None: any of them."""
    match plan:
        case And(plans):
            parts = (_among(resource_type, part, codes) for part in plans)
            return next((part for part in parts if part is not None), None)
        case Has(parameter, _, tests) if tests:
            wanted = [test.code for test in tests if type(test) is Is and test.code is not None]
            if len(wanted) == len(tests):
                keys = (codes.get((resource_type, parameter, code), ()) for code in wanted)
                return {key for some in keys for key in some}
    return None
