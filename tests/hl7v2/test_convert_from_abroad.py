"""Messages as senders of other countries write them: English words, bare marks, other money.

Spec: HL7v2 chapter 2A (CWE, FC, MO, XPN), chapter 6 (IN1), HL7 tables 0063 and 0487
"""

import pytest
from conversion_parts import (
    BASE,
    PID,
    TABLE_MSH,
    by_table,
    converted,
    errors,
    lines,
    of_type,
    only,
    segment,
    target,
)

ADT = "ADT^A01^ADT_A01"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("HP^History & Physical^L", "History & Physical"),
        ("DC^D&C^L", "D&C"),
        ("X^A & B & C^L^Y^D&&", "A & B & C"),
        ("X^^L^^^^^^said & done", "said & done"),
        ("X^plain&&^L", "plain"),
    ],
)
def test_a_bare_mark_in_a_text_is_part_of_it(written, text):
    allergy = only(by_table(ADT, f"AL1|1|DA|{written}"), "AllergyIntolerance")
    assert allergy["code"]["text"] == text


def test_a_bare_mark_in_the_name_of_an_institution_is_part_of_it():
    pd1, in1 = segment("PD1", f3="A & B Clinic^^77"), segment("IN1", f1="1", f3="1", f4="C & D Co")
    names = {one.get("name") for one in of_type(by_table(ADT, pd1, in1), "Organization")}
    assert {"A & B Clinic", "C & D Co"} <= names
    hub = converted(lines(TABLE_MSH.format(ADT), PID, "PV1|1|I", pd1, in1))
    assert {"A & B Clinic", "C & D Co"} <= {one.get("name") for one in of_type(hub, "Organization")}


def test_a_mothers_maiden_name_is_the_surname_without_its_parts():
    text = lines(TABLE_MSH.format(ADT), "PID|1||T1||Doe^Jo|Berg&van den&Berg", "PV1|1|I")
    (mother,) = [
        one
        for one in only(converted(text), "Patient")["extension"]
        if one["url"].endswith("mothersMaidenName")
    ]
    assert mother["valueString"] == "Berg"


def test_since_when_a_financial_class_holds_is_no_name_of_it():
    pv1 = segment("PV1", f1="1", f2="I", f20="BCBS^19980101")
    cover = only(by_table(ADT, pv1), "Coverage")
    assert {one["code"] for one in cover["type"]["coding"]} == {"BCBS"}
    assert "text" not in cover["type"]
    assert cover["period"] == {"start": "1998-01-01"}


@pytest.mark.parametrize(
    ("country", "currency"), [("USA", "USD"), ("CHN", "CNY"), ("ZWE", None), ("", None)]
)
def test_an_amount_without_a_currency_is_in_that_of_the_country(country, currency):
    header = TABLE_MSH.format(ADT)
    header += "|" * (16 - header.count("|")) + country
    in1 = segment("IN1", f1="1", f3="1", f37="500.00")
    cover = only(converted(lines(header, PID, "PV1|1|I", in1)), "Coverage")
    assert cover["costToBeneficiary"][0]["valueMoney"].get("currency") == currency


@pytest.mark.parametrize(("written", "code"), [("WIFE", "WIFE"), ("M^Mother^L", "MTH")])
def test_a_relative_is_known_by_an_english_word(written, code):
    contact = only(by_table(ADT, f"NK1|1|Doe^Ann|{written}"), "Patient")["contact"][0]
    assert contact["relationship"][0]["coding"][0]["code"] == code


def test_whole_blood_keeps_its_own_code():
    specimen = segment("SPM", f1="1", f4="WB")
    report = by_table("ORU^R01^ORU_R01", "OBR|1|P1|F1|X^Y^L", specimen)
    (kind,) = [one["type"] for one in of_type(report, "Specimen") if "type" in one]
    assert (kind["coding"][0]["system"][-7:], kind["coding"][0]["code"]) == ("v2-0487", "WB")


def test_a_documents_order_makes_no_empty_specimen():
    document = segment("TXA", f1="1", f2="HP", f12="D1")
    conversion = by_table("MDM^T02^MDM_T02", "OBR|1|P1|F1|X^Y^L", document, "OBX|1|TX|X^Y^L||a")
    assert of_type(conversion, "Specimen") == []


