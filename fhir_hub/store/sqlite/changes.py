"""Apply writes inside the writer's transaction: check everything, then insert.

All that can be refused is refused before the first INSERT. The rows of all resources of a group
wait until somebody has to see them, at the end of the group at the latest, and go in together,
table by table. An update touches only the rows that differ: those that are gone go first, all of
the group's together.
"""

from collections.abc import Iterable, Sequence
from math import frexp, isinf
from typing import Any, NamedTuple

import apsw

from fhir_hub.search.entry import Entry
from fhir_hub.search.full_text import CONTENT
from fhir_hub.store.base import PARAMETERS, Change, Conflict, Indexed, Stored
from fhir_hub.store.sqlite.beside import INTERVALS, PATIENT, beside, walk_of
from fhir_hub.store.sqlite.names import Names
from fhir_hub.store.sqlite.rows import SHAPE, Row, Rows
from fhir_hub.store.sqlite.sql import bounded
from fhir_hub.store.sqlite.touched import Touched

_INFINITY = float("inf")
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
        self._parameters: dict[tuple[int, str, str], tuple[int, str]] = {}
        self._walks: dict[int, str] = {}
        self._spreads: dict[int, tuple[float, bool]] = {}
        self._has_texts = False
        self._late = Rows()  # what is not inserted yet
        self._waiting: set[_Key] = set()  # whose rows those are
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
        """Insert what waits."""
        rows = self._late
        if not rows.version:
            return
        self._late = Rows()
        self._waiting.clear()
        if len(self.there) > _KEPT:
            self.there.clear()
        self._has_texts = self._has_texts or bool(rows.texts)
        rows.write(self._connection)

    def end(self) -> None:
        """Write how many resources of each shape were added or removed."""
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
        self.there.clear()
        self._data_version = -1
        self._counts.clear()
        self._shapes.clear()
        self._parameters.clear()
        self._walks.clear()
        self._spreads.clear()

    def check(self, changes: Sequence[Change]) -> list[Place]:
        """Return where each change goes. Raises `Conflict` if a version is not as expected."""
        places = []
        for change in changes:
            type_id = self._names.type(change.resource_type)
            key = (type_id, change.logical_id)
            if key in self._waiting:
                self.settle()
            row = self._connection.execute(_FIND, key).fetchone() if type_id else None
            rid, current, shape = row or (0, 0, _DELETED)
            if change.version_id != current + 1:
                raise Conflict(f"{change.resource_type} is at version {current}")
            places.append(Place(type_id or 0, rid, shape))
        return places

    def apply(self, changes: Sequence[Change], places: Sequence[Place]) -> list[Stored]:
        """Store the checked `changes`; return them as stored."""
        return [self._stage(*pair) for pair in zip(changes, places, strict=True)]

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
        if not rid:
            rid = self._rid = self._rid + 1
        put = self._replace_entries if place.rid else self._add_entries
        shape = put(rows, _Owner(type_id, rid, sequence, change.logical_id), entries)
        key = (type_id, change.logical_id)
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
        """Put the rows of a resource without entries until now; return its shape."""
        type_id, rid = of.type, of.rid
        parameters, systems = self._parameters, self._names.systems
        add_entry, add_code, first = rows.entry.append, rows.code.append, len(rows.entry)
        numbers = set()
        people: list[tuple[int, str, int, int]] = []
        codes: list[tuple[int, str, int]] = []
        spans: list[tuple[float, float]] = []
        for place, (name, kind, code, system, low, high, text, group) in enumerate(entries):
            parameter, walk = parameters.get((type_id, name, kind)) or self._parameter(
                type_id, name, kind
            )
            if kind == "text":
                numbers.add(parameter)
                said = rows.texts.get(rid, (f"t{type_id}", "", ""))
                rows.texts[rid] = (*said[:2], code) if name == CONTENT else (said[0], code, said[2])
                continue
            system_id = systems.get(system)
            if system_id is None:
                system_id, systems = self._names.make_system(system), self._names.systems
            if kind in INTERVALS:
                low = -_INFINITY if low is None else bounded(low)
                high = _INFINITY if high is None else bounded(high)
                width, is_many = self._spreads[parameter]
                if high - low > width or (not is_many and parameter in numbers):
                    self._widen(parameter, high - low, is_many or parameter in numbers)
            else:
                low = high = None
            add_entry((rid, parameter, place, code, system_id, low, high, text, group))
            numbers.add(parameter)
            if low is not None and high is not None:
                if walk:
                    rows.low.append((parameter, low, rid))
                    rows.high.append((parameter, high, rid))
                if walk == "date":
                    spans.append((low, high))
            elif walk == "reference" and code.startswith(PATIENT):
                people.append((parameter, code, rid, system_id))
            elif walk:
                add_code((parameter, code, rid, system_id, None, None, None, None, None))
                if walk == "told":
                    codes.append((parameter, code, system_id))
        if len(rows.entry) - first > len(numbers):
            self._note_systems(rows.entry[first:])
        if people:
            rows.code += beside(people, codes, spans, (of.sequence, of.logical_id))
        return self._shape(type_id, frozenset(numbers))

    def _note_systems(self, entries: Iterable[Row]) -> None:
        """Record for each parameter whether one code of a resource is of two systems."""
        systems: dict[tuple[Any, Any], Any] = {}
        for _, parameter, _, code, system, low, *_ in entries:
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
        rows.put_entry += [row for row in new.entry if there.pop(row[1:3], None) != row]
        emptied, gone_entries, gone_codes, gone_low, gone_high = rows.gone
        if new.entry:
            gone_entries += [(rid, *key) for key in there]
        elif there:
            emptied.append((rid,))
        # of what is in no index nothing is removed from one
        walked = [row for row in old if self._walks.get(row[1], "unknown")]
        codes = {(row[1], row[3], rid, row[4]) for row in walked if row[5] is None}
        lows = {(row[1], row[5], rid) for row in walked if row[5] is not None}
        highs = {(row[1], row[6], rid) for row in walked if row[5] is not None}
        for row in new.code:
            if row[7] is not None:  # what stands beside it differs, for the version does
                rows.put_code.append(row)
            elif row[:4] not in codes:
                rows.code.append(row)
            codes.discard(row[:4])
        rows.low += [row for row in new.low if row not in lows]
        rows.high += [row for row in new.high if row not in highs]
        gone_codes += codes
        gone_low += lows.difference(new.low)
        gone_high += highs.difference(new.high)
        return shape

    def _parameter(self, type_id: int, name: str, kind: str) -> tuple[int, str]:
        """Return a parameter's number, and the index that has its values."""
        found = self._names.make_parameter(type_id, name, kind), walk_of(name, kind)
        self._parameters[type_id, name, kind] = found
        self._walks[found[0]] = found[1]
        self._spreads[found[0]] = self._names.spread(found[0])
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


def entry_row(entry: Entry) -> tuple[Any, ...]:
    """Return an entry as its row has it, with names for numbers."""
    name, kind, code, system, low, high, text, group = entry
    if kind in INTERVALS:
        low = -_INFINITY if low is None else bounded(low)
        high = _INFINITY if high is None else bounded(high)
    else:
        low = high = None
    return name, kind, code, system, low, high, text, group
