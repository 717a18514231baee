"""What fields say that repeat, and what few messages fill: insurers, further persons, procedures.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir (AIL, AIP, IN1, PR1, PV1, RXA, SCH)
"""

import pytest
from conversion_parts import (
    BASE,
    PID,
    by_table,
    codes,
    converted,
    lines,
    of_type,
    only,
    segment,
    target,
    values,
)

TIMES = "^^^20250315101500^20250315104500"
MSH = "MSH|^~\\&|XIS|TEST01|HUB|QPRHP|20250315101500||{}|C1|P|2.5"
FURTHER = f"{BASE}/StructureDefinition/further"
SUBSCRIBER = "http://hl7.org/fhir/5.0/StructureDefinition/extension-subscriberId"


def booked(*segments, **options):
    booking = segment("SCH", f1="A1", f2="F1", f11=TIMES)
    message = lines(MSH.format("SIU^S12^SIU_S12"), booking, PID, "RGS|1", *segments)
    return converted(message, **options)


@pytest.mark.parametrize("table", [False, True])
def test_each_person_and_room_that_one_segment_books_takes_part(table):
    aip = segment(
        "AIP", f1="1", f2="A", f3="D1^李^明~~D2^王^芳", f4="D^Doctor^HL70286", f12="Booked"
    )
    ail = segment("AIL", f1="1", f2="A", f3="R1^101~R2^102", f4="O^Office^HL70305")
    found = booked(aip, ail, by_table=table)
    people = only(found, "Appointment")["participant"]
    named = [target(found, one["actor"]) for one in people if "reference" in one["actor"]]
    doctors = [values(one) for one in named if one["resourceType"] == "Practitioner"]
    assert doctors == [["D1"], ["D2"]]
    kinds = [code for one in people for kind in one.get("type", []) for code in codes(kind)]
    assert sorted(kinds) == ["D", "D", "O", "O"]


def test_a_room_that_is_taken_out_of_a_booking_takes_all_of_its_segment_with_it():
    booking = segment("SCH", f1="A1", f2="F1", f11=TIMES)
    aip = segment("AIP", f1="1", f2="D", f3="D1^李^明~D2^王^芳")
    found = converted(lines(MSH.format("SIU^S14^SIU_S12"), booking, PID, "RGS|1", aip))
    appointment = only(found, "Appointment")
    assert all("D1" not in str(one) for one in appointment.get("participant", []))


@pytest.mark.parametrize(("of", "kind"), [("^Normal^HL70277", "Normal"), ("", "ROUTINE")])
def test_the_type_of_a_booking_is_that_of_its_own_table_where_it_names_it(of, kind):
    booking = segment("SCH", f1="A1", f7="ROUTINE^Routine^HL70276", f8=f"NORMAL{of}", f11=TIMES)
    found = only(by_table("SIU^S12^SIU_S12", booking, "AIP|1|A|D1"), "Appointment")
    assert list(codes(found["appointmentType"])) == [kind]


def test_a_bare_code_of_a_booking_is_of_the_table_that_its_field_has():
    booking = segment("SCH", f1="A1", f7="CHECKUP", f8="TENTATIVE", f11=TIMES)
    found = only(by_table("SIU^S12^SIU_S12", booking, "AIP|1|A|D1"), "Appointment")
    of = [found["reasonCode"][0]["coding"][0], *found["appointmentType"]["coding"]]
    told = [(one["system"].rpartition("-")[2], one["code"]) for one in of]
    assert told == [("0276", "CHECKUP"), ("0277", "Tentative")]


def test_a_second_device_of_a_result_is_beside_the_first():
    obx = segment("OBX", f1="1", f2="NM", f3="1^A^LN", f5="1", f11="F", f18="E1^A~~E2^B~E3^C")
    found = by_table("ORU^R01^ORU_R01", "OBR|1||F1|X^Y", obx)
    device = only(found, "Observation")["device"]
    more = [one["valueReference"] for one in device["extension"] if one["url"] == FURTHER]
    assert [values(target(found, one)) for one in [device, *more]] == [["E1"], ["E2"], ["E3"]]


def test_of_who_is_stored_nobody_is_made_to_whom_nothing_refers():
    dg1 = segment("DG1", f1="1", f3="I10^高血压^I10", f16="D1^李^明~D2^王^芳", f20="G1^X")
    found = converted(lines(MSH.format("ADT^A08^ADT_A01"), "EVN|A08", PID, dg1))
    assert [values(one) for one in of_type(found, "Practitioner")] == [["D1"]]
    assert [one.code for one in found.report.issues()] == ["repeated-value"]


