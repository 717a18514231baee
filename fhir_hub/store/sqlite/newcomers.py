"""Logical ids that surely were never stored, so that the writer need not look for them.

The ids that the hub gives sort by time, so those of the next resources of a type lie side by side,
in a gap between two that are stored. What has come into the gap since it was read is known: who
writes is the only one to. Of an id in the gap that has not come nothing need be asked.

Ids of clients' own lie anywhere. A gap that they miss is read anew, but rarely.
"""

from typing import Any

import apsw

_KEPT = 10_000
_MISSES = 100  # of a type, until its gap is read anew
_END = "\U0010ffff"
_GAP = (
    "SELECT (SELECT max(logical_id) FROM resource WHERE type = ?1 AND logical_id <= ?2),"
    " (SELECT min(logical_id) FROM resource WHERE type = ?1 AND logical_id > ?2)"
)


class Newcomers:
    """The gaps of each type, and what came since they were read."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._gaps: dict[int, tuple[str, str]] = {}
        self._missed: dict[int, int] = {}
        self._came: set[tuple[int, str]] = set()

    def forget(self) -> None:
        """Know nothing any more: another may have written."""
        self._gaps.clear()
        self._missed.clear()
        self._came.clear()

    def shrink(self) -> None:
        """Forget if that is a lot. What came is inserted."""
        if len(self._came) > _KEPT:
            self.forget()

    def add(self, key: tuple[int, str]) -> None:
        """Take a new resource, by the number of its type and its id, before it is inserted."""
        self._came.add(key)

    def is_new(self, key: tuple[int, str]) -> bool:
        """Say whether there surely never was such a resource."""
        type_id, logical_id = key
        gap = self._gaps.get(type_id)
        if gap and gap[0] < logical_id < gap[1]:
            return key not in self._came
        missed = self._missed.get(type_id, 0)
        self._missed[type_id] = missed + 1
        if missed % _MISSES == 0:
            row: Any = self._connection.execute(_GAP, key).fetchone()
            self._gaps[type_id] = row[0] or "", row[1] or _END
        return False
