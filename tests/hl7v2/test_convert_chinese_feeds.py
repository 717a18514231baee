"""What Chinese systems send, as a clinician there means it: a case a habit of a vendor.

Spec: DOMAIN 3 and 4
"""

from decimal import Decimal

import pytest
from conversion_parts import converted, lines, of_type, only, target

from fhir_hub.identity.systems import BASE

MSH = "MSH|^~\\&|{application}|QPZXYY|PLAT|QPPT|20250317081230||{event}|C1|P|{version}|||||CHN"
PID = "PID|1||00123456||张建国||1968-07-12|男"
UCUM = "http://unitsofmeasure.org"
FLAGS = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
PERSONS = "http://terminology.hl7.org/CodeSystem/v2-0203"


def message(event, *segments, version="2.4", application="HIS", pid=PID):
    msh = MSH.format(application=application, event=event, version=version)
    return converted(lines(msh, pid, *segments))


def result(obx):
    conversion = message("ORU^R01", "OBR|1|S1|F1|XCG^检验|||20250317090500", f"OBX|1|{obx}")
    return only(conversion, "Observation")


def flags(observation):
    return [one["coding"][0]["code"] for one in observation.get("interpretation", ())]


@pytest.mark.parametrize(
    ("obx", "number", "code", "said"),
    [
        ("NM|HBSAG^乙肝表面抗原||0.01(阴性)|IU/mL|<0.05||||F", "0.01", "[IU]/mL", ["NEG"]),
        (
            "NM|HBSAB^表面抗体||>1000.00（阳性）|mIU/mL|<10|↑|||F",
            "1000.00",
            "m[IU]/mL",
            ["H", "POS"],
        ),
        ("NM|HBSAB^表面抗体||25.1(阳性)|mIU/mL|<10|阳性|||F", "25.1", "m[IU]/mL", ["POS"]),
        ("NM|K^血清钾||6.8|mmol/L|3.5-5.3|危急值↑|||F", "6.8", "mmol/L", ["HH"]),
        ("NM|K^血清钾||6.8|mmol/L|3.5-5.3|HH^偏高|||F", "6.8", "mmol/L", ["HH"]),
        ("NM|K^血清钾||6.8|mmol/L|3.5-5.3|H^危急值|||F", "6.8", "mmol/L", ["AA"]),
        ("ST|T^体温||36.5℃||36.0～37.2||||F", "36.5", "Cel", []),
        ("ST|P^脉搏||78次/分|次/分|60-100||||F", "78", "/min", []),
        ("NM|DNA^乙肝病毒DNA||1.25×10^5|IU/mL|<100|↑|||F", "1.25E+5", "[IU]/mL", ["H"]),
        ("NM|TT^疼痛评分||3|分|||||F", "3", "{score}", []),
    ],
)
def test_a_result_of_a_chinese_laboratory_is_a_number_with_its_verdict(obx, number, code, said):
    observation = result(obx)

    assert observation["valueQuantity"]["value"] == Decimal(number)
    assert observation["valueQuantity"]["code"] == code
    assert flags(observation) == said


@pytest.mark.parametrize(
    "obx",
    [
        "ST|BP^血压||120/80mmHg||||||F",
        "ST|XY^血压（右上肢）||１２０／８０||||||F",
        "NM|XY^测量值||120／80|mmHg|||||F",
    ],
)
def test_a_blood_pressure_in_one_text_is_both(obx):
    parts = result(obx)["component"]

    assert [one["valueQuantity"]["value"] for one in parts] == [120, 80]


def test_what_is_counted_in_a_field_of_view_is_a_range_and_a_date_that_is_none_is_nothing():
    assert result("ST|URBC^镜检红细胞||3-5|/HP|0-3|↑|||F")["valueRange"]["high"] == {
        "value": 5, "unit": "/HP", "system": UCUM, "code": "/[HPF]"
    }  # fmt: skip
    assert not [name for name in result("DT|SW^死亡日期||0000-00-00||||||F") if "value" in name]


