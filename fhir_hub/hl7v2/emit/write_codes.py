"""CodeableConcept, Coding and code as CWE, CE, IS and ID, alone or back through a table.

A table is inverted by its order: of several source codes that mean the same, the receiver's own
(its overlay's) come first, then the one that the table's file lists first.

Spec: HL7v2 chapter 2A, CWE; table 0396
"""

import re
from typing import Any
from urllib.parse import unquote

from fhir_hub.hl7v2.datatypes import coding_systems
from fhir_hub.hl7v2.datatypes.context import Coded, Table, table_key
from fhir_hub.hl7v2.emit.outbound import Outbound
from fhir_hub.hl7v2.emit.written import Written
from fhir_hub.identity.systems import BASE, namespace

_V2_TABLE = re.compile(re.escape(coding_systems.V2) + r"(\d{4})")
_TRIPLES = (0, 3, 9)  # where each coding begins in a CWE
_VERSIONS = (6, 7, 12)  # and where its system's version stands
_TEXT_AT = 8
Json = dict[str, Any]


def name_of(system: str, facility: str) -> str:
    """Return what CWE.3 calls a system: `LN`, `HL70203`, `L` for `facility`'s own, else a URL.

    >>> name_of("http://loinc.org", ""), name_of("https://fhir-hub.example/CodeSystem/A/local", "A")
    ('LN', 'L')
    """
    if not system:
        return ""
    if known := coding_systems.NAMES.get(system):
        return known
    if match := _V2_TABLE.fullmatch(system):
        return f"HL7{match[1]}"
    if system == coding_systems.local(facility):
        return "L"
    name = system.removeprefix(f"{BASE}/CodeSystem/")
    if name != system and "/" not in name and unquote(name) == unquote(name).upper():
        return unquote(name)
    return system


def _triple(coding: Json, out: Outbound) -> list[str]:
    code, display = str(coding.get("code", "")), str(coding.get("display", ""))
    return [code, display, name_of(str(coding.get("system", "")), out.facility)]


def _told(codings: list[Json]) -> list[Json]:
    """Return the codings that must be told: not the WHO's code that a reader derives anew."""
    derived = {
        coding_systems.who_icd_10(str(one.get("code", "")))
        for one in codings
        if one.get("system") == coding_systems.ICD_10_CN
    }
    return [
        one
        for one in codings
        if not (one.get("system") == coding_systems.ICD_10 and one.get("code") in derived)
    ]


def _laid(triples: list[list[str]], text: str) -> Written | None:
    """Return a CWE of up to three codings; what the text adds is CWE.9, or the first's text."""
    written: Written = [""] * 12
    for start, triple in zip(_TRIPLES, triples, strict=False):
        written[start : start + 3] = triple
    said = {one for triple in triples[:1] for one in triple[:2]}
    if text and text not in said:
        # a reader takes the first text there is: an empty one is the place for it
        written[1 if not written[1] else _TEXT_AT] = text
    return written if any(written) else None


def concept(value: Any, out: Outbound) -> Written | None:
    """Return CWE of a CodeableConcept."""
    codings = _told(value.get("coding", []))
    if len(codings) > len(_TRIPLES):
        out.issue("a CWE has three codings; further ones were left out")
    written = _laid([_triple(one, out) for one in codings], value.get("text", ""))
    return _versioned(written, codings) if written else None


def _versioned(written: Written, codings: list[Json]) -> Written:
    """Return a CWE with the version of the system of each coding."""
    for at, one in zip(_VERSIONS, codings, strict=False):
        if version := str(one.get("version", "")):
            written += [""] * (at + 1 - len(written))
            written[at] = version
    return written


def coding(value: Any, out: Outbound) -> Written | None:
    """Return CWE of a Coding."""
    written = _laid([_triple(value, out)], "")
    return _versioned(written, [value]) if written else None


def code(value: Any, out: Outbound) -> Written | None:
    """Return a code as it stands."""
    return [str(value)] if value else None


def message_type(value: Any, out: Outbound) -> Written | None:
    """Return MSG of a text such as `ORU^R01^ORU_R01`."""
    return list(str(value).split("^")) if value else None


def sources_of(table: Table, code: str, system: str = "", name: str = "") -> list[str]:
    """Return the source codes that a table reads as `code` of that name, the preferred one first.

    >>> from fhir_hub.hl7v2.datatypes.code_tables import read_table
    >>> sex = read_table("Sex", {"source": "0001", "map": {"M": "male", "男": "male"}})
    >>> sources_of(sex, "male")
    ['M', '男']
    """
    found = [
        table.spelled.get(key, key)
        for key, coded in table.rows.items()
        if coded.code == code and (not system or not coded.system or coded.system == system)
    ]
    is_bare = bool(table.taken(code, name)) and (not system or system == table.system)
    return [*found, code] if is_bare and table_key(code) not in table.rows else found


def table_sources(value: Any, table: Table) -> list[str]:
    """Return the source codes for a code, Coding or CodeableConcept, the preferred one first."""
    if isinstance(value, str):
        return sources_of(table, value)
    codings = value.get("coding", [value]) if isinstance(value, dict) else []
    name = value.get("text", "") if isinstance(value, dict) else ""
    found = (
        sources_of(table, one.get("code", ""), one.get("system", ""), name)
        for one in codings
        if one.get("code")
    )
    return next(filter(None, found), [])


def table_written(
    value: Any, table: Table, kind: str, source: str, out: Outbound
) -> Written | None:
    """Return the value by a table's source code; what the table does not know as it stands.

    Of a CodeableConcept the codings that the table's row implies are not told again.
    """
    if kind == "code" or isinstance(value, str):
        return [source] if source else None
    codings = value.get("coding", [value])
    if not source:
        return concept(value, out) if kind != "Coding" else coding(value, out)
    # of an open table a code that it does not list stands for itself
    row = table.get(source) or Coded(source, "", table.system)
    implied = {(row.system, row.code)}
    implied |= {(one.get("system"), one.get("code")) for one in row.properties.get("also", ())}
    text = value.get("text", "") or row.display
    triples = [[source, text, ""]]
    triples += [
        _triple(one, out) for one in codings if (one.get("system"), one.get("code")) not in implied
    ]
    return _laid(triples, "")


def authority_of(system: str) -> tuple[str, str]:
    """Return authority and kind of one of our systems (`…/sid/SHTH01/patient-id`), else empty.

    >>> authority_of("https://fhir-hub.example/sid/SHTH01/patient-id")
    ('SHTH01', 'patient-id')
    """
    rest = system.removeprefix(f"{BASE}/sid/")
    if rest == system or not rest:
        return "", ""
    authority, _, kind = rest.partition("/")
    named = unquote(authority)
    return ("" if named == namespace("") else named), unquote(kind)
