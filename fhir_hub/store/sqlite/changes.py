"""Apply writes inside the writer's transaction: check everything, then insert.

All that can be refused is refused before the first INSERT. The rows of all resources of a group
wait until somebody has to see them, at the end of the group at the latest, and go in together,
table by table. An update touches only the rows that differ: those that are gone go first, all of
the group's together.
"""

from collections.abc import Iterable, Sequence
from math import frexp, isinf, nan
from typing import Any, NamedTuple

import apsw

from fhir_hub.search.entry import Entry
from fhir_hub.search.full_text import CONTENT
from fhir_hub.store.base import PARAMETERS, Change, Conflict, Indexed, Stored
from fhir_hub.store.sqlite.beside import INTERVALS, PATIENT, SILENT, beside, walk_of
from fhir_hub.store.sqlite.names import Names
from fhir_hub.store.sqlite.newcomers import Newcomers
from fhir_hub.store.sqlite.points import point_width
from fhir_hub.store.sqlite.rows import (
    SHAPE,
    WIDTH,
    Rows,
    by_row,
    ends,
    index_statements,
    walked,
)
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

_CODE, _TOLD, _REFERENCE, _INTERVAL, _DATE, _TEXT = range(6)  # what there is to do for an entry
_FORMS = {"told": _TOLD, "reference": _REFERENCE, "date": _DATE}
_Parameter = tuple[int, int]  # its number, and the form of what is under it
_Key = tuple[int | None, str]  # the number of the type, and the logical id


class Place(NamedTuple):
    """Where a change goes: the resource's number (0: it is new), and its shape until now."""

    type: int
    rid: int
    shape: int


class _Owner(NamedTuple):
    """Whose entries they are: a resource, and the sequence of its current version."""

    type: int
    rid: int
    sequence: int
    logical_id: str


