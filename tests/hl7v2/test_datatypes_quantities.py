"""Numbers, units, ranges and what an OBX says, corrected by what is written.

Spec: https://hl7.org/fhir/R4/datatypes.html#Quantity; DOMAIN 3.3 and 4
"""

import base64

import datatype_parts as parts
import pytest

from fhir_hub.hl7v2.datatypes import numbers, observed, ranges, units

_UCUM = "http://unitsofmeasure.org"


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("mmol/L", "mmol/L"), ("μmol/L", "umol/L"), ("µmol/L", "umol/L"), ("umol/l", "umol/L"),
        ("10^9/L", "10*9/L"), ("×10⁹/L", "10*9/L"), ("x10^9/L", "10*9/L"), ("10*12/L", "10*12/L"),
        ("10E9/L", "10*9/L"), ("10e3/uL", "10*3/uL"), ("次/分", "/min"), ("bpm", "/min"),
        ("mmHg", "mm[Hg]"), ("毫米汞柱", "mm[Hg]"), ("Kg", "kg"), ("公斤", "kg"), ("℃", "Cel"),
        ("％", "%"), ("%", "%"), ("U/L", "U/L"), ("IU/mL", "[IU]/mL"), ("片", "{tbl}"),
        ("mL/min/1.73m^2", "mL/min/{1.73_m2}"), ("g/24h", "g/(24.h)"), ("kg/m²", "kg/m2"),
        ("mg/dL", "mg/dL"), ("pg/mL", "pg/mL"), ("/HPF", "/[HPF]"), ("天", "d"), ("岁", "a"),
        ("mol/kg", "mol/kg"), ("mg/(24.h)", "mg/(24.h)"), ("一撮", ""), ("", ""), ("x" * 80, ""),
        ("foo/bar", ""), ("克/升", "g/L"), ("毫克/分升", "mg/dL"), ("个/μL", "/uL"),
        ("次每分", "/min"),
        ("毫摩尔每升", "mmol/L"), ("国际单位/升", "[IU]/L"), ("10的9次方/升", "10*9/L"),
        ("万/μL", "10*4/uL"), ("公斤/米²", "kg/m2"), ("毫克/24小时", "mg/(24.h)"),
        ("滴/分", "[drp]/min"),
        ("毫升/分钟/1.73平方米", "mL/min/{1.73_m2}"), ("个/高倍视野", "/[HPF]"), ("一撮/升", ""),
        ("升/一/二/三/四", ""), ("mmol/24h", "mmol/(24.h)"), ("10^6/ml", "10*6/mL"), ("cm²", "cm2"),
        ("mL/(min·1.73m²)", "mL/min/{1.73_m2}"), ("mGy", "mGy"),
        ("ml/min/1,73m²", "mL/min/{1.73_m2}"), ("Tsd./µl", "10*3/uL"), ("Mio/ul", "10*6/uL"),
        ("cfu/ml", "[CFU]/mL"),
    ],
)  # fmt: skip
def test_a_unit_is_read_as_senders_write_it(written, code):
    assert units.to_ucum(written) == code


@pytest.mark.parametrize(
    ("raw", "text", "code"),
    [
        ("mmol/L^毫摩尔每升^UCUM", "mmol/L", "mmol/L"),
        ("10^9/L", "10^9/L", "10*9/L"),
        ("10\\S\\9/L", "10^9/L", "10*9/L"),
        ("片^片^L", "片", "{tbl}"),
        ("X9^mg^L", "mg", "mg"),
        ("U01^片^L", "片", "{tbl}"),
        ("AMP^支", "支", "{ampule}"),
        ("MGL^^L^mg/L^^UCUM", "MGL", "mg/L"),
        ("^毫克", "毫克", "mg"),
        ("弯^弯^UCUM", "弯", ""),
        ("", "", ""),
        ("266016^MDC_DIM_X^MDC", "MDC_DIM_X", "266016"),
        ("266016^MDC_DIM_X^L", "MDC_DIM_X", ""),
    ],
)
def test_a_unit_keeps_what_was_written(raw, text, code):
    assert units.unit_of(parts.value(raw))[:2] == (text, code)


