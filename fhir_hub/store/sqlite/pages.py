"""A query to the statements that answer it: which resources, in which order, from where on.

Without a sort, a page is the next resources of the walks, merged by number of creation. With
one, either all that is found is sorted (when it is little), or the index of the first sort
key is walked and each resource on it is asked whether it meets the plan; those without a
value come after, from a second statement.

Pages are by key, not by offset: a statement starts after the values of the cursor.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from fhir_hub.search.plan import EVERYTHING, And, Has, Query, SortKey
from fhir_hub.store.cursor import Value, read_cursor
from fhir_hub.store.sqlite.conditions import (
    CODED,
    Conditions,
    Scope,
    code_columns,
    entry_columns,
    is_walked,
)
from fhir_hub.store.sqlite.points import usual_width
from fhir_hub.store.sqlite.pruning import pruned
from fhir_hub.store.sqlite.sql import TRUE, Arm, Bound, Sql, all_of, any_of, bounded, union
from fhir_hub.store.sqlite.totals import total as total_of
from fhir_hub.store.sqlite.walks import Count, Limits, Walks

STORED = "r.type, r.logical_id, v.version_id, v.sequence, v.last_updated, v.method, v.content"
_TOLD = (
    "v.type, coalesce(p.logical_id, (SELECT logical_id FROM resource WHERE rid = p.rid)),"
    " v.version_id, v.sequence, v.last_updated, v.method, v.content"
)
_CURRENT = "coalesce(p.sequence, (SELECT sequence FROM resource WHERE rid = p.rid))"


class Found(NamedTuple):
    """The statement of a page, with a LIMIT to be bound at its end.

    A row has the sort values (`k0` …) and the number of a resource (`rid`); if `is_told`, also
    the `sequence` of its current version and its `logical_id`, or NULLs.
    """

    text: str
    values: tuple[Bound, ...]
    is_told: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """The statements of a query.

    `pages` are run one after the other until there are enough rows. `is_cheap`: few rows are
    walked.
    """

    pages: tuple[Found, ...]
    total: Sql | None
    is_cheap: bool


def prepare(query: Query, conditions: Conditions, count: Count, limits: Limits) -> Prepared:
    """Return the statements of `query`. Raises `InvalidParameter` for a bad cursor."""
    after = read_cursor(query) if query.after else ()
    scopes = conditions.scopes(query.resource_types)
    query = replace(query, plan=pruned(query.plan, scopes, conditions))
    walks = Walks(conditions, count, limits)
    found = [walks.best(pruned(query.plan, [one], conditions), one) for one in scopes]
    arms = [arm for walk in found for arm in walk.arms]
    is_unique = all(walk.is_unique for walk in found)
    total = total_of(query.plan, scopes, found, walks) if query.with_total else None
    size = sum(walk.size for walk in found)
    if not query.sort:
        pages: tuple[Found, ...] = (by_creation(arms, after, is_unique=is_unique),)
        is_plain = all(walk.is_ordered and walk.is_bare for walk in found)
        is_counted = total is None or query.plan == EVERYTHING
        is_cheap = size < limits.few or (is_plain and is_counted)
    elif len(scopes) == 1 and size >= limits.few and _is_indexed(query.sort[0]):
        pages = _by_index(query, scopes[0], conditions, walks, after)
        is_cheap = query.plan == EVERYTHING and len(query.sort) == 1
    else:
        pages = (collected(query.sort, scopes, arms, conditions, after),)
        is_cheap = size < limits.few
    return Prepared(pages, total, is_cheap)


def by_creation(arms: Sequence[Arm], after: tuple[Value, ...], *, is_unique: bool = False) -> Found:
    """Return the page of the next resources that the arms find, in the order of creation."""
    if after:
        arms = [arm.also(Sql(f"{arm.rid} > ?", (after[-1],))) for arm in arms]
    if len(arms) == 1 and arms[0].beside:
        rows = _told(arms[0])
        return Found(f"SELECT {rows.text} ORDER BY rid LIMIT ?", rows.values, is_told=True)
    found = union(arms, is_unique=is_unique)
    return Found(f"{found.text} ORDER BY rid LIMIT ?", found.values)


def _told(arm: Arm, before: str = "") -> Sql:
    """Return columns, source and condition of an arm whose rows say the version; each rid once."""
    beside, rid, where = arm.beside, arm.rid, arm.where
    return Sql(
        f"{before}{rid} AS rid, {beside}.sequence AS sequence, {beside}.logical_id AS logical_id"
        f" FROM {arm.tables} WHERE {where.text} GROUP BY {rid}",
        where.values,
    )


def collected(
    sort: Sequence[SortKey],
    scopes: Sequence[Scope],
    arms: Sequence[Arm],
    conditions: Conditions,
    after: tuple[Value, ...],
) -> Found:
    """Return the page of a search that collects all that it finds and sorts it."""
    beside = arms[0].beside if len(arms) == 1 else ""
    rid = arms[0].rid if beside else "found.rid"  # its rows may say the sort value themselves
    keys = [_value(key, scopes, conditions, rid, beside) for key in sort]
    columns = "".join(f"{key.text} AS k{place}, " for place, key in enumerate(keys))
    values = tuple(value for key in keys for value in key.values)
    start = _later(sort, after) if after else TRUE
    if beside:
        every = _told(arms[0], columns)
        inner = every.text
    else:
        every = union(arms)
        inner = f"{columns}{rid} AS rid FROM ({every.text}) AS found"
    return Found(
        f"SELECT * FROM (SELECT {inner}) WHERE {start.text} ORDER BY {_order_of(sort)} LIMIT ?",
        values + every.values + start.values,
        is_told=bool(beside),
    )


def _by_index(
    query: Query,
    scope: Scope,
    conditions: Conditions,
    walks: Walks,
    after: tuple[Value, ...],
) -> tuple[Found, ...]:
    """Return the pages of a search that walks the first sort key's index."""
    key, *others = query.sort
    absent = And((query.plan, key.absence))
    arms = walks.best(absent, scope).arms
    last = (collected(query.sort, [scope], arms, conditions, after),) if arms else ()
    if after and after[0] is None:
        return last
    low, high = walks.ends(query.plan, key, scope)
    if after:
        low, high = (low, after[0]) if key.descending else (after[0], high)
    found = []
    for arm, column, by in _index(key, scope, conditions):
        ends = [Sql(f"{column} >= ?", (_less(low, by),))] if low is not None else []
        ends += [Sql(f"{column} <= ?", (_less(high, by),))] if high is not None else []
        meets = conditions.meets(query.plan, scope, arm.rid)
        values = [_value(other, [scope], conditions, arm.rid) for other in others]
        columns = "".join(f", {value.text} AS k{n}" for n, value in enumerate(values, 1))
        where = all_of((arm.where, *ends, meets))
        inner = Sql(
            f"SELECT {column} AS k0{columns}, {arm.rid} AS rid FROM {arm.tables}"
            f" WHERE {where.text}",
            tuple(v for value in values for v in value.values) + where.values,
        )
        if after:
            later = _later(query.sort, (_less(after[0], by), *after[1:]))
            text = f"SELECT * FROM ({inner.text}) WHERE {later.text}"
            inner = Sql(text, inner.values + later.values)
        found.append((inner, by))
    return (_merged(found, query), *last) if found else last


