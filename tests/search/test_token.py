"""Token parameters.

Spec: https://hl7.org/fhir/R4/search.html#token
"""

import pytest
from searching import find

from fhir_hub.errors import InvalidParameter, UnknownParameter
from fhir_hub.search.entry import Entry

RESIDENT_ID = "urn:oid:2.16.156.10011.1.3"
ALIAS = "urn:oid:2.16.840.1.113883.2.23.1.19.1"
LOINC = "http://loinc.org"


def coded(*codings, text=None):
    concept = {"coding": [{"system": s, "code": c} if s else {"code": c} for s, c in codings]}
    return {"resourceType": "Observation", "code": concept | ({"text": text} if text else {})}


OBSERVATIONS = [
    coded((LOINC, "4548-4"), ("urn:local", "HbA1c")),
    coded(("urn:local", "4548-4")),
    coded(("", "4548-4")),
    {"resourceType": "Observation", "code": {"text": "HbA1c"}},
    {"resourceType": "Observation"},
    coded((LOINC, "a,b|c$d\\e")),
]
PATIENTS = [
    {
        "resourceType": "Patient",
        "gender": "male",
        "active": True,
        "identifier": [{"system": RESIDENT_ID, "value": "31X"}],
        "telecom": [{"system": "phone", "value": "+86 138-0013-8000"}],
        "deceasedDateTime": "2024",
        "meta": {"tag": [{"system": "urn:t", "code": "demo"}], "profile": ["urn:p"]},
    },
    {
        "resourceType": "Patient",
        "gender": "female",
        "active": False,
        "identifier": [{"system": ALIAS, "value": "32"}, {"value": "33"}],
        "telecom": [
            {"system": "email", "value": "Li@example.org"},
            {"system": "phone", "value": "02159720000-8012"},
            {"system": "phone"},
        ],
        "deceasedBoolean": True,
    },
    {"resourceType": "Patient", "deceasedBoolean": False, "active": "yes"},
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("code=4548-4", "123"),
        ("code=http://loinc.org|4548-4", "1"),
        ("code=|4548-4", "3"),
        ("code=http://loinc.org|", "16"),
        ("code=HbA1c", "1"),
        ("code=hba1c", ""),
        ("code=HbA1c,urn:local|4548-4", "12"),
        ("code=4548-4&code=HbA1c", "1"),
        ("code:not=4548-4", "456"),
        ("code:not=4548-4,HbA1c", "456"),
        ("code:missing=true", "5"),
        ("code:missing=false", "12346"),
        (r"code=a\,b\|c\$d\\e", "6"),
        (r"code=http://loinc.org|a\,b\|c\$d\\e", "6"),
        ("combo-code=4548-4", "123"),
        ("combo-code:not=4548-4", "456"),
        ("combo-code:missing=true", "5"),
    ],
)
def test_codes_are_found(find, query, expected):
    assert "".join(find(OBSERVATIONS, f"Observation?{query}")) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("gender=male", "1"),
        ("gender=http://hl7.org/fhir/administrative-gender|male", "1"),
        ("gender=http://hl7.org/fhir/administrative-gender|", "12"),
        ("gender=|male", "1"),
        ("gender=urn:other|male", ""),
        ("gender:missing=true", "3"),
        ("active=true", "1"),
        ("active=false", "2"),
        ("active:missing=true", "3"),
        ("deceased=true", "12"),
        ("deceased=false", "3"),
        (f"identifier={RESIDENT_ID}|31X", "1"),
        (f"identifier={ALIAS}|31X", "1"),
        (f"identifier={RESIDENT_ID}|32", "2"),
        (f"identifier={ALIAS}|", "12"),
        ("identifier=|33", "2"),
        ("identifier=|32", ""),
        ("identifier=33,31X", "12"),
        ("phone=13800138000", "1"),
        ("phone=%2B86 138-0013-8000", "1"),
        ("phone=+86 138 0013 8000", "1"),
        ("phone=008613800138000", "1"),
        ("phone=1380013", ""),
        ("telecom=13800138000", "1"),
        ("phone=021-59720000", "2"),
        ("phone=02159720000-8012", "2"),
        ("phone=8012", ""),
        ("email=Li@example.org", "2"),
        ("_tag=urn:t|demo", "1"),
        ("_tag=demo&_profile=urn:p", "1"),
        ("_tag:not=demo", "23"),
    ],
)
def test_other_values_are_tokens_too(find, query, expected):
    assert "".join(find(PATIENTS, f"Patient?{query}")) == expected


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("code=", InvalidParameter),
        ("code=a,", InvalidParameter),
        ("code=,", InvalidParameter),
        ("code=|", InvalidParameter),
        ("code=a|b|c", InvalidParameter),
        ("code:missing=maybe", InvalidParameter),
        ("code:missing=", InvalidParameter),
        ("code:in=urn:v", InvalidParameter),
        ("code:text= ", InvalidParameter),
        ("code:of-type=urn:t|MR|1", UnknownParameter),
        ("status:text=x", UnknownParameter),
        ("identifier:of-type=urn:t|MR", InvalidParameter),
        ("identifier:of-type=urn:t||1", InvalidParameter),
        ("code:exact=x", UnknownParameter),
        ("code:=x", UnknownParameter),
        ("code=" + ",".join(["x"] * 4001), InvalidParameter),
    ],
)
def test_what_is_no_token_is_refused_by_name(read, query, error):
    with pytest.raises(error, match=r"^(code|status|identifier)") as raised:
        read(f"Observation?{query}")
    assert "urn:v" not in str(raised.value)


