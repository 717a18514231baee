"""What a message says of states and of what is seldom there: read again, it says the same."""

import emit_parts
import pytest

from fhir_hub.errors import InvalidResource
from fhir_hub.hl7v2.emit.emit import Receiver
from fhir_hub.hl7v2.emit.events import visit_event
from fhir_hub.hl7v2.emit.resources import Resources
from fhir_hub.hl7v2.emit.validity import faults

SID = "https://fhir-hub.example/sid"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": f"{SID}/SHTH01/patient-id", "value": "T1"}],
    "name": [{"family": "沈", "given": ["桂芳"]}],
}
HBA1C = {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]}
RESULT = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": HBA1C,
    "subject": {"reference": "Patient/p1"},
    "valueString": "8.6 %",
}
REPORT = {
    "resourceType": "DiagnosticReport",
    "id": "d1",
    "status": "final",
    "code": HBA1C,
    "subject": {"reference": "Patient/p1"},
    "result": [{"reference": "Observation/o1"}],
}
VISIT = {"resourceType": "Encounter", "id": "e1", "subject": {"reference": "Patient/p1"}}


def given(*resources):
    return Resources(("", one) for one in resources)


def read(emitted, resource_type):
    again = (one.resource for one in emit_parts.read(emitted.raw).resources)
    return [one for one in again if one["resourceType"] == resource_type]


def segments(emitted, name):
    return [line.split("|") for line in emitted.text.split("\r") if line.startswith(f"{name}|")]


@pytest.mark.parametrize(
    ("status", "before", "kind", "event"),
    [
        ("planned", None, "AMB", "ADT^A05"),
        ("in-progress", None, "IMP", "ADT^A01"),
        ("in-progress", None, "AMB", "ADT^A04"),
        ("in-progress", "planned", "EMER", "ADT^A04"),
        ("in-progress", None, "VR", "ADT^A04"),
        ("in-progress", "in-progress", "IMP", "ADT^A08"),
        ("finished", "in-progress", "IMP", "ADT^A03"),
        ("finished", "finished", "IMP", "ADT^A03"),
        ("in-progress", "finished", "IMP", "ADT^A13"),
        ("cancelled", "planned", "AMB", "ADT^A11"),
        ("entered-in-error", "in-progress", "AMB", "ADT^A23"),
    ],
)
@pytest.mark.parametrize("version", ["2.3.1", "2.4", "2.6"])
def test_a_visit_is_told_by_what_became_of_it(status, before, kind, event, version):
    visit = VISIT | {"status": status, "class": {"system": ACT, "code": kind}}

    made = visit_event(visit, {"status": before} if before else None)
    emitted = emit_parts.written(given(PATIENT, visit), made, Receiver(version=version))

    assert made == event
    assert faults(emitted.text) == []
    (again,) = read(emitted, "Encounter")
    assert (again["status"], again["class"]["code"]) == (status, kind)


def test_a_visit_whose_end_was_told_is_changed_by_a08():
    visit = VISIT | {"status": "finished", "period": {"end": "2025-03-02"}}

    assert visit_event(visit, visit) == "ADT^A08"


@pytest.mark.parametrize(
    ("status", "section", "result"),
    [
        ("registered", "registered", "registered"),
        ("preliminary", "preliminary", "preliminary"),
        ("final", "final", "final"),
        ("corrected", "corrected", "corrected"),
        ("amended", "corrected", "amended"),
        ("cancelled", "cancelled", "cancelled"),
        ("entered-in-error", "cancelled", "entered-in-error"),
        ("unknown", "unknown", "unknown"),
    ],
)
def test_a_result_alone_says_its_status_in_both_segments(status, section, result):
    emitted = emit_parts.written(given(PATIENT, RESULT | {"status": status}))

    assert [one["status"] for one in read(emitted, "DiagnosticReport")] == [section]
    assert [one["status"] for one in read(emitted, "Observation")] == [result]


@pytest.mark.parametrize("status", ["amended", "appended", "entered-in-error"])
def test_a_reports_status_is_a_code_of_the_standards_table(status):
    emitted = emit_parts.written(given(REPORT | {"status": status}, PATIENT, RESULT))

    assert segments(emitted, "OBR")[0][25] == ("X" if status == "entered-in-error" else "C")


