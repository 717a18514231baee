"""Import a release: find out what it is, and write it to the file as one whole.

Spec: https://hl7.org/fhir/R4/terminologies-systems.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import apsw

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidResource
from fhir_hub.store.terminology import loinc, snomed, tables
from fhir_hub.store.terminology.release_files import Advance, ReleaseFile
from fhir_hub.store.terminology.writer import Entry, Writer, entries, write_resource

Format = Literal["auto", "loinc", "snomed", "icd10", "table", "fhir"]
_TYPES = ("CodeSystem", "ValueSet", "ConceptMap")
_UNKNOWN = "not known"
_ANY_COLUMNS = tables.Columns()


@dataclass(frozen=True, slots=True)
class Options:
    """What is said about a release. `url` and `name` are of a table; a version is of each."""

    format: Format = "auto"
    url: str = ""
    version: str = ""
    name: str = ""
    language: str = ""
    columns: tables.Columns = _ANY_COLUMNS


def format_of(files: Sequence[ReleaseFile]) -> Format:
    """Return what a release looks like. Raises `InvalidResource` if like nothing known."""
    if any(file.name.lower() == "loinc.csv" for file in files):
        return "loinc"
    if any(map(snomed.is_snomed, files)):
        return "snomed"
    if files and all(file.name.lower().endswith((".json", ".ndjson")) for file in files):
        return "fhir"
    if files and all(file.name.lower().endswith((".csv", ".tsv", ".txt")) for file in files):
        return "icd10"
    raise InvalidResource(
        "this is no release of LOINC or SNOMED CT, no table and no JSON: say --format"
        " / 无法识别格式,请用 --format 指定"
    )


def read_files(files: Sequence[ReleaseFile], format_: Format) -> list[ReleaseFile]:
    """Return those of the files that are read for this format."""
    if format_ == "loinc":
        return [file for file in files if loinc.is_loinc(file)]
    if format_ == "snomed":
        return [file for file in files if snomed.is_snomed(file)]
    return list(files)


def import_release(
    connection: apsw.Connection,
    files: Sequence[ReleaseFile],
    options: Options,
    moment: str,
    advance: Advance,
) -> tuple[list[Entry], int]:
    """Write a release; return what is there now of it, and how many links led nowhere.

    All of it is written or nothing. Raises `InvalidResource` for what cannot be read.
    """
    if options.format == "fhir":
        return _resources(connection, files, moment, advance), 0
    facts = _facts(files, options)
    with Writer(connection, facts, moment) as writer:
        if options.format == "loinc":
            loinc.write(files, writer, advance)
        elif options.format == "snomed":
            snomed.write(files, writer, advance)
        else:
            tables.write(files, options.columns, writer, advance)
    written = [
        one
        for one in entries(connection)
        if one.url == facts["url"] and one.version == facts.get("version", "")
    ]
    return written, writer.left_out


def _facts(files: Sequence[ReleaseFile], options: Options) -> dict[str, Any]:
    if options.format in ("loinc", "snomed"):
        module = loinc if options.format == "loinc" else snomed
        version = options.version or module.version_in(files)
        return {**module.FACTS, **({"version": version} if version else {})}
    url = options.url or (tables.ICD_10 if options.format == "icd10" else "")
    if not url:
        raise InvalidResource("a table needs the address of its code system: --url / 请指定 --url")
    name = options.name or ("ICD_10" if options.format == "icd10" else url.rpartition("/")[2])
    return tables.facts_of(url, options.version, name, options.language)


def _resources(
    connection: apsw.Connection, files: Sequence[ReleaseFile], moment: str, advance: Advance
) -> list[Entry]:
    written: list[Entry] = []
    for file in files:
        with file.open() as raw:
            content = raw.read()
        advance(len(content))
        resource = fhirjson.loads(content)
        kind = resource.get("resourceType") if isinstance(resource, dict) else _UNKNOWN
        if kind not in _TYPES or not isinstance(resource.get("url"), str):
            raise InvalidResource(f"{file.name} is no {', '.join(_TYPES)} with a url")
        concepts = write_resource(connection, resource, moment)
        version = str(resource.get("version", ""))
        written.append(Entry(str(kind), resource["url"], version, concepts, moment))
    return written
