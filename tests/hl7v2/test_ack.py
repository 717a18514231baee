"""The acknowledgment, as a sender reads it.

Spec: HL7v2 chapter 2, MSH, MSA, ERR; tables 0008 and 0357
"""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_hub.errors import (
    Ack,
    InvalidMessage,
    InvalidResource,
    NotSupported,
    VersionConflict,
    ack_for,
)
from fhir_hub.hl7v2.ack import ACCEPTED, acknowledge, read_header
from fhir_hub.hl7v2.parsing import er7

MOMENT = datetime(2024, 2, 29, 10, tzinfo=UTC)
ZONE = timezone(timedelta(hours=8))
HEADER = "MSH|^~\\&|CHIS|ZJJCHC|FHIRHUB|QPRHP|20250310||ADT^A04^ADT_A01|C1|T|2.4"


def answer(text: str, verdict: Ack = ACCEPTED, charset: str = "utf-8") -> str:
    raw = acknowledge(
        read_header(text), charset, verdict, moment=MOMENT, control_id="h1", zone=ZONE
    )
    return raw.decode(charset)


def refused(version: str, verdict: Ack) -> str:
    return answer(HEADER.replace("2.4", version), verdict).split("\r", 1)[1]


def test_an_accepted_message_gets_aa_with_sender_and_receiver_swapped():
    assert answer(HEADER) == (
        "MSH|^~\\&|FHIRHUB|QPRHP|CHIS|ZJJCHC|20240229180000+0800||ACK^A04^ACK|h1|T|2.4\rMSA|AA|C1\r"
    )


def test_an_empty_control_id_is_echoed_as_empty():
    assert answer(HEADER.replace("C1", "")).endswith("\rMSA|AA|\r")


def test_the_senders_delimiters_are_used():
    text = HEADER.replace("|", "#").replace("^", "*").replace("&", "$")

    assert answer(text, Ack("AE", "101", "PID-3", "a#b*c$d")) == (
        "MSH#*~\\$#FHIRHUB#QPRHP#CHIS#ZJJCHC#20240229180000+0800##ACK*A04*ACK#h1#T#2.4\r"
        "MSA#AE#C1#a\\F\\b\\S\\c\\T\\d\r"
        "ERR#PID*1*3*101$Required field missing$HL70357\r"
    )


def test_a_doubled_escape_character_is_answered_by_one():
    assert answer(HEADER.replace("\\", "\\\\")).startswith("MSH|^~\\&|FHIRHUB")


@pytest.mark.parametrize("version", ["2.5", "2.5.1", "2.6", "2.8.2", "2.5.1^CHN"])
def test_from_version_2_5_on_the_error_stands_in_err_2_3_4_and_8(version):
    assert refused(version, Ack("AE", "101", "PID-3", "no number")) == (
        "MSA|AE|C1\rERR||PID^1^3|101^Required field missing^HL70357|E||||no number\r"
    )


@pytest.mark.parametrize("version", ["2.1", "2.3", "2.3.1", "2.4", "", "2.3.1.0", "x"])
def test_before_version_2_5_the_error_stands_in_err_1_and_msa_3(version):
    assert refused(version, Ack("AR", "200", "", "what is this")) == (
        "MSA|AR|C1|what is this\rERR|^^^200&Unsupported message type&HL70357\r"
    )


@pytest.mark.parametrize(
    ("location", "written"),
    [
        ("PID-3", "PID^1^3"),
        ("PID-3.4", "PID^1^3^1^4"),
        ("PID-3.4.2", "PID^1^3^1^4^2"),
        ("OBX[12]-5", "OBX^12^5"),
        ("PID-3[2].1", "PID^1^3^2^1"),
        ("PID", "PID^1"),
        ("Patient.name", ""),
        ("", ""),
    ],
)
def test_the_location_is_a_segment_its_number_and_a_field(location, written):
    assert refused("2.5", Ack("AE", "102", location, "x")).split("|")[4] == written


@pytest.mark.parametrize(
    ("error", "start"),
    [
        (InvalidMessage("no PID", error_code="100", location="PID"), "MSA|AE|C1\rERR||PID^1|100^"),
        (NotSupported("trigger"), "MSA|AR|C1\rERR|||200^Unsupported message type^"),
        (InvalidResource("bad", expression="Patient.name"), "MSA|AE|C1\rERR|||207^"),
        (VersionConflict("two persons"), "MSA|AE|C1\rERR|||206^Application record locked^"),
        (ZeroDivisionError("secret"), "MSA|AE|C1\rERR|||207^Application internal error^"),
    ],
)
def test_each_error_has_its_code(error, start):
    text = refused("2.5", ack_for(error))

    assert text.startswith(start)
    assert "secret" not in text


