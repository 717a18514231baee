"""A code system from a table: ICD-10 and its national versions, or any list with a code column.

The columns are named, or recognised by the names that such tables use, in English and Chinese.
Without a column for the code above, an ICD-10 code stands below the one that it extends: A00.0
and A00.000x001 below A00, A00 below a range such as A00-A09 that holds it.

Spec: https://hl7.org/fhir/R4/icd.html
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from fhir_hub.errors import InvalidResource
from fhir_hub.store.terminology.release_files import Advance, ReleaseFile, rows
from fhir_hub.store.terminology.writer import Writer

ICD_10 = "http://hl7.org/fhir/sid/icd-10"
_CODES = ("code", "icd-10", "icd10", "诊断编码", "疾病编码", "主要编码", "编码", "代码")
_NAMES = ("display", "name", "title", "description", "诊断名称", "疾病名称", "名称")
_PARENTS = ("parent", "parentcode", "parent_code", "上级编码", "父编码")
_RANGE = re.compile(r"([A-Z]\d\d)\s*-\s*([A-Z]\d\d)").fullmatch
_CATEGORY = re.compile(r"[A-Z]\d\d")


class Columns(NamedTuple):
    """The names of the columns; an empty one is recognised."""

    code: str = ""
    display: str = ""
    parent: str = ""


def facts_of(url: str, version: str, name: str, language: str) -> dict[str, Any]:
    """Return what the code system says of itself."""
    facts = {
        "resourceType": "CodeSystem",
        "url": url,
        "version": version,
        "name": name,
        "status": "active",
        "content": "complete",
        "caseSensitive": True,
        "hierarchyMeaning": "is-a",
        "language": language,
    }
    return {key: value for key, value in facts.items() if value != ""}


def write(files: Sequence[ReleaseFile], columns: Columns, writer: Writer, advance: Advance) -> None:
    """Write the rows of `files`. Raises `InvalidResource` if a column is missing."""
    parents: dict[str, str] = {}
    for file in files:
        for row in rows(file, advance):
            code_name = _column(row, columns.code, _CODES, file)
            display_name = _column(row, columns.display, _NAMES, file)
            parent_name = _column(row, columns.parent, _PARENTS, file, is_needed=False)
            code = row.get(code_name, "").strip()
            if not code:
                continue
            writer.concept(code, row.get(display_name, "").strip())
            parents[code] = row.get(parent_name, "").strip()
            for name, value in row.items():
                if name not in (code_name, display_name, parent_name) and value and name:
                    writer.property(code, name, value.strip())
    for child, parent in _links(parents):
        writer.link(child, parent)


def _column(
    row: dict[str, str],
    wanted: str,
    usual: Sequence[str],
    file: ReleaseFile,
    *,
    is_needed: bool = True,
) -> str:
    if wanted in row:
        return wanted
    if not wanted:
        lowered = {name.lower().strip(): name for name in row}
        for name in usual:
            if name in lowered:
                return lowered[name]
        if not is_needed:
            return ""
    there = ", ".join(name for name in row if name)
    asked = repr(wanted) if wanted else f"like {', '.join(usual[:3])}"
    raise InvalidResource(f"{file.name} has no column {asked}; it has: {there} / 缺少列")


def _links(parents: dict[str, str]) -> Iterator[tuple[str, str]]:
    ranges = [(one, match) for one in parents if (match := _RANGE(one))]
    for code, parent in parents.items():
        if not parent:
            parent = _above(code, parents) or _range_of(code, ranges)
        if parent:
            yield code, parent


def _above(code: str, known: dict[str, str]) -> str:
    """Return the longest known code that this one extends."""
    for end in range(len(code) - 1, 2, -1):
        shorter = code[:end].rstrip(".")
        if shorter != code and shorter in known and _CATEGORY.match(shorter):
            return shorter
    return ""


def _range_of(code: str, ranges: Sequence[tuple[str, re.Match[str]]]) -> str:
    """Return the narrowest range that holds a category or a smaller range."""
    inner = _RANGE(code)
    low, high = (inner[1], inner[2]) if inner else (code[:3], code[:3])
    holding = [
        (match[2], one)
        for one, match in ranges
        if one != code and match[1] <= low and high <= match[2]
    ]
    return min(holding)[1] if holding and _CATEGORY.match(code) else ""
