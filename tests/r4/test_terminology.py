"""Which codes are in which value sets: R4's own, and some made for the purpose.

Spec: https://hl7.org/fhir/R4/valueset.html#compositions
"""

import pytest

from fhir_hub.r4.packages import Package
from fhir_hub.r4.terminology.engine import Terminology, own_terminology
from fhir_hub.r4.terminology.formal import FormalSource, is_unit
from fhir_hub.r4.terminology.sources import OwnSource, Shelf

GENDER = "http://hl7.org/fhir/administrative-gender"
ACTS = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
COLOURS = "http://a.example/colours"


def colours(**more):
    return {
        "resourceType": "CodeSystem",
        "url": COLOURS,
        "version": "1.0",
        "content": "complete",
        "hierarchyMeaning": "is-a",
        "concept": [
            {
                "code": "red",
                "display": "Red",
                "property": [{"code": "warm", "valueBoolean": True}],
                "concept": [
                    {"code": "scarlet", "display": "Scarlet"},
                    {"code": "ruby", "property": [{"code": "status", "valueCode": "retired"}]},
                ],
            },
            {"code": "blue", "display": "Blue", "concept": [{"code": "navy"}]},
        ],
        **more,
    }


def composed(include, *excludes, **more):
    """Return a value set of what is included, of the colours where no system is named."""
    compose = {"include": [{"system": COLOURS, **include}], **more}
    if excludes:
        compose["exclude"] = [{"system": COLOURS, **one} for one in excludes]
    return {"resourceType": "ValueSet", "url": "http://a.example/some", "compose": compose}


def terminology(*resources) -> Terminology:
    return Terminology([Shelf(resources), FormalSource(), OwnSource(Package())])


def members(value_set, system=None):
    known = terminology(system or colours(), value_set)
    codes = ("red", "scarlet", "ruby", "blue", "navy", "green")
    return {code for code in codes if known.contains(value_set["url"], COLOURS, code)}


@pytest.fixture(scope="module")
def own() -> Terminology:
    return own_terminology()


@pytest.mark.parametrize(
    ("value_set", "system", "code", "answer"),
    [
        ("http://hl7.org/fhir/ValueSet/administrative-gender", GENDER, "male", True),
        ("http://hl7.org/fhir/ValueSet/administrative-gender", "", "male", True),
        ("http://hl7.org/fhir/ValueSet/administrative-gender", GENDER, "Male", False),
        ("http://hl7.org/fhir/ValueSet/administrative-gender", "http://b.example", "male", False),
        ("http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1", GENDER, "male", True),
        ("http://hl7.org/fhir/ValueSet/administrative-gender|9", GENDER, "male", None),
        ("http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", ACTS, "AMB", True),
        ("http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", ACTS, "_ActAccountCode", False),
        ("http://hl7.org/fhir/ValueSet/languages", "urn:ietf:bcp:47", "zh", True),
        ("http://hl7.org/fhir/ValueSet/all-languages", "urn:ietf:bcp:47", "zh-Hans-CN", True),
        ("http://hl7.org/fhir/ValueSet/all-languages", "urn:ietf:bcp:47", "chinese!", False),
        ("http://hl7.org/fhir/ValueSet/mimetypes", "", "application/fhir+json; a=b", True),
        ("http://hl7.org/fhir/ValueSet/mimetypes", "", "pdf", False),
        ("http://hl7.org/fhir/ValueSet/currencies", "urn:iso:std:iso:4217", "CNY", True),
        ("http://hl7.org/fhir/ValueSet/currencies", "urn:iso:std:iso:4217", "RMB", False),
        ("http://hl7.org/fhir/ValueSet/iso3166-1-2", "urn:iso:std:iso:3166", "CN", True),
        ("http://hl7.org/fhir/ValueSet/observation-codes", "http://loinc.org", "718-7", None),
        ("http://hl7.org/fhir/ValueSet/observation-codes", GENDER, "male", False),
        ("http://a.example/nowhere", GENDER, "male", None),
    ],
)
def test_r4s_own_value_sets_say_yes_no_or_unknown(own, value_set, system, code, answer):
    assert own.contains(value_set, system, code) is answer


