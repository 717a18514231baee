"""Find what disagrees in a database, and set right what can be.

The rules of `agreement.py` are asked one after the other; then every version is read, and every
current resource is indexed again, and compared with its entries. All of it sees one commit,
whatever is written meanwhile. What is found is told by type and id, sequence or number, never
by content.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import apsw

from fhir_hub.search.parameters import EVERY_TYPE
from fhir_hub.store.base import Stored
from fhir_hub.store.findings import EntriesOf, Finding, Progress, is_own
from fhir_hub.store.sqlite.agreement import RULES, Rule
from fhir_hub.store.sqlite.files import open_still, require_ours
from fhir_hub.store.sqlite.migrations import MIGRATIONS
from fhir_hub.store.sqlite.rows import entry_row

_MOST = 1000  # of one kind, told; all are counted
_ROWS = 500  # set right in one transaction
_ENTRIES = (
    "SELECT e.place, p.name, p.kind, e.code, coalesce(s.uri, ''), e.low, e.high, e.text, e.grouped"
    " FROM entry e JOIN parameter p ON p.id = e.parameter LEFT JOIN system s ON s.id = e.system"
    " WHERE e.rid = ? ORDER BY e.place"
)
_VERSIONS = (
    "SELECT v.sequence, v.rid, t.name, r.logical_id, v.version_id, v.last_updated, v.method,"
    " v.content, r.shape, r.sequence FROM version v CROSS JOIN resource r ON r.rid = v.rid"
    " CROSS JOIN type t ON t.id = r.type"
)


_CONTENT = Rule(
    "content", "the content of a version is not the version's", "版本内容与记录不符", "rid", ""
)
_INDEX = Rule(
    "entries",
    "the entries of a resource are not what its content gives by the definitions of now",
    "索引项与内容不一致",
    "rid",
    "",
    "reindex",
)
_SHAPE = Rule(
    "shape",
    "the shape of a resource is not that of its entries",
    "索引形状不符",
    "rid",
    "",
    "reindex",
)
_TEXT = Rule(
    "full-text", "the words of a resource are not kept", "缺少全文索引", "rid", "", "reindex"
)


class Checking:
    """One look at a database. `entries_of` says what a resource is found by now. Close it."""

    def __init__(self, path: Path, entries_of: EntriesOf, progress: Progress) -> None:
        self._entries_of, self._progress = entries_of, progress
        self._connection = open_still(path)
        require_ours(self._connection)
        self._connection.execute("BEGIN")

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def findings(
        self, passed_over: Collection[str] = (), *, is_quick: bool = False
    ) -> Iterator[Finding]:
        """Yield all that disagrees.

        The entries of the types `passed_over` (`*`: of all) are not compared with the contents;
        `is_quick` reads no content at all.
        """
        for done, rule in enumerate(RULES):
            self._progress(rule.name, done, len(RULES))
            for row in self._connection.execute(rule.find):
                yield self._finding(rule, row[0])
        if not is_quick:
            yield from self._contents(passed_over)

    def _contents(self, passed_over: Collection[str]) -> Iterator[Finding]:
        total, passed_over = self._one("SELECT count(*) FROM version"), frozenset(passed_over)
        self._shapes: dict[int, set[tuple[str, str]]] = {}
        for done, row in enumerate(self._connection.execute(_VERSIONS)):
            if not done % 10_000:
                self._progress("versions", done, total)
            sequence, rid, resource_type, logical_id, version_id, *rest, shape, current = row
            stored = Stored(resource_type, logical_id, version_id, sequence, *rest)
            if not is_own(stored):
                yield self._finding(_CONTENT, rid)
            elif (
                shape
                and sequence == current
                and passed_over.isdisjoint((resource_type, EVERY_TYPE))
            ):
                yield from self._entries(rid, shape, stored)

    def _entries(self, rid: int, shape: int, stored: Stored) -> Iterator[Finding]:
        wanted = list(self._entries_of(stored))
        rows = [(place, *entry_row(one)) for place, one in enumerate(wanted) if one.kind != "text"]
        found = self._connection.execute(_ENTRIES, (rid,)).fetchall()
        # their order is that of the content as it was written, which a store may have put otherwise
        if rows != found and Counter(one[1:] for one in rows) != Counter(one[1:] for one in found):
            yield self._finding(_INDEX, rid)
        if {(one.parameter, one.kind) for one in wanted} != self._shape(shape):
            yield self._finding(_SHAPE, rid)
        if any(one.kind == "text" for one in wanted):
            sql = "SELECT count(*) FROM full_text_docsize WHERE id = ?"
            if not self._connection.execute(sql, (rid,)).fetchall()[0][0]:
                yield self._finding(_TEXT, rid)

    def _shape(self, shape: int) -> set[tuple[str, str]]:
        if shape not in self._shapes:
            if len(self._shapes) > _MOST:
                self._shapes.clear()
            rows: list[Any] = self._connection.execute(
                "SELECT p.name, p.kind FROM shape s, json_each('[' || s.parameters || ']') j"
                " JOIN parameter p ON p.id = j.value WHERE s.id = ?",
                (shape,),
            ).fetchall()
            self._shapes[shape] = set(rows)
        return self._shapes[shape]

    def _finding(self, rule: Rule, value: Any) -> Finding:
        where = {"sequence": f"sequence {value}", "number": f"message {value}"}.get(rule.shows, "")
        if rule.shows == "rid":
            rows: list[Any] = self._connection.execute(
                "SELECT t.name || '/' || r.logical_id FROM resource r JOIN type t ON t.id = r.type"
                " WHERE r.rid = ?",
                (value,),
            ).fetchall()
            where = rows[0][0] if rows else f"resource number {value}"
        return Finding(rule.name, rule.told, rule.chinese, where, bool(rule.mend))

    def _one(self, sql: str) -> int:
        rows: list[Any] = self._connection.execute(sql).fetchall()
        return int(rows[0][0])


def mend(path: Path, rules: Iterable[Rule], progress: Progress) -> int:
    """Set right what can be, in short transactions between which others may write.

    Returns how many rows there were. May be stopped, and begun again.
    """
    reading = open_still(path)
    writing = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    writing.set_busy_timeout(60_000)
    writing.execute("PRAGMA synchronous = FULL")
    mended = 0
    try:
        rules = [rule for rule in rules if rule.mend]
        for done, rule in enumerate(rules):
            progress(rule.name, done, len(rules))
            found = reading.execute(rule.find).fetchall()
            for first in range(0, len(found), _ROWS):
                writing.execute("BEGIN IMMEDIATE")
                writing.executemany(rule.mend, found[first : first + _ROWS])
                mended += len(found[first : first + _ROWS])
                writing.execute("COMMIT")
    finally:
        writing.close()
        reading.close()
    return mended


def schema_is_current(path: Path) -> bool:
    """Say whether the database has the tables of this program. Raises `CannotOpen`."""
    connection = open_still(path)
    try:
        return require_ours(connection) == len(MIGRATIONS)
    finally:
        connection.close()
