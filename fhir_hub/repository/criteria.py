"""Whether a version of a resource meets a search, also one that is not current any more.

What the search asks of the resource is asked of that version; what it asks of others (chains,
`_has`) is asked as it is now, of the current version.

Spec: https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import And, Has, Is, LinkedBy, Links, Not, Or, Plan, Query
from fhir_hub.search.predicate import meets
from fhir_hub.store.base import Store, Stored

Entries = Callable[[Stored], Sequence[Entry]]


@dataclass(frozen=True, slots=True)
class _Version:
    """A version as a plan that asks only of it sees it."""

    stored: Stored
    known: Entries

    @property
    def resource_type(self) -> str:
        return self.stored.resource_type

    @property
    def logical_id(self) -> str:
        return self.stored.logical_id

    @property
    def last_updated(self) -> int:
        return self.stored.last_updated

    @property
    def entries(self) -> tuple[Entry, ...]:
        return tuple(self.known(self.stored))

    def others(self, resource_types: tuple[str, ...]) -> "tuple[_Version, ...]":
        raise AssertionError("a plan about other resources is asked of the store")


async def is_met(plan: Plan, stored: Stored, store: Store, entries: Entries) -> bool:
    """Say whether a version, which is no deletion, meets a plan.

    `entries` returns what the search knows of a version.
    """
    if not _asks_others(plan):
        return meets(plan, _Version(stored, entries))
    plan = And((Has("_id", "token", (Is(stored.logical_id),)), plan))
    query = Query((stored.resource_type,), plan, count=1)
    return bool((await store.search(query)).matches)


def _asks_others(plan: Plan) -> bool:
    match plan:
        case And(plans) | Or(plans):
            return any(map(_asks_others, plans))
        case Not(inner):
            return _asks_others(inner)
        case Links() | LinkedBy():
            return True
    return False