def test_a_unit_of_another_public_system_is_in_that_system():
    found, _ = observe("NM", "5", "266016^MDC_DIM_X^MDC")

    assert found.value["system"] == "urn:iso:std:iso:11073:10101"


@pytest.mark.parametrize(("data_type", "raw"), [("MO", "100.50^USD"), ("CP", "100.50&USD^UP")])
def test_an_amount_of_money_is_a_quantity_in_its_currency(data_type, raw):
    found, _ = observe(data_type, raw)

    assert found.fhir_type == "Quantity"
    assert (str(found.value["value"]), found.value["code"]) == ("100.50", "USD")
    assert found.value["system"] == "urn:iso:std:iso:4217"


def test_no_unit_field_is_no_unit():
    assert units.unit_of(None) == units.Unit()


def _high_power(number):
    return {"value": number, "unit": "/HP", "system": _UCUM, "code": "/[HPF]"}


def observe(data_type, raw, unit=""):
    issues = parts.Issues()
    found = observed.observed_value(
        data_type, [parts.value(raw)], parts.value(unit), parts.context(issues)
    )
    return found, issues.codes


@pytest.mark.parametrize(
    ("data_type", "raw", "unit", "value", "comparator", "code"),
    [
        ("NM", "9.80", "mmol/L^毫摩尔每升^UCUM", "9.80", None, "mmol/L"),
        ("NM", "71", "μmol/L", "71", None, "umol/L"),
        ("NM", "6.8", "10\\S\\9/L", "6.8", None, "10*9/L"),
        ("NM", "3.1", "10^9/L", "3.1", None, "10*9/L"),
        ("NM", "76", "次/分", "76", None, "/min"),
        ("NM", "<0.5", "", "0.5", "<", None),
        ("NM", "1,234.5", "", "1234.5", None, None),
        ("NM", "１２", "", "12", None, None),
        ("ST", "<0.5", "mg/L", "0.5", "<", "mg/L"),
        ("ST", "≥60", "", "60", ">=", None),
        ("ST", "5.5", "mmol/L", "5.5", None, "mmol/L"),
        ("SN", ">^300", "mg/g", "300", ">", "mg/g"),
        ("SN", "=^3", "", "3", None, None),
        ("SN", "<5", "mg/L", "5", "<", "mg/L"),
        ("CQ", "5^mg", "", "5", None, "mg"),
        ("", "5", "", "5", None, None),
        ("ST", "36.5℃", "", "36.5", None, "Cel"),
        ("ST", "78次/分", "次/分", "78", None, "/min"),
        ("ST", "146次／分", "次／分", "146", None, "/min"),
        ("ST", "98％", "", "98", None, "%"),
        ("ST", "1.70米", "", "1.70", None, "m"),
        ("ST", ">=7.8 mmol/L", "", "7.8", ">=", "mmol/L"),
        ("ST", "5岁", "", "5", None, "a"),
        ("NM", "4小时", "h", "4", None, "h"),
        ("NM", "1.25×10^5", "IU/mL", "1.25E+5", None, "[IU]/mL"),
        ("NM", "3.2*10⁻²", "", "0.032", None, None),
        ("ST", ">10^7 CFU/ml", "", "1E+7", ">", "[CFU]/mL"),
        ("NM", "0.01(阴性)", "IU/mL", "0.01", None, "[IU]/mL"),
        ("NM", ">1000.00（阳性）", "mIU/mL", "1000.00", ">", "m[IU]/mL"),
        ("NM", "3", "分", "3", None, "{score}"),
        ("ST", "3分", "分", "3", None, "{score}"),
    ],
)
def test_a_number_is_a_quantity(data_type, raw, unit, value, comparator, code):
    found, issues = observe(data_type, raw, unit)

    assert found.fhir_type == "Quantity"
    assert str(found.value["value"]) == value
    assert (found.value.get("comparator"), found.value.get("code")) == (comparator, code)
    assert found.value.get("system") == (_UCUM if code else None)
    assert issues == []


