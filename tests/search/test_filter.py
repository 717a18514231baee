"""`_filter`: comparisons of paths, joined by and, or, not and brackets.

Spec: https://hl7.org/fhir/R4/search_filter.html
"""

import pytest

from fhir_hub.errors import InvalidParameter, UnknownParameter

UCUM = "http://unitsofmeasure.org"


def patient(number, name, gender, birth_date, **more):
    return {
        "resourceType": "Patient",
        "id": str(number),
        "name": name,
        "gender": gender,
        "birthDate": birth_date,
        **more,
    }


def observation(number, subject, code, value, date):
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "subject": {"reference": f"Patient/{subject}"},
        "code": {"coding": [{"system": "http://loinc.org", "code": code}], "text": f"Test {code}"},
        "valueQuantity": {"value": value, "unit": "mg", "system": UCUM, "code": "mg"},
        "effectivePeriod": {"start": date, "end": "2025-12-31"},
    }


WORLD = [
    patient(1, [{"text": "沈桂芳", "family": "沈", "given": ["桂芳"]}], "female", "1953-04-12"),
    patient(2, [{"family": "Peterson", "given": ["Anna", "Maria"]}], "female", "1990"),
    patient(3, [{"family": "Pet, \\er", "given": ["Jo"]}], "male", "1970-01-01", active=True),
    {"resourceType": "Patient", "id": "4"},
    observation(1, 1, "a1", 5, "2025-03-10"),
    observation(2, 2, "b2", 9800, "2025-06-01"),
    {"resourceType": "ValueSet", "id": "v1", "url": "http://a/b", "status": "active"},
    {"resourceType": "ValueSet", "id": "v2", "url": "http://a/c", "status": "draft"},
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('given eq "anna"', "2"),
        ("given eq ANN", ""),
        ("given sw ann", "2"),
        ("family co PET", "2 3"),
        ("family ew son", "2"),
        ('family eq "Pet, \\\\er"', "3"),
        ("name eq 沈桂芳", "1"),
        ("name eq shenguifang", "1"),
        ("name ne 沈桂芳", "1 2 3"),
        ("given ne anna", "1 2 3"),
        ("family ne 沈", "2 3"),
        ("gender eq female", "1 2"),
        ("gender ne female", "3"),
        ("not (gender eq female)", "3 4"),
        ("gender eq http://hl7.org/fhir/administrative-gender|male", "3"),
        ("gender sw fe", "1 2"),
        ("gender ew male", "1 2 3"),
        ("gender co ema", "1 2"),
        ("gender pr true", "1 2 3"),
        ("gender pr false", "4"),
        ("birthdate ge 1970", "2 3"),
        ("birthdate ne 1953-04", "2 3"),
        ("birthdate eq 1953", "1"),
        ("birthdate po 1953-04-12T10:00:00%2B08:00", "1"),
        ("birthdate ap 1954", "1"),
        ("birthdate sa 1953 and birthdate eb 1990", "3"),
        ("_id eq 1 or _id eq 4", "1 4"),
        ("_id ne 1", "2 3 4"),
        ("_lastUpdated lt 2030", "1 2 3 4"),
        # from left to right, and brackets
        ("gender eq male or gender eq female and birthdate lt 1960", "1"),
        ("gender eq male or (gender eq female and birthdate lt 1960)", "1 3"),
        ("gender eq female and not(birthdate lt 1960) and given pr true", "2"),
        ("(gender eq female)and(given eq anna)", "2"),
        ("_has:Observation:patient:code eq a1", "1"),
        ("_has:Observation:subject:value-quantity gt 9.7|http://unitsofmeasure.org|g", "2"),
    ],
)
def test_patients_are_found(find, query, expected):
    assert " ".join(find(WORLD, f"Patient?_filter={query}")) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("subject re Patient/1", "o1"),
        ("subject eq Patient/1", "o1"),
        ("subject ne Patient/1", "o2"),
        ("subject re http://hub.test/fhir/Patient/2", "o2"),
        ('subject.name co "pet"', "o2"),
        ("subject:Patient.name sw 沈", "o1"),
        ("subject[gender eq female].birthdate lt 1960", "o1"),
        ("subject[gender eq female and birthdate lt 1960].name co pet", ""),
        ("subject[gender eq female].name co pet or code eq a1", "o1 o2"),
        ("value-quantity gt 9.7|http://unitsofmeasure.org|g", "o2"),
        ("value-quantity lt 6", "o1"),
        ("value-quantity ne 5", "o2"),
        ("value-quantity ap 5.2||mg", "o1"),
        ("date po 2025-05", "o1"),
        ("date po 2024", ""),
        ("date po 2026", ""),
        ("date sa 2025-04", "o2"),
        ("code-value-quantity eq a1$5", "o1"),
        ("code eq http://loinc.org|b2", "o2"),
        ("code ne a1", "o2"),
    ],
)
def test_observations_are_found(find, query, expected):
    assert " ".join(find(WORLD, f"Observation?_filter={query}")) == expected


