"""What searches of a unit need not be run: of what is well known, and of what nobody knows yet.

A feed names the same few hundred doctors, wards and institutions again and again. Which resource
one is found as is kept, and as of when. It is found again if what was found is as it was then; and
the unit is written only if the search would still find the same, which so is known as of that
write. Of what was asked for by one number that says all; what was found by one of several is read
by id, to see that it has them still. And of a resource that a unit has just made under an id of
its own nothing can be stored that refers to it.

Spec: DESIGN 3
"""

from collections.abc import Collection, Sequence

from fhir_hub.search.plan import Has, Is, Plan, conditions_of
from fhir_hub.store.base import Key, Store, Stored

_MOST = 512
Found = tuple[Sequence[Stored], int]


class Familiar(dict[tuple[str, Plan], Found]):
    """What was found by a type and a plan, and as of when; at most some hundred answers."""

    def keep(self, resource_type: str, plan: Plan, matches: Sequence[Stored], as_of: int) -> None:
        """Keep what a search found."""
        if len(self) >= _MOST:
            self.clear()
        self[resource_type, plan] = (matches, as_of)

    async def again(self, resource_type: str, plan: Plan, store: Store) -> Found | None:
        """Return what was found, None if it is not known or no more as it was."""
        known = self.get((resource_type, plan))
        if known is None or (type(plan) is Has and len(plan.tests) == 1):
            return known
        then = [(one.logical_id, one.version_id) for one in known[0]]
        current = await store.read_many([Key(resource_type, logical_id) for logical_id, _ in then])
        if then == [(one.logical_id, one.version_id) for one in current]:
            return known
        self.pop((resource_type, plan), None)
        return None


def asks_of(plan: Plan, addresses: Collection[str]) -> bool:
    """Say whether a plan finds only what refers to one of the addresses (`Patient/1`)."""
    for part in conditions_of(plan):
        if type(part) is Has and part.kind == "reference" and part.tests:
            codes = [test.code for test in part.tests if type(test) is Is]
            if len(codes) == len(part.tests) and all(code in addresses for code in codes):
                return True
    return False
