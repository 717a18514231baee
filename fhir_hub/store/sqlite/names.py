"""Numbers for what repeats: resource types, parameters, systems.

Rows hold small numbers instead of long names. A number never changes, so each connection
keeps what it has looked up; what it has not found it asks again, since another connection
may have added it.
"""

from collections.abc import Sequence
from typing import Any

import apsw

_ENDS = ("min", "max")
_HAVE = "SELECT " + ", ".join(
    f"EXISTS (SELECT 1 FROM by_{table} WHERE parameter = ?)" for table in ("point", "low")
)
_KEPT = 100_000  # systems come from content: what is kept of them is bounded
_SHORT = 200  # and so is each


class Names:
    """The numbers as one connection sees them.

    `systems` are those whose numbers are at hand; no system is among them, as 0.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._types: dict[str, int] = {}
        self._type_names: dict[int, str] = {}
        self._parameters: dict[tuple[int, str, str], int] = {}
        self.systems: dict[str, int] = {"": 0}
        self._intervals: dict[int, tuple[bool, bool]] = {}

    def forget(self) -> None:
        """Drop what is kept: after a rollback, numbers given meanwhile are void."""
        self.__init__(self._connection)  # type: ignore[misc]  # back to how it began

    def type(self, name: str) -> int | None:
        """Return the number of a resource type, or None if there never was a resource of it."""
        number = self._types.get(name)
        if number is None:
            number = self._one("SELECT id FROM type WHERE name = ?", (name,))
            if number is not None:
                self._types[name] = number
        return number

    def type_name(self, number: int) -> str:
        """Return the resource type of `number`, which is in use."""
        name = self._type_names.get(number)
        if name is None:
            rows = self._connection.execute("SELECT name FROM type WHERE id = ?", (number,))
            name = self._type_names[number] = str(rows.fetchall()[0][0])
        return name

    def types(self) -> list[tuple[int, str]]:
        """Return number and name of every type that has or had a resource."""
        rows: list[Any] = self._connection.execute("SELECT id, name FROM type").fetchall()
        return sorted(rows)

    def parameter(self, resource_type: int, name: str, kind: str) -> int | None:
        """Return the number of a type's parameter, or None if no resource had an entry of it."""
        key = (resource_type, name, kind)
        number = self._parameters.get(key)
        if number is None:
            number = self._one(
                "SELECT id FROM parameter WHERE type = ? AND name = ? AND kind = ?", key
            )
            if number is not None:
                self._parameters[key] = number
        return number

    def parameter_of(self, number: int) -> tuple[int, str, str]:
        """Return the type, name and kind of the parameter of `number`, which is in use."""
        rows: list[Any] = self._connection.execute(
            "SELECT type, name, kind FROM parameter WHERE id = ?", (number,)
        ).fetchall()
        return rows[0][0], rows[0][1], rows[0][2]

    def spread(self, parameter: int) -> tuple[float, bool]:
        """Return the width that no interval of a parameter exceeds, and if any resource has many.

        Many: two intervals, or one code of two systems.
        """
        rows: list[Any] = self._connection.execute(
            "SELECT width, many FROM parameter WHERE id = ?", (parameter,)
        ).fetchall()
        return rows[0][0], bool(rows[0][1])

    def intervals(self, parameter: int) -> tuple[bool, bool]:
        """Return if any resource has a point under a parameter, and if any has another interval."""
        known = self._intervals.get(parameter, (False, False))
        if False in known:  # that there were some does no harm, that there are none may change
            row: Any = self._connection.execute(_HAVE, (parameter, parameter)).fetchone()
            known = self._intervals[parameter] = bool(row[0]), bool(row[1])
        return known

    def bounds(self, parameter: int, column: str, width: int) -> tuple[float, float] | None:
        """Return the least and the greatest `low` or `high` under a parameter, if it has any.

        Points are as wide as is said.
        """
        points, others = (
            self._extent(parameter, "point", "low"),
            self._extent(parameter, column, column),
        )
        if points and column == "high":
            points = points[0] + width, points[1] + width
        if not points or not others:
            return points or others
        return min(points[0], others[0]), max(points[1], others[1])

    def _extent(self, parameter: int, table: str, column: str) -> tuple[float, float] | None:
        ends = (f"SELECT {one}({column}) FROM by_{table} WHERE parameter = ?" for one in _ENDS)
        sql = f"SELECT ({'), ('.join(ends)})"
        row: Any = self._connection.execute(sql, (parameter, parameter)).fetchone()
        return None if row[0] is None else row

    def system(self, uri: str) -> int | None:
        """Return the number of a system, or None if no entry has it."""
        number = self.systems.get(uri)
        if number is None:
            number = self._one("SELECT id FROM system WHERE uri = ?", (uri,))
            if number is not None and len(uri) < _SHORT:
                if len(self.systems) > _KEPT:
                    self.systems = {"": 0}
                self.systems[uri] = number
        return number

    def make_type(self, name: str) -> int:
        """Return the number of a resource type, a new one if need be."""
        return self.type(name) or self._add("INSERT INTO type (name) VALUES (?)", (name,))

    def make_parameter(self, resource_type: int, name: str, kind: str) -> int:
        """Return the number of a type's parameter, a new one if need be."""
        return self.parameter(resource_type, name, kind) or self._add(
            "INSERT INTO parameter (type, name, kind) VALUES (?, ?, ?)", (resource_type, name, kind)
        )

    def widen(self, parameter: int, width: float, *, is_many: bool) -> None:
        """Record a parameter's spread."""
        self._connection.execute(
            "UPDATE parameter SET width = ?, many = ? WHERE id = ?", (width, is_many, parameter)
        )

    def make_system(self, uri: str) -> int:
        """Return the number of a system, a new one if need be; 0 is no system."""
        number = self.system(uri)
        if number is None:
            number = self._add("INSERT INTO system (uri) VALUES (?)", (uri,))
        return number

    def _one(self, sql: str, values: Sequence[int | str]) -> int | None:
        rows: list[Any] = self._connection.execute(sql, values).fetchall()
        return rows[0][0] if rows else None

    def _add(self, sql: str, values: Sequence[int | str]) -> int:
        self._connection.execute(sql, values)
        return self._connection.last_insert_rowid()