@pytest.mark.parametrize(
    ("source", "kind", "site"),
    [
        ("^^^LEFT LUNG", None, "LEFT LUNG"),
        ("SER^^^LA", "SER", "LA"),
        ("SER&Serum&HL70487^^^LA&Left arm&HL70163", "SER", "LA"),
        ("SER^Serum^HL70487^X1^serum^99LAB", "SER", None),
        ("SWAB^^left leg", "SWAB", None),
        ("SWAB^^left leg^LEG", "SWAB", "LEG"),
    ],
)
def test_a_specimen_source_without_subcomponents_is_read_by_what_is_in_it(source, kind, site):
    obr = segment("OBR", f1="1", f2="P1", f4="X^Y^L", f7="20250315", f15=source)
    specimen = only(by_table("ORU^R01^ORU_R01", obr, "OBX|1|NM|A^B^L||1||||||F"), "Specimen")
    found = (specimen.get("type"), specimen["collection"].get("bodySite"))
    assert [one and one["coding"][0]["code"] for one in found] == [kind, site]
    assert "condition" not in specimen


def test_words_in_a_specimen_source_are_how_it_was_collected_and_no_system():
    obr = segment("OBR", f1="1", f2="P1", f4="X^Y^L", f7="20250315", f15="SWAB^^left leg")
    specimen = only(by_table("ORU^R01^ORU_R01", obr, "OBX|1|NM|A^B^L||1||||||F"), "Specimen")
    assert specimen["note"] == [{"text": "left leg"}]
    assert "left" not in specimen["type"]["coding"][0]["system"].lower()


@pytest.mark.parametrize(
    ("name", "system"),
    [
        ("HGNC", "http://www.genenames.org"),
        ("HGNC-Symb", "http://www.genenames.org"),
        ("HGVS.p", "http://varnomen.hgvs.org"),
        ("RefSeq-T", "http://www.ncbi.nlm.nih.gov/refseq"),
        ("dbSNP", "http://www.ncbi.nlm.nih.gov/projects/SNP"),
        ("ClinVar-V", "http://www.ncbi.nlm.nih.gov/clinvar"),
    ],
)
def test_what_genes_and_variants_are_called_is_of_the_system_that_all_know(name, system):
    result = f"OBX|1|CWE|48018-6^Gene^LN|1a|X1^X^{name}||||||F"
    conversion = by_table("ORU^R01^ORU_R01", "OBR|1|P1|F1|X^Y^L", result)
    (coding,) = only(conversion, "Observation")["valueCodeableConcept"]["coding"]
    assert coding["system"] == system


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("1,234,567", "1234567"),
        ("1,234,567.8", "1234567.8"),
        ("13,5", "13.5"),
        ("-0,25", "-0.25"),
        ("0,123", "0.123"),
        ("1234,567", "1234.567"),
        ("1.234,5", "1234.5"),
        ("<0,05", "0.05"),
    ],
)
def test_a_comma_parts_thousands_or_decimals_where_one_alone_can_be_meant(written, number):
    result = f"OBX|1|NM|A^B^L||{written}|mg/dl|||||F"
    conversion = by_table("ORU^R01^ORU_R01", "OBR|1|P1|F1|X^Y^L", result)
    assert str(only(conversion, "Observation")["valueQuantity"]["value"]) == number


@pytest.mark.parametrize("table", [False, True], ids=["stored", "tables"])
@pytest.mark.parametrize(
    ("obx", "code", "text"),
    [
        ("NM|HB^Hb||8,1|g/dl|12,0-16,0|-", "L", "-"),
        ("ST|HB^Hb||8,1 g/dl||12,0 - 16,0|-", "L", "-"),
        ("NM|LE^Leukos||12.4|/nl|4-10|++", "H", "++"),
        ("SN|CRP^CRP||>^200|mg/l|<200|+", "H", "+"),
        ("NM|CRP^CRP||<0,3|mg/l|0,3-5|--", "L", "--"),
        ("NM|TSH^TSH||<0,3|mU/l|0,5-5|+", "", "+"),
        ("NM|HB^Hb||13,1|g/dl|12-16|-", "", "-"),
        ("NM|HB^Hb||8,1|g/dl|16-12|-", "", "-"),
        ("NM|HB^Hb||8,1|g/dl||-", "", "-"),
        ("NM|PLT^Thrombos||1,234|/nl|150-400|+", "", "+"),
        ("ST|RR^RR||190/120|mm[Hg]||+", "", "+"),
        ("NM|GLU^尿糖||14|mmol/L|阴性|++", "POS", "++"),
        ("ST|NIT^Nitrit||positiv||negativ|+", "POS", "+"),
        ("SN|TIT^Titer||^1^:^80|||+", "POS", "+"),
        ("ST|HBS^HBsAg|||||-", "NEG", "-"),
    ],
)
def test_a_sign_beside_a_number_says_on_which_side_of_its_range_it_is(obx, code, text, table):
    kind, rest = obx.split("|", 1)
    result = f"OBX|1|{kind}|{rest}~A|||F"
    conversion = converted(
        lines(TABLE_MSH.format("ORU^R01^ORU_R01"), PID, "OBR|1|P1|F1|X^Y^L", result), by_table=table
    )
    sign, other = only(conversion, "Observation")["interpretation"]
    assert [one["code"] for one in sign.get("coding", ())] == ([code] if code else [])
    assert sign["text"] in (text, "Positive", "Negative")
    assert other["coding"][0]["code"] == "A"


