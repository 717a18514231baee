"""Which number is in use when a merge turns an earlier one round, comes again, or comes late.

Spec: HL7v2 chapter 3, A37 and A40; https://hl7.org/fhir/R4/patient.html#merge
"""

import pytest
from meaning_parts import CARD, merged, person, result, segment


@pytest.fixture
async def three(say, two):
    """T1 went into T2, that into T3; each has a result, T1 one that came later."""
    await say("ADT^A04", "0805", person("T3"))
    await say("ORU^R01", "0905", person("T3"), *result("FT3"))
    await say("ADT^A40", "1000", person("T2"), merged("T1"))
    await say("ADT^A40", "1010", person("T3"), merged("T2"))
    await say("ORU^R01", "1020", person("T1"), *result("late"))


BACK = {
    "T1": (True, ["replaces T3"]),
    "T2": (False, ["replaced-by T3"]),
    "T3": (False, ["replaces T2", "replaced-by T1"]),
}


async def test_a_number_that_was_given_up_is_in_use_again_when_a_merge_says_so(
    say, look, three, every, log
):
    await say("ADT^A40", "1100", person("T1", "13900000009"), merged("T3"))

    states, reports = await look()
    assert states == BACK
    assert set(reports.values()) == {"T1"}
    (live,) = [one for one in await every("Patient") if one["active"]]
    assert [one["value"] for one in live["telecom"]] == ["13900000009"]
    for number in ("T1", "T2", "T3"):
        await say("ORU^R01", "1200", person(number), *result(f"then {number}"))
    assert set((await look())[1].values()) == {"T1"}
    assert log.lines == []


async def test_a_number_given_up_is_in_use_again_when_a_later_one_goes_into_it(say, look, three):
    for _ in range(2):  # T2 is T3 by now, so that goes into T1 with it
        await say("ADT^A40", "1100", person("T1"), merged("T2"))

        states, reports = await look()
        assert states == BACK
        assert set(reports.values()) == {"T1"}
    for number in ("T1", "T2", "T3"):
        await say("ORU^R01", "1200", person(number), *result(f"then {number}"))
    assert set((await look())[1].values()) == {"T1"}


async def test_a_visit_moved_to_a_number_that_was_given_up_is_of_who_is_left_of_a_chain(
    say, three, every
):
    visited = segment("PV1", f2="I", f19="V1")
    await say(
        "ADT^A45", "1100", person("T1"), segment("MRG", f1="T3^^^SHTH01^PI", f5="V1"), visited
    )

    (live,) = [one["id"] for one in await every("Patient") if one["active"]]
    (visit,) = await every("Encounter")
    assert visit["subject"]["reference"] == f"Patient/{live}"


@pytest.mark.parametrize(("into", "prior"), [("T2", "T1"), ("T3", "T2"), ("T3", "T1")])
async def test_a_merge_of_a_chain_that_comes_again_changes_nothing(say, three, every, into, prior):
    once = [await every(kind) for kind in ("Patient", "Observation", "DiagnosticReport")]
    for at in ("1000", "1100"):
        await say("ADT^A40", at, person(into), merged(prior))

    again = [await every(kind) for kind in ("Patient", "Observation", "DiagnosticReport")]
    assert again == once


async def test_two_that_went_into_a_third_stay_there_when_one_goes_into_the_other(say, look, two):
    await say("ADT^A04", "0805", person("T3"))
    for number in ("T1", "T2"):
        await say("ADT^A40", "1000", person("T3"), merged(number))
    before = await look()
    await say("ADT^A40", "1100", person("T1"), merged("T2"))

    assert await look() == before


async def test_a_merge_back_that_comes_again_changes_nothing(say, look, three, every):
    await say("ADT^A40", "1100", person("T1"), merged("T3"))
    once = [await every(kind) for kind in ("Patient", "Observation", "DiagnosticReport")]
    await say("ADT^A40", "1100", person("T1"), merged("T3"))

    again = [await every(kind) for kind in ("Patient", "Observation", "DiagnosticReport")]
    assert again == once


async def test_a_merge_back_undone_leaves_each_its_own(say, look, three, log):
    await say("ADT^A40", "1100", person("T1"), merged("T3"))
    await say("ADT^A37", "1200", person("T1"), person("T3"))

    states, reports = await look()
    assert states == {
        "T1": (True, []),
        "T2": (False, ["replaced-by T3"]),
        "T3": (True, ["replaces T2"]),
    }
    assert reports == {"FT1": "T1", "late": "T1", "FT2": "T3", "FT3": "T3"}
    assert log.lines == []


async def test_the_earlier_merge_that_comes_again_turns_nothing_round(say, look, two, log):
    await say("ADT^A40", "1000", person("T2"), merged("T1"))
    await say("ADT^A40", "1100", person("T1"), merged("T2"))
    await say("ADT^A40", "1000", person("T2"), merged("T1"))

    states, reports = await look()
    assert states == {"T1": (True, ["replaces T2"]), "T2": (False, ["replaced-by T1"])}
    assert set(reports.values()) == {"T1"}
    assert log.lines == ["message_older resources=Patient:1"]


@pytest.mark.parametrize("is_merged", [False, True])
async def test_a_card_of_the_prior_record_does_not_hide_which_number_is_in_use(
    say, every, is_merged
):
    await say("ADT^A04", "0800", person("T1"))
    await say("ADT^A04", "0810", person(f3=f"T2^^^SHTH01^PI~{CARD}"))
    if is_merged:
        await say("ADT^A40", "0900", person("T2"), merged("T1"))
    await say("ADT^A40", "1000", person(f3=f"T1^^^SHTH01^PI~{CARD}"), merged("T2"))

    assert [one["active"] for one in await every("Patient")] == [True, False]
    await say("ADT^A08", "1100", person("T1", "13900000009", f3=f"T1^^^SHTH01^PI~{CARD}"))
    assert ["telecom" in one for one in await every("Patient")] == [True, False]


async def test_another_number_of_the_one_in_use_is_no_merge_back(say, every):
    await say("ADT^A04", "0800", person("T1"))
    await say("ADT^A04", "0810", person(f3="T2^^^SHTH01^PI~T3^^^SHTH01^PI"))
    await say("ADT^A40", "0900", person("T2"), merged("T1"))
    before = [one["active"] for one in await every("Patient")]
    await say("ADT^A40", "1000", person(f3="T2^^^SHTH01^PI~T1^^^SHTH01^PI"), merged("T3"))

    assert [one["active"] for one in await every("Patient")] == before == [False, True]


@pytest.mark.parametrize(
    ("events", "is_merged"),
    [
        (["A37 1100", "A40 1000"], False),
        (["A40 1000", "A37 1200", "A40 1100"], False),
        (["A40 1000", "A40 1200", "A37 1100"], True),
    ],
)
async def test_a_merge_or_unlink_that_comes_late_turns_nothing_round(
    say, look, two, log, events, is_merged
):
    for event, at in (one.split() for one in events):
        other = merged("T2") if event == "A40" else person("T2")
        await say(f"ADT^{event}", at, person("T1"), other)

    states, reports = await look()
    assert states["T2"][0] is not is_merged
    assert reports["FT2"] == ("T1" if is_merged else "T2")
    assert any(line.startswith("message_older") for line in log.lines)
