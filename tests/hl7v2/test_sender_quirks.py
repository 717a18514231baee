"""Every quirk of real senders, as a tolerant sender's and as a strict one's.

The rows are those of DOMAIN 4, in its order. Framing has no sender yet: tests/hl7v2/test_mllp.py.

Spec: DOMAIN 4
"""

from base64 import b64decode, b64encode
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from conversion_parts import (
    by_code,
    codes,
    definitions,
    every,
    identifiers,
    lines,
    mappings,
    of_type,
    only,
    text_of,
)

from fhir_hub.errors import InvalidMessage
from fhir_hub.hl7v2.conversion.convert import convert
from fhir_hub.hl7v2.maps.mappings import load_mappings
from fhir_hub.hl7v2.parsing import er7

MSH = "MSH|^~\\&|XIS|TEST01|HUB|QPRHP|20250315101500||{}|C1|P|2.4"
PID = "PID|1||T1^^^TEST01^PI||沈^桂芳||19530412|F"
OBR = "OBR|1||F1|X^X^L|||20250314081000||||||||||||||||||F"
ID = "310229195304129989"


@cache
def strict_maps():
    with TemporaryDirectory() as folder:
        path = Path(folder) / "senders" / "strict.toml"
        path.parent.mkdir()
        text = 'source = "test"\n[settings]\ntolerance = "strict"\nnulls = "delete"\n'
        path.write_text(text, "utf-8")
        return load_mappings(definitions(), [Path(folder)])


def tolerated(text):
    return convert(er7.parse(text), mappings())


def strictly(text):
    return convert(er7.parse(text), strict_maps(), sender="strict")


def refused(text):
    with pytest.raises(InvalidMessage) as caught:
        strictly(text)
    return caught.value.ack_code, caught.value.error_code, caught.value.location


def oru(*results, pid=PID, version="2.4"):
    return lines(MSH.format("ORU^R01^ORU_R01").replace("2.4", version), pid, OBR, *results)


def obx(number, kind, code, value, unit="", status="F"):
    return f"OBX|{number}|{kind}|{code}||{value}|{unit}|||||{status}"


def adt(pid=PID, *rest):
    return lines(MSH.format("ADT^A08^ADT_A01"), pid, *rest)


# MSH-10 empty


def test_a_message_without_control_id():
    text = adt().replace("|C1|", "||")

    assert of_type(tolerated(text), "Patient")
    assert refused(text) == ("AE", "101", "MSH-10")


# MSH-12 empty, with a digit too many, last in its line before LF


@pytest.mark.parametrize("version", ["", "2.3.1.0", "2.40", "x"])
def test_a_version_that_is_none(version):
    text = lines(MSH.format("ADT^A08^ADT_A01").replace("2.4", version), PID)

    assert of_type(tolerated(text), "Patient")
    assert refused(text) == ("AE", "203", "MSH-12")


@pytest.mark.parametrize("version", ["2.1", "2.3.1", "2.5", "2.5.1", "2.8.2", "2.9"])
def test_every_version_of_hl7_is_one(version):
    assert of_type(strictly(adt().replace("|2.4", f"|{version}")), "Patient")


# MSH-9 without structure, or with the trigger as one


@pytest.mark.parametrize("kind", ["ADT^A08", "ADT^A08^ADT_A08", "ADT^A08^ADT_A01"])
@pytest.mark.parametrize("read", [tolerated, strictly])
def test_a_message_type_without_its_structure(kind, read):
    assert of_type(read(lines(MSH.format(kind), PID)), "Patient")


# LF or CRLF, BOM, blank lines, trailing delimiters


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\n\r\n"])
def test_line_ends_that_are_none(end):
    text = "\ufeff" + adt().replace("\r", end)

    assert of_type(tolerated(text), "Patient")
    assert refused(text) == ("AE", "100", "MSH")


@pytest.mark.parametrize("read", [tolerated, strictly])
def test_trailing_delimiters_and_blank_lines_mean_nothing(read):
    text = lines(MSH.format("ADT^A08^ADT_A01") + "|||", "", PID + "|||^^|~|")

    assert only(read(text), "Patient") == only(read(adt()), "Patient")


# a text broken into lines

BROKEN = obx(1, "TX", "K^k^L", "心影不大{0}WBC 升高，见 CT{0}----{0}建议复查")


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r"])
def test_a_line_that_is_no_segment_is_a_line_of_the_text_before_it(end):
    text = oru(BROKEN.format(end), "NTE|1||甲" + end + "ABC 乙")

    made = only(tolerated(text), "Observation")
    assert made["valueString"] == "心影不大\nWBC 升高，见 CT\n----\n建议复查"
    assert (made["status"], made["note"][0]["text"]) == ("final", "甲\nABC 乙")
    assert [one.code for one in tolerated(text).report.issues()] == ["broken-line"]
    assert refused(text.replace("\n", "\r")) == ("AE", "100", "")


def test_a_line_that_begins_with_a_number_begins_no_segment():
    text = oru(obx(1, "TX", "K^k^L", "血压"), "120|80")

    assert "broken-line" in [one.code for one in tolerated(text).report.issues()]


