"""Fields that R4 has a place for and few senders fill: diets, containers, charges, cover.

Spec: HL7v2 chapters 3 (IAM), 4 (ODS, OBR), 6 (FT1, IN1, DG1), 10 (AIG), 12 (PRB), 13 (SAC)
"""

import pytest
from conversion_parts import (
    PID,
    TABLE_MSH,
    by_table,
    converted,
    errors,
    lines,
    of_type,
    only,
    segment,
    states,
    target,
    values,
)

BOOKING = segment("SCH", f1="A1", f2="F1", f11="^^^20250315101500^20250315104500")


@pytest.mark.parametrize("kind", ["ORM^O01^ORM_O01", "OMD^O03^OMD_O03"])
def test_what_somebody_is_to_eat_is_one_order(kind):
    orc = segment("ORC", f1="NW", f2="D1^HIS", f9="20250315", f12="D7^李^强")
    diet = segment(
        "ODS", f1="D", f2="MEAL1^早餐~MEAL2^午餐", f3="DB^糖尿病饮食^L~LS^低盐^L", f4="少油"
    )
    supplement = segment("ODS", f1="S", f3="SUP^匀浆^L", f4="每日一瓶")
    wish = segment("ODS", f1="P", f3="NP^不吃猪肉^L", f4="清真")
    conversion = by_table(kind, orc, diet, supplement, wish)
    order = only(conversion, "NutritionOrder")
    assert (order["status"], order["dateTime"], values(order)) == ("active", "2025-03-15", ["D1"])
    assert [one["text"] for one in order["oralDiet"]["type"]] == ["糖尿病饮食", "低盐"]
    assert order["oralDiet"]["instruction"] == "少油"
    assert [one["code"]["text"] for one in order["oralDiet"]["schedule"]] == ["早餐", "午餐"]
    (product,) = order["supplement"]
    assert (product["type"]["text"], product["instruction"]) == ("匀浆", "每日一瓶")
    assert order["foodPreferenceModifier"][0]["text"] == "不吃猪肉"
    assert [one["text"] for one in order["note"]] == ["清真"]
    assert target(conversion, order["orderer"])["name"][0]["family"] == "李"
    assert of_type(conversion, "ServiceRequest") == []
    stored = converted(lines(TABLE_MSH.format(kind), PID, orc, diet, supplement, wish))
    assert errors(stored) == []
    assert len(of_type(stored, "NutritionOrder")) == 1


def test_a_container_alone_tells_of_a_specimen():
    sac = segment("SAC", f2="ACC1", f3="TUBE1", f6="BLD&血", f7="202503150900", f27="EDTA^EDTA^L")
    obr = segment("OBR", f1="1", f2="P1", f3="F1", f4="X^Y", f25="F")
    obx = segment("OBX", f1="1", f2="NM", f3="A^B", f5="5", f11="F")
    conversion = by_table("OUL^R21^OUL_R21", sac, obr, obx)
    specimen = next(one for one in of_type(conversion, "Specimen") if "container" in one)
    assert specimen["accessionIdentifier"]["value"] == "ACC1"
    assert specimen["receivedTime"].startswith("2025-03-15T09:00")
    assert specimen["type"]["coding"][0]["code"] == "BLD"
    (container,) = specimen["container"]
    assert container["identifier"][0]["value"] == "TUBE1"
    assert container["additiveCodeableConcept"]["text"] == "EDTA"
    result = only(conversion, "Observation")
    assert target(conversion, result["specimen"]) is specimen


def test_a_charge_says_which_institutions_asked_for_it_and_did_it():
    ft1 = segment(
        "FT1", f4="20250315", f6="CG", f7="X^Y", f32="乙院^^^^^^^^^O2", f33="甲院^^^^^^^^^O1"
    )
    conversion = by_table("DFT^P03^DFT_P03", ft1)
    charge = only(conversion, "ChargeItem")
    assert target(conversion, charge["performingOrganization"])["name"] == "乙院"
    assert target(conversion, charge["requestingOrganization"])["name"] == "甲院"


def test_cover_says_whom_to_ask_at_the_insurer_and_what_is_paid_by_oneself():
    in1 = segment(
        "IN1", f1="1", f2="P1", f3="C1", f4="平安", f6="王^芳", f7="^WPN^PH^^^^95511", f37="500&CNY"
    )
    conversion = by_table("ADT^A01^ADT_A01", "PV1|1|I", in1)
    cover = only(conversion, "Coverage")
    insurer = target(conversion, cover["payor"][0])
    assert insurer["telecom"][0]["value"] == "95511"
    assert insurer["contact"][0]["name"]["family"] == "王"
    (cost,) = cover["costToBeneficiary"]
    assert cost["type"]["coding"][0]["code"] == "deductible"
    assert (cost["valueMoney"]["value"], cost["valueMoney"]["currency"]) == (500, "CNY")


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("ADT^A01^ADT_A01", segment("DG1", f1="1", f3="F32.9^抑郁发作^I10", f6="A", f18="Y")),
        ("PPR^PC1^PPR_PC1", segment("PRB", f1="AD", f2="20250315", f3="F32.9^抑郁^I10", f25="R")),
    ],
)
def test_who_may_see_a_diagnosis_is_a_label_of_it(kind, told):
    condition = only(by_table(kind, "PV1|1|I", told), "Condition")
    assert [one["code"] for one in condition["meta"]["security"]] == ["R"]


