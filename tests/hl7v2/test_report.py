"""The report: each filled part of a message is in it, mapped, preserved or dropped with a reason.

Spec: DESIGN 5 (nothing lost from a message)
"""

import json
from functools import cache

import pytest
from conversion_parts import converted, element, lines, only, story, text_of

from fhir_hub.hl7v2.parsing import er7
from fhir_hub.hl7v2.reports.effort import Effort
from fhir_hub.hl7v2.reports.elements import says
from fhir_hub.hl7v2.reports.leaves import leaves_of
from fhir_hub.hl7v2.reports.text import as_text

MSH = "MSH|^~\\&|XIS|TEST01|HUB|QPRHP|20250315101500||{}|C1|P|2.4"
PID = "PID|1||T1^^^TEST01^PI||沈^桂芳||19530412|F"
STORY = [f"{number:02}" for number in range(1, 24)]
EVERY = [*STORY, *(f"quirks/q{number}" for number in (1, 4, 5))]


def by_path(conversion):
    return {one.path: one for one in conversion.report.fields()}


@pytest.mark.parametrize("by_table", [False, True], ids=["stored", "tables"])
@pytest.mark.parametrize("name", EVERY)
def test_every_part_is_told_once_and_each_element_named_is_there(name, by_table):
    conversion = converted(text_of(name), by_table=by_table)
    message = er7.parse(text_of(name))
    parts = [
        leaf.name
        for segment in message.segments
        for number in range(1, len(segment.fields))
        for leaf in leaves_of(segment, number, lambda parts: True)
    ]

    fields = conversion.report.fields()

    assert [one.path for one in fields] == parts
    for one in fields:
        assert one.state in ("mapped", "preserved", "dropped")
        assert bool(one.to) == (one.state != "dropped"), one
        assert bool(one.reason) == (one.state != "mapped"), one
        for path in one.to:
            if path != "journal" and not path.startswith(("deletes ", "changes ")):
                assert not isinstance(element(conversion, path), dict | list), path


def test_parts_are_named_as_far_as_they_differ():
    segment = er7.parse("MSH|^~\\&|A|B^C&D~E|\r").header
    names = [
        leaf.name
        for number in (1, 2, 3, 4)
        for leaf in leaves_of(segment, number, lambda parts: True)
    ]

    assert names == [
        "MSH-1",
        "MSH-2",
        "MSH-3",
        "MSH-4[1].1",
        "MSH-4[1].2.1",
        "MSH-4[1].2.2",
        "MSH-4[2].1",
    ]


@cache
def told_of_01():
    return by_path(story("01"))


@pytest.mark.parametrize(
    ("path", "to"),
    [
        ("PID-3[1].1", ["Patient.identifier[0].value"]),
        ("PID-3[1].4", ["Patient.identifier[0].system"]),
        ("PID-3[1].5", ["Patient.identifier[0].type.coding[0].code"]),
        ("PID-3[2].1", ["Patient.identifier[1].use", "Patient.identifier[1].value"]),
        ("PID-3[2].4.2", ["Patient.identifier[1].system"]),
        ("PID-5[1].1", ["Patient.name[0].text", "Patient.name[0].family"]),
        ("PID-5[2].2", ["Patient.name[1].text", "Patient.name[1].given[0]"]),
        ("PID-7", ["Patient.birthDate"]),
        ("PID-8", ["Patient.gender"]),
        ("PID-11.4", ["Patient.address[0].state"]),
        ("PID-16.4", ["Patient.maritalStatus.coding[1].code"]),
        ("PV1-7.1", ["Practitioner.identifier[0].value"]),
        ("PV1-44", ["Encounter.period.start"]),
        ("ZQY-3.1", ["CareTeam.status"]),
        ("ZQY-9.2", ["Practitioner.name[0].text"]),
        ("ZQY-10[2]", ["CareTeam.reasonCode[1].coding[0].code"]),
        ("MSH-10", ["Provenance.entity[0].what.identifier.value"]),
        ("EVN-6", ["Provenance.occurredDateTime", "Encounter.period.start"]),
    ],
)
def test_01_which_element_a_part_became(path, to):
    assert list(told_of_01()[path].to) == to


def test_each_element_says_what_its_part_does_where_both_are_texts():
    conversion = story("08")
    message = er7.parse(text_of("08"))
    told = {(one.path, one.segment): one for one in conversion.report.fields()}
    for segment in message.all("OBX"):
        for name, number, element_name in (("OBX-6", 6, "unit"), ("OBX-3.2", 3, "display")):
            one = told.get((name, segment.index))
            if one is None:
                continue
            text = segment.value(number, 2 if "." in name else 1)
            wanted = [path for path in one.to if path.endswith(element_name)]
            assert all(says(element(conversion, path), text) for path in wanted)
        assert told["OBX-11", segment.index].to[0].endswith(".status")


