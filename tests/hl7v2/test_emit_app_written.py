"""Resources as an app writes them: what a message says of them, and what it names as not said."""

import emit_parts
import pytest
from emit_parts import OF_HER, REFERRAL

from fhir_hub.hl7v2.emit.emit import Receiver
from fhir_hub.hl7v2.emit.resources import Resources
from fhir_hub.hl7v2.emit.validity import faults

PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": "http://hospital.example/mrn", "value": "1"}],
    "name": [{"text": "欧阳桂芳"}],
}
DOCTOR = {"resourceType": "Practitioner", "id": "d1", "name": [{"text": "顾文"}]}
ROLE = {
    "resourceType": "PractitionerRole",
    "id": "r1",
    "practitioner": {"reference": "Practitioner/d1"},
}
BOOKED = {
    "resourceType": "Appointment",
    "id": "a1",
    "status": "booked",
    "start": "2025-03-20T09:00:00+08:00",
    "end": "2025-03-20T09:15:00+08:00",
}


def told(event, *resources, version="2.5.1"):
    given = Resources(("", one) for one in resources)
    emitted = emit_parts.written(given, event, Receiver(version=version))
    assert faults(emitted.text) == []
    return emitted


def fields(emitted, name):
    return [line.split("|") for line in emitted.text.split("\r") if line.startswith(f"{name}|")]


def read(emitted, resource_type):
    again = (one.resource for one in emit_parts.read(emitted.raw).resources)
    return [one for one in again if one["resourceType"] == resource_type]


@pytest.mark.parametrize(
    ("more", "left_out"),
    [
        ({"contact": [{"name": {"text": "沈丽"}, "period": {"end": "2030"}}]}, ()),
        ({"photo": [{"url": "http://x"}]}, ("Patient.photo",)),
        (
            {"extension": [{"url": "http://own.example", "valueString": "x"}]},
            ("Patient.extension",),
        ),
        (
            {"communication": [{"language": {"text": "上海话"}}, {"language": {"text": "中文"}}]},
            ("Patient.communication[1]",),
        ),
        (
            {"communication": [{"language": {"text": "中文"}, "preferred": True}]},
            ("Patient.communication.preferred",),
        ),
        (
            {"contact": [{"name": {"text": "沈丽"}, "extension": [{"url": "http://own.example"}]}]},
            ("Patient.contact.extension",),
        ),
    ],
)
def test_what_of_an_element_is_not_told_is_named(more, left_out):
    assert told("ADT^A31", PATIENT | more).left_out == left_out


@pytest.mark.parametrize(
    ("more", "left_out"),
    [
        ({"note": [{"text": "复查", "authorString": "方"}]}, ("Observation.note.authorString",)),
        (
            {"referenceRange": [{"text": "3.9-6.1"}, {"text": "妊娠<5.1"}]},
            ("Observation.referenceRange[1]",),
        ),
        ({"referenceRange": [{"text": "3.9-6.1"}]}, ()),
    ],
)
def test_what_of_a_result_is_not_told_is_named(more, left_out):
    result = {"resourceType": "Observation", "id": "o1", "status": "final", "subject": OF_HER}
    result |= {"code": {"text": "血糖"}, "valueQuantity": {"value": 5, "unit": "mmol/L"}}

    assert told("ORU^R01", PATIENT, result | more).left_out == left_out


def test_what_a_referral_brings_that_has_no_place_is_named():
    drug = {"resourceType": "MedicationRequest", "id": "m1", "subject": OF_HER}
    report = {"resourceType": "DiagnosticReport", "id": "b1", "subject": OF_HER, "conclusion": "高"}
    report |= {"identifier": [{"value": "REP1"}]}
    brought = [{"reference": "MedicationRequest/m1"}, {"display": "外院病历"}]
    brought += [{"reference": "DiagnosticReport/b1"}]

    asked = {"performer": [{"type": "Organization", "display": "示范医院"}]}
    request = REFERRAL | asked | {"supportingInfo": brought}

    emitted = told("REF^I12", PATIENT, request, drug, report)

    named = {one for one in emitted.left_out if "supportingInfo" in one}
    assert named >= {"ServiceRequest.supportingInfo[0]", "ServiceRequest.supportingInfo[1]"}
    assert "of a report that a referral brings the results alone are told" in emitted.issues


