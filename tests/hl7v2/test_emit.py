"""Which message is made of which resources, in the dress of its receiver."""

import emit_parts
import pytest

from fhir_hub.errors import InvalidResource
from fhir_hub.hl7v2.calls.table import CALLS
from fhir_hub.hl7v2.datatypes.table import DATATYPES
from fhir_hub.hl7v2.emit.calls import INVERSES, SILENT
from fhir_hub.hl7v2.emit.emit import Receiver
from fhir_hub.hl7v2.emit.resources import Resources
from fhir_hub.hl7v2.emit.write_codes import sources_of, table_sources
from fhir_hub.hl7v2.emit.writers import WRITERS

BASE = "https://fhir-hub.example"
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": "https://fhir-hub.example/sid/SHTH01/patient-id", "value": "T1"}],
    "name": [{"use": "official", "family": "沈", "given": ["桂芳"]}],
    "gender": "female",
    "birthDate": "1953-04-12",
}
TASK = {
    "resourceType": "Task",
    "id": "t1",
    "identifier": [{"system": "https://fhir-hub.example/sid/ZJJCHC", "value": "ZZ1"}],
    "status": "requested",
    "intent": "order",
    "focus": {"reference": "ServiceRequest/s1"},
    "for": {"reference": "Patient/p1"},
    "owner": {"reference": "Organization/o1"},
}
REQUEST = {
    "resourceType": "ServiceRequest",
    "id": "s1",
    "status": "active",
    "intent": "order",
    "subject": {"reference": "Patient/p1"},
    "priority": "urgent",
    "reasonCode": [{"text": "血糖 8~10 & 控制不佳|^\r\n请协助"}],
}
HOSPITAL = {
    "resourceType": "Organization",
    "id": "o1",
    "identifier": [{"system": "https://fhir-hub.example/sid/organization", "value": "SHTH01"}],
    "name": "市级医院（示例）",
}
BOOKED = {
    "resourceType": "Appointment",
    "id": "a1",
    "identifier": [{"system": "https://fhir-hub.example/sid/SHTH01", "value": "AP1"}],
    "status": "booked",
    "start": "2025-03-14T01:30:00Z",
    "end": "2025-03-14T09:45:00+08:00",
    "participant": [
        {"actor": {"reference": "Patient/p1"}, "status": "accepted"},
        {"actor": {"display": "顾文清", "type": "Practitioner"}, "status": "accepted"},
    ],
}


def given(*resources):
    return Resources(("", one) for one in resources)


def segments(emitted, name):
    return [line.split("|") for line in emitted.text.split("\r") if line.startswith(f"{name}|")]


def event_of(emitted):
    return segments(emitted, "MSH")[0][8]


@pytest.mark.parametrize(
    ("resources", "before", "event"),
    [
        ((PATIENT,), None, "ADT^A31^ADT_A05"),
        ((PATIENT, TASK, REQUEST, HOSPITAL), None, "REF^I12^REF_I12"),
        ((TASK | {"status": "accepted"}, PATIENT, REQUEST), None, "RRI^I12^RRI_I12"),
        ((BOOKED, PATIENT), None, "SIU^S12^SIU_S12"),
        ((BOOKED, PATIENT), BOOKED | {"start": "2025-03-13T01:30:00Z"}, "SIU^S13^SIU_S12"),
        ((BOOKED, PATIENT), BOOKED | {"comment": "空腹"}, "SIU^S14^SIU_S12"),
        ((BOOKED | {"status": "cancelled"}, PATIENT), BOOKED, "SIU^S15^SIU_S12"),
        ((BOOKED | {"status": "noshow"}, PATIENT), BOOKED, "SIU^S26^SIU_S12"),
    ],
)
def test_the_event_is_found_by_what_there_is_and_what_changed(resources, before, event):
    emitted = emit_parts.written(given(*resources), before=before)

    assert event_of(emitted) == event


def test_a_time_is_the_receivers_clock_without_an_offset():
    emitted = emit_parts.written(given(BOOKED, PATIENT))

    assert segments(emitted, "SCH")[0][11] == "^^M15^20250314093000^20250314094500"


def test_a_phone_that_has_ended_is_told_to_nobody():
    ends = {"13000000001": "2025-03-01", "13000000002": "2025-03-16", "13000000003": None}
    phones = [
        {"system": "phone", "value": number} | ({"period": {"end": end}} if end else {})
        for number, end in ends.items()
    ]
    emitted = emit_parts.written(given(PATIENT | {"telecom": phones}))

    assert segments(emitted, "PID")[0][13] == "13000000002^^PH~13000000003^^PH"


def test_who_takes_part_no_more_is_told_to_be_deleted():
    parts = [BOOKED["participant"][0], {"actor": {"display": "方晓岚"}, "status": "accepted"}]

    emitted = emit_parts.written(given(BOOKED | {"participant": parts}, PATIENT), before=BOOKED)

    assert [(one[2], one[3]) for one in segments(emitted, "AIP")] == [
        ("U", "^方晓岚"),
        ("D", "^顾文清"),
    ]


