"""The diagnoses of a visit, told by several messages in whatever order they come.

Spec: HL7v2 chapter 6, DG1-6 and DG1-21; chapter 2, 2.10.4; R4 encounter.diagnosis
"""

import itertools

import pytest
from meaning_parts import person, segment, visit

I10, E11, J20 = "I10^高血压^I10", "E11^糖尿病^I10", "J20^支气管炎^I10"


def told(event, *diagnoses, by="HIS|SHTH01"):
    """Return a message with these diagnoses, each a code and an action code."""
    segments = [
        segment("DG1", f1=str(number), f3=code, f6="W", f21=action)
        for number, (code, action) in enumerate(diagnoses, 1)
    ]
    return event, (person(), visit(), *segments), by


STORIES = {
    "added one by one": (
        [told("A08", (I10, "A")), told("A08", (E11, "A"))],
        ["E11", "I10"],
    ),
    "one is deleted, another one added": (
        [told("A08", (I10, "A"), (E11, "A")), told("A08", (I10, "D"), (J20, "A"))],
        ["E11", "J20"],
    ),
    "deleted, and added again": (
        [told("A08", (I10, "A"), (E11, "A")), told("A08", (I10, "D")), told("A08", (I10, "A"))],
        ["E11", "I10"],
    ),
    "at admission and at discharge": (
        [told("A01", (I10, "")), told("A03", (E11, ""))],
        ["E11", "I10"],
    ),
    "a list of all": ([told("A08", (I10, ""), (E11, "")), told("A08", (E11, ""))], ["E11"]),
}


@pytest.mark.parametrize(
    ("name", "order"),
    [
        pytest.param(name, order, id=f"{name}: {' '.join(map(str, order))}")
        for name, (story, _) in STORIES.items()
        for order in itertools.permutations(range(len(story)))
    ],
)
async def test_a_visit_has_the_diagnoses_that_hold(say, every, only, name, order):
    story, end = STORIES[name]
    for number in order:
        event, segments, by = story[number]
        await say(f"ADT^{event}", f"{8 + number:02}00", *segments, by=by)

    codes = {
        f"Condition/{one['id']}": one["code"]["coding"][0]["code"]
        for one in await every("Condition")
    }
    listed = (await only("Encounter"))["diagnosis"]
    assert sorted(codes[one["condition"]["reference"]] for one in listed) == end
