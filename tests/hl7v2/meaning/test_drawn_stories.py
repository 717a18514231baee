"""Stories that chance wrote, likely or not, have one end in whatever order their messages come.

Spec: HL7v2 chapter 3, EVN-2; DOMAIN 4 (out-of-order A08)
"""

import random

import pytest
from meaning_parts import person, segment, tell, visit

from fhir_hub.store.open import open_backend

VISIT = (
    *("A02", "A02", "A08", "A08", "A12", "A03", "A13", "A06", "A07", "A54", "A55", "A21", "A22"),
    *("A52", "A53", "A09", "A10", "A32", "A33", "A15", "A26", "A16", "A25", "A11", "A04", "A01"),
)


def visits(draw):
    """Return the messages of a visit, likely or not, each with what its desk knew of the rest."""
    events = [*draw.sample(["A05", "A14"], draw.randint(0, 1)), draw.choice(("A01", "A04"))]
    events += draw.choices(VISIT, k=draw.randint(3, 6))
    story = []
    for hour, event in enumerate(events, start=8):
        bed, doctor = (
            some(draw, "B1", "B2", "B3"),
            some(draw, "D1^顾^文清", "D2^方^晓岚", "D3^钱^正", '""'),
        )
        said = {"f2": draw.choice("IIIOE"), "f7": doctor, "f10": some(draw, "MED", "SUR", '""')}
        if event in ("A01", "A04"):
            said["f44"] = some(draw, f"20250314{hour:02}0000")
        elif event == "A03":
            said |= {"f36": some(draw, "01"), "f45": some(draw, f"20250314{hour:02}0000")}
        elif event == "A15":
            said["f42"] = "W1^R1^B9^SHTH01"
        seen = visit(f3=f"W1^R1^{bed}^SHTH01" if bed else "", **said)
        known = person(
            f13=some(draw, "13000000001", "13000000002", '""'), f11=some(draw, "一路1号", "二路2号")
        )
        story.append((event, f"{hour:02}00", (known, seen)))
    return story


def bookings(draw):
    """Return the messages of a booking: its time, reason, doctors and rooms, told or not."""
    story = []
    kinds = ["S12", *draw.choices(("S12", "S13", "S14", "S14", "S15", "S26", "S17"), k=3)]
    for hour, event in enumerate(kinds, start=8):
        at = draw.choice(("20250320090000", "20250320100000", "20250321090000"))
        why = some(draw, "A^甲", "B^乙", '""')
        told = segment("SCH", f1="V1^ZJJCHC", f7=why, f8=some(draw, "R^复诊"), f11=f"^^15^{at}")
        rooms = [f"AIL|1||R{n}^^^SHTH01" for n in draw.sample("123", draw.randint(0, 2))]
        doctors = draw.sample(["AIP|1||D1^顾^文清", "AIP|1||D2^方^晓岚"], draw.randint(0, 1))
        story.append((f"SIU^{event}", f"{hour:02}00", (told, person(), *doctors, *rooms)))
    return story


def orders(draw):
    """Return the messages of a prescription: its dose and route, told or not."""
    story = []
    kinds = ["NW", *draw.choices(("XO", "XO", "DC", "CA", "HD", "RL"), k=4)]
    for hour, control in enumerate(kinds, start=8):
        drug = {"f1": "A10BA02^二甲双胍^ATC", "f2": some(draw, "0.5", "1.0"), "f4": "g"}
        route = draw.sample(["RXR|PO", "RXR|IV"], draw.randint(0, 1))
        told = (person(), f"ORC|{control}|V1^ZJJCHC", segment("RXO", **drug), *route)
        story.append(("OMP^O09", f"{hour:02}00", told))
    return story


def facts(draw):
    """Return updates of a patient: what is told of her, and lists of what is hers."""
    story = []
    for hour in range(8, 8 + draw.randint(3, 5)):
        known = draw.sample(["A^青霉素^L", "B^花粉^L", "C^乳胶^L"], draw.randint(0, 2))
        told = [
            segment("AL1", f1=str(number), f2="DA", f3=code, f4=some(draw, "MI", "SV"))
            for number, code in enumerate(known, start=1)
        ]
        if draw.random() < 0.6:
            name = draw.choice(("沈^晓明", "沈^晓红"))
            told.append(segment("NK1", f1="1", f2=name, f3="CHD", f5=some(draw, "131", "132")))
        if draw.random() < 0.6:
            until = some(draw, "20251231", "20261231")
            told.append(segment("IN1", f1="1", f2="310", f3="310", f4="医保", f13=until))
        patient = person(
            f5=some(draw, "沈^桂芳", "沈^桂方"),
            f7=some(draw, "19530412", "1953"),
            f11=some(draw, "一路1号", "二路2号", '""'),
            f13=some(draw, "131", "132", '""'),
            f16=some(draw, "M", "S", '""'),
        )
        story.append((draw.choice(("A08", "A31", "A04")), f"{hour:02}00", (patient, *told)))
    return story


def hospitals(draw):
    """Return what three applications of two institutions tell of one patient."""
    story = []
    tellers = ("CHIS|ZJJCHC", "HIS|SHTH01", "EMR|SHTH01")
    for hour in range(8, 8 + draw.randint(3, 5)):
        by = draw.choice(tellers)
        institution = by.partition("|")[2]
        patient = person(
            f3=f"T1^^^QPHC^HC~T1^^^{institution}^PI",
            f5=some(draw, "沈^桂芳", "沈^桂方"),
            f7=some(draw, "19530412", "19530421"),
            f8=some(draw, "F", "U"),
            f11=some(draw, "一路1号", "二路2号", '""'),
            f13=some(draw, "131", "132", "133^PRN^CP", '""'),
            f16=some(draw, "M", "S", "W", '""'),
            f30=some(draw, "Y", "N"),
        )
        told = [segment("PD1", f4=some(draw, "D1^顾^文清", "D2^方^晓岚"))]
        if draw.random() < 0.5:
            name = draw.choice(("沈^晓明", "沈^晓红"))
            told.append(segment("NK1", f1="1", f2=name, f3="CHD", f5=some(draw, "131", "132")))
        if draw.random() < 0.5:
            told.append(segment("AL1", f1="1", f2="DA", f3="A^青霉素^L", f4=some(draw, "MI", "SV")))
        story.append((draw.choice(("A08", "A31", "A04")), f"{hour:02}00", (patient, *told), by))
    return story


def some(draw, *values):
    """Return one of these, or nothing."""
    return draw.choice(("", *values))


@pytest.fixture
async def backend():
    opened = open_backend("memory:")
    yield opened
    await opened.close()


DRAWN = [
    (make, n)
    for make, count in ((visits, 12), (bookings, 4), (orders, 4), (facts, 4), (hospitals, 8))
    for n in range(count)
]


@pytest.mark.parametrize(("make", "seed"), DRAWN)
async def test_a_drawn_story_ends_alike_in_whatever_order_its_messages_come(
    say, records, make, seed
):
    draw = random.Random(seed)
    story = make(draw)
    turns = [list(range(len(story)))]
    turns += [draw.sample(turns[0], len(story)) for _ in range(4)]
    await tell(say, story, turns)

    in_turn, *others = (await records()).values()
    assert len(in_turn) > (make not in (facts, hospitals))
    for order, record in zip(turns[1:], others, strict=True):
        assert record == in_turn, (order, [one[0] for one in story])
