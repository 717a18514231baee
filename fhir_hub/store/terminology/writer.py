"""Write a code system to the file of imported terminology, or take one away.

`Writer` takes concepts, names, properties and links in any order as they stand in the files of
a release; a link or name of a code that was not there is left out and counted.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self

import apsw

from fhir_hub import fhirjson
from fhir_hub.r4.terminology.concepts import as_text, value_of
from fhir_hub.r4.terminology.listed import concept_of, header_of, rows_of

_BATCH = 5000


class Entry(NamedTuple):
    """What is in the file: a code system with the number of its concepts, or another resource."""

    kind: str
    url: str
    version: str
    concepts: int
    imported: str


class Writer:
    """Writes one version of a code system; `with` makes it atomic, replacing what was there."""

    def __init__(self, connection: apsw.Connection, facts: Mapping[str, Any], moment: str) -> None:
        self._connection, self._facts, self._moment = connection, facts, moment
        self._ids: dict[str, int] = {}
        self._displays: dict[int, tuple[int, str]] = {}
        self._pending: dict[str, list[tuple[Any, ...]]] = {}
        self.left_out = 0
        self._system = 0

    def __enter__(self) -> Self:
        """Begin."""
        self._connection.execute("BEGIN IMMEDIATE")
        url, version = str(self._facts["url"]), str(self._facts.get("version", ""))
        _remove_system(self._connection, url, version)
        self._connection.execute(
            "INSERT INTO system (url, version, facts, concepts, imported) VALUES (?, ?, ?, 0, ?)",
            (url, version, fhirjson.dumps(dict(self._facts)).decode(), self._moment),
        )
        self._system = self._connection.last_insert_rowid()
        row = self._connection.execute("SELECT coalesce(max(id), 0) FROM concept").fetchall()[0]
        self._next = int(str(row[0])) + 1
        return self

    def __exit__(self, kind: type[BaseException] | None, *others: object) -> None:
        """Commit all of it, or nothing."""
        if kind is not None:
            self._connection.execute("ROLLBACK")
            return
        self._finish()
        self._connection.execute("COMMIT")

    def concept(
        self,
        code: str,
        display: str = "",
        *,
        definition: str = "",
        status: str = "",
        is_inactive: bool = False,
        is_abstract: bool = False,
    ) -> None:
        """Add a concept; the first of a code counts."""
        if code in self._ids:
            return
        number = self._ids[code] = self._next
        self._next += 1
        row = (number, self._system, code, display, definition, status, is_inactive, is_abstract)
        self._put("INSERT INTO concept VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def display(self, code: str, text: str, rank: int) -> None:
        """Offer a display; of several the one of the lowest rank is taken."""
        number = self._ids.get(code)
        if number is not None and rank < self._displays.get(number, (rank + 1, ""))[0]:
            self._displays[number] = (rank, text)

    def designation(self, code: str, value: str, language: str = "", used: str = "") -> None:
        """Add a name of a concept."""
        self._of(code, "INSERT INTO designation VALUES (?, ?, ?, ?)", (language, used, value))

    def property(self, code: str, name: str, value: str, kind: str = "valueString") -> None:
        """Add a property of a concept."""
        self._of(code, "INSERT INTO property VALUES (?, ?, ?, ?)", (name, value, kind))

    def link(self, child: str, parent: str) -> None:
        """Say that `parent` is above `child`."""
        low, high = self._ids.get(child), self._ids.get(parent)
        if low is None or high is None or low == high:
            self.left_out += 1
        else:
            self._put("INSERT OR IGNORE INTO link VALUES (?, ?)", (low, high))

    def has(self, code: str) -> bool:
        """Say whether a concept was added."""
        return code in self._ids

    def _of(self, code: str, sql: str, values: tuple[str, ...]) -> None:
        number = self._ids.get(code)
        if number is None:
            self.left_out += 1
        else:
            self._put(sql, (number, *values))

    def _put(self, sql: str, row: tuple[Any, ...]) -> None:
        rows = self._pending.setdefault(sql, [])
        rows.append(row)
        if len(rows) >= _BATCH:
            self._connection.executemany(sql, rows)
            rows.clear()

    def _finish(self) -> None:
        for sql, rows in self._pending.items():
            self._connection.executemany(sql, rows)
        self._connection.executemany(
            "UPDATE concept SET display = ? WHERE id = ?",
            [(text, number) for number, (_, text) in self._displays.items()],
        )
        self._connection.execute(
            "INSERT INTO name (rowid, words) SELECT id, spaced(code || ' ' || display || ' ' ||"
            " coalesce((SELECT group_concat(value, ' ') FROM designation WHERE concept = id), ''))"
            " FROM concept WHERE system = ?",
            (self._system,),
        )
        self._connection.execute(
            "UPDATE system SET concepts = ? WHERE id = ?", (len(self._ids), self._system)
        )


def write_resource(connection: apsw.Connection, resource: Mapping[str, Any], moment: str) -> int:
    """Write a CodeSystem, ValueSet or ConceptMap; return how many concepts were written."""
    if resource["resourceType"] == "CodeSystem":
        return _write_system(connection, resource, moment)
    url, version = str(resource["url"]), str(resource.get("version", ""))
    row = (resource["resourceType"], url, version, fhirjson.dumps(dict(resource)), moment)
    connection.execute("INSERT OR REPLACE INTO resource VALUES (?, ?, ?, ?, ?)", row)
    return 0


def _write_system(connection: apsw.Connection, resource: Mapping[str, Any], moment: str) -> int:
    header, number, links = header_of(resource), 0, []
    with Writer(connection, header.facts, moment) as writer:
        for row, parent in rows_of(resource.get("concept")):
            concept = concept_of(row, header)
            number += 1
            writer.concept(
                concept.code,
                concept.display,
                definition=concept.definition,
                status=concept.status,
                is_inactive=concept.is_inactive,
                is_abstract=concept.is_abstract,
            )
            links += [(concept.code, parent)] if parent else []
            for name in ("parent", "subsumedBy"):
                links += [(concept.code, str(value)) for value in concept.values(name)]
            links += [(str(value), concept.code) for value in concept.values("child")]
            for one in concept.designations:
                used = one.get("use", {}).get("code", "")
                writer.designation(
                    concept.code, str(one.get("value", "")), str(one.get("language", "")), used
                )
            for one in concept.properties:
                kind = next(key for key in (*one, "valueString") if key.startswith("value"))
                text = as_text(value_of(one))
                writer.property(concept.code, str(one.get("code", "")), text, kind)
        for child, above in links:
            writer.link(child, above)
    return number


def remove(connection: apsw.Connection, url: str, version: str | None) -> int:
    """Take away what has this address, of one version or (None) of all; return how much it was."""
    found = [
        one
        for one in entries(connection)
        if one.url == url and (version is None or one.version == version)
    ]
    connection.execute("BEGIN IMMEDIATE")
    for one in found:
        if one.kind == "CodeSystem":
            _remove_system(connection, one.url, one.version)
        else:
            connection.execute(
                "DELETE FROM resource WHERE kind = ? AND url = ? AND version = ?",
                (one.kind, one.url, one.version),
            )
    connection.execute("COMMIT")
    return len(found)


def entries(connection: apsw.Connection) -> list[Entry]:
    """Return what is in the file, by address and version."""
    systems: Iterable[Any] = connection.execute(
        "SELECT 'CodeSystem', url, version, concepts, imported FROM system"
        " UNION ALL SELECT kind, url, version, 0, imported FROM resource ORDER BY 2, 3"
    )
    return [Entry(*row) for row in systems]


def _remove_system(connection: apsw.Connection, url: str, version: str) -> None:
    rows: list[Any] = connection.execute(
        "SELECT id FROM system WHERE url = ? AND version = ?", (url, version)
    ).fetchall()
    for (number,) in rows:
        own = "(SELECT id FROM concept WHERE system = ?)"
        for sql in (
            f"DELETE FROM name WHERE rowid IN {own}",
            f"DELETE FROM designation WHERE concept IN {own}",
            f"DELETE FROM property WHERE concept IN {own}",
            f"DELETE FROM link WHERE child IN {own}",
            "DELETE FROM concept WHERE system = ?",
            "DELETE FROM system WHERE id = ?",
        ):
            connection.execute(sql, (number,))
