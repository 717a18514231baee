"""Which index to walk: the resources that may meet a plan, found from the rarest side.

A walk is a range of one index, or of several for alternatives. Of the parts of an `And` the
one with the fewest rows leads, counted up to a limit; the others become conditions on what it
finds. A part that no index answers (`Not`, `contains`) never leads. Where nothing leads, all
resources of the type are walked in the order of creation.

An *ordered* walk yields resources in the order of creation, so a page needs only its first
rows, however long the walk is; an unordered one is collected and sorted, so it must be short.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isfinite
from typing import NamedTuple

from fhir_hub.search.plan import (
    Compare,
    Has,
    LinkedBy,
    Links,
    Not,
    Or,
    Plan,
    Range,
    SortKey,
    Together,
    conditions_of,
)
from fhir_hub.store.ranges import (
    both,
    ends,
    is_parted,
    opposite,
    parted,
    plain_range,
)
from fhir_hub.store.sqlite.canonicals import Way, named, naming
from fhir_hub.store.sqlite.conditions import CODED, Conditions, Scope
from fhir_hub.store.sqlite.indexes import Indexes, Walk
from fhir_hub.store.sqlite.points import usual_width
from fhir_hub.store.sqlite.sql import FALSE, Arm, Sql, all_of, any_of, bounded, starts_with

Count = Callable[[Arm, int], int]

_ARMS = 200
_FIRST = ("_id", "reference", "uri", "token", "string", "together", "links", "interval", "presence")


class Limits(NamedTuple):
    """When a walk is short. Smaller numbers let a test take every way with little data.

    `rare`: so short that looking for a shorter one costs more. `few`: as far as rows are
    counted to compare walks, and what may be collected and sorted on the loop's thread.
    `many`: from here on collecting and sorting costs more than asking every resource. Where
    it is not above `few`, a plan is only looked at, to tell if it is a matter of few rows.
    """

    rare: int = 150
    few: int = 1_000
    many: int = 20_000


LIMITS = Limits()


class Walks:
    """Finds the walk of each plan; counts rows through `count`."""

    def __init__(self, conditions: Conditions, count: Count, limits: Limits = LIMITS) -> None:
        self._conditions, self._names, self._count = conditions, conditions.names, count
        self._limits, self._indexes = limits, Indexes(conditions)

    def best(self, plan: Plan, scope: Scope, *, is_all: bool = False) -> Walk:
        """Return an exact walk of the resources in the scope that meet `plan`.

        With `is_all` it will be walked to its end: then a long one is better than all of the type.
        """
        parts = self._merged(list(conditions_of(plan)), scope)
        leader, walk = self._lead(parts, scope, is_all=is_all) or (None, self.whole_type(scope))
        rest = [part for part in parts if part is not leader or not walk.is_exact]
        arms = []
        for arm in walk.arms:
            is_long = walk.size >= self._limits.few
            condition = all_of([self._asked(part, scope, arm, is_long) for part in rest])
            if condition != FALSE:
                arms.append(arm.also(condition))
        return replace(
            walk,
            arms=tuple(arms),
            is_exact=True,
            is_bare=walk.is_bare and not rest,
            size=walk.size if arms else 0,
        )

    def _asked(self, part: Plan, scope: Scope, arm: Arm, is_long: bool) -> Sql:
        """Return the condition that a row meets a part; of a long walk each row is asked."""
        if is_long and isinstance(part, Or):
            return any_of([self._asked(one, scope, arm, is_long) for one in part.plans])
        found = self._refers(part, scope, arm.rid) if is_long and isinstance(part, Links) else None
        if found is not None:
            return found
        return self._conditions.meets(part, scope, arm.rid, arm.beside)

    def _refers(self, links: Links, scope: Scope, rid: str) -> Sql | None:
        """Return that `rid` refers to one of the few at the far end of a chain, found once.

        None if they are many. To follow the chain from every row would be as many steps again.
        """
        if links.is_canonical:
            return None
        number = self._names.parameter(scope.number, links.parameter, "reference")
        ends: list[Sql] = []
        size = 0
        for target in self._conditions.scopes(links.resource_types) if number else ():
            walk = self.best(links.plan, target)
            size += walk.size
            if walk.is_whole_type or size >= self._limits.few:
                return None
            for arm in walk.arms:
                other = self._conditions.alias()
                where = all_of((arm.where, Sql(f"{other}.rid = {arm.rid}")))
                text = f"SELECT ? || {other}.logical_id FROM {arm.tables} CROSS JOIN resource"
                values = (f"{target.name}/", *where.values)
                ends.append(Sql(f"{text} {other} WHERE {where.text}", values))
        if not ends:
            return FALSE
        entry = self._conditions.alias()
        return Sql(
            f"EXISTS (SELECT 1 FROM entry {entry} WHERE {entry}.rid = {rid} AND {entry}.parameter"
            f" = ? AND {entry}.code IN ({' UNION ALL '.join(end.text for end in ends)}))",
            (number, *(value for end in ends for value in end.values)),
        )

    def whole_type(self, scope: Scope) -> Walk:
        """Return the walk of all resources of a type, in the order of creation."""
        alias = self._conditions.alias()
        where = Sql(f"{alias}.type = ? AND {alias}.shape <> 0", (scope.number,))
        arm = Arm(f"resource {alias} INDEXED BY resource_type", where, f"{alias}.rid")
        return Walk((arm,), True, True, self._limits.many, is_whole_type=True, is_unique=True)

    def alone(self, plan: Plan, scope: Scope) -> Walk | None:
        """Return the range of an index, however long, that finds what meets `plan` and no more.

        None if a plan has several parts, or no such range.
        """
        parts = self._merged(list(conditions_of(plan)), scope)
        match parts:
            case [Has() as has]:
                walk = self._indexes.has(has, scope)
            case [Not(Has(parameter, kind, ()))]:
                walk = self._indexes.presence(parameter, kind, scope, is_present=False)
            case _:
                return None
        return walk if walk and walk.is_exact else None

    def opposite(self, plan: Plan, scope: Scope, size: int) -> Walk | None:
        """Return the walk of what does not meet a part that asks for codes, if it is short.

        None also if the walk of what does, `size`, is not long.
        """
        if size < self._limits.few or not isinstance(plan, Has):
            return None
        if self._conditions.own_columns(plan, ""):
            return None
        outside = self._indexes.outside(plan, scope) if plan.kind in CODED else None
        if outside is None or self._counted(outside, self._limits.few).size >= self._limits.few:
            return None
        found = self.best(Not(plan), scope)
        return None if found.is_whole_type else found

    def sides(self, plan: Plan, scope: Scope) -> list[tuple[Walk, Walk | None]]:
        """Return the walks that together find each match of a range once, none if it is no such.

        With one that has one end and seems to be most of its index, the walk of what it leaves out.
        """
        parts = self._merged(list(conditions_of(plan)), scope)
        has = parts[0] if len(parts) == 1 else None
        test = plain_range(has) if isinstance(has, Has) else None
        if not isinstance(has, Has) or test is None or not is_parted(test):
            return []
        number = self._names.parameter(scope.number, has.parameter, has.kind)
        if number is None or self._is_many(has, scope) or self._conditions.own_columns(has, ""):
            return []
        found = []
        for alternative in test.any_of:
            walk = self._indexes.has(replace(has, tests=(Range((alternative,)),)), scope)
            other = opposite(alternative)
            if walk is None:
                return []
            rest = None
            if other and self._is_most(alternative[0], number, usual_width(has.kind)):
                rest = self._indexes.has(replace(has, tests=(Range((other,)),)), scope)
            found.append((walk, rest))
        return found

    def _is_most(self, compare: Compare, number: int, width: int) -> bool:
        """Say whether a comparison seems to leave out less than half, were values spread evenly."""
        bounds = self._names.bounds(number, compare.bound, width)
        if bounds is None or not isfinite(bounds[1] - bounds[0]):
            return False
        above = bounds[1] - compare.value
        inside = above if compare.operator in (">", ">=") else compare.value - bounds[0]
        return inside * 2 > bounds[1] - bounds[0]

    def ends(
        self, plan: Plan, key: SortKey, scope: Scope
    ) -> tuple[float | str | None, float | str | None]:
        """Return between what sort values lie that the plan allows, None: no such end."""
        for part in self._merged(list(conditions_of(plan)), scope):
            if not isinstance(part, Has) or (part.parameter, part.kind) != (
                key.parameter,
                key.kind,
            ):
                continue
            test = plain_range(part)
            if test is None or self._is_many(part, scope):
                continue
            number = self._names.parameter(scope.number, part.parameter, part.kind)
            width = self._names.spread(number)[0] if number else 1  # own column: a microsecond
            low, high = ends(test, "high" if key.descending and number else "low", width)
            return low and bounded(low), high and bounded(high)
        return None, None

    def _merged(self, parts: list[Plan], scope: Scope) -> list[Plan]:
        """Make one range of two under one parameter, where no resource has two intervals."""
        merged: dict[tuple[str, str], Has] = {}
        others: list[Plan] = []
        for part in parts:
            if not isinstance(part, Has) or not plain_range(part) or self._is_many(part, scope):
                others.append(part)
                continue
            key = (part.parameter, part.kind)
            before = merged.get(key)
            one = parted(part)
            together = both(before, one) if before else one
            if together:
                merged[key] = together
            else:
                others.append(part)
        return [*merged.values(), *others]

    def _is_many(self, has: Has, scope: Scope) -> bool:
        if self._conditions.own_columns(has, ""):
            return False
        number = self._names.parameter(scope.number, has.parameter, has.kind)
        return number is not None and self._names.spread(number)[1]

    def _lead(
        self, parts: Sequence[Plan], scope: Scope, *, is_all: bool
    ) -> tuple[Plan, Walk] | None:
        best: tuple[Plan, Walk] | None = None
        for part in sorted(parts, key=_rank):
            limit = best[1].size if best else self._limits.few
            if best and best[1].size <= self._limits.rare:
                break
            walk = self._walk(part, scope, limit)
            if walk and (best is None or _is_better(walk, best[1])):
                best = part, walk
        if best is None or best[1].is_ordered or best[1].size < self._limits.few or is_all:
            return best
        # the shortest is long and has to be sorted: is it short enough for that?
        limit = self._limits.many
        if isinstance(best[0], Links | LinkedBy | Or):
            limit //= 4  # a row of a chain costs more than one of a range
        if best[1].size >= self._limits.many or limit <= self._limits.few:
            return None
        counted = self._counted(best[1], limit)
        return (best[0], counted) if counted.size < limit else None

    def _counted(self, walk: Walk, limit: int) -> Walk:
        size = 0
        for arm in walk.arms:
            if size < limit:
                size += self._count(arm, limit - size)
        return replace(walk, size=size)

    def _walk(self, part: Plan, scope: Scope, limit: int) -> Walk | None:
        match part:
            case Has():
                walk = self._indexes.has(part, scope)
            case Not(Has(parameter, kind, ())):
                walk = self._indexes.presence(parameter, kind, scope, is_present=False)
            case Not(Has() as inner):
                walk = self._indexes.outside(inner, scope)
            case Together(parameter, parts) if parts:
                kind, test = parts[0]
                walk = self._indexes.has(Has(f"{parameter}.0", kind, (test,)), scope)
                walk = walk and replace(walk, is_exact=False, is_unique=False)
            case Links():
                walk = self._links(part, scope)
            case LinkedBy():
                walk = self._linked_by(part, scope)
            case Or(plans):
                return self._or(plans, scope)
            case _:
                return None
        if walk is None or len(walk.arms) > _ARMS:
            return None
        if walk.size >= self._limits.few:  # the far end of a chain is long, so is the rest
            return replace(walk, size=self._limits.many)
        return self._counted(walk, limit)

    def _or(self, plans: Sequence[Plan], scope: Scope) -> Walk | None:
        walks = [walk for walk in (self.best(plan, scope) for plan in plans) if walk.arms]
        arms = [arm for walk in walks for arm in walk.arms]
        if any(walk.is_whole_type for walk in walks) or len(arms) > _ARMS:
            return None
        return Walk(
            tuple(arms),
            is_ordered=all(walk.is_ordered for walk in walks),
            is_exact=True,
            size=sum(walk.size for walk in walks),
            is_bare=all(walk.is_bare for walk in walks),
        )

    def _links(self, links: Links, scope: Scope) -> Walk | None:
        number = self._names.parameter(scope.number, links.parameter, "reference")
        arms, size = [], 0
        for target in self._conditions.scopes(links.resource_types) if number else ():
            walk = self.best(links.plan, target)
            if walk.is_whole_type:
                return None
            size += walk.size
            for arm in walk.arms:
                if number and links.is_canonical:
                    arms += self._joined(arm, naming, number, target)
                    continue
                other, link = self._conditions.alias(), self._conditions.alias()
                where = Sql(
                    f"{other}.rid = {arm.rid} AND {link}.parameter = ?"
                    f" AND {link}.code = ? || {other}.logical_id",
                    (number, f"{target.name}/"),
                )
                tables = f"{arm.tables} CROSS JOIN resource {other} CROSS JOIN by_code {link}"
                arms.append(Arm(tables, all_of((arm.where, where)), f"{link}.rid", link))
        return Walk(tuple(arms), not arms, True, size)

    def _linked_by(self, linked: LinkedBy, scope: Scope) -> Walk | None:
        arms: list[Arm] = []
        sources = self._conditions.scopes((linked.resource_type,))
        number = sources and self._names.parameter(sources[0].number, linked.parameter, "reference")
        if not number:
            return Walk((), True, True)
        walk = self.best(linked.plan, sources[0])
        if walk.is_whole_type:
            return None
        for arm in walk.arms:
            if linked.is_canonical:
                arms += self._joined(arm, named, number, scope)
                continue
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

    def _joined(self, arm: Arm, way: Way, number: int, scope: Scope) -> list[Arm]:
        """Return the arm of what canonicals lead to from what an arm finds, none if to nothing."""
        joint = way(self._names, self._conditions.alias, arm.rid, number, scope.number)
        if joint is None:
            return []
        tables = f"{arm.tables} CROSS JOIN {joint.tables}"
        return [Arm(tables, all_of((arm.where, joint.where)), joint.rid)]


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
        case Not(Has()):
            return _FIRST.index("presence")
        case _:
            return len(_FIRST)


def _is_better(walk: Walk, than: Walk) -> bool:
    if walk.size == than.size:
        return walk.is_ordered and not than.is_ordered
    return walk.size < than.size