@pytest.mark.parametrize(
    ("include", "found"),
    [
        pytest.param({}, {"red", "scarlet", "ruby", "blue", "navy"}, id="all"),
        pytest.param({"concept": [{"code": "navy"}]}, {"navy"}, id="listed"),
        pytest.param({"concept": [{"code": "green"}]}, set(), id="listed and unknown"),
        ("is-a red", {"red", "scarlet", "ruby"}),
        ("descendent-of red", {"scarlet", "ruby"}),
        ("is-not-a red", {"blue", "navy"}),
        ("generalizes navy", {"blue", "navy"}),
        ("= red", {"red"}),
        ("in red, navy", {"red", "navy"}),
        ("not-in red,navy", {"scarlet", "ruby", "blue"}),
        ("regex [rb].*e?[dey]", {"red", "ruby", "blue"}),
        ("exists true", {"red", "scarlet", "ruby", "blue", "navy"}),
        ("child-of blue", {"navy"}),
    ],
)
def test_an_include_takes_what_it_lists_or_filters(include, found):
    if isinstance(include, str):
        operator, _, value = include.partition(" ")
        include = {"filter": [{"property": "concept", "op": operator, "value": value}]}

    assert members(composed(include)) == found


@pytest.mark.parametrize(
    ("name", "operator", "value", "found"),
    [
        ("warm", "=", "true", {"red"}),
        ("warm", "exists", "false", {"scarlet", "ruby", "blue", "navy"}),
        ("status", "in", "retired,draft", {"ruby"}),
        ("display", "regex", "(Sc)?[a-z]*let", {"scarlet"}),
        ("parent", "=", "blue", {"navy"}),
        ("inactive", "=", "true", {"ruby"}),
    ],
)
def test_a_filter_reads_properties_and_names(name, operator, value, found):
    row = {"property": name, "op": operator, "value": value}

    assert members(composed({"filter": [row]})) == found


def test_excludes_and_inactive_codes_are_taken_away():
    everything = {"red", "scarlet", "ruby", "blue", "navy"}

    assert members(composed({}, {"concept": [{"code": "red"}]})) == everything - {"red"}
    assert members(composed({}, inactive=False)) == everything - {"ruby"}


def test_an_import_must_hold_too_and_a_circle_decides_nothing():
    reds = composed({"filter": [{"property": "concept", "op": "is-a", "value": "red"}]})
    both = composed({"valueSet": [reds["url"]], "concept": [{"code": "red"}, {"code": "blue"}]})
    both["url"] = "http://a.example/both"
    circle = {"resourceType": "ValueSet", "url": "http://a.example/circle"}
    circle["compose"] = {"include": [{"valueSet": ["http://a.example/circle"]}]}
    known = terminology(colours(), reds, both, circle)

    assert known.contains(both["url"], COLOURS, "red") is True
    assert known.contains(both["url"], COLOURS, "blue") is False
    assert known.contains("http://a.example/circle", COLOURS, "red") is None


def test_a_fragment_and_a_faulty_filter_leave_it_open():
    fragment = composed({})
    faulty = composed({"filter": [{"property": "concept", "op": "regex", "value": "(?=a)"}]})

    known = terminology(colours(content="fragment"), fragment)
    assert known.contains(fragment["url"], COLOURS, "red") is True
    assert known.contains(fragment["url"], COLOURS, "green") is None
    assert terminology(colours(), faulty).contains(faulty["url"], COLOURS, "red") is None


def test_case_matters_only_where_the_system_says_so():
    whole = composed({})

    assert terminology(colours(), whole).contains(whole["url"], COLOURS, "RED") is False
    ignoring = terminology(colours(caseSensitive=False), whole)
    assert ignoring.contains(whole["url"], COLOURS, "RED") is True


def test_the_newest_version_is_meant_unless_one_is_named():
    newer = colours(version="1.10", concept=[{"code": "green"}])
    open_, fixed, pattern = (composed(row) for row in ({}, {"version": "1.0"}, {"version": "1.x"}))
    for number, value_set in enumerate((open_, fixed, pattern)):
        value_set["url"] += str(number)
    known = terminology(colours(), newer, open_, fixed, pattern)

    assert known.contains(open_["url"], COLOURS, "green") is True
    assert known.contains(fixed["url"], COLOURS, "green") is False
    assert known.contains(pattern["url"], COLOURS, "green") is True


def test_the_hierarchy_is_walked_both_ways(own):
    assert list(own.below(ACTS, "_ActEncounterCode"))[:3] == ["_ActEncounterCode", "AMB", "EMER"]
    assert "_ActEncounterCode" in list(own.above(ACTS, "AMB"))
    assert own.below("http://b.example", "x") is None
    assert own.subsumes(ACTS, "_ActEncounterCode", "AMB") == "subsumes"
    assert own.subsumes(ACTS, "AMB", "_ActEncounterCode") == "subsumed-by"


@pytest.mark.parametrize(
    "code", ["mm[Hg]", "10*9/L", "{score}", "[pH]", "dB", "[Btu_m]/h", "1/{a}"]
)
def test_a_unit_of_ucum_is_known_by_its_form(code):
    assert is_unit(code)


@pytest.mark.parametrize("code", ["mmHg", "毫克", "kgs", "", "mg/", "{open"])
def test_what_is_no_unit_is_refused(code):
    assert not is_unit(code)