def test_delimiters_and_line_ends_of_a_text_are_escaped():
    emitted = emit_parts.written(given(PATIENT, TASK, REQUEST, HOSPITAL))

    referral = segments(emitted, "RF1")[0]
    assert referral[10] == "^血糖 8\\R\\10 \\T\\ 控制不佳\\F\\\\S\\\\.br\\请协助"


def test_a_referral_without_a_number_has_its_id_and_who_is_asked_is_its_receiver():
    emitted = emit_parts.written(given(PATIENT, TASK | {"identifier": []}, REQUEST, HOSPITAL))

    assert segments(emitted, "RF1")[0][6] == "s1^FHIRHUB"
    assert segments(emitted, "MSH")[0][5] == "SHTH01"
    assert [one[1] for one in segments(emitted, "PRD")] == ["RT"]


def test_an_element_without_a_field_is_told():
    emitted = emit_parts.written(given(PATIENT | {"photo": [{"url": "https://a.example/p"}]}))

    assert emitted.left_out == ("Patient.photo",)


def test_a_character_that_the_receivers_set_lacks_is_told():
    emitted = emit_parts.written(given(PATIENT), receiver=Receiver(charset="8859/1"))

    assert "?" in emitted.raw.decode("latin-1")
    assert any("character set" in issue for issue in emitted.issues)


@pytest.mark.parametrize(
    ("resources", "event", "receiver", "said"),
    [
        ((PATIENT,), "ADT^A99", Receiver(), "no message ADT"),
        ((PATIENT,), "SIU^S12", Receiver(), "needs a Appointment"),
        ((HOSPITAL,), "", Receiver(), "no message tells of Organization"),
        ((PATIENT,), "", Receiver(version="3.0"), "2.3.1"),
        ((PATIENT,), "", Receiver(charset="utf-9"), "no character set"),
        ((PATIENT,), "ADT^A40", Receiver(), "two Patients"),
    ],
)
def test_what_cannot_be_written_is_refused(resources, event, receiver, said):
    with pytest.raises(InvalidResource, match=said):
        emit_parts.written(given(*resources), event, receiver)


def test_a_receivers_own_file_gives_his_codes_his_name_order_and_his_rows(tmp_path):
    folder = tmp_path / "senders"
    folder.mkdir()
    folder.joinpath("old-his.toml").write_text(
        """
source = "an old system"
[settings]
name_order = "given-first"
[table.AdministrativeSex]
system = "http://hl7.org/fhir/administrative-gender"
[table.AdministrativeSex.map]
"2" = "female"
"1" = "male"
""",
        "utf-8",
    )
    maps = emit_parts.mappings(tmp_path)

    emitted = emit_parts.written(given(PATIENT), receiver=Receiver(sender="old-his"), mappings=maps)

    patient = segments(emitted, "PID")[0]
    assert (patient[5], patient[8]) == ("桂芳^沈^^^^^L", "2")


def test_the_preferred_code_of_a_table_is_the_first_that_its_file_lists():
    tables = emit_parts.mappings().program_of("ADT_A01").scope.tables

    assert sources_of(tables["AdministrativeSex"], "male")[0] == "M"
    assert sources_of(tables["AppointmentStatus"], "noshow")[0] == "Noshow"
    assert sources_of(tables["MaritalStatus"], "L")[:2] == ["A", "E"]


@pytest.mark.parametrize(("name", "found"), [("Physician referral", ["1"]), ("医生转诊", [])])
def test_a_code_of_an_open_table_stands_alone_unless_its_name_would_make_it_another(name, found):
    table = emit_parts.mappings().program_of("ADT_A01").scope.tables["AdmitSource"]
    assert (
        table_sources({"coding": [{"system": table.system, "code": "1"}], "text": name}, table)
        == found
    )


def test_each_datatype_has_its_writer_and_an_inverse_is_of_a_call():
    assert WRITERS.keys() == DATATYPES.keys()
    assert INVERSES.keys() | SILENT <= CALLS.keys()
    assert not INVERSES.keys() & SILENT


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0190", "code": "N"}]},
            "N",
        ),
        ({"text": "籍贯"}, "籍贯"),
        ({}, ""),
    ],
)
def test_what_an_address_is_for_is_told(kind, said):
    extension = {"url": f"{BASE}/StructureDefinition/address-kind", "valueCodeableConcept": kind}
    told = {"address": [{"city": "嘉善县", "extension": [extension]}]}
    (pid,) = segments(emit_parts.written(given(PATIENT | told)), "PID")

    assert (f"{pid[11]}^^^^".split("^"))[2:7:4] == ["嘉善县", said]


def test_what_has_but_an_extension_is_told_as_nothing():
    told = {
        "name": [{"family": "SHEN", "given": [None, "GF"], "_given": [{"extension": []}, None]}],
        "address": [
            {"use": "home", "line": [None, "示范路1号"], "_line": [{"extension": []}, None]}
        ],
    }
    (pid,) = segments(emit_parts.written(given(PATIENT | told)), "PID")

    assert (pid[5].split("^")[:3], pid[11].split("^")[0]) == (["SHEN", "GF"], "示范路1号")
