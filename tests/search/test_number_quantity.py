"""Number and quantity parameters.

Spec: https://hl7.org/fhir/R4/search.html#number and #quantity
"""

from decimal import Decimal

import pytest

from fhir_hub.errors import InvalidParameter, UnknownParameter

UCUM = "http://unitsofmeasure.org"


def risk(**probability):
    return {"resourceType": "RiskAssessment", "prediction": [probability]}


RISKS = [
    risk(probabilityDecimal=Decimal("0.5")),
    risk(probabilityDecimal=Decimal("0.50")),
    risk(probabilityDecimal=Decimal("0.54")),
    risk(probabilityRange={"low": {"value": Decimal("0.2")}, "high": {"value": Decimal("0.6")}}),
    risk(probabilityRange={"low": {"value": Decimal("0.6")}}),
    risk(),
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("0.5", "123"),
        ("0.50", "12"),
        ("eq0.5", "123"),
        ("5e-1", "12"),
        ("1", "123"),
        ("ne0.5", "45"),
        ("ne0.50", "345"),
        ("gt0.5", "345"),
        ("gt0.50", "345"),
        ("gt0.54", "45"),
        ("lt0.5", "4"),
        ("lt0.54", "124"),
        ("ge0.5", "12345"),
        ("ge0.54", "345"),
        ("le0.5", "124"),
        ("le0.2", "4"),
        ("sa0.5", "35"),
        ("sa0.54", "5"),
        ("eb0.54", "12"),
        ("eb0.5", ""),
        ("eb0.7", "1234"),
        ("ap0.5", "1234"),
        ("ap0.6", "345"),
        ("ap0.1", ""),
    ],
)
def test_only_eq_ne_and_ap_go_by_the_digits(find, query, expected):
    assert "".join(find(RISKS, f"RiskAssessment?probability={query}")) == expected


def value(number, unit="mmol/L", code="mmol/L", system=UCUM, comparator=None):
    quantity = {"value": Decimal(number), "unit": unit, "code": code, "system": system}
    if comparator:
        quantity["comparator"] = comparator
    return {"resourceType": "Observation", "valueQuantity": quantity}


OBSERVATIONS = [
    value("6.0"),
    value("6.1"),
    value("6.1", unit="毫摩尔/升", code="mmol/L", system="urn:local"),
    {"resourceType": "Observation", "valueQuantity": {"value": 7, "unit": "mmol/L"}},
    value("0.5", comparator="<"),
    value("9", comparator=">"),
    value("9", comparator=">="),
    value("0.5", comparator="<="),
    {"resourceType": "Observation", "valueQuantity": {"code": "mmol/L"}},
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("6.1", "23"),
        ("6", "123"),
        ("6.10", "23"),
        (f"6.1|{UCUM}|mmol/L", "2"),
        ("6.1||mmol/L", "23"),
        ("6.1||毫摩尔/升", "3"),
        ("7||mmol/L", "4"),
        (f"7|{UCUM}|mmol/L", ""),
        (f"6.1|{UCUM}|", "2"),
        ("6.1||", "23"),
        ("gt6", "23467"),
        (f"gt6.0|{UCUM}|mmol/L", "267"),
        (f"ge6.0|{UCUM}|mmol/L", "1267"),
        (f"lt6.1|{UCUM}|mmol/L", "158"),
        ("lt0.5", "58"),
        ("ge0.5", "1234678"),
        ("0.5", ""),
        ("gt9", "67"),
        ("le9", "1234578"),
        ("lt9", "123458"),
        ("sa6.1", "467"),
        ("6.1,7", "234"),
        ("6.1|urn:a\\|b|x", ""),
    ],
)
def test_quantities_are_found_by_number_and_unit(find, query, expected):
    assert "".join(find(OBSERVATIONS, f"Observation?value-quantity={query}")) == expected


def test_other_types_are_quantities_too(find):
    ages = [
        {"resourceType": "Condition", "onsetAge": {"value": 40, "code": "a", "system": UCUM}},
        {
            "resourceType": "Condition",
            "onsetRange": {"low": {"value": 30, "code": "a", "system": UCUM}},
        },
        {"resourceType": "Condition", "onsetRange": "odd"},
    ]
    assert find(ages, f"Condition?onset-age=gt35|{UCUM}|a") == ["1", "2"]
    money = {"resourceType": "Invoice", "totalNet": {"value": Decimal("9.90"), "currency": "CNY"}}
    assert find([money], "Invoice?totalnet=9.9|urn:iso:std:iso:4217|CNY") == ["1"]
    assert find([money], "Invoice?totalnet=9.9||USD") == []


@pytest.mark.parametrize(
    ("data", "query", "is_found"),
    [
        ("1 E 3 U", "gt6", True),
        ("1 E 3 U", "gt7", False),
        ("1 E 3 U", "lt2.5", False),
        ("1 E 3 U", "le2.5", True),
        ("E L nan inf", "gt0", False),
        (None, "gt0", False),
    ],
)
def test_samples_count_from_the_smallest_to_the_largest(find, data, query, is_found):
    sampled = {"origin": {"value": Decimal("0.5")}, "factor": 2, "dimensions": 1, "data": data}
    observation = {"resourceType": "Observation", "valueSampledData": sampled}
    assert bool(find([observation], f"Observation?value-quantity={query}")) is is_found
    without = {"resourceType": "Observation", "valueSampledData": {"data": "1"}}
    assert find([without], "Observation?value-quantity:missing=true") == ["1"]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("RiskAssessment?probability=much", InvalidParameter),
        ("RiskAssessment?probability=1e400", InvalidParameter),
        ("RiskAssessment?probability=zz1", UnknownParameter),
        ("RiskAssessment?probability:exact=1", UnknownParameter),
        ("Observation?value-quantity=|a|b", InvalidParameter),
        ("Observation?value-quantity=6|mmol", InvalidParameter),
        ("Observation?value-quantity=6|a|b|c", InvalidParameter),
        ("Observation?value-quantity=mmol", InvalidParameter),
        ("Observation?value-quantity=gt", InvalidParameter),
    ],
)
def test_what_is_no_number_is_refused(read, query, error):
    with pytest.raises(error, match=query.partition("?")[2].partition("=")[0].partition(":")[0]):
        read(query)


def test_odd_numbers_are_passed_over(entries):
    assert entries(risk(probabilityDecimal="x")) == ()
    assert entries(risk(probabilityDecimal=10**400)) == ()
    assert entries(risk(probabilityRange=3)) == ()
    assert entries({"resourceType": "Observation", "valueQuantity": [3]}) == ()
