"""From bytes to text: the bytes decide before the declaration does.

Spec: HL7v2 MSH-18, table 0211; DOMAIN 3.5
"""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fhir_hub.errors import InvalidMessage
from fhir_hub.hl7v2.parsing import er7
from fhir_hub.hl7v2.wire.charset import codec, decode, encode, hl7_name

MESSAGES = Path(__file__).parent / "messages"


def message(declared: str = "", name: str = "沈桂芳", field: int = 18) -> str:
    header = ["MSH", "^~\\&", "HIS", "SHTH01", "", "", "20250314", "", "ADT^A08", "1", "P", "2.4"]
    header += [""] * 8
    header[field - 1] = declared
    return f"{'|'.join(header)}\rPID|1||T1||{name}\r"


@pytest.mark.parametrize(
    ("twin", "whole"),
    [
        ("02_ADT_A08_tertiary_quirky.gbk.hl7", "02_ADT_A08_tertiary_quirky.hl7"),
        ("10_ORU_R01_nat_wujiang.gb18030.hl7", "10_ORU_R01_nat_wujiang.hl7"),
        ("q7_gbk_delimiter_bytes.gbk.hl7", "quirks/q7_gbk_delimiter_bytes.hl7"),
    ],
)
def test_the_twins_on_the_wire_say_the_same(twin, whole):
    on_the_wire = decode((MESSAGES / "wire" / twin).read_bytes())

    assert on_the_wire.charset == "gb18030"
    assert on_the_wire.text == decode((MESSAGES / whole).read_bytes()).text


def test_a_delimiters_byte_inside_a_character_splits_nothing():
    decoded = decode((MESSAGES / "wire" / "q7_gbk_delimiter_bytes.gbk.hl7").read_bytes())

    names = er7.parse(decoded.text).first("PID").repetitions(5)
    assert [name.text(1) for name in names] == ["李珅", "孙玘"]


@pytest.mark.parametrize(
    ("mark", "name"),
    [
        (b"\xef\xbb\xbf", "utf-8"),
        (b"\xff\xfe", "utf-16-le"),
        (b"\xfe\xff", "utf-16-be"),
        (b"\xff\xfe\0\0", "utf-32-le"),
        (b"\0\0\xfe\xff", "utf-32-be"),
        (b"\x84\x31\x95\x33", "gb18030"),
    ],
)
def test_a_byte_order_mark_decides_and_is_cut_off(mark, name):
    text = message(declared="8859/1")

    assert decode(mark + text.encode(name)) == (text, name, ())