@pytest.mark.parametrize(
    ("dg1", "codings", "use"),
    [
        ("E11.900x001^2型糖尿病^国临版2.0||20250318|出院主要诊断",
         [("icd-10-cn", "E11.900x001"), ("icd-10", "E11.9")], "DD"),
        ("E11.201+N08.3*^2型糖尿病性肾病^ICD-10国临版||20250318|入院诊断",
         [("icd-10-cn", "E11.201+N08.3*"), ("icd-10", "E11.2"), ("icd-10", "N08.3")], "AD"),
        ("BNG050^消渴病^TCM||20250318|术前诊断", [("gb-t-15657", "BNG050")], "pre-op"),
        ("ZYVXG0^气阴两虚证^中医证候||20250318|术后诊断", [("gb-t-15657", "ZYVXG0")], "post-op"),
    ],
)  # fmt: skip
def test_a_diagnosis_has_the_system_that_chinese_names_mean(dg1, codings, use):
    conversion = message("ADT^A01", "PV1|1|I|内科", f"DG1|1||{dg1}")
    code = only(conversion, "Condition")["code"]
    diagnosis = only(conversion, "Encounter")["diagnosis"][0]

    assert [(one["system"].rsplit("/", 1)[1], one["code"]) for one in code["coding"]] == codings
    assert diagnosis["use"]["coding"][0]["code"] == use


def test_what_is_suspected_at_first_is_provisional():
    conversion = message("ADT^A01", "PV1|1|I|内科", "DG1|1||I25.103^冠心病^国临版|||初步诊断")

    assert only(conversion, "Condition")["verificationStatus"]["coding"][0]["code"] == "provisional"


@pytest.mark.parametrize(
    ("told", "code"),
    [("汉族", "HA"), ("维吾尔族", "UG"), ("01", "HA"), ("MG^蒙古^GB3304", "MG")],
)
def test_an_ethnic_group_in_the_field_for_races_is_one(told, code):
    conversion = message("ADT^A08", "PV1|1|O", pid=f"{PID}||{told}")
    extensions = {one["url"]: one for one in only(conversion, "Patient")["extension"]}

    assert extensions[f"{BASE}/StructureDefinition/ethnic-group"]["valueCoding"]["code"] == code
    assert f"{BASE}/StructureDefinition/race" not in extensions


@pytest.mark.parametrize(
    ("number", "system"),
    [
        ("31000001^^^^社保卡", "urn:oid:2.16.840.1.113883.2.23.1.19.2"),
        ("A1234567^^^^医保卡号", "urn:oid:2.16.156.10011.1.15"),
        ("军字第2001988号^^^^军官证", f"{BASE}/sid/idtype-04"),
        ("T310012345^^^^出生医学证明", f"{BASE}/sid/idtype-birth"),
        ("H12345678^^^^港澳居民来往内地通行证", f"{BASE}/sid/idtype-06"),
    ],
)
def test_a_document_of_a_person_has_the_system_of_its_kind(number, system):
    conversion = message("ADT^A08", "PV1|1|O", pid=f"PID|1||{number}||张建国||19680712|男")

    assert only(conversion, "Patient")["identifier"][0]["system"] == system


def test_an_address_with_strokes_is_taken_apart_and_one_that_says_nothing_is_none():
    told = "上海市/上海市/青浦区/徐泾镇/京华路50号"
    address = only(message("ADT^A08", "PV1|1|O", pid=f"{PID}|||{told}"), "Patient")["address"][0]

    assert (address["district"], address["line"]) == ("青浦区", ["徐泾镇", "京华路50号"])
    assert "address" not in only(message("ADT^A08", "PV1|1|O", pid=f"{PID}|||不详"), "Patient")


def test_a_hospitals_code_with_a_chinese_name_is_what_the_name_says():
    conversion = message(
        "RDE^O11",
        "ORC|NW|YZ2|PV2",
        "RXE|1^qn^^20250402|INSGLA^甘精胰岛素注射液|14||U",
        "RXR|IH^皮下注射",
        version="2.5",
    )
    route = only(conversion, "MedicationRequest")["dosageInstruction"][0]["route"]

    assert route["coding"][0]["code"] == "SC"


@pytest.mark.parametrize(
    ("told", "priority"),
    [("S^紧急", "stat"), ("A^急", "asap"), ("S^普通", "routine"), ("R^危急", "stat")],
)
def test_an_order_is_as_urgent_as_the_finer_of_code_and_name_says(told, priority):
    conversion = message("ORM^O01", "ORC|NW|P1", f"TQ1|1||||||||{told}", "OBR|1|P1||T^t")

    assert only(conversion, "ServiceRequest")["priority"] == priority


def test_a_vaccination_is_told_by_its_dose_in_the_series():
    conversion = message(
        "VXU^V04",
        "RXA|0|1|20250323092000||0401^麻腮风联合减毒活疫苗|0.5|ml",
        "RXR|皮下注射|左上臂外侧三角肌",
        "OBX|1|NM|JC^剂次||2||||||F",
        version="2.5.1",
    )
    vaccination = only(conversion, "Immunization")

    assert vaccination["protocolApplied"] == [{"doseNumberPositiveInt": 2}]
    assert vaccination["site"]["coding"][0]["code"] == "LD"


