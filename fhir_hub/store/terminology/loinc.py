"""LOINC from its tables: `Loinc.csv`, and what lies beside it of hierarchy, answers, languages.

A term is shown by its long common name. The hierarchy (`ComponentHierarchyBySystem.csv`) puts
terms below parts, answers are below their list by the property `LIST`, and a linguistic variant
(`zhCN5LinguisticVariant.csv`) gives names in its language.

Spec: https://hl7.org/fhir/R4/loinc.html
"""

import re
from collections.abc import Sequence

from fhir_hub.errors import InvalidResource
from fhir_hub.store.terminology.release_files import Advance, ReleaseFile, rows
from fhir_hub.store.terminology.writer import Writer

URL = "http://loinc.org"
FACTS = {
    "resourceType": "CodeSystem",
    "url": URL,
    "name": "LOINC",
    "title": "LOINC",
    "status": "active",
    "content": "complete",
    "caseSensitive": False,
    "hierarchyMeaning": "is-a",
    "valueSet": "http://loinc.org/vs",
    "language": "en",
}
_MAIN, _HIERARCHY, _ANSWERS = "loinc.csv", "componenthierarchybysystem.csv", "answerlist.csv"
_VARIANT = re.compile(r"([a-z]{2})([A-Z]{2})\d*LinguisticVariant\.csv").fullmatch
_VERSION = re.compile(r"(\d+\.\d+)")
# as properties of the term; CLASSTYPE and ORDER_OBS are codes, the rest texts
_PROPERTIES = (
    "COMPONENT",
    "PROPERTY",
    "TIME_ASPCT",
    "SYSTEM",
    "SCALE_TYP",
    "METHOD_TYP",
    "CLASS",
    "CLASSTYPE",
    "ORDER_OBS",
    "STATUS",
    "EXAMPLE_UCUM_UNITS",
)
_GONE = "DEPRECATED"


def is_loinc(file: ReleaseFile) -> bool:
    """Say whether a file is one that is read here."""
    name = file.name.lower()
    return name in (_MAIN, _HIERARCHY, _ANSWERS) or _VARIANT(file.name) is not None


def version_in(files: Sequence[ReleaseFile]) -> str:
    """Return the version in the files' names, empty if there is none."""
    found = [match[1] for file in files if (match := _VERSION.search(file.name))]
    return found[0] if found else ""


def write(files: Sequence[ReleaseFile], writer: Writer, advance: Advance) -> None:
    """Write the terms of `files`. Raises `InvalidResource` without `Loinc.csv`."""
    named = {file.name.lower(): file for file in files}
    if _MAIN not in named:
        raise InvalidResource("LOINC needs Loinc.csv / 缺少 Loinc.csv")
    _terms(named[_MAIN], writer, advance)
    if _HIERARCHY in named:
        _hierarchy(named[_HIERARCHY], writer, advance)
    if _ANSWERS in named:
        _answers(named[_ANSWERS], writer, advance)
    for file in files:
        if match := _VARIANT(file.name):
            _variant(file, f"{match[1]}-{match[2]}", writer, advance)


def _terms(file: ReleaseFile, writer: Writer, advance: Advance) -> None:
    for row in rows(file, advance, delimiter=","):
        code = row.get("LOINC_NUM", "")
        if not code:
            raise InvalidResource(f"{file.name}: no column LOINC_NUM, or a row without it")
        status = row.get("STATUS", "")
        long_name = row.get("LONG_COMMON_NAME") or row.get("SHORTNAME") or row.get("COMPONENT", "")
        writer.concept(code, long_name, status=status.lower(), is_inactive=status == _GONE)
        if short := row.get("SHORTNAME"):
            writer.designation(code, short, "en", "SHORTNAME")
        if consumer := row.get("CONSUMER_NAME") or row.get("DisplayName"):
            writer.designation(code, consumer, "en", "ConsumerName")
        for name in _PROPERTIES:
            if value := row.get(name):
                writer.property(code, name, value)


def _hierarchy(file: ReleaseFile, writer: Writer, advance: Advance) -> None:
    links = []
    for row in rows(file, advance, delimiter=","):
        code, parent = row.get("CODE", ""), row.get("IMMEDIATE_PARENT", "")
        if code and not writer.has(code):
            writer.concept(code, row.get("CODE_TEXT", ""), is_abstract=True)
        if code and parent:
            links.append((code, parent))
    for child, parent in links:
        writer.link(child, parent)


def _answers(file: ReleaseFile, writer: Writer, advance: Advance) -> None:
    for row in rows(file, advance, delimiter=","):
        answers, code = row.get("AnswerListId", ""), row.get("AnswerStringId", "")
        if answers and code:
            writer.concept(code, row.get("DisplayText", ""))
            writer.property(code, "LIST", answers, "valueCode")


def _variant(file: ReleaseFile, language: str, writer: Writer, advance: Advance) -> None:
    for row in rows(file, advance, delimiter=","):
        code = row.get("LOINC_NUM", "")
        name = row.get("LONG_COMMON_NAME") or row.get("LinguisticVariantDisplayName")
        # some variants translate the parts alone
        parts = [row.get(part, "") for part in ("COMPONENT", "SYSTEM", "SCALE_TYP", "METHOD_TYP")]
        name = name or ":".join(part for part in parts if part)
        if code and name:
            writer.designation(code, name, language)
        if code and (short := row.get("SHORTNAME")):
            writer.designation(code, short, language, "SHORTNAME")
