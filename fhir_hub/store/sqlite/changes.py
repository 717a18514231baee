"""Apply writes inside the writer's transaction: check everything, then insert.

All that can be refused is refused before the first INSERT. The rows of all resources of a group
wait until somebody has to see them, at the end of the group at the latest, and go in together,
table by table. An update touches only the rows that differ: those that are gone go first, all of
the group's together.
"""

from collections.abc import Collection, Sequence
from typing import Any

import apsw

from fhir_hub.search.full_text import CONTENT, NARRATIVE
from fhir_hub.store.base import PARAMETERS, Change, Conflict, Indexed, Stored, stored_of
from fhir_hub.store.sqlite.beside import SILENT
from fhir_hub.store.sqlite.coding import NO_ENTRIES, Coded, CodedChange, Coder, coded_of
from fhir_hub.store.sqlite.names import Names
from fhir_hub.store.sqlite.newcomers import Newcomers
from fhir_hub.store.sqlite.rows import SHAPE, Rows, by_row, index_statements, walked
from fhir_hub.store.sqlite.touched import Touched

_KEPT = 50_000
_DELETED = 0

GENERATION = (
    "SELECT max(sequence) FROM version"
    f" WHERE type = (SELECT id FROM type WHERE name = '{PARAMETERS}')"
)
_FIND = "SELECT rid, version_id, shape FROM resource WHERE type = ? AND logical_id = ?"
_SEQUENCE = "SELECT sequence FROM resource WHERE rid = ?"
_ENTRIES = "SELECT * FROM entry WHERE rid = ? ORDER BY parameter, place"

_Key = tuple[int | None, str]  # the number of the type, and the logical id


# where a change goes: its type, the resource's number (0: it is new), and its shape until now
Place = tuple[int, int, int]
# whose entries they are: a resource, the sequence of its current version, its logical id
_Owner = tuple[int, int, str]


