"""Plan to SQL, seen from one resource: does the one numbered `rid` meet the plan?

Every plan has such a condition; it looks up what the resource says in `entry`, and a code in
`by_code`. `walks.py` finds the resources to ask.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import count
from typing import NamedTuple

from fhir_hub import fhirjson
from fhir_hub.search.entry import Entry
from fhir_hub.search.full_text import CONTENT
from fhir_hub.search.kinds.position import DEGREE, HALF
from fhir_hub.search.plan import (
    Among,
    And,
    Compare,
    Except,
    Has,
    Is,
    LinkedBy,
    Links,
    Near,
    Not,
    Or,
    Plan,
    Range,
    Test,
    Text,
    Together,
)
from fhir_hub.search.predicate import passes_any
from fhir_hub.store.sqlite import canonicals
from fhir_hub.store.sqlite.beside import asks_codes, asks_date, found_beside, unless_told
from fhir_hub.store.sqlite.canonicals import Joint
from fhir_hub.store.sqlite.names import Names
from fhir_hub.store.sqlite.sql import (
    FALSE,
    TRUE,
    Sql,
    all_of,
    any_of,
    bounded,
    negated,
    one_of,
    starts_with,
)

_STEPS = 8
CODED = frozenset(("token", "string", "reference", "uri"))


class Scope(NamedTuple):
    """The resource type that a plan is read for."""

    number: int
    name: str


class Columns(NamedTuple):
    """Where a test finds the parts of an entry; an empty `system` means that it has none."""

    code: str
    system: str
    low: str
    high: str
    text: str


def entry_columns(alias: str) -> Columns:
    """Return the columns of table `entry` under `alias`."""
    return Columns(*(f"{alias}.{name}" for name in ("code", "system", "low", "high", "text")))


def code_columns(alias: str) -> Columns:
    """Return the columns of table `by_code` under `alias`; it has no others."""
    return Columns(f"{alias}.code", f"{alias}.system", "NULL", "NULL", "NULL")


class Conditions:
    """Makes the conditions of one query; table aliases are numbered through it."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self._aliases: Iterator[int] = count(1)

    def alias(self) -> str:
        """Return a table alias that the query has not used."""
        return f"t{next(self._aliases)}"

    def scopes(self, resource_types: Sequence[str]) -> list[Scope]:
        """Return those of the types that have a resource; of no types: all."""
        if not resource_types:
            return [Scope(*row) for row in self.names.types()]
        found = ((self.names.type(name), name) for name in dict.fromkeys(resource_types))
        return [Scope(number, name) for number, name in found if number]

    def meets(self, plan: Plan, scope: Scope, rid: str, beside: str = "") -> Sql:
        """Return the condition that the resource `rid` (a column), of the scope, meets `plan`.

        `beside` is the alias of a row of `by_code` of that resource, if one is at hand.
        """
        match plan:
            case And(plans):
                return all_of([self.meets(part, scope, rid, beside) for part in plans])
            case Or(plans):
                return any_of([self.meets(part, scope, rid, beside) for part in plans])
            case Not(inner):
                return negated(self.meets(inner, scope, rid, beside))
            case Has():
                asked = self._has(plan, scope, rid)
                return self._told(plan, scope, beside, asked) if beside else asked
            case Together():
                return self._together(plan, scope, rid)
            case Links():
                return self._links(plan, scope, rid)
            case LinkedBy():
                return self._linked_by(plan, scope, rid)

    def any_test(self, tests: Sequence[Test], columns: Columns) -> Sql:
        """Return that one of `tests` is passed by the entry in `columns`; of none: any entry."""
        if not tests:
            return TRUE
        codes = [test.code for test in tests if isinstance(test, Is) and test.system is None]
        others = [self.test(test, columns) for test in tests if not _is_code_alone(test)]
        known = [code for code in codes if code is not None]
        if known:
            others.append(one_of(columns.code, known))
        return any_of(others)

    def test(self, test: Test, columns: Columns) -> Sql:
        """Return that the entry in `columns` passes `test`."""
        match test:
            case Is(code, system):
                return all_of((_equal(columns.code, code), self._system(columns, system)))
            case Among(codes, system):
                return all_of((_one_of_many(columns.code, codes), self._system(columns, system)))
            case Text(value, mode):
                return _text(columns, value, mode)
            case Range():
                return self._range(test, columns)
            case Near():
                return _near(test, columns)
            case Except(tests):
                return negated(self.any_test(tests, columns))

    def own_columns(self, has: Has, alias: str) -> Columns | None:
        """Return the columns of table `resource` that answer `_id` and `_lastUpdated`."""
        if (has.parameter, has.kind) == ("_id", "token"):
            return Columns(f"{alias}.logical_id", "0", "NULL", "NULL", "''")
        if (has.parameter, has.kind) == ("_lastUpdated", "date"):
            moment = f"{alias}.last_updated"
            return Columns("''", "0", moment, moment, "''")
        return None

    def _has(self, plan: Has, scope: Scope, rid: str) -> Sql:
        if plan.parameter == "_type":
            return TRUE if passes_any(plan.tests, Entry("_type", "token", scope.name)) else FALSE
        if plan.kind == "text":
            alias = self.alias()
            found = self.words(plan, scope, alias)
            return _exists(f"full_text {alias}", rid, alias, found, "rowid")
        own = self.own_columns(plan, alias := self.alias())
        if own and not plan.tests:
            return TRUE
        if own:
            return _exists(f"resource {alias}", rid, alias, self.any_test(plan.tests, own))
        number = self.names.parameter(scope.number, plan.parameter, plan.kind)
        if number is None:
            return FALSE
        is_coded = plan.kind in CODED and is_walked(plan.parameter) and bool(plan.tests)
        if is_coded and all(map(_is_few_codes, plan.tests)):
            table, columns = "by_code", code_columns(alias)
        else:
            table, columns = "entry", entry_columns(alias)
        tests = self.any_test(plan.tests, columns)
        if tests == FALSE:
            return FALSE
        parameter = Sql(f"{alias}.parameter = ?", (number,))
        return _exists(f"{table} {alias}", rid, alias, all_of((parameter, tests)))

    def _told(self, plan: Has, scope: Scope, beside: str, asked: Sql) -> Sql:
        """Return the condition `asked`, by what the row `beside` says of it where it does."""
        number = self.names.parameter(scope.number, plan.parameter, plan.kind)
        if number is None or not plan.tests or asked == FALSE:
            return asked
        if asks_date(plan):
            columns = Columns("''", "0", f"{beside}.low", f"{beside}.high", "''")
            return unless_told(columns.low, asked, self.any_test(plan.tests, columns))
        if not asks_codes(plan):
            return asked
        found = []
        for test in plan.tests:
            assert isinstance(test, Is)
            assert test.code is not None
            system = None if test.system is None else self.names.system(test.system)
            if system is not None or test.system is None:  # else no resource has such a code
                found.append(found_beside(test.code, system, number, beside))
        return unless_told(f"{beside}.tokens", asked, any_of(found))

    def words(self, plan: Has, scope: Scope, alias: str) -> Sql:
        """Return what asks the full text of a resource of the scope, in table `alias`, for words.

        Of no words: for a text.
        """
        number = self.names.parameter(scope.number, plan.parameter, plan.kind)
        if number is None:
            return FALSE
        if not plan.tests:
            other = self.alias()
            return Sql(
                f"EXISTS (SELECT 1 FROM resource {other} JOIN shape_parameter p ON p.shape ="
                f" {other}.shape AND p.parameter = ? WHERE {other}.rid = {alias}.rowid)",
                (number,),
            )
        column = "content" if plan.parameter == CONTENT else "narrative"
        phrases = " OR ".join(f'"{test.value}"' for test in plan.tests if isinstance(test, Text))
        match = f"type : t{scope.number} AND {column} : ({phrases})"
        return Sql(f"{alias}.full_text MATCH ?", (match,))

    def _together(self, plan: Together, scope: Scope, rid: str) -> Sql:
        tables, conditions, first = [], [], ""
        for place, (kind, test) in enumerate(plan.parts):
            number = self.names.parameter(scope.number, f"{plan.parameter}.{place}", kind)
            if number is None:
                return FALSE
            alias = self.alias()
            tables.append(f"entry {alias}")
            conditions.append(Sql(f"{alias}.rid = {rid} AND {alias}.parameter = ?", (number,)))
            conditions.append(self.test(test, entry_columns(alias)))
            if first:
                conditions.append(Sql(f"{alias}.grouped = {first}.grouped"))
            first = first or alias
        return _select_exists(" CROSS JOIN ".join(tables), all_of(conditions))

    def _links(self, plan: Links, scope: Scope, rid: str) -> Sql:
        number = self.names.parameter(scope.number, plan.parameter, "reference")
        if number is None:
            return FALSE
        kinds = []
        for target in self.scopes(plan.resource_types):
            if plan.is_canonical:
                joint = canonicals.named(self.names, self.alias, rid, number, target.number)
                kinds.append(self._joined(joint, plan.plan, target))
                continue
            entry, other = self.alias(), self.alias()
            where = all_of(
                (
                    Sql(f"{entry}.rid = {rid} AND {entry}.parameter = ?", (number,)),
                    starts_with(f"{entry}.code", f"{target.name}/"),
                    Sql(
                        f"{other}.type = ? AND {other}.logical_id = substr({entry}.code, ?)"
                        f" AND {other}.shape <> 0",
                        (target.number, len(target.name) + 2),
                    ),
                    self.meets(plan.plan, target, f"{other}.rid"),
                )
            )
            if where != FALSE:
                kinds.append(_select_exists(f"entry {entry} CROSS JOIN resource {other}", where))
        return any_of(kinds)

    def _linked_by(self, plan: LinkedBy, scope: Scope, rid: str) -> Sql:
        sources = self.scopes((plan.resource_type,))
        number = sources and self.names.parameter(sources[0].number, plan.parameter, "reference")
        if not number:
            return FALSE
        if plan.is_canonical:
            joint = canonicals.naming(self.names, self.alias, rid, number, scope.number)
            return self._joined(joint, plan.plan, sources[0])
        own, link = self.alias(), self.alias()
        where = all_of(
            (
                Sql(f"{own}.rid = {rid}"),
                Sql(
                    f"{link}.parameter = ? AND {link}.code = ? || {own}.logical_id",
                    (number, f"{scope.name}/"),
                ),
                self.meets(plan.plan, sources[0], f"{link}.rid"),
            )
        )
        return _select_exists(f"resource {own} CROSS JOIN by_code {link}", where)

    def _joined(self, joint: Joint | None, plan: Plan, scope: Scope) -> Sql:
        """Return that some resource of the scope, to which the joint leads, meets the plan."""
        if joint is None:
            return FALSE
        return _select_exists(
            joint.tables, all_of((joint.where, self.meets(plan, scope, joint.rid)))
        )

    def _system(self, columns: Columns, system: str | None) -> Sql:
        if system is None:
            return TRUE
        number = self.names.system(system)
        return FALSE if number is None else Sql(f"{columns.system} = ?", (number,))

    def _range(self, test: Range, columns: Columns) -> Sql:
        unit = TRUE
        if test.unit is not None:
            unit = Sql(f"({columns.code} = ? OR {columns.text} = ?)", (test.unit, test.unit))
        alternatives = [
            all_of([_compare(columns, compare) for compare in comparisons])
            for comparisons in test.any_of
        ]
        code, system = _equal(columns.code, test.code), self._system(columns, test.system)
        return all_of((any_of(alternatives), code, system, unit))


