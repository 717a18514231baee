"""ER7: every part is there, delimiters are the message's own, escapes mean what chapter 2 says.

Spec: HL7v2 chapter 2, 2.5 and 2.7
"""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_hub.errors import InvalidMessage, ack_for
from fhir_hub.hl7v2.parsing.er7 import Encoding, Value, parse, unescape
from fhir_hub.hl7v2.wire.charset import decode

MESSAGES = Path(__file__).parent / "messages"
HEADER = "MSH|^~\\&|HIS|SHTH01|||20250314||ADT^A08|1|P|2.4"


def segment(text: str):
    return parse(f"{HEADER}\r{text}\r").segments[1]


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r\n\n", " \r\n"])
def test_any_line_ends_separate_segments(end):
    message = parse(end.join((HEADER, "EVN|A08", "PID|1")) + end)

    assert [one.name for one in message.segments] == ["MSH", "EVN", "PID"]
    assert [one.index for one in message.segments] == [0, 1, 2]


def test_every_file_of_the_story_splits_into_its_segments():
    for path in sorted(MESSAGES.glob("*.hl7")):
        decoded = decode(path.read_bytes())
        message = parse(decoded.text, decoded.charset)
        assert message.header.value(9), path.name
        assert {len(one.name) for one in message.segments} == {3}


def test_the_header_counts_its_separator_as_field_1():
    header = parse(HEADER).header

    assert [header.field(n) for n in (0, 1, 2, 3, 12, 13)] == [
        "MSH",
        "|",
        "^~\\&",
        "HIS",
        "2.4",
        "",
    ]
    assert header.value(2) == "^~\\&"
    assert header.value(9, 2) == "A08"


@pytest.mark.parametrize("name", ["q3_other_delimiters.hl7"])
def test_the_delimiters_are_what_the_header_says(name):
    message = parse((MESSAGES / "quirks" / name).read_text())

    patient = message.first("PID")
    assert [v.text(1) for v in patient.repetitions(3)] == ["JS7788", "330421199108179964"]
    assert patient.value(3, 4) == "JSPH01"
    assert patient.repetitions(3)[1].text(4, 2) == "2.16.156.10011.1.3"


@pytest.mark.parametrize(
    ("marks", "text", "expected"),
    [
        ("^~\\&", "A^B&C~D", [["A", "B", "C"], ["D", "", ""]]),
        ("^~\\&#", "A^B&C~D", [["A", "B", "C"], ["D", "", ""]]),
        ("^~\\& ", "A^B&C~D", [["A", "B", "C"], ["D", "", ""]]),
        ("^~\\\\&", "A^B&C~D", [["A", "B", "C"], ["D", "", ""]]),
        ("^~", "A^B&C~D", [["A", "B", "C"], ["D", "", ""]]),
        ("^", "A^B&C~D", [["A", "B", "C"], ["D", "", ""]]),
        ("*%!/", "A*B/C%D", [["A", "B", "C"], ["D", "", ""]]),
    ],
)
def test_absent_delimiters_are_the_usual_ones(marks, text, expected):
    message = parse(f"MSH|{marks}|HIS\rPID|{text}")

    parts = [[v.text(1), v.text(2, 1), v.text(2, 2)] for v in message.segments[1].repetitions(1)]
    assert parts == expected


@pytest.mark.parametrize("before", ["\ufeff", "\r\n", "  ", "\x0b", "\ufeff\r"])
def test_what_stands_before_the_header_is_passed_over(before):
    assert parse(before + HEADER).header.value(10) == "1"


def test_the_bytes_of_a_frame_in_a_file_are_no_segment():
    message = parse(f"\x0b{HEADER}\rPID|1\r\x1c\r")

    assert [one.text for one in message.segments] == [HEADER, "PID|1"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "100"),
        ("MSH", "100"),
        ("PID|1||T1", "100"),
        ("<xml/>", "100"),
        ("FHS|^~\\&|HIS", "100"),
        ("MSHA^~\\&AHISA", "101"),
        ("MSH||HIS|SHTH01", "101"),
        ("MSH|HIS|SHTH01|", "101"),
        ("MSH ^~\\& HIS", "101"),
        ("MSH|^^~~|HIS", "101"),
        ("MSH|^|||||||", ""),
    ],
)
def test_a_message_without_header_or_delimiters_is_refused_with_ar(text, code):
    if not code:
        assert parse(text).header.name == "MSH"
        return
    with pytest.raises(InvalidMessage) as caught:
        parse(text)
    assert ack_for(caught.value)[:2] == ("AR", code)


def test_absent_parts_are_empty():
    one = segment("PID|1||A^B&C")

    assert [one.field(n) for n in (2, 3, 4, 99)] == ["", "A^B&C", "", ""]
    assert (one.repetitions(2), one.repetitions(99)) == ([], [])
    assert [one.value(3), one.value(3, 2), one.value(3, 2, 2)] == ["A", "B", "C"]
    assert [one.value(3, 1, 2), one.value(3, 2, 3), one.value(3, 9), one.value(9)] == [""] * 4


def test_empty_repetitions_are_left_out():
    assert [value.raw for value in segment("PID|1||~A~~B~").repetitions(3)] == ["A", "B"]