def _less(value: Value, by: int) -> Value:
    """Return a sort value less what is added to those of its column."""
    return bounded(value - by) if by and isinstance(value, int | float) else value


def _merged(found: Sequence[tuple[Sql, int]], query: Query) -> Found:
    """Return the page of the first of what several walks find in the order of the sort keys.

    To the first key of each is added what is said with it.
    """
    key, *others = query.sort
    order = ", ".join([f"k0{' DESC' if key.descending else ''}", *_orders(others, 1), "rid"])
    rest = "".join(f", k{n}" for n in range(1, len(query.sort)))
    parts = [
        Sql(
            f"SELECT k0 + ? AS k0{rest}, rid FROM ({one.text} ORDER BY {order} LIMIT ?)",
            (by, *one.values),
        )
        if by
        else Sql(f"{one.text} ORDER BY {order} LIMIT ?", one.values)
        for one, by in found
    ]
    if len(parts) == 1:
        return Found(*parts[0])
    # a resource with two intervals may be found by both: UNION tells it once
    text = " UNION ".join(f"SELECT * FROM ({part.text})" for part in parts)
    values = tuple(value for part in parts for value in (*part.values, query.count + 1))
    return Found(f"SELECT * FROM ({text}) ORDER BY {order} LIMIT ?", values)


def _index(key: SortKey, scope: Scope, conditions: Conditions) -> list[tuple[Arm, str, int]]:
    """Return the walks of a sort key's index, at each resource's first value, and their columns.

    To a column is to be added what stands behind it.
    """
    if key.parameter == "_lastUpdated":
        alias = conditions.alias()
        where = Sql(f"{alias}.type = ? AND {alias}.shape <> 0", (scope.number,))
        tables = f"resource {alias} INDEXED BY resource_updated"
        return [(Arm(tables, where, f"{alias}.rid"), f"{alias}.last_updated", 0)]
    number = conditions.names.parameter(scope.number, key.parameter, key.kind)
    if number is None:
        return []
    column = _column(key)
    if column == "code":
        return [_first_of(key, number, "by_code", column, 0, conditions)]
    have_points, have_others = conditions.names.intervals(number)
    by = usual_width(key.kind) if column == "high" else 0
    found = [_first_of(key, number, "by_point", "low", by, conditions)] if have_points else []
    if have_others:
        found.append(_first_of(key, number, f"by_{column}", column, 0, conditions))
    return found


