"""The doors of `jsonschema` and of `fhir.resources`, the second opinion on our checks."""

import sys
from typing import Any

import pytest
from r4.samples import LOINC, observation, patient, timing

from fhir_hub.errors import InvalidResource, NotSupported
from fhir_hub.r4.checks.models import as_model
from fhir_hub.r4.checks.run import Checks
from fhir_hub.r4.checks.schema import Schema
from fhir_hub.r4.definitions import load_definitions

SCHEMA = {
    "type": "object",
    "properties": {"field": {"type": "array", "items": {"required": ["to"]}}, "a/b": {"const": 1}},
    "additionalProperties": False,
}


def test_a_right_document_has_no_problems() -> None:
    assert Schema(SCHEMA).problems({"field": [{"to": "status"}]}) == []


def test_every_problem_is_told_with_its_json_pointer() -> None:
    document = {"field": [{"to": "x"}, {}], "a/b": 2, "feld": 1, "more": 1}
    assert Schema(SCHEMA).problems(document) == [
        "/a~1b: 1 was expected",
        "/feld: there is no such key; did you mean field?",
        "/field/1: to is missing",
        "/more: there is no such key; there are: a/b, field",
    ]


@pytest.mark.parametrize(
    "resource",
    [
        patient(name=[{"family": "x", "given": ["y"]}], birthDate="2024-02-29", gender="female"),
        observation(valueQuantity={"value": 72, "unit": "g/L"}, subject={"reference": "Patient/1"}),
        timing(frequency=3, period=1, periodUnit="d"),
    ],
)
def test_a_resource_that_we_let_through_is_a_model(resource: dict[str, Any]) -> None:
    assert Checks(load_definitions()).check(resource) == []

    assert type(as_model(resource)).__name__ == resource["resourceType"]


@pytest.mark.parametrize(
    ("resource", "expression"),
    [
        (patient(nme=1), "Patient.nme"),
        (patient(name=[{"given": ["x", {}]}]), "Patient.name[0].given[1]"),
        (observation(valueQuantity={"value": "x"}), "Observation.valueQuantity.value"),
    ],
)
def test_a_resource_that_a_model_refuses_we_refuse(
    resource: dict[str, Any], expression: str
) -> None:
    assert Checks(load_definitions()).check(resource)
    with pytest.raises(InvalidResource) as refused:
        as_model(resource)

    assert expression in {issue.expression for issue in refused.value.issues}


def test_a_type_that_r4b_does_not_have_is_not_supported() -> None:
    with pytest.raises(NotSupported):
        as_model({"resourceType": "MedicinalProduct", "name": [LOINC]})


def test_without_the_package_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fhir.resources.R4B", None)

    with pytest.raises(ImportError, match=r"pip install 'fhir-hub\[typed\]'"):
        as_model(patient())