@pytest.mark.parametrize(
    ("written", "bounds"),
    [
        ("3,5 - 5,3 mmol/l", {"low": "3.5", "high": "5.3"}),
        ("1.200,5-2.000,5", {"low": "1200.5", "high": "2000.5"}),
        ("< 0,5", {"high": "0.5"}),
        ("1,200-2,000", {}),
        ("1.2.3-4", {}),
    ],
)
def test_the_bounds_of_a_range_may_have_a_decimal_comma(written, bounds):
    result = f"OBX|1|NM|A^B^L||4,2|U01^x10^9/L^L|{written}||||F"
    observation = only(
        converted(lines(TABLE_MSH.format("ORU^R01^ORU_R01"), PID, "OBR|1|P1|F1|X^Y^L", result)),
        "Observation",
    )
    (found,) = observation["referenceRange"]
    assert {end: str(found[end]["value"]) for end in ("low", "high") if end in found} == bounds
    assert found["text"] == written
    assert observation["valueQuantity"]["unit"] == "x10^9/L"
    assert observation["valueQuantity"]["code"] == "10*9/L"


@pytest.mark.parametrize("written", ["1,234", "12,500", "1,2,3", "1,23,456", "12.3,4", ",5", "3,"])
def test_commas_that_may_part_both_or_nothing_make_a_text(written):
    result = f"OBX|1|NM|A^B^L||{written}|mg/dl|||||F"
    conversion = by_table("ORU^R01^ORU_R01", "OBR|1|P1|F1|X^Y^L", result)
    assert only(conversion, "Observation")["valueString"] == written


def test_a_reaction_with_a_code_of_a_system_has_it():
    iam = segment("IAM", f1="1", f2="DA", f3="P^Pen^L", f5="271807003^Rash^SCT~Hives", f6="A")
    (reaction,) = only(by_table("ADT^A60^ADT_A60", iam), "AllergyIntolerance")["reaction"]
    coded, told = reaction["manifestation"]
    assert (coded["coding"][0]["code"], coded["text"]) == ("271807003", "Rash")
    assert told == {"text": "Hives"}


@pytest.mark.parametrize(
    ("kind", "written", "said"),
    [("PN", "Doe^Jo", "Jo Doe"), ("CN", "7^Doe^Jo", "Jo Doe (7)")],
)
def test_a_name_as_a_result_is_read_as_one(kind, written, said):
    result = f"OBX|1|{kind}|A^B^L||{written}||||||F"
    conversion = by_table("ORU^R01^ORU_R01", "OBR|1|P1|F1|X^Y^L", result)
    assert only(conversion, "Observation")["valueString"] == said


@pytest.mark.parametrize("flag", ["TOX", "AC", "QCF", "HM", "HX", "LX"])
def test_a_seldom_flag_of_hl7_is_no_local_code(flag):
    result = f"OBX|1|NM|A^B^L||1|||{flag}|||F"
    conversion = by_table("ORU^R01^ORU_R01", "OBR|1|P1|F1|X^Y^L", result)
    (coding,) = only(conversion, "Observation")["interpretation"][0]["coding"]
    assert coding["system"].endswith("/v3-ObservationInterpretation")
    assert coding["code"] == flag


def test_english_words_say_what_a_number_and_an_address_are_for():
    pid = segment(
        "PID",
        f1="1",
        f3="T1",
        f5="Doe^Jo",
        f11="1 Main St^^Rome^^^^HOME",
        f13="555-1^HOME~555-2^CELL",
    )
    patient = only(converted(lines(TABLE_MSH.format(ADT), pid, "PV1|1|I")), "Patient")
    assert [one["use"] for one in patient["telecom"]] == ["home", "mobile"]
    assert patient["address"][0]["use"] == "home"


@pytest.mark.parametrize(
    ("language", "found"),
    [
        ("ENGLISH", ["en"]),
        ("hmn", ["hmn"]),
        ("CHN", ["zh"]),
        ("zh-Hant", ["zh-Hant"]),
        ("SIGNS", []),
        ("X^English^HL70296", []),
    ],
)
def test_a_word_is_a_language_if_it_is_a_known_one_or_looks_like_its_code(language, found):
    pid = segment("PID", f1="1", f3="T1", f5="Doe^Jo", f15=language, f16="MARRIED")
    patient = only(converted(lines(TABLE_MSH.format(ADT), pid, "PV1|1|I")), "Patient")
    coded = patient["communication"][0]["language"]["coding"]
    assert [one["code"] for one in coded if one["system"] == "urn:ietf:bcp:47"] == found
    assert patient["maritalStatus"]["coding"][0]["code"] == "M"


