"""Codes: every coding kept, each in the system that its name says, tables in front.

Spec: https://hl7.org/fhir/R4/datatypes.html#CodeableConcept; DOMAIN 3.3
"""

import datatype_parts as parts
import pytest

from fhir_hub.hl7v2.datatypes import codes, coding_systems
from fhir_hub.hl7v2.datatypes.code_tables import read_table
from fhir_hub.hl7v2.datatypes.context import Context, Table
from fhir_hub.identity.systems import BASE

_LOCAL = f"{BASE}/CodeSystem/SHTH01/local"
_V3 = "http://terminology.hl7.org/CodeSystem/v3-"


@pytest.mark.parametrize(
    ("name", "system"),
    [
        ("LN", "http://loinc.org"),
        ("SCT", "http://snomed.info/sct"),
        ("ucum", "http://unitsofmeasure.org"),
        ("ATC", "http://www.whocc.no/atc"),
        ("I10", "http://hl7.org/fhir/sid/icd-10"),
        ("I10C", "http://hl7.org/fhir/sid/icd-10-cm"),
        ("HL70002", "http://terminology.hl7.org/CodeSystem/v2-0002"),
        ("HL7-0002", "http://terminology.hl7.org/CodeSystem/v2-0002"),
        ("ISO3166", "urn:iso:std:iso:3166"),
        ("ICD10CN", f"{BASE}/CodeSystem/icd-10-cn"),
        ("NMPA", f"{BASE}/CodeSystem/nmpa"),
        ("NHSA-INSUTYPE", f"{BASE}/CodeSystem/NHSA-INSUTYPE"),
        ("99QPER", f"{BASE}/CodeSystem/99QPER"),
        ("GB/T2261.2", "urn:oid:2.16.156.10011.2.3.3.5"),
        ("GB/T 9999", f"{BASE}/CodeSystem/GB%2FT9999"),
        ("GB/T 2261.1-2003", "urn:oid:2.16.156.10011.2.3.3.4"),
        ("I10CN", f"{BASE}/CodeSystem/icd-10-cn"),
        ("L", _LOCAL),
        ("", _LOCAL),
        ("http://a/b", "http://a/b"),
        ("2.16.840.1.113883.6.1", "http://loinc.org"),
        ("2.16.840.1.113883.12.1", "http://terminology.hl7.org/CodeSystem/v2-0001"),
        ("1.2.3", "urn:oid:1.2.3"),
        ("NULLFL", "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"),
        ("NCIT", "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl"),
        ("HL70292", "http://hl7.org/fhir/sid/cvx"),
        ("2.16.840.1.113883.12.292", "http://hl7.org/fhir/sid/cvx"),
        ("2.16.840.1.113883.6.88", "http://www.nlm.nih.gov/research/umls/rxnorm"),
        ("FIPS5_2", "urn:oid:2.16.840.1.113883.6.92"),
        ("ICD-9-CM-3国临3.0", f"{BASE}/CodeSystem/icd-9-cm-3-cn"),
        ("国临版手术操作编码", f"{BASE}/CodeSystem/icd-9-cm-3-cn"),
        ("GB/T 15657-2021", f"{BASE}/CodeSystem/gb-t-15657"),
        ("中医证候", f"{BASE}/CodeSystem/gb-t-15657"),
        ("GB/T16751.2", f"{BASE}/CodeSystem/gb-t-16751"),
        ("国药准字", f"{BASE}/CodeSystem/nmpa"),
        ("国家医保药品编码", f"{BASE}/CodeSystem/nhsa-drug"),
        ("医保", f"{BASE}/CodeSystem/%E5%8C%BB%E4%BF%9D"),
    ],
)
def test_a_name_of_a_coding_system_has_one_address(name, system):
    assert coding_systems.system_of(name, "SHTH01") == system


def test_an_oid_says_what_a_local_name_does_not():
    assert coding_systems.system_of("L", "SHTH01", "2.16.840.1.113883.6.96") == (
        "http://snomed.info/sct"
    )
    assert coding_systems.system_of("L", "SHTH01", "no oid") == _LOCAL