@pytest.mark.parametrize("name", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_utf_16_and_32_are_known_without_a_mark(name):
    assert decode(message().encode(name)).text == message()


@pytest.mark.parametrize("declared", ["UNICODE UTF-16", "UTF-32", "UTF-16LE"])
@pytest.mark.parametrize("mark", [b"", b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0"])
def test_a_header_in_single_bytes_is_in_no_character_set_of_wide_ones(declared, mark):
    told = "charset-unknown" if declared == "UTF-16LE" else "charset-not-as-declared"
    for written, name in (("utf-8", "沈桂芳"), ("utf-8", "SHEN"), ("gb18030", "王䶮")):
        for text in (message(declared, name), message(declared, f"{name} ")):  # even and odd
            decoded = decode(mark + text.encode(written))

            assert (decoded.text, decoded.charset) == (text, written)
            odd = {code for code, _ in decoded.issues}
            assert odd == {told, *(["charset-bom"] if mark else [])}
            assert decode(text.encode(written), "utf-16")[:2] == decoded[:2]  # as a file forces it


def test_a_byte_order_mark_that_is_not_true_is_reported():
    decoded = decode(b"\xef\xbb\xbf" + message("GBK").encode("gbk"))

    assert (decoded.text, decoded.charset) == (message("GBK"), "gb18030")
    assert [code for code, _ in decoded.issues] == ["charset-bom"]


@pytest.mark.parametrize(
    ("declared", "charset"),
    [("", "utf-8"), ("GBK", "gb18030"), ("ASCII", "ascii"), ("UNICODE UTF-8", "utf-8")],
)
def test_of_ascii_the_declaration_says_how_to_reply(declared, charset):
    assert decode(message(declared, name="SHEN").encode()).charset == charset


def test_of_ascii_the_configured_one_comes_before_the_declared():
    assert decode(message("UNICODE UTF-8", name="SHEN").encode(), "GBK").charset == "gb18030"


@pytest.mark.parametrize("declared", ["GBK", "GB2312", "GB 18030-2000", "8859/1"])
def test_what_is_utf_8_is_utf_8_whatever_is_declared(declared):
    decoded = decode(message(declared).encode())

    assert (decoded.text, decoded.charset) == (message(declared), "utf-8")
    assert [code for code, _ in decoded.issues] == ["charset-not-as-declared"]


def test_utf_8_comes_before_the_configured_one():
    assert decode(message().encode(), "GBK").charset == "utf-8"


@pytest.mark.parametrize("word", ["女", "模", "女模"])
def test_declared_gbk_that_happens_to_be_utf_8_of_a_distant_script_is_gbk(word):
    raw = message("GBK", name=word).encode("gbk")

    assert decode(raw).text == message("GBK", name=word)
    assert decode(message(name=word).encode("gbk"), "GBK").text == message(name=word)


@pytest.mark.parametrize("word", ["10 μmol/L", "±2×10", "José", "37°C"])
def test_western_signs_in_utf_8_are_utf_8_though_gbk_is_declared(word):
    assert decode(message("GBK", name=word).encode()).text == message("GBK", name=word)


@pytest.mark.parametrize(
    ("declared", "wire"),
    [
        *((name, "gb18030") for name in ("GBK", "gb2312", "GB 18030-2000", "CP936", "gb-18030")),
        ("BIG-5", "cp950"),
    ],
)
def test_the_declared_one_is_used_whatever_its_spelling(declared, wire):
    assert decode(message(declared, name="沈桂").encode(wire)).text == message(declared, "沈桂")


@pytest.mark.parametrize(
    "declared", ["8859/1", "ISO-8859-1", "ISO IR100", "latin1", "WINDOWS-1252"]
)
def test_a_western_message_is_read_as_declared(declared):
    assert decode(message(declared, name="José").encode("latin-1")).text == message(
        declared, "José"
    )


@pytest.mark.parametrize(("declared", "forced"), [("ASCII~ISO IR58", ""), ("", "GBK")])
def test_gb_2312_in_seven_bits_is_read_and_its_bytes_are_no_delimiters(declared, forced):
    """\x4d\x7c is 忘 of GB 2312 without its eighth bits, and 7C the field's delimiter."""
    name = b"\x1b$A\x4b\x6f\x1b(B^\x1b$A\x4d\x7c\x1b(B"
    text = f"MSH|^~\\&|A|B|C|D|1||ADT^A08|1|P|2.5||||||{declared}\rPID|1||1||".encode()
    decoded = decode(text + name + b"|\r", forced)

    assert decoded.text.endswith("|孙^忘|\r")
    assert (decoded.charset, decoded.issues) == ("gb18030", ())


def test_a_shifted_japanese_message_is_read_as_declared():
    text = message("ISO IR87", name="山田")

    assert decode(text.encode("iso2022_jp_2")).text == text


@pytest.mark.parametrize(
    ("declared", "name", "wire"),
    [
        ("ASCII~ISO IR87", "山田", "iso2022_jp_2"),
        ("~ISO IR87", "山田", "iso2022_jp_2"),
        ("ASCII~8859/1", "Müller", "latin-1"),
        ("ASCII~BIG-5", "沈桂", "cp950"),
    ],
)
def test_of_several_declared_ascii_gives_way_to_the_set_that_holds_it(declared, name, wire):
    decoded = decode(message(declared, name=name).encode(wire))

    assert (decoded.text, decoded.issues) == (message(declared, name=name), ())


@pytest.mark.parametrize("field", [16, 17, 19, 20])
def test_a_declaration_in_the_wrong_field_counts_and_is_reported(field):
    decoded = decode(message("GBK", field=field).encode("gbk"))

    assert decoded.text == message("GBK", field=field)
    assert [code for code, _ in decoded.issues] == ["charset-misplaced"]


def test_of_several_declared_the_first_known_counts():
    assert decode(message("~KLINGON~GBK").encode("gbk")).charset == "gb18030"


def test_an_unknown_declaration_is_reported():
    decoded = decode(message("KLINGON").encode("gbk"))

    assert decoded.charset == "gb18030"
    assert [code for code, _ in decoded.issues] == ["charset-unknown"]


def test_what_declares_nothing_is_gb_18030_with_characters_that_gbk_lacks():
    assert decode(message(name="王䶮𬀩").encode("gb18030")).text == message(name="王䶮𬀩")


def test_a_declaration_that_is_not_true_is_passed_over():
    decoded = decode(message("UNICODE UTF-8").encode("gbk"))

    assert (decoded.text, decoded.charset) == (message("UNICODE UTF-8"), "gb18030")
    assert [code for code, _ in decoded.issues] == ["charset-not-as-declared"]


@pytest.mark.parametrize("raw", [b"MSH|^~\\&|\xff\xff|", b"\x80", b"\xef\xbb\xbf\xff"])
def test_bytes_that_are_no_text_are_refused(raw):
    with pytest.raises(InvalidMessage) as caught:
        decode(raw)

    assert (caught.value.error_code, caught.value.location) == ("102", "MSH-18")


@pytest.mark.parametrize("declared", ["CP936", "GBK", "GB 18030-2000"])
def test_the_euro_sign_of_windows_is_read_where_gb_is_named(declared):
    raw = message(declared, name="沈€镁€€").encode("gb18030").replace(b"\xa2\xe3", b"\x80")
    decoded = decode(raw)
    assert (decoded.text, decoded.charset) == (message(declared, name="沈€镁€€"), "gb18030")
    assert [code for code, _ in decoded.issues] == ["charset-windows"]
    undeclared = message(name="沈芳").encode("gbk")[:-1] + b"\x80|\r"
    assert decode(undeclared, "GBK").text == message(name="沈芳€|")
    for bad in (undeclared, raw + b"\xff|\r", raw + b"\x81\xff\x80"):
        with pytest.raises(InvalidMessage):
            decode(bad)


def test_a_rare_surname_in_the_utf_8_of_some_databases_is_itself():
    pair = "𠮷".encode("utf-16-be")
    halves = (pair[at : at + 2].decode("utf-16-be", "surrogatepass") for at in (0, 2))
    cesu = "".join(halves).encode("utf-8", "surrogatepass")
    for declared in ("", "UNICODE UTF-8", "GBK"):
        raw = message(declared, "吉").encode().replace("吉".encode(), cesu)
        decoded = decode(raw)
        assert (decoded.text, decoded.charset) == (message(declared, "𠮷"), "utf-8")
        assert "charset-surrogates" in dict(decoded.issues)


@pytest.mark.parametrize(
    ("declared", "mark", "name", "wire"),
    [
        ("ASCII~ISO IR58", b"\x1b$)A", "沈桂芳", "gb2312"),
        ("", b"\x1b$)A", "沈桂芳", "gb2312"),
        ("~ISO IR149", b"\x1b$)C", "김철수", "euc-kr"),
    ],
)
def test_the_escapes_of_iso_2022_are_no_part_of_a_name(declared, mark, name, wire):
    shifted = b"".join(mark + letter.encode(wire) + b"\x1b(B" for letter in name)
    raw = message(declared, "NAME").encode().replace(b"NAME", shifted)

    assert decode(raw).text == message(declared, name)


def test_a_character_that_the_senders_set_lacks_becomes_a_question_mark():
    assert encode("é女", "iso8859-1") == b"\xe9?"


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("UNICODE", "utf-8"),
        ("utf8", "utf-8"),
        ("ISO/IEC 8859-15", "iso8859-15"),
        ("8859/2", "iso8859-2"),
        ("ISO IR6", "ascii"),
        ("", ""),
        ("CHN", ""),
    ],
)
def test_a_name_is_known_whatever_its_punctuation(written, name):
    assert codec(written) == name


def test_hl7s_own_names_lead_back():
    for name in ("utf-8", "ascii", "gb18030", "cp950", "iso8859-1"):
        assert codec(hl7_name(name)) == name
    assert hl7_name("utf-16") == ""


@pytest.mark.parametrize(
    ("name", "place"), [("内分泌科门诊", "PV1-3"), ("门诊", "PV1-3"), ("女", "PV1-3")]
)
@pytest.mark.parametrize("declared", ["GBK", "UNICODE UTF-8", ""])
def test_a_message_half_in_gbk_half_in_utf_8_is_refused_with_the_field(name, place, declared):
    raw = message(declared).encode("gbk") + f"PV1|1|O|{name}|x\r".encode()

    with pytest.raises(InvalidMessage) as caught:
        decode(raw)
    assert (caught.value.error_code, caught.value.location) == ("102", place)


def test_a_utf_8_message_with_one_field_in_gbk_is_refused_with_a_field_of_it():
    raw = message("UNICODE UTF-8").encode() + "PV1|1|O|内分泌科|\r".encode("gbk")

    with pytest.raises(InvalidMessage) as caught:
        decode(raw)
    assert (caught.value.error_code, caught.value.location) == ("102", "PID-5")


def test_every_common_name_in_gbk_is_taken_for_what_it_is():
    common = [
        bytes((lead, trail)).decode("gb2312", "ignore")
        for lead in range(0xB0, 0xF8)
        for trail in range(0xA1, 0xFF)
    ]
    names = ["".join(common[start::1511]) for start in range(1511)]
    text = message("GBK") + "".join(f"NK1|1|{name}|x\r" for name in names)

    assert decode(text.encode("gbk")).text == text


@pytest.mark.parametrize(("private", "now"), [("\ue863", "䶮"), ("\ue81e", "\u9fb4")])
def test_characters_of_an_old_gbk_font_become_those_of_unicode(private, now):
    decoded = decode(message(name=f"王{private}").encode())

    assert decoded.text == message(name=f"王{now}")
    assert [code for code, _ in decoded.issues] == ["charset-private-use"]


def test_a_private_use_character_that_nobody_knows_is_kept_and_flagged():
    decoded = decode(message(name="王\ue001").encode())

    assert decoded.text == message(name="王\ue001")
    assert [code for code, _ in decoded.issues][-1] == "charset-unknown-character"


def test_each_of_the_464_ideographs_with_a_delimiters_byte_is_one_character():
    found = [
        character
        for lead in range(0x81, 0xFF)
        for trail in b"|^~\\"
        if "\u4e00" <= (character := bytes((lead, trail)).decode("gbk", "ignore"))[:1] <= "\u9fff"
    ]
    assert len(found) == 464
    fields = [er7.parse(decode(message("GBK", f"沈{one}芳").encode("gbk")).text) for one in found]
    assert [one.first("PID").value(5) for one in fields] == [f"沈{one}芳" for one in found]


@pytest.mark.parametrize("name", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_an_answer_in_wide_characters_begins_with_their_mark(name):
    assert decode(encode(message(), name)) == (message(), name, ())


@given(st.binary(max_size=300), st.sampled_from(["", "GBK", "UTF-8", "nonsense", "UTF-16"]))
def test_any_bytes_are_text_or_refused(raw, forced):
    for candidate in (raw, b"MSH|^~\\&|" + raw, b"MSH|^~\\&" + b"|" * 16 + raw):
        try:
            decoded = decode(candidate, forced)
        except InvalidMessage:
            continue
        assert isinstance(decoded.text, str)
        assert encode("女", decoded.charset)


def test_three_common_signs_in_gbk_that_could_be_two_ideographs_in_utf_8_are_themselves():
    text = message("GBK", "涓ｄ汉") + "OBR|1|患者\r"
    assert decode(text.encode("gbk")).text == text


_HAN = st.text(st.sampled_from([chr(c) for c in range(0x4E00, 0x9FA6)]), min_size=1, max_size=8)


@given(_HAN)
def test_ideographs_in_gbk_come_back(name):
    text = message("GBK", name) + "OBR|1|患者\r"  # a message of one rare name alone is not GBK's
    with suppress(InvalidMessage):  # what might be UTF-8 in GBK is refused, never guessed
        assert decode(text.encode("gbk")).text == text


@given(_HAN, _HAN)
def test_a_name_in_gbk_beside_one_in_utf_8_is_refused_or_each_is_what_it_was(one, other):
    octets = one.encode("gbk")
    assume(octets.decode("utf-8", "ignore").encode() != octets)
    raw = message("GBK", one).encode("gbk") + f"NK1|1|{other}|x\r".encode()
    try:
        text = decode(raw).text
    except InvalidMessage:
        return
    assert len(other) <= 2  # so short a text may be in either
    assert one in text or other in text


@given(_HAN, st.sampled_from(["", "GBK", "UNICODE UTF-8", "8859/1"]))
def test_ideographs_in_utf_8_come_back(name, declared):
    assert decode(message(declared, name).encode()).text == message(declared, name)
