"""Compare the maps with HL7's own v2-to-FHIR tables, row by row.

The tables are the guide's CSV sheets, which are no part of this repository. A row of a segment's
table says that a field becomes an element of a resource; it is built where some map of that
resource, or of one that the row names in brackets, reads the field. What is rightly left out
stands with its reason in `table_rows_left_out.toml`; a reason for a row that is built, or that
the tables do not have, is told too.

A row of a message's table says that a segment, where it stands in the structure, makes or adds to
a resource, and which resources then refer to which. That is built where the map of the message
has an entry for the segment in that group and for that type, and a row that makes the reference.

    python tools/try_tables.py --tables ../shared/v2/ig-maps

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir/segment_maps.html
"""

import argparse
import csv
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fhir_hub.hl7v2.maps.mappings import Mappings, load_mappings
from fhir_hub.hl7v2.maps.programs import Entry, Program
from fhir_hub.hl7v2.parsing.structure import Group
from fhir_hub.hl7v2.rows.row import Row as MapRow
from fhir_hub.r4.definitions import load_definitions

ROOT = Path(__file__).parent.parent
LEFT_OUT = ROOT / "tools" / "table_rows_left_out.toml"
FIELD = re.compile(r"([A-Z][A-Z0-9]{2}-\d+)(?:\.\d+)*")
IDENTIFIER, ELEMENT = 1, 9
PLACE, TARGET, SEGMENT_MAP, REFERENCES = 1, 9, 10, 11
LABEL = re.compile(r"\[[^]]*\]")
REFERENCE = re.compile(r"([A-Z][A-Za-z]+)\.([A-Za-z.]+?)(?:\.(?:reference|id))?=([A-Z][A-Za-z]+)")
# What a call makes beside the resource whose row it is.
MADE = {
    "participation": "PractitionerRole",
    "visit_participant": "PractitionerRole",
    "participating_device": "Device",
}
# A whole field of one resource is another: the mother of PID-21.
ELSEWHERE = {"PID-21": "Patient"}
Reads = dict[str, set[str]]


class Row(NamedTuple):
    """One row of a segment's table: of which map (`PV1[Encounter]`), what field, what element."""

    table: str
    field: str
    element: str

    @property
    def key(self) -> str:
        """Return how a reason names the row: by its map and field."""
        return f"{self.table} {self.field}"

    @property
    def types(self) -> set[str]:
        """Return the types of which a map may read the field: the table's, those in brackets."""
        own = re.split(r"[-\]]", self.table.partition("[")[2])[0]
        return {own, *re.findall(r"\(\[?\d?\]?([A-Z][A-Za-z]+)", self.element)}


def rows_of(tables: Path) -> Iterator[Row]:
    """Return the rows of the segments' tables that name an element."""
    for sheet in sorted((tables / "segments").glob("*.csv")):
        table = sheet.name.partition("R4_ ")[2].rpartition(" - ")[0].strip()
        with sheet.open(encoding="utf-8-sig", newline="") as file:
            for cells in csv.reader(file):
                named = FIELD.match(cells[IDENTIFIER]) if len(cells) > ELEMENT else None
                if named and (element := cells[ELEMENT].strip()):
                    yield Row(table, named[1], element)


def fields_in(written: Any) -> Iterator[str]:
    """Return the fields that a `from`, `when` or `unless` names."""
    if isinstance(written, dict):
        written = [*written]
    for one in [written] if isinstance(written, str) else written or ():
        if named := FIELD.fullmatch(one):
            yield named[1]


def reads_of(mappings: Path) -> Reads:
    """Return, by field, the types of resources for which some map reads it."""
    reads: Reads = {}
    for file in mappings.rglob("*.toml"):
        document = tomllib.loads(file.read_text("utf-8"))
        entries = [document, *document.get("resource", ())]
        for entry in entries if file.parent.name != "senders" else ():
            kind = str(entry.get("type") or entry.get("to") or "").partition("[")[0]
            asked = [(kind, entry.get(name)) for name in ("when", "unless")]
            for row in entry.get("field", ()):
                asked += [(kind, row.get(name)) for name in ("from", "when", "unless")]
                asked += [(MADE.get(row.get("call"), kind), row.get("from"))]
            for made, one in asked:
                for name in fields_in(one):
                    reads.setdefault(name, set()).update({made, ELSEWHERE.get(name, made)})
    return reads


def problems(tables: Path, mappings: Path, left_out: dict[str, str]) -> list[str]:
    """Return what is neither built nor left out for a reason, and reasons for nothing."""
    reads, known, missing = reads_of(mappings), set(), {}
    for row in rows_of(tables):
        known.add(row.key)
        if not reads.get(row.field, set()) & row.types:
            missing.setdefault(row.key, row.element)
    return [
        *(f"{key} -> {element}" for key, element in missing.items() if key not in left_out),
        *(f"{key}: a reason for a row that the tables have not" for key in left_out.keys() - known),
        *(
            f"{key}: a reason for a row that is built"
            for key in (left_out.keys() & known) - {*missing}
        ),
    ]