@pytest.mark.parametrize(
    ("data_type", "raw", "unit", "fhir_type", "value"),
    [
        ("ST", "2+", "", "String", "2+"),
        ("ST", "5", "", "String", "5"),
        ("ST", "148/92", "mmHg", "String", "148/92"),
        ("FT", "标本轻度溶血\\.br\\建议复查血钾", "", "String", "标本轻度溶血\n建议复查血钾"),
        ("TX", "8^10", "", "String", "8^10"),
        ("SN", "^2^+", "", "String", "2+"),
        ("SN", "^2^+", "g/L", "String", "2+ g/L"),
        ("SN", "<>^5", "mg/dL", "String", "<>5 mg/dL"),
        ("SN", "<>^1^:^8", "", "String", "<>1:8"),
        ("SN", "^3^-^1", "", "String", "3-1"),
        ("XPN", "沈^桂芳", "", "String", "沈桂芳"),
        ("XCN", "D1^戴^慧", "", "String", "戴慧 (D1)"),
        ("TS", "2025031408", "", "DateTime", "2025-03-14T08:00:00+08:00"),
        ("DT", "20250314", "", "DateTime", "2025-03-14"),
        ("TM", "0810", "", "Time", "08:10:00"),
        ("NR", "10^20", "", "Range", {"low": {"value": 10}, "high": {"value": 20}}),
        ("NR", "^20", "", "Range", {"high": {"value": 20}}),
        ("NR", "ten^20", "", "String", "ten^20"),
        ("VR", "A1^A9", "", "String", "A1-A9"),
        ("VR", "A1", "", "String", "A1"),
        ("DR", "20250310^20250311", "", "Period", {"start": "2025-03-10", "end": "2025-03-11"}),
        ("ZZ", "什么", "", "String", "什么"),
        ("ST", "3-5", "/HP", "Range", {"low": _high_power(3), "high": _high_power(5)}),
        ("ST", "3-5", "", "String", "3-5"),
        ("ST", "5-3", "/HP", "String", "5-3"),
        ("ST", "3分", "", "String", "3分"),  # minutes, or points of a score
        ("ST", "7/10", "", "String", "7/10"),  # so many points of ten: UCUM's /10 is a tenth
        ("ST", "12 / 24", "", "String", "12 / 24"),
        ("ST", "3/V", "", "String", "3/V"),
        ("ST", "2010年", "", "String", "2010年"),
        ("ST", "2度", "", "String", "2度"),
        ("ST", "2A", "", "String", "2A"),
        ("ST", "8 pm", "", "String", "8 pm"),
        ("ST", "7.8mmol/L（餐后2小时）", "", "String", "7.8mmol/L（餐后2小时）"),
        ("ST", "5kg", "mmol/L", "String", "5kg"),
        ("NM", "0.01(复查)", "IU/mL", "String", "0.01(复查)"),
    ],
)
def test_other_types_are_what_they_are(data_type, raw, unit, fhir_type, value):
    found, _ = observe(data_type, raw, unit)

    assert found == (fhir_type, value)


@pytest.mark.parametrize("raw", ["148/92", "阴性", "未做", "9.8.1"])
def test_what_is_called_a_number_and_is_none_is_a_text_with_an_issue(raw):
    assert observe("NM", raw) == (("String", raw), ["retyped-value"])


@pytest.mark.parametrize("data_type", ["TS", "TM"])
def test_a_date_that_cannot_be_read_stays_as_text(data_type):
    found, issues = observe(data_type, "昨天")

    assert (found, issues) == (("String", "昨天"), ["unreadable-date"])


def test_a_coded_value_keeps_its_codings():
    found, _ = observe("CWE", "260415000^未检出^SCT^NEG^阴性^L")

    assert found.fhir_type == "CodeableConcept"
    assert [one["code"] for one in found.value["coding"]] == ["260415000", "NEG"]


def test_several_texts_are_lines_and_of_several_others_the_first_is_taken():
    issues = parts.Issues()
    context = parts.context(issues)
    values = [parts.value("5"), parts.value(""), parts.value("6")]

    assert observed.observed_value("TX", values, None, context) == ("String", "5\n6")
    assert issues.codes == []
    found = observed.observed_value("NM", values, None, context)
    assert (str(found.value["value"]), issues.codes) == ("5", ["repeated-value"])
    assert observed.observed_value("NM", [], None, context) is None


