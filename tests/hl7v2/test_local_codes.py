"""What a sender's own codes mean: ConceptMaps of a mappings folder at conversion.

Spec: https://hl7.org/fhir/R4/conceptmap.html; DESIGN 2a
"""

import json

import pytest
from conversion_parts import definitions, lines, only

from fhir_hub.hl7v2.conversion.convert import convert
from fhir_hub.hl7v2.maps.chinese import WRONG
from fhir_hub.hl7v2.maps.map_files import InvalidMapping
from fhir_hub.hl7v2.maps.mappings import load_mappings
from fhir_hub.hl7v2.parsing import er7
from fhir_hub.hl7v2.senders.local_codes import LocalCode, LocalCodes

LOCAL = "https://fhir-hub.example/CodeSystem/TEST01/local"
LOINC = "http://loinc.org"


def concept_map(*elements, **parts):
    group = {"source": LOCAL, "target": LOINC, "element": list(elements)}
    return {"resourceType": "ConceptMap", "status": "active", "group": [group], **parts}


def element(code, target="2951-2", equivalence="equivalent"):
    return {"code": code, "target": [{"code": target, "equivalence": equivalence}]}


def result(code, concept):
    return lines(
        "MSH|^~\\&|XIS|TEST01|HUB|QPRHP|20250315101500||ORU^R01|C1|P|2.4",
        "PID|1||T1^^^TEST01^PI||沈^桂芳",
        f"OBR|1||F1|X^X^LN\rOBX|1|NM|{code}||140|mmol/L|||||F||||||{concept}",
    )


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    (folder / "conceptmaps").mkdir()
    found = concept_map(
        element("NA1"), element("钠"), element("ISE"), element("CALC", "", "unmatched")
    )
    del found["group"][0]["element"][-1]["target"][0]["code"]
    (folder / "conceptmaps" / "lab.json").write_text(json.dumps(found), "utf-8")
    return load_mappings(definitions(), [folder])


def observed(maps, code, concept=""):
    conversion = convert(er7.parse(result(code, concept)), maps)
    return only(conversion, "Observation"), conversion.local_codes


def test_the_standard_code_stands_behind_the_senders_own(maps):
    for _ in range(2):  # made, and remembered
        found, unknown = observed(maps, "NA1^钠^L")
        assert found["code"]["coding"] == [
            {"system": LOCAL, "code": "NA1", "display": "钠", "userSelected": True},
            {"system": LOINC, "code": "2951-2"},
        ]
        assert unknown == ()


def test_a_result_with_only_a_name_is_mapped_by_it(maps):
    found, unknown = observed(maps, "^钠")
    assert (found["code"]["coding"], unknown) == ([{"system": LOINC, "code": "2951-2"}], ())
    assert observed(maps, "^镁")[1] == (LocalCode(LOCAL, "镁", "镁", "OBX-3"),)


def test_a_code_that_has_no_standard_one_is_not_asked_about(maps):
    assert observed(maps, "2951-2^Na^LN", "CALC")[1] == ()
    assert observed(maps, "2951-2^Na^LN", "HAND")[1] == (LocalCode(LOCAL, "HAND", "", "OBX-17"),)


def test_every_coded_element_is_mapped(maps):
    method = observed(maps, "2951-2^Na^LN", "ISE")[0]["method"]
    assert [one["code"] for one in method["coding"]] == ["ISE", "2951-2"]


def test_a_code_beside_a_standard_one_is_no_task_and_counts_once_a_message(maps):
    assert observed(maps, "NA2^钠^L^2951-2^Na^LN")[1] == ()
    both = LocalCode(LOCAL, "NA2", "钠", "OBX-3 OBX-17")
    assert observed(maps, "NA2^钠^L", "NA2^x^L")[1] == (both,)


def test_local_codes_are_no_issues_of_a_report(maps):
    assert convert(er7.parse(result("NA2^钠^L", "")), maps).report.issues() == []