@lru_cache(1024)
def is_walked(parameter: str) -> bool:
    """Say whether the parameter's values are in an index; of a composite only the first part is."""
    part = parameter.rpartition(".")[2]
    return part == "0" or not part.isdigit()


def _is_few_codes(test: Test) -> bool:
    """Say whether a step into the index for each code costs less than what the resource says."""
    if isinstance(test, Among):
        return len(test.codes) <= _STEPS
    return isinstance(test, Is) and test.code is not None


def _one_of_many(column: str, codes: frozenset[str]) -> Sql:
    """Return that the column is one of `codes`, as one value that an index is searched by."""
    if not codes:
        return FALSE
    listed = fhirjson.dumps(sorted(codes)).decode()
    return Sql(f"{column} IN (SELECT value FROM json_each(?))", (listed,))


def _is_code_alone(test: Test) -> bool:
    return isinstance(test, Is) and test.system is None and test.code is not None


def _equal(column: str, value: str | None) -> Sql:
    return TRUE if value is None else Sql(f"{column} = ?", (value,))


def _compare(columns: Columns, compare: Compare) -> Sql:
    value = bounded(compare.value)
    if compare.bound == "low":
        return Sql(f"{columns.low} {compare.operator} ?", (value,))
    # an instant has one column: it ends a microsecond after it begins
    ends_later = columns.high == columns.low
    return Sql(f"{columns.high} {compare.operator} ?", (value - 1 if ends_later else value,))