@pytest.mark.parametrize(
    ("raw", "codings", "text"),
    [
        ("14771-0^空腹血糖^LN^GLU-F^空腹葡萄糖^L",
         [("http://loinc.org", "14771-0", "空腹血糖"), (_LOCAL, "GLU-F", "空腹葡萄糖")],
         "空腹血糖"),
        ("E11.900^2型糖尿病^ICD10CN",
         [(coding_systems.ICD_10_CN, "E11.900", "2型糖尿病"),
          (coding_systems.ICD_10, "E11.9", None)], "2型糖尿病"),
        ("I10.x00x002^高血压^I10",
         [(coding_systems.ICD_10_CN, "I10.x00x002", "高血压"),
          (coding_systems.ICD_10, "I10", None)], "高血压"),
        ("E11.201+N08.3*^2型糖尿病性肾病^国临版2.0",
         [(coding_systems.ICD_10_CN, "E11.201+N08.3*", "2型糖尿病性肾病"),
          (coding_systems.ICD_10, "E11.2", None), (coding_systems.ICD_10, "N08.3", None)],
         "2型糖尿病性肾病"),
        ("E11.9^^I10", [(coding_systems.ICD_10, "E11.9", None)], None),
        ("E11.900^2型糖尿病^国临版2.0",
         [(coding_systems.ICD_10_CN, "E11.900", "2型糖尿病"),
          (coding_systems.ICD_10, "E11.9", None)], "2型糖尿病"),
        ("I10^高血压^ICD-10医保版",
         [(coding_systems.ICD_10_CN, "I10", "高血压"), (coding_systems.ICD_10, "I10", None)],
         "高血压"),
        ("00.0100x001^超声^医保版",
         [(f"{BASE}/CodeSystem/%E5%8C%BB%E4%BF%9D%E7%89%88", "00.0100x001", "超声")], "超声"),
        ("XX^^ICD10CN", [(coding_systems.ICD_10_CN, "XX", None)], None),
        ("BLD&静脉血", [(_LOCAL, "BLD", "静脉血")], "静脉血"),
        ("内分泌科", [(_LOCAL, "内分泌科", None)], "内分泌科"),
        ("UPRO", [(_LOCAL, "UPRO", None)], None),
        ("^晨服", [], "晨服"),
        ("A^B^L^^^^2.1^^原文", [(_LOCAL, "A", "B")], "原文"),
        ("A^^L^^^^^^^X1^third^LN",
         [(_LOCAL, "A", None), ("http://loinc.org", "X1", "third")], "third"),
    ],
)  # fmt: skip
def test_a_concept_keeps_every_coding_and_a_text(raw, codings, text):
    found = parts.made("CodeableConcept", raw) or {}

    assert [
        (one["system"], one["code"], one.get("display")) for one in found.get("coding", [])
    ] == codings
    assert found.get("text") == text


def test_one_coding_code_or_text_may_be_asked_for():
    assert parts.made("Coding", "A^B^LN^C^D^L") == {
        "system": "http://loinc.org",
        "code": "A",
        "display": "B",
    }
    assert parts.made("Coding", "^晨服") == {"display": "晨服"}
    assert parts.made("Coding", "A^^L^^^^2.1")["version"] == "2.1"
    assert parts.made("Coding", "E11.900^^国家临床版V2.0")["version"] == "2.0"
    assert parts.made("code", "A  B^x") == "A B"
    assert [parts.made("CodeText", raw) for raw in ("A^B", "A", "^^^C", "")] == [
        "B",
        "A",
        "C",
        None,
    ]