def test_an_order_is_for_when_its_scheduled_unless_it_says_otherwise():
    orc, obr = (
        segment("ORC", f1="NW", f2="P1"),
        {"f1": "1", "f2": "P1", "f4": "X^Y", "f36": "20250401"},
    )
    alone = by_table("OML^O21^OML_O21", orc, segment("OBR", **obr))
    assert only(alone, "ServiceRequest")["occurrenceDateTime"] == "2025-04-01"
    timed = by_table("OML^O21^OML_O21", orc, "TQ1|1||BID", segment("OBR", **obr))
    assert "occurrenceDateTime" not in only(timed, "ServiceRequest")


@pytest.mark.parametrize(("told", "kind"), [("IN^Intolerance", "intolerance"), ("SE", "allergy")])
def test_an_allergy_says_its_mechanism_and_who_first_recorded_it(told, kind):
    iam = segment(
        "IAM", f1="1", f2="DA", f3="A^青霉素", f6="A", f9=told, f23="D1^张^敏", f24="20240203"
    )
    conversion = by_table("ADT^A60^ADT_A60", iam)
    allergy = only(conversion, "AllergyIntolerance")
    assert (allergy["type"], allergy["recordedDate"]) == (kind, "2024-02-03")
    assert target(conversion, allergy["recorder"])["name"][0]["family"] == "张"
    mechanism = {one for (path, _), one in states(conversion).items() if path.startswith("IAM-9")}
    assert "dropped" not in mechanism


def test_a_device_that_is_booked_has_its_name():
    conversion = by_table("SIU^S12^SIU_S12", BOOKING, "AIS|1|A|X^Y", "AIG|1|A|EQ1^血球仪^L")
    booked = [one["actor"] for one in only(conversion, "Appointment")["participant"]]
    (device,) = [
        found
        for found in (target(conversion, one) for one in booked if "reference" in one)
        if found["resourceType"] == "Device"
    ]
    assert (values(device), device["deviceName"][0]["name"]) == (["EQ1"], "血球仪")


@pytest.mark.parametrize(
    ("told", "insured", "code"),
    [("03", "", "child"), ("18", "", "parent"), ("03", "SPO", "spouse")],
)
def test_cover_says_what_the_patient_is_to_the_insured(told, insured, code):
    in1 = segment("IN1", f1="1", f2="P1", f3="C1", f4="平安", f17=insured)
    conversion = by_table("ADT^A01^ADT_A01", "PV1|1|I", in1, segment("IN2", f72=told))
    kinds = only(conversion, "Coverage")["relationship"]["coding"]
    assert [one["code"] for one in kinds if one["system"].endswith("relationship")] == [code]


def test_a_document_was_authenticated_by_who_signed_it():
    txa = segment("TXA", f1="1", f2="DS", f12="T1", f17="AU", f22="D3^赵^平^^^^^^^^^^^^20250315")
    conversion = by_table("MDM^T02^MDM_T02", txa, "OBX|1|TX|X^Y||text||||||F")
    document = only(conversion, "DocumentReference")
    assert target(conversion, document["authenticator"])["name"][0]["family"] == "赵"


def test_a_device_takes_part_in_a_procedure():
    prt = segment("PRT", f2="AD", f4="AD", f5="D1^李^强", f10="SCOPE1", f20="SN7")
    pr1 = segment("PR1", f1="1", f3="X^Y", f5="20250315")
    conversion = by_table("ADT^A01^ADT_A01", "PV1|1|I", pr1, prt)
    actors = [one["actor"] for one in only(conversion, "Procedure")["performer"]]
    found = [target(conversion, one) for one in actors]
    (device,) = [one for one in found if one["resourceType"] == "Device"]
    assert (values(device), device["serialNumber"]) == (["SCOPE1"], "SN7")
    assert len(found) == 2


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ("A06", "in-progress"),
        ("A15", "in-progress"),
        ("A16", "in-progress"),
        ("A26", "in-progress"),
        ("A05", "planned"),
    ],
)
def test_who_is_moved_or_is_to_leave_is_there_already(event, status):
    conversion = by_table(f"ADT^{event}^ADT_A01", "PV1|1|P|W1^R1^B1")
    assert only(conversion, "Encounter")["status"] == status


@pytest.mark.parametrize(
    ("told", "code"), [("CH^Chew^HL70165", "419747000"), ("IVP^IV Push", "IVP")]
)
def test_how_a_medicine_is_taken_has_the_codes_of_the_tables(told, code):
    rxe, rxr = segment("RXE", f1="1", f2="M1^药^L"), segment("RXR", f1="PO", f4=told)
    order = only(by_table("RDE^O11^RDE_O11", "ORC|NW|P1", rxe, rxr), "MedicationRequest")
    assert order["dosageInstruction"][0]["method"]["coding"][0]["code"] == code


@pytest.mark.parametrize(
    ("written", "method", "system"),
    [
        ("250.00", "I9C", "http://hl7.org/fhir/sid/icd-9-cm"),
        ("250.00^DM", "I9C", "http://hl7.org/fhir/sid/icd-9-cm"),
        ("E11.9^DM^I10", "I9C", "http://hl7.org/fhir/sid/icd-10"),
    ],
)
def test_a_coding_method_says_of_which_system_a_code_is_that_names_none(written, method, system):
    diagnosis = segment("DG1", f1="1", f2=method, f3=written, f6="F")
    procedure = segment("PR1", f1="1", f2="C4", f3="47562", f5="20250315")
    text = lines(TABLE_MSH.format("ADT^A01^ADT_A01"), PID, "PV1|1|I", diagnosis, procedure)
    conversion = converted(text)
    assert only(conversion, "Condition")["code"]["coding"][0]["system"] == system
    coding = only(conversion, "Procedure")["code"]["coding"][0]
    assert coding["system"] == "http://www.ama-assn.org/go/cpt"