def test_what_is_read_out_of_a_text_is_told_beside_the_text():
    result = "OBX|1|NM|GLU^血糖^L||5.1|mmol/L|3.9-6.1|||||F"
    told = by_path(converted(lines(MSH.format("ORU^R01"), PID, "OBR|1||F1|A^a", result)))
    limits = ["low.value", "high.value", "text"]
    to = [f"Observation.referenceRange[0].{one}" for one in limits]
    assert sorted(told["OBX-7"].to) == sorted(to)
    whole = by_path(converted(lines(MSH.format("ADT^A08"), PID.replace("^桂芳", "桂芳"))))
    parts = ["Patient.name[0].text", "Patient.name[0].family", "Patient.name[0].given[0]"]
    assert list(whole["PID-5"].to) == parts
    numberless = by_path(converted(lines(MSH.format("ADT^A04"), PID, "PV1||O")))  # a hashed key
    assert numberless["MSH-7"].to == ("Provenance.recorded",)


def test_01_only_what_says_nothing_of_its_own_is_dropped():
    dropped = [one for one in story("01").report.fields() if one.state == "dropped"]
    assert {one.reason for one in dropped} == {
        "a number in sequence only",
        "it changes nothing in what is made",
        "only in the key by which it is found again",
    }
    assert {one.path for one in dropped} >= {"PID-1", "PID-3[2].4.3", "PID-13.2"}


def test_reasons():
    text = lines(
        MSH.format("ADT^A08^ADT_A01"),
        PID.replace("19530412", "soon") + "|||||||||||||||||||||||||x",
        "PV1|1|N||||D9^x",
        "UB1|1|x",
        "ROL|1|x",
        "ZZZ|1|x^y",
    )
    conversion = converted(text)
    found = by_path(conversion)
    assert found["PID-7"].reason == "no value for it, or another field was taken"
    assert found["PV1-6.1"].reason == "nothing in this message that it could belong to"
    assert found["PID-1"].reason == "a number in sequence only"
    assert found["MSH-12"] == ("MSH-12", 0, "preserved", ("journal",), "the acknowledgment")
    kept = {"PID-33": "no row reads this field", "UB1-2": "no map for this segment"}
    for path, reason in kept.items():
        assert (found[path].state, found[path].reason) == ("preserved", reason)
    assert element(conversion, found["PID-33"].to[0]) == "PID|||||||soon" + "|" * 26 + "x"
    assert element(conversion, found["UB1-2"].to[0]) == "UB1|1|x"
    assert element(conversion, found["ZZZ-2.2"].to[0]) == "ZZZ|1|x^y"


ASKED = ["ORU^R01 NTE||L|来电", "ADT^A18 MRG|||A9^2^M10", "OUL^R21 PRT||UC||PO^p^L|D1^李"]


@pytest.mark.parametrize(("event", "kept"), [one.split(" ") for one in ASKED])
def test_what_only_a_condition_asks_for_is_kept_word_for_word(event, kept):
    found = converted(lines(MSH.format(event), PID, kept, "OBR|1||F1|A^a^L"))
    paths = [one.to[0] for one in found.report.fields() if one.segment == 2]
    assert element(found, paths[-1]) == kept


def test_what_is_kept_has_the_usual_delimiters_and_no_more_than_nobody_reads():
    text = lines("MSH#*!\\$#XIS#TEST01#HUB#QPRHP#20250315##ADT*A08#C1#P#2.4", "PID#1##T1####F")
    conversion = converted(text + "ZZZ#a^b*c!d$e#\\F\\\r")
    found = by_path(conversion)
    assert element(conversion, found["ZZZ-2"].to[0]) == "ZZZ|a\\S\\b^c~d&e|#"
    assert "PID-5" not in found


def test_a_part_that_decides_nothing_is_dropped_by_itself():
    found = by_path(
        converted(lines(MSH.format("ADT^A08^ADT_A01"), PID, "ZPI|1|沈晓明^女^13000000002^更多"))
    )
    assert found["ZPI-2.1"].state == "mapped"
    assert (found["ZPI-2.4"].state, found["ZPI-2.4"].reason) == (
        "dropped",
        "it changes nothing in what is made",
    )


