"""The commit log and the journal of another file of the same hub, to go on from a backup.

Every version stands in `version` in the order of the commit sequence, so a file tells what was
true at each commit. Going on from a backup is writing what came after it once more. A cut is
between two commits, never within one: what was written together has one `lastUpdated`.

A message is done at the cut if what it wrote is: its Provenance says so. One that had come and
was not done is `received`, as after a crash at that moment, and the next start does it.
"""

import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from fhir_hub.store.base import CannotOpen, Change
from fhir_hub.store.sqlite.files import open_still, require_ours
from fhir_hub.store.sqlite.migrations import MIGRATIONS

_PAGE = 500
_MESSAGE = (
    "number, channel, key, digest, received, type, application, facility, control_id, direction,"
    " replaces, state, ack, error, links, finished, attempts, maps, replaced_by, size"
)
_NAMES = tuple(_MESSAGE.split(", "))
_PUT = f"INSERT OR REPLACE INTO message ({_MESSAGE}) VALUES ({', '.join('?' * len(_NAMES))})"
_VERSIONS = (
    "SELECT v.sequence, t.name, r.logical_id, v.version_id, v.last_updated, v.method, v.content"
    " FROM version v CROSS JOIN type t ON t.id = v.type CROSS JOIN resource r ON r.rid = v.rid"
    " WHERE v.sequence > ? AND v.sequence <= ? ORDER BY v.sequence LIMIT ?"
)
_ENDS = ("SELECT max(sequence) FROM version", "SELECT max(number) FROM message")
_WROTE = (
    "SELECT 1 FROM resource r CROSS JOIN version v ON v.rid = r.rid AND v.sequence <= ?"
    " WHERE r.type = (SELECT id FROM type WHERE name = ?) AND r.logical_id = ? LIMIT 1"
)
_FRESH: dict[str, Any] = {
    "state": "received",
    "ack": b"",
    "error": "",
    "links": "[]",
    "finished": 0,
    "attempts": 0,
    "maps": "",
}


class CannotGoOn(Exception):
    """The other file cannot be gone on with; the text is for the person who asked."""


class Cut(NamedTuple):
    """Where to stop: after the commit `sequence`, before the moment `until` (None: at the end)."""

    sequence: int
    until: int | None