@pytest.mark.parametrize("odd", ["NTE", "ZPAT|1", "ZZ1|甲", "obx|1", "  NTE|1||甲", "\x1a"])
def test_a_segment_of_an_odd_name_is_no_line_of_a_text(odd):
    made = only(tolerated(oru(obx(1, "TX", "K^k^L", "早"), odd)), "Observation")

    assert made["valueString"] == "早"
    assert "broken-line" not in [one.code for one in tolerated(oru(odd)).report.issues()]


# unescaped ^ ~ & in text and units


def test_bare_delimiters_in_texts_and_units_are_characters_or_as_strict_delimiters():
    text = oru(
        obx(1, "NM", "WBC^白细胞^L", "3.1", "10^9/L"), obx(2, "TX", "N^注^L", "8~10 A&B x^y")
    )
    white, note = (by_code(tolerated(text))[code] for code in ("WBC", "N"))
    assert (white["valueQuantity"]["unit"], white["valueQuantity"]["code"]) == ("10^9/L", "10*9/L")
    assert "A&B x^y" in note["valueString"]

    white, note = (by_code(strictly(text))[code] for code in ("WBC", "N"))
    assert white["valueQuantity"]["unit"] == "10"
    assert "x^y" not in note["valueString"]
    assert "B" not in note["valueString"]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("8~10 A&B x^y", "8~10 A&B x^y"),
        ("白细胞 0~3/HP~红细胞 1.5~2/HP", "白细胞 0~3/HP\n红细胞 1.5~2/HP"),
        ("总分 15~2. 描述", "总分 15\n2. 描述"),
        ("1. 甲 3~2. 乙", "1. 甲 3\n2. 乙"),
        ("体温 36~2025-03-14", "体温 36\n2025-03-14"),
        ("0~3 2~5", "0~3 2~5"),
        ("11~12~13", "11\n12\n13"),
    ],
)
def test_a_bare_range_in_a_text_is_one_and_other_repetitions_are_lines(written, said):
    made = by_code(tolerated(oru(obx(1, "TX", "N^注^L", written))))["N"]
    assert made["valueString"] == said


# OBX-2 wrong


@pytest.mark.parametrize(
    ("written", "element", "value"),
    [
        (
            "<0.5",
            "valueQuantity",
            {"comparator": "<", "value": Decimal("0.5")},
        ),
        ("阴性", "valueString", "阴性"),
    ],
)
def test_a_number_that_is_none(written, element, value):
    text = oru(obx(1, "NM", "CRP^C反应蛋白^L", written))

    found = only(tolerated(text), "Observation")[element]
    assert found == value or value.items() <= found.items()
    assert refused(text)[:2] == ("AE", "103")


def test_a_blood_pressure_that_is_called_a_number():
    text = oru(obx(1, "NM", "BP^血压^L", "148/92", "mmHg"))

    assert len(only(tolerated(text), "Observation")["component"]) == 2
    assert refused(text)[:2] == ("AE", "103")


# OBX-11 empty


def test_a_result_without_status_is_final_by_interface():
    text = oru(obx(1, "NM", "K^钾^L", "4.1", "mmol/L", "")).replace("XIS|TEST01", "LIS|SHTH01")

    assert only(tolerated(text), "Observation")["status"] == "final"
    assert refused(text) == ("AE", "101", "OBX[1]-11")


# OBX-3 only a local name


@pytest.mark.parametrize("read", [tolerated, strictly])
def test_a_result_with_only_a_name_is_known_by_it(read):
    text = oru(obx(1, "ST", "^血压", "148/92", "mmHg")).replace("XIS|TEST01", "IOTGW|TEST01")

    code = only(read(text), "Observation")["code"]
    assert code["text"] == "血压"
    assert "85354-9" in codes(code)


# names, sex, dates, where numbers stand


@pytest.mark.parametrize(
    ("pid", "error_code", "location"),
    [
        (PID.replace("沈^桂芳", "沈桂芳"), "102", "PID-5"),
        (PID.replace("沈^桂芳", "沈桂芳^shenguifang"), "102", "PID-5"),
        (PID.replace("|F", "|女"), "103", "PID-8"),
        (PID.replace("|F", "|2"), "103", "PID-8"),
        (PID.replace("19530412", "1953-04-12"), "102", "PID-7"),
        (PID.replace("19530412", "1953年4月12日"), "102", "PID-7"),
        (PID + "|" * 11 + ID, "103", "PID-19"),
        (PID.replace("T1^^^TEST01^PI", f"T1^^^TEST01^PI~{ID}"), "103", "PID-3"),
    ],
)
def test_the_same_person_written_as_feeds_write_her(pid, error_code, location):
    patient = only(tolerated(adt(pid)), "Patient")
    assert patient["name"][0]["text"] == "沈桂芳"
    assert (patient["name"][0]["family"], patient["name"][0]["given"]) == ("沈", ["桂芳"])
    assert (patient["gender"], patient["birthDate"]) == ("female", "1953-04-12")
    assert (ID in identifiers(patient)) == (ID in pid)

    assert refused(adt(pid)) == ("AE", error_code, location)


