"""What a version has a field for is told, wherever it has moved since: read again, it is there."""

import emit_parts
import pytest

from fhir_hub.hl7v2.emit.emit import Receiver
from fhir_hub.hl7v2.emit.resources import Resources
from fhir_hub.hl7v2.emit.validity import faults

SID = "https://fhir-hub.example/sid"
V2 = "http://terminology.hl7.org/CodeSystem/v2-0203"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
CDC = "urn:oid:2.16.840.1.113883.6.238"
LOINC = "http://loinc.org"
VERSIONS = ["2.3", "2.4", "2.5.1", "2.7", "2.8.2"]


def numbered(resource_type, logical_id, kind, **more):
    number = {
        "system": f"{SID}/SHTH01",
        "value": f"N-{logical_id}",
        "type": {"coding": [{"system": V2, "code": kind}]},
    }
    return {"resourceType": resource_type, "id": logical_id, "identifier": [number], **more}


DOCTOR = {
    "resourceType": "Practitioner",
    "id": "dai",
    "identifier": [{"system": f"{SID}/SHTH01/practitioner", "value": "D1"}],
    "name": [{"family": "戴", "given": ["慧"]}],
}
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": f"{SID}/SHTH01/patient-id", "value": "T1"}],
    "name": [{"family": "沈", "given": ["桂芳"]}],
    "generalPractitioner": [{"reference": "Practitioner/dai"}],
}
OF = {"subject": {"reference": "Patient/p1"}}
VISIT = numbered("Encounter", "e1", "VN", status="in-progress", **OF) | {
    "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}
}
RESULT = {"resourceType": "Observation", "id": "o1", "status": "final", **OF} | {
    "code": {"coding": [{"system": LOINC, "code": "14771-0", "version": "2.74"}]},
    "valueCodeableConcept": {
        "coding": [{"system": "http://snomed.info/sct", "code": "260415000", "version": "2024"}],
        "text": "未检出",
    },
}
ORDER = numbered("ServiceRequest", "s1", "PLAC", status="active", intent="order", **OF) | {
    "code": {"text": "血糖"},
    "priority": "stat",
    "quantityQuantity": {"value": 2},
    "supportingInfo": [{"reference": "Observation/q1"}],
}
ASKED = {"resourceType": "Observation", "id": "q1", "status": "final", **OF} | {
    "code": {"coding": [{"system": LOINC, "code": "11778-8"}]},
    "valueString": "39 周",
}
SPECIMENS = [
    numbered("Specimen", name, "FILL", type={"text": text}, **OF)
    for name, text in (("sp1", "静脉血"), ("sp2", "中段尿"))
]
REPORT = numbered("DiagnosticReport", "d1", "FILL", status="final", **OF) | {
    "code": {"text": "生化"},
    "basedOn": [{"reference": "ServiceRequest/s1"}],
    "result": [{"reference": "Observation/o1"}],
    "specimen": [{"reference": "Specimen/sp1"}, {"reference": "Specimen/sp2"}],
}


def told(event, version, *resources):
    """Return what was written, and what is read of it, by type."""
    given = Resources(("", one) for one in resources)
    emitted = emit_parts.written(given, event, Receiver(version=version))
    assert faults(emitted.text) == []
    again: dict[str, list[dict]] = {}
    for one in emit_parts.read(emitted.raw).resources:
        again.setdefault(one.resource["resourceType"], []).append(one.resource)
    return emitted, again


@pytest.mark.parametrize("version", VERSIONS)
def test_who_her_doctor_is_comes_back_though_there_is_no_pd1_4_since_2_7(version):
    emitted, again = told("ADT^A31", version, PATIENT, DOCTOR)

    assert emitted.left_out == ()
    assert [one["identifier"][0]["value"] for one in again["Practitioner"]] == ["D1"]
    assert again["Patient"][0]["generalPractitioner"]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_diagnosis_is_called_comes_back_though_there_is_no_dg1_4_since_2_7(version):
    code = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "E11.9"}]}
    condition = {"resourceType": "Condition", "id": "c1", "code": code | {"text": "2型糖尿病"}}
    condition |= {"encounter": {"reference": "Encounter/e1"}, **OF}

    _, again = told("ADT^A08", version, PATIENT, DOCTOR, VISIT, condition)

    assert [one["code"]["text"] for one in again["Condition"]] == ["2型糖尿病"]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_orders_quantity_and_priority_come_back_though_obr_has_lost_them_in_2_7(version):
    _, again = told("ORU^R01", version, PATIENT, DOCTOR, ORDER, REPORT, RESULT)

    (order,) = again["ServiceRequest"]
    assert (order["priority"], str(order["quantityQuantity"]["value"])) == ("stat", "2")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_bookings_times_come_back_though_there_is_no_sch_11_since_2_7(version):
    times = {"start": "2026-12-14T09:30:00+08:00", "end": "2026-12-14T09:45:00+08:00"}
    booking = numbered("Appointment", "a1", "FILL", status="booked", **times)
    booking["participant"] = [{"actor": OF["subject"], "status": "accepted"}]

    emitted, again = told("SIU^S12", version, PATIENT, booking)

    assert {"Appointment.start", "Appointment.end"}.isdisjoint(emitted.left_out)
    assert {name: again["Appointment"][0][name] for name in times} == times


@pytest.mark.parametrize("version", ["2.4", "2.8.2"])
def test_what_was_done_is_the_reports_code_whatever_was_ordered(version):
    emitted, again = told("ORU^R01", version, PATIENT, DOCTOR, ORDER, REPORT, RESULT)

    assert again["DiagnosticReport"][0]["code"]["text"] == "生化"
    assert "ServiceRequest.code" in emitted.left_out


