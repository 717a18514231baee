"""What searches of a unit need not be run: of what is well known, and of what nobody knows yet.

A feed names the same few hundred doctors, wards and institutions again and again, and of a patient
come several messages in a row, each of which asks the same. What was found is kept, and as of
when. It is found again if each of it is still the version that it was; and the unit is written
only if the search would still find the same, which so is known as of that write: where nothing
was written that could change the answer, nobody searches. If it is wrong, the unit is done again
and searches. And of a resource that a unit has just made under an id of its own nothing can be
stored that refers to it.

Spec: DESIGN 3
"""

from collections.abc import Collection, Sequence
from typing import Literal

from fhir_hub.search.plan import Has, Is, Plan, conditions_of
from fhir_hub.store.base import Key, Store, Stored

_MOST = 2048
_LARGE = 65_536  # bytes of an answer that is not kept
_LONG = 500  # characters of a code; what is asked by a longer one is not kept
By = Literal["", "name", "whole"]
Found = tuple[Sequence[Stored], int]


class Asked:
    """A type and a plan, as a key: a plan is many objects, whose hash is worked out once."""

    __slots__ = ("_hash", "plan", "resource_type")

    def __init__(self, resource_type: str, plan: Plan) -> None:
        self.resource_type, self.plan = resource_type, plan
        self._hash = hash((resource_type, plan))

    def __hash__(self) -> int:
        """Return the hash of both."""
        return self._hash

    def __eq__(self, other: object) -> bool:
        """Say whether the other asks the same."""
        return (
            type(other) is Asked
            and self.resource_type == other.resource_type
            and self.plan == other.plan
        )

    @property
    def is_long(self) -> bool:
        """Say whether it asks for a code that is so long that it is not kept."""
        parts = [part for part in conditions_of(self.plan) if type(part) is Has]
        codes = [one.code for part in parts for one in part.tests if type(one) is Is]
        return any(len(code) > _LONG for code in codes if code)


class Familiar:
    """What was found by a type and a plan, and as of when.

    Of the answers those that were used lately: the last 2,048, and the 2,048 before them, but
    none that is large, such as of doctors with their pictures.
    """

    def __init__(self) -> None:
        self._known: dict[Asked, Found] = {}
        self._before: dict[Asked, Found] = {}

    def keep(self, asked: Asked, matches: Sequence[Stored], as_of: int) -> None:
        """Keep what a search found."""
        known = self._known.get(asked)
        if known is not None and known[0] is matches:  # found again
            self._known[asked] = (matches, as_of)
            return
        if sum([len(one.content) for one in matches]) > _LARGE or asked.is_long:
            self.forget(asked)
            return
        if len(self._known) >= _MOST:
            self._known, self._before = {}, self._known
        self._known[asked] = (matches, as_of)

    def knows(self, asked: Asked) -> bool:
        """Say whether something was found that may still hold."""
        return asked in self._known or asked in self._before

    def forget(self, asked: Asked) -> None:
        """Have it searched for the next time."""
        self._known.pop(asked, None)
        self._before.pop(asked, None)

    async def again(self, asked: Asked, store: Store, by: By) -> Found | None:
        """Return what was found, None if it is not known or no more as it was.

        By `name` it only matters which resource has the one number that was asked for.
        """
        known = self._known.get(asked) or self._before.get(asked)
        if known is None or not known[0]:
            return known
        plan = asked.plan
        if by == "name" and type(plan) is Has and len(plan.tests) == 1:
            return known
        then = [(one.logical_id, one.version_id) for one in known[0]]
        current = await store.read_many(
            [Key(asked.resource_type, logical_id) for logical_id, _ in then]
        )
        if then == [(one.logical_id, one.version_id) for one in current]:
            return known
        self.forget(asked)
        return None


def asks_of(plan: Plan, addresses: Collection[str]) -> bool:
    """Say whether a plan finds only what refers to one of the addresses (`Patient/1`)."""
    for part in conditions_of(plan):
        if type(part) is Has and part.kind == "reference" and part.tests:
            codes = [test.code for test in part.tests if type(test) is Is]
            if len(codes) == len(part.tests) and all(code in addresses for code in codes):
                return True
    return False