def test_a_modifier_is_refused_with_those_that_there_are(read):
    with pytest.raises(
        UnknownParameter, match=r":of-type is not supported; there are :not, :text, :in, "
    ):
        read("Observation?code:of-type=x")
    with pytest.raises(
        UnknownParameter, match=r":nto is not known; there are :not, :text, .*:above, :missing"
    ):
        read("Observation?code:nto=x")


def test_a_code_of_an_element_keeps_no_system(entries):
    found = entries({"resourceType": "Person", "gender": "male", "language": "zh"})
    assert found == (Entry("gender", "token", "male"),)


def test_odd_values_are_passed_over(entries):
    odd = {"resourceType": "Patient", "gender": 1, "active": 1, "identifier": ["x", {}, None]}
    odd |= {
        "telecom": "x",
        "deceasedBoolean": "x",
        "communication": [{"language": {"coding": [1]}}],
    }
    assert entries(odd) == (Entry("deceased", "token", "true"),)


TYPED = {
    "resourceType": "Patient",
    "identifier": [
        {
            "type": {"coding": [{"system": "urn:t", "code": "MR"}], "text": "Medical record"},
            "system": "urn:h",
            "value": "12",
        },
        {"type": {"coding": [{"system": "urn:t", "code": "RI"}]}, "value": "34"},
    ],
    "maritalStatus": {"coding": [{"code": "M", "display": "已婚"}], "text": "Ｍarried"},
}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("identifier:of-type=urn:t|MR|12", True),
        ("identifier:of-type=urn:t|MR|34", False),
        ("identifier:of-type=urn:t|RI|34", True),
        ("identifier:of-type=urn:x|MR|12", False),
        ("identifier:text=medical", True),
        ("identifier:text=record", False),
    ],
)
def test_an_identifier_is_found_by_its_type(query, found):
    assert find([TYPED], f"Patient?{query}") == (["1"] if found else [])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("code:text=glucose", True),
        ("code:text=GLUC", True),
        ("code:text=血糖", True),
        ("code:text=ose", False),
        ("subject:text=沈", True),
        ("subject:text=王", False),
    ],
)
def test_codes_and_references_are_found_by_the_text_beside_them(query, found):
    observation = {
        "resourceType": "Observation",
        "code": {"coding": [{"code": "1", "display": "Glucose"}], "text": "血糖"},
        "subject": {"display": "沈桂芳"},
    }
    assert find([observation], f"Observation?{query}") == (["1"] if found else [])