class Changes:
    """The tables of resources, as the writer keeps them; `Book` of the writer."""

    def __init__(self, connection: apsw.Connection, names: Names) -> None:
        self._connection, self._names = connection, names
        self._coder = Coder(names, makes=True)
        self._data_version = -1
        self._rid = self._sequence = self._newest = 0
        self.generation = 0  # the sequence of the last SearchParameter
        self.committed = 0  # up to this sequence all is durable, and seen by who reads now
        self.touched = Touched(names)
        self._counts: dict[int, int] = {}
        self._shapes: dict[tuple[int, Collection[int]], int] = {}
        self._indexing: tuple[str, ...] = ()  # statements
        self._indexed = -1  # for so many parameters
        self._has_texts = False
        self._late = Rows()  # what is not inserted yet
        self._waiting: set[_Key] = set()  # whose rows those are
        self._span: tuple[int, int] | None = None  # the resources that are in no index yet
        self._newcomers = Newcomers(connection)
        self.there: set[_Key] = set()  # resources, by type and id, that surely are not deleted

    def begin(self) -> None:
        """Read the ends of the tables, unless this connection was the last to write."""
        data_version: Any = self._connection.pragma("data_version")
        if data_version == self._data_version:
            self.committed = self._sequence
            return
        self.forget()
        self._data_version = data_version
        self._rid = self._last("SELECT max(rid) FROM resource")
        self.committed = self._sequence = self._last("SELECT max(sequence) FROM version")
        self.touched.forget(self._sequence)
        self._newest = self._last("SELECT newest FROM version ORDER BY sequence DESC LIMIT 1")
        self.generation = self._last(GENERATION)
        self._has_texts = self._last("SELECT 1 FROM full_text_docsize LIMIT 1") > 0

    def settle(self) -> None:
        """Insert what waits, to be found."""
        self.put()
        self._index()

    def put(self) -> None:
        """Insert what waits, but for what the indexes have of new resources: that is `end`'s."""
        rows = self._late
        if not rows.version:
            return
        self._late = Rows()
        self._waiting.clear()
        self._newcomers.shrink()
        if len(self.there) > _KEPT:
            self.there.clear()
        self._has_texts = self._has_texts or bool(rows.texts)
        rows.write(self._connection)
        self._span = rows.span()

    def end(self) -> None:
        """Write what the indexes have, and how many of each shape were added or removed."""
        self._index()
        if self._counts:
            self._connection.executemany(
                "UPDATE shape SET resources = resources + ? WHERE id = ?",
                [(number, shape) for shape, number in self._counts.items() if number],
            )
            self._counts.clear()

    def forget(self) -> None:
        """Drop what is kept of a transaction that was rolled back."""
        self._names.forget()
        self._late = Rows()
        self._waiting.clear()
        self._span = None
        self._newcomers.forget()
        self.there.clear()
        self._data_version = -1
        self._counts.clear()
        self._shapes.clear()
        self._coder.forget()
        self._indexed = -1

    def check(self, changes: Sequence[Change]) -> list[Place]:
        """Return where each change goes. Raises `Conflict` if a version is not as expected."""
        places: list[Place] = []
        type_of, is_new = self._names.type, self._newcomers.is_new
        for resource_type, logical_id, version_id, *_ in changes:
            type_id = type_of(resource_type)
            key = (type_id or 0, logical_id)
            row = self._find(key) if type_id and not is_new(key) else None
            rid, current, shape = row or (0, 0, _DELETED)
            if version_id != current + 1:
                raise Conflict(f"{resource_type} is at version {current}")
            places.append((key[0], rid, shape))
        return places

    def _find(self, key: tuple[int, str]) -> Any:
        if key in self._waiting:
            self.settle()
        return self._connection.execute(_FIND, key).fetchone()

    def apply(self, changes: Sequence[Change], places: Sequence[Place]) -> list[Stored]:
        """Store the checked `changes`; return them as stored."""
        return [self._stage(*pair) for pair in zip(changes, places, strict=True)]

    def _index(self) -> None:
        if self._span is None:
            return
        walks = self._coder.walks
        if len(walks) != self._indexed:
            apart = [number for number, walk in walks.items() if not walk]
            self._indexing = index_statements(apart, self._coder.points)
            self._indexed = len(walks)
        for statement in self._indexing:
            self._connection.execute(statement, self._span)
        self._span = None

    def reindex(self, items: Sequence[Indexed]) -> None:
        """Replace the entries of the resources that are still at the version that is said."""
        self.settle()
        self.touched.forget(self._sequence)
        rows = Rows()
        for item in items:
            type_id = self._names.type(item.key.resource_type)
            row = self._connection.execute(_FIND, (type_id, item.key.logical_id)).fetchone()
            rid, version_id, before = row or (0, 0, _DELETED)
            if before == _DELETED or version_id != item.version_id:
                continue
            assert type_id is not None
            coded = self._coder.code(type_id, item.entries, rid)
            of = rid, self._last(_SEQUENCE, rid), item.key.logical_id
            self._replace_entries(rows, of, type_id, coded)
            shape = self._shape(type_id, coded[1])
            if shape != before:
                self._count(before, shape)
                rows.shaped.append((shape, rid))
        self._has_texts = self._has_texts or bool(rows.texts)
        rows.write(self._connection)

    def _stage(self, change: Change, place: Place) -> Stored:
        """Put one change's rows to those that wait (a deletion is seen at once)."""
        resource_type, logical_id, version, moment, method, content, sent = change
        rows, is_deletion = self._late, method == "DELETE"
        type_id, rid, before = place
        is_new = not rid
        type_id = type_id or self._names.make_type(resource_type)
        sequence = self._sequence = self._sequence + 1
        if resource_type == PARAMETERS:
            self.generation = sequence
        if moment > self._newest:
            self._newest = moment
        key = (type_id, logical_id)
        if is_new:
            rid = self._rid = self._rid + 1
            self._newcomers.add(key)
        if is_deletion:
            coded, shape = NO_ENTRIES, _DELETED
            self.there.discard(key)
        else:
            if type(change) is CodedChange:
                coded = coded_of(sent, rid)
            else:
                coded = self._coder.code(type_id, change.entries, rid)
            shape = self._shape(type_id, coded[1])
            self.there.add(key)
        self.touched.note(resource_type, logical_id, sequence, *coded[:2], shape, is_new=is_new)
        put = self._add_entries if is_new else self._replace_entries
        put(rows, (rid, sequence, logical_id), type_id, coded)
        self._waiting.add(key)
        if shape != before:
            self._count(before, shape)
        if is_new:
            rows.resource.append((rid, type_id, logical_id, version, sequence, moment, shape))
        else:
            rows.moved.append((version, sequence, moment, rid))
            if is_deletion:
                self._connection.execute(SHAPE, (shape, rid))
            elif shape != before:
                rows.shaped.append((shape, rid))
        rows.version.append(
            (sequence, type_id, rid, version, moment, self._newest, method, content)
        )
        return stored_of((resource_type, logical_id, version, sequence, moment, method, content))

    def _add_entries(self, rows: Rows, of: _Owner, type_id: int, coded: Coded) -> None:
        """Put the rows of a resource without entries until now.

        What the indexes have of them is told by the rows, once those are in (`index`).
        """
        values, _, people, beside, texts, ranges = coded
        rid, sequence, logical_id = of
        rows.entry += values
        if ranges:
            rows.low += [(number, start, rid) for number, start, _ in ranges]
            rows.high += [(number, end, rid) for number, _, end in ranges]
        if people:
            said = (*beside, sequence, logical_id)
            rows.people += [(number, code, rid, system, *said) for number, code, system in people]
        if texts:
            words = texts.get(NARRATIVE, ""), texts.get(CONTENT, "")
            rows.texts[rid] = (f"t{type_id}", *words)

    def _replace_entries(self, rows: Rows, of: _Owner, type_id: int, coded: Coded) -> None:
        """Put the rows that differ from those that the resource has, and remove the others."""
        new, rid = Rows(), of[0]
        self._coder.learn(coded[1])  # what came from another process may be unknown here
        self._add_entries(new, of, type_id, coded)
        if self._has_texts:
            self._connection.execute("DELETE FROM full_text WHERE rowid = ?", (rid,))
        rows.texts.update(new.texts)
        old: list[Any] = self._connection.execute(_ENTRIES, (rid,)).fetchall()
        there = {row[1:3]: row for row in old}
        wanted = by_row(new.entry)
        rows.put_entry += [row for row in wanted if there.pop(row[1:3], None) != row]
        emptied, gone_entries, gone_codes, gone_points, gone_low, gone_high = rows.gone
        if wanted:
            gone_entries += [(rid, *key) for key in there]
        elif there:
            emptied.append((rid,))
        known = self._coder.walks, self._coder.points
        codes, points, lows, highs = walked(old, *known)
        new_codes, new_points, new_lows, new_highs = walked(wanted, *known)
        rows.put_code += new.people  # what stands beside it differs, for the version does
        people = {row[:4] for row in new.people}
        rows.code += [(*key, *SILENT) for key in new_codes - codes - people]
        rows.point += new_points - points
        rows.low += new_lows - lows
        rows.high += new_highs - highs
        gone_codes += codes - new_codes
        gone_points += points - new_points
        gone_low += lows - new_lows
        gone_high += highs - new_highs

    def _shape(self, type_id: int, parameters: Collection[int]) -> int:
        key = (type_id, parameters)
        shape = self._shapes.get(key)
        if shape is None:
            if len(self._shapes) > _KEPT:
                self._shapes.clear()
            shape = self._shapes[key] = self._make_shape(type_id, sorted(parameters))
        return shape

    def _make_shape(self, type_id: int, parameters: list[int]) -> int:
        self._coder.learn(parameters)
        key = (type_id, ",".join(map(str, parameters)))
        row = self._connection.execute(
            "SELECT id FROM shape WHERE type = ? AND parameters = ?", key
        ).fetchone()
        if row:
            return int(row[0])
        self._connection.execute(
            "INSERT INTO shape (type, parameters, resources) VALUES (?, ?, 0)", key
        )
        shape = self._connection.last_insert_rowid()
        self._connection.executemany(
            "INSERT INTO shape_parameter VALUES (?, ?)", [(number, shape) for number in parameters]
        )
        return shape

    def _count(self, before: int, after: int) -> None:
        if before != after:
            if before:
                self._counts[before] = self._counts.get(before, 0) - 1
            if after:
                self._counts[after] = self._counts.get(after, 0) + 1

    def _last(self, sql: str, *values: int) -> int:
        row: Any = self._connection.execute(sql, values).fetchone()
        return (row and row[0]) or 0
