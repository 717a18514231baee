"""Which index to walk: the resources that may meet a plan, found from the rarest side.

A walk is a range of one index, or of several for alternatives. Of the parts of an `And` the
one with the fewest rows leads, counted up to a limit; the others become conditions on what it
finds. A part that no index answers (`Not`, `contains`) never leads. Where nothing leads, all
resources of the type are walked in the order of creation.

An *ordered* walk yields resources in the order of creation, so a page needs only its first
rows, however long the walk is; an unordered one is collected and sorted, so it must be short.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isinf
from typing import NamedTuple

from fhir_hub.search.plan import (
    And,
    Compare,
    Has,
    Is,
    LinkedBy,
    Links,
    Not,
    Or,
    Plan,
    Range,
    Test,
    Together,
)
from fhir_hub.store.sqlite.conditions import CODED, Conditions, Scope, code_columns, is_walked
from fhir_hub.store.sqlite.sql import (
    FALSE,
    Arm,
    Sql,
    all_of,
    bounded,
    one_of,
    starts_with,
)

Count = Callable[[Arm, int], int]

_ARMS = 200
_PREFIXES = 300
_FIRST = ("_id", "reference", "uri", "token", "string", "together", "links", "interval", "presence")


class Limits(NamedTuple):
    """When a walk is short. Smaller numbers let a test take every way with little data.

    `rare`: so short that looking for a shorter one costs more. `few`: as far as rows are
    counted to compare walks, and what may be collected and sorted on the loop's thread.
    `many`: from here on collecting and sorting costs more than asking every resource.
    """

    rare: int = 150
    few: int = 1_000
    many: int = 20_000


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Walk:
    """Arms that together yield what meets a plan, if `is_exact`, else that and more.

    `size` is how many rows they have, counted up to a limit.
    """

    arms: tuple[Arm, ...]
    is_ordered: bool
    is_exact: bool
    size: int = 0
    is_whole_type: bool = False


class Walks:
    """Finds the walk of each plan; counts rows through `count`."""

    def __init__(self, conditions: Conditions, count: Count, limits: Limits = LIMITS) -> None:
        self._conditions, self._names, self._count = conditions, conditions.names, count
        self._limits = limits

    def best(self, plan: Plan, scope: Scope) -> Walk:
        """Return an exact walk of the resources in the scope that meet `plan`."""
        parts = self._merged(list(_parts(plan)), scope)
        leader, walk = self._lead(parts, scope) or (None, self.whole_type(scope))
        rest = [part for part in parts if part is not leader or not walk.is_exact]
        arms = []
        for arm in walk.arms:
            condition = all_of([self._conditions.meets(part, scope, arm.rid) for part in rest])
            if condition != FALSE:
                arms.append(arm.also(condition))
        return replace(walk, arms=tuple(arms), is_exact=True, size=walk.size if arms else 0)

    def whole_type(self, scope: Scope) -> Walk:
        """Return the walk of all resources of a type, in the order of creation."""
        alias = self._conditions.alias()
        where = Sql(f"{alias}.type = ? AND {alias}.shape <> 0", (scope.number,))
        arm = Arm(f"resource {alias} INDEXED BY resource_type", where, f"{alias}.rid")
        return Walk((arm,), True, True, self._limits.many, is_whole_type=True)

    def _merged(self, parts: list[Plan], scope: Scope) -> list[Plan]:
        """Make one range of two under one parameter, where no resource has two intervals."""
        merged: dict[tuple[str, str], Has] = {}
        others: list[Plan] = []
        for part in parts:
            if not isinstance(part, Has) or not _is_plain_range(part):
                others.append(part)
                continue
            key = (part.parameter, part.kind)
            before = merged.get(key)
            if before and self._is_many(part, scope):
                others.append(part)
            else:
                merged[key] = _both(before, part) if before else part
        return [*merged.values(), *others]

    def _is_many(self, has: Has, scope: Scope) -> bool:
        if self._conditions.own_columns(has, ""):
            return False
        number = self._names.parameter(scope.number, has.parameter, has.kind)
        return number is not None and self._names.spread(number)[1]

    def _lead(self, parts: Sequence[Plan], scope: Scope) -> tuple[Plan, Walk] | None:
        best: tuple[Plan, Walk] | None = None
        for part in sorted(parts, key=_rank):
            limit = best[1].size if best else self._limits.few
            if best and best[1].size <= self._limits.rare:
                break
            walk = self._walk(part, scope, limit)
            if walk and (best is None or _is_better(walk, best[1])):
                best = part, walk
        if best is None or best[1].is_ordered or best[1].size < self._limits.few:
            return best
        # the shortest is long and has to be sorted: is it short enough for that?
        if isinstance(best[0], Links | LinkedBy | Or):
            return None
        many = self._limits.many
        counted = sum(self._count(arm, many) for arm in best[1].arms)
        return (best[0], replace(best[1], size=counted)) if counted < many else None

    def _walk(self, part: Plan, scope: Scope, limit: int) -> Walk | None:
        match part:
            case Has():
                walk = self._has(part, scope)
            case Not(Has(parameter, kind, ())):
                walk = self._presence(parameter, kind, scope, is_present=False)
            case Together(parameter, parts) if parts:
                kind, test = parts[0]
                walk = self._has(Has(f"{parameter}.0", kind, (test,)), scope)
                walk = walk and replace(walk, is_exact=False)
            case Links():
                return self._links(part, scope)
            case LinkedBy():
                return self._linked_by(part, scope)
            case Or(plans):
                return self._or(plans, scope)
            case _:
                return None
        if walk is None or len(walk.arms) > _ARMS:
            return None
        size = 0
        for arm in walk.arms:
            if size < limit:
                size += self._count(arm, limit - size)
        return replace(walk, size=size)

    def _or(self, plans: Sequence[Plan], scope: Scope) -> Walk | None:
        walks = [self.best(plan, scope) for plan in plans]
        arms = [arm for walk in walks for arm in walk.arms]
        if any(walk.is_whole_type for walk in walks) or len(arms) > _ARMS:
            return None
        return Walk(
            tuple(arms), all(walk.is_ordered for walk in walks), True, sum(w.size for w in walks)
        )

    def _has(self, has: Has, scope: Scope) -> Walk | None:
        if self._conditions.own_columns(has, ""):
            return self._own(has, scope)
        if not has.tests:
            return self._presence(has.parameter, has.kind, scope, is_present=True)
        if not is_walked(has.parameter):
            return None
        number = self._names.parameter(scope.number, has.parameter, has.kind)
        if number is None:
            return Walk((), True, True)
        walks = [self._test(test, number, has) for test in has.tests]
        known = [walk for walk in walks if walk]
        if len(known) < len(walks):
            return None
        arms = tuple(
            arm
            if walk.is_exact
            else arm.also(self._conditions.meets(replace(has, tests=(test,)), scope, arm.rid))
            for walk, test in zip(known, has.tests, strict=True)
            for arm in walk.arms
        )
        return Walk(arms, all(walk.is_ordered for walk in known), True)

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
            elif isinstance(test, Is) and test.code is not None:
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
        return Walk(tuple(arms), False, True) if has.tests else None

    def _presence(
        self, parameter: str, kind: str, scope: Scope, *, is_present: bool
    ) -> Walk | None:
        number = self._names.parameter(scope.number, parameter, kind)
        if number is None:
            return Walk((), True, True) if is_present else None
        alias = self._conditions.alias()
        having = "IN" if is_present else "NOT IN"
        where = Sql(
            f"{alias}.shape <> 0 AND {alias}.shape IN (SELECT id FROM shape WHERE type = ?"
            f" AND resources > 0"
            f" AND id {having} (SELECT shape FROM shape_parameter WHERE parameter = ?))",
            (scope.number, number),
        )
        arm = Arm(f"resource {alias} INDEXED BY resource_shape", where, f"{alias}.rid")
        return Walk((arm,), False, True)

    def _test(self, test: Test, number: int, has: Has) -> Walk | None:
        """Return the walk of one test, or None if it needs more than a range of an index."""
        alias = self._conditions.alias()
        code = f"{alias}.code"
        if isinstance(test, Range):
            return self._range(test, number, alias) if has.kind not in CODED else None
        if has.kind not in CODED:
            return None
        if isinstance(test, Is):
            if test.code is None:
                return None
            found = self._conditions.test(test, code_columns(alias))
            return _coded(alias, number, found, is_ordered=True)
        if test.mode in ("starts", "below") and test.value:
            return _coded(alias, number, starts_with(code, test.value), is_ordered=False)
        if test.mode == "above" and len(test.value) < _PREFIXES:
            prefixes = [test.value[:length] for length in range(len(test.value) + 1)]
            return _coded(alias, number, one_of(code, prefixes), is_ordered=False)
        return None

    def _range(self, test: Range, number: int, alias: str) -> Walk | None:
        arms = []
        is_unit = any(part is not None for part in (test.system, test.code, test.unit))
        is_exact = not is_unit
        for comparisons in test.any_of:
            bound = "low" if any(c.bound == "low" for c in comparisons) else "high"
            inside = [c for c in comparisons if c.bound == bound]
            if not comparisons:
                return None
            is_exact = is_exact and len(inside) == len(comparisons)
            where = all_of(
                (
                    Sql(f"{alias}.parameter = ?", (number,)),
                    *(_compare(f"{alias}.{bound}", c) for c in inside),
                    *(self._derived(number, alias, comparisons) if bound == "low" else ()),
                )
            )
            arms.append(Arm(f"by_{bound} {alias}", where, f"{alias}.rid"))
        return Walk(tuple(arms), False, is_exact)

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

    def _links(self, links: Links, scope: Scope) -> Walk | None:
        number = self._names.parameter(scope.number, links.parameter, "reference")
        arms, size = [], 0
        for target in self._conditions.scopes(links.resource_types) if number else ():
            walk = self.best(links.plan, target)
            if walk.is_whole_type:
                return None
            size += walk.size
            for arm in walk.arms:
                other, link = self._conditions.alias(), self._conditions.alias()
                where = Sql(
                    f"{other}.rid = {arm.rid} AND {link}.parameter = ?"
                    f" AND {link}.code = ? || {other}.logical_id",
                    (number, f"{target.name}/"),
                )
                tables = f"{arm.tables} CROSS JOIN resource {other} CROSS JOIN by_code {link}"
                arms.append(Arm(tables, all_of((arm.where, where)), f"{link}.rid"))
        return Walk(tuple(arms), not arms, True, size) if len(arms) <= _ARMS else None

    def _linked_by(self, linked: LinkedBy, scope: Scope) -> Walk | None:
        arms: list[Arm] = []
        sources = self._conditions.scopes((linked.resource_type,))
        number = sources and self._names.parameter(sources[0].number, linked.parameter, "reference")
        if not number:
            return Walk((), True, True)
        walk = self.best(linked.plan, sources[0])
        if walk.is_whole_type or len(walk.arms) > _ARMS:
            return None
        for arm in walk.arms:
            own, entry = self._conditions.alias(), self._conditions.alias()
            where = all_of(
                (
                    arm.where,
                    Sql(f"{entry}.rid = {arm.rid} AND {entry}.parameter = ?", (number,)),
                    starts_with(f"{entry}.code", f"{scope.name}/"),
                    Sql(
                        f"{own}.type = ? AND {own}.logical_id = substr({entry}.code, ?)"
                        f" AND {own}.shape <> 0",
                        (scope.number, len(scope.name) + 2),
                    ),
                )
            )
            tables = f"{arm.tables} CROSS JOIN entry {entry} CROSS JOIN resource {own}"
            arms.append(Arm(tables, where, f"{own}.rid"))
        return Walk(tuple(arms), not arms, True, walk.size)


def _parts(plan: Plan) -> Iterator[Plan]:
    if isinstance(plan, And):
        for part in plan.plans:
            yield from _parts(part)
    else:
        yield plan


def _rank(part: Plan) -> int:
    """Return the place in the order of asking: what is rare by nature comes first."""
    match part:
        case Has(parameter, kind, tests):
            name = parameter if parameter == "_id" else kind if kind in CODED else "interval"
            return _FIRST.index(name if tests else "presence")
        case Together():
            return _FIRST.index("together")
        case Links() | LinkedBy() | Or():
            return _FIRST.index("links")
        case _:
            return len(_FIRST)


def _is_better(walk: Walk, than: Walk) -> bool:
    if walk.size == than.size:
        return walk.is_ordered and not than.is_ordered
    return walk.size < than.size


def _coded(alias: str, number: int, found: Sql, *, is_ordered: bool) -> Walk:
    where = all_of((Sql(f"{alias}.parameter = ?", (number,)), found))
    arm = Arm(f"by_code {alias}", where, f"{alias}.rid")
    return Walk((arm,) if where != FALSE else (), is_ordered, True)


def _compare(column: str, compare: Compare) -> Sql:
    return Sql(f"{column} {compare.operator} ?", (bounded(compare.value),))


def _is_plain_range(has: Has) -> bool:
    """Say whether the only test is one pair of bounds, with no unit."""
    if len(has.tests) != 1 or not isinstance(has.tests[0], Range):
        return False
    test = has.tests[0]
    return len(test.any_of) == 1 and (test.system, test.code, test.unit) == (None, None, None)


def _both(one: Has, other: Has) -> Has:
    first, second = one.tests[0], other.tests[0]
    assert isinstance(first, Range)
    assert isinstance(second, Range)
    return replace(one, tests=(Range((first.any_of[0] + second.any_of[0],)),))
