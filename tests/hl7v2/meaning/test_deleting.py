"""`""` deletes and empty leaves, whatever element it is; a corrected result is a new version.

Spec: HL7v2 chapter 2, 2.5.3; chapter 7, OBX-11 and OBR-25 (tables 0085, 0123)
"""

import pytest
from meaning_parts import person, segment, visit

from fhir_hub import fhirjson
from fhir_hub.store.base import Key


def of_patient(resource):
    urls = {one["url"].rpartition("/")[2] for one in resource.get("extension", ())}
    return {*resource, *urls}


@pytest.mark.parametrize(
    ("field", "value", "element"),
    [
        ("f7", "19530412", "birthDate"),
        ("f11", "示范路1号^^上海市", "address"),
        ("f13", "13000000001", "telecom"),
        ("f15", "zh", "communication"),
        ("f16", "M", "maritalStatus"),
        ("f22", "01", "ethnic-group"),
        ("f22", "N^Not Hispanic^HL70189", "ethnicity"),
        ("f25", "2", "multipleBirthInteger"),
        ("f29", "20250101", "deceasedDateTime"),
    ],
)
async def test_null_deletes_an_element_of_a_patient_and_empty_leaves_it(
    say, only, field, value, element
):
    await say("ADT^A08", "1000", person(**{field: value}))
    await say("ADT^A08", "1100", person(**{field: ""}))
    assert element in of_patient(await only("Patient"))

    await say("ADT^A08", "1200", person(**{field: '""'}))
    assert element not in of_patient(await only("Patient"))


CENTRE, DOCTOR, OTHER = "周家桥中心^^FAC1", "D1^戴^慧^^^^^^ZJJCHC", "D2^顾^文清^^^^^^ZJJCHC"
BOTH = ["Practitioner", "Organization"]


@pytest.mark.parametrize(
    ("centre", "doctor", "left"),
    [
        pytest.param(CENTRE, "", BOTH, id="the centre again"),
        pytest.param("", OTHER, BOTH, id="another doctor"),
        pytest.param('""', OTHER, BOTH[:1], id="a doctor for the centre"),
        pytest.param("", '""', BOTH[1:], id="no doctor"),
        pytest.param('""', '""', [], id="neither"),
    ],
)
async def test_a_centre_and_a_doctor_are_told_and_deleted_each_alone(
    say, only, centre, doctor, left
):
    await say("ADT^A08", "1000", person(), segment("PD1", f3=CENTRE, f4=DOCTOR))
    await say("ADT^A08", "1100", person(), segment("PD1", f3=centre, f4=doctor))

    patient = await only("Patient")
    found = patient.get("generalPractitioner", [])
    assert [one["reference"].partition("/")[0] for one in found] == left
    assert ("managingOrganization" in patient) is (left[-1:] == BOTH[1:])


async def test_a_centre_and_a_doctor_who_are_names_alone_are_told_apart(say, only):
    await say("ADT^A08", "1000", person(), segment("PD1", f3="周家桥中心", f4="^戴^慧"))
    await say("ADT^A08", "1100", person(), segment("PD1", f3='""'))
    # what is late adds the kind that is not there, and does not bring back what was deleted
    await say("ADT^A08", "0900", person(), segment("PD1", f3="周家桥中心", f4="^顾^文清"))

    (found,) = (await only("Patient"))["generalPractitioner"]
    assert found == {"type": "Practitioner", "display": "戴慧"}


async def test_null_deletes_parts_and_items_of_a_visit(say, only):
    full = {"f7": "D1^顾^文清", "f14": "1", "f17": "D2^方^晓岚", "f45": "20250314100000"}
    await say("ADT^A01", "0900", person(), visit(f44="20250314090000", **full))
    await say("ADT^A08", "1000", person(), visit())
    kept = await only("Encounter")
    assert len(kept["participant"]) == 2
    assert {"start", "end"} == set(kept["period"])

    await say("ADT^A08", "1100", person(), visit(**dict.fromkeys(("f7", "f14", "f45"), '""')))
    found = await only("Encounter")
    assert [one["type"][0]["coding"][0]["code"] for one in found["participant"]] == ["ADM"]
    assert set(found["period"]) == {"start"}
    assert "hospitalization" not in found


async def test_an_order_keeps_what_its_change_leaves_empty(say, only):
    order = {"f2": "P1^ZJJCHC", "f4": "GLU^血糖", "f13": "空腹"}
    await say("ORM^O01", "0900", person(), "ORC|NW|P1^ZJJCHC", segment("OBR", **order, f5="S"))
    await say("ORM^O01", "1000", person(), "ORC|XO|P1^ZJJCHC", segment("OBR", **order))
    assert (await only("ServiceRequest"))["priority"] == "stat"


def result(status, value, report=""):
    order = segment("OBR", f3="F1", f4="4548-4^HbA1c^LN", f7="20250314080000", f25=report or status)
    return person(), order, f"OBX|1|NM|4548-4^HbA1c^LN||{value}|%|||||{status}"


@pytest.mark.parametrize(
    ("code", "value", "status"),
    [
        ("C", "7.9", "corrected"),
        ("D", "", "entered-in-error"),
        ("W", "8.1", "entered-in-error"),
        ("X", "", "cancelled"),
        ("A", "7.9", "amended"),
    ],
)
async def test_a_corrected_result_is_a_new_version_of_the_same(
    say, only, store, code, value, status
):
    await say("ORU^R01", "1000", *result("F", "8.1"))
    await say("ORU^R01", "1100", *result(code, value, "C"))

    found = await only("Observation")
    assert (found["status"], found["meta"]["versionId"]) == (status, "2")
    assert str(found.get("valueQuantity", {}).get("value", "")) == value
    before = fhirjson.loads((await store.vread(Key("Observation", found["id"]), 1)).content)
    assert (before["status"], str(before["valueQuantity"]["value"])) == ("final", "8.1")
    report = await only("DiagnosticReport")
    assert (report["status"], len(report["result"])) == ("corrected", 1)


async def test_a_correction_of_one_result_leaves_the_report_s_others(say, only, every):
    person_, order, first = result("F", "8.1")
    second = "OBX|2|NM|2345-7^GLU^LN||5.1|mmol/L|||||F"
    await say("ORU^R01", "1000", person_, order, first, second)
    await say("ORU^R01", "1100", *result("C", "7.9"))

    assert len((await only("DiagnosticReport"))["result"]) == 2
    assert sorted(one["status"] for one in await every("Observation")) == ["corrected", "final"]
