"""Messages as nobody should send them: they make what is valid, and each part is where it belongs.

Spec: HL7v2 chapter 2, 2.5.2 and 2.6 (order of segments, unexpected segments)
"""

import random
import time
from dataclasses import replace
from pathlib import Path

import pytest
from conversion_parts import PID, TABLE_MSH, converted, errors, lines, of_type

from fhir_hub.errors import InvalidMessage
from fhir_hub.hl7v2.parsing.groups import assign
from fhir_hub.hl7v2.parsing.structure import structure

EXAMPLES = Path(__file__).parents[2] / "examples" / "messages"
MESSAGES = [path.read_bytes().decode() for path in sorted(EXAMPLES.glob("*.hl7"))]
ODD = (
    *(
        '""',
        "",
        " ",
        "^^^",
        "&",
        "~~",
        '""^""',
        "\\",
        "\\X",
        "\\X00\\",
        "\\.sp99999\\",
        "\u200b",
        "𠮷",
    ),
    *("-1", "1e999", "9" * 40, "20250230", "20251301", "2025", "20250314101500+2500", "00000000"),
    *("^^^A&b c&UUID", "^^^&&ISO", "<5", "5-7", "1&2&3^4", "1^2^3^4^5^6^7^8^9^10^11^12", "a/b"),
    *(
        "x" * 70_000,
        "1^Q6H&0800^D10",
        "^100",
        "^TEXT^PDF^Base64^QQ==",
        "A0123456789",
        "D",
        "UP",
        "CA",
    ),
)


def made(kind, *segments, by_table=False):
    conversion = converted(lines(TABLE_MSH.format(kind), *segments), by_table=by_table)
    assert errors(conversion) == []
    return conversion


def test_a_specimen_before_its_order_is_the_orders_and_one_more_order_its_own():
    order = [PID, "ORC|NW|P1", "SPM|1|S1||BLD", "DG1|1||E11", "OBR|1|P1||A^a", "OBR|2|P2||B^b"]
    found = of_type(made("OML^O21^OML_O21", *order), "ServiceRequest")
    assert ["specimen" in one for one in found] == [True, False]


STRUCTURES = [
    "OML_O21",
    "OMG_O19",
    "OMI_O23",
    "ORM_O01",
    "PGL_PC6",
    "PRR_PC5",
    "RRI_I12",
    "OML_O33",
]


@pytest.mark.parametrize(
    "name", [*STRUCTURES, "ORU_R01", "OUL_R22", "VXU_V04", "RDE_O11", "DFT_P03"]
)
def test_every_segment_has_a_group_in_whatever_order_they_come(name):
    root = structure(name)
    segments, choice = sorted(root.holds), random.Random(name)
    for _ in range(200):
        few = choice.sample(segments, min(4, len(segments)))
        names = choice.choices([*few, "OBR", "ZXA"], k=choice.randint(2, 8))
        for at, spot in enumerate(assign(names, root)):
            assert at in [held for held, _ in spot.segments[names[at]]], names


def test_a_merge_that_names_one_patient_alone_is_no_linkage():
    merge = ["MRG|T2^^^TEST01^PI", "EVN|A40", PID, "MRG|T2^^^TEST01^PI"]
    conversion = made("ADT^A40^ADT_A39", *merge, by_table=True)
    assert len(of_type(conversion, "Linkage")) == 1


@pytest.mark.parametrize("name", ["AL1", "IAM"])
def test_a_segment_that_is_its_name_alone_makes_nothing(name):
    found = made("ADT^A08", PID, "PV1|1|I", name, f"{name}|1||X^latex")
    assert [one["code"]["text"] for one in of_type(found, "AllergyIntolerance")] == ["latex"]


@pytest.mark.parametrize("text", ["-", " PRN", "次,"])
def test_a_repeat_pattern_of_very_many_characters_is_soon_read(text):
    pattern = f"A{text * 20_000}B"
    begun = time.process_time()
    found = made("RDE^O11^RDE_O11", PID, "ORC|NW|P1", "RXE||M^m|1||mg", f"TQ1|1||{pattern}")
    assert time.process_time() - begun < 2
    (dose,) = of_type(found, "MedicationRequest")[0]["dosageInstruction"]
    assert len(dose["timing"]["code"]["text"]) == len(pattern)


TQ1 = "TQ1|1||BID"


@pytest.mark.parametrize(
    ("kind", "segments"),
    [
        ("ORU^R01^ORU_R01", ["OBR|1|P1||A^a", f"OBX|1|TX|B^b||{'~'.join(map(str, range(9000)))}"]),
        ("RDE^O11^RDE_O11", ["ORC|NW|P1", *[TQ1] * 6000, "RXE||M^m|1||mg", *[TQ1] * 6000]),
    ],
)
def test_very_many_numbers_or_schedules_are_soon_read(kind, segments):
    message = lines(TABLE_MSH.format(kind), PID, *segments)
    begun = time.process_time()
    converted(message)
    assert time.process_time() - begun < 5


def spoilt(choice, text):
    """Return the message with segments left out, doubled, moved, of another, and odd fields."""
    segments = [line.split("|") for line in text.split("\r") if line]
    for _ in range(choice.randint(1, 6)):
        at, to = choice.randrange(1, len(segments)), choice.randint(1, len(segments))
        act = choice.randrange(9)
        if act == 0 and len(segments) > 2:
            segments.pop(at)
        elif act == 1:
            segments.insert(to, [*segments[at]])
        elif act == 2:
            segments.insert(to, segments.pop(at))
        elif act == 3:
            segments.insert(to, choice.choice(choice.choice(MESSAGES).split("\r")[1:-1]).split("|"))
        else:
            number = choice.randint(1, len(segments[at]) + 2)
            segments[at] += [""] * (number + 1 - len(segments[at]))
            segments[at][number] = choice.choice(ODD)
    return lines(*map("|".join, segments))


@pytest.mark.no_cover
def test_what_is_made_of_a_spoilt_message_is_valid_and_the_same_again():
    choice = random.Random(20)
    for _ in range(40):
        text, by_table = spoilt(choice, choice.choice(MESSAGES)), choice.random() < 0.5
        try:
            conversion = converted(text, by_table=by_table)
        except InvalidMessage:
            continue
        again = converted(text, by_table=by_table)
        assert again.resources == conversion.resources, text
        whole = tuple(one for one in conversion.resources if one.mode != "change")
        found = errors(replace(conversion, resources=whole))
        assert [one for one in found if "ValueSet/" not in one] == [], text
