"""Resources that are made to hurt: refused with few issues, and without long work.

Spec: https://hl7.org/fhir/R4/security.html
"""

from typing import Any

import parts
import pytest
from r4.profile_parts import checks, profile, row, slicing
from r4.samples import extended, observation, patient

MANY = 20_000
WIDE = {"url": "x:y", "valueString": "a"}
KNOWN = checks(
    profile(
        "one",
        "Patient",
        row("Patient.name", constraint=[{"key": "x-1", "severity": "error", "human": "x"}
            | {"expression": "text.matches('^(a+)+$')"}]),
        row("Patient.identifier", slicing=slicing(("value", "system"))),
        row("Patient.identifier:a.system", min=1, fixedUri="urn:a"),
    )
)  # fmt: skip
CLAIM = {"profile": ["https://a.example/StructureDefinition/one"]}


def deep(levels: int) -> dict[str, Any]:
    extension = {"url": "x:y", "valueString": "x"}
    for _ in range(levels):
        extension = {"url": "x:y", "extension": [extension]}
    return extended(extension)


@pytest.mark.parametrize(
    ("resource", "code"),
    [
        pytest.param(patient(name=[{"text": "a" * 10_000_000}]), "too-long", id="10 MB"),
        pytest.param(patient(language="a" * 10_000_000), "value", id="10 MB of code"),
        pytest.param(patient(name=[{"text": 1}] * MANY), "structure", id="array"),
        pytest.param(deep(5000), "structure", id="nested"),
        pytest.param(
            patient(meta=CLAIM, name=[{"text": "a" * 100_000 + "b"}]), "invariant", id="pattern"
        ),
        pytest.param(patient(meta=CLAIM, identifier=[{"system": 1}] * MANY), "structure", id="s"),
        pytest.param(patient(extension=[WIDE] * MANY, gender="x"), "code-invalid", id="extensions"),
        pytest.param(
            observation(meta={"profile": ["urn:x"] * MANY}, status="x"), "code-invalid", id="claims"
        ),
    ],
)
def test_what_is_made_to_hurt_is_refused_with_few_issues(resource: Any, code: str) -> None:
    issues = KNOWN.check_profiles(resource)

    assert code in {issue.code for issue in issues if issue.severity == "error"}
    assert len(issues) <= 100
    assert sum(len(issue.diagnostics) for issue in issues) < 100_000


def test_a_profile_may_be_claimed_as_often_as_one_likes() -> None:
    claims = patient(meta={"profile": [f"urn:x:{n}" for n in range(MANY)]})

    assert len(parts.checks().check_profiles(claims)) <= 100
