"""Who attended a patient from when until when, as events and updates say it.

Spec: HL7v2 chapter 3, PV1-7, A54 and A55; https://hl7.org/fhir/R4/encounter.html
"""

import itertools

import pytest
from meaning_parts import person, visit

ADMITTED, BACK = "D1^顾^文清", "D2^方^晓岚"
STORY = [
    ("A01", "0900", visit(f2="I", f7=ADMITTED)),
    ("A08", "1000", visit(f2="I", f7=BACK)),
    ("A08", "1100", visit(f2="I", f7=ADMITTED)),
    ("A08", "1130", visit(f2="I", f7=ADMITTED)),
]
PERIODS = [("顾文清", "", "02"), ("方晓岚", "", "03"), ("顾文清", "03", "")]


@pytest.fixture
def attended(every):
    """Return who attended, with the hours (UTC) of her period."""

    async def run(visits=1):
        names = {
            f"Practitioner/{one['id']}": one["name"][0]["text"]
            for one in await every("Practitioner")
        }
        found = await every("Encounter")
        assert len(found) == visits
        return [
            (
                names[one["individual"]["reference"]],
                *(one.get("period", {}).get(end, "")[11:13] for end in ("start", "end")),
            )
            for one in found[-1]["participant"]
        ]

    return run


async def test_a_doctor_who_attends_again_did_so_before_too(say, attended):
    for event, at, told in STORY:
        await say(f"ADT^{event}", at, person(), told)
    assert await attended() == PERIODS

    await say("ADT^A54", "1200", person(), visit(f2="I", f7="D3^李^强"))
    assert await attended() == [*PERIODS[:2], ("顾文清", "03", "04"), ("李强", "", "")]
    await say("ADT^A55", "1230", person(), visit(f2="I", f7=ADMITTED))
    assert await attended() == PERIODS


async def test_that_is_so_in_whatever_order_it_is_told(say, attended):
    for number, order in enumerate(itertools.permutations(STORY), start=1):
        for event, at, told in order:
            await say(f"ADT^{event}", at, person(), told.replace("|V1", f"|V{number}"))
        assert sorted(await attended(number)) == sorted(PERIODS)
