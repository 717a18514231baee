"""Search expressions as paths.

Spec: https://hl7.org/fhir/R4/search.html#fhirpath
"""

import parts
import pytest

from fhir_hub.r4.fhirpath import compile_paths, select
from fhir_hub.r4.fhirpath_text import CannotCompile, parse_expression

OBSERVATION = {
    "resourceType": "Observation",
    "id": "o",
    "contained": [{"resourceType": "Patient", "id": "p"}, {"resourceType": "Group", "id": "g"}],
    "extension": [{"url": "urn:x", "valueString": "a"}, {"url": "urn:y", "valueString": "b"}],
    "valueQuantity": {"value": 1},
    "subject": {"reference": "Patient/1"},
    "performer": [{"reference": "Patient/2"}, {"reference": "Organization/3"}],
    "component": [{"valueString": "c"}, {"valueQuantity": {"value": 2}}],
}


def values(expression, resource=OBSERVATION):
    paths = compile_paths(expression, resource["resourceType"], parts.definitions())
    return [(path.type, value) for path in paths for value in select(path, resource, resource)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("Observation.id", [("id", "o")]),
        ("Resource.id", [("id", "o")]),
        ("Patient.id", []),
        ("Patient.name | Observation.id", [("id", "o")]),
        ("Observation.value", [("Quantity", {"value": 1})]),
        ("(Observation.value as Quantity)", [("Quantity", {"value": 1})]),
        ("Observation.value.ofType(Quantity).value", [("decimal", 1)]),
        ("(Observation.value as string)", []),
        ("(Observation.component.value as string)", [("string", "c")]),
        ("Observation.component[1].value", [("Quantity", {"value": 2})]),
        ("Observation.component[7].value", []),
        (
            "Observation.performer.where(resolve() is Patient)",
            [("Reference", {"reference": "Patient/2"})],
        ),
        ("Observation.extension('urn:y').value as string", [("string", "b")]),
        ("Observation.where(value.exists()).id", [("id", "o")]),
        ("Observation.where(code.exists()).id", []),
        ("Observation.where(hasExtension('urn:x')).id", [("id", "o")]),
        ("Observation.where(hasExtension('urn:z')).id", []),
        ("Observation.where(status = 'final').id", []),
        ("Observation.where(id = 'o' and id != 'p').id", [("id", "o")]),
        ("Observation.component.where(%resource.id = 'o').value as string", [("string", "c")]),
    ],
)
def test_an_expression_finds_typed_values(expression, expected):
    found = values(expression)
    assert found == expected


@pytest.mark.parametrize(
    ("reference", "is_found"),
    [
        ({"reference": "Patient/1"}, True),
        ({"reference": "https://a.b/Patient/1"}, True),
        ({"reference": "Group/1"}, False),
        ({"reference": "#p"}, True),
        ({"reference": "#g"}, False),
        ({"reference": "urn:uuid:1"}, False),
        ({"reference": "urn:uuid:1", "type": "Patient"}, True),
        ({"type": "Patient", "identifier": {}}, True),
        ({"display": "x"}, False),
        ("odd", False),
    ],
)
def test_resolve_goes_by_what_the_reference_tells(reference, is_found):
    resource = OBSERVATION | {"subject": reference}
    assert bool(values("Observation.subject.where(resolve() is Patient)", resource)) is is_found


@pytest.mark.parametrize(
    ("deceased", "expected"),
    [
        ({}, False),
        ({"deceasedBoolean": False}, False),
        ({"deceasedBoolean": True}, True),
        ({"deceasedDateTime": "2024"}, True),
    ],
)
def test_deceased_is_a_computation(deceased, expected):
    patient = {"resourceType": "Patient"} | deceased
    expression = "Patient.deceased.exists() and Patient.deceased != false"
    assert values(expression, patient) == [("boolean", expected)]


def test_an_element_may_be_defined_elsewhere():
    item = {"resourceType": "Questionnaire", "item": [{"item": [{"linkId": "1.1"}]}]}
    assert values("Questionnaire.item.item.linkId", item) == [("string", "1.1")]


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "Observation.",
        "Observation.nothing",
        "Observation.id.nothing",
        "Observation.value[x]",
        "Observation.component[",
        "Observation.component['a']",
        "Observation..id",
        "Observation.id)",
        "(Observation.id",
        "Observation.first()",
        "Observation.where(first())",
        "Observation ~ 1",
        "'text'",
        "%context",
        "Observation.where(1 = id)",
        "(" * 60 + "Observation" + ")" * 60,
        "Observation" + ".where(id" * 60,
    ],
)
def test_what_search_does_not_need_is_not_compiled(expression):
    with pytest.raises(CannotCompile):
        compile_paths(expression, "Observation", parts.definitions())


def test_text_is_unescaped():
    assert parse_expression(r"'it\'s'").value == "it's"


def test_every_expression_of_r4_compiles():
    definitions, count = parts.definitions(), 0
    without = []
    for row in definitions.search_parameters():
        if not row.expression:
            without.append(row.code)
            continue
        for base in row.base:
            paths = compile_paths(row.expression, base, definitions)
            assert paths, (row.code, base)
            for component in row.components:
                for path in paths:
                    assert compile_paths(component.expression, base, definitions, path)
            count += 1
    assert sorted(without) == ["_content", "_filter", "_query", "_text", "age", "birthOrderBoolean"]
    assert count == 1712