def _near(test: Near, columns: Columns) -> Sql:
    """Return what `half_chord` of the search says, in SQL."""
    north, east = f"sin(({columns.low} - ?) * ?)", f"sin(({columns.high} - ?) * ?)"
    return Sql(
        f"{north} * {north} + cos(? * ?) * cos({columns.low} * ?) * ({east} * {east}) <= ?",
        (
            *(test.latitude, HALF) * 2,
            *(test.latitude, DEGREE, DEGREE),
            *(test.longitude, HALF) * 2,
            test.half_chord,
        ),
    )


def _text(columns: Columns, value: str, mode: str) -> Sql:
    if mode == "starts":
        return starts_with(columns.code, value)
    if mode == "ends":
        return Sql(f"substr({columns.code}, ?) = ?", (-len(value), value)) if value else TRUE
    if mode == "contains":
        return Sql(f"instr({columns.code}, ?) > 0", (value,)) if value else TRUE
    if mode == "exact":
        return Sql(f"{columns.text} = ?", (value,))
    if mode == "below":
        return starts_with(columns.code, value)
    if mode == "version":
        url, _, version = value.partition("|")
        return Sql(
            f"{columns.code} = ? AND {columns.system} IN (SELECT id FROM system"
            " WHERE uri = ? UNION ALL SELECT id FROM system WHERE uri >= ? AND uri < ?)",
            (url, version, f"{version}.", f"{version}/"),  # "/" is what follows "."
        )
    return Sql(f"instr(?, {columns.code}) = 1", (value,))


def _exists(table: str, rid: str, alias: str, where: Sql, key: str = "rid") -> Sql:
    if where == FALSE:
        return FALSE
    return _select_exists(table, all_of((Sql(f"{alias}.{key} = {rid}"), where)))


def _select_exists(tables: str, where: Sql) -> Sql:
    if where == FALSE:
        return FALSE
    return Sql(f"EXISTS (SELECT 1 FROM {tables} WHERE {where.text})", where.values)
