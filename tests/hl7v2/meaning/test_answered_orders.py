"""Results end the order that they answer, in whatever order both come.

Spec: HL7v2 chapter 4, ORC-5; chapter 7, OBR-25; R4 request-status
"""

import itertools

import pytest
from meaning_parts import person

HBA1C = "4548-4^HbA1c^LN"
LIS = "LIS|SHTH01"


def order(control="NW"):
    return person(), f"ORC|{control}|P1^HIS", f"OBR|1|P1^HIS||{HBA1C}"


def results(status, *, state="", control="RE"):
    found = f"OBX|1|NM|{HBA1C}||7|%|||||{status}"
    reported = f"OBR|1|P1^HIS|F1^LIS|{HBA1C}|||20250314080000{'|' * 18}{status}"
    return person(), f"ORC|{control}|P1^HIS|F1^LIS||{state}", reported, found


@pytest.mark.parametrize(
    ("told", "status"),
    [
        pytest.param(results("F"), "completed", id="the results are final"),
        pytest.param(results("P", state="CM"), "completed", id="ORC-5"),
        pytest.param(results("C"), "completed", id="corrected"),
        pytest.param(results("P"), "active", id="preliminary"),
        pytest.param(results("X"), "revoked", id="no results: cancelled"),
        pytest.param(results("F", state="HD"), "active", id="held"),
        pytest.param(results("F", control="NW"), "completed", id="NW in ORC-1"),
        pytest.param(results("F")[:1] + results("F")[2:], "completed", id="no ORC"),
    ],
)
@pytest.mark.parametrize("comes", [1, -1])
async def test_results_end_an_order_whichever_comes_first(say, only, told, status, comes):
    messages = [("OML^O21", "0900", order(), "HIS|SHTH01"), ("ORU^R01", "1000", told, LIS)]
    for event, at, segments, by in messages[::comes]:
        await say(event, at, *segments, by=by)

    found = await only("ServiceRequest")
    assert found["status"] == status
    assert found["code"]["text"] == "HbA1c"


STORY = [
    ("OML^O21", "0900", order(), "HIS|SHTH01"),
    ("OML^O21", "0930", order("XO"), "HIS|SHTH01"),
    ("ORU^R01", "1000", results("P"), LIS),
    ("ORU^R01", "1100", results("F"), LIS),
]


@pytest.mark.parametrize("order_of", list(itertools.permutations(range(len(STORY)))))
async def test_an_order_ends_alike_in_whatever_order_its_messages_come(say, only, order_of):
    for number in order_of:
        event, at, segments, by = STORY[number]
        await say(event, at, *segments, by=by)

    found = await only("ServiceRequest")
    assert found["status"] == "completed"
    assert sorted(one["value"] for one in found["identifier"]) == ["F1", "P1"]


async def test_an_order_that_was_taken_back_stays_so(say, only):
    await say("OML^O21", "0900", *order())
    await say("OML^O21", "0930", *order("OC"))
    await say("ORU^R01", "1000", *results("F"), by=LIS)

    assert (await only("ServiceRequest"))["status"] == "revoked"


async def test_results_that_come_again_make_no_new_version_of_the_order(say, only):
    await say("OML^O21", "0900", *order())
    for at, status in (("1000", "F"), ("1010", "F"), ("1100", "C")):
        await say("ORU^R01", at, *results(status), by=LIS)

    assert (await only("ServiceRequest"))["meta"]["versionId"] == "2"


@pytest.mark.parametrize(
    ("groups", "status"),
    [
        ("FP", "active"),
        ("PF", "active"),
        ("FC", "completed"),
        ("XF", "completed"),
        ("XX", "revoked"),
    ],
)
async def test_several_groups_of_results_end_their_order_when_all_do(say, only, groups, status):
    await say("OML^O21", "0900", *order())
    told = [
        segment
        for number, state in enumerate(groups, 1)
        for segment in (
            f"OBR|{number}|P1^HIS|F{number}^LIS|A{number}^Part|||20250314080000{'|' * 18}{state}",
            f"OBX|1|NM|A{number}^Part||7|%|||||{state}",
        )
    ]
    await say("ORU^R01", "1000", person(), *told, by=LIS)

    assert (await only("ServiceRequest"))["status"] == status
