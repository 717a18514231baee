"""Imported code systems as the engine asks them: each question one statement by index.

Nothing is held in memory but the connection. Whether one code is below another is found by
walking up from it: a concept of SNOMED CT has some forty ancestors, and half a million
descendants.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw

from fhir_hub import fhirjson
from fhir_hub.r4.terminology.canonical import Canonical
from fhir_hub.r4.terminology.concepts import CodeSystem, Concept, Facts, Header, words_of
from fhir_hub.r4.terminology.listed import header_of
from fhir_hub.store.terminology.database import match_of, open_to_read

_UP = """
WITH RECURSIVE up (id) AS (
  SELECT parent FROM link WHERE child = ?1
  UNION SELECT link.parent FROM up CROSS JOIN link WHERE link.child = up.id
)
"""
_DOWN = """
WITH RECURSIVE down (id) AS (
  SELECT child FROM link WHERE parent = ?1
  UNION SELECT link.child FROM down CROSS JOIN link WHERE link.parent = down.id
)
"""


class ImportedSystem:
    """One version of an imported code system."""

    def __init__(self, connection: apsw.Connection, number: int, header: Header, size: int) -> None:
        self.header = header
        self._connection, self._number, self._size = connection, number, size

    def find(self, code: str) -> Concept | None:
        """Return the concept of a code."""
        rows = self._rows(
            "SELECT id, code, display, definition, status, inactive, abstract FROM concept"
            " WHERE system = ? AND code = ?",
            (self._number, code),
        )
        if not rows:
            return None
        number, code, display, definition, status, is_inactive, is_abstract = rows[0]
        return Concept(
            code,
            display,
            definition,
            tuple(self._designations(number)),
            tuple(self._properties(number)),
            (),
            status,
            bool(is_inactive),
            bool(is_abstract),
        )

    def _designations(self, number: int) -> Iterator[Facts]:
        rows = self._rows(
            "SELECT language, used, value FROM designation WHERE concept = ?", (number,)
        )
        for language, used, value in rows:
            row: dict[str, Any] = {"language": language} if language else {}
            if used:
                row["use"] = {"code": used}
            yield row | {"value": value}

    def _properties(self, number: int) -> Iterator[Facts]:
        for name, value, kind in self._rows(
            "SELECT name, value, kind FROM property WHERE concept = ?", (number,)
        ):
            yield {"code": name, kind: value == "true" if kind == "valueBoolean" else value}

    def codes(self) -> Iterator[str]:
        """Yield all codes, in the order of the import."""
        return self._codes("SELECT code FROM concept WHERE system = ? ORDER BY id", self._number)

    def size(self) -> int:
        """Return how many codes there are."""
        return self._size

    def parents(self, code: str) -> Sequence[str]:
        """Return the codes directly above."""
        return self._linked("parent", "child", code)

    def children(self, code: str) -> Sequence[str]:
        """Return the codes directly below."""
        return self._linked("child", "parent", code)

    def is_below(self, code: str, ancestor: str) -> bool:
        """Say whether `ancestor` is somewhere above `code`."""
        low, high = self._id(code), self._id(ancestor)
        if low is None or high is None:
            return False
        return bool(self._rows(f"{_UP} SELECT 1 FROM up WHERE id = ?2 LIMIT 1", (low, high)))

    def below(self, code: str) -> Iterator[str]:
        """Yield the codes below."""
        sql = f"{_DOWN} SELECT code FROM down CROSS JOIN concept ON concept.id = down.id"
        return self._codes(sql, self._id(code))

    def above(self, code: str) -> Iterator[str]:
        """Yield the codes above."""
        sql = f"{_UP} SELECT code FROM up CROSS JOIN concept ON concept.id = up.id"
        return self._codes(sql, self._id(code))

    def with_property(self, name: str, value: str) -> Iterator[str]:
        """Yield the codes that have this value of a property."""
        return self._codes(
            "SELECT DISTINCT code FROM property CROSS JOIN concept ON concept.id = property.concept"
            " WHERE name = ? AND value = ? AND system = ?",
            name,
            value,
            self._number,
        )

    def with_text(self, text: str) -> Iterator[str]:
        """Yield the codes with all words of `text` at the start of a word of their names."""
        match = match_of(words_of(text))
        if not match:
            return iter(())
        return self._codes(
            "SELECT code FROM name CROSS JOIN concept ON concept.id = name.rowid"
            " WHERE name MATCH ? AND system = ? ORDER BY length(display), concept.id",
            match,
            self._number,
        )

    def _id(self, code: str) -> int | None:
        sql = "SELECT id FROM concept WHERE system = ? AND code = ?"
        rows = self._rows(sql, (self._number, code))
        return rows[0][0] if rows else None

    def _linked(self, wanted: str, given: str, code: str) -> list[str]:
        sql = f"SELECT code FROM link CROSS JOIN concept ON concept.id = link.{wanted}"
        return list(self._codes(f"{sql} WHERE link.{given} = ?", self._id(code)))

    def _codes(self, sql: str, *values: str | int | None) -> Iterator[str]:
        return (row[0] for row in self._connection.execute(sql, values))

    def _rows(self, sql: str, values: tuple[str | int, ...]) -> list[Any]:
        return self._connection.execute(sql, values).fetchall()


class ImportedSource:
    """The source of what is in the file at `path`, which may come to be while the hub runs."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._connection: apsw.Connection | None = None
        self._stamp: object = None
        self._systems: dict[str, list[CodeSystem]] = {}

    def stamp(self) -> object:
        """Return what changes whenever the content of the file does."""
        if self._connection is None and self._path is not None:
            self._connection = open_to_read(self._path)
        if self._connection is None:
            return None
        stamp = self._connection.pragma("data_version")
        if stamp != self._stamp:
            self._stamp, self._systems = stamp, {}
            for row in self._connection.execute("SELECT id, facts, concepts FROM system"):
                number, facts, size = row
                header = header_of(fhirjson.loads(str(facts).encode()))
                system = ImportedSystem(self._connection, int(str(number)), header, int(str(size)))
                self._systems.setdefault(header.url, []).append(system)
        return stamp

    def code_systems(self, url: str) -> Sequence[CodeSystem]:
        """Return every version of a code system."""
        self.stamp()
        return self._systems.get(url, ())

    def supplements(self) -> Iterable[Facts]:
        """Return none: a supplement is imported as a system of its own."""
        return ()

    def value_sets(self, url: str) -> Sequence[Facts]:
        """Return every version of a value set."""
        return self._resources("ValueSet", url)

    def concept_maps(self) -> Iterable[Facts]:
        """Return all concept maps."""
        return self._resources("ConceptMap", "")

    def of_all(self, value_set: str) -> Canonical | None:
        """Return the code system whose `valueSet` this is."""
        self.stamp()
        for systems in self._systems.values():
            for one in systems:
                if one.header.facts.get("valueSet") == value_set:
                    return Canonical(one.header.url, one.header.version)
        return None

    def systems(self) -> Iterable[Canonical]:
        """Return the code systems."""
        self.stamp()
        return [
            Canonical(one.header.url, one.header.version)
            for systems in self._systems.values()
            for one in systems
        ]

    def _resources(self, kind: str, url: str) -> list[Facts]:
        self.stamp()
        if self._connection is None:
            return []
        sql = "SELECT content FROM resource WHERE kind = ? AND (url = ? OR ? = '')"
        rows: list[Any] = self._connection.execute(sql, (kind, url, url)).fetchall()
        return [fhirjson.loads(content) for (content,) in rows]