@pytest.mark.parametrize(
    ("equivalence", "is_true"),
    [
        *(("equal", True), ("equivalent", True), ("wider", True)),
        *(("narrower", False), ("inexact", False), ("relatedto", False)),
    ],
)
def test_only_what_is_true_of_the_code_is_added(equivalence, is_true):
    known = LocalCodes([concept_map(element("A", "B", equivalence))])
    assert known.of(LOCAL, "A") == (({"system": LOINC, "code": "B"},) if is_true else None)


def test_a_group_without_target_says_what_has_no_standard_code_and_nothing_else():
    found = concept_map(element("A", "B"), {"code": "N", "target": [{"equivalence": "unmatched"}]})
    del found["group"][0]["target"]
    known = LocalCodes([found])
    assert (known.of(LOCAL, "A"), known.of(LOCAL, "N")) == (None, ())


def test_the_last_map_counts():
    first, second = concept_map(element("A", "B")), concept_map(element("A", "C"))
    assert LocalCodes([first, second]).of(LOCAL, "A") == ({"system": LOINC, "code": "C"},)


@pytest.mark.parametrize(
    "said",
    [
        *({"status": status} for status in ("draft", "retired", "unknown")),
        {"experimental": True},
    ],
)
def test_a_map_that_is_not_in_use_says_nothing_and_the_one_before_holds(said):
    first, second = concept_map(element("A", "B")), concept_map(element("A", "C"), **said)
    assert LocalCodes([first, second]).of(LOCAL, "A")[0]["code"] == "B"
    assert LocalCodes([second]).of(LOCAL, "A") is None


@pytest.mark.parametrize(
    "conditional",
    [
        {"dependsOn": [{"property": "urn:specimen", "value": "urine"}]},
        {"product": [{"property": "urn:specimen", "value": "urine"}]},
    ],
)
def test_what_holds_under_a_condition_or_with_another_code_is_not_added(conditional):
    found = element("A", "B")
    found["target"][0] |= conditional
    assert LocalCodes([concept_map(found)]).of(LOCAL, "A") is None


NATIONAL = "urn:oid:2.16.156.10011.2.3.1.1"


def of_two_systems(first, second):
    """Return a map with a group for LOINC and one for a national list."""
    found = concept_map(first)
    found["group"].append({"source": LOCAL, "target": NATIONAL, "element": [second]})
    return found


def test_each_group_of_a_map_says_what_a_code_is_in_its_system():
    none = {"code": "A", "target": [{"equivalence": "unmatched"}]}
    both = [{"system": LOINC, "code": "B"}, {"system": NATIONAL, "code": "N1"}]
    assert [
        *LocalCodes([of_two_systems(element("A", "B"), element("A", "N1"))]).of(LOCAL, "A")
    ] == both
    for found in (
        of_two_systems(element("A", "B"), none),
        of_two_systems(none, element("A", "N1")),
    ):
        assert len(LocalCodes([found]).of(LOCAL, "A")) == 1


def test_a_later_map_to_another_system_leaves_what_is_said_of_the_first():
    loinc, national = concept_map(element("A", "B")), concept_map(element("A", "N1"))
    national["group"][0]["target"] = NATIONAL
    for known in (
        LocalCodes([loinc, national]),
        LocalCodes([loinc]).joined(LocalCodes([national])),
    ):
        assert [one["code"] for one in known.of(LOCAL, "A")] == ["B", "N1"]
    none = concept_map({"code": "A", "target": [{"equivalence": "unmatched"}]})
    del none["group"][0]["target"]
    assert LocalCodes([loinc, national, none]).of(LOCAL, "A") == ()
    assert LocalCodes([none]).joined(LocalCodes([loinc])).of(LOCAL, "A") == (
        {"system": LOINC, "code": "B"},
    )


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("{", "conceptmaps/lab.json: no JSON"),
        ('{"resourceType": "Patient"}', "conceptmaps/lab.json: no ConceptMap"),
        (json.dumps(concept_map({"code": "A", "target": [{"code": "B"}]})), "equivalence"),
        (
            json.dumps(concept_map({"code": "A", "target": [{"equivalence": "narrower"}]})),
            "cmd-1",
        ),
    ],
)
def test_a_concept_map_with_a_mistake_is_told_with_its_place(tmp_path, written, told):
    (tmp_path / "conceptmaps").mkdir()
    (tmp_path / "conceptmaps" / "lab.json").write_text(written)
    with pytest.raises(InvalidMapping) as caught:
        load_mappings(definitions(), [tmp_path])
    assert caught.value.problems[0].startswith("conceptmaps/lab.json")
    assert told in caught.value.problems[0]
    assert " / " in caught.value.problems[0]
    assert not caught.value.problems[0].endswith(WRONG)