def test_what_a_field_cuts_off_is_told_with_the_field():
    codes = [{"system": f"http://{one}.example", "code": one} for one in "abc"]
    allergy = {"resourceType": "AllergyIntolerance", "id": "a1", "patient": OF_HER}

    emitted = told("ADT^A31", PATIENT, allergy | {"code": {"coding": codes}})

    assert emitted.issues == ("AL1-3: CE has 6 components; more were left out",)


@pytest.mark.parametrize("version", ["2.3", "2.5.1", "2.6", "2.7", "2.8.2"])
def test_what_is_said_in_words_has_the_structure_of_each_version(version):
    done = {"resourceType": "Procedure", "id": "x1", "status": "completed", "subject": OF_HER}
    page = {"telecom": [{"system": "url", "value": "https://home.example/a"}]}
    doctor = DOCTOR | {"identifier": [{"value": "D1"}]}
    asked = {"requester": {"reference": "Practitioner/d1"}}

    of_her = told(
        "ADT^A31", PATIENT | page, done | {"code": {"text": "阑尾切除术"}}, version=version
    )
    referral = told("REF^I12", PATIENT, REFERRAL | asked, doctor, version=version)

    assert [one["code"] for one in read(of_her, "Procedure")] == [{"text": "阑尾切除术"}]
    (point,) = read(of_her, "Patient")[0]["telecom"]
    assert (point["system"], point["value"]) == ("url", "https://home.example/a")
    (number,) = read(referral, "Practitioner")[0]["identifier"]
    assert (number["value"], "type" in number) == ("D1", False)


@pytest.mark.parametrize(
    ("charset", "issues"),
    [
        ("GB 18030-2000", ()),
        ("GBK", ("some characters have four bytes of GB 18030, which GBK lacks",)),
        ("UNICODE UTF-8", ()),
        ("ASCII", ()),
    ],
)
def test_a_name_that_gbk_lacks_comes_whole_and_is_told_of(charset, issues):
    given = Resources([("", PATIENT | {"name": [{"family": "𠮷", "given": ["珅"]}]})])

    emitted = emit_parts.written(given, "ADT^A31", Receiver(charset=charset))

    assert [one["family"] for one in read(emitted, "Patient")[0]["name"]] == ["𠮷"]
    assert emitted.issues == issues


@pytest.mark.parametrize(
    ("point", "written", "again"),
    [
        ({"system": "sms", "value": "13900000000"}, "13900000000^PRN^CP", "mobile"),
        ({"system": "other", "value": "weixin:ouyang"}, "", ""),
        ({"system": "phone", "value": "021-59720000", "use": "old"}, "", ""),
    ],
)
def test_a_contact_point_is_no_number_that_it_is_not(point, written, again):
    emitted = told("ADT^A31", PATIENT | {"telecom": [point]})

    (pid,) = fields(emitted, "PID")
    assert "".join(pid[13:14]) == written
    assert [one["use"] for one in read(emitted, "Patient")[0].get("telecom", ())] == [
        *([again] if again else [])
    ]
    assert emitted.left_out == (() if written else ("Patient.telecom",))


def test_when_a_phone_is_good_is_told_where_the_version_has_room():
    phone = {"system": "phone", "value": "021-59720000", "period": {"start": "2024-01-01"}}

    new = told("ADT^A31", PATIENT | {"telecom": [phone]}, version="2.7")
    old = told("ADT^A31", PATIENT | {"telecom": [phone]})

    assert read(new, "Patient")[0]["telecom"][0]["period"] == {"start": "2024-01-01"}
    assert old.issues == ("PID-13: XTN has 12 components; more were left out",)


