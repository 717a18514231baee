"""The report: each filled field of a message is in it, mapped, preserved or dropped with a reason.

Spec: DESIGN 5 (nothing lost from a message)
"""

import json

import pytest
from conversion_parts import converted, lines, story, text_of

from fhir_hub.hl7v2 import er7

MSH = "MSH|^~\\&|XIS|TEST01|HUB|QPRHP|20250315101500||{}|C1|P|2.4"
PID = "PID|1||T1^^^TEST01^PI||沈^桂芳||19530412|F"
STORY = [f"{number:02}" for number in range(1, 24)]


def by_path(conversion):
    return {one.path: one for one in conversion.report.fields()}


@pytest.mark.parametrize("name", [*STORY, "quirks/q1", "quirks/q4", "quirks/q5"])
def test_every_filled_field_of_a_message_is_in_its_report(name):
    message = er7.parse(text_of(name))
    reported = {(one.segment, one.path.partition(".")[0]) for one in story(name).report.fields()}
    filled = {
        (segment.index, f"{segment.name}-{number}")
        for segment in message.segments
        for number in range(1, len(segment.fields))
        if segment.field(number).strip("^&~ ")
    }
    assert filled == reported


@pytest.mark.parametrize("name", STORY)
def test_what_is_mapped_says_where_and_what_is_dropped_says_why(name):
    for one in story(name).report.fields():
        assert one.state in ("mapped", "preserved", "dropped")
        assert bool(one.to) == (one.state != "dropped")
        assert bool(one.reason) == (one.state == "dropped")


@pytest.mark.parametrize(
    ("path", "to"),
    [
        ("PID-3", ("Patient.identifier",)),
        ("NK1-5", ("Patient.contact.telecom", "RelatedPerson.telecom")),
        ("PV1-7", ("Encounter.participant[attender].individual",)),
        ("ZQY-9", ("CareTeam.participant[doctor].member",)),
        ("MSH-18", ("the character set",)),
        ("EVN-6", ("Provenance.occurredDateTime",)),
    ],
)
def test_01_where_fields_went(path, to):
    assert by_path(story("01"))[path].to == to


def test_01_only_set_ids_and_nothing_else_is_dropped():
    dropped = [one for one in story("01").report.fields() if one.state == "dropped"]
    assert {one.reason for one in dropped} == {"a number in sequence only"}


def test_reasons():
    text = lines(
        MSH.format("ADT^A08^ADT_A01"),
        PID.replace("19530412", "soon") + "|||||||||||||||||||||||||x",
        "PV1|1|N||||D9^x",
        "UB1|1|x",
        "ROL|1|x",
        "ZZZ|1|x",
    )
    found = by_path(converted(text))
    assert found["PID-7"].reason == "no value for it, or another field was taken"
    assert found["PID-33"].reason == "no row reads this field"
    assert found["PV1-6"].reason == "nothing in this message that it could belong to"
    assert found["UB1-2"].reason == "no map for this segment"
    assert found["ZZZ-2"].to == ("Provenance.extension",)


def test_a_part_that_no_row_reads_is_dropped_by_itself():
    text = lines(MSH.format("ADT^A08^ADT_A01"), PID, "ZPI|1|沈晓明^女^13000000002^更多")
    found = by_path(converted(text))
    assert found["ZPI-2"].state == "mapped"
    assert (found["ZPI-2.4"].state, found["ZPI-2.4"].reason) == (
        "dropped",
        "no row reads this part",
    )


def test_a_null_is_reported_as_a_deletion():
    found = by_path(converted(lines(MSH.format("ADT^A08^ADT_A01"), PID.replace("19530412", '""'))))
    assert found["PID-7"].to == ("deletes birthDate",)


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
    assert found["AIP-2"].to == ("a condition of the map",)
    assert found["AIP-3"].to == ("Appointment.participant.actor",)


def test_issues_name_the_fields_and_the_row_and_hold_no_value():
    conversion = converted(text_of("quirks/q5"))
    (issue,) = conversion.report.issues()
    assert (issue.code, issue.paths) == ("invalid-resident-id", ("PID-3",))
    assert issue.row.startswith("segments/PID-Patient.toml row ")
    assert "310229195304129988" not in issue.text


def test_a_single_elements_further_repetitions_are_told():
    text = lines(MSH.format("ADT^A08^ADT_A01"), PID.replace("19530412", "19530412~19530413"))
    assert [one.code for one in converted(text).report.issues()] == ["repeated-value"]


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
    assert data["counts"]["preserved"] == 0