# Elements that have only R4's own codes, or room for one coding

SEVERITY = "http://hl7.org/fhir/reaction-event-severity"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
FEED = lines(
    "MSH|^~\\&|XIS|TEST01|HUB|QPRHP|20250315101500||ADT^A01|C1|P|2.5",
    "PID|1||T1^^^TEST01^PI||沈^桂芳||19530412|甲",
    "PV1|1|RJ^某类^L|||||||||||||||||V1",
    "AL1|1|DA|QMS^青霉素^L|GZ^过重^L|皮疹",
)


def fed(**meant):
    """Return the conversion of the feed where a map says of local codes (system, code)."""
    maps = load_mappings(definitions())
    groups = [
        {"source": LOCAL, "target": system, "element": [element(code, target)]}
        for code, (system, target) in meant.items()
    ]
    maps.learn([{"resourceType": "ConceptMap", "status": "active", "group": groups}])
    return convert(er7.parse(FEED), maps)


def test_a_code_that_r4_has_no_room_for_is_a_task_and_is_kept():
    conversion = fed()

    assert {(one.code, one.display, one.field) for one in conversion.local_codes} == {
        *(("甲", "", "PID-8"), ("RJ", "某类", "PV1-2")),
        *(("QMS", "青霉素", "AL1-3"), ("GZ", "过重", "AL1-4")),
    }
    told = {one.path: one for one in conversion.report.fields() if one.path.startswith("AL1-4")}
    assert {one.state for one in told.values()} == {"preserved"}
    kept = [one["valueString"] for one in only(conversion, "Provenance")["extension"]]
    assert kept == ["AL1|||||GZ^过重^L".replace("|||||", "||||")]
    assert only(conversion, "Encounter")["class"]["code"] == "RJ"


@pytest.mark.parametrize(
    ("system", "code"),
    [(SEVERITY, "severe"), ("http://terminology.hl7.org/CodeSystem/v2-0128", "SV")],
)
def test_a_map_to_one_of_r4s_codes_or_of_hl7s_table_gives_the_element(system, code):
    conversion = fed(GZ=(system, code))

    assert only(conversion, "AllergyIntolerance")["reaction"][0]["severity"] == "severe"
    assert "GZ" not in [one.code for one in conversion.local_codes]
    assert "extension" not in only(conversion, "Provenance")


def test_a_map_gives_the_sex_and_the_one_coding_of_a_class():
    conversion = fed(甲=("http://hl7.org/fhir/administrative-gender", "male"), RJ=(ACT, "SS"))

    assert only(conversion, "Patient")["gender"] == "male"
    assert only(conversion, "Encounter")["class"] == {"system": ACT, "code": "SS"}
    assert {one.code for one in conversion.local_codes} == {"QMS", "GZ"}


@pytest.mark.parametrize(
    "meant", [(SEVERITY, "very-severe"), ("http://snomed.info/sct", "24484000")]
)
def test_a_map_to_what_the_element_cannot_have_gives_no_wrong_code(meant):
    conversion = fed(GZ=meant)

    assert "severity" not in only(conversion, "AllergyIntolerance")["reaction"][0]
    assert [one.code for one in conversion.report.issues()].count("unmapped-code") == 1
    assert "extension" in only(conversion, "Provenance")