@pytest.mark.parametrize(
    ("moment", "field"),
    [
        ("1953-04-12T08:05:00+08:00", "19530412080500"),
        ("1953-04-12T20:05:00Z", "19530412"),  # another day on the receiver's clock
    ],
)
def test_the_moment_of_a_birth_is_told_with_its_day(moment, field):
    url = "http://hl7.org/fhir/StructureDefinition/patient-birthTime"
    born = {"extension": [{"url": url, "valueDateTime": moment}]}

    emitted = told("ADT^A31", PATIENT | {"birthDate": "1953-04-12", "_birthDate": born})

    assert fields(emitted, "PID")[0][7] == field
    assert read(emitted, "Patient")[0]["birthDate"] == "1953-04-12"
    assert emitted.left_out == ()


def test_each_sign_of_an_allergy_is_told_one_in_code_by_its_name():
    shock = {
        "coding": [{"system": "http://snomed.info/sct", "code": "39579001", "display": "休克"}]
    }
    allergy = {"resourceType": "AllergyIntolerance", "id": "a1", "patient": OF_HER}
    allergy |= {
        "code": {"text": "青霉素"},
        "reaction": [{"manifestation": [{"text": "皮疹"}, shock]}],
    }

    emitted = told("ADT^A31", PATIENT, allergy)

    (again,) = read(emitted, "AllergyIntolerance")
    assert [one["text"] for one in again["reaction"][0]["manifestation"]] == ["皮疹", "休克"]
    assert emitted.left_out == ()


@pytest.mark.parametrize(
    ("performed", "field", "minutes"),
    [
        ({"performedDateTime": "2025-03-11"}, "20250311", ""),
        (
            {
                "performedPeriod": {
                    "start": "2025-03-11T09:00:00+08:00",
                    "end": "2025-03-11T10:30:00+08:00",
                }
            },
            "20250311090000",
            "90",
        ),
    ],
)
def test_when_a_procedure_was_done_is_told(performed, field, minutes):
    done = {"resourceType": "Procedure", "id": "x1", "status": "completed", "subject": OF_HER}

    emitted = told("ADT^A31", PATIENT, done | {"code": {"text": "阑尾切除术"}} | performed)

    (line,) = fields(emitted, "PR1")
    assert (line[5], "".join(line[7:8])) == (field, minutes)
    (again,) = read(emitted, "Procedure")
    assert {name: again.get(name) for name in performed} == performed
    assert again["status"] == "completed"


def test_who_refers_by_her_role_and_who_is_asked_by_one_text_are_persons():
    asked = {"requester": {"reference": "PractitionerRole/r1"}}
    asked |= {"performer": [{"display": "戴慧", "type": "Practitioner"}]}
    asked |= {"performerType": {"text": "内分泌医师"}}

    emitted = told("REF^I12", PATIENT, REFERRAL | asked, ROLE, DOCTOR)

    assert [(one[1], one[2]) for one in fields(emitted, "PRD")] == [
        ("RP", "顾^文"),
        ("RT", "戴^慧"),
        ("RT", "^内分泌医师"),
    ]


def test_who_is_named_alone_takes_part_once_as_a_person():
    parts = [{"actor": {"display": "王护士"}, "status": "accepted"}]

    emitted = told("SIU^S12", PATIENT, BOOKED | {"participant": parts})

    assert [one[3] for one in fields(emitted, "AIP")] == ["^王护士"]
    assert fields(emitted, "AIL") == fields(emitted, "AIG") == []


