"""A story of messages has one end, in whatever order they come.

Spec: HL7v2 chapter 3, EVN-2; DOMAIN 4 (out-of-order A08)
"""

import itertools
import random

import pytest
from meaning_parts import person, segment

from fhir_hub import fhirjson

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


def plain(resource):
    """Return what a resource says, but for its versions, with lists in one order."""
    if isinstance(resource, dict):
        return {name: plain(part) for name, part in resource.items() if name not in ("id", "meta")}
    if isinstance(resource, list):
        return sorted(map(plain, resource), key=lambda one: fhirjson.canonical([one]))
    return resource


@pytest.fixture
def records(every):
    """Return what is stored of each patient, by her number, which stands for her address too."""

    async def run():
        known = {
            f'"{kind}/{one["id"]}"': f'"{kind} {one["identifier"][0]["value"]}"'
            for kind in ("Practitioner", "Location", "Organization")
            for one in await every(kind)
        }
        found = {}
        patients = await every("Patient")
        others = [*await every("Encounter"), *await every("AllergyIntolerance")]
        for patient in patients:
            number = patient["identifier"][0]["value"]
            address = f'"Patient/{patient["id"]}"'
            told = [one for one in others if address in fhirjson.dumps(one).decode()]
            text = fhirjson.dumps(plain([patient, *told])).decode()
            for old, new in (*known.items(), (address, '""'), (number, ""), (f"V{number[1:]}", "")):
                text = text.replace(old, new)
            found[number] = plain(fhirjson.loads(text.encode()))
        return found

    return run


EVENTS = (
    *("A02", "A02", "A08", "A08", "A12", "A03", "A13", "A06", "A07", "A54", "A55", "A21", "A22"),
    *("A52", "A53", "A09", "A10", "A32", "A33", "A15", "A26", "A16", "A25", "A11", "A04", "A01"),
)


def drawn(seed):
    """Return the messages of a visit, likely or not, each with what its desk knew of the rest."""
    draw = random.Random(seed)

    def some(*values):
        return draw.choice(("", *values))

    events = [*draw.sample(["A05", "A14"], draw.randint(0, 1)), draw.choice(("A01", "A04"))]
    events += draw.choices(EVENTS, k=draw.randint(3, 6))
    story = []
    for hour, event in enumerate(events, start=8):
        bed, doctor = some("B1", "B2", "B3"), some("D1^顾^文清", "D2^方^晓岚", "D3^钱^正", '""')
        said = {"f2": draw.choice("IIIOE"), "f7": doctor, "f10": some("MED", "SUR", '""')}
        if event in ("A01", "A04"):
            said["f44"] = some(f"20250314{hour:02}0000")
        elif event == "A03":
            said |= {"f36": some("01"), "f45": some(f"20250314{hour:02}0000")}
        elif event == "A15":
            said["f42"] = "W1^R1^B9^SHTH01"
        _, seen = inpatient(bed, **said)
        known = person(f13=some("13000000001", "13000000002", '""'), f11=some("一路1号", "二路2号"))
        story.append((event, f"{hour:02}00", (known, seen)))
    return story


@pytest.mark.parametrize("seed", range(24))
async def test_a_drawn_visit_ends_alike_in_whatever_order_its_messages_come(say, records, seed):
    story, draw = drawn(seed), random.Random(seed)
    orders = [list(range(len(story)))]
    orders += [draw.sample(orders[0], len(story)) for _ in range(4)]
    await told(say, story, orders)

    in_turn, *others = (await records()).values()
    for order, record in zip(orders[1:], others, strict=True):
        assert record == in_turn, (order, [one[0] for one in story])


async def told(say, story, orders):
    """Have a story told in each order, of a patient and a visit of its own."""
    for number, order in enumerate(orders, start=100):
        for event, at, segments in (story[place] for place in order):
            mine = [one.replace("T1^^^", f"T{number}^^^") for one in segments]
            await say(f"ADT^{event}", at, *(one.replace("|V1", f"|V{number}") for one in mine))


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
async def test_a_story_ends_alike_in_whatever_order_its_messages_come(say, records, story):
    orders = list(itertools.permutations(range(len(story))))
    await told(say, story, orders)

    in_turn, *others = (await records()).values()
    assert len(others) == len(orders) - 1
    assert ("Encounter" in str(in_turn)) is ("PV1" in str(story))
    for order, record in zip(orders[1:], others, strict=True):
        assert record == in_turn, order
