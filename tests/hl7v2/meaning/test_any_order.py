"""A story of messages has one end, in whatever order they come.

Spec: HL7v2 chapter 3, EVN-2; DOMAIN 4 (out-of-order A08)
"""

import itertools

import pytest
from meaning_parts import person, segment, tell

ADMITTED = "20250314090000"


def inpatient(bed="", **fields):
    place = f"W1^R1^{bed}^SHTH01" if bed else ""
    return person(), segment("PV1", **{"f2": "I", "f3": place, "f19": "V1", **fields})


def outpatient(**fields):
    return inpatient(f2="O", **fields)


def listed(*codes):
    return person(), *(segment("AL1", f1=str(n), f2="DA", f3=one) for n, one in enumerate(codes, 1))


STORIES = {
    "admit, transfer, discharge": [
        ("A01", "0900", inpatient("B1", f44=ADMITTED)),
        ("A02", "1000", inpatient("B2")),
        ("A03", "1200", inpatient("B2", f45="20250314120000")),
    ],
    "a transfer, of which an update says nothing": [
        ("A01", "0900", inpatient("B1", f44=ADMITTED)),
        ("A02", "1000", inpatient("B2")),
        ("A08", "1200", inpatient()),
    ],
    "a transfer is cancelled": [
        ("A01", "0900", inpatient("B1", f44=ADMITTED)),
        ("A02", "1000", inpatient("B2")),
        ("A12", "1100", inpatient("B1")),
    ],
    "a discharge is cancelled": [
        ("A01", "0900", inpatient(f44=ADMITTED)),
        ("A03", "1100", inpatient(f45="20250314110000")),
        ("A13", "1200", inpatient()),
    ],
    "leave and return": [
        ("A01", "0900", inpatient(f44=ADMITTED)),
        ("A21", "1000", inpatient()),
        ("A22", "1100", inpatient()),
        ("A03", "1200", inpatient(f45="20250314120000")),
    ],
    "a plan": [
        ("A05", "0800", inpatient()),
        ("A01", "0900", inpatient(f44=ADMITTED)),
        ("A03", "1200", inpatient(f45="20250314120000")),
    ],
    "a visit is cancelled": [
        ("A01", "0900", inpatient(f44=ADMITTED)),
        ("A08", "1000", inpatient(f10="MED")),
        ("A11", "1200", inpatient()),
    ],
    "an outpatient is admitted": [
        ("A04", "0900", outpatient(f44=ADMITTED)),
        ("A06", "1000", inpatient("B1")),
        ("A03", "1200", inpatient(f45="20250314120000")),
    ],
    "another doctor": [
        ("A04", "0900", outpatient(f7="T1^顾^文清", f44=ADMITTED)),
        ("A08", "1000", outpatient(f7="T2^方^晓岚")),
        ("A03", "1100", outpatient(f45="20250314110000")),
    ],
    "allergies": [
        ("A08", "0900", listed("A^青霉素^L")),
        ("A08", "1000", listed("B^花粉^L")),
        ("A08", "1100", (person(), 'AL1|""')),
        ("A08", "1200", listed("A^青霉素^L", "C^乳胶^L")),
    ],
    "nobody knows the name": [
        ("A04", "0900", (person(f5="无名氏"),)),
        ("A08", "1000", (person(),)),
        ("A08", "1100", (person(f5="UNKNOWN"),)),
    ],
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
async def test_a_story_ends_alike_in_whatever_order_its_messages_come(say, records, story):
    orders = list(itertools.permutations(range(len(story))))
    await tell(say, story, orders)

    in_turn, *others = (await records()).values()
    assert len(others) == len(orders) - 1
    assert ("Encounter" in str(in_turn)) is ("PV1" in str(story))
    for order, record in zip(orders[1:], others, strict=True):
        assert record == in_turn, order
