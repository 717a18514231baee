"""One part of a plan to a range of an index: codes, texts, intervals, presence, the own columns.

What the range finds is exactly what the part asks for, or (`is_exact` is False) a little more.

Spec: https://hl7.org/fhir/R4/search.html#ptypes
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isinf

from fhir_hub.search.plan import Among, Compare, Except, Has, Is, Near, Range, Test
from fhir_hub.store.ranges import is_parted
from fhir_hub.store.sqlite.beside import is_person
from fhir_hub.store.sqlite.conditions import CODED, Conditions, Scope, code_columns, is_walked
from fhir_hub.store.sqlite.points import usual_width
from fhir_hub.store.sqlite.sql import FALSE, Arm, Sql, all_of, bounded, one_of, starts_with

_PREFIXES = 300
_OUTSIDE = 20  # codes around which a walk goes


@dataclass(frozen=True, slots=True)
class Walk:
    """Arms that together yield what meets a plan, if `is_exact`, else that and more.

    `size` is how many rows they have, counted up to a limit. `is_bare`: every row of the index
    is a match, none has to be asked. `is_unique`: no resource is found twice.
    """

    arms: tuple[Arm, ...]
    is_ordered: bool
    is_exact: bool
    size: int = 0
    is_whole_type: bool = False
    is_bare: bool = True
    is_unique: bool = False


class Indexes:
    """Finds the range of an index for a part of a plan."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions, self._names = conditions, conditions.names

    def has(self, has: Has, scope: Scope) -> Walk | None:
        """Return the walk of what passes one of the tests, or None if no index finds it."""
        if self._conditions.own_columns(has, ""):
            return self._own(has, scope)
        if not has.tests:
            return self.presence(has.parameter, has.kind, scope, is_present=True)
        if has.kind == "text":
            alias = self._conditions.alias()
            found = self._conditions.words(has, scope, alias)
            arm = Arm(f"full_text {alias}", found, f"{alias}.rowid")
            return Walk((arm,) if found != FALSE else (), True, True)
        if not is_walked(has.parameter) or has.parameter == "_type":
            return None
        number = self._names.parameter(scope.number, has.parameter, has.kind)
        if number is None:
            return Walk((), True, True)
        tests = [single for test in has.tests for single in _alternatives(test)]
        walks = [self._test(test, number, has, scope) for test in tests]
        known = [walk for walk in walks if walk]
        if len(known) < len(walks):
            return None
        arms = tuple(
            arm
            if walk.is_exact
            else arm.also(self._conditions.meets(replace(has, tests=(test,)), scope, arm.rid))
            for walk, test in zip(known, tests, strict=True)
            for arm in walk.arms
        )
        is_ordered = all(walk.is_ordered for walk in known)
        return Walk(arms, is_ordered, True, is_unique=self._is_unique(has, number))

    def outside(self, has: Has, scope: Scope) -> Walk | None:
        """Return the walk of what has another code than those of the tests, or none at all.

        It finds more than what does not meet `has`: a resource may have several codes. None if
        the tests are not codes alone.
        """
        number = self._names.parameter(scope.number, has.parameter, has.kind)
        codes = {test.code for test in has.tests if isinstance(test, Is) and test.system is None}
        known = sorted(code for code in codes if code is not None)
        is_plain = (
            has.kind in CODED and is_walked(has.parameter) and not has.parameter.startswith("_id")
        )
        if number is None or not is_plain or not 0 < len(known) == len(has.tests) <= _OUTSIDE:
            return None
        absent = self.presence(has.parameter, has.kind, scope, is_present=False)
        arms = list(absent.arms) if absent else []
        for after, before in zip((None, *known), (*known, None), strict=True):
            alias = self._conditions.alias()
            where = [Sql(f"{alias}.parameter = ?", (number,))]
            where += [Sql(f"{alias}.code > ?", (after,))] if after is not None else []
            where += [Sql(f"{alias}.code < ?", (before,))] if before is not None else []
            arms.append(Arm(f"by_code {alias}", all_of(where), f"{alias}.rid"))
        return Walk(tuple(arms), False, False)

    def _is_unique(self, has: Has, number: int) -> bool:
        """Say whether the walk of a part finds no resource twice."""
        test = has.tests[0] if len(has.tests) == 1 else None
        if isinstance(test, Is) and test.code is not None and test.system is not None:
            return True
        if isinstance(test, Range) and not is_parted(test):
            return False
        is_single = isinstance(test, Range) or (isinstance(test, Is) and test.code is not None)
        return is_single and not self._names.spread(number)[1]

    def _own(self, has: Has, scope: Scope) -> Walk | None:
        """Return the walk of `_id` or `_lastUpdated`, which table `resource` answers."""
        arms = []
        for test in has.tests:
            alias = self._conditions.alias()
            columns = self._conditions.own_columns(has, alias)
            assert columns is not None
            if isinstance(test, Range) and has.kind == "date":
                index = "resource_updated"
                tests: list[Test] = [Range((part,)) for part in test.any_of]
            elif isinstance(test, Among) or (isinstance(test, Is) and test.code is not None):
                index, tests = "resource_key", [test]
            else:
                return None
            for single in tests:
                where = all_of(
                    (
                        Sql(f"{alias}.type = ?", (scope.number,)),
                        self._conditions.test(single, columns),
                        Sql(f"{alias}.shape <> 0"),
                    )
                )
                if where != FALSE:
                    arms.append(Arm(f"resource {alias} INDEXED BY {index}", where, f"{alias}.rid"))
        first = has.tests[0] if has.tests else None
        is_unique = len(has.tests) == 1 and (not isinstance(first, Range) or is_parted(first))
        return Walk(tuple(arms), False, True, is_unique=is_unique) if has.tests else None

    def presence(self, parameter: str, kind: str, scope: Scope, *, is_present: bool) -> Walk | None:
        """Return the walk of the resources that have an entry of the parameter, or have none."""
        number = self._names.parameter(scope.number, parameter, kind)
        if number is None:
            return Walk((), True, True) if is_present else None
        alias = self._conditions.alias()
        having = "IN" if is_present else "NOT IN"
        where = Sql(
            f"{alias}.shape <> 0 AND {alias}.shape IN (SELECT id FROM shape WHERE type = ?"
            f" AND id {having} (SELECT shape FROM shape_parameter WHERE parameter = ?))",
            (scope.number, number),
        )
        arm = Arm(f"resource {alias} INDEXED BY resource_shape", where, f"{alias}.rid")
        return Walk((arm,), False, True, is_unique=True)

    def _test(self, test: Test, number: int, has: Has, scope: Scope) -> Walk | None:
        """Return the walk of one test, or None if it needs more than a range of an index."""
        if isinstance(test, Range):
            return self._range(test, number, has, scope) if has.kind not in CODED else None
        alias = self._conditions.alias()
        code = f"{alias}.code"
        if isinstance(test, Near):
            return _band(test, number, alias)
        if has.kind not in CODED or isinstance(test, Except):
            return None
        if isinstance(test, Is):
            if test.code is None:
                return None
            found = self._conditions.test(test, code_columns(alias))
            walk = _coded(alias, number, found, is_ordered=True)
            if has.kind != "reference" or not is_person(test.code):
                return walk
            return replace(walk, arms=tuple(arm._replace(beside=alias) for arm in walk.arms))
        if isinstance(test, Among):
            found = self._conditions.test(test, code_columns(alias))
            return _coded(alias, number, found, is_ordered=False)
        if test.mode in ("starts", "below") and test.value:
            return _coded(alias, number, starts_with(code, test.value), is_ordered=False)
        if test.mode == "version":
            found = self._conditions.test(test, code_columns(alias))
            return _coded(alias, number, found, is_ordered=False)
        if test.mode == "above" and len(test.value) < _PREFIXES:
            prefixes = [test.value[:length] for length in range(len(test.value) + 1)]
            return _coded(alias, number, one_of(code, prefixes), is_ordered=False)
        return None

    def _range(self, test: Range, number: int, has: Has, scope: Scope) -> Walk | None:
        """Return the walk of a range: points by one end or by both, other intervals by one."""
        have_points, have_others = self._names.intervals(number)
        is_unit = any(part is not None for part in (test.system, test.code, test.unit))
        arms = []
        for comparisons in test.any_of:
            if not comparisons:
                return None
            bound = "low" if any(c.bound == "low" for c in comparisons) else "high"
            others = [c for c in comparisons if c.bound == bound]
            if have_points:
                alias = self._conditions.alias()
                width = usual_width(has.kind)
                ends = [_compare(f"{alias}.low", _low(c, width)) for c in comparisons]
                arms.append((self._arm("point", alias, number, ends), True))
            if have_others:
                alias = self._conditions.alias()
                ends = [_compare(f"{alias}.{bound}", c) for c in others]
                ends += self._derived(number, alias, comparisons) if bound == "low" else ()
                is_whole = len(others) == len(comparisons)
                arms.append((self._arm(bound, alias, number, ends), is_whole))
        asked = replace(has, tests=(test,))
        return Walk(
            tuple(
                arm
                if is_whole and not is_unit
                else arm.also(self._conditions.meets(asked, scope, arm.rid))
                for arm, is_whole in arms
            ),
            False,
            True,
        )

    def _arm(self, table: str, alias: str, number: int, ends: Sequence[Sql]) -> Arm:
        where = all_of((Sql(f"{alias}.parameter = ?", (number,)), *ends))
        return Arm(f"by_{table} {alias}", where, f"{alias}.rid")

    def _derived(self, number: int, alias: str, comparisons: Sequence[Compare]) -> Iterator[Sql]:
        """Yield bounds of low that follow from bounds of high, so that the walk has two ends."""
        for compare in comparisons:
            if compare.bound != "high":
                continue
            value = bounded(compare.value)
            if compare.operator in ("<", "<=", "="):  # low is not above high
                yield Sql(f"{alias}.low <= ?", (value,))
            if compare.operator in (">", ">=", "="):
                width, _ = self._names.spread(number)
                if not isinf(width):
                    yield Sql(f"{alias}.low >= ?", (value - width,))


