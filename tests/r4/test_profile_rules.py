"""Bindings, targets, invariants and extensions of profiles, at the edges of each rule.

Spec: https://hl7.org/fhir/R4/elementdefinition.html
"""

from typing import Any

import pytest
from r4.profile_parts import BASE, OWN, Json, checks, found, profile, row
from r4.samples import ABSENT, extended, observation, patient

GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"
SYSTEM = "http://hl7.org/fhir/administrative-gender"
SUBJECT = "Observation.subject.reference"


def one(path: str, **facts: Any) -> Json:
    return profile("one", path.partition(".")[0], row(path, **facts))


def bound(path: str, strength: str, value_set: str = GENDERS) -> Json:
    return one(path, binding={"strength": strength, "valueSet": value_set})


def rule(path: str, expression: str, human: str = "Be so", **facts: Any) -> Json:
    constraint = {"key": "x-1", "severity": "error", "human": human, "expression": expression}
    return one(path, constraint=[constraint | facts])


def married(*codings: Json, **more: Any) -> Json:
    return patient(maritalStatus={"coding": list(codings), **more})


def about(text: str, **more: Any) -> Json:
    return observation(subject={"reference": text}, **more)


def aggregated(*modes: str) -> Json:
    return one("Observation.subject", type=[{"code": "Reference", "aggregation": list(modes)}])


STATUS, UNMARRIED = "Patient.maritalStatus", patient(maritalStatus={"text": "x"})
WRONG = [("code-invalid", STATUS)]
GROUP, SOME_GROUP = (
    {"resourceType": "Group", "id": "g", "type": "person", "actual": True},
    {"reference": "urn:uuid:1", "type": "Group"},
)
TO_PATIENT = one(
    "Observation.subject", type=[{"code": "Reference", "targetProfile": [BASE + "Patient"]}]
)


@pytest.mark.parametrize(
    ("definition", "resource", "expected"),
    [
        # bindings
        (bound(STATUS, "required"), married({"system": SYSTEM, "code": "male"}), []),
        (bound(STATUS, "required"), married({"system": SYSTEM, "code": "m"}), WRONG),
        (bound(STATUS, "required"), married({"code": "male"}), WRONG),
        (bound(STATUS, "required"), UNMARRIED, WRONG),
        (bound(STATUS, "extensible"), UNMARRIED, []),
        (bound(STATUS, "extensible"), married({"system": SYSTEM, "code": "m"}), WRONG),
        (bound(STATUS, "example"), married({"system": SYSTEM, "code": "m"}), []),
        (bound(STATUS, "required", "urn:unknown"), married({"system": SYSTEM, "code": "m"}), []),
        (
            bound(STATUS, "required"),
            married({"system": SYSTEM, "code": "m"}, {"system": SYSTEM, "code": "male"}),
            [],
        ),
        (bound("Patient.language", "required"), patient(language="male"), []),
        (
            bound("Patient.language", "required"),
            patient(language="en"),
            [("code-invalid", "Patient.language")],
        ),
        # references
        (TO_PATIENT, about("#g", contained=[GROUP]), [("value", SUBJECT)]),
        (TO_PATIENT, about("#p", contained=[patient(id="p")]), []),
        (TO_PATIENT, about("urn:uuid:1"), []),
        (TO_PATIENT, observation(subject=SOME_GROUP), [("value", SUBJECT)]),
        (TO_PATIENT, observation(subject={"display": "x"}), []),
        (aggregated("contained"), about("#p", contained=[patient(id="p")]), []),
        (aggregated("referenced", "bundled"), about("Patient/1"), []),
        (aggregated("contained", "referenced"), about("#p", contained=[patient(id="p")]), []),
        (aggregated("contained"), observation(subject={"display": "x"}), []),
        # fixed values and patterns
        (
            one("Patient.name", fixedHumanName={"given": ["a", "b"]}),
            patient(name=[{"given": ["a", "b"]}, {"given": ["b", "a"]}, {"given": ["a"]}]),
            [("value", "Patient.name[1]"), ("value", "Patient.name[2]")],
        ),
        (
            one("Patient.active", patternBoolean=True),
            patient(_active={"extension": [ABSENT]}),
            [("value", "Patient.active")],
        ),
        (
            one("Patient.birthDate", minValueDate="2000"),
            patient(_birthDate={"extension": [ABSENT]}),
            [],
        ),
        (
            one("Observation.value[x]", minValueInteger=3),
            observation(valueString="x"),
            [],
        ),
        # invariants
        (rule("Patient", f"conformsTo('{OWN}named')"), patient(), [("invariant", "Patient")]),
        (rule("Patient", f"conformsTo('{OWN}named')"), patient(name=[{"text": "x"}]), []),
        (rule("Patient", f"conformsTo('{OWN}nobody')"), patient(), [("processing", "Patient")]),
        (rule("Patient", f"gender.memberOf('{GENDERS}')"), patient(gender="male"), []),
        (
            rule("Patient", f"language.memberOf('{GENDERS}')"),
            patient(language="en"),
            [("invariant", "Patient")],
        ),
        (
            rule("Observation", "subject.resolve().name.exists()"),
            about("Patient/1"),
            [("processing", "Observation")],
        ),
        (rule("Patient", "active", source=BASE + "Patient"), patient(active=False), []),
    ],
)
def test_a_rule_at_its_edges(definition: Json, resource: Json, expected: list[Any]) -> None:
    named = profile("named", "Patient", row("Patient.name", min=1))

    assert found(resource, definition, named) == expected