def test_addresses_are_compared_as_they_are(find):
    assert find(WORLD, "ValueSet?_filter=url eq http://a/b") == ["v1"]
    assert find(WORLD, "ValueSet?_filter=url ne http://a/b") == ["v2"]
    assert find(WORLD, 'ValueSet?_filter=url sw "http://a"') == ["v1", "v2"]
    assert find(WORLD, "ValueSet?_filter=url ew /c") == ["v2"]


def test_a_filter_is_and_with_the_other_parameters(find):
    assert find(WORLD, "Patient?gender=female&_filter=birthdate gt 1960&_filter=given pr true") == [
        "2"
    ]
    assert find(WORLD, "?_filter=_id eq o1 or _id eq v1") == ["o1", "v1"]


@pytest.mark.parametrize(
    ("query", "error", "named"),
    [
        ("", InvalidParameter, "_filter"),
        ("name", InvalidParameter, "an operator, as in name co pet, at character 5"),
        ("name co", InvalidParameter, "expected a value at character 8"),
        ('name co "', InvalidParameter, "expected a value at character 9"),
        ('name co "\\x"', InvalidParameter, "JSON"),
        ("name co a b", InvalidParameter, "expected and, or, or the end at character 11"),
        ("name co a and", InvalidParameter, "the name of a search parameter"),
        ("(name co a", InvalidParameter, "expected \\)"),
        ("not name co a", InvalidParameter, "expected \\( after not"),
        ("name like a", UnknownParameter, "there are eq, ne, co"),
        ("nmae co a", UnknownParameter, "did you mean name"),
        ("birthdate co 19", UnknownParameter, "co is not for a date; there are eq, ne, gt"),
        ("name gt a", UnknownParameter, "gt is not for a string"),
        ("name po 2024", UnknownParameter, "po is not for a string"),
        ("birthdate ge yesterday", InvalidParameter, "birthdate"),
        ("gender pr maybe", InvalidParameter, "true or false"),
        ("name:exact eq a", UnknownParameter, "takes the place of a modifier"),
        ("organization.nmae eq a", UnknownParameter, "did you mean name"),
        ("name[family eq a].given eq b", UnknownParameter, "name is no reference"),
        ("organization[name eq a] eq b", InvalidParameter, "after the brackets a path goes on"),
        ("(" * 30 + "name eq a" + ")" * 30, InvalidParameter, "brackets in each other"),
        ("name eq a" + " and name eq a" * 1000, InvalidParameter, "at most 10000 characters"),
        ('name eq ""', InvalidParameter, "name has no value"),
    ],
)
def test_what_is_no_filter_is_refused_with_its_place(read, query, error, named):
    with pytest.raises(error, match=named):
        read(f"Patient?_filter={query}")


def test_a_filter_stands_by_itself(read):
    for query in ("Observation?subject._filter=name eq a", "Patient?_filter:not=name eq a"):
        with pytest.raises(UnknownParameter, match="stands by itself"):
            read(query)