def test_text_is_in_both_languages_and_escaped():
    text = refused("2.5", ack_for(InvalidMessage("a|b^c&d~e\\f\r\ng", location="PID-3")))

    assert "HL7v2 消息无效: a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f g\r" in text
    message = er7.parse(answer(HEADER.replace("2.4", "2.5"), Ack("AE", "100", "", "a|b^c")))
    assert message.first("ERR").whole(8).whole == "a|b^c"


@pytest.mark.parametrize(
    ("written", "configured", "answered"),
    [("", "2.3.1", "2.3.1"), ("", "", "2.4"), ("2.3.1.0", "2.5", "2.3.1"), ("2.5", "2.3.1", "2.5")],
)
def test_the_version_is_the_messages_or_that_of_its_interface(written, configured, answered):
    header = read_header(HEADER.replace("2.4", written), configured)
    raw = acknowledge(header, "utf-8", ACCEPTED, moment=MOMENT, control_id="h1", zone=ZONE)

    assert raw.decode().split("\r")[0].split("|")[11] == answered


def test_a_header_that_ends_before_its_version_has_that_of_its_interface():
    header = read_header("MSH|^~\\&|HIS", "2.5")

    assert header.field(12) == "2.5"


def test_without_an_escape_character_delimiters_become_blanks():
    assert "a b c\r" in answer(HEADER.replace("^~\\&", "^~"), Ack("AE", "100", "", "a|b^c"))


def test_a_long_text_is_cut_to_the_length_of_err_8():
    assert len(refused("2.5", Ack("AE", "100", "", "x" * 9000)).split("|")[-1]) == 251


@pytest.mark.parametrize(
    ("declared", "charset", "expected"),
    [
        ("UNICODE UTF-8", "utf-8", "UNICODE UTF-8"),
        ("GBK", "gb18030", "GBK"),
        ("GBK~UNICODE UTF-8", "gb18030", "GBK~UNICODE UTF-8"),
        ("GBK", "utf-8", "UNICODE UTF-8"),
        ("UNICODE UTF-8", "gb18030", "GB 18030-2000"),
        ("", "utf-8", None),
    ],
)
def test_the_answer_is_in_the_senders_character_set_and_says_so(declared, charset, expected):
    text = HEADER + "|" * 6 + declared

    fields = answer(text, charset=charset).split("\r")[0].split("|")
    assert (fields[17] if len(fields) > 17 else None) == expected
    raw = acknowledge(
        read_header(text),
        charset,
        Ack("AE", "100", "", "无效"),
        moment=MOMENT,
        control_id="h1",
        zone=ZONE,
    )
    assert "无效".encode(charset) in raw


def test_chinese_text_is_declared_even_if_the_sender_declared_nothing():
    assert "|UNICODE UTF-8\r" in answer(HEADER, Ack("AE", "100", "", "无效"))


@pytest.mark.parametrize("charset", ["ascii", "iso8859-1"])
def test_a_sender_without_ideographs_gets_the_english_words(charset):
    text = answer(HEADER, ack_for(InvalidMessage("no PID")), charset)

    assert "MSA|AE|C1|Invalid HL7v2 message: no PID\r" in text


@pytest.mark.parametrize(
    "text", ["", "MSH", "hello", "MSHxxxxxxxxx", "MSH|abcd|x", "MSH||||||", "PID|1", "\x00" * 50]
)
def test_what_is_no_message_gets_an_answer_too(text):
    assert answer(text, Ack("AR", "100", "", "no MSH")) == (
        "MSH|^~\\&|FHIRHUB||||20240229180000+0800||ACK|h1|P|2.4\r"
        "MSA|AR||no MSH\rERR|^^^100&Segment sequence error&HL70357\r"
    )


def test_a_short_header_is_answered_with_what_it_tells():
    assert answer("MSH|^~\\&|HIS") == (
        "MSH|^~\\&|||HIS||20240229180000+0800||ACK|h1|P|2.4\rMSA|AA|\r"
    )


def test_control_characters_are_not_echoed():
    assert "MSA|AA|C1\r" in answer(HEADER.replace("C1", "C\x1c\x0b1"))


def test_the_key_names_the_sender_and_the_message():
    assert read_header(HEADER).key == "CHIS|ZJJCHC|C1"
    assert read_header(HEADER.replace("C1", "")).key == ""
    assert read_header("nothing").key == ""


@given(st.text(max_size=100), st.sampled_from(["utf-8", "gb18030", "ascii", "iso8859-1"]))
def test_any_header_gets_an_answer_that_can_be_read(text, charset):
    for candidate in (text, f"MSH{text}", f"MSH|^~\\&|{text}", HEADER + text):
        found = answer(candidate, ack_for(InvalidMessage(text[:20])), charset)
        message = er7.parse(found)
        assert message.first("MSA").value(1) == "AE"
        assert [one.name for one in message.segments] == ["MSH", "MSA", "ERR"]