def test_a_rule_speaks_its_authors_languages_and_as_loudly_as_he_says() -> None:
    advice = {"url": BASE + "elementdefinition-bestpractice", "valueBoolean": True}
    both = rule("Patient", "active", "Be active / 必须有效", extension=[advice])
    (told,) = checks(both).check_profiles(patient(active=False), [OWN + "one"])

    assert (told.severity, told.chinese) == ("information", "必须有效 (x-1)")
    assert "Be active" in told.diagnostics
    assert "必须" not in told.diagnostics


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (patient(id="p", name=[{"text": "x"}]), []),
        (patient(id="p"), [("value", SUBJECT)]),
        (patient(id="p", birthDate="2024"), []),
    ],
)
def test_a_target_keeps_one_of_several_profiles(target: Json, expected: list[Any]) -> None:
    named = profile("named", "Patient", row("Patient.name", min=1))
    born = profile("born", "Patient", row("Patient.birthDate", min=1))
    to = {"code": "Reference", "targetProfile": [named["url"], born["url"]]}
    other = {"performer": [{"reference": "#other"}], "contained": [patient(id="other"), target]}
    resource = about("#p", **other)

    assert found(resource, one("Observation.subject", type=[to]), named, born) == expected
    assert found(about("Patient/1"), one("Observation.subject", type=[to]), named, born) == []


@pytest.mark.parametrize(
    ("context", "resource", "expected"),
    [
        ({"type": "fhirpath", "expression": "Group"}, extended, []),
        ({"type": "element", "expression": "Patient"}, extended, []),
        ({"type": "element", "expression": "Group"}, extended, ["Patient.extension[0]"]),
        (
            {"type": "extension", "expression": "urn:outer"},
            lambda inner: extended({"url": "urn:outer", "extension": [inner]}),
            [],
        ),
        ({"type": "extension", "expression": "urn:outer"}, extended, ["Patient.extension[0]"]),
    ],
)
def test_an_extension_stands_where_its_context_says(
    context: Json, resource: Any, expected: list[str]
) -> None:
    rows = [row("Extension.url", fixedUri=OWN + "x")]
    definition = profile("x", "Extension", *rows, kind="complex-type", context=[context])
    issues = checks(definition).check_profiles(resource({"url": OWN + "x", "valueString": "a"}))

    assert [each.expression for each in issues if each.code == "extension"] == expected


def test_what_cannot_be_held_is_told_before() -> None:
    broken = profile("broken", "Patient", row("Patient.nothing", min=1))
    claims = patient(meta={"profile": [OWN + "broken"]})
    holder = {"resourceType": "Parameters", "parameter": [{"name": "a", "resource": claims}]}
    issues = checks(broken).check_profiles(holder)

    where = "Parameters.parameter[0].resource.meta.profile"
    assert [(each.code, each.expression) for each in issues] == [("processing", where)]