@pytest.mark.parametrize(
    ("field", "written", "table"),
    [
        ("f22", "N", "v2-0189"),
        ("f22", "H^Indian", None),
        ("f10", "2106-3", "v2-0005"),
        ("f10", "W", None),
        ("f10", "2106-3^White^CDCREC", None),
    ],
)
def test_a_bare_code_of_race_and_ethnicity_is_one_of_hl7s_table(field, written, table):
    pid = segment("PID", **{"f1": "1", "f3": "T1", "f5": "Doe^Jo", field: written})
    (told,) = only(converted(lines(TABLE_MSH.format(ADT), pid, "PV1|1|I")), "Patient")["extension"]
    systems = [one["system"] for one in told["valueCodeableConcept"]["coding"]]
    assert [one[-7:] for one in systems if "v2-0" in one] == ([table] if table else [])


def test_bare_codes_of_documents_charges_and_procedures_are_hl7s():
    document = segment("TXA", f1="1", f2="HP", f12="D1")
    conversion = by_table("MDM^T02^MDM_T02", document, "OBX|1|TX|X^Y^L||a")
    kinds = [only(conversion, "DocumentReference")["type"]]
    charge = only(by_table("DFT^P03^DFT_P03", "FT1|1|||20250315||CG|X^Y^L"), "ChargeItem")
    kinds.append(charge["extension"][0]["valueCodeableConcept"])
    done = segment("PR1", f1="1", f3="X^Y^L", f5="20250315", f6="D")
    kinds.append(only(by_table(ADT, "PV1|1|I", done), "Procedure")["category"])
    assert [one["coding"][0]["system"][-7:] for one in kinds] == ["v2-0270", "v2-0017", "v2-0230"]


@pytest.mark.parametrize("table", [True, False])
def test_a_code_with_a_chinese_name_is_of_the_senders_own_list(table):
    document = segment("TXA", f1="1", f2="OP^门诊病历", f12="D1")  # of HL7 an operative report
    visit = segment(
        "PV1", f1="1", f2="I", f4="急诊入院", f13="是", f14="9^其他", f19="V1", f36="2^转院"
    )
    segments = (document, visit, "OBX|1|TX|X^Y^L||a")
    told = lines(TABLE_MSH.format("MDM^T02^MDM_T02"), PID, *segments)
    conversion = converted(told, by_table=table)
    encounter = only(conversion, "Encounter")
    found = [only(conversion, "DocumentReference")["type"], encounter["type"][0]]
    stay = encounter["hospitalization"]
    found += [stay[name] for name in ("reAdmission", "admitSource", "dischargeDisposition")]
    told = [(one["code"], one["system"][-6:]) for each in found for one in each["coding"]]
    assert told == [(code, "/local") for code in ("OP", "急诊入院", "是", "9", "2")]


def test_a_chinese_name_counts_beside_a_code_that_hl7s_table_does_not_have():
    told = lines(TABLE_MSH.format(ADT), PID, "PV1|1|02^住院^HL70004")
    assert only(converted(told), "Encounter")["class"]["code"] == "IMP"


@pytest.mark.parametrize(
    ("number", "name", "called"),
    [
        ("UHC^United Healthcare", "", "United Healthcare"),
        ("UHC^7", "", None),
        ("UHC^United Healthcare", "UHC Inc", "UHC Inc"),
    ],
)
def test_an_insurer_is_called_as_its_number_says_where_no_name_is_told(number, name, called):
    in1 = segment("IN1", f1="1", f2="P", f3=number, f4=name)
    for table in (True, False):
        conversion = converted(lines(TABLE_MSH.format(ADT), PID, "PV1|1|I", in1), by_table=table)
        payer = target(conversion, only(conversion, "Coverage")["payor"][0])
        assert (payer["identifier"][0]["value"], payer.get("name")) == ("UHC", called)
        assert called != "United Healthcare" or "extension" not in payer["identifier"][0]


@pytest.mark.parametrize(
    ("race", "kind"),
    [
        ("01^汉族^GB3304", "ethnic-group"),
        ("汉", "ethnic-group"),
        ("BL^Black", "race"),
        ("01", "race"),
    ],
)
def test_an_ethnic_group_of_china_in_the_place_of_a_race_is_no_race(race, kind):
    conversion = converted(lines(TABLE_MSH.format(ADT), segment("PID", f3="T1", f5="A", f10=race)))
    (told,) = only(conversion, "Patient")["extension"]
    assert told["url"] == f"{BASE}/StructureDefinition/{kind}"
    assert told.get("valueCoding", {}).get("code") == ("HA" if kind == "ethnic-group" else None)
    assert errors(conversion) == []