@pytest.mark.parametrize(
    ("table", "raw", "code"),
    [
        ("AdministrativeSex", "M", "male"),
        ("AdministrativeSex", "女", "female"),
        ("AdministrativeSex", "2", "female"),
        ("AdministrativeSex", "ｆ", "female"),
        ("AdministrativeSex", "^女", "female"),
        ("AdministrativeSex", "?", "unknown"),
        ("ObservationStatus", "F", "final"),
        ("ObservationStatus", "C", "corrected"),
        ("DiagnosticReportStatus", "P", "preliminary"),
        ("AppointmentStatus", "Booked^已预约^HL70278", "booked"),
        ("AppointmentStatus", "^已取消", "cancelled"),
        ("AppointmentStatus", "Noshow^未到^HL70278", "noshow"),
        ("ParticipantStatus", "x", "accepted"),
        ("ParticipantStatus", "Dc", "declined"),
        ("EncounterStatus", "O", "in-progress"),
        ("AllergyCategory", "DA", "medication"),
        ("AllergySeverity", "MO", "moderate"),
        ("AllergyCriticality", "SV", "high"),
        ("Priority", "A", "asap"),
        ("OrderControl", "NW", "active"),
        ("RxStatus", "CM", "completed"),
        ("OrderControlRequest", "OC", "revoked"),
        ("OrderControlRequest", "PY", "active"),
        ("NameUse", "L", "official"),
    ],
)
def test_a_table_says_what_a_code_means(table, raw, code):
    assert parts.looked_up("code", table, raw) == code


def test_a_code_without_meaning_is_left_out_with_an_issue():
    issues = parts.Issues()
    context = parts.context(issues)

    assert codes.table_code(parts.value("QQ"), context, parts.tables()["NameUse"]) is None
    assert issues.codes == ["unmapped-code"]
    assert codes.table_code(parts.value(""), context, parts.tables()["NameUse"]) is None
    assert len(issues.codes) == 1


@pytest.mark.parametrize(
    ("table", "raw", "codings", "text"),
    [
        ("MaritalStatus", "M^已婚^HL70002^20^已婚^GB/T2261.2",
         [(f"{_V3}MaritalStatus", "M"), ("urn:oid:2.16.156.10011.2.3.3.5", "20")], "已婚"),
        ("MaritalStatus", "20",
         [(f"{_V3}MaritalStatus", "M"), ("urn:oid:2.16.156.10011.2.3.3.5", "20")], "已婚"),
        ("MaritalStatus", "S", [(f"{_V3}MaritalStatus", "S")], "Never Married"),
        ("MaritalStatus", "QQ^?^L", [(_LOCAL, "QQ")], "?"),
        ("ObservationInterpretation", "↓", [(f"{_V3}ObservationInterpretation", "L")], "↓"),
        ("ObservationInterpretation", "HH", [(f"{_V3}ObservationInterpretation", "HH")],
         "Critical high"),
        ("ObservationInterpretation", "（+）", [(f"{_V3}ObservationInterpretation", "POS")],
         "（+）"),
        ("ObservationInterpretation", "弱阳性", [(f"{_V3}ObservationInterpretation", "WR")],
         "弱阳性"),
        ("Language", "ZH^中文^ISO639", [("urn:ietf:bcp:47", "zh")], "中文"),
        ("Relationship", "CHD^子女^HL70063", [(f"{_V3}RoleCode", "CHILD")], "子女"),
        ("Route", "PO^口服^HL70162",
         [("http://terminology.hl7.org/CodeSystem/v2-0162", "PO"),
          (f"{_V3}RouteOfAdministration", "PO")], "口服"),
        ("Route", "静滴", [("http://terminology.hl7.org/CodeSystem/v2-0162", "IV")], "静滴"),
        ("HospitalService", "URO",
         [("http://terminology.hl7.org/CodeSystem/v2-0069", "URO"),
          ("http://terminology.hl7.org/CodeSystem/service-type", "222")], "Urology Service"),
        ("SpecimenCollectionMethod", "BIO",
         [("http://terminology.hl7.org/CodeSystem/v2-0488", "BIO"),
          ("http://snomed.info/sct", "129314006")], "Biopsy"),
        ("Relationship", "WRD", [("http://terminology.hl7.org/CodeSystem/v2-0063", "WRD")],
         "Ward of court"),
        ("CourseOfTherapy", "LONG^长处方^99QPRX",
         [("http://terminology.hl7.org/CodeSystem/medicationrequest-course-of-therapy",
           "continuous"), (f"{BASE}/CodeSystem/99QPRX", "LONG")], "长处方"),
        ("DiagnosticServiceSection", "CH",
         [("http://terminology.hl7.org/CodeSystem/v2-0074", "CH"),
          ("http://terminology.hl7.org/CodeSystem/v2-0074", "LAB")], "Chemistry"),
    ],
)  # fmt: skip
def test_a_tables_answer_stands_before_the_senders_own(table, raw, codings, text):
    found = parts.looked_up("CodeableConcept", table, raw)

    assert [(one["system"], one["code"]) for one in found["coding"]] == codings
    assert found["text"] == text


