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
repeat  = { frequency = 2, period = 1, periodUnit = "d" }   # of TimingRepeat
also    = [{ system = "http://snomed.info/sct", code = "229799001" }]   # further codings
```
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fhir_hub.hl7v2.datatypes.context import Coded, Table, table_key

_KEYS = {"closed", "source", "system", "default", "open", "shape", "map", "display", "row"} | {
    "standard",
    "english",
    "finer",
}
_ROW_KEYS = {"from", "code", "display", "system"}
_KINDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("map", "display", "finer"), (dict,)),
    **dict.fromkeys(("row", "standard"), (list,)),
    **dict.fromkeys(("closed", "english"), (bool,)),
    **dict.fromkeys(("source", "default"), (str,)),
    "open": (bool, list),
    "repeat": (dict,),
    "also": (list,),
}
_PROPERTIES = {"repeat", "also"}
_WORDS = {dict: "a table", list: "a list", bool: "true or false", str: "a text"}


def read_table(name: str, document: Mapping[str, Any]) -> Table:
    """Return the table that a file's content describes; raises `ValueError` naming the row."""
    if unknown := set(document) - _KEYS:
        raise ValueError(f"table {name}: unknown key {sorted(unknown)[0]!r}")
    if not document.get("source"):
        raise ValueError(f"table {name}: `source` is missing")
    _require_kinds(name, document)
    system = _text(name, "system", document.get("system", ""))
    display = document.get("display", {})
    rows: dict[str, Coded] = {}
    by_code: dict[str, Coded] = {}
    for source, code in document.get("map", {}).items():
        coded = Coded(_text(name, source, code), display.get(code, ""), system)
        _add(name, rows, source, coded)
        by_code.setdefault(coded.code, coded)
    for number, row in enumerate(document.get("row", []), start=1):
        sources, coded = _read_row(name, number, row, system)
        for source in sources:
            _add(f"{name}: row {number}", rows, source, coded)
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


def _read_row(name: str, number: int, row: Any, system: str) -> tuple[list[str], Coded]:
    """Return the source codes of a row, and what they mean."""
    sources = row.get("from") if isinstance(row, Mapping) else None
    sources = [sources] if isinstance(sources, str) else sources
    if not isinstance(sources, list) or not sources or not row.get("code"):
        raise ValueError(f"table {name}: row {number} needs `from` and `code`")
    told = [("from", one) for one in sources]
    told += [(key, row[key]) for key in ("code", "display", "system") if key in row]
    for key, text in told:
        _text(name, f"row {number} {key}", text)
    properties = {key: value for key, value in row.items() if key not in _ROW_KEYS}
    if unknown := set(properties) - _PROPERTIES:
        raise ValueError(f"table {name}: row {number}: unknown key {sorted(unknown)[0]!r}")
    _require_kinds(name, properties, f"row {number} ")
    coded = Coded(row["code"], row.get("display", ""), row.get("system", system), properties)
    return sources, coded


def _require_kinds(name: str, document: Mapping[str, Any], place: str = "") -> None:
    """Raise `ValueError` for a key whose value is of another kind, or has parts that are."""
    for key, value in document.items():
        kinds = _KINDS.get(key, (object,))
        if not isinstance(value, kinds):
            raise ValueError(f"table {name}: {place + key!r} must be {_WORDS[kinds[0]]}")
    for code, text in document.get("display", {}).items():
        _text(name, f"display {code}", text)
    for number, text in enumerate(document.get("standard", ()), start=1):
        _text(name, f"standard {number}", text)
    for code, codes in document.get("finer", {}).items():
        if not isinstance(codes, list):
            raise ValueError(f"table {name}: {f'finer {code}'!r} must be a list")
        for text in codes:
            _text(name, f"finer {code}", text)
    for coding in document.get("also", ()):
        if not isinstance(coding, dict):
            raise ValueError(f"table {name}: {place + 'also'!r} must be a list of tables")


def _spelled(document: Mapping[str, Any]) -> dict[str, str]:
    rows = (row["from"] for row in document.get("row", ()))
    listed = (one for row in rows for one in ([row] if isinstance(row, str) else row))
    return {table_key(one): one for one in (*document.get("map", {}), *listed)}


def _add(where: str, rows: dict[str, Coded], source: str, coded: Coded) -> None:
    key = table_key(source)
    if key in rows:
        raise ValueError(f"table {where}: source code {source!r} is there twice")
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


def joined(base: Table | None, more: Table) -> Table:
    """Return a table with what a sender's file says `more`: its rows come first.

    What they say of a code without its system, or its display, is as the table has it.
    """
    if base is None:
        return more
    known = {one.code: one for one in reversed([*base.rows.values()]) if one.system == base.system}
    rows = {key: _whole(row, base.system, known.get(row.code)) for key, row in more.rows.items()}
    # the sender's own codes first: a message to him has those of several that mean the same
    rows |= {key: row for key, row in base.rows.items() if key not in rows}
    default = more.default and _whole(more.default, base.system, known.get(more.default.code))
    return replace(
        base,
        rows=rows,
        default=default or base.default,
        spelled={**base.spelled, **more.spelled},
        is_open=base.is_open or more.is_open,
        standard=base.standard | more.standard,
        is_closed=base.is_closed or more.is_closed,
        others={**base.others, **more.others},
        shape=more.shape or base.shape,
        is_numbered=base.is_numbered or more.is_numbered,
        is_english=base.is_english or more.is_english,
        finer={**base.finer, **more.finer},
    )


def _whole(row: Coded, system: str, known: Coded | None) -> Coded:
    """Return a sender's row with the system and the display that the table has for its code."""
    if row.system:
        return row
    display = row.display or (known.display if known else "")
    return row._replace(system=system, display=display)
