"""The exact total of a search, at the cost of the rows that have to be counted and no more.

Where a walk finds no resource twice, counting its rows is enough; what does not meet a plan is the
rest of the type, whose size the shapes know.

Spec: https://hl7.org/fhir/R4/search.html#total
"""

from collections.abc import Sequence

from fhir_hub.search.plan import EVERYTHING, And, Not, Plan
from fhir_hub.store.sqlite.conditions import Scope
from fhir_hub.store.sqlite.indexes import Walk
from fhir_hub.store.sqlite.sql import Sql, union
from fhir_hub.store.sqlite.walks import Walks

_WITH = (
    "(SELECT coalesce(sum(s.resources), 0) FROM shape_parameter p"
    " JOIN shape s ON s.id = p.shape WHERE p.parameter = ?)"
)


def total(plan: Plan, scopes: Sequence[Scope], found: Sequence[Walk], walks: Walks) -> Sql:
    """Return the SELECT of how many resources meet `plan`; `found` is the walk of each scope."""
    parts = [_of_one(plan, *pair, walks) for pair in zip(scopes, found, strict=True)]
    return _sum("SELECT ", parts)


def _of_one(plan: Plan, scope: Scope, walk: Walk, walks: Walks) -> Sql:
    """Return the expression of how many resources of the scope meet `plan`."""
    while isinstance(plan, And) and len(plan.plans) == 1:
        plan = plan.plans[0]
    if plan == EVERYTHING:
        return _all(scope)
    if isinstance(plan, Not) and walk.is_whole_type:
        rest = _of_one(plan.plan, scope, walks.best(plan.plan, scope), walks)
        return Sql(f"({_all(scope).text} - {rest.text})", _all(scope).values + rest.values)
    if walk.is_whole_type:
        if sides := walks.sides(plan, scope):
            return _sum("(", [_of_side(*side) for side in sides], ")")
        walk = walks.alone(plan, scope) or walks.best(plan, scope, is_all=True)
    if opposite := walks.opposite(plan, scope, walk.size):
        without = _distinct(opposite)
        return Sql(f"({_all(scope).text} - {without.text})", _all(scope).values + without.values)
    return _rows(walk) if walk.is_unique else _distinct(walk)


def _of_side(walk: Walk, rest: Walk | None) -> Sql:
    """Return how many rows a range has: all of its parameter less the rest, where that is given.

    Each resource that has the parameter has one row.
    """
    if rest is None:
        return _rows(walk)
    number, others = rest.arms[0].where.values[0], _rows(rest)
    return Sql(f"({_WITH} - {others.text})", (number, *others.values))


def _distinct(walk: Walk) -> Sql:
    every = union(walk.arms)
    return Sql(f"(SELECT count(*) FROM ({every.text}))", every.values)


def _rows(walk: Walk) -> Sql:
    arms = [
        Sql(f"(SELECT count(*) FROM {arm.tables} WHERE {arm.where.text})", arm.where.values)
        for arm in walk.arms
    ]
    return _sum("(", arms, ")")


def _all(scope: Scope) -> Sql:
    return Sql("(SELECT coalesce(sum(resources), 0) FROM shape WHERE type = ?)", (scope.number,))


def _sum(before: str, parts: Sequence[Sql], after: str = "") -> Sql:
    text = " + ".join(part.text for part in parts) or "0"
    return Sql(before + text + after, tuple(value for part in parts for value in part.values))
