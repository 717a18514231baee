"""Who holds one of these codes: the question of an HL7v2 match, and of its guard at commit.

A message asks whether any of twenty numbers is known, finds that most are not, and its commit
asks again. Such a plan (one part, plain codes or references) needs no statement of its own: each
code is one step into `by_code`, and those of one system are one statement, or several if they are
many: a message may have hundreds of results. Where one statement is all, it also brings what is
found: it sees one state by itself. With a part for `_id` the resource is found by its key, and its
other codes are looked up.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import apsw

from fhir_hub.search.plan import Has, Is, Plan, Query, conditions_of
from fhir_hub.store.sqlite.conditions import CODED, is_walked
from fhir_hub.store.sqlite.names import Names
from fhir_hub.store.sqlite.pages import STORED

_MOST = 10_000  # codes; more are a matter for one statement
_TOGETHER = 400  # of them in a statement
_OWN = "SELECT rid FROM resource WHERE type = ? AND logical_id = ? AND shape <> 0"
_HOLDERS = "SELECT by_code.rid FROM by_code WHERE parameter = ? AND "
_HELD = (
    f"SELECT by_code.rid, {STORED} FROM by_code"
    " CROSS JOIN resource r ON r.rid = by_code.rid"
    " CROSS JOIN version v ON v.sequence = r.sequence"
    " WHERE parameter = ? AND "
)
_ALL_HELD = (
    f"SELECT by_code.parameter, by_code.rid, {STORED} FROM asked"
    " CROSS JOIN by_code ON by_code.parameter = asked.parameter"
    " AND by_code.code = asked.code AND by_code.system = asked.system"
    " CROSS JOIN resource r ON r.rid = by_code.rid"
    " CROSS JOIN version v ON v.sequence = r.sequence LIMIT ?"
)
_HOLDS, _OF_SYSTEM = "code = ?", " AND system = ?"
_FIRST = " ORDER BY by_code.rid LIMIT ?"
_SOME = " LIMIT ?"
_IS_ONE = " AND rid = ?"
_SIZES = (4, 16, 64, _TOGETHER)  # of how many codes a statement is compiled

_Codes = tuple[tuple[str, str | None], ...]  # each with its system, as in `Is`


class Lookup(NamedTuple):
    """The type, the part for `_id` if there is one, and the other parts: one if there is none."""

    resource_type: str
    own: _Codes
    parts: tuple[tuple[Has, _Codes], ...]
    most: int


_Values = tuple[str, _Codes, tuple[tuple[Has, _Codes], ...], int]
# `Lookup` of all its values, without a call of Python's own
_lookup_of: Callable[[_Values], Lookup] = partial(tuple.__new__, Lookup)


def lookup_of(query: Query) -> Lookup | None:
    """Return the query as a lookup, None if it is of another form."""
    if query.sort or query.after or query.with_total or len(query.resource_types) != 1:
        return None
    plan, most = query.plan, query.count + 1
    if type(plan) is Has and plan.parameter != "_id":
        codes = _codes(plan)
        return _lookup_of((query.resource_types[0], (), ((plan, codes),), most)) if codes else None
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

    def held(self, lookup: Lookup) -> list[Any] | None:
        """Return what is found if one statement tells: rows of the number and what is stored.

        They are in the order of creation. None if it takes several statements, or finds `most`.
        """
        if lookup.own:
            return None
        number = self._names.type(lookup.resource_type)
        steps = () if number is None else self._steps(number, *lookup.parts[0])
        if not steps:
            return []
        if len(steps) > 1:
            return None
        where, bound = steps[0]
        sql = _HELD + where + _SOME
        rows: list[Any] = self._connection.execute(sql, (*bound, lookup.most)).fetchall()
        if len(rows) < 2:
            return rows
        if len(rows) == lookup.most:
            return None
        return _in_order(rows)

    def held_by_all(self, lookups: Sequence[Lookup]) -> list[list[Any]] | None:
        """Return what `held` does of each of several lookups, None if one statement is not all.

        So it is where each is of another parameter, and each code of a system.
        """
        bound: list[int | str] = []
        places: dict[int, int] = {}  # by parameter
        for place, lookup in enumerate(lookups):
            number = self._names.type(lookup.resource_type)
            if lookup.own:
                return None
            part, codes = lookup.parts[0]
            parameter = number and self._names.parameter(number, part.parameter, part.kind)
            if parameter is None:
                continue
            if places.setdefault(parameter, place) != place:
                return None
            for code, system in codes:
                if system is None:
                    return None
                if (system_id := self._names.system(system)) is not None:
                    bound += (parameter, code, system_id)
        found: list[list[Any]] = [[] for _ in lookups]
        asked, most = len(bound) // 3, min([one.most for one in lookups], default=0)
        if asked > _TOGETHER:
            return None
        if asked:
            size = next(size for size in _SIZES if size >= asked)
            values = (*bound, *bound[-3:] * (size - asked), most)
            rows: list[Any] = self._connection.execute(_of_all(size), values).fetchall()
            if len(rows) == most:
                return None
            for row in rows:
                found[places[row[0]]].append(row[1:])
        return [_in_order(one) if len(one) > 1 else one for one in found]

    def run(self, lookup: Lookup) -> list[int]:
        """Return the numbers of the resources found, in the order of creation, at most `most`."""
        found: set[int] = set()
        for sql, bound in self.leading(lookup):
            rows: list[Any] = self._connection.execute(sql, bound).fetchall()
            if len(rows) == lookup.most and sql.endswith(_SOME):
                rows = list(self._one_by_one(lookup))
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
        for where, bound in self._steps(number, *lookup.parts[0]):
            is_one = where.startswith(_HOLDS)
            yield _HOLDERS + where + (_FIRST if is_one else _SOME), (*bound, lookup.most)

    def _one_by_one(self, lookup: Lookup) -> Iterator[tuple[int]]:
        """Yield the first who hold each code: of many it is not known which were created first."""
        number, (part, codes) = self._names.type(lookup.resource_type), lookup.parts[0]
        for code in codes if number is not None else ():
            for where, bound in self._steps(number or 0, part, (code,)):
                sql = _HOLDERS + where + _FIRST
                rows: Iterable[Any] = self._connection.execute(sql, (*bound, lookup.most))
                yield from rows

    def _has(self, lookup: Lookup, rid: int, part: Has, codes: _Codes) -> bool:
        number = self._names.type(lookup.resource_type)
        execute = self._connection.execute
        return number is not None and any(
            execute(_HOLDERS + where + _IS_ONE, (*bound, rid)).fetchone()
            for where, bound in self._steps(number, part, codes)
        )

    def _steps(
        self, number: int, part: Has, codes: _Codes
    ) -> Sequence[tuple[str, tuple[int | str, ...]]]:
        """Return the conditions that find who holds one of the codes, of one system each."""
        parameter = self._names.parameter(number, part.parameter, part.kind)
        if parameter is None:
            return ()
        steps: list[tuple[str, tuple[int | str, ...]]] = []
        for system, some in _by_system(codes):
            holds = _HOLDS
            if len(some) > 1:
                holds, some = _among(some)
            if system is None:
                steps.append((holds, (parameter, *some)))
            elif (system_id := self._names.system(system)) is not None:
                steps.append((holds + _OF_SYSTEM, (parameter, *some, system_id)))
        return steps


def _by_system(codes: _Codes) -> Iterator[tuple[str | None, list[str]]]:
    """Yield the codes of each system, so many together as a statement takes."""
    grouped: dict[str | None, list[str]] = {}
    for code, system in codes:
        grouped.setdefault(system, []).append(code)
    for system, some in grouped.items():
        for at in range(0, len(some), _TOGETHER):
            yield system, some[at : at + _TOGETHER]


def _among(codes: list[str]) -> tuple[str, list[str]]:
    """Return the condition that asks for one of some codes, and what it binds."""
    size = next(size for size in _SIZES if size >= len(codes))
    return _slots(size), [*codes, *codes[-1:] * (size - len(codes))]


@cache
def _slots(size: int) -> str:
    return f"code IN ({', '.join('?' * size)})"


@cache
def _of_all(size: int) -> str:
    """Return the statement of several lookups, of so many codes."""
    values = ", ".join(["(?, ?, ?)"] * size)
    return f"WITH asked(parameter, code, system) AS (VALUES {values}) {_ALL_HELD}"


def _in_order(rows: list[Any]) -> list[Any]:
    """Return what was found, each once, in the order of creation."""
    return sorted({row[0]: row for row in rows}.values())


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
    return tuple(codes if len(codes) == 1 else dict.fromkeys(codes))
