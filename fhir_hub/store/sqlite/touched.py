"""What was written lately, so that a guard need not search again.

A unit of work searched, and at its commit the search must still find the same. In between others
may have written, but hardly ever what could change the answer. Of a type that guards ask about,
the writer notes under which codes of the parameters they name a resource was written last, and
at which sequence. If nothing that has a code asked for, and none of what was found, was written
since the search, it finds what it found: for what meets a plan has one of the codes of each part.
That a new resource is new its codes tell: its id is noted only where somebody asks by id.

A worker asks by what it found some thousand messages ago, so a lot is kept, each by its hash alone.
Who cannot tell says no, and the guard is searched for: so does who meets another of the same hash.
"""

from collections.abc import Collection, Sequence
from typing import Any

from fhir_hub.search.plan import Has, Is, Plan, Together, conditions_of
from fhir_hub.store.base import Asked, CodeGuard, Guard
from fhir_hub.store.sqlite.conditions import CODED
from fhir_hub.store.sqlite.names import Names
from fhir_hub.store.sqlite.rows import WIDTH

_KEPT = 50_000  # and as many before them: some 10 MB
Test = tuple[str | None, str | None]


class Touched:
    """What the one who writes remembers of what was written."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._since = 1  # of what came before this sequence, nobody knows
        self._sequence = 0
        # since when it is noted under which codes of a parameter, by number, something was written
        self._watched: dict[int | str, int] = {}  # or of ids, by type
        self._types: set[str] = set()  # of which one of the parameters is
        self._of_shape: dict[int, Sequence[int]] = {}  # which of them resources of a shape have
        self._numbers: dict[tuple[str, str, str], int] = {}  # of parameters asked for
        self._absent: set[str] = set()  # types asked for, of which there never was a resource
        self._last: dict[int, int] = {}  # by the hash of parameter and code, or of type and id
        # the same of what was noted before `_began`; when `_last` is full, this is dropped for it
        self._older: dict[int, int] = {}
        self._began = 1

    def forget(self, sequence: int) -> None:
        """Know nothing of what was written until now, where the last sequence is this one.

        A search after that sequence may have been before what is forgotten.
        """
        self._since, self._sequence = sequence + 1, sequence
        self._watched.clear()
        self._types.clear()
        self._of_shape.clear()
        self._numbers.clear()
        self._absent.clear()
        self._last, self._older, self._began = {}, {}, self._since

    def note(
        self,
        resource_type: str,
        logical_id: str,
        sequence: int,
        values: Sequence[Any],
        numbers: Collection[int],
        shape: int,
        *,
        is_new: bool = False,
    ) -> None:
        """Note that a resource is written, at this sequence, with these rows of `entry`.

        `numbers` are those of all its parameters, which its `shape` is of.
        """
        self._sequence = sequence
        self._absent.discard(resource_type)
        if resource_type not in self._types:
            return
        if len(self._last) > _KEPT:
            self._older, self._last = self._last, {}
            self._since, self._began = self._began, sequence
        last = self._last
        if not is_new or resource_type in self._watched:
            last[hash((resource_type, logical_id))] = sequence
        watched = self._of_shape.get(shape)  # one or two of sixteen
        if watched is None:
            known = self._watched
            watched = self._of_shape[shape] = [one for one in numbers if one in known]
        parameters = values[1::WIDTH] if watched else ()
        for number in watched:
            at = -1
            for _ in range(parameters.count(number)):
                at = parameters.index(number, at + 1)
                last[hash((number, values[at * WIDTH + 3]))] = sequence

    def holds(self, guard: Guard) -> bool:
        """Say whether the search of a guard surely still finds what it found."""
        resource_type, plan, logical_ids, as_of = guard
        if as_of < self._since:
            return False
        for logical_id in logical_ids:
            if self._sequence_of(resource_type, logical_id) > as_of:
                return False
        asked: Any = plan if type(guard) is CodeGuard else _asked(plan)  # as `CodeGuard.asked`
        for name, kind, tests in asked:
            if kind not in CODED or name == "_type" or not tests:
                continue
            under: int | str | None = (
                resource_type
                if name == "_id"
                else self._numbers.get((resource_type, name, kind))
                or self._number(resource_type, name, kind)
            )
            if under is None:  # nothing ever had it
                if not logical_ids:
                    return True
            elif self._is_untouched(resource_type, as_of, under, tests):
                return True
        return False

    def _is_untouched(
        self, resource_type: str, as_of: int, under: int | str, tests: Sequence[Test]
    ) -> bool:
        """Say whether nothing was written after `as_of` that has a code that a part asks for."""
        last, older = self._last, self._older
        for code, _ in tests:
            if code is None:
                return False
            key = hash((under, code))
            if (last.get(key) or older.get(key, 0)) > as_of:
                return False
        since = self._watched.get(under)
        if since is None:
            since = self._watched[under] = self._sequence
            self._types.add(resource_type)
            self._of_shape.clear()
        return as_of >= since

    def _sequence_of(self, under: int | str, code: str) -> int:
        """Return when something was last written under a code, 0 if that is not known."""
        key = hash((under, code))
        return self._last.get(key) or self._older.get(key, 0)

    def _number(self, resource_type: str, name: str, kind: str) -> int | None:
        """Return the number of a parameter, None if nothing ever had it."""
        if resource_type in self._absent:
            return None
        type_id = self._names.type(resource_type)
        if type_id is None:
            self._absent.add(resource_type)
            return None
        number = self._names.parameter(type_id, name, kind)
        if number is not None:
            self._numbers[resource_type, name, kind] = number
        return number


def _asked(plan: Plan) -> Sequence[Asked]:
    """Return the parts of a plan that ask for codes; none if it looks at other types too."""
    found: list[Asked] = []
    for part in conditions_of(plan):
        if type(part) is Has:
            tests = [(test.code, test.system) for test in part.tests if type(test) is Is]
            if len(tests) == len(part.tests):
                found.append((part.parameter, part.kind, tests))
        elif type(part) is not Together:  # a chain
            return ()
    return found
