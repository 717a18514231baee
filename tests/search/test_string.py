"""String parameters.

Spec: https://hl7.org/fhir/R4/search.html#string
"""

import pytest

from fhir_hub.errors import InvalidParameter, UnknownParameter


def named(**name):
    return {"resourceType": "Patient", "name": [name]}


PATIENTS = [
    named(text="沈桂芳", family="沈", given=["桂芳"]),
    named(family="沈", given=["桂", "芳"]),
    named(family="Müller", given=["Jörg", "Élan"], prefix=["Dr."]),
    named(text="  ＷＡＮＧ   Xiao-Ming "),
    named(text="古丽娜尔•艾山"),
    named(text="沈 一"),
    named(text="王䶮"),
    {"resourceType": "Patient"},
    {
        "resourceType": "Patient",
        "address": [
            {"text": "青浦区", "line": ["公园路 100 号"], "city": "上海", "postalCode": "201700"}
        ],
    },
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("name=沈", "126"),
        ("name=沈桂芳", "12"),
        ("name=沈 桂芳", "12"),
        ("name=桂", "12"),
        ("name=桂芳", "1"),
        ("name=沈一", "6"),
        ("name=王䶮", "7"),
        ("name=muller", "3"),
        ("name=MÜLLER", "3"),
        ("name=jorg elan mul", "3"),
        ("name=dr", "3"),
        ("name=wang xiao", "4"),
        ("name=ｗａｎｇ", "47"),
        ("name=xiao", ""),
        ("name=shen", "126"),
        ("name=SHEN", "126"),
        ("name=sgf", "12"),
        ("name=shenguifang", "12"),
        ("name=Shen Guifang", "12"),
        ("name=shen gui fang", "12"),
        ("name:contains=guifang", "12"),
        ("family=shen", "12"),
        ("given=gui", "12"),
        ("name:exact=shen", ""),
        ("name:contains=xiao", "4"),
        ("name:contains=芳", "12"),
        ("name=古丽娜尔·艾", "5"),
        ("name:exact=沈", "12"),
        ("name:exact=沈桂", ""),
        ("name:exact=Müller", "3"),
        ("name:exact=muller", ""),
        ("name:exact=沈 一", "6"),
        ("name:exact=沈一", ""),
        ("name=沈,王", "1267"),
        ("name=沈&name=芳", "2"),
        ("name:missing=true", "89"),
        ("family=沈", "12"),
        ("family=muller&given=elan", "3"),
        ("family:missing=false", "123"),
        ("phonetic=沈桂芳", "12"),
        ("address=青浦", "9"),
        ("address=公园路 100号", "9"),
        ("address=2017", "9"),
        ("address-city=上海", "9"),
    ],
)
def test_texts_are_found_by_their_start(find, query, expected):
    assert "".join(find(PATIENTS, f"Patient?{query}")) == expected


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("name=", InvalidParameter),
        ("name= ", InvalidParameter),
        ("name:contains=%CC%81", InvalidParameter),
        ("name:exat=x", UnknownParameter),
        ("name:not=x", UnknownParameter),
        ("name:Patient=x", UnknownParameter),
    ],
)
def test_what_asks_for_no_text_is_refused(read, query, error):
    with pytest.raises(error, match=r"^name"):
        read(f"Patient?{query}")


def test_a_text_is_kept_as_written_beside_its_normal_form(entries):
    found = {(e.parameter, e.code, e.text) for e in entries(named(text="Ｗang  Li", family="é"))}
    assert found == {
        ("name", "wang li", "Ｗang  Li"),
        ("name", "e", "é"),
        ("deceased", "false", ""),
        ("family", "e", "é"),
    }


def test_odd_texts_are_passed_over(entries):
    odd = {"resourceType": "Patient", "name": ["x", {"given": "y", "family": 3}], "address": [1]}
    found = {(e.parameter, e.code) for e in entries(odd) if e.kind == "string"}
    assert found == {("name", "y"), ("given", "y")}