@pytest.mark.parametrize(
    ("table", "raw", "code", "display"),
    [
        ("EncounterClass", "门诊", "AMB", "ambulatory"),
        ("EncounterClass", "O", "AMB", "ambulatory"),
        ("EncounterClass", "互联网医院", "VR", "virtual"),
        ("EncounterClass", "R", "R", "Recurring patient"),
        ("EthnicGroup", "HA^汉族^GB3304", "HA", "汉族"),
        ("EthnicGroup", "01^汉族", "HA", "汉族"),
        ("EthnicGroup", "壮", "ZH", "壮族"),
    ],
)
def test_a_coding_comes_from_the_table_else_from_the_sender(table, raw, code, display):
    found = parts.looked_up("Coding", table, raw)

    assert (found["code"], found["display"]) == (code, display)


@pytest.mark.parametrize(
    ("raw", "repeat", "code"),
    [
        ("BID", {"frequency": 2, "period": 1, "periodUnit": "d"}, "BID"),
        ("每日三次", {"frequency": 3, "period": 1, "periodUnit": "d"}, "TID"),
        ("QHS", {"frequency": 1, "period": 1, "periodUnit": "d", "when": ["HS"]}, "QHS"),
        ("Q6H", {"frequency": 1, "period": 6, "periodUnit": "h"}, "Q6H"),
        ("BID&每日两次", {"frequency": 2, "period": 1, "periodUnit": "d"}, "BID"),
        ("Q5H", {"frequency": 1, "period": 5, "periodUnit": "h"}, None),
        ("5ID", {"frequency": 5, "period": 1, "periodUnit": "d"}, None),
        ("Q2W", {"frequency": 1, "period": 2, "periodUnit": "wk"}, None),
        ("tid ac", {"frequency": 3, "period": 1, "periodUnit": "d", "when": ["AC"]}, None),
        ("bid p.c.", {"frequency": 2, "period": 1, "periodUnit": "d", "when": ["PC"]}, None),
        ("Q8H,AC", {"frequency": 1, "period": 8, "periodUnit": "h", "when": ["AC"]}, None),
        ("每日三次 饭后服", {"frequency": 3, "period": 1, "periodUnit": "d", "when": ["PC"]}, None),
        ("每日1次（空腹）", {"frequency": 1, "period": 1, "periodUnit": "d", "when": ["AC"]}, None),
        ("QHS AC", None, None),
        ("Q0H", None, None),
        ("0ID", None, None),
        ("随缘", None, None),
    ],
)
def test_a_repeat_pattern_is_a_timing(raw, repeat, code):
    found = parts.made("Timing", raw)

    assert found.get("repeat") == repeat
    assert found["code"].get("coding", [{}])[0].get("code") == code
    assert found["code"]["text"]