def test_a_component_is_a_value_whose_components_are_the_subcomponents():
    component = segment("PID|1||A^B&C^D").repetitions(3)[0].component(2)

    assert (component.text(1), component.text(2), component.whole) == ("B", "C", "B&C")
    assert segment("PID|1||A").repetitions(3)[0].component(5).raw == ""


def test_a_text_field_is_whole_with_its_delimiters():
    assert segment("NTE|1|L|8~10 A&B 10^9/L").whole(3).whole == "8~10 A&B 10^9/L"


def test_null_is_two_quotes_and_empty_is_nothing():
    null, empty = Value('""', Encoding()), Value("^^&~ ", Encoding())

    assert (null.is_null, bool(null)) == (True, True)
    assert (empty.is_null, bool(empty)) == (False, False)
    assert Value('""', Encoding()).text() == '""'


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (r"\F\\S\\T\\R\\E", r"|^&~\E"),
        (r"\F\\S\\T\\R\\E\\F\\S", r"|^&~\|\S"),
        (r"A\.br\B", "A\nB"),
        (r"A\.sp3\B", "A\n\n\nB"),
        pytest.param(f"A\\.sp{'9' * 5000}\\B", "A" + 100 * "\n" + "B", id="very many lines"),
        (r"A\.sk2\B\.in+4\C\.ti-2\D", "A  BC\\.ti-2\\D"),
        (r"\H\bold\N\ plain", "bold plain"),
        (r"\.fi\a\.nf\b\.ce\c", "ab\nc"),
        (r"\X41\\X42\C", "ABC"),
        (r"\X4142\C", "ABC"),
        ("C\\X4142\\", "CAB"),  # nothing behind it
        (r"\X41\\X07\C\X0D0A00\ ", "A␇C\r\n␀ "),
        (r"\X41\\F\\X42\C", "A|BC"),
        (r"\X4\ \XZZ\ \X\ ", r"\X4\ \XZZ\ \X\ "),
        (r"C:\temp\new", r"C:\temp\new"),
        ("ends with \\", "ends with \\"),
        (r"\unknown\F\ ", "\\unknown| "),
        (r"\.sp99999999999\ ", "\n" * 100 + " "),
        (r"\M2442\;3ED\C2842\ x", "山田 x"),
        (r"\M2441\<:\C2842\b", "己b"),
        (r"\M242941\沈\C2842\ x", "沈 x"),
        (r"\M2442\;3ED\C2842" + "\\", "山田"),
        (r"\M2442\\X3B33\ED\C2842\\X41\ x", "山田A x"),
        (r"\M2442\;3\C2842\A\XC3A9\b", "山Aéb"),
        (r"\M24\x \MZZZZ\y \M2499\x", r"\M24\x \MZZZZ\y \M2499\x"),
        (r"a\Z1F\F\b", r"a\Z1F\F\b"),
        (r"a\Zlocal\\F\b", r"a\Zlocal\|b"),
    ],
)
def test_escape_sequences(raw, text):
    assert unescape(raw, Encoding()) == text


@pytest.mark.parametrize(
    ("raw", "charset", "text"),
    [
        (r"\XE6B288\ ", "utf-8", "沈 "),
        (r"\XE6\\XB2\\X88\X", "utf-8", "沈X"),
        (r"\XC9F2\ ", "gb18030", "沈 "),
        (r"\XC9F2\ ", "utf-8", "沈 "),
        (r"\XE6B288\ ", "ascii", "沈 "),
        (r"\XFE9F\ ", "gb18030", "䶮 "),
        (r"\XE9\ ", "iso8859-1", "é "),
        (r"\XFF\ ", "utf-8", "ÿ "),
        (r"\X41\ ", "no-such-charset", "A "),
        (r"\XEFBFBE\ \XEFBFBF\ ", "utf-8", "\ufffd \ufffd "),
    ],
)
def test_hexadecimal_escapes_are_bytes_in_the_messages_character_set(raw, charset, text):
    assert unescape(raw, Encoding(charset=charset)) == text


def test_the_messages_own_escape_character_counts():
    message = parse("MSH|^~!&|HIS\rNTE|1|L|a!S!b\\S\\c")

    assert message.segments[1].whole(3).whole == "a^b\\S\\c"


def test_what_xml_cannot_hold_becomes_a_picture_and_is_told():
    message = parse("MSH|^~\\&|A\ufffe\x07沈\uffff|B")
    assert message.header.value(3) == "A\ufffd␇沈\ufffd"
    assert [code for code, _ in message.issues] == ["control-character"]
    assert parse("MSH|^~\\&|沈|B").issues == ()


def test_blanks_around_a_text_are_cut():
    assert segment("PID|1||  A  ^ B ").value(3) == "A"


@given(st.text(max_size=200))
def test_any_text_parses_or_is_refused(text):
    for candidate in (text, "MSH" + text, HEADER + text, HEADER + "\r" + text):
        try:
            message = parse(candidate)
        except InvalidMessage:
            continue
        for one in message.segments:
            for number in range(len(one.fields) + 1):
                for value in one.repetitions(number):
                    assert isinstance(value.text(1) + value.text(2, 2) + value.whole, str)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]), max_size=60))
def test_what_is_escaped_comes_back(text):
    names = {"|": "F", "^": "S", "&": "T", "~": "R", "\\": "E"}
    escaped = "".join(f"\\{names[c]}\\" if c in names else c for c in text)

    assert unescape(escaped, Encoding()) == text
