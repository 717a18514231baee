"""Visits and accounts whose move to another patient is told late, or after another move.

Spec: HL7v2 chapter 3, A44 and A45; EVN-2
"""

import itertools

import pytest
from meaning_parts import person, segment, visit

ONE, TWO = person("T1", f18="A1"), person("T2", f5="王^小明", f7="19800101", f8="M", f18="A1")
RESULT = ("OBR|1||F1|GLU^Glucose", "OBX|1|NM|GLU^Glucose||5.1||||||F")


def move(event, to, away):
    gone = segment("MRG", f1=f"{away}^^^SHTH01^PI", f3="A1", f5="V1")
    return f"ADT^{event}", (to, gone, *((visit(),) if event == "A45" else ()))


@pytest.fixture
def whose(every):
    """Return the status of all that is of a visit, and whose it is."""

    async def run():
        people = {f"Patient/{p['id']}": p["identifier"][0]["value"] for p in await every("Patient")}
        found = {}
        for kind in ("Encounter", "Account", "DiagnosticReport"):
            for one in await every(kind):
                subject = one["subject"][0] if kind == "Account" else one["subject"]
                found.setdefault(kind, []).append((one["status"], people[subject["reference"]]))
        return found

    return run


@pytest.fixture
async def seen(say):
    """Two patients; the first has a visit with an account and a result."""
    await say("ADT^A04", "0700", person("T2", f5="王^小明", f7="19800101", f8="M"))
    await say("ADT^A04", "0800", ONE, visit())
    await say("ORU^R01", "0900", ONE, visit(), *RESULT)


@pytest.mark.parametrize("order", list(itertools.permutations((0, 1))))
@pytest.mark.parametrize("event", ["A44", "A45"])
async def test_a_move_that_comes_late_moves_all_the_same(say, whose, seen, event, order):
    moved, segments = move(event, TWO, "T1")
    told = [(moved, "1000", segments), ("ADT^A08", "1100", (ONE, visit(f10="MED")))]
    for number in order:
        kind, at, parts = told[number]
        await say(kind, at, *parts)

    found = await whose()
    assert found["Encounter"] == [("in-progress", "T2")]
    assert found["DiagnosticReport"] == [("unknown", "T2")]
    assert event == "A45" or found["Account"] == [("active", "T2")]


@pytest.mark.parametrize("event", ["A44", "A45"])
async def test_a_move_that_was_taken_back_and_comes_again_moves_nothing(
    say, whose, seen, event, log
):
    there, back = move(event, TWO, "T1"), move(event, ONE, "T2")
    await say(there[0], "1000", *there[1])
    await say(back[0], "1100", *back[1])
    before = await whose()
    await say(there[0], "1000", *there[1])

    assert await whose() == before
    assert before["Encounter"] == [("in-progress", "T1")]
    assert before["DiagnosticReport"] == [("unknown", "T1")]
    assert any("message_older" in line for line in log.lines)