def _first_of(
    key: SortKey, number: int, table: str, column: str, by: int, conditions: Conditions
) -> tuple[Arm, str, int]:
    """Return the walk of an index at each resource's first value, with its column, as `_index`."""
    alias, tables = conditions.alias(), f"{table} "
    if column != "code" and not conditions.names.spread(number)[1]:  # one interval is the first
        where = Sql(f"{alias}.parameter = ?", (number,))
        return Arm(tables + alias, where, f"{alias}.rid"), f"{alias}.{column}", by
    other = conditions.alias()
    others = conditions.any_test(key.tests, entry_columns(other))
    where = Sql(
        f"{alias}.parameter = ? AND NOT EXISTS (SELECT 1 FROM entry {other}"
        f" WHERE {other}.rid = {alias}.rid AND {other}.parameter = ?"
        f" AND {other}.{_column(key)} {'>' if key.descending else '<'} {alias}.{column}"
        f"{f' + {by}' if by else ''} AND {others.text})",
        (number, number, *others.values),
    )
    if column == "code":  # the same code of two systems is two rows
        counts = conditions.any_test(key.tests, code_columns(alias))
        where = all_of((where, counts))
        where = Sql(
            f"{where.text} AND NOT EXISTS (SELECT 1 FROM by_code {other}"
            f" WHERE {other}.parameter = ? AND {other}.code = {alias}.code"
            f" AND {other}.rid = {alias}.rid AND {other}.system < {alias}.system)",
            (*where.values, number),
        )
    return Arm(tables + alias, where, f"{alias}.rid"), f"{alias}.{column}", by


def _is_indexed(key: SortKey) -> bool:
    return key.parameter != "_id" and not key.others and is_walked(key.parameter)


def _column(key: SortKey) -> str:
    if key.kind in CODED:
        return "code"
    return "high" if key.descending else "low"


def _value(
    key: SortKey, scopes: Sequence[Scope], conditions: Conditions, rid: str, beside: str = ""
) -> Sql:
    """Return the expression of a resource's value for a sort key; NULL if it has none.

    `beside` is the alias of rows that may say it (`beside.py`).
    """
    own = conditions.own_columns(Has(key.parameter, key.kind), alias := conditions.alias())
    if own:
        column = own.code if key.kind == "token" else own.low
        return Sql(f"(SELECT {column} FROM resource {alias} WHERE {alias}.rid = {rid})")
    names = (key.parameter, *key.others)
    found = [conditions.names.parameter(s.number, n, key.kind) for s in scopes for n in names]
    numbers: list[Bound] = [number for number in found if number is not None]
    if not numbers:
        return Sql("NULL")
    function, column = "max" if key.descending else "min", _column(key)
    counts = conditions.any_test(key.tests, entry_columns(alias))
    text = (
        f"(SELECT {function}({alias}.{column}) FROM entry {alias} WHERE {alias}.rid = {rid}"
        f" AND {alias}.parameter IN ({', '.join('?' * len(numbers))}) AND {counts.text})"
    )
    numbers += counts.values
    if beside and names == ("date",) and key.kind == "date":
        text = f"coalesce({beside}.{column}, {text})"
    return Sql(text, tuple(numbers))


def with_content(sort: Sequence[SortKey], page: Found) -> Sql:
    """Return the statement of a page that also yields the versions found, as `Stored` has them."""
    keys = "".join(f"p.k{place}, " for place in range(len(sort)))
    if page.is_told:
        stored, versions = _TOLD, f"version v ON v.sequence = {_CURRENT}"
    else:
        versions = "resource r ON r.rid = p.rid CROSS JOIN version v ON v.sequence = r.sequence"
        stored = STORED
    return Sql(
        f"SELECT {keys}p.rid, {stored} FROM ({page.text}) AS p CROSS JOIN {versions}"
        f" ORDER BY {_order_of(sort, 'p.')}",
        page.values,
    )


def _order_of(sort: Sequence[SortKey], table: str = "") -> str:
    """Return the ORDER BY of a page's rows: absent values last, ties by creation."""
    return ", ".join([*_orders(sort, 0, table), f"{table}rid"])


def _orders(sort: Sequence[SortKey], first: int, table: str = "") -> list[str]:
    return [
        f"{table}k{n} IS NULL, {table}k{n}{' DESC' if key.descending else ''}"
        for n, key in enumerate(sort, first)
    ]


def _later(sort: Sequence[SortKey], after: tuple[Value, ...]) -> Sql:
    """Return that a row comes after the one with the values `after`."""
    same: list[Sql] = []
    later = []
    for place, (key, value) in enumerate(zip(sort, after, strict=False)):
        column = f"k{place}"
        if value is not None:
            beyond = "<" if key.descending else ">"
            step = Sql(f"({column} {beyond} ? OR {column} IS NULL)", (value,))
            later.append(all_of((*same, step)))
        same.append(Sql(f"{column} IS ?", (value,)))
    later.append(all_of((*same, Sql("rid > ?", (after[-1],)))))
    return any_of([_bracketed(part) for part in later])


def _bracketed(part: Sql) -> Sql:
    return Sql(f"({part.text})", part.values)
