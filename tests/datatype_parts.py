"""What the tests of datatypes share: the code tables, a context that keeps issues, R4's checks."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from parts import checks

from fhir_hub.hl7v2.datatypes.code_tables import read_table
from fhir_hub.hl7v2.datatypes.context import Context, Table
from fhir_hub.hl7v2.datatypes.table import CODED, DATATYPES
from fhir_hub.hl7v2.parsing.er7 import Encoding, Value

TABLES = Path(__file__).parents[1] / "mappings" / "tables"


@cache
def tables() -> dict[str, Table]:
    return {
        file.stem: read_table(file.stem, tomllib.loads(file.read_text("utf-8")))
        for file in sorted(TABLES.glob("*.toml"))
    }


class Issues:
    """A list of issue codes that a context fills."""

    def __init__(self) -> None:
        self.codes: list[str] = []
        self.texts: list[str] = []

    def __call__(self, code: str, text: str) -> None:
        self.codes.append(code)
        self.texts.append(text)


def value(raw: str) -> Value:
    return Value(raw, Encoding())


def context(issues: Issues | None = None, facility: str = "SHTH01", **rest: Any) -> Context:
    return Context(facility, tables=tables(), issue=issues or Issues(), **rest)


def made(name: str, raw: str, facility: str = "SHTH01") -> Any:
    """Return what the datatype of that name makes of a text."""
    return DATATYPES[name](value(raw), context(facility=facility))


def looked_up(name: str, table: str, raw: str) -> Any:
    """Return what the datatype makes of a text through a code table."""
    return CODED[name](value(raw), context(), tables()[table])


def issues_of(name: str, raw: str) -> list[str]:
    issues = Issues()
    DATATYPES[name](value(raw), context(issues))
    return issues.codes


def errors(resource: dict[str, Any]) -> list[str]:
    """Return what R4 says against a resource."""
    return [
        f"{issue.expression}: {issue.diagnostics}"
        for issue in checks().check(resource)
        if issue.severity == "error"
    ]


# Where a value of each FHIR type may stand, so that R4's own rules judge it.
_PLACES: dict[str, tuple[dict[str, Any], str, bool]] = {
    "Identifier": ({"resourceType": "Basic", "code": {"text": "x"}}, "identifier", True),
    "HumanName": ({"resourceType": "Patient"}, "name", True),
    "Address": ({"resourceType": "Patient"}, "address", True),
    "ContactPoint": ({"resourceType": "Patient"}, "telecom", True),
    "CodeableConcept": ({"resourceType": "Patient"}, "maritalStatus", False),
    "date": ({"resourceType": "Patient"}, "birthDate", False),
    "Attachment": ({"resourceType": "Patient"}, "photo", True),
}
_BARE = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
_RESOURCES = ("Practitioner", "Organization", "Location", "Device")


def judged(fhir_type: str, found: Any) -> list[str]:
    """Return what R4 says against a value of a type, placed where such a value may stand."""
    if fhir_type in _RESOURCES:
        return errors(found)
    if fhir_type == "BackboneElement":
        return errors(_BARE | {"referenceRange": found})
    if fhir_type in _PLACES:
        resource, element, is_list = _PLACES[fhir_type]
        found = (found if isinstance(found, list) else [found]) if is_list else found
        return errors(resource | {element: found})
    suffix = fhir_type[0].upper() + fhir_type[1:]
    extension = {"url": "https://fhir-hub.example/x", f"value{suffix}": found}
    return errors({"resourceType": "Patient", "extension": [extension]})


def empty_parts(found: Any, path: str = "$") -> list[str]:
    """Return the places of a JSON value that hold nothing."""
    if found in ("", None, [], {}):
        return [path]
    if isinstance(found, dict):
        return [
            place for key, part in found.items() for place in empty_parts(part, f"{path}.{key}")
        ]
    if isinstance(found, list):
        return [
            place
            for position, part in enumerate(found)
            for place in empty_parts(part, f"{path}[{position}]")
        ]
    return []