def test_from_when_who_takes_part_is_booked_is_his_own_time():
    late = {"start": "2025-03-20T09:05:00+08:00", "end": "2025-03-20T09:15:00+08:00"}
    parts = [{"actor": {"display": "戴慧"}, "status": "accepted", "period": late}]

    emitted = told("SIU^S12", PATIENT, BOOKED | {"participant": parts})

    assert fields(emitted, "AIP")[0][6:11] == ["20250320090500", "", "", "10", "min"]
    (again,) = read(emitted, "Appointment")
    assert [one["period"] for one in again["participant"] if "period" in one] == [late]


@pytest.mark.parametrize("version", ["2.3", "2.4", "2.5.1", "2.8.2"])
@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ({"contentType": "application/pdf", "data": "JVBERi0="}, "ED"),
        ({"contentType": "application/pdf", "url": "https://hospital.example/r.pdf"}, "RP"),
    ],
)
def test_the_files_of_a_report_are_told_behind_its_results(file, kind, version):
    report = {"resourceType": "DiagnosticReport", "id": "b1", "status": "final", "subject": OF_HER}
    report |= {"code": {"text": "出院小结"}, "presentedForm": [file]}

    emitted = told("ORU^R01", PATIENT, report, version=version)

    assert [(one[2], one[3], one[4]) for one in fields(emitted, "OBX")] == [
        (kind, "^出院小结", "file.1")
    ]
    (again,) = read(emitted, "Observation")
    files = [one["valueAttachment"] for one in again["extension"] if "valueAttachment" in one]
    assert files == [file]
    assert (emitted.left_out, emitted.issues) == ((), ())


@pytest.mark.parametrize(
    ("value", "written", "again"),
    [
        ({"low": {"value": 1, "unit": "g/L"}}, (">=^1", "g/L"), (">=", "1")),
        ({"high": {"value": 9, "unit": "g/L"}}, ("<=^9", "g/L"), ("<=", "9")),
    ],
)
def test_a_range_with_one_end_is_no_number(value, written, again):
    result = {"resourceType": "Observation", "id": "o1", "status": "final", "subject": OF_HER}

    emitted = told("ORU^R01", PATIENT, result | {"code": {"text": "蛋白"}, "valueRange": value})

    (line,) = fields(emitted, "OBX")
    assert (line[5], line[6]) == written
    (quantity,) = (one["valueQuantity"] for one in read(emitted, "Observation"))
    assert (quantity["comparator"], str(quantity["value"])) == again


@pytest.mark.parametrize(
    ("when", "moment", "end", "issues"),
    [
        ({"effectiveInstant": "2025-03-01T08:00:00Z"}, "20250301160000", "", 0),
        ({"effectivePeriod": {"start": "2025-03-01"}}, "20250301", "", 0),
        (
            {"effectivePeriod": {"start": "2025-03-01", "end": "2025-03-02"}},
            "20250301",
            "20250302",
            1,
        ),
    ],
)
def test_when_a_result_was_observed_is_told_however_it_is_said(when, moment, end, issues):
    result = {"resourceType": "Observation", "id": "o1", "status": "final", "subject": OF_HER}
    result |= {"code": {"text": "心率"}, "valueQuantity": {"value": 70}}

    emitted = told("ORU^R01", PATIENT, result | when)

    assert [one[14] for one in fields(emitted, "OBX")] == [moment]
    assert [(one[7], one[8]) for one in fields(emitted, "OBR")] == [(moment, end)]
    assert (emitted.left_out, len(emitted.issues)) == ((), issues)


def test_a_place_of_a_visit_without_a_status_is_where_she_is():
    act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    visit = {"resourceType": "Encounter", "id": "e1", "status": "in-progress", "subject": OF_HER}
    visit |= {"class": {"system": act, "code": "AMB"}}
    places = [{"location": {"display": "3病区"}}]
    places += [{"location": {"display": "急诊"}, "period": {"end": "2025-03-01"}}]

    emitted = told("ADT^A08", PATIENT, visit | {"location": places})

    (line,) = fields(emitted, "PV1")
    assert (line[3], line[6]) == ("^^^^^^^^3病区", "^^^^^^^^急诊")