def _band(test: Near, number: int, alias: str) -> Walk:
    """Return the walk of the latitudes that may be near enough, and a little more."""
    reach = test.degrees + 1e-6
    where = Sql(
        f"{alias}.parameter = ? AND {alias}.low >= ? AND {alias}.low <= ?",
        (number, test.latitude - reach, test.latitude + reach),
    )
    return Walk((Arm(f"by_low {alias}", where, f"{alias}.rid"),), False, False)


def _alternatives(test: Test) -> list[Test]:
    """Return the alternatives of a range, each a range; any other test as it is."""
    if isinstance(test, Range):
        return [replace(test, any_of=(one,)) for one in test.any_of]
    return [test]


def _coded(alias: str, number: int, found: Sql, *, is_ordered: bool) -> Walk:
    where = all_of((Sql(f"{alias}.parameter = ?", (number,)), found))
    arm = Arm(f"by_code {alias}", where, f"{alias}.rid")
    return Walk((arm,) if where != FALSE else (), is_ordered, True)


def _compare(column: str, compare: Compare) -> Sql:
    return Sql(f"{column} {compare.operator} ?", (bounded(compare.value),))


def _low(compare: Compare, width: int) -> Compare:
    """Return the comparison as one of the low end of an interval of that width."""
    by = width if compare.bound == "high" else 0
    return Compare("low", compare.operator, compare.value - by)