def test_a_structured_number_may_be_a_range_or_a_ratio():
    between, _ = observe("SN", "^1.0^-^3.50", "mg/L")
    ratio, _ = observe("SN", "<^1^:^128")

    assert between.fhir_type == "Range"
    assert [str(between.value[end]["value"]) for end in ("low", "high")] == ["1.0", "3.50"]
    assert ratio.fhir_type == "Ratio"
    assert ratio.value["numerator"] == {"value": 1, "comparator": "<"}
    assert parts.made("SN", "^5") == {"value": 5}
    assert parts.made("SN", "^1^-^3") is None
    assert parts.made("SNRange", "^1^-^3")["high"] == {"value": 3}
    assert parts.made("Range", "1^3") == {"low": {"value": 1}, "high": {"value": 3}}
    assert parts.made("Range", "1") == {"low": {"value": 1}}
    assert parts.made("Ratio", "^1^:^2")["denominator"] == {"value": 2}


def test_half_a_kilogram_is_one_jin():
    found, issues = observe("NM", "127", "斤")

    assert (str(found.value["value"]), found.value["code"]) == ("63.5", "kg")
    assert issues == ["converted-unit"]


def test_a_date_that_only_fills_its_field_is_no_value():
    assert observe("DT", "0000-00-00") == (None, ["placeholder-date"])


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("3.9-6.1", "3.9", "6.1"),
        ("3.5～5.3", "3.5", "5.3"),
        ("3.5~5.3 mmol/L", "3.5", "5.3"),
        ("3.5 mmol/L - 5.3 mmol/L", "3.5", "5.3"),
        ("(3.5–5.3)", "3.5", "5.3"),
        ("3.5--5.3", "3.5", "5.3"),
        ("-2.0--1.0", "-2.0", "-1.0"),
        ("-2-2", "-2", "2"),
        ("3.5至5.3", "3.5", "5.3"),
        ("3.5 - 9.5 10^9/L", "3.5", "9.5"),
        ("<30", None, "30"),
        ("≤30", None, "30"),
        ("小于5.0", None, "5.0"),
        (">=1.0mmol/L", "1.0", None),
        ("大于等于60", "60", None),
        ("阴性", None, None),
        ("90/60-139/89", None, None),
        ("男:4-5.5;女:3.5-5.0", None, None),
        ("6.1-3.9", None, None),
        ("x" * 200, None, None),
    ],
)
def test_a_reference_range_has_the_bounds_that_its_text_writes(text, low, high):
    (found,) = parts.made("ReferenceRange", text)

    assert found["text"] == text
    bounds = [str(found[end]["value"]) if end in found else None for end in ("low", "high")]
    assert bounds == [low, high]


def test_a_reference_range_is_in_the_unit_of_the_value():
    unit = units.named("mmol/L")
    (found,) = ranges.reference_ranges(parts.value("3.9-6.1"), parts.context(), unit)

    assert found["low"]["code"] == found["high"]["code"] == "mmol/L"
    assert ranges.pressure_ranges("139/89-90/60", unit, parts.context()) == ([], [])


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("Quantity", "0.5^g", {"value": "0.5", "unit": "g", "system": _UCUM, "code": "g"}),
        ("SimpleQuantity", "112^片", {"value": "112", "unit": "片", "system": _UCUM,
                                     "code": "{tbl}"}),
        ("Duration", "56^d", {"value": "56", "unit": "d", "system": _UCUM, "code": "d"}),
        ("Duration", "56^天", {"value": "56", "unit": "天", "system": _UCUM, "code": "d"}),
        ("Duration", "5^片", {"value": "5", "unit": "片"}),
        ("Money", "12.50&USD^UP", {"value": "12.50", "currency": "USD"}),
        ("Money", "12.50^EUR", {"value": "12.50", "currency": "EUR"}),
        ("Money", "12.50^EUR^^", {"value": "12.50", "currency": "EUR"}),
        ("Money", "1,200", {"value": "1200"}),
    ],
)  # fmt: skip
def test_quantities_with_their_unit_in_the_value(name, raw, expected):
    found = parts.made(name, raw)

    assert found | {"value": str(found["value"])} == expected


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("Quantity", "许多"),
        ("SimpleQuantity", "<5"),
        ("Money", "许多"),
        ("integer", "5.5"),
        ("integer", "99999999999"),
        ("positiveInt", "0"),
        ("unsignedInt", "-1"),
        ("decimal", "x"),
    ],
)
def test_what_is_no_number_is_left_out_with_an_issue(name, raw):
    assert parts.made(name, raw) is None
    assert parts.issues_of(name, raw) == ["unreadable-number"]