def test_a_dose_that_was_refused_was_not_given():
    refused = ("ORC|RE|YZ4|PV4", "RXA|0|1|20250402213000||KCL^氯化钾缓释片|1|g|||||||||||患者拒服")
    conversion = message("RAS^O17", *refused, version="2.5")

    assert only(conversion, "MedicationAdministration")["status"] == "not-done"


@pytest.mark.parametrize(
    ("told", "status", "business"),
    [("拒绝", "rejected", "已拒绝"), ("已接收", "accepted", "已接收"), ("R", "rejected", "已拒绝")],
)
def test_a_referral_is_answered_in_chinese_words(told, status, business):
    answer = (
        "MSH|^~\\&|HIS|ZSYY|CHIS|ZJJCHC|20250327093000||RRI^I12^RRI_I12|R1|P|2.5",
        "MSA|AA|ZZ1",
        f"RF1|{told}|||||ZZ20250326003||||02^不符合转诊指征",
        "PRD|RP|刘全科",
        PID,
    )
    task = only(converted(lines(*answer)), "Task")

    assert (task["status"], task["businessStatus"]["text"]) == (status, business)
    assert ("statusReason" in task) is (status == "rejected")


def test_a_contract_segment_of_another_layout_is_kept_and_read_as_nothing():
    conversion = message(
        "ADT^A31", "ZQY|QY2025000123|有效|20250301|20260228|社区中心|区医院|市医院"
    )

    assert not of_type(conversion, "CareTeam")
    assert "QY2025000123" in str(only(conversion, "Provenance"))


def test_charges_are_read_with_the_sign_of_the_yuan_and_a_refund_is_a_credit():
    conversion = message(
        "DFT^P03",
        "FT1|1|SF1||20250317112000||收费|250403^血常规^物价码|||1|20元|￥20.00",
        "FT1|2|SF2||20250317112000||退费|250403^血常规^物价码|||1|0|￥0",
    )
    charge, refund = of_type(conversion, "ChargeItem")

    assert charge["priceOverride"] == {"value": 20, "currency": "CNY"}
    assert refund["extension"][0]["valueCodeableConcept"]["coding"][0]["code"] == "CD"


@pytest.mark.parametrize("written", ["20250312 08:00", "20250312T0800", "20250312 080000"])
def test_a_day_and_its_time_may_be_written_each_in_its_way(written):
    visit = only(message("ADT^A01", f"PV1|1|住院{'|' * 42}{written}"), "Encounter")
    assert visit["period"]["start"] == "2025-03-12T08:00:00+08:00"


@pytest.mark.parametrize(
    ("written", "value", "use"),
    [
        ("手机:13800000001", "13800000001", "mobile"),
        ("联系电话：021-59720000转801", "02159720000-801", "home"),
        ("电话号码 (021)59720000", "02159720000", "home"),
        ("手机号不详", "手机号不详", "home"),
    ],
)
def test_the_word_before_a_number_is_no_part_of_it(written, value, use):
    pid = f"{PID}|||||{written}"
    (phone,) = only(message("ADT^A31", pid=pid), "Patient")["telecom"]
    assert (phone["value"], phone["use"]) == (value, use)


@pytest.mark.parametrize("kin", ["01^本人", "本人", "SEL^Self^HL70063"])
def test_whose_own_policy_it_is_is_the_patient(kin):
    conversion = message("ADT^A04", f"IN1|1|310^职工||||||||||||||张建国|{kin}")
    cover = only(conversion, "Coverage")
    assert cover["relationship"]["coding"][0]["code"] == "self"
    assert target(conversion, cover["subscriber"])["resourceType"] == "Patient"
    assert of_type(conversion, "RelatedPerson") == []


@pytest.mark.parametrize(
    ("kin", "code"), [("父亲", "parent"), ("妻子", "spouse"), ("女儿", "child")]
)
def test_whose_policy_it_is_may_be_told_in_words(kin, code):
    cover = only(message("ADT^A04", f"IN1|1|390||||||||||||||王大明|{kin}"), "Coverage")
    assert cover["relationship"]["coding"][0]["code"] == code


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ("^无", "716186003"),
        ("NKA^No Known Allergies^L", "716186003"),
        ("^否认药物过敏史", "409137002"),
        ("无^无", "716186003"),
        ("无^青霉素", None),
    ],
)
def test_that_no_allergy_is_known_is_told_as_such(told, code):
    for line in (f"AL1|1|DA|{told}", f"IAM|1|DA|{told}|||A"):
        coding = only(message("ADT^A04", line), "AllergyIntolerance")["code"]["coding"][0]
        is_known = coding["system"] == "http://snomed.info/sct"
        assert (coding["code"] if is_known else None) == code
