"""Codes that R4 advises: a warning where another stands, nothing where one cannot tell.

Spec: https://hl7.org/fhir/R4/terminologies.html#strength
"""

import parts
import pytest

from fhir_hub.r4.checks.run import make_checks
from fhir_hub.r4.packages import Packages

CHECKS = make_checks(parts.definitions(), Packages())
V2 = "http://terminology.hl7.org/CodeSystem/v2-0203"
MARITAL = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"


def coded(system: str, *codes: str) -> dict:
    return {"coding": [{"system": system, "code": code} for code in codes]}


def patient(**elements: object) -> dict:
    return {"resourceType": "Patient", **elements}


def observation(**elements: object) -> dict:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **elements}


CONTACT = {"relationship": [coded("urn:local", "x")], "name": {"text": "x"}}
IN_LOCAL = {"type": coded("urn:local", "x"), "value": "1"}


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        pytest.param(
            patient(maritalStatus=coded("urn:local", "10")),
            [("Patient.maritalStatus", "marital-status")],
            id="extensible",
        ),
        pytest.param(
            observation(category=[coded("urn:local", "lab")]),
            [("Observation.category[0]", "observation-category")],
            id="preferred, in a list",
        ),
        pytest.param(
            patient(identifier=[{"value": "0"}, IN_LOCAL]),
            [("Patient.identifier[1].type", "identifier-type")],
            id="in a datatype",
        ),
        pytest.param(
            observation(
                contained=[patient(id="p", contact=[CONTACT])],
                subject={"reference": "#p"},
                interpretation=[coded("urn:local", "x")],
            ),
            [
                (
                    "Observation.contained[0].contact[0].relationship[0]",
                    "patient-contactrelationship",
                ),
                ("Observation.interpretation[0]", "observation-interpretation"),
            ],
            id="contained, and in a backbone element",
        ),
        pytest.param(patient(maritalStatus=coded(MARITAL, "M")), [], id="one that is listed"),
        pytest.param(
            patient(maritalStatus={"coding": [{"code": "x"}, *coded(MARITAL, "M")["coding"]]}),
            [],
            id="one of several is listed",
        ),
        pytest.param(patient(maritalStatus={"text": "married"}), [], id="text alone"),
        pytest.param(
            observation(code=coded("urn:local", "x")), [], id="an example binding is no advice"
        ),
        pytest.param(patient(maritalStatus="M"), [], id="too broken to be read"),
    ],
)
def test_a_code_outside_what_r4_advises_is_a_warning(resource, told):
    issues = CHECKS.advised_codes(resource)

    assert [issue.expression for issue in issues] == [place for place, _ in told]
    for issue, (_, value_set) in zip(issues, told, strict=True):
        assert (issue.severity, issue.code) == ("warning", "code-invalid")
        assert issue.diagnostics.partition("ValueSet/")[2].startswith(value_set)
        assert "值集" in issue.chinese
