"""The rows of a group of writes, by table: what goes, what comes, what takes another's place.

They go in together, table by table, what is gone first. So a group of sixteen updates is a dozen
statements, and a row that did not change is not touched.

What the indexes have of new resources is not sent row by row: SQLite takes it out of `entry`, where
it has just come. That is one step of a statement an index, without Python: it costs half, and may
be done in another thread.

Spec: https://www.sqlite.org/lang_replace.html, https://www.sqlite.org/lang_insert.html
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apsw

from fhir_hub.search.entry import Entry
from fhir_hub.store.sqlite.beside import INTERVALS, CodeRow
from fhir_hub.store.sqlite.sql import bounded

Row = tuple[int | float | str | bytes | None, ...]

# the shape is in indexes of its own, which are written anew if it is set, to what it was too
SHAPE = "UPDATE resource SET shape = ? WHERE rid = ?"
_MOVE = "UPDATE resource SET version_id = ?, sequence = ?, last_updated = ? WHERE rid = ?"
_ADD_CODE = "INSERT OR IGNORE INTO by_code VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ADD_TEXT = "INSERT INTO full_text (rowid, type, narrative, content) VALUES (?, ?, ?, ?)"
_INFINITY = float("inf")
WIDTH = 9  # columns of `entry`
_TOGETHER = 32  # rows of `entry` in a statement: it goes on where the last one went in
# a fault rolls the whole group back, so that SQLite need not keep what a statement changes
_ENTRY = "INSERT OR FAIL INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ENTRIES = _ENTRY + ", (?, ?, ?, ?, ?, ?, ?, ?, ?)" * (_TOGETHER - 1)
_INDEX_CODES = (
    # what says more of a patient's resource is there, and stays
    "INSERT OR IGNORE INTO by_code (parameter, code, rid, system)"
    " SELECT parameter, code, rid, system FROM entry"
    " WHERE rid BETWEEN ? AND ? AND low IS NULL AND parameter NOT IN ({})"
)
_INDEX_POINTS = (
    "INSERT OR IGNORE INTO by_point SELECT parameter, low, rid FROM entry"
    " WHERE rid BETWEEN ? AND ? AND low IS NOT NULL AND high = low +"
    " CASE {} END"
)
_GONE = (
    "DELETE FROM entry WHERE rid = ?",
    "DELETE FROM entry WHERE rid = ? AND parameter = ? AND place = ?",
    "DELETE FROM by_code WHERE parameter = ? AND code = ? AND rid = ? AND system = ?",
    "DELETE FROM by_point WHERE parameter = ? AND low = ? AND rid = ?",
    "DELETE FROM by_low WHERE parameter = ? AND low = ? AND rid = ?",
    "DELETE FROM by_high WHERE parameter = ? AND high = ? AND rid = ?",
)


class Rows:
    """Rows to add, by table; `put_*` take the place of those with their key, if there are any.

    `moved` are resources at another version, `shaped` of another shape; `gone` has the keys of rows
    to remove: all entries of a resource, an entry, rows of `by_code`, `by_point`, `by_low` and
    `by_high`; `texts` are by resource. `entry` has the values of one row after the other. Of
    resources that are new, `people` are rows of `by_code` that say more, `low` and `high` those of
    intervals that are no points; the others are for `index_statements`.
    """

    __slots__ = (
        *("code", "entry", "gone", "high", "low", "moved", "people", "point"),
        *("put_code", "put_entry", "resource", "shaped", "texts", "version"),
    )

    def __init__(self) -> None:
        self.version: list[Row] = []
        self.resource: list[Row] = []
        self.moved: list[Row] = []
        self.shaped: list[Row] = []
        self.gone: tuple[list[Row], ...] = ([], [], [], [], [], [])
        self.entry: list[int | float | str | None] = []
        self.put_entry: list[Row] = []
        self.people: list[CodeRow] = []
        self.code: list[CodeRow] = []
        self.put_code: list[CodeRow] = []
        self.point: list[Row] = []
        self.low: list[Row] = []
        self.high: list[Row] = []
        self.texts: dict[int, tuple[str, str, str]] = {}

    def write(self, connection: apsw.Connection) -> None:
        """Write all of them."""
        texts = [(rid, *said) for rid, said in self.texts.items()]
        every: Iterable[tuple[str, Sequence[Row]]] = (
            ("INSERT INTO version VALUES (?, ?, ?, ?, ?, ?, ?, ?)", self.version),
            ("INSERT INTO resource VALUES (?, ?, ?, ?, ?, ?, ?)", self.resource),
            (_MOVE, self.moved),
            (SHAPE, self.shaped),
            *zip(_GONE, self.gone, strict=True),
            *self._entries(),
            ("REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", self.put_entry),
            (_ADD_CODE, self.people),
            (_ADD_CODE, self.code),
            ("REPLACE INTO by_code VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", self.put_code),
            ("INSERT OR IGNORE INTO by_point VALUES (?, ?, ?)", self.point),
            ("INSERT OR IGNORE INTO by_low VALUES (?, ?, ?)", self.low),
            ("INSERT OR IGNORE INTO by_high VALUES (?, ?, ?)", self.high),
            (_ADD_TEXT, texts),
        )
        for sql, rows in every:
            if rows:
                connection.executemany(sql, rows)

    def span(self) -> tuple[int, int] | None:
        """Return the first and the last of the resources that are new, None if none are.

        Their numbers follow each other.
        """
        new = self.resource
        return (_number(new[0]), _number(new[-1])) if new else None

    def _entries(self) -> Iterable[tuple[str, Sequence[Any]]]:
        values, size = self.entry, WIDTH * _TOGETHER
        whole = len(values) - len(values) % size
        yield _ENTRIES, [values[at : at + size] for at in range(0, whole, size)]
        yield _ENTRY, by_row(values[whole:])


def by_row(values: Sequence[int | float | str | None]) -> list[Row]:
    """Return the rows of `entry` whose values follow each other."""
    return list(zip(*[iter(values)] * WIDTH, strict=True))


def index_statements(apart: Iterable[int], points: Mapping[int, float]) -> tuple[str, ...]:
    """Return what puts into the indexes what they have of the resources of a span, by `entry`.

    What is under the parameters `apart` is in no index; `points` has the width of points by
    parameter, NaN if there are none under it.
    """
    widths: dict[float, list[str]] = {}
    for parameter, width in points.items():
        if width == width:
            widths.setdefault(width, []).append(str(parameter))
    cases = [f"WHEN parameter IN ({', '.join(of)}) THEN {width}" for width, of in widths.items()]
    codes = _INDEX_CODES.format(", ".join(map(str, apart)))
    return (codes, _INDEX_POINTS.format(" ".join(cases))) if cases else (codes,)


def walked(
    entries: Iterable[Any], walks: Mapping[int, str], points: Mapping[int, float]
) -> tuple[set[Any], set[Any], set[Any], set[Any]]:
    """Return the keys of what `by_code`, `by_point`, `by_low` and `by_high` have of some entries.

    `walks` and `points` are of the parameters that are known: an interval of another may be in any.
    """
    codes, moments, lows, highs = set(), set(), set(), set()
    for rid, parameter, _, code, system, low, high, *_ in entries:
        if not walks.get(parameter, "unknown"):
            continue  # of what is in no index nothing is removed from one
        if low is None:
            codes.add((parameter, code, rid, system))
            continue
        end = low + points[parameter] if parameter in points else None
        if end is None or high == end:
            moments.add((parameter, low, rid))
        if end is None or high != end:
            lows.add((parameter, low, rid))
            highs.add((parameter, high, rid))
    return codes, moments, lows, highs


def _number(row: Row) -> int:
    assert isinstance(row[0], int)
    return row[0]


def entry_row(entry: Entry) -> tuple[Any, ...]:
    """Return an entry as its row has it, with names for numbers."""
    name, kind, code, system, low, high, text, group = entry
    start, end = ends(low, high) if kind in INTERVALS else (None, None)
    return name, kind, code, system, start, end, text, group


def ends(low: float | None, high: float | None) -> tuple[float, float]:
    """Return the ends of an interval as SQLite can hold them."""
    return (
        -_INFINITY if low is None else bounded(low),
        _INFINITY if high is None else bounded(high),
    )
