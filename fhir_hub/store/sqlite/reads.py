"""What one reading connection answers: versions, pages of a search, history, status."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import apsw

from fhir_hub.search.plan import Query
from fhir_hub.store.base import Key, Page, Status, Stored, page_of
from fhir_hub.store.cursor import write_cursor
from fhir_hub.store.sqlite.budget import Budget
from fhir_hub.store.sqlite.conditions import Conditions
from fhir_hub.store.sqlite.connection import free_bytes
from fhir_hub.store.sqlite.lookups import Lookup, Lookups, lookup_of
from fhir_hub.store.sqlite.names import Names
from fhir_hub.store.sqlite.pages import STORED, Prepared, prepare, with_content
from fhir_hub.store.sqlite.recipes import NOTHING, Recipe, Recipes
from fhir_hub.store.sqlite.sql import Arm, Bound, Sql
from fhir_hub.store.sqlite.walks import LIMITS, Limits

_READ = (
    "SELECT r.version_id, r.sequence, v.last_updated, v.method, v.content"
    " FROM resource r CROSS JOIN version v ON v.sequence = r.sequence"
    " WHERE r.type = ? AND r.logical_id = ?"
)
_VREAD = (
    "SELECT v.version_id, v.sequence, v.last_updated, v.method, v.content"
    " FROM resource r CROSS JOIN version v ON v.rid = r.rid AND v.version_id = ?"
    " WHERE r.type = ? AND r.logical_id = ?"
)
_BY_NUMBER = (
    f"SELECT r.rid, {STORED} FROM resource r CROSS JOIN version v ON v.sequence = r.sequence"
    " WHERE r.rid = ?"
)
_MANY = 200
_MOST_COUNTED = 500
_STEPS = 30  # of SQLite's machine, to look at a row
_LOGICAL_ID = "SELECT logical_id FROM resource WHERE rid = ?"
_VERSION = "version v CROSS JOIN resource r ON r.rid = v.rid"
_EARLIER = (
    "NOT EXISTS (SELECT 1 FROM version later WHERE later.rid = v.rid"
    " AND later.version_id > v.version_id AND later.last_updated <= ?)"
)


class Reader:
    """One connection and what it knows. Used by one thread at a time."""

    def __init__(self, connection: apsw.Connection, limits: Limits = LIMITS) -> None:
        self.connection, self._limits = connection, limits
        self.names = Names(connection)
        self._recipes = Recipes(self.names)
        self._lookups = Lookups(connection, self.names)
        self._counted: dict[Sql, int] = {}
        self._counted_at: object = None
        # on the connection that writes, a guard is rather looked at before
        steps = max(1, _STEPS * limits.few)
        self._budget = Budget(connection, steps) if connection.readonly("main") else None

    def sees_all(self) -> bool:
        """Say whether who reads now sees all that is committed: no older snapshot is held."""
        return self.connection.txn_state("main") == apsw.SQLITE_TXN_NONE

    def read(self, key: Key) -> Stored | None:
        """Return the current version, a deletion too."""
        number = self.names.type(key[0])
        if number is None:
            return None
        row = self.connection.execute(_READ, (number, key[1])).fetchone()
        return Stored(key[0], key[1], *row) if row else None

    def vread(self, key: Key, version_id: int) -> Stored | None:
        """Return that version."""
        number = self.names.type(key[0])
        if number is None or not 0 < version_id < 2**63:
            return None
        row = self.connection.execute(_VREAD, (version_id, number, key[1])).fetchone()
        return Stored(key[0], key[1], *row) if row else None

    def read_many(self, keys: Iterable[Key]) -> list[Stored]:
        """Return the current versions that exist and are not deleted, in the order of `keys`."""
        found = (self.read(key) for key in keys)
        return [stored for stored in found if stored and not stored.is_deleted]

    def prepare(self, query: Query, *, is_glance: bool = False) -> Prepared:
        """Return the statements of a query; at a glance, those that are right if `is_cheap`."""
        limits = self._limits._replace(many=self._limits.few) if is_glance else self._limits
        return prepare(query, Conditions(self.names), self._count, limits)

    def quick(self, query: Query) -> Page | None:
        """Return the page of a search of a simple shape that walks few rows, None for others."""
        if lookup := self._lookup(query):
            return self._held(query, lookup)
        recipe = self._recipes.find(query)
        if recipe is None:
            return None
        if recipe[0] is NOTHING:
            return self._page_of(query, [])
        found = self._filled(query, *recipe)
        rows = found and self._rows(*found, is_bounded=self._is_bounded(recipe[0]))
        return None if rows is None else self._page_of(query, rows)

    def _held(self, query: Query, lookup: Lookup) -> Page:
        """Return the page of all that hold some codes."""
        if (rows := self._lookups.held(lookup)) is not None:
            return self._page_of(query, rows)
        with self._snapshot():
            execute = self.connection.execute
            found = [execute(_BY_NUMBER, (rid,)).fetchone() for rid in self._lookups.run(lookup)]
        return self._page_of(query, found)

    def held_by_all(self, queries: Sequence[Query]) -> list[Page] | None:
        """Return the page of each of several lookups, None if one statement does not tell all."""
        lookups = [lookup for query in queries if (lookup := self._lookup(query))]
        if len(lookups) < len(queries):
            return None
        try:
            found = self._lookups.held_by_all(lookups)
        except UnicodeEncodeError:  # in which of them, the searches of each tell
            return None
        if found is None:
            return None
        return [self._page_of(query, rows) for query, rows in zip(queries, found, strict=True)]

    def _lookup(self, query: Query) -> Lookup | None:
        """Return the lookup of a search for everything; a small page is one statement instead."""
        return lookup_of(query) if query.count >= _MANY else None

    def logical_ids(self, query: Query) -> frozenset[str]:
        """Return the logical ids of the matches; if there are more than `count`, not of all."""
        lookup = lookup_of(query)
        if lookup is None:
            page = self.quick(query) or self.search(query)
            return frozenset(stored.logical_id for stored in page.matches)
        execute = self.connection.execute
        rows: list[Any] = [
            execute(_LOGICAL_ID, (rid,)).fetchone() for rid in self._lookups.run(lookup)
        ]
        return frozenset(row[0] for row in rows)

    def _filled(
        self, query: Query, recipe: Recipe, values: Sequence[Bound]
    ) -> tuple[str, list[Any]] | None:
        """Return the statement of a search by a recipe, None if it walks more than few rows."""
        if recipe.probe and not self._is_bounded(recipe):
            most = self._limits.few if recipe.is_long else self._limits.rare
            probe = recipe.probe
            if self.connection.execute(probe.text, probe.values(values, most)).fetchone():
                return None
        return recipe.page.text, recipe.page.values(values, query.count + 1)

    def _is_bounded(self, recipe: Recipe) -> bool:
        """Say whether the statement is to be stopped if it walks more than few rows."""
        return recipe.is_long and recipe.probe is not None and self._budget is not None

    def _rows(self, text: str, values: list[Any], *, is_bounded: bool) -> list[Any] | None:
        if is_bounded and self._budget:
            return self._budget.rows(text, values)
        return self.connection.execute(text, values).fetchall()

    def _quick(self, query: Query) -> tuple[str, list[Any]] | None:
        """Return the statement of a search of a simple shape that walks few rows."""
        recipe = self._recipes.find(query)
        if recipe is None or recipe[0] is NOTHING:
            return None
        found = self._filled(query, *recipe)
        is_bounded = self._is_bounded(recipe[0])
        return found if found and self._rows(*found, is_bounded=is_bounded) is not None else None

    def glance(self, query: Query) -> Page | None:
        """Return the page of a search that walks few rows, None for others."""
        return self._search(query, is_glance=True)

    def search(self, query: Query) -> Page:
        """Return the page of a search."""
        page = self._search(query)
        assert page is not None
        return page

    def explain(self, query: Query) -> list[str]:
        """Return each statement of the query, followed by SQLite's plan of it."""
        statements: list[tuple[str, Sequence[Any]]] = []
        if lookup := self._lookup(query):
            statements += [*self._lookups.leading(lookup), (_BY_NUMBER, (0,))]
        elif quick := self._quick(query):
            statements.append(quick)
        else:
            prepared = self.prepare(query)
            for page in prepared.pages if query.count > 0 else ():
                text, values = with_content(query.sort, page)
                statements.append((text, (*values, query.count + 1)))
            if prepared.total:
                statements.append(prepared.total)
        lines = []
        for text, bound in statements:
            lines.append(text)
            rows = self.connection.execute(f"EXPLAIN QUERY PLAN {text}", bound)
            lines += [str(row[3]) for row in rows]
        return lines

    def history(
        self,
        resource_type: str,
        logical_id: str,
        *,
        count: int,
        before: int,
        since: int,
        at: tuple[int, int] | None,
        with_total: bool,
    ) -> Page:
        """Return versions, newest first, of one resource, one type, or all."""
        level = self._level(resource_type, logical_id)
        if level is None:
            return Page([], "", 0 if with_total else None)
        level += self._when(since, at)
        start = [Sql("v.sequence < ?", (before,))] if before else []
        order = "v.version_id" if logical_id else "v.sequence"
        where, values = _conjunction(level + start)
        rows = self.connection.execute(
            f"SELECT {STORED} FROM {_VERSION} WHERE {where} ORDER BY {order} DESC LIMIT ?",
            (*values, count + 1),
        ).fetchall()
        matches = [self._stored(row) for row in rows[:count]]
        cursor = str(matches[-1].sequence) if matches and len(rows) > count else ""
        return Page(matches, cursor, self._history_total(level) if with_total else None)

    def status(self) -> Status:
        """Return how much is stored; the write-ahead log is not counted in its size."""
        rows: list[Any] = self.connection.execute(
            "SELECT t.name, sum(s.resources) FROM shape s JOIN type t ON t.id = s.type"
            " GROUP BY t.name HAVING sum(s.resources) > 0 ORDER BY t.name"
        ).fetchall()
        sequence = self._single("SELECT coalesce(max(sequence), 0) FROM version")
        pages = self._single("PRAGMA page_count")
        size_bytes = pages * self._single("PRAGMA page_size")
        return Status(dict(rows), sequence, size_bytes, free_bytes(self.connection.filename))

    def _search(self, query: Query, *, is_glance: bool = False) -> Page | None:
        """Prepare the search and run it, all in one snapshot: what holds for one holds for both."""
        with self._snapshot():
            prepared = self.prepare(query, is_glance=is_glance)
            return None if is_glance and not prepared.is_cheap else self._run(query, prepared)

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Let all that is read inside see one state of the database."""
        is_own = not self.connection.in_transaction
        if is_own:
            self.connection.execute("BEGIN")
        try:
            yield
        finally:
            if is_own:
                self.connection.execute("COMMIT")

    def _run(self, query: Query, prepared: Prepared) -> Page:
        wanted = query.count + 1
        rows: list[tuple[Bound, ...]] = []
        for page in prepared.pages if query.count > 0 else ():
            if len(rows) < wanted:
                sql = with_content(query.sort, page)
                rows += self.connection.execute(
                    sql.text, (*sql.values, wanted - len(rows))
                ).fetchall()
        total = None
        if prepared.total:
            total = self._total(prepared.total)
        return self._page_of(query, rows, total)

    def _total(self, sql: Sql) -> int:
        """Return a total; what was counted is kept until anything is written to the database."""
        if not self.connection.readonly("main"):
            return self._single(sql.text, sql.values)  # its own writes do not tell
        data_version = self.connection.pragma("data_version")
        if data_version != self._counted_at or len(self._counted) >= _MOST_COUNTED:
            self._counted.clear()
            self._counted_at = data_version
        total = self._counted.get(sql)
        if total is None:
            total = self._counted[sql] = self._single(sql.text, sql.values)
        return total

    def _page_of(self, query: Query, rows: list[Any], total: int | None = None) -> Page:
        """Return the page of `rows`, of which one more than asked for says that there are more."""
        keys = len(query.sort) + 1
        new, found = tuple.__new__, rows[: query.count]
        if len(query.resource_types) == 1:
            name = query.resource_types[0]
            matches = [new(Stored, (name, *row[keys + 1 :])) for row in found]
        else:
            name_of = self.names.type_name
            matches = [new(Stored, (name_of(row[keys]), *row[keys + 1 :])) for row in found]
        cursor = ""
        if len(rows) > query.count and matches:
            cursor = write_cursor(query, rows[query.count - 1][:keys])
        return page_of((matches, cursor, total, 0))

    def _stored(self, row: Any) -> Stored:
        return Stored._make((self.names.type_name(row[0]), *row[1:]))

    def _count(self, arm: Arm, limit: int) -> int:
        """Return how many rows the walk has, counted up to `limit`."""
        return self._single(
            f"SELECT count(*) FROM (SELECT 1 FROM {arm.tables} WHERE {arm.where.text} LIMIT ?)",
            (*arm.where.values, limit),
        )

    def _single(self, sql: str, values: tuple[Bound, ...] = ()) -> int:
        row: Any = self.connection.execute(sql, values).fetchone()
        return int(row[0])

    def _level(self, resource_type: str, logical_id: str) -> list[Sql] | None:
        """Return the condition of a level of history; None if there is nothing there."""
        if not resource_type:
            return []
        number = self.names.type(resource_type)
        if number is None:
            return None
        if not logical_id:
            return [Sql("v.type = ?", (number,))]
        row = self.connection.execute(
            "SELECT rid FROM resource WHERE type = ? AND logical_id = ?", (number, logical_id)
        ).fetchone()
        return [Sql("v.rid = ?", (row[0],))] if row else None

    def _when(self, since: int, at: tuple[int, int] | None) -> list[Sql]:
        conditions = []
        if since:
            first = self._first_since(since)
            conditions.append(Sql("v.sequence >= ? AND v.last_updated >= ?", (first, since)))
        if at:
            first, last = at
            conditions.append(Sql(f"v.last_updated <= ? AND {_EARLIER}", (last, first)))
        return conditions

    def _first_since(self, since: int) -> int:
        """Return the first sequence at which anything was last updated at or after `since`.

        `newest` only grows, so the place is found by halving.
        """
        low, high = 1, self._single("SELECT coalesce(max(sequence), 0) FROM version") + 1
        while low < high:
            middle = (low + high) // 2
            if self._single("SELECT newest FROM version WHERE sequence = ?", (middle,)) < since:
                low = middle + 1
            else:
                high = middle
        return low

    def _history_total(self, level: Sequence[Sql]) -> int:
        if not level:
            return self._single("SELECT coalesce(max(sequence), 0) FROM version")  # no gaps
        where, values = _conjunction(level)
        return self._single(f"SELECT count(*) FROM version v WHERE {where}", values)


def _conjunction(conditions: Sequence[Sql]) -> tuple[str, tuple[Bound, ...]]:
    text = " AND ".join(condition.text for condition in conditions) or "1"
    return text, tuple(value for condition in conditions for value in condition.values)
