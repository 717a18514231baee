"""Profiles: what their differentials ask for is checked, at the element that breaks it.

Spec: https://hl7.org/fhir/R4/profiling.html
"""

from decimal import Decimal
from typing import Any

import parts
import pytest
from r4.profile_parts import BASE, OWN, Json, checks, found, profile, row
from r4.samples import ABSENT, LOINC, UCUM, bundle, observation, patient

from fhir_hub.r4.checks.required import requirement
from fhir_hub.r4.checks.site_rules import SiteRules

TO_PATIENT = [{"code": "Reference", "targetProfile": [BASE + "Patient"]}]
QUANTITY = {"value": Decimal("72.5"), "system": UCUM, "code": "kg"}


def one(path: str, **facts: Any) -> Json:
    """Return a profile that changes one element."""
    return profile("one", path.partition(".")[0], row(path, **facts))


BROKEN: list[tuple[Json, Json, str, str]] = [
    # cardinality
    (one("Patient.name", min=1), patient(), "required", "Patient.name"),
    (one("Patient.name", min=2), patient(name=[{"text": "x"}]), "required", "Patient.name"),
    (one("Patient.name", max="1"), patient(name=[{"text": "x"}] * 2), "structure", "Patient.name"),
    (one("Patient.photo", max="0"), patient(photo=[{"url": "x"}]), "structure", "Patient.photo"),
    (
        one("Patient.name.family", min=1),
        patient(name=[{"family": "x"}, {"text": "y"}]),
        "required",
        "Patient.name[1].family",
    ),
    (
        one("Patient.contact.name", min=1),
        patient(contact=[{"gender": "male", "telecom": [{"value": "1", "system": "phone"}]}]),
        "required",
        "Patient.contact[0].name",
    ),
    (
        one("Patient.birthDate.extension", min=1),
        patient(birthDate="2024"),
        "required",
        "Patient.birthDate.extension",
    ),
    # types
    (
        one("Observation.value[x]", type=[{"code": "Quantity"}, {"code": "string"}]),
        observation(valueInteger=1),
        "structure",
        "Observation.value",
    ),
    (
        one("Observation.value[x]", min=1, type=[{"code": "Quantity"}]),
        observation(),
        "required",
        "Observation.value",
    ),
    (
        one("Observation.valueQuantity.code", min=1),
        observation(valueQuantity={"value": 1}),
        "required",
        "Observation.value.code",
    ),
    # values
    (one("Patient.active", fixedBoolean=True), patient(active=False), "value", "Patient.active"),
    (
        one("Observation.code", fixedCodeableConcept=LOINC),
        observation(code=LOINC | {"text": "x"}),
        "value",
        "Observation.code",
    ),
    (
        one("Observation.code", patternCodeableConcept={"coding": [{"system": UCUM}]}),
        observation(),
        "value",
        "Observation.code",
    ),
    (
        one("Patient.identifier.system", patternUri="urn:x"),
        patient(identifier=[{"system": "urn:y"}]),
        "value",
        "Patient.identifier[0].system",
    ),
    (
        one("Patient.birthDate", minValueDate="1900-01-01"),
        patient(birthDate="1899-12"),
        "value",
        "Patient.birthDate",
    ),
    (
        one("Observation.value[x]", maxValueQuantity={"value": 100, "system": UCUM, "code": "kg"}),
        observation(valueQuantity={"value": 100_001, "system": UCUM, "code": "g"}),
        "value",
        "Observation.value",
    ),
    (
        one("Patient.multipleBirth[x]", maxValueInteger=3),
        patient(multipleBirthInteger=4),
        "value",
        "Patient.multipleBirth",
    ),
    (
        one("Patient.name.text", maxLength=3),
        patient(name=[{"text": "abcd"}]),
        "too-long",
        "Patient.name[0].text",
    ),
    # references
    (
        one("Observation.subject", type=TO_PATIENT),
        observation(subject={"reference": "Group/1"}),
        "value",
        "Observation.subject.reference",
    ),
    (
        one("Observation.subject", type=TO_PATIENT),
        observation(subject={"type": "Group", "display": "x"}),
        "value",
        "Observation.subject.reference",
    ),
    (
        one("Observation.subject", type=[{"code": "Reference", "aggregation": ["contained"]}]),
        observation(subject={"reference": "Patient/1"}),
        "value",
        "Observation.subject.reference",
    ),
    (
        one("Observation.subject", type=[{"code": "Reference", "aggregation": ["referenced"]}]),
        observation(subject={"reference": "#p"}, contained=[patient(id="p")]),
        "value",
        "Observation.subject.reference",
    ),
    # invariants
    (
        one("Patient", constraint=[{"key": "x-1", "severity": "error", "human": "Be active"}
            | {"expression": "active.exists() and active"}]),
        patient(active=False),
        "invariant",
        "Patient",
    ),
    (
        one("Patient.name", constraint=[{"key": "x-2", "severity": "error", "human": "Text."}
            | {"expression": "text.exists() or %resource.active = true"}]),
        patient(name=[{"family": "x"}], active=False),
        "invariant",
        "Patient.name[0]",
    ),
    (
        one("Patient.name.family", constraint=[{"key": "x-3", "severity": "error", "human": "Short"}
            | {"expression": "$this.length() < 3"}]),
        patient(name=[{"family": "xyz"}]),
        "invariant",
        "Patient.name[0].family",
    ),
    # a resource of another type
    (one("Patient.name", min=1), observation(), "structure", "Observation"),
    # elements that are defined elsewhere
    (
        one("Questionnaire.item.item.text", min=1),
        {"resourceType": "Questionnaire", "status": "draft"}
        | {"item": [{"linkId": "1", "type": "group", "item": [{"linkId": "2", "type": "string"}]}]},
        "required",
        "Questionnaire.item[0].item[0].text",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("definition", "resource", "code", "expression"), BROKEN)
def test_what_a_profile_forbids_is_told(
    definition: Json, resource: Json, code: str, expression: str
) -> None:
    assert (code, expression) in found(resource, definition)


FINE: list[tuple[Json, Json]] = [
    (one("Patient.name", min=1), patient(name=[{"text": "x"}])),
    (one("Patient.birthDate", min=1), patient(_birthDate={"extension": [ABSENT]})),
    (one("Patient.contact.name", min=1), patient()),
    (one("Observation.value[x]", type=[{"code": "Quantity"}]), observation(valueQuantity=QUANTITY)),
    (one("Patient.active", fixedBoolean=True), patient()),
    (one("Observation.code", patternCodeableConcept=LOINC), observation(code=LOINC | {"id": "x"})),
    (one("Patient.birthDate", minValueDate="1900-06-01"), patient(birthDate="1900")),
    (
        one("Observation.value[x]", maxValueQuantity={"value": 1, "system": UCUM, "code": "m"}),
        observation(valueQuantity=QUANTITY),
    ),
    (
        one("Observation.subject", type=TO_PATIENT),
        observation(subject={"reference": "https://a.example/fhir/Patient/1"}),
    ),
    (
        one("Observation.subject", type=[{"code": "Reference", "targetProfile": [OWN + "nobody"]}]),
        observation(subject={"reference": "Group/1"}),
    ),
    (one("Resource.id", max="1"), patient(id="1")),
]  # fmt: skip


@pytest.mark.parametrize(("definition", "resource"), FINE)
def test_what_a_profile_allows_is_not_told(definition: Json, resource: Json) -> None:
    assert found(resource, definition) == []


def test_a_profile_adds_to_its_base() -> None:
    named = profile("named", "Patient", row("Patient.name", min=1))
    born = profile("born", "Patient", row("Patient.birthDate", min=1), base=OWN + "named")

    assert found(patient(), born, named) == [
        ("required", "Patient.name"),
        ("required", "Patient.birthDate"),
    ]
    assert found(patient(), named, born) == [("required", "Patient.name")]


def test_a_profile_of_a_datatype_holds_where_an_element_names_it() -> None:
    coded = profile("coded", "Identifier", row("Identifier.system", min=1), kind="complex-type")
    owner = one("Patient.identifier", type=[{"code": "Identifier", "profile": [coded["url"]]}])

    assert found(patient(identifier=[{"value": "1"}]), owner, coded) == [
        ("required", "Patient.identifier[0].system")
    ]


def test_one_of_several_profiles_of_a_type_has_to_be_kept() -> None:
    a = profile("a", "Identifier", row("Identifier.system", min=1, fixedUri="urn:a"))
    b = profile("b", "Identifier", row("Identifier.system", min=1, fixedUri="urn:b"))
    types = [{"code": "Identifier", "profile": [a["url"], b["url"]]}]
    owner = one("Patient.identifier", type=types)

    assert found(patient(identifier=[{"system": "urn:b"}]), owner, a, b) == []
    assert found(patient(identifier=[{"system": "urn:c"}]), owner, a, b) == [
        ("structure", "Patient.identifier[0]")
    ]


def test_a_contained_target_has_to_keep_its_profile() -> None:
    named = profile("named", "Patient", row("Patient.name", min=1))
    types = [{"code": "Reference", "targetProfile": [named["url"]]}]
    owner = profile("owner", "Observation", row("Observation.subject", type=types))
    broken = observation(subject={"reference": "#p"}, contained=[patient(id="p")])
    fine = observation(
        subject={"reference": "#p"}, contained=[patient(id="p", name=[{"text": "x"}])]
    )

    assert found(broken, owner, named) == [("value", "Observation.subject.reference")]
    assert found(fine, owner, named) == []


def test_profiles_that_resources_claim_hold_wherever_these_stand() -> None:
    named = profile("named", "Patient", row("Patient.name", min=1))
    claims = patient(id="p", meta={"profile": [named["url"]]})
    whole = bundle("collection", {"fullUrl": "urn:x:1", "resource": claims})
    holder = observation(subject={"reference": "#p"}, contained=[claims])
    known = checks(named)

    assert [i.expression for i in known.check_profiles(whole)] == ["Bundle.entry[0].resource.name"]
    assert [i.expression for i in known.check_profiles(holder)] == ["Observation.contained[0].name"]
    assert known.check(whole) == []


@pytest.mark.parametrize("severity", ["warning", "error"])
def test_a_profile_that_nobody_knows_is_told(severity: str) -> None:
    claims = patient(meta={"profile": [OWN + "nobody"]})
    issues = checks(unknown=severity).check_profiles(claims)

    assert [(i.severity, i.code, i.expression) for i in issues] == [
        (severity, "not-found", "Patient.meta.profile")
    ]


@pytest.mark.parametrize(
    "definition",
    [
        profile("one", "Patient", row("Patient.nothing", min=1)),
        profile("one", "Patient", {"id": "x"}),
        profile("one", "Patient", base=OWN + "one"),
    ],
)
def test_a_broken_profile_is_told_and_not_raised(definition: Json) -> None:
    assert found(patient(), definition) == [("processing", "")]


def test_a_rule_that_cannot_be_evaluated_is_told_as_information() -> None:
    rules = [{"key": "x-1", "severity": "error", "human": "x", "expression": "nothing("}]
    issues = checks(one("Patient", constraint=rules)).check_profiles(patient(), [OWN + "one"])

    assert [(i.severity, i.code) for i in issues] == [("information", "processing")]


def test_a_warning_of_a_profile_refuses_nothing() -> None:
    rules = [{"key": "x-1", "severity": "warning", "human": "Be active", "expression": "active"}]
    known = checks(one("Patient", constraint=rules))
    claims = patient(active=False, meta={"profile": [OWN + "one"]})

    assert [i.severity for i in known.check_profiles(claims)] == ["warning"]
    rules = SiteRules(parts.definitions(), {})
    requirement(known, rules, parts.definitions(), "profiles", [])(claims)


def test_r4s_own_profiles_are_known() -> None:
    pressure = observation(
        meta={"profile": [BASE + "bp"]},
        category=[{"coding": [{"system": "urn:x", "code": "vital-signs"}]}],
        effectiveDateTime="2024-02-29",
        subject={"reference": "Patient/1"},
    )
    issues = [(i.code, i.expression) for i in checks().check_profiles(pressure)]

    assert ("required", "Observation.category") in issues
    assert ("required", "Observation.component") in issues
    assert ("required", "Observation.code.coding") in issues