class Told(NamedTuple):
    """One row of a message's table: where a segment stands, of what type it makes something.

    `references` are (type, element, type that it refers to).
    """

    message: str
    group: str
    segment: str
    made: str
    references: tuple[tuple[str, str, str], ...]


def rows_of_messages(tables: Path) -> Iterator[Told]:
    """Return the rows of the messages' tables that name a resource and a map of the segment."""
    for sheet in sorted((tables / "messages").glob("*.csv")):
        message = sheet.name.partition("R4_ ")[2].partition(" - ")[0].strip()
        with sheet.open(encoding="utf-8-sig", newline="") as file:
            for cells in csv.reader(file):
                if len(cells) <= REFERENCES or not cells[PLACE].startswith(message):
                    continue
                _, _, place = cells[PLACE].partition(".")
                group, _, segment = place.rpartition(".")
                types = re.findall(r"[A-Z][A-Za-z]+", LABEL.sub("", cells[TARGET]))
                if types and cells[SEGMENT_MAP].strip():
                    found = REFERENCE.findall(LABEL.sub("", cells[REFERENCES]))
                    yield Told(message, group, segment, types[-1], tuple(found))


def problems_of_messages(
    tables: Path, mappings: Mappings, left_out: dict[str, str]
) -> tuple[list[str], int]:
    """Return what message maps lack, and reasons for nothing; and how many rows there are."""
    missing: dict[str, str] = {}
    known: set[str] = set()
    number = 0
    for row in rows_of_messages(tables):
        number += 1
        event = row.message.replace("_", "^")
        program = mappings.program_of(mappings.structure_for(event) or row.message)
        checked = {f"{row.segment} {row.made}": _is_made(row, program)}
        for kind, element, other in row.references:
            key = f"{kind}.{element} -> {other}"
            checked[key] = _is_referred(kind, element, other, program)
        known.update(checked)
        for key, is_built in checked.items():
            if not is_built:
                missing.setdefault(key, f"{row.message} {row.group}".strip())
    return [
        *(f"{key} ({where})" for key, where in missing.items() if key not in left_out),
        *(f"{key}: a reason for a row that the tables have not" for key in left_out.keys() - known),
        *(
            f"{key}: a reason for a row that is built"
            for key in (left_out.keys() & known) - {*missing}
        ),
    ], number


def _is_made(row: Told, program: Program) -> bool:
    """Say whether the segment, where the table has it, makes or adds to that type."""
    stands = [path for path in ("", *program.groups.paths()) if _stands(row, path, program.groups)]
    named = [path for path in stands if f".{path}".endswith(f".{row.group}" if row.group else path)]
    entries = [
        one for path in named or stands for one in program.entries_in(row.segment, path).entries
    ]
    if not stands:  # the hub's tables of structures have no such place: it stays where it comes
        entries = [*program.entries.get(row.segment, ())]
    others = (one for found in program.entries.values() for one in found)
    return any(row.made in _makes(one) for one in entries) or any(
        one.resource_type == row.made and row.segment in _reads(one) for one in others
    )


def _stands(row: Told, path: str, groups: Group) -> bool:
    group = groups.find(path)
    return bool(group) and any(not one.group and one.name == row.segment for one in group.parts)


def _makes(entry: Entry) -> set[str]:
    return {entry.resource_type, *(MADE.get(one.call, "") for one in _rows(entry))}


def _reads(entry: Entry) -> set[str]:
    """Return the segments beside its own that an entry makes something of."""
    return {path.segment for one in _rows(entry) for path in one.sources} - {entry.segment}


def _rows(entry: Entry) -> list[MapRow]:
    return [one.row for one in (*entry.rows, *entry.late, *entry.last)]


def _is_referred(kind: str, element: str, other: str, program: Program) -> bool:
    """Say whether some entry of a type has a row that makes its element refer to the other."""
    entries = (one for found in program.entries.values() for one in found)
    rows = (row for one in entries if one.resource_type == kind for row in _rows(one))
    return any(
        LABEL.sub("", row.to).startswith(element)
        and (row.links.partition("[")[0] in ("*", other) or row.call or row.kind)
        for row in rows
    )


def main() -> int:
    """Print the difference; return 1 if there is any."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", type=Path, required=True, help="the folder of the tables")
    parser.add_argument("--mappings", type=Path, default=ROOT / "mappings")
    chosen = parser.parse_args()
    reasons = tomllib.loads(LEFT_OUT.read_text("utf-8"))
    left_out = reasons["segments"]
    found = problems(chosen.tables, chosen.mappings, left_out)
    more, number = problems_of_messages(
        chosen.tables, load_mappings(load_definitions(), [chosen.mappings]), reasons["messages"]
    )
    found += more
    rows = {row.key for row in rows_of(chosen.tables)}
    print(*found, sep="\n", end="\n" if found else "")
    print(
        f"{len(rows)} fields of tables, {number} rows of messages, "
        f"{len(left_out) + len(reasons['messages'])} left out for a reason, {len(found)} amiss"
    )
    return 1 if found or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
