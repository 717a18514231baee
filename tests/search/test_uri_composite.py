"""Uri and composite parameters.

Spec: https://hl7.org/fhir/R4/search.html#uri and #composite
"""

from decimal import Decimal

import pytest

from fhir_hub.errors import InvalidParameter, UnknownParameter

VALUE_SETS = [
    {"resourceType": "ValueSet", "url": "http://a.example/fhir"},
    {"resourceType": "ValueSet", "url": "http://a.example/fhir/ValueSet/1"},
    {"resourceType": "ValueSet", "url": "urn:oid:1.2.3"},
    {"resourceType": "ValueSet"},
    {"resourceType": "ValueSet", "url": 5},
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("url=http://a.example/fhir", "1"),
        ("url=http://A.example/fhir", ""),
        ("url=urn:oid:1.2.3,http://a.example/fhir", "13"),
        ("url:below=http://a.example/fhir", "12"),
        ("url:above=http://a.example/fhir/ValueSet/1", "12"),
        ("url:above=http://a.example/fhir", "1"),
        ("url:missing=true", "45"),
    ],
)
def test_uris_are_found(find, query, expected):
    assert "".join(find(VALUE_SETS, f"ValueSet?{query}")) == expected


@pytest.mark.parametrize("query", ["url:contains=a", "url:text=a", "url:not=a"])
def test_a_uri_has_no_other_modifiers(read, query):
    with pytest.raises(UnknownParameter, match=r"^url: .*:above, :below, :missing"):
        read(f"ValueSet?{query}")


def measured(*pairs, main=None):
    """Return an Observation with a component for each pair of codes and a number."""
    found = {"resourceType": "Observation"}
    if main:
        found |= _said(*main)
    if pairs:
        found["component"] = [_said(*pair) for pair in pairs]
    return found


def _said(codes, number):
    said = {"code": {"coding": [{"system": "http://loinc.org", "code": c} for c in codes.split()]}}
    if number is not None:
        said["valueQuantity"] = {"value": Decimal(number), "unit": "mmHg", "code": "mm[Hg]"}
    return said


OBSERVATIONS = [
    measured(("8480-6", "150"), ("8462-4", "95"), main=("85354-9", None)),
    measured(("8480-6", "120"), ("8462-4", "160"), main=("85354-9", None)),
    measured(main=("8480-6 local", "155")),
    measured(("8480-6", None)),
    measured(),
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("component-code-value-quantity=http://loinc.org|8480-6$gt140", "1"),
        ("component-code-value-quantity=8462-4$gt140", "2"),
        ("component-code-value-quantity=8480-6$gt140,8462-4$gt140", "12"),
        ("component-code-value-quantity=8480-6$150||mmHg", "1"),
        ("component-code=8480-6&component-value-quantity=gt140", "12"),
        ("code-value-quantity=8480-6$gt140", "3"),
        ("code-value-quantity=local$gt140", "3"),
        ("code-value-quantity=|local$gt140", ""),
        ("combo-code-value-quantity=8480-6$gt140", "13"),
        ("combo-code-value-quantity=8480-6$ge120", "123"),
        ("component-code-value-quantity:missing=true", "345"),
        ("combo-code-value-quantity:missing=false", "123"),
    ],
)
def test_the_parts_of_a_pair_stand_together(find, query, expected):
    assert "".join(find(OBSERVATIONS, f"Observation?{query}")) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("value-quantity=gt4", "12"),
        ("code-value-quantity=a$gt4", "1"),
        ("combo-code-value-quantity=a$gt4", "1"),
        ("code-value-quantity:missing=false", "1"),
        ("code-value-quantity:missing=true", "23456"),
        ("combo-code-value-quantity:missing=true", "23456"),
        ("_filter=code-value-quantity pr true", "1"),
        ("_filter=code-value-quantity eq a$5", "1"),
        ("code-value-concept=a$b", "3"),
        ("code-value-concept=a$b,c$b", "34"),
        ("code-value-concept:missing=false", "34"),
        ("code-value-date=a$2024-05", "5"),
        ("code-value-date=a$gt2024-05", ""),
        ("code-value-date:missing=false", "5"),
        ("code-value-string=a$t", "6"),
    ],
)
def test_a_pair_in_the_resource_itself_is_of_the_types_that_it_names(find, query, expected):
    code, other = {"coding": [{"code": "a"}]}, {"coding": [{"code": "c"}]}
    concept = {"coding": [{"code": "b"}], "text": "t"}
    samples = {"origin": {"value": 5}, "dimensions": 1, "data": "0 1"}
    said = [
        {"code": code, "valueQuantity": {"value": 5}},
        {"code": code, "valueSampledData": samples},  # `code-value-quantity` is of Quantity alone
        {"code": code, "valueCodeableConcept": concept},
        {"code": other, "valueCodeableConcept": concept},
        {"code": code, "valueDateTime": "2024-05-01"},
        {"code": code, "valueString": "t"},
    ]
    resources = [{"resourceType": "Observation"} | one for one in said]
    assert "".join(find(resources, f"Observation?{query}")) == expected


def test_a_pair_s_parts_may_be_escaped(find):
    odd = measured(main=("a$b,c|d", "1"))
    assert find([odd], r"Observation?code-value-quantity=a\$b\,c\|d$1") == ["1"]
    assert find([odd], r"Observation?code-value-quantity=a\$b\,c\|e$1") == []


def test_other_composites(find):
    sequence = {
        "resourceType": "MolecularSequence",
        "referenceSeq": {"chromosome": {"coding": [{"code": "1"}]}},
        "variant": [{"start": 10, "end": 12}, {"start": 100, "end": 120}],
    }
    name = "MolecularSequence?chromosome-variant-coordinate"
    assert find([sequence], f"{name}=1$ge10$le12") == ["1"]
    assert find([sequence], f"{name}=1$ge11$le12") == []
    document = {
        "resourceType": "DocumentReference",
        "relatesTo": [{"code": "replaces", "target": {"reference": "DocumentReference/2"}}],
    }
    name = "DocumentReference?relationship"
    assert find([document], f"{name}=replaces$DocumentReference/2") == ["1"]
    assert find([document], f"{name}=appends$DocumentReference/2") == []
    group = {
        "resourceType": "Group",
        "characteristic": [
            {"code": {"coding": [{"code": "smoker"}]}, "valueBoolean": True, "exclude": False}
        ],
    }
    assert find([group], "Group?characteristic-value=smoker$true") == ["1"]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("code-value-quantity=8480-6", InvalidParameter),
        ("code-value-quantity=8480-6$", InvalidParameter),
        ("code-value-quantity=8480-6$1$2", InvalidParameter),
        ("code-value-quantity=8480-6$high", InvalidParameter),
        ("code-value-quantity=$5", InvalidParameter),
        ("code-value-quantity=", InvalidParameter),
        ("code-value-quantity=8480-6$zz5", UnknownParameter),
        ("code-value-quantity:not=8480-6$5", UnknownParameter),
        ("code-value-quantity:missing=x", InvalidParameter),
    ],
)
def test_what_is_no_pair_is_refused(read, query, error):
    with pytest.raises(error, match=r"^code-value-quantity"):
        read(f"Observation?{query}")