def test_what_only_another_message_of_the_map_would_read_is_kept_word_for_word():
    text = lines(
        MSH.format("MDM^T02^MDM_T02"),
        PID,
        "PV1|1|O",
        "ORC|RE",
        "OBR|1|||X^Y|||||||||病史|||||||||||RAD|F||1^^^^^R",
        "TXA|1|CN|TX|202503150800||||||||D1^HIS|||||AU",
        "OBX|1|TX|K^k|2|text||||||F|||20250315",
        "OBX|2|NM|K^k|3|4|kg|||||F|||20250316",
    )
    conversion = converted(text)
    found = {(one.path, one.segment): one for one in conversion.report.fields()}
    for path in ("OBR-13", "OBR-24", "OBR-25", "OBR-27.6"):
        assert found[path, 4].state != "dropped", path
    for path in ("OBX-4", "OBX-11", "OBX-14"):
        assert found[path, 6].state == "preserved", path
    assert found["OBX-14", 7].state == "mapped"
    assert element(conversion, found["OBX-14", 6].to[0]) == "OBX|||K^k|2||||||||||20250315"


def test_a_field_is_kept_where_the_condition_of_its_row_does_not_hold():
    text = lines(
        MSH.format("RDE^O11^RDE_O11"),
        PID,
        "ORC|NW|P1|||||^^^20250316^^R",
        "RXE|^^^20250314^^S|M^药|1||mg",
        "TQ1|1||||||20250315||A",
        "RXR|PO",
    )
    found = by_path(converted(text))
    for path in ("RXE-1.4", "RXE-1.6", "ORC-7.4"):
        assert found[path].state == "preserved", path


def test_a_unit_that_no_value_can_have_is_kept():
    text = lines(
        "MSH|^~\\&|LIS|H|||20250314||ORU^R01|C1|P|2.5",
        "PID|1||T1",
        "OBX|1|ST|A^a||5 to 10|mg|||||F",
    )
    assert by_path(converted(text))["OBX-6"].state == "preserved"


@pytest.mark.parametrize("before", [(), ("OBR|1|P1|F1|X^x",), ("OBR|1|P1|F1|X^x", "SPM|1|||BLD")])
def test_values_of_one_observation_are_components_with_its_range(before):
    text = lines(
        "MSH|^~\\&|LIS|H|||20250314||ORU^R01|C1|P|2.5",
        "PID|1||T1",
        *before,
        "OBX|1|NM|A^a||60~120|mg|70-80||||F",
    )
    conversion = converted(text)
    components = only(conversion, "Observation")["component"]
    assert [one["valueQuantity"]["value"] for one in components] == [60, 120]
    assert [one["referenceRange"][0]["high"]["value"] for one in components] == [80, 80]
    found = by_path(conversion)
    for path in ("OBX-5[1]", "OBX-5[2]", "OBX-6", "OBX-7"):
        assert found[path].state == "mapped", path


def test_a_null_is_reported_as_a_deletion():
    found = by_path(converted(lines(MSH.format("ADT^A08^ADT_A01"), PID.replace("19530412", '""'))))
    assert found["PID-7"].to == ("deletes Patient.birthDate",)


def test_a_field_that_only_decides_is_no_loss():
    text = lines(
        MSH.format("SIU^S14^SIU_S12"),
        "SCH|P1|F1|||||||30|min|^^^20250314093000",
        PID,
        "RGS|1",
        "AIP|1|D|D1^甲",
        "AIL|1|A|R1^^^TEST01",
    )
    found = by_path(converted(text))
    assert (found["AIP-2"].to, found["AIP-2"].reason) == (("journal",), "a condition of the map")


def test_issues_name_the_fields_and_the_row_and_hold_no_value():
    conversion = converted(text_of("quirks/q5"))
    (issue,) = conversion.report.issues()
    assert (issue.code, issue.paths) == ("invalid-resident-id", ("PID-3",))
    assert issue.row.startswith("segments/PID-Patient.toml row ")
    assert "310229195304129988" not in issue.text


def test_a_single_elements_further_repetitions_are_told():
    text = lines(MSH.format("ADT^A08^ADT_A01"), PID.replace("19530412", "19530412~19530413"))
    assert [one.code for one in converted(text).report.issues()] == ["repeated-value"]


@pytest.mark.no_cover
def test_of_fifty_repetitions_each_is_told():
    numbers = "~".join(f"{7000 + number}^^^TEST01^PI" for number in range(50))
    told = by_path(converted(lines(MSH.format("ADT^A08^ADT_A01"), f"PID|1||{numbers}||沈^桂芳")))

    for number in range(50):
        at = f"Patient.identifier[{number}]"
        assert told[f"PID-3[{number + 1}].1"].to == (f"{at}.value",)
        assert told[f"PID-3[{number + 1}].4"].to == (f"{at}.system",)