def test_an_order_of_the_reports_code_says_what_that_is_called():
    code = {"coding": [{"system": LOINC, "code": "24323-8"}]}
    order = ORDER | {"code": code | {"text": "生化全套"}}

    emitted, again = told("ORU^R01", "2.4", PATIENT, DOCTOR, order, REPORT | {"code": code}, RESULT)

    assert again["DiagnosticReport"][0]["code"]["text"] == "生化全套"
    assert "DiagnosticReport.code" not in emitted.left_out


@pytest.mark.parametrize("version", VERSIONS)
def test_a_phone_at_work_is_none_at_home(version):
    phones = [
        {"system": "phone", "value": number, "use": use}
        for number, use in (("02159720000", "work"), ("02159721111", "home"))
    ]

    emitted, again = told("ADT^A31", version, PATIENT | {"telecom": phones}, DOCTOR)

    (person,) = (line for line in emitted.text.split("\r") if line.startswith("PID|"))
    home, work = person.split("|")[13:15]
    assert ("02159721111" in home, "02159720000" in work, "~" in home) == (True, True, False)
    kept = [{name: one[name] for name in phones[0]} for one in again["Patient"][0]["telecom"]]
    assert sorted(kept, key=str) == sorted(phones, key=str)


@pytest.mark.parametrize(
    ("version", "code_version", "value_version", "text"),
    [
        pytest.param("2.4", None, None, "未检出", id="CE has no version"),
        pytest.param("2.5.1", None, "2024", "未检出", id="OBX-5 may be a CWE"),
        pytest.param("2.8.2", "2.74", "2024", "未检出", id="CWE"),
    ],
)
def test_the_version_of_a_code_system_comes_back(version, code_version, value_version, text):
    _, again = told("ORU^R01", version, PATIENT, RESULT)

    (found,) = again["Observation"]
    value = found["valueCodeableConcept"]
    assert found["code"]["coding"][0].get("version") == code_version
    assert (value["coding"][0].get("version"), value["text"]) == (value_version, text)


def test_the_versions_of_three_code_systems_come_back():
    codings = [
        {
            "system": f"http://terminology.hl7.org/CodeSystem/{one}",
            "code": one,
            "version": f"1.{at}",
        }
        for at, one in enumerate(("a", "b", "c"))
    ]
    _, again = told("ORU^R01", "2.8.2", PATIENT, RESULT | {"code": {"coding": codings}})
    assert again["Observation"][0]["code"]["coding"] == codings


@pytest.mark.parametrize("version", ["2.5.1", "2.8.2"])
def test_each_specimen_of_a_report_comes_back(version):
    _, again = told("ORU^R01", version, PATIENT, DOCTOR, ORDER, REPORT, RESULT, *SPECIMENS)

    assert [one["type"]["text"] for one in again["Specimen"]] == ["静脉血", "中段尿"]


def test_when_a_result_was_given_out_is_told_without_a_report_too():
    issued = "2026-11-25T10:00:00+08:00"

    emitted, again = told("ORU^R01", "2.4", PATIENT, RESULT | {"issued": issued})

    assert again["DiagnosticReport"][0]["issued"] == issued
    assert "Observation.issued" not in emitted.left_out


@pytest.mark.parametrize(("version", "count"), [("2.5.1", 1), ("2.8.2", 2)])
def test_what_was_asked_with_an_order_is_told_where_it_can_be_told_from_a_result(version, count):
    emitted, again = told("ORU^R01", version, PATIENT, DOCTOR, ORDER, REPORT, RESULT, ASKED)

    assert len(again["Observation"]) == count
    assert len(again["DiagnosticReport"][0]["result"]) == 1
    assert len(again["ServiceRequest"][0].get("supportingInfo", ())) == count - 1
    assert ("ServiceRequest.supportingInfo" in emitted.left_out) is (count == 1)


def test_race_and_ethnicity_as_us_core_says_them_are_told():
    race = [{"url": "ombCategory", "valueCoding": {"system": CDC, "code": "2106-3"}}]
    race += [{"url": "text", "valueString": "White"}]
    extension = [
        {"url": f"{US_CORE}race", "extension": race},
        {"url": f"{US_CORE}ethnicity", "extension": [{"url": "text", "valueString": "Other"}]},
    ]

    emitted, again = told("ADT^A31", "2.5.1", PATIENT | {"extension": extension}, DOCTOR)

    assert emitted.left_out == ()
    said = {one["url"].rpartition("/")[2]: one for one in again["Patient"][0]["extension"]}
    assert said["race"]["valueCodeableConcept"]["coding"][0]["code"] == "2106-3"
    assert said["ethnicity"]["valueCodeableConcept"]["text"] == "Other"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_note_of_a_referral_does_not_become_that_of_a_result_that_comes_with_it(version):
    request = numbered("ServiceRequest", "r1", "PLAC", status="active", intent="order", **OF) | {
        "category": [{"coding": [{"code": "referral"}]}],
        "requester": {"reference": "Practitioner/dai"},
        "note": [{"text": "请协助评估"}],
        "supportingInfo": [{"reference": "Observation/o1"}],
    }

    _, again = told("REF^I12", version, PATIENT, DOCTOR, request, RESULT)

    notes = [[one["text"] for one in made.get("note", ())] for made in again["ServiceRequest"]]
    assert notes == [["请协助评估"]]
    assert "note" not in again["Observation"][0]
    assert "Encounter" not in again