def test_a_placeholder_of_a_date_is_none():
    pid = PID.replace("19530412", "00000000")

    assert "birthDate" not in only(tolerated(adt(pid)), "Patient")
    assert refused(adt(pid)) == ("AE", "102", "PID-7")


def test_a_visit_in_words():
    text = adt(PID, "PV1|1|住院|||||||||||||||||V1")

    assert only(tolerated(text), "Encounter")["class"]["code"] == "IMP"
    assert refused(text) == ("AE", "103", "PV1-2")


def test_a_character_set_in_the_wrong_field_is_told():
    issues = (("charset-misplaced", "MSH-17 holds the character set"),)
    message = er7.parse(adt(), "gb18030", issues)

    assert [one.code for one in convert(message, mappings()).report.issues()] == [issues[0][0]]
    with pytest.raises(InvalidMessage) as caught:
        convert(message, strict_maps(), sender="strict")
    assert (caught.value.error_code, caught.value.location) == ("103", "MSH-18")


# two campuses with the same local number


def test_two_sites_of_one_hospital_have_each_their_own_numbers():
    text = adt(PID.replace("TEST01", "SHTH01"), "PV1|1|O|||||||||||||||||V1")
    text = text.replace("|XIS|TEST01|", "|HIS|SHTH01{}|")
    east, west, one = (tolerated(text.format(site)) for site in ("^EAST", "^WEST", ""))

    for resource_type in ("Patient", "Encounter"):
        keys = [every(site, resource_type)[0].match for site in (east, west, one)]
        assert len(set(keys)) == 3
    assert identifiers(only(east, "Patient"))["T1"].endswith("/sid/SHTH01-EAST/patient-id")
    assert identifiers(only(one, "Patient"))["T1"].endswith("/sid/SHTH01/patient-id")


# "" deletes, empty leaves


@pytest.mark.parametrize("read", [tolerated, strictly])
def test_two_quotes_delete_and_nothing_leaves(read):
    (deleted,) = every(read(adt(PID.replace("19530412", '""'))), "Patient")
    (left,) = every(read(adt(PID.replace("19530412", ""))), "Patient")

    assert (deleted.nulls, left.nulls) == (("birthDate",), ())


# files in OBX-5


@pytest.mark.parametrize("read", [tolerated, strictly])
@pytest.mark.parametrize(
    ("kind", "media_type", "content"),
    [
        ("AP^PDF", "application/pdf", b"%PDF-1.4 x"),
        ("AP^RTF", "application/rtf", b"{\\rtf1 x}"),
        ("TEXT^PLAIN", "text/plain", "沈桂芳".encode("gbk")),
    ],
)
def test_a_file_in_a_result_is_kept_byte_for_byte(read, kind, media_type, content):
    sent = b64encode(content).decode()
    text = oru(obx(1, "ED", "R^报告^L", f"^{kind}^Base64^{sent}"))

    attachments = [
        one["valueAttachment"]
        for resource in of_type(read(text), "Observation")
        for one in resource.get("extension", ())
        if "valueAttachment" in one
    ]
    (found,) = attachments
    assert found["contentType"].partition(";")[0] == media_type
    assert b64decode(found["data"]) == content


# the two senders that are complete


@pytest.mark.parametrize("name", ["01", "02", "08", "11", "12", "13"])
def test_the_messages_of_the_story_are_read_by_their_senders_files(name):
    report = tolerated(text_of(name)).report
    facility = text_of(name).split("|")[3].lower()
    assert facility in report.senders


def test_the_his_of_the_hospital_says_more_than_the_hospital():
    conversion = tolerated(text_of("02"))

    assert conversion.report.senders == ("shth01", "shth01-his")
    assert conversion.settings.charset == "GBK"
    assert (conversion.settings.version, conversion.settings.update_mode) == ("2.3.1", "snapshot")
    assert only(conversion, "Encounter")["serviceType"]["text"] == "内分泌科"


def test_a_resident_id_where_an_old_release_writes_it_is_one():
    text = adt(PID.replace("PID|1||", f"PID|1|{ID}|")).replace("TEST01", "ZJJCHC")

    assert identifiers(only(tolerated(text), "Patient"))[ID] == "urn:oid:2.16.156.10011.1.3"


def test_a_centres_own_words_are_known():
    pid = PID.replace("T1^^^TEST01^PI", f"T1^^^ZJJCHC^档案号~{ID}^^^^SFZHM")
    text = adt(pid, "PV1|1|慢病随访|||||||||||||||||V1").replace("TEST01", "ZJJCHC")

    patient = only(tolerated(text), "Patient")
    assert identifiers(patient)[ID] == "urn:oid:2.16.156.10011.1.3"
    assert patient["identifier"][0]["type"]["coding"][0]["code"] == "MR"
    assert only(tolerated(text), "Encounter")["class"]["code"] == "AMB"
