"""What was written lately, so that a guard need not search again.

A unit of work searched, and at its commit the search must still find the same. In between others
may have written, but hardly ever what could change the answer. Of a type that guards ask about,
the writer notes under which codes of the parameters they name a resource was written last, and
at which sequence. If nothing that has a code asked for, and none of what was found, was written
since the search, it finds what it found: for what meets a plan has one of the codes of each part.

Who cannot tell says no, and the guard is searched for.
"""

from collections.abc import Sequence

from fhir_hub.search.plan import Has, Is, Plan, Together, conditions_of
from fhir_hub.store.base import Asked, Change, CodeGuard, Guard
from fhir_hub.store.sqlite.conditions import CODED

_KEPT = 50_000
_ID = "_id"
Test = tuple[str | None, str | None]


class Touched:
    """What the one who writes remembers of what was written."""

    def __init__(self) -> None:
        self._since = 1  # of what came before this sequence, nobody knows
        self._sequence = 0
        # by type, since when it is noted under which codes of a parameter something was written
        self._watched: dict[str, dict[str, int]] = {}
        self._last: dict[tuple[str, str, str], int] = {}

    def forget(self, sequence: int) -> None:
        """Know nothing of what was written until now, where the last sequence is this one.

        A search after that sequence may have been before what is forgotten.
        """
        self._since, self._sequence = sequence + 1, sequence
        self._watched.clear()
        self._last.clear()

    def note(self, change: Change, sequence: int) -> None:
        """Note that a change is written, at this sequence."""
        self._sequence = sequence
        resource_type = change.resource_type
        watched = self._watched.get(resource_type)
        if not watched:
            return
        if len(self._last) > _KEPT:
            self._last.clear()
            self._since = sequence
        self._last[resource_type, _ID, change.logical_id] = sequence
        for entry in change.entries:
            if entry[0] in watched:
                self._last[resource_type, entry[0], entry[2]] = sequence

    def holds(self, guard: Guard) -> bool:
        """Say whether the search of a guard surely still finds what it found."""
        resource_type, plan, logical_ids, as_of = guard
        if as_of < self._since:
            return False
        last = self._last
        for logical_id in logical_ids:
            if last.get((resource_type, _ID, logical_id), 0) > as_of:
                return False
        asked = guard.asked if type(guard) is CodeGuard else _asked(plan)
        return any(self._is_untouched(resource_type, as_of, *part) for part in asked)

    def _is_untouched(
        self, resource_type: str, as_of: int, name: str, kind: str, tests: Sequence[Test]
    ) -> bool:
        """Say whether nothing was written after `as_of` that has a code that a part asks for."""
        if kind not in CODED or name == "_type":
            return False
        last, is_old = self._last, True
        for code, _ in tests:
            if code is None:
                return False
            is_old = is_old and last.get((resource_type, name, code), 0) <= as_of
        watched = self._watched.setdefault(resource_type, {})
        is_known = as_of >= watched.setdefault(name, self._sequence)
        return is_known and is_old and bool(tests)


def _asked(plan: Plan) -> Sequence[Asked]:
    """Return the parts of a plan that ask for codes; none if it looks at other types too."""
    found = list[Asked]()
    for part in (plan,) if type(plan) is Has else conditions_of(plan):
        if type(part) is Has:
            tests = [(test.code, test.system) for test in part.tests if type(test) is Is]
            if len(tests) == len(part.tests):
                found.append((part.parameter, part.kind, tests))
        elif type(part) is not Together:  # a chain
            return ()
    return found
