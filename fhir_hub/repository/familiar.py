"""What searches of a unit need not be run: of what is well known, and of what nobody knows yet.

A feed names the same few hundred doctors, wards and institutions again and again. Which resource
one is found as is kept with the moment of that search; the unit is written only if the search
would still find the same, so what is kept may be old and never does harm. And of a resource that
a unit has just made under an id of its own nothing can be stored that refers to it.

Spec: DESIGN 3
"""

from collections.abc import Collection, Sequence

from fhir_hub.search.plan import Has, Is, Plan, conditions_of
from fhir_hub.store.base import Stored

_MOST = 512
Found = tuple[Sequence[Stored], int]


class Familiar(dict[tuple[str, Plan], Found]):
    """What was found by a type and a plan, and as of when; at most some hundred answers."""

    def keep(self, resource_type: str, plan: Plan, matches: Sequence[Stored], as_of: int) -> None:
        """Keep what a search found."""
        if len(self) >= _MOST:
            self.clear()
        self[resource_type, plan] = (matches, as_of)


def asks_of(plan: Plan, addresses: Collection[str]) -> bool:
    """Say whether a plan finds only what refers to one of the addresses (`Patient/1`)."""
    for part in conditions_of(plan):
        if type(part) is Has and part.kind == "reference" and part.tests:
            codes = [test.code for test in part.tests if type(test) is Is]
            if len(codes) == len(part.tests) and all(code in addresses for code in codes):
                return True
    return False
