"""Compare the maps with HL7's own v2-to-FHIR tables, row by row.

The tables are the guide's CSV sheets, which are no part of this repository. A row of a segment's
table says that a field becomes an element of a resource; it is built where some map of that
resource, or of one that the row names in brackets, reads the field. What is rightly left out
stands with its reason in `table_rows_left_out.toml`; a reason for a row that is built, or that
the tables do not have, is told too.

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

ROOT = Path(__file__).parent.parent
LEFT_OUT = ROOT / "tools" / "table_rows_left_out.toml"
FIELD = re.compile(r"([A-Z][A-Z0-9]{2}-\d+)(?:\.\d+)*")
IDENTIFIER, ELEMENT = 1, 9
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


def main() -> int:
    """Print the difference; return 1 if there is any."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", type=Path, required=True, help="the folder of the tables")
    parser.add_argument("--mappings", type=Path, default=ROOT / "mappings")
    chosen = parser.parse_args()
    left_out = tomllib.loads(LEFT_OUT.read_text("utf-8"))["segments"]
    found = problems(chosen.tables, chosen.mappings, left_out)
    rows = {row.key for row in rows_of(chosen.tables)}
    print(*found, sep="\n", end="\n" if found else "")
    print(
        f"{len(rows)} fields of tables, {len(left_out)} left out for a reason, {len(found)} amiss"
    )
    return 1 if found or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
