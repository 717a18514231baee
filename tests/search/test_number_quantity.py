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


MASSES = [
    value("9800", unit="mg", code="mg"),
    value("9.8", unit="g", code="g"),
    value("0.0098", unit="kg", code="kg"),
    value("9.8", unit="g", code="g", system="urn:local"),
    value("9849", unit="mg", code="mg"),
    value("9850", unit="mg", code="mg"),
    value("10000", unit="mg", code="mg", comparator=">"),
    value("9.8", unit="mg", code="mg"),
    value("98", unit="mg/dL", code="mg/dL"),
    value("0.98", unit="g/L", code="g/L"),
    value("980", unit="mg/L", code="mg/L"),
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (f"9.8|{UCUM}|g", "1 2 3 5"),
        (f"9.80|{UCUM}|g", "1 2 3"),
        (f"9800|{UCUM}|mg", "1 2 3"),
        (f"0.0098|{UCUM}|kg", "1 2 3 5"),
        (f"ne9.8|{UCUM}|g", "6 7 8"),
        (f"gt9.8|{UCUM}|g", "5 6 7"),
        (f"ge9.8|{UCUM}|g", "1 2 3 5 6 7"),
        (f"lt9.8|{UCUM}|g", "8"),
        (f"le9.8|{UCUM}|g", "1 2 3 8"),
        (f"sa9.85|{UCUM}|g", "7"),
        (f"eb9.85|{UCUM}|g", "1 2 3 5 8"),
        (f"ap9|{UCUM}|g", "1 2 3 5 6"),
        (f"ap9000|{UCUM}|mg", "1 2 3 5 6"),
        ("9.8||g", "2 4"),
        ("9.8", "2 4 8"),
        (f"9.8|{UCUM}|", "2 8"),
        ("9.8|urn:local|g", "4"),
        (f"0.98|{UCUM}|g/L", "9 10 11"),
        (f"98|{UCUM}|mg/dL", "9 10 11"),
        (f"980|{UCUM}|ug/mL", "9 10 11"),
        (f"9.8|{UCUM}|mmol", ""),
        (f"9.8|{UCUM}|mcg", ""),
        (f"9.8|{UCUM}|g,98|{UCUM}|mg/dL", "1 2 3 5 9 10 11"),
    ],
)
def test_a_unit_of_ucum_finds_the_same_in_other_units(find, query, expected):
    assert " ".join(find(MASSES, f"Observation?value-quantity={query}")) == expected


def test_temperatures_are_found_across_scales(find):
    bodies = [value("98.6", code="[degF]"), value("37.0", code="Cel"), value("310.15", code="K")]
    assert find(bodies, f"Observation?value-quantity=37|{UCUM}|Cel") == ["1", "2", "3"]
    assert find(bodies, f"Observation?value-quantity=98.6|{UCUM}|[degF]") == ["1", "2", "3"]
    assert find(bodies, f"Observation?value-quantity=gt36.9|{UCUM}|Cel") == ["1", "2", "3"]
    assert find(bodies, f"Observation?value-quantity=gt37|{UCUM}|Cel") == []


def test_an_annotation_alone_is_compared_as_it_is_written(find):
    scores = [value("15", code="{score}"), value("15", code="{T-score}"), value("1500", code="%")]
    assert find(scores, f"Observation?value-quantity=15|{UCUM}|{{score}}") == ["1"]


def test_the_value_of_a_pair_is_converted_too(find):
    pairs = [
        {**value("9800", code="mg"), "code": {"coding": [{"code": code}]}} for code in ("a", "b")
    ]
    assert find(pairs, f"Observation?code-value-quantity=a$9.8|{UCUM}|g") == ["1"]
    assert find(pairs, f"Observation?combo-code-value-quantity=b$gt9|{UCUM}|g") == ["2"]
    assert find(pairs, "Observation?code-value-quantity=a$9.8||g") == []


def test_samples_and_ranges_are_converted(find):
    sampled = {
        "origin": {"value": 1, "system": UCUM, "code": "Pa"},
        "dimensions": 1,
        "data": "0 1332.22",
    }
    odd = [{"resourceType": "Observation", "valueSampledData": sampled}]
    assert find(odd, f"Observation?value-quantity=gt9|{UCUM}|mm[Hg]") == ["1"]
    assert find(odd, f"Observation?value-quantity=gt11|{UCUM}|mm[Hg]") == []
    age = {"value": 24, "code": "mo", "system": UCUM}
    ranged = [{"resourceType": "Condition", "onsetRange": {"low": age}}]
    assert find(ranged, f"Condition?onset-age=ge1.9|{UCUM}|a") == ["1"]


def test_the_units_of_most_results_need_no_further_entry(entries):
    for code in ("mmol/L", "mg/dL", "g/dL", "10*9/L", "mm[Hg]", "/min", "Cel", "%", "kg", "cm"):
        kinds = [e.kind for e in entries(value("1", code=code))]
        assert kinds.count("measure") == 0, code
    assert [e.kind for e in entries(value("1", code="ng/mL"))].count("measure") == 1


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
