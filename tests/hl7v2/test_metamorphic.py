"""What changes a message's bytes and not its meaning changes no resource that is made of it.

Line ends, delimiters, the character set and Z-segments that no map knows are put in the way of the
example messages; what they make must stay the same, full urls and all.

Spec: HL7v2 chapter 2, 2.5 (delimiters), 2.14 (MSH), 2.15.9.18 (MSH-18)
"""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from conversion_parts import mappings
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_hub.hl7v2.conversion.convert import convert
from fhir_hub.hl7v2.parsing import er7
from fhir_hub.hl7v2.reports.report import UNMAPPED_SEGMENT
from fhir_hub.hl7v2.wire import charset

pytestmark = pytest.mark.no_cover  # many rounds of what other tests cover

EXAMPLES = Path(__file__).parents[2] / "examples" / "messages"
STANDARD = "|^~\\&"
# Unescaped delimiters in a text or a unit (8~10, 10^9/L) mean the characters themselves.
UNESCAPED = {"08_ORU_R01_lab_tertiary", "13_REF_I12_up_referral", "17_OUL_R22_analyser"}
MESSAGES = {path.stem: path.read_bytes().decode("utf-8") for path in sorted(EXAMPLES.glob("*.hl7"))}
LINE_ENDS = ("\n", "\r\n", "\r\r", "\n\n", "\r\n\r\n")
DELIMITERS = "|^~\\&!#$%*;?@`"
# Each with a name of HL7 table 0211 that a sender declares.
CHARSETS = {
    "UNICODE UTF-8": "utf-8",
    "GB 18030-2000": "gb18030",
    "GB18030": "gb18030",
    "": "gb18030",
}

names = st.sampled_from(sorted(MESSAGES))


def made(data: bytes) -> list[dict[str, Any]]:
    """Return what the bytes of a message make, by the tables and as the hub stores it.

    Left out is the raw text of a segment that no map reads: it is kept as it came.
    """
    decoded = charset.decode(data)
    message = er7.parse(decoded.text, decoded.charset)
    return [
        {"url": one.full_url, "match": one.match, **without_kept_segments(one.resource)}
        for by_table in (False, True)
        for one in convert(message, mappings(), by_table=by_table).resources
    ]


def without_kept_segments(resource: dict[str, Any]) -> dict[str, Any]:
    held = [one for one in resource.get("extension", ()) if one["url"] != UNMAPPED_SEGMENT]
    others = {name: value for name, value in resource.items() if name != "extension"}
    return others | ({"extension": held} if held else {})


@cache
def expected(name: str) -> list[dict[str, Any]]:
    return made(MESSAGES[name].encode("utf-8"))


def with_charset(text: str, declared: str) -> str:
    """Return the message with another MSH-18, and no set declared anywhere else."""
    header, _, rest = text.partition("\r")
    fields = header.split("|")
    fields += [""] * (18 - len(fields))
    fields[16] = "" if "GB" in fields[16] else fields[16]
    fields[17] = declared
    return "|".join(fields) + "\r" + rest


@settings(max_examples=30)
@given(name=names, ends=st.lists(st.sampled_from(("\r", *LINE_ENDS)), min_size=1, max_size=5))
def test_line_ends_change_nothing(name, ends):
    segments = MESSAGES[name].split("\r")
    text = "".join(segment + ends[at % len(ends)] for at, segment in enumerate(segments) if segment)
    assert made(text.encode("utf-8")) == expected(name)


@settings(max_examples=40)
@given(name=names.filter(lambda name: name not in UNESCAPED), order=st.permutations(DELIMITERS))
def test_delimiters_change_nothing(name, order):
    text = MESSAGES[name]
    free = [mark for mark in order if mark in STANDARD or mark not in text][:5]
    changed = text.translate(str.maketrans(dict(zip(STANDARD, free, strict=True))))
    assert made(changed.encode("utf-8")) == expected(name)


@settings(max_examples=30)
@given(name=names, declared=st.sampled_from(sorted(CHARSETS)), bom=st.booleans())
def test_the_character_set_changes_nothing(name, declared, bom):
    text = with_charset(MESSAGES[name], declared)
    data = text.encode(CHARSETS[declared])
    if bom and CHARSETS[declared] == "utf-8":
        data = b"\xef\xbb\xbf" + data
    assert made(data) == expected(name)


@settings(max_examples=30)
@given(
    name=names,
    added=st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from(["ZXA|1|甲^乙", "ZXB", "ZXC|||~&\\F\\"])),
        min_size=1,
        max_size=4,
    ),
)
def test_segments_that_no_map_knows_change_nothing(name, added):
    segments = MESSAGES[name].rstrip("\r").split("\r")
    for at, segment in added:
        segments.insert(1 + at % len(segments), segment)
    assert made(("\r".join(segments) + "\r").encode("utf-8")) == expected(name)


VERSIONS = ["2.1", "2.3", "2.3.1", "2.5", "2.7", "2.9", "2.5.1^CHN", "", "v2.4", "junk"]


@settings(max_examples=12)
@given(name=names, version=st.sampled_from(VERSIONS))
def test_the_version_changes_nothing_where_the_fields_are_the_same(name, version):
    header, _, rest = MESSAGES[name].partition("\r")
    fields = header.split("|")
    fields[11] = version
    assert made(f"{'|'.join(fields)}\r{rest}".encode()) == expected(name)


def with_more(text: str, more: str) -> str:
    """Return the message with `more` behind each field that holds neither it nor an escape."""
    header, *rest = text.rstrip("\r").split("\r")
    changed = []
    for line in rest:
        name, *fields = line.split("|")
        told = (one + more if one.isalnum() and name[0] != "Z" else one for one in fields)
        changed.append("|".join((name, *told)))
    return "\r".join((header, *changed)) + "\r"


@settings(max_examples=12)
@given(name=names, more=st.sampled_from(("^", "^^^", "&", "~", "~~", "^&")))
def test_empty_parts_behind_a_field_change_nothing(name, more):
    assert made(with_more(MESSAGES[name], more).encode()) == expected(name)


@settings(max_examples=12)
@given(name=names)
def test_a_number_a_name_and_a_phone_said_twice_are_said_once(name):
    lines = MESSAGES[name].split("\r")
    for at, line in enumerate(lines):
        fields = line.split("|")
        if fields[0] == "PID":
            twice = {number for number in (3, 5, 13) if number < len(fields) and fields[number]}
            lines[at] = "|".join(
                f"{one}~{one}" if number in twice else one for number, one in enumerate(fields)
            )
    assert made("\r".join(lines).encode()) == expected(name)


def test_an_empty_result_behind_a_text_is_no_line_of_it():
    name = next(name for name in MESSAGES if "MDM" in name)
    assert made((MESSAGES[name].rstrip("\r") + "\rOBX||TX\r").encode()) == expected(name)
