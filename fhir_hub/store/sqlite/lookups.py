"""Who holds one of these codes: the question of an HL7v2 match, and of its guard at commit.

A message asks whether any of twenty numbers is known, finds that most are not, and its commit
asks again. Such a plan (one part, plain codes or references) needs no statement of its own: each
code is one step into `by_code`. With a part for `_id` the resource is found by its key, and its
other codes are looked up.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apsw

from fhir_hub.search.plan import Has, Is, Plan, Query, conditions_of
from fhir_hub.store.sqlite.conditions import CODED, is_walked
from fhir_hub.store.sqlite.names import Names

_MOST = 400  # codes; more are a matter for one statement
_OWN = "SELECT rid FROM resource WHERE type = ? AND logical_id = ? AND shape <> 0"
_HOLDS = "SELECT rid FROM by_code WHERE parameter = ? AND code = ?"
_OF_SYSTEM = " AND system = ?"
_FIRST = " ORDER BY rid LIMIT ?"
_IS_ONE = " AND rid = ?"

_Codes = tuple[tuple[str, str | None], ...]  # each with its system, as in `Is`


class Lookup(NamedTuple):
    """The type, the part for `_id` if there is one, and the other parts: one if there is none."""

    resource_type: str
    own: _Codes
    parts: tuple[tuple[Has, _Codes], ...]
    most: int

    @property
    def is_step(self) -> bool:
        """Whether it is one step into the index."""
        return not self.own and len(self.parts[0][1]) == 1


def lookup_of(query: Query) -> Lookup | None:
    """Return the query as a lookup, None if it is of another form."""
    if query.sort or query.after or query.with_total or len(query.resource_types) != 1:
        return None
    plan, most = query.plan, query.count + 1
    if type(plan) is Has and plan.parameter != "_id":
        codes = _codes(plan)
        return Lookup(query.resource_types[0], (), ((plan, codes),), most) if codes else None
    asked = list(conditions_of(plan))
    if len(asked) != 1 and not any(type(one) is Has and one.parameter == "_id" for one in asked):
        return None
    own: _Codes = ()
    parts = []
    for part in asked:
        codes = _codes(part)
        if not codes:
            return None
        assert isinstance(part, Has)
        if part.parameter != "_id":
            parts.append((part, codes))
        elif own:
            return None
        else:
            own = codes
    if not own and len(parts) != 1:
        return None
    return Lookup(query.resource_types[0], own, tuple(parts), most)


class Lookups:
    """Answers lookups on one connection."""

    def __init__(self, connection: apsw.Connection, names: Names) -> None:
        self._connection, self._names = connection, names

    def run(self, lookup: Lookup) -> list[int]:
        """Return the numbers of the resources found, in the order of creation, at most `most`."""
        found: set[int] = set()
        for sql, bound in self.leading(lookup):
            rows: Iterable[Any] = self._connection.execute(sql, bound)
            found.update([rid for (rid,) in rows])
        if lookup.own:
            others = lookup.parts
            found = {rid for rid in found if all(self._has(lookup, rid, *one) for one in others)}
        return sorted(found)[: lookup.most]

    def leading(self, lookup: Lookup) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """Yield the statements that find the resources to ask, with what they bind."""
        number = self._names.type(lookup.resource_type)
        if number is None:
            return
        if lookup.own:
            yield from ((_OWN, (number, code)) for code, system in lookup.own if not system)
            return
        for sql, bound in self._steps(number, *lookup.parts[0]):
            yield sql + _FIRST, (*bound, lookup.most)

    def _has(self, lookup: Lookup, rid: int, part: Has, codes: _Codes) -> bool:
        number = self._names.type(lookup.resource_type)
        execute = self._connection.execute
        return number is not None and any(
            execute(sql + _IS_ONE, (*bound, rid)).fetchone()
            for sql, bound in self._steps(number, part, codes)
        )

    def _steps(
        self, number: int, part: Has, codes: _Codes
    ) -> Iterator[tuple[str, tuple[int | str, ...]]]:
        parameter = self._names.parameter(number, part.parameter, part.kind)
        if parameter is None:
            return
        for code, system in codes:
            if system is None:
                yield _HOLDS, (parameter, code)
            elif (system_id := self._names.system(system)) is not None:
                yield _HOLDS + _OF_SYSTEM, (parameter, code, system_id)


def _codes(part: Plan) -> _Codes:
    """Return the codes of which a part asks for one; none if it asks for anything else."""
    if type(part) is not Has or part.kind not in CODED or not is_walked(part.parameter):
        return ()
    if len(part.tests) > _MOST or part.parameter in ("_type", "_lastUpdated"):
        return ()
    codes = []
    for test in part.tests:
        if type(test) is not Is or test.code is None:
            return ()
        codes.append((test.code, test.system))
    return tuple(dict.fromkeys(codes))