@pytest.mark.parametrize("field", ["{}^^^TEST01^PI", "{}"])
def test_a_field_of_hundreds_of_repetitions_is_told_as_a_whole(field):
    numbers = "~".join(field.format(f"T{number}") for number in range(300))
    conversion = converted(lines(MSH.format("ADT^A08^ADT_A01"), f"PID|1||{numbers}||沈^桂芳"))
    told = by_path(conversion)

    assert not any(path.startswith("PID-3[") for path in told)
    assert told["PID-3"].state == "mapped"
    assert told["PID-3"].reason == "too many parts to tell one by one"
    values = [f"Patient.identifier[{number}].value" for number in range(300)]
    assert [path for path in told["PID-3"].to if path.endswith("].value")] == values
    assert all(path.startswith("Patient.identifier[") for path in told["PID-3"].to)
    assert element(conversion, values[-1]) == "T299"
    assert told["PID-5.1"].to == ("Patient.name[0].text", "Patient.name[0].family")
    assert told["PID-5.1"].reason == ""


def test_a_field_of_hundreds_of_repetitions_that_nobody_reads_is_kept_as_a_whole():
    words = "~".join(f"w{number}^x" for number in range(300))
    text = lines(MSH.format("ADT^A08^ADT_A01"), PID, f"ZZ9|{words}")
    told = by_path(converted(text))["ZZ9-1"]

    assert (told.state, told.reason) == ("preserved", "no map for this segment")


def test_a_repetition_of_hundreds_of_components_is_told_as_a_whole():
    parts = "^".join(f"p{number}" for number in range(301))
    text = lines(MSH.format("ADT^A08^ADT_A01"), PID.replace("沈^桂芳", parts))
    told = by_path(converted(text))["PID-5"]

    assert told.state == "mapped"
    assert "Patient.name[0].family" in told.to


def obxs(count: int) -> str:
    results = (f"OBX|{n}|NM|T{n}^Test^L||7.{n}|mmol/L|3-6|H|||F" for n in range(1, count + 1))
    return lines(MSH.format("ORU^R01"), PID, "OBR|1|P1|F1|CBC^x^L", *results)


def test_a_report_costs_no_more_than_its_effort_and_says_what_it_left_out():
    report = converted(obxs(40)).report
    whole, some = report.as_data(), report.as_data(Effort(4_000))
    left = some["left_out"]

    assert "left_out" not in whole
    as_told = [(one["path"], one["segment"], one["state"]) for one in whole["fields"]]
    told = [(one["path"], one["segment"], one["state"]) for one in some["fields"]]
    assert told == as_told[: len(told)]
    first = some["fields"][-1]["segment"] + 1
    assert 3 < first < 40
    assert left["where"] == [f"{first}-42"]
    assert left["segments"] == 43 - first
    assert left["fields"] == left["segments"] * 8  # populated ones of each OBX
    assert left["reason"] == "more parts in all than a report tries"
    much = f"{left['segments']} segments 段, {left['fields']} fields 字段 ({first}-42)"
    assert f"! left out 未列出: {much}" in as_text(some)


def test_the_reports_of_a_batch_share_one_effort():
    effort = Effort(1_100)
    first, second = (converted(obxs(2)).report.as_data(effort) for _ in range(2))

    assert "left_out" not in first
    assert (second["fields"], second["left_out"]["where"]) == ([], ["0-4"])


def test_of_many_fields_of_many_repetitions_some_are_told_as_a_whole():
    numbers = "~".join(f"T{number}^^^TEST01^PI" for number in range(40))
    names = "~".join(f"沈{number}^桂芳" for number in range(40))
    phones = "~".join(f"138{number:08}^PRN^PH" for number in range(40))
    person = f"PID|1||{numbers}||{names}||19530412|F|||||{phones}|{phones}"
    report = converted(lines(MSH.format("ADT^A08^ADT_A01"), person)).report

    fields, left = report.told(Effort(40_000))

    assert left.segments == ()
    told = {one.path: one for one in fields}
    whole = [name for name in ("PID-3", "PID-5", "PID-13", "PID-14") if name in told]
    assert whole != []
    assert {told[name].reason for name in whole} == {"too many parts to tell one by one"}
    assert told["PID-8"].to == ("Patient.gender",)
    assert [one.path for one in fields if one.state == "dropped" and not one.reason] == []


def test_an_issue_of_a_code_comes_with_every_message_that_has_it():
    text = lines(MSH.format("ORU^R01"), PID, "OBR|1|P1|F1|X|Q9")
    for _ in range(2):
        assert [one.code for one in converted(text).report.issues()] == ["unmapped-code"]


def test_the_report_is_data_without_values():
    data = story("08").report.as_data()
    text = json.dumps(data, ensure_ascii=False)
    assert "沈" not in text
    assert "310229195304129989" not in text
    assert data["message"] == {
        "type": "ORU^R01",
        "structure": "ORU_R01",
        "version": "2.4",
        "controlId": "LIS20250314-000781",
        "application": "LIS",
        "facility": "SHTH01",
    }
    assert data["counts"]["mapped"] == sum(one["state"] == "mapped" for one in data["fields"])
    assert data["counts"]["preserved"] > 0