def test_what_is_in_a_list_is_found_by_its_id():
    patients = [{"resourceType": "Patient", "id": one} for one in "abc"]
    listed = [{"item": {"reference": f"Patient/{one}"}} for one in "ac"]
    resources = [*patients, {"resourceType": "List", "id": "l", "entry": listed}]

    assert find(resources, "Patient?_list=l") == ["a", "c"]
    assert find(resources, "Patient?_list=l,m&_id=c") == ["c"]
    assert find(resources, "Patient?_list=m") == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("Patient?gender=femal", "did you mean female"),
        ("Patient?gender=Female", "did you mean female"),
        ("Patient?gender=男", "there are female, male, other, unknown"),
        ("Patient?gender=male,femal", "did you mean female"),
        ("Patient?gender:not=femal", "did you mean female"),
        ("Patient?gender=http://hl7.org/fhir/administrative-gender|femal", "did you mean female"),
        ("Patient?address-use=hom", "did you mean home"),
        ("Patient?_filter=gender eq femal", "did you mean female"),
        ("Patient?_has:Observation:patient:status=finall", "did you mean final"),
        ("Observation?patient.gender=femal", "did you mean female"),
        ("Observation?status=finall", "did you mean final"),
        ("Encounter?status=in_progress", "did you mean in-progress"),
    ],
)
def test_a_code_that_its_element_cannot_have_is_refused(find, query, said):
    with pytest.raises(InvalidParameter, match=said):
        find(PATIENTS, query)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Patient?gender=http://hl7.org/fhir/administrative-gender|", "12"),
        ("Patient?gender=|male", "1"),
        ("Patient?gender=other", ""),
        ("Patient?gender:missing=false", "12"),
        ("Observation?category=lab", ""),  # of a preferred binding any code may stand
        ("Patient?language=zh-Hans-CN", ""),  # a concept
        ("DocumentReference?contenttype=image/x-unheard", ""),  # nobody can list all MIME types
    ],
)
def test_a_code_that_may_stand_there_is_at_worst_not_found(find, query, expected):
    assert "".join(find(PATIENTS, query)) == expected


VISIT = {"resourceType": "Encounter", "id": "e", "status": "finished"}
RESULT = {"resourceType": "Observation", "id": "o", "status": "final"}
WITNESSES = [
    VISIT,
    RESULT,
    *(
        {"resourceType": "Provenance", "target": [{"reference": address}]}
        for address in ("Encounter/e", "Observation/o")
    ),
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?_type=Observation,Encounter&status=finished", "e"),
        ("?_type=Observation,Encounter&status=finished,final", "eo"),
        ("?_type=Observation,Encounter&status:not=final", "e"),
        ("?_type=Observation,Encounter&_filter=status eq finished or status eq final", "eo"),
        ("Provenance?target.status=finished,final", "34"),
        ("Provenance?target.status:not=finished", "4"),
        ("Provenance?_filter=target.status ne finished", "4"),
        ("Provenance?target:Observation.status=final", "4"),
    ],
)
def test_a_code_that_one_of_several_types_can_have_is_asked_of_all(find, query, expected):
    assert "".join(find(WITNESSES, query)) == expected


@pytest.mark.parametrize(
    "query",
    [
        "?_type=Observation,Encounter&status=finished,finall",
        "?_type=Observation,Encounter&_filter=status eq finall",
        "Provenance?target.status=finished,finall",
        "Provenance?target.status:not=finall",
        "Provenance?target:Observation.status=finall",
    ],
)
def test_a_code_that_none_of_several_types_can_have_is_refused(find, query):
    with pytest.raises(InvalidParameter, match=r"status: R4 has no such code here; did you mean"):
        find(WITNESSES, query)
