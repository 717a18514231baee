"""Codes of tables that R4 allows nowhere, found when the maps are read and not by a message.

Where a row puts a table's code into an element of the type `code` whose value set R4 requires,
each code of the table must be in that set, whoever adds it: else every message that has it
would be refused.

Spec: https://hl7.org/fhir/R4/terminologies.html#required
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fhir_hub.hl7v2.datatypes.context import Table
from fhir_hub.hl7v2.rows.constants import require_elements
from fhir_hub.hl7v2.rows.elements import target
from fhir_hub.r4.definitions import Definitions

_SHOWN = 12


def wrong_codes(
    maps: Iterable[Mapping[str, Any]],
    tables: Mapping[str, Mapping[str, Table]],
    definitions: Definitions,
) -> Iterator[str]:
    """Yield what is wrong with the codes of `tables`: by file, those that it has, by name.

    `maps` are the documents of the segments' maps. What is wrong with their own rows is another's
    to say.
    """
    told: set[tuple[str, str]] = set()
    for document in maps:
        for row in document.get("field", ()):
            name = row.get("table", "")
            having = [
                (file, held[name])
                for file, held in tables.items()
                if name in held and (file, name) not in told
            ]
            if not having:
                continue
            try:
                goal = target(definitions, document["type"], row.get("to", ""))
            except ValueError:
                continue
            for file, table in having:
                if goal.codes and (wrong := _unknown(table, goal.codes)):
                    told.add((file, name))
                    listed = ", ".join(sorted(goal.codes)[:_SHOWN])
                    place = f"{document['type']}.{row['to']}"
                    yield f"{file}: table {name}: {wrong!r} is no code of {place}; write {listed}"


def wrong_properties(
    tables: Mapping[str, Mapping[str, Table]], definitions: Definitions
) -> Iterator[str]:
    """Yield what is wrong with the schedules and further codings of rows, by file as above."""
    for file, held in tables.items():
        for name, table in held.items():
            for source, row in table.rows.items():
                repeat = row.properties.get("repeat")
                try:
                    require_elements(definitions, "Timing", {"repeat": repeat} if repeat else {})
                    require_elements(definitions, "Coding", row.properties.get("also", []))
                except ValueError as error:
                    yield f"{file}: table {name}: {source!r}: {error}"


def _unknown(table: Table, codes: frozenset[str]) -> str:
    coded = (*table.rows.values(), *([table.default] if table.default else ()))
    return next((one.code for one in coded if one.code not in codes), "")
