"""A code table from its file's content: `mappings/tables/<Name>.toml`, already read.

```toml
source  = "HL7 table 0001; DOMAIN 3.3"          # where the facts are from
system  = "http://hl7.org/fhir/administrative-gender"   # of codes; a row may say another
default = "unknown"                             # what any other source code means (optional)
open    = true                                  # a bare code not listed is of `system` (optional)
                                                # or a list: if it is one of these
shape   = "[A-Za-z]{2,3}"                       # and if it looks like this (optional)
english = true                                  # and if no Chinese name is beside it (optional)
closed  = true                                  # R4 allows no other code (optional)
standard = ["M", "F"]                           # what a strict sender may write (optional)
finer   = { H = ["HH"] }                        # codes that a name only describes (optional)

[map]                                           # source code = code
M = "male"                                      # `#` in a source code is any number (`TS#`)
"男" = "male"

[display]                                       # code = display (optional)
male = "Male"

[[row]]                                         # where one line is not enough
from    = ["BID", "2次/日"]
code    = "BID"
display = "two times a day"
system  = "http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation"
repeat  = { frequency = 2, period = 1, periodUnit = "d" }   # any other key: Coded.properties
```
"""

import re
from collections.abc import Mapping
from typing import Any

from fhir_hub.hl7v2.datatypes.context import Coded, Table, table_key

_KEYS = {"closed", "source", "system", "default", "open", "shape", "map", "display", "row"} | {
    "standard",
    "english",
    "finer",
}
_ROW_KEYS = {"from", "code", "display", "system"}


def read_table(name: str, document: Mapping[str, Any]) -> Table:
    """Return the table that a file's content describes; raises `ValueError` naming the row."""
    if unknown := set(document) - _KEYS:
        raise ValueError(f"table {name}: unknown key {sorted(unknown)[0]!r}")
    if not document.get("source"):
        raise ValueError(f"table {name}: `source` is missing")
    system = _text(name, "system", document.get("system", ""))
    display = document.get("display", {})
    rows: dict[str, Coded] = {}
    by_code: dict[str, Coded] = {}
    for source, code in document.get("map", {}).items():
        coded = Coded(_text(name, source, code), display.get(code, ""), system)
        _add(name, rows, source, coded)
        by_code.setdefault(coded.code, coded)
    for number, row in enumerate(document.get("row", []), start=1):
        sources = row.get("from") if isinstance(row, Mapping) else None
        sources = [sources] if isinstance(sources, str) else sources
        if not isinstance(sources, list) or not sources or not row.get("code"):
            raise ValueError(f"table {name}: row {number} needs `from` and `code`")
        told = [("from", one) for one in sources]
        told += [(key, row[key]) for key in ("code", "display", "system") if key in row]
        for key, text in told:
            _text(name, f"row {number} {key}", text)
        properties = {key: value for key, value in row.items() if key not in _ROW_KEYS}
        coded = Coded(row["code"], row.get("display", ""), row.get("system", system), properties)
        for source in sources:
            _add(name, rows, source, coded)
        by_code.setdefault(coded.code, coded)
    default = document.get("default")
    fallback = by_code.get(default, Coded(default, "", system)) if default else None
    standard = frozenset(map(table_key, document.get("standard", ())))
    opened = document.get("open")
    others = opened if isinstance(opened, list) else []
    for number, code in enumerate(others, start=1):
        _text(name, f"open {number}", code)
    return Table(
        name,
        system,
        rows,
        fallback,
        opened is True,
        _spelled(document),
        standard,
        document.get("closed") is True,
        {table_key(code): code for code in others},
        _pattern(name, _text(name, "shape", document.get("shape", ""))),
        any("#" in source for source in rows),
        document.get("english") is True,
        {code: frozenset(codes) for code, codes in document.get("finer", {}).items()},
    )


def _spelled(document: Mapping[str, Any]) -> dict[str, str]:
    rows = (row["from"] for row in document.get("row", ()))
    listed = (one for row in rows for one in ([row] if isinstance(row, str) else row))
    return {table_key(one): one for one in (*document.get("map", {}), *listed)}


def _add(name: str, rows: dict[str, Coded], source: str, coded: Coded) -> None:
    key = table_key(source)
    if key in rows:
        raise ValueError(f"table {name}: source code {source!r} is there twice")
    rows[key] = coded


def _pattern(name: str, shape: str) -> re.Pattern[str] | None:
    try:
        return re.compile(shape) if shape else None
    except re.error as error:
        raise ValueError(f"table {name}: `shape` is no regular expression: {error}") from None


def _text(name: str, key: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"table {name}: {key!r} must be a text")
    return value