def test_a_time_at_the_end_of_all_times_is_written_as_it_is():
    named = {"family": "沈", "period": {"end": "9999-12-31T23:59:59Z"}}

    emitted = emit_parts.written(given(PATIENT | {"name": [named]}), "", Receiver(version="2.5"))

    assert "99991231235959" in segments(emitted, "PID")[0][5]


def test_what_a_resource_contains_is_told():
    laboratory = {"resourceType": "Organization", "id": "lab", "name": "中心实验室"}
    result = RESULT | {"contained": [laboratory], "performer": [{"reference": "#lab"}]}

    emitted = emit_parts.written(given(PATIENT, result))

    assert segments(emitted, "OBX")[0][15] == "^中心实验室"


@pytest.mark.parametrize(
    ("resource", "event"),
    [
        (RESULT, "ORU^R01"),
        (RESULT | {"subject": {"reference": "Patient/p1", "display": "沈桂芳"}}, "ORU^R01"),
        ({"resourceType": "ServiceRequest", "id": "s1", "status": "active"}, "REF^I12"),
        ({"resourceType": "Task", "id": "t1", "status": "accepted"}, "RRI^I12"),
    ],
)
def test_no_message_is_of_nobody(resource, event):
    with pytest.raises(InvalidResource, match="the patient"):
        emit_parts.written(given(resource), event)


def test_a_patient_who_is_known_by_a_number_alone_is_told_by_it():
    subject = {"type": "Patient", "identifier": PATIENT["identifier"][0]}

    emitted = emit_parts.written(given(RESULT | {"subject": subject}))

    assert segments(emitted, "PID")[0][3] == "T1^^^SHTH01"
    assert faults(emitted.text) == []


def test_a_patient_without_a_name_has_none_when_she_is_read_again():
    nameless = {name: value for name, value in PATIENT.items() if name != "name"}

    emitted = emit_parts.written(given(nameless))

    assert faults(emitted.text) == []
    assert "name" not in read(emitted, "Patient")[0]


def test_who_was_merged_before_is_not_told_again_and_all_who_are_new_are():
    links = [{"type": "replaces", "other": {"reference": f"Patient/q{n}"}} for n in range(3)]
    others = [
        {"resourceType": "Patient", "id": f"q{n}", "identifier": [{"value": f"Q{n}"}]}
        for n in range(3)
    ]
    before, survivor = PATIENT | {"link": links[:1]}, PATIENT | {"link": links}

    emitted = emit_parts.written(given(survivor, *others), "ADT^A40", main=survivor, before=before)

    assert faults(emitted.text) == []
    assert [one[1] for one in segments(emitted, "MRG")] == ["Q1", "Q2"]


def test_what_a_code_of_loinc_is_called_comes_back_where_a_ce_has_no_room_for_a_text():
    pulse = {"system": "http://loinc.org", "code": "8867-4", "display": "Heart rate"}
    called = {"coding": [pulse], "text": "心率"}

    emitted = emit_parts.written(given(PATIENT, RESULT | {"code": called}))

    assert segments(emitted, "OBX")[0][3] == "8867-4^心率^LN"
    assert read(emitted, "Observation")[0]["code"]["text"] == "心率"


def test_kin_whom_two_sources_told_alike_are_told_once():
    kin = [
        {
            "resourceType": "RelatedPerson",
            "id": f"k{n}",
            "patient": {"reference": "Patient/p1"},
            "name": [{"family": "沈", "given": ["晓明"]}],
        }
        for n in range(3)
    ]

    emitted = emit_parts.written(given(PATIENT, *kin))

    assert len(segments(emitted, "NK1")) == 1


@pytest.mark.parametrize("more", [[], [{"name": {"text": "陆建国"}}]])
def test_a_relative_who_is_none_any_more_is_no_contact_either(more):
    one = {"resourceType": "RelatedPerson", "id": "k1", "active": False}
    one |= {"patient": {"reference": "Patient/p1"}, "name": [{"text": "沈晓明"}]}
    her = PATIENT | {"contact": [{"name": {"family": "沈", "given": ["晓明"]}}, *more]}

    emitted = emit_parts.written(given(her, one))

    (told,) = segments(emitted, "NK1")
    assert told[2] == ("陆建国" if more else '""')