@pytest.mark.parametrize(
    ("begins", "minutes", "performed"),
    [
        (
            "202503160900",
            "90",
            {"start": "2025-03-16T09:00:00+08:00", "end": "2025-03-16T10:30:00+08:00"},
        ),
        ("20250316", "90", "2025-03-16"),
        ("202503160900", "", "2025-03-16T09:00:00+08:00"),
        ("202503160900", "0", "2025-03-16T09:00:00+08:00"),
        ("", "90", None),
    ],
)
def test_a_procedure_lasts_its_minutes_from_its_time(begins, minutes, performed):
    pr1 = segment("PR1", f1="1", f3="47600^X^C4", f5=begins, f7=minutes, f19="P1^X")
    found = only(by_table("ADT^A01^ADT_A01", "EVN|A01", pr1), "Procedure")
    assert found.get("performedPeriod", found.get("performedDateTime")) == performed
    alone = [one["valueDuration"]["value"] for one in found.get("extension", [])]
    assert alone == ([90] if minutes == "90" and not isinstance(performed, dict) else [])


def test_an_insurer_has_every_number_and_the_insured_each_of_hers():
    in1 = segment(
        "IN1", f1="1", f2="P1", f3="I1^^^A&1.2.3&ISO^NIIP~I2", f4="Big^^^^^B&1.2.4&ISO^XX^^^I3",
        f10="E1^^^C&1.2.5&ISO^SN", f11="Works", f17="SPO", f36="POL1", f49="M1^^^D&1.2.6&ISO^MI~M2",
    )  # fmt: skip
    found = by_table("ADT^A01^ADT_A01", "EVN|A01", in1)
    coverage = only(found, "Coverage")
    insurer = target(found, coverage["payor"][0])
    assert (insurer["name"], values(insurer)) == ("Big", ["I1", "I2", "I3"])
    assert insurer["identifier"][0]["system"] == "urn:oid:1.2.3"
    assert not any("patient-id" in one.get("system", "") for one in insurer["identifier"])
    said = [one for one in coverage["extension"] if one["url"] == SUBSCRIBER]
    assert [one["valueIdentifier"]["value"] for one in said] == ["M1", "M2", "E1"]


def test_a_temporary_place_is_told_from_the_assigned_one():
    pv1 = segment("PV1", f2="I", f3="W1^1^1", f11="T1^2^2", f19="V1")
    places = only(by_table("ADT^A02^ADT_A02", "EVN|A02", pv1), "Encounter")["location"]
    said = [[one["valueCodeableConcept"] for one in place.get("extension", [])] for place in places]
    assert said == [[], [{"coding": [{"code": "temporary"}]}]]


def test_a_dose_has_the_first_of_its_lots_and_what_she_had_from_it():
    rxa = segment(
        "RXA", f1="0", f2="1", f3="20250315", f5="08^HepB^CVX", f6="1", f15="L1~L2", f20="CP"
    )
    obx = segment(
        "OBX", f1="1", f2="CE", f3="31044-1^Reaction^LN", f5="39579001^X^SCT", f11="F",
        f14="20250316",
    )  # fmt: skip
    found = by_table("VXU^V04^VXU_V04", "ORC|RE|P1|F1", rxa, obx)
    dose = only(found, "Immunization")
    assert dose["lotNumber"] == "L1"
    (reaction,) = dose["reaction"]
    assert reaction["date"] == "2025-03-16"
    assert list(codes(target(found, reaction["detail"])["code"])) == ["31044-1"]


def test_a_referral_has_each_diagnosis_of_its_visit_and_each_number_of_a_doctor():
    found = by_table(
        "REF^I12^REF_I12", "RF1|P|R|||||R1^X", "PRD|RP|李^明|||||N1^NPI~N2", "DG1|1||I10^A^I10",
        "DG1|2||E11^B^I10", "PV1|1|O|||||||||||||||||V1",
    )  # fmt: skip
    visit = only(found, "Encounter")
    told = [target(found, one["condition"]) for one in visit["diagnosis"]]
    assert [code for one in told for code in codes(one["code"])] == ["I10", "E11"]
    assert ["N1", "N2"] in [values(one) for one in of_type(found, "Practitioner")]


def test_a_dose_without_a_vaccine_is_told_with_the_rest_of_it():
    rxa = segment(
        "RXA", f1="0", f2="1", f3="20250315", f6="0.5", f7="mL", f18="00^Refused^L", f20="RE"
    )
    dose = only(by_table("VXU^V04^VXU_V04", "ORC|RE|P1|F1", rxa), "Immunization")
    assert (dose["status"], dose["occurrenceDateTime"]) == ("not-done", "2025-03-15")
    assert dose["vaccineCode"]["extension"][0]["valueCode"] == "unknown"


def test_the_receiving_institution_is_told_once():
    found = by_table("ADT^A01^ADT_A01", "EVN|A01")
    (destination,) = only(found, "MessageHeader")["destination"]
    named = [one for one in of_type(found, "Organization") if "QPRHP" in str(one)]
    assert named == [target(found, destination["receiver"])]