class CommitLog:
    """What another file of the same hub says. Close it."""

    def __init__(self, path: Path) -> None:
        self._connection = open_still(path)
        try:
            schema = require_ours(self._connection)
            if schema < len(MIGRATIONS):
                raise CannotOpen(
                    "the file is of an older hub: restore a backup of it first, which migrates it"
                    " / 数据库版本较旧,请先备份并恢复一次"
                )
            self._connection.execute("BEGIN")  # a hub may go on writing to it
            self.last, _ = self._ends(self._connection)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def require_same(self, path: Path) -> int:
        """Return the last sequence at `path`, whose log must be the beginning of this one.

        Raises `CannotGoOn` if it is not: then the file is of another hub.
        """
        other = open_still(path)
        try:
            sequence, _ = self._ends(other)
            if self._row(self._connection, sequence) != self._row(other, sequence):
                raise CannotGoOn(
                    "the file does not go on from this backup: it is of another hub, or older"
                    " / 该文件不是此备份之后的数据库"
                )
        finally:
            other.close()
        return sequence

    def require_same_journal(self, path: Path) -> None:
        """Raise `CannotGoOn` unless the journal at `path` is the beginning of this one."""
        sql = "SELECT key, digest, received FROM message WHERE number = ?"
        other = open_still(path)
        try:
            _, number = self._ends(other)
            own: Any = self._connection.execute(sql, (number,)).fetchone()
            if own != other.execute(sql, (number,)).fetchone():
                raise CannotGoOn(
                    "the file's journal does not go on from this backup"
                    " / 该文件不是此备份之后的数据库"
                )
        finally:
            other.close()

    def cut(self, *, after: int, sequence: int | None = None, until: int | None = None) -> Cut:
        """Return the last cut at or before a sequence or a moment, not before `after`.

        Raises `CannotGoOn` if the backup is later than that.
        """
        wanted = self.last if sequence is None else sequence
        if until is not None:
            wanted = bisect_left(range(1, self.last + 1), until, key=self._newest)
        wanted = self._between_commits(min(wanted, self.last))
        if wanted < after:
            raise CannotGoOn(
                f"the backup is later: it ends at sequence {after}, asked is {wanted};"
                " take an older one / 备份时间晚于目标时间,请使用更早的备份"
            )
        if until is None and wanted < self.last:
            until = self._moment_after(wanted)
        return Cut(wanted, until)

    def changes(self, after: int, sequence: int) -> Iterator[list[Change]]:
        """Yield what was written after a sequence, up to another one, in order, in batches.

        Raises `CannotGoOn` where the log is broken; the text says how far it is whole.
        """
        while after < sequence:
            batch: dict[tuple[str, str], Change] = {}
            try:
                rows: list[Any] = self._connection.execute(
                    _VERSIONS, (after, sequence, _PAGE)
                ).fetchall()
            except apsw.Error:
                rows = []
            for number, resource_type, logical_id, *rest in rows:
                if number != after + 1:
                    break
                key = (resource_type, logical_id)
                if key in batch:
                    yield list(batch.values())
                    batch = {}
                batch[key] = Change(resource_type, logical_id, *rest)
                after = number
            if not batch:
                raise CannotGoOn(
                    f"the log is whole up to sequence {after} only: --sequence {after}"
                    " / 日志只完整到此序号"
                )
            yield list(batch.values())

    def notes(self) -> dict[str, str]:
        """Return the notes of the file."""
        rows: list[Any] = self._connection.execute("SELECT name, value FROM note").fetchall()
        return dict(rows)

    def copy_messages(self, path: Path, cut: Cut) -> int:
        """Bring the journal at `path` to how it was at the cut; return how many messages changed.

        The database at `path` holds what was written up to the cut, and is open nowhere else.
        """
        return self._put(path, lambda row: self._as_of(row, cut))

    def take_messages(self, path: Path, until: int | None) -> int:
        """Add the messages that the journal at `path` does not have, to be done anew.

        Only those that came before `until`. Returns how many there are to do.
        """

        def fresh(row: dict[str, Any]) -> dict[str, Any] | None:
            if row["number"] <= last or (until is not None and row["received"] >= until):
                return None
            is_done = row["direction"] == "in" and row["state"] in ("done", "received")
            return row | _FRESH if is_done else row

        other = open_still(path)
        _, last = self._ends(other)
        other.close()
        self._put(path, fresh)
        connection = open_still(path)
        sql = "SELECT count(*) FROM message WHERE number > ? AND state = 'received'"
        rows: list[Any] = connection.execute(sql, (last,)).fetchall()
        connection.close()
        return int(rows[0][0])

    def _put(self, path: Path, change: Any) -> int:
        """Write the rows that `change` returns, with bytes and debts, in one transaction."""
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        changed = 0
        try:
            with connection:
                for row in self._connection.execute(f"SELECT {_MESSAGE} FROM message"):
                    put = change(dict(zip(_NAMES, row, strict=True)))
                    if put is None:
                        continue
                    number = (put["number"],)
                    before = connection.execute(
                        f"SELECT {_MESSAGE} FROM message WHERE number = ?", number
                    ).fetchone()
                    values = tuple(put.values())
                    if before != values:
                        connection.execute(_PUT, values)
                        changed += 1
                    for table in ("message_raw", "owed_answer"):
                        self._copy(connection, table, number)
        finally:
            connection.close()
        return changed

    def _copy(self, connection: apsw.Connection, table: str, number: Sequence[int]) -> None:
        row: Any = self._connection.execute(
            f"SELECT * FROM {table} WHERE number = ?", number
        ).fetchone()
        if row is not None:
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)

    def _as_of(self, row: dict[str, Any], cut: Cut) -> dict[str, Any] | None:
        """Return a message as it was at the cut, None if it had not come."""
        until = cut.until
        if until is None:
            return row
        if row["received"] >= until:
            return None
        written = self._wrote(row["links"], cut.sequence) if row["state"] == "done" else None
        is_ended = row["finished"] < until if written is None else written
        if row["state"] == "received" or is_ended:
            return row
        if row["state"] == "replaced":  # the corrected text came later, or is done again
            return row | {"state": "failed", "replaced_by": 0}
        return row | _FRESH

    def _wrote(self, links: str, sequence: int) -> bool | None:
        """Say whether what a message wrote is before a cut; None if it left no trace of its own."""
        own = [link for link in json.loads(links) if link[0] == "Provenance"]
        if not own:
            return None
        bound = (sequence, *own[0])
        return self._connection.execute(_WROTE, bound).fetchone() is not None

    def _newest(self, sequence: int) -> int:
        sql = "SELECT newest FROM version WHERE sequence = ?"
        try:
            rows: list[Any] = self._connection.execute(sql, (sequence,)).fetchall()
        except apsw.Error:
            rows = []
        if not rows:
            raise CannotGoOn(f"the log has no sequence {sequence} / 日志不完整")
        return int(rows[0][0])

    def _moment_after(self, sequence: int) -> int:
        """Return when the commit after a sequence was; where it is lost, just after that one."""
        try:
            following = self._row(self._connection, sequence + 1)
        except apsw.Error:
            following = None
        if following is not None:
            return self._newest(sequence + 1)
        return self._newest(sequence) + 1 if sequence else 0

    def _between_commits(self, sequence: int) -> int:
        """Return the last sequence, at or before this one, that no commit goes over."""
        while 0 < sequence < self.last and self._moment(sequence) == self._moment(sequence + 1):
            sequence -= 1
        return max(0, sequence)

    def _moment(self, sequence: int) -> int:
        try:
            row = self._row(self._connection, sequence)
        except apsw.Error:  # nobody can say: it is where the log ends
            return 0
        return int(row[3]) if row else 0

    @staticmethod
    def _row(connection: apsw.Connection, sequence: int) -> Any:
        return connection.execute(
            "SELECT type, rid, version_id, last_updated, method, content FROM version"
            " WHERE sequence = ?",
            (sequence,),
        ).fetchone()

    @staticmethod
    def _ends(connection: apsw.Connection) -> tuple[int, int]:
        sequence, number = (connection.execute(sql).fetchall()[0][0] or 0 for sql in _ENDS)
        return int(sequence), int(number)