def test_an_allergy_is_told_once_and_by_the_substance_of_its_reaction():
    one = {"resourceType": "AllergyIntolerance", "patient": {"reference": "Patient/p1"}}
    older, newer = (
        one
        | {"id": day, "meta": {"lastUpdated": day}, "code": {"text": "花生"}, "onsetString": day}
        for day in ("2025-01-01", "2025-01-02")
    )
    reacted = one | {"id": "y3", "reaction": [{"substance": {"text": "青霉素"}}]}

    emitted = emit_parts.written(given(PATIENT, newer, older, reacted, one | {"id": "y4"}))

    assert [told[3] for told in segments(emitted, "AL1")] == ["^花生", "^青霉素"]
    assert any("allergy" in issue for issue in emitted.issues)


def test_the_copy_of_a_result_in_a_referral_has_the_number_that_the_result_alone_has():
    order = {"resourceType": "ServiceRequest", "id": "s1", "status": "active", "intent": "order"}
    order |= {"subject": RESULT["subject"], "supportingInfo": [{"reference": "Observation/o1"}]}

    copied = emit_parts.written(given(PATIENT, RESULT, order), "REF^I12")
    alone = emit_parts.written(given(PATIENT, RESULT), "ORU^R01")

    assert segments(copied, "OBR")[0][3] == segments(alone, "OBR")[0][3] == "o1^FHIRHUB"


def test_what_an_update_takes_away_is_deleted_with_the_receiver():
    more = {
        "telecom": [{"system": "phone", "value": "59201234", "use": "home"}],
        "generalPractitioner": [{"type": "Practitioner", "display": "戴慧"}],
        "maritalStatus": {"text": "已婚"},
    }

    emitted = emit_parts.written(given(PATIENT), "ADT^A31", main=PATIENT, before=PATIENT | more)

    (person,) = segments(emitted, "PID")
    assert (person[3], person[13], person[16]) == ("T1^^^SHTH01", '""', '""')
    assert segments(emitted, "PD1")[0][4] == '""'
    assert faults(emitted.text) == []


def test_an_end_that_was_taken_back_is_deleted_with_the_receiver():
    begun = VISIT | {"status": "in-progress", "class": {"system": ACT, "code": "IMP"}}
    ended = begun | {"status": "finished", "period": {"end": "2025-03-02"}}

    emitted = emit_parts.written(given(PATIENT, begun), "ADT^A13", main=PATIENT, before=ended)

    assert segments(emitted, "PV1")[0][45] == '""'
    assert [one["status"] for one in read(emitted, "Encounter")] == ["in-progress"]


def test_what_ascii_lacks_is_escaped_and_read_again():
    emitted = emit_parts.written(given(PATIENT), receiver=Receiver(charset="ASCII"))

    assert emitted.raw.isascii()
    assert read(emitted, "Patient")[0]["name"][0]["text"] == "沈桂芳"


def number(value, **more):
    return {"identifier": [{"system": "http://clinic.example/n", "value": value} | more]}


@pytest.mark.parametrize("version", ["2.4", "2.5.1"])
def test_a_number_without_a_type_has_the_field_that_a_receiver_knows_it_by(version):
    request = {
        "resourceType": "ServiceRequest", "id": "s1", "status": "completed", "intent": "order",
        "code": HBA1C, "subject": {"reference": "Patient/p1"}, **number("ORD9"),
    }  # fmt: skip
    specimen = {"resourceType": "Specimen", "id": "sp", **number("SP9")}
    report = REPORT | number("REP9") | {"basedOn": [{"reference": "ServiceRequest/s1"}]}
    report |= {"specimen": [{"reference": "Specimen/sp"}]}

    emitted = emit_parts.written(
        given(PATIENT, report, RESULT, request, specimen), receiver=Receiver(version=version)
    )

    ((_, control, placer, filler, *_),) = segments(emitted, "ORC")
    (order,) = segments(emitted, "OBR")
    assert control == "RE"  # not what became of the order: that says ORC-5
    assert (placer, filler) == tuple(order[2:4])
    assert [one.split("^")[0] for one in order[2:4]] == ["ORD9", "REP9"]
    if version >= "2.5":
        ((_, place, specimen_number, *_),) = segments(emitted, "SPM")
        assert (place, specimen_number.split("&")[0]) == ("1", "^SP9")
        assert emitted.left_out == ()


