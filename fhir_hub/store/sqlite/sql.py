"""Pieces of SQL with the values that they bind, joined without ever quoting a value."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

Bound = str | int | float | None


class Sql(NamedTuple):
    """SQL text and the values of its question marks, in order."""

    text: str
    values: tuple[Bound, ...] = ()


TRUE, FALSE = Sql("1"), Sql("0")
_COMPOUND = 400  # SELECTs joined at once: SQLite allows 500


class Slot:
    """The place of a value, with what stands around it where it is a text.

    It can be bound and nothing else: to compute with it is an error. `is_person`: the value is the
    address of a Patient.
    """

    __slots__ = ("after", "before", "is_person", "place")

    def __init__(
        self, place: int, before: str = "", after: str = "", *, is_person: bool = False
    ) -> None:
        self.place, self.before, self.after = place, before, after
        self.is_person = is_person

    def around(self, before: str, after: str) -> "Slot":
        """Return the slot of the same value between two texts."""
        return Slot(self.place, before, after)

    def filled(self, value: Bound) -> Bound:
        """Return what to bind for the value."""
        return f"{self.before}{value}{self.after}" if self.before else value


class Arm(NamedTuple):
    """One walk: `SELECT {rid} FROM {tables} WHERE {where}`; tables are visited as written.

    `beside` is the alias of its rows where they may say more of the resource (`beside.py`).
    """

    tables: str
    where: Sql
    rid: str
    beside: str = ""

    def also(self, *conditions: Sql) -> "Arm":
        """Return this walk with more conditions."""
        return self._replace(where=all_of((self.where, *conditions)))


def union(arms: Sequence[Arm], *, is_unique: bool = False) -> Sql:
    """Return a SELECT of the distinct `rid`s that the arms find; unique: none is found twice."""
    if not arms:
        return Sql("SELECT 0 AS rid WHERE 0")
    verb = "SELECT" if is_unique else "SELECT DISTINCT"
    selects = [f"{verb} {arm.rid} AS rid FROM {arm.tables} WHERE {arm.where.text}" for arm in arms]
    values = tuple(value for arm in arms for value in arm.where.values)
    by = " UNION ALL " if is_unique else " UNION "
    if len(selects) > _COMPOUND:
        parts = [selects[at : at + _COMPOUND] for at in range(0, len(selects), _COMPOUND)]
        # DISTINCT, so that SQLite does not flatten them into one again
        selects = [f"SELECT DISTINCT rid FROM ({by.join(part)})" for part in parts]
    return Sql(by.join(selects), values)


def all_of(parts: Iterable[Sql]) -> Sql:
    """Return the conjunction."""
    kept = [part for part in parts if part != TRUE]
    if FALSE in kept:
        return FALSE
    if len(kept) < 2:
        return kept[0] if kept else TRUE
    return _joined(kept, " AND ")


def any_of(parts: Iterable[Sql]) -> Sql:
    """Return the disjunction, in brackets, balanced so that thousands do not nest too deeply."""
    kept = [part for part in parts if part != FALSE]
    if TRUE in kept:
        return TRUE
    if len(kept) < 2:
        return kept[0] if kept else FALSE
    while len(kept) > 1:
        kept = [
            _joined(kept[start : start + 20], " OR ", brackets=True)
            for start in range(0, len(kept), 20)
        ]
    return kept[0]


def negated(part: Sql) -> Sql:
    """Return the negation."""
    if part in (TRUE, FALSE):
        return FALSE if part == TRUE else TRUE
    return Sql(f"NOT ({part.text})", part.values)


def one_of(column: str, values: Sequence[Bound]) -> Sql:
    """Return that the column is one of `values`, which are at least one."""
    if len(values) == 1:
        return Sql(f"{column} = ?", (values[0],))
    return Sql(f"{column} IN ({', '.join('?' * len(values))})", tuple(values))


def starts_with(column: str, prefix: str) -> Sql:
    """Return that the column begins with `prefix`, as a range that an index can walk."""
    end = _after(prefix)
    if not prefix:
        return TRUE
    if end is None:
        return Sql(f"{column} >= ?", (prefix,))
    return Sql(f"{column} >= ? AND {column} < ?", (prefix, end))


def bounded(value: float) -> float:
    """Return a number that SQLite can hold: an integer of 64 bits, or a float."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    return value


def _after(prefix: str) -> str | None:
    """Return the smallest text above all that begin with `prefix`, or None if there is none."""
    for place in range(len(prefix) - 1, -1, -1):
        point = ord(prefix[place])
        if point < 0x10FFFF:
            # UTF-8 has no surrogates; the order of its bytes is the order of code points
            return prefix[:place] + chr(0xE000 if point == 0xD7FF else point + 1)
    return None


def _joined(parts: Sequence[Sql], by: str, *, brackets: bool = False) -> Sql:
    text = by.join(part.text for part in parts)
    values = tuple(value for part in parts for value in part.values)
    return Sql(f"({text})" if brackets else text, values)