def test_numbers_too_strange_to_be_one_are_none():
    assert numbers.read_decimal("9" * 50) is None
    assert numbers.read_decimal("1e999") is None
    assert numbers.read_decimal("٣") is None


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("integer", "15", 15),
        ("integer", "15.0", 15),
        ("positiveInt", "1", 1),
        ("boolean", "Y", True),
        ("boolean", "否", False),
        ("string", "a^b", "a^b"),
        ("firstString", "a^b", "a"),
        ("markdown", "a\\.br\\b", "a\nb"),
        ("Annotation", "请携带身份证", {"text": "请携带身份证"}),
        ("uri", "http://a/b c", "http://a/b%20c"),
        ("uri", "N^1.2.3^ISO", "urn:oid:1.2.3"),
    ],
)
def test_simple_types_are_read(name, raw, expected):
    assert parts.made(name, raw) == expected


def test_a_yes_or_no_that_is_neither_is_an_issue():
    assert parts.made("boolean", "也许") is None
    assert parts.issues_of("boolean", "也许") == ["unreadable-boolean"]


def packed(octets):
    return base64.b64encode(octets).decode()


@pytest.mark.parametrize(
    ("raw", "kind", "data"),
    [
        (f"^application^pdf^Base64^{packed(b'%PDF-1.4')}", "application/pdf", packed(b"%PDF-1.4")),
        ("^TEXT^^A^报告", "text/plain", packed("报告".encode())),
        ("^IM^jpeg^Hex^FFD8", "image/jpeg", packed(b"\xff\xd8")),
        ("^AP^x-own^Base64^AAAA", "application/x-own", "AAAA"),
        ("^audio/basic^^Base64^AAAA", "audio/basic", "AAAA"),
        ("^IM^^Base64^/9j/4AAQ", "image/jpeg", "/9j/4AAQ"),
        (f"^AP^Octet-stream^Base64^{packed(b'%PDF-1.4')}", "application/pdf", packed(b"%PDF-1.4")),
        ("^AP^WORD^Base64^AAAA", "application/msword", "AAAA"),
        ("^multipart^^Base64^AAA", "application/octet-stream", "AAA="),
        ("只有文字", "text/plain", packed("只有文字".encode())),
    ],
)
def test_encapsulated_data_is_an_attachment(raw, kind, data):
    assert parts.made("Attachment", raw) == {"contentType": kind, "data": data}
    assert observed.attachment(parts.value(raw), parts.context())["data"] == data


def test_data_in_another_encoding_than_said_is_kept_as_it_is():
    assert parts.made("Attachment", "^application^pdf^Base64^???")["data"] == packed(b"???")
    assert parts.issues_of("Attachment", "^application^pdf^Base64^???") == ["unreadable-data"]
    assert observed.attachment(parts.value("^x"), parts.context()) is None


@pytest.mark.parametrize(
    ("raw", "kind", "address"),
    [
        ("http://pacs/1 2^PACS^IM^JPEG", "image/jpeg", "http://pacs/1%202"),
        ("https://emr/a.PDF?v=1", "application/pdf", "https://emr/a.PDF?v=1"),
        ("http://pacs/a.dcm^PACS", "application/dicom", "http://pacs/a.dcm"),
        ("http://emr/a", None, "http://emr/a"),
    ],
)
def test_a_reference_pointer_is_an_attachment_by_address(raw, kind, address):
    found = parts.made("Attachment", raw)

    assert (found.get("contentType"), found["url"]) == (kind, address)
