"""SNOMED CT from the snapshot of an RF2 release: concepts, descriptions, relationships.

The hierarchy is the active relationships of type "is a"; the others are properties, by the
concept of their type. A concept is shown by the term that a language reference set prefers,
else by its fully specified name.

Spec: https://hl7.org/fhir/R4/snomedct.html and https://confluence.ihtsdotools.org/display/DOCRELFMT
"""

import re
from collections.abc import Sequence
from typing import Any

from fhir_hub.errors import InvalidResource
from fhir_hub.store.terminology.release_files import Advance, ReleaseFile, rows
from fhir_hub.store.terminology.writer import Writer

URL = "http://snomed.info/sct"
INTERNATIONAL = "900000000000207008"
_IS_A = "116680003"
_FULLY_SPECIFIED, _PREFERRED = "900000000000003001", "900000000000548007"
_PRIMITIVE = "900000000000074008"
FACTS: dict[str, Any] = {
    "resourceType": "CodeSystem",
    "url": URL,
    "name": "SNOMED_CT",
    "title": "SNOMED CT",
    "status": "active",
    "content": "complete",
    "caseSensitive": True,
    "hierarchyMeaning": "is-a",
    "valueSet": f"{URL}?fhir_vs",
    "language": "en",
}
_KINDS = {
    "concept": re.compile(r"x?sct2_Concept_Snapshot.*\.txt"),
    "description": re.compile(r"x?sct2_Description_Snapshot.*\.txt"),
    "relationship": re.compile(r"x?sct2_Relationship_Snapshot.*\.txt"),
    "language": re.compile(r"x?der2_cRefset_Language.*Snapshot.*\.txt"),
}
_DATE = re.compile(r"_(\d{8})(?:T\d+Z?)?\.txt$")


def is_snomed(file: ReleaseFile) -> bool:
    """Say whether a file is one that is read here."""
    return _kind(file) != ""


def _kind(file: ReleaseFile) -> str:
    return next((kind for kind, form in _KINDS.items() if form.fullmatch(file.name)), "")


def version_in(files: Sequence[ReleaseFile]) -> str:
    """Return the version of the international edition of the date in the files' names."""
    dates = sorted(match[1] for file in files if (match := _DATE.search(file.name)))
    return f"{URL}/{INTERNATIONAL}/version/{dates[-1]}" if dates else ""


def write(files: Sequence[ReleaseFile], writer: Writer, advance: Advance) -> None:
    """Write the concepts of `files`. Raises `InvalidResource` if a table is missing."""
    named: dict[str, list[ReleaseFile]] = {}
    for file in files:
        named.setdefault(_kind(file), []).append(file)
    for kind in ("concept", "description", "relationship"):
        if kind not in named:
            raise InvalidResource(f"SNOMED CT needs the snapshot of every {kind} / 缺少快照文件")
    for file in named["concept"]:
        _concepts(file, writer, advance)
    preferred = {
        row["referencedComponentId"]
        for file in named.get("language", ())
        for row in _active(file, advance)
        if row.get("acceptabilityId") == _PREFERRED
    }
    for file in named["description"]:
        _descriptions(file, preferred, writer, advance)
    for file in named["relationship"]:
        _relationships(file, writer, advance)


def _concepts(file: ReleaseFile, writer: Writer, advance: Advance) -> None:
    for row in rows(file, advance, delimiter="\t", is_quoted=False):
        code, is_active = row.get("id", ""), row.get("active") == "1"
        if not code:
            raise InvalidResource(f"{file.name}: no column id, or a row without it")
        writer.concept(code, is_inactive=not is_active)
        writer.property(code, "effectiveTime", row.get("effectiveTime", ""))
        writer.property(code, "moduleId", row.get("moduleId", ""), "valueCode")
        is_defined = row.get("definitionStatusId") != _PRIMITIVE
        writer.property(code, "sufficientlyDefined", str(is_defined).lower(), "valueBoolean")


def _descriptions(file: ReleaseFile, preferred: set[str], writer: Writer, advance: Advance) -> None:
    for row in _active(file, advance):
        code, term = row.get("conceptId", ""), row.get("term", "")
        language, is_full = row.get("languageCode", ""), row.get("typeId") == _FULLY_SPECIFIED
        is_preferred = row.get("id") in preferred and not is_full
        # the display is English where there is any, so that it means the same everywhere
        rank = (0 if is_preferred else 1 if is_full else 2) + (0 if language == "en" else 10)
        writer.display(code, term, rank)
        writer.designation(code, term, language, row.get("typeId", ""))


def _relationships(file: ReleaseFile, writer: Writer, advance: Advance) -> None:
    for row in _active(file, advance):
        source, target = row.get("sourceId", ""), row.get("destinationId", "")
        if row.get("typeId") == _IS_A:
            writer.link(source, target)
        else:
            writer.property(source, row.get("typeId", ""), target, "valueCode")


def _active(file: ReleaseFile, advance: Advance) -> Any:
    for row in rows(file, advance, delimiter="\t", is_quoted=False):
        if row.get("active") == "1":
            yield row
