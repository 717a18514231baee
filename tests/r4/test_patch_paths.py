"""Which elements the path of a FHIRPath Patch leads to.

Spec: https://hl7.org/fhir/R4/fhirpatch.html#concept
"""

from typing import Any

import parts
import pytest

from fhir_hub.errors import CannotApply, InvalidResource
from fhir_hub.r4.fhirpath_patch import patched

EXTENSIONS = [{"url": "urn:a", "valueString": "1"}, {"url": "urn:b", "valueInteger": 2}]
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "extension": EXTENSIONS,
    "active": True,
    "name": [{"use": "usual", "family": "Li"}, {"use": "old", "text": "Li Na"}],
    "telecom": [{"value": "1", "rank": 1}, {"value": "2", "rank": 2}, {"value": "3"}],
    "multipleBirthInteger": 2,
    "contained": [{"resourceType": "Organization", "id": "o", "name": "Clinic"}],
}


def deleted(path: str) -> dict[str, Any]:
    """Return what is left when the element at a path is deleted."""
    said = [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": path}]
    rows = [{"name": "operation", "part": said}]
    return patched(PATIENT, {"resourceType": "Parameters", "parameter": rows}, parts.definitions())


@pytest.mark.parametrize(
    ("path", "name", "left"),
    [
        ("Patient.name.last()", "name", PATIENT["name"][:1]),
        ("Patient.name.first()", "name", PATIENT["name"][1:]),
        ("DomainResource.active.single()", "active", None),
        ("Patient.extension('urn:a')", "extension", EXTENSIONS[1:]),
        ("Patient.extension('urn:c')", "extension", EXTENSIONS),
        ("Patient.multipleBirth.ofType(integer)", "multipleBirthInteger", None),
        ("(Patient.multipleBirth as integer)", "multipleBirthInteger", None),
        ("Patient.multipleBirth.as(boolean)", "multipleBirthInteger", 2),
        ("Patient.active.nothing", "active", True),
        ("Patient.contained[0].name", "contained", [{"resourceType": "Organization", "id": "o"}]),
        (
            "Patient.telecom.where(value = '2' and rank = 2)",
            "telecom",
            [PATIENT["telecom"][0], PATIENT["telecom"][2]],
        ),
        (
            "Patient.telecom.where(value = '2' and rank = 1)",
            "telecom",
            PATIENT["telecom"],
        ),
        ("Patient.name.where(use = 'x' or family.exists())", "name", PATIENT["name"][1:]),
        ("Patient.name.where(family != 'Li')", "name", PATIENT["name"]),
        ("Patient.name.where(use != 'usual')", "name", PATIENT["name"][:1]),
        ("Patient.where(telecom.exists(rank = 2)).active", "active", None),
        ("Patient.where(telecom.exists(rank = 3)).active", "active", True),
    ],
)
def test_a_path_leads_to_an_element(path: str, name: str, left: Any) -> None:
    expected = {key: value for key, value in (PATIENT | {name: left}).items() if value is not None}
    assert deleted(path) == expected


@pytest.mark.parametrize(
    "path",
    [
        "Patient.name.single()",
        "Patient.name.tail()",
        "Patient.name.where(use)",
        "Patient.name.where(use ~ 'usual')",
        "Patient.name | Patient.telecom",
    ],
)
def test_more_than_a_path_is_refused(path: str) -> None:
    with pytest.raises((CannotApply, InvalidResource)):
        deleted(path)
