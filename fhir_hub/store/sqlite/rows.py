"""The rows of a group of writes, by table: what goes, what comes, what takes another's place.

They go in together, table by table, what is gone first. So a group of sixteen updates is a dozen
statements, and a row that did not change is not touched.

Spec: https://www.sqlite.org/lang_replace.html
"""

from collections.abc import Iterable, Sequence

import apsw

from fhir_hub.store.sqlite.beside import CodeRow

Row = tuple[int | float | str | bytes | None, ...]

# the shape is in indexes of its own, which are written anew if it is set, to what it was too
SHAPE = "UPDATE resource SET shape = ? WHERE rid = ?"
_MOVE = "UPDATE resource SET version_id = ?, sequence = ?, last_updated = ? WHERE rid = ?"
_ADD_TEXT = "INSERT INTO full_text (rowid, type, narrative, content) VALUES (?, ?, ?, ?)"
_GONE = (
    "DELETE FROM entry WHERE rid = ?",
    "DELETE FROM entry WHERE rid = ? AND parameter = ? AND place = ?",
    "DELETE FROM by_code WHERE parameter = ? AND code = ? AND rid = ? AND system = ?",
    "DELETE FROM by_low WHERE parameter = ? AND low = ? AND rid = ?",
    "DELETE FROM by_high WHERE parameter = ? AND high = ? AND rid = ?",
)


class Rows:
    """Rows to add, by table; `put_*` take the place of those with their key, if there are any.

    `moved` are resources at another version, `shaped` of another shape; `gone` has the keys of rows
    to remove: all entries of a resource, an entry, rows of `by_code`, `by_low` and `by_high`;
    `texts` are by resource.
    """

    __slots__ = (
        *("code", "entry", "gone", "high", "low", "moved", "put_code", "put_entry"),
        *("resource", "shaped", "texts", "version"),
    )

    def __init__(self) -> None:
        self.version: list[Row] = []
        self.resource: list[Row] = []
        self.moved: list[Row] = []
        self.shaped: list[Row] = []
        self.gone: tuple[list[Row], ...] = ([], [], [], [], [])
        self.entry: list[Row] = []
        self.put_entry: list[Row] = []
        self.code: list[CodeRow] = []
        self.put_code: list[CodeRow] = []
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
            ("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", self.entry),
            ("REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", self.put_entry),
            ("INSERT OR IGNORE INTO by_code VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", self.code),
            ("REPLACE INTO by_code VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", self.put_code),
            ("INSERT OR IGNORE INTO by_low VALUES (?, ?, ?)", self.low),
            ("INSERT OR IGNORE INTO by_high VALUES (?, ?, ?)", self.high),
            (_ADD_TEXT, texts),
        )
        for sql, rows in every:
            if rows:
                connection.executemany(sql, rows)