def test_a_result_and_a_booking_of_an_untyped_number_are_told_by_it():
    booked = {
        "resourceType": "Appointment", "id": "a1", "status": "booked", **number("APP9"),
        "start": "2025-03-14T10:30:00+08:00", "end": "2025-03-14T10:40:00+08:00",
        "participant": [{"actor": {"reference": "Patient/p1"}, "status": "accepted"}],
    }  # fmt: skip

    alone = emit_parts.written(given(PATIENT, RESULT | number("OBS9")))
    booking = emit_parts.written(given(PATIENT, booked))

    assert segments(alone, "OBR")[0][3].split("^")[0] == "OBS9"
    assert segments(booking, "SCH")[0][2].split("^")[0] == "APP9"


def test_who_issued_a_number_is_found_by_its_assigner():
    laboratory = {
        "resourceType": "Organization", "id": "lab", "name": "青浦检验所",
        "address": [{"line": ["公园路1158号"], "city": "上海市"}],
        "telecom": [{"system": "phone", "value": "021-59720000", "use": "work"}],
    }  # fmt: skip
    assigner = {"assigner": {"reference": "Organization/lab"}}
    patient = PATIENT | {"identifier": [{"value": "M1", **assigner}]}
    role = {
        "resourceType": "PractitionerRole", "id": "r1",
        "organization": {"reference": "Organization/lab"},
        "practitioner": {"display": "戴慧"},
    }  # fmt: skip
    request = {
        "resourceType": "ServiceRequest", "id": "s1", "status": "active", "intent": "order",
        "code": HBA1C, "subject": {"reference": "Patient/p1"},
        "requester": {"reference": "PractitionerRole/r1"},
        "identifier": [{"value": "ORD9", **assigner}],
    }  # fmt: skip
    report = REPORT | {"basedOn": [{"reference": "ServiceRequest/s1"}]}
    result = RESULT | {"performer": [{"reference": "Organization/lab"}]}

    emitted = emit_parts.written(
        given(patient, report, result, request, role, laboratory),
        receiver=Receiver(version="2.5.1"),
    )

    assert segments(emitted, "PID")[0][3] == "M1^^^青浦检验所"
    (order,) = segments(emitted, "ORC")
    assert order[2] == "ORD9^青浦检验所"
    assert order[22].startswith("公园路1158号^")
    assert order[23].split("^")[0] == "021-59720000"
    assert segments(emitted, "OBX")[0][24].startswith("公园路1158号^")


def test_the_account_of_a_visit_is_told_and_comes_back():
    conversion = emit_parts.read(
        b"MSH|^~\\&|HIS|SHTH01|HUB|H|20250314||ADT^A01^ADT_A01|1|P|2.5\r"
        b"PID|1||T1^^^SHTH01^PI||A^B|||||||||||||ZH1^^^SHTH01^AN\rPV1|1|I||||||||||||||||||V1\r"
    )

    again = emit_parts.read(emit_parts.written(conversion, "ADT^A01").raw)

    before, after = emit_parts.facts(conversion), emit_parts.facts(again)
    assert ("Account ZH1:.identifier.value", "ZH1") in before
    assert before ^ after == set()


@pytest.mark.parametrize("status", ["booked", "cancelled", "noshow"])
def test_a_booking_without_a_reason_has_none_when_it_is_read_again(status):
    parts = [{"actor": {"reference": "Patient/p1"}, "status": "accepted"}]
    number = {"system": f"{SID}/SHTH01", "value": "AP1"}
    booked = {"resourceType": "Appointment", "id": "a1", "identifier": [number], "status": status}
    booked |= {"start": "2025-03-14T01:30:00Z", "end": "2025-03-14T01:45:00Z", "participant": parts}

    emitted = emit_parts.written(given(PATIENT, booked))

    (again,) = (
        one.resource
        for one in emit_parts.read(emitted.raw).resources
        if one.resource["resourceType"] == "Appointment"
    )
    assert segments(emitted, "SCH")[0][6] == '""'
    assert again["status"] == status
    assert "cancelationReason" not in again
    assert "extension" not in again  # SCH-16 and SCH-20 are demanded too


def test_of_several_numbers_of_a_cover_the_insurers_own_is_told():
    numbers = [("https://x.example", "X9"), ("https://fhir-hub.example/sid/NHSA/policy", "P9")]
    cover = {
        "resourceType": "Coverage",
        "status": "active",
        "identifier": [{"system": system, "value": value} for system, value in numbers],
        "beneficiary": {"reference": "Patient/p1"},
    }

    emitted = emit_parts.written(given(PATIENT, cover), "ADT^A31")

    assert segments(emitted, "IN1")[0][36] == "P9"