def test_a_table_without_an_answer_or_a_system_gives_what_it_can():
    timing = read_table("T", {"source": "x", "row": [{"from": "A", "code": "B"}]})
    found = parts.tables() | {"TimingRepeat": timing}

    context = Context("SHTH01", tables=found)
    assert parts.DATATYPES["Timing"](parts.value("A"), context) == {"code": {"text": "A"}}
    assert context.table("no such table") == Table("no such table")
    context.issue("x", "is forgotten")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "`source` is missing"),
        ({"source": "x", "maps": {}}, "unknown key 'maps'"),
        ({"source": "x", "map": {"A": "b", "a": "c"}}, "is there twice"),
        ({"source": "x", "map": {"A": 1}}, "must be a text"),
        ({"source": "x", "system": 1}, "must be a text"),
        ({"source": "x", "row": [{"from": "A"}]}, "row 1 needs"),
        ({"source": "x", "row": ["A"]}, "row 1 needs"),
    ],
)
def test_a_table_that_is_wrong_says_where(document, message):
    with pytest.raises(ValueError, match=message):
        read_table("T", document)


def test_an_open_table_takes_a_bare_code_as_one_of_its_system():
    v2_0007 = "http://terminology.hl7.org/CodeSystem/v2-0007"

    assert parts.looked_up("Coding", "AdmissionType", "9^New") == {
        "system": v2_0007,
        "code": "9",
        "display": "New",
    }
    assert parts.looked_up("Coding", "AdmissionType", "急诊")["code"] == "E"
    assert parts.looked_up("Coding", "AdmissionType", "F^复诊^99QPVT")["system"] == (
        f"{BASE}/CodeSystem/99QPVT"
    )
    assert parts.looked_up("CodeableConcept", "Language", "zh")["coding"] == [
        {"system": "urn:ietf:bcp:47", "code": "zh"}
    ]
    assert parts.looked_up("Coding", "Country", "CHN^中国^ISO3166")["code"] == "CHN"
    assert parts.looked_up("Coding", "Religion", "^x") == {"display": "x"}


def test_a_default_may_be_a_code_that_no_row_has():
    table = read_table("T", {"source": "x", "system": "s", "default": "z", "map": {"A": "b"}})

    assert table.get("?").code == "z"
    assert table.get("?").system == "s"


_V2 = "http://terminology.hl7.org/CodeSystem/v2-"


@pytest.mark.parametrize(
    ("table", "raw", "codings", "text"),
    [
        ("SpecimenType", "abs", [(f"{_V2}0487", "ABS"), (_LOCAL, "abs")], None),
        ("SpecimenType", "WND^创面", [(f"{_V2}0487", "WND"), (_LOCAL, "WND")], "创面"),
        ("SpecimenType", "URC^尿培养^L", [(_LOCAL, "URC")], "尿培养"),
        ("SpecimenType", "URC^Clean catch^HL70487", [(f"{_V2}0487", "URC")], "Clean catch"),
        ("SpecimenType", "Q7^自拟", [(_LOCAL, "Q7")], "自拟"),
        ("BodySite", "LA", [(f"{_V2}0163", "LA"), (_LOCAL, "LA")], None),
        ("SpecimenAdditive", "ENT+", [(f"{_V2}0371", "ENT+"), (_LOCAL, "ENT+")], None),
        ("DiagnosisUse", "W", [(f"{_V2}0052", "W")], "Working"),
        ("AdministrationMethod", "IVPB", [(f"{_V2}0165", "IVPB")], "IV Piggyback"),
        ("SubscriberRelationship", "GRD", [(f"{_V2}0063", "GRD")], "Guardian"),
        ("DocumentConfidentiality", "VR", [(f"{_V2}0272", "V")], "Very restricted"),
        ("DiagnosticServiceSection", "URN", [(f"{_V2}0074", "URN"), (_LOCAL, "URN")], None),
    ],
)  # fmt: skip
def test_a_bare_code_of_hl7s_table_has_its_system(table, raw, codings, text):
    found = parts.looked_up("CodeableConcept", table, raw)

    assert [(one["system"], one["code"]) for one in found["coding"]] == codings
    assert found.get("text") == text


def test_codes_that_a_table_takes_beside_are_texts():
    with pytest.raises(ValueError, match="'open 1' must be a text"):
        read_table("T", {"source": "x", "open": [1]})


def test_a_tables_shape_must_be_a_pattern():
    with pytest.raises(ValueError, match="`shape` is no regular expression"):
        read_table("X", {"source": "a", "open": True, "shape": "["})