class Changes:
    """The tables of resources, as the writer keeps them; `Book` of the writer."""

    def __init__(self, connection: apsw.Connection, names: Names) -> None:
        self._connection, self._names = connection, names
        self._data_version = -1
        self._rid = self._sequence = self._newest = 0
        self.generation = 0  # the sequence of the last SearchParameter
        self.committed = 0  # up to this sequence all is durable, and seen by who reads now
        self.touched = Touched()
        self._counts: dict[int, int] = {}
        self._shapes: dict[tuple[int, frozenset[int]], int] = {}
        self._parameters: dict[int, dict[tuple[str, str], _Parameter]] = {}  # by type
        self._walks: dict[int, str] = {}
        self._points: dict[int, float] = {}  # how wide they are, NaN: none is in an index
        self._indexing: tuple[str, ...] = ()  # statements, none: they have to be made
        self._spreads: dict[int, tuple[float, bool]] = {}
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
        self._parameters.clear()
        self._walks.clear()
        self._points.clear()
        self._indexing = ()
        self._spreads.clear()

    def check(self, changes: Sequence[Change]) -> list[Place]:
        """Return where each change goes. Raises `Conflict` if a version is not as expected."""
        places = []
        for change in changes:
            type_id = self._names.type(change.resource_type)
            row = self._find(type_id, change.logical_id) if type_id else None
            rid, current, shape = row or (0, 0, _DELETED)
            if change.version_id != current + 1:
                raise Conflict(f"{change.resource_type} is at version {current}")
            places.append(Place(type_id or 0, rid, shape))
        return places

    def _find(self, type_id: int, logical_id: str) -> Any:
        key = (type_id, logical_id)
        if key in self._waiting:
            self.settle()
        if self._newcomers.is_new(key):
            return None
        return self._connection.execute(_FIND, key).fetchone()

    def apply(self, changes: Sequence[Change], places: Sequence[Place]) -> list[Stored]:
        """Store the checked `changes`; return them as stored."""
        return [self._stage(*pair) for pair in zip(changes, places, strict=True)]

    def _index(self) -> None:
        if self._span is None:
            return
        if not self._indexing:
            apart = [number for number, walk in self._walks.items() if not walk]
            self._indexing = index_statements(apart, self._points)
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
            of = _Owner(type_id, rid, self._last(_SEQUENCE, rid), item.key.logical_id)
            shape = self._replace_entries(rows, of, item.entries)
            if shape != before:
                self._count(before, shape)
                rows.shaped.append((shape, rid))
        self._has_texts = self._has_texts or bool(rows.texts)
        rows.write(self._connection)

    def _stage(self, change: Change, place: Place) -> Stored:
        """Put one change's rows to those that wait (a deletion is seen at once)."""
        rows = self._late
        type_id = place.type or self._names.make_type(change.resource_type)
        sequence = self._sequence = self._sequence + 1
        self.touched.note(change, sequence)
        if change.resource_type == PARAMETERS:
            self.generation = sequence
        self._newest = max(self._newest, change.last_updated)
        rid = place.rid
        is_deletion = change.method == "DELETE"
        entries = () if is_deletion else change.entries
        key = (type_id, change.logical_id)
        if not rid:
            rid = self._rid = self._rid + 1
            self._newcomers.add(key)
        put = self._replace_entries if place.rid else self._add_entries
        shape = put(rows, _Owner(type_id, rid, sequence, change.logical_id), entries)
        self._waiting.add(key)
        if is_deletion:
            shape = _DELETED
            self.there.discard(key)
        else:
            self.there.add(key)
        self._count(place.shape, shape)
        version, moment = change.version_id, change.last_updated
        if place.rid:
            rows.moved.append((version, sequence, moment, rid))
            if is_deletion:
                self._connection.execute(SHAPE, (shape, rid))
            elif shape != place.shape:
                rows.shaped.append((shape, rid))
        else:
            rows.resource.append(
                (rid, type_id, change.logical_id, version, sequence, moment, shape)
            )
        rows.version.append(
            (sequence, type_id, rid, version, moment, self._newest, change.method, change.content)
        )
        return Stored(
            change.resource_type,
            change.logical_id,
            version,
            sequence,
            moment,
            change.method,
            change.content,
        )

    def _add_entries(self, rows: Rows, of: _Owner, entries: Iterable[Entry]) -> int:
        """Put the rows of a resource without entries until now; return its shape.

        What the indexes have of them is told by the rows, once those are in (`index`).
        """
        type_id, rid, sequence, logical_id = of
        flat: list[Any] = rows.entry
        first = len(flat)
        parameters, systems = self._parameters.setdefault(type_id, {}), self._names.systems
        texts, intervals = set(), set()  # parameters
        people: list[tuple[int, str, int, int]] = []
        codes: list[tuple[int, str, int]] = []
        spans: list[tuple[float, float]] = []
        for place, (name, kind, code, system, low, high, text, group) in enumerate(entries):
            parameter, form = parameters.get((name, kind)) or self._parameter(type_id, name, kind)
            system_id = systems.get(system)
            if system_id is None:
                system_id, systems = self._names.make_system(system), self._names.systems
            if form < _INTERVAL:
                flat += (rid, parameter, place, code, system_id, None, None, text, group)
                if form == _TOLD:
                    codes.append((parameter, code, system_id))
                elif form == _REFERENCE and code.startswith(PATIENT):
                    people.append((parameter, code, rid, system_id))
            elif form == _TEXT:
                texts.add(parameter)
                said = rows.texts.get(rid, (f"t{type_id}", "", ""))
                rows.texts[rid] = (*said[:2], code) if name == CONTENT else (said[0], code, said[2])
            else:
                start, end = ends(low, high)
                width, is_many = self._spreads[parameter]
                if end - start > width or (not is_many and parameter in intervals):
                    self._widen(parameter, end - start, is_many or parameter in intervals)
                intervals.add(parameter)
                if end != start + self._points[parameter] and self._walks[parameter]:
                    rows.low.append((parameter, start, rid))
                    rows.high.append((parameter, end, rid))
                flat += (rid, parameter, place, code, system_id, start, end, text, group)
                if form == _DATE:
                    spans.append((start, end))
        numbers = frozenset(flat[first + 1 :: WIDTH])
        if len(flat) - first > len(numbers) * WIDTH:
            self._note_systems(flat[first:])
        if people:
            rows.people += beside(people, codes, spans, (sequence, logical_id))
        return self._shape(type_id, numbers | texts if texts else numbers)

    def _note_systems(self, flat: Sequence[Any]) -> None:
        """Record for each parameter whether one code of a resource is of two systems."""
        codes = set(zip(flat[1::WIDTH], flat[3::WIDTH], strict=True))
        coded = set(zip(flat[1::WIDTH], flat[3::WIDTH], flat[4::WIDTH], strict=True))
        if len(codes) == len(coded):
            return
        systems: dict[tuple[Any, Any], Any] = {}
        for _, parameter, _, code, system, low, *_ in by_row(flat):
            if low is None and systems.setdefault((parameter, code), system) != system:
                assert isinstance(parameter, int)
                self._widen(parameter, 0, is_many=True)

    def _replace_entries(self, rows: Rows, of: _Owner, entries: Iterable[Entry]) -> int:
        """Put the rows that differ from those that the resource has, and remove the others."""
        new, rid = Rows(), of.rid
        shape = self._add_entries(new, of, entries)
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
        codes, points, lows, highs = walked(old, self._walks, self._points)
        new_codes, new_points, new_lows, new_highs = walked(wanted, self._walks, self._points)
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
        return shape

    def _parameter(self, type_id: int, name: str, kind: str) -> _Parameter:
        """Return a parameter's number, and the form of what is under it."""
        number, walk = self._names.make_parameter(type_id, name, kind), walk_of(name, kind)
        plain = _TEXT if kind == "text" else _INTERVAL if kind in INTERVALS else _CODE
        found = self._parameters[type_id][name, kind] = number, _FORMS.get(walk, plain)
        self._walks[number] = walk
        self._points[number] = point_width(kind) if walk else nan
        self._indexing = ()
        self._spreads[number] = self._names.spread(number)
        return found

    def _widen(self, parameter: int, width: float, is_many: bool) -> None:
        """Record that intervals may be so wide: in steps of two, so that it happens rarely."""
        known, was_many = self._spreads[parameter]
        if width <= known and is_many == was_many:
            return
        if width > known:
            known = width if isinf(width) else 2.0 ** (frexp(width)[1] + 1)
        self._spreads[parameter] = known, is_many
        self._names.widen(parameter, known, is_many=is_many)

    def _shape(self, type_id: int, parameters: frozenset[int]) -> int:
        key = (type_id, parameters)
        shape = self._shapes.get(key)
        if shape is None:
            if len(self._shapes) > _KEPT:
                self._shapes.clear()
            shape = self._shapes[key] = self._make_shape(type_id, sorted(parameters))
        return shape

    def _make_shape(self, type_id: int, parameters: list[int]) -> int:
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
