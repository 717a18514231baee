"""Where local codes that came are kept: a file beside the database, safe to throw away.

A store that many machines share keeps them itself (`store/mongo/codes_seen.py`).

Several processes write to it; each adds what it has counted in one short transaction.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import apsw

from fhir_hub.store.base import CannotOpen

_VERSION = 1
_SCHEMA = """
CREATE TABLE seen (
  sender TEXT NOT NULL, system TEXT NOT NULL, code TEXT NOT NULL, display TEXT NOT NULL,
  field TEXT NOT NULL, times INTEGER NOT NULL, first TEXT NOT NULL, last TEXT NOT NULL,
  PRIMARY KEY (sender, system, code)
) WITHOUT ROWID;
"""
_ADD = """
INSERT INTO seen VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET times = times + excluded.times, last = max(last, excluded.last),
  first = min(first, excluded.first), display = excluded.display,
  field = CASE WHEN instr(' ' || field || ' ', ' ' || excluded.field || ' ') THEN field
    ELSE trim(field || ' ' || excluded.field) END
"""


class Seen(NamedTuple):
    """A code of a sender (`application@facility`): how often it came, first and last (instants).

    `field` is where it stood (`OBX-3`; of several fields with a blank between them).
    """

    sender: str
    system: str
    code: str
    display: str
    field: str
    times: int
    first: str
    last: str
    is_mapped: bool = False


class Codes(Protocol):
    """Where they are kept, for any number of processes."""

    async def add(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add counts: the fields of `Seen`, one `field` each. Raises `OSError` if that cannot be.

        What could not be written may be written later.
        """

    async def all(self, sender: str = "") -> list[Seen]:
        """Return the codes of a sender, or of all, the most frequent first."""


def by_frequency(codes: Iterable[Seen]) -> list[Seen]:
    """Return codes, the most frequent first."""
    return sorted(codes, key=lambda one: (-one.times, one.sender, one.system, one.code))


class CodesFile:
    """The file at `path`, made when it is first written; None: in memory."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._connection: apsw.Connection | None = None

    async def add(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add counts: the fields of `Seen`. Raises `OSError` if they cannot be written."""
        try:
            connection = self._opened()
            with connection:
                connection.executemany(_ADD, rows)
        except (apsw.Error, CannotOpen) as error:
            raise OSError(f"the file of local codes: {type(error).__name__}") from None

    async def all(self, sender: str = "") -> list[Seen]:
        """Return the codes of a sender, or of all, the most frequent first."""
        if self._path is not None and not self._path.is_file():
            return []
        where, bound = ("WHERE sender = ?", (sender,)) if sender else ("", ())
        rows = self._opened().execute(f"SELECT * FROM seen {where}", bound)
        return by_frequency(Seen(*row) for row in rows)

    def _opened(self) -> apsw.Connection:
        if self._connection is None:
            try:
                connection = apsw.Connection(str(self._path) if self._path else ":memory:")
                connection.set_busy_timeout(10_000)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                with connection:
                    if connection.pragma("user_version") == 0:
                        connection.execute(f"{_SCHEMA} PRAGMA user_version = {_VERSION}")
            except apsw.Error as error:
                raise CannotOpen(f"{self._path}: {type(error).__name__}") from None
            self._connection = connection
        return self._connection
