"""Merges, chains of them, and merges undone: A40 and A37 through the receiver.

Spec: HL7v2 chapter 3, A24, A37, A40; https://hl7.org/fhir/R4/patient.html#merge
"""

import pytest
from meaning_parts import CARD, merged, person, result, visit

RE_POINTED = "https://fhir-hub.example/CodeSystem/re-pointed-from"
ROUTED = "https://fhir-hub.example/CodeSystem/came-by-merged"


async def test_a_merge_undone_leaves_both_as_their_numbers_say(say, look, two, every, log):
    before = await look()
    await say("ADT^A40", "1000", person("T1"), merged("T2"))
    await say("ORU^R01", "1100", person("T2"), *result("late"))
    states, reports = await look()
    assert states == {"T1": (True, ["replaces T2"]), "T2": (False, ["replaced-by T1"])}
    assert reports == {"FT1": "T1", "FT2": "T1", "late": "T1"}

    await say("ADT^A37", "1200", person("T1"), person("T2"))
    states, reports = await look()
    assert (states, reports) == (before[0], {**before[1], "late": "T2"})
    assert log.lines == []
    for tag in (RE_POINTED, ROUTED):
        assert tag not in str(await every("Observation") + await every("DiagnosticReport"))
    (text,) = [
        reason["text"] for one in await every("Provenance") for reason in one.get("reason", ())
    ]
    assert text.startswith("4 resources went back to Patient/")

    await say("ORU^R01", "1300", person("T2"), *result("then"))
    assert (await look())[1]["then"] == "T2"


@pytest.mark.parametrize("turned", [False, True], ids=["prior last", "prior first"])
async def test_who_is_parted_is_as_the_message_that_parts_her_says(say, every, two, turned):
    await say("ADT^A40", "1000", person("T1"), merged("T2"))
    told = person("T1", phone="13900000001"), person("T2", phone="13900000002")
    for at in ("1200", "1200"):  # told again it changes nothing
        await say("ADT^A37", at, *(reversed(told) if turned else told))
        patients = await every("Patient")
        assert [one["telecom"][0]["value"] for one in patients] == ["13900000001", "13900000002"]
        assert [(one["active"], "link" in one) for one in patients] == [(True, False)] * 2
        assert {one["meta"]["versionId"] for one in patients} == {"3"}


async def test_what_is_told_again_after_an_unlink_is_where_its_number_says(say, look, two):
    await say("ADT^A40", "1000", person("T1"), merged("T2"))
    await say("ORU^R01", "1100", person("T2"), *result("late"))
    await say("ADT^A37", "1200", person("T1"), person("T2"))
    await say("ORU^R01", "1300", person("T2"), *result("late"))

    assert (await look())[1]["late"] == "T2"
    await say("ADT^A40", "1400", person("T1"), merged("T2"))
    await say("ADT^A37", "1500", person("T1"), person("T2"))
    assert (await look())[1]["late"] == "T2"


async def test_what_was_told_of_a_visit_goes_back_with_it(say, look, two, every):
    """After the merge its sender names the number in use, of the same visit."""
    stay, own = visit(f19="V2"), visit(f19="V1")
    await say("ADT^A01", "0910", person("T2"), stay)
    await say("ADT^A01", "0910", person("T1"), own)
    await say("ADT^A40", "1000", person("T1"), merged("T2"))
    await say("ORU^R01", "1100", person("T1"), stay, *result("of the visit"))
    await say("ADT^A01", "1110", person("T2"), visit(f19="V3"))
    await say("ORU^R01", "1120", person("T1"), visit(f19="V3"), *result("of a new one"))
    for number, told in (("of his own", own), ("of none", "")):
        await say("ORU^R01", "1130", person("T1"), *filter(None, [told]), *result(number))
    await say("ADT^A37", "1200", person("T1"), person("T2"))

    reports = (await look())[1]
    assert {name: whose for name, whose in reports.items() if "F" not in name} == {
        "of the visit": "T2",
        "of a new one": "T2",
        "of his own": "T1",
        "of none": "T1",
    }
    visits = {f"Encounter/{one['id']}": one["subject"] for one in await every("Encounter")}
    for one in await every("Observation") + await every("DiagnosticReport"):
        if "encounter" in one:
            assert one["subject"] == visits[one["encounter"]["reference"]]


async def test_what_came_by_a_number_over_a_chain_goes_back_over_it(say, look, two):
    await say("ADT^A04", "0800", person("T3"))
    await say("ADT^A40", "1000", person("T2"), merged("T1"))
    await say("ADT^A40", "1100", person("T3"), merged("T2"))
    await say("ORU^R01", "1110", person("T1"), *result("late"))

    await say("ADT^A37", "1200", person("T3"), person("T2"))
    assert (await look())[1] == {"FT1": "T2", "FT2": "T2", "late": "T2"}
    await say("ADT^A37", "1300", person("T2"), person("T1"))
    assert (await look())[1] == {"FT1": "T1", "FT2": "T2", "late": "T1"}


async def test_an_unlink_again_or_of_what_was_never_merged_does_nothing(say, look, two, store):
    await say("ADT^A40", "1000", person("T1"), merged("T2"))
    for at in ("1100", "1200"):
        await say("ADT^A37", at, person("T1"), person("T2"))
    once = await look()
    for at in ("1300", "1400"):
        await say("ADT^A37", at, person("T2"), person("T1"))

    assert await look() == once
    assert once[0] == {"T1": (True, []), "T2": (True, [])}


async def test_of_a_chain_the_first_merge_is_undone(say, look, two):
    await say("ADT^A04", "0800", person("T3"))
    await say("ADT^A40", "1000", person("T2"), merged("T1"))
    await say("ADT^A40", "1100", person("T3"), merged("T2"))
    assert (await look())[1] == {"FT1": "T3", "FT2": "T3"}

    await say("ADT^A37", "1200", person("T2"), person("T1"))
    states, reports = await look()
    assert reports == {"FT1": "T1", "FT2": "T3"}
    assert states == {
        "T1": (True, []),
        "T2": (False, ["replaced-by T3"]),
        "T3": (True, ["replaces T2"]),
    }


async def test_of_a_chain_the_last_merge_is_undone(say, look, two):
    await say("ADT^A04", "0800", person("T3"))
    await say("ADT^A40", "1000", person("T2"), merged("T1"))
    await say("ADT^A40", "1100", person("T3"), merged("T2"))
    await say("ADT^A37", "1200", person("T3"), person("T2"))

    states, reports = await look()
    assert reports == {"FT1": "T2", "FT2": "T2"}
    assert states["T1"] == (False, ["replaced-by T2"])
    assert states["T2"] == (True, ["replaces T1"])

    await say("ADT^A37", "1300", person("T2"), person("T1"))
    assert (await look())[1] == {"FT1": "T1", "FT2": "T2"}


async def test_of_a_chain_who_is_named_is_parted_from_all_behind(say, look, two):
    await say("ADT^A04", "0800", person("T3"))
    await say("ADT^A40", "1000", person("T2"), merged("T1"))
    await say("ADT^A40", "1100", person("T3"), merged("T2"))
    await say("ADT^A37", "1200", person("T3"), person("T1"))

    states, reports = await look()
    assert reports == {"FT1": "T1", "FT2": "T3"}
    assert states["T1"] == (True, [])
    assert states["T2"] == (False, ["replaced-by T3"])


async def test_of_two_that_went_into_a_third_nobody_knows_which_is_meant(say, look, two):
    await say("ADT^A04", "0800", person("T3"))
    for number in ("T1", "T2"):
        await say("ADT^A40", "1000", person("T3"), merged(number))
    before = await look()
    answer = await say("ADT^A37", "1200", person("T1"), person("T2"), ack="AE")

    assert "a third record" in answer.text
    assert await look() == before


@pytest.mark.parametrize("had", ["", "T1", "T2"], ids=["nobody had it", "survivor", "prior"])
async def test_a_card_that_both_show_hides_no_record(say, look, two, every, had):
    both = [person(f3=f"{number}^^^SHTH01^PI~{CARD}") for number in ("T1", "T2")]
    if had:
        await say("ADT^A08", "0930", person(f3=f"{had}^^^SHTH01^PI~{CARD}"))
    await say("ADT^A40", "1000", person("T1"), merged("T2"))
    await say("ADT^A37", "1200", *both)

    states, reports = await look()
    assert states == {"T1": (True, []), "T2": (True, [])}
    assert reports == {"FT1": "T1", "FT2": "T2"}
    held = [len(one["identifier"]) for one in await every("Patient")]
    assert held == ([1, 2] if had == "T2" else [2, 1])  # one has it: it leads to one
    await say("ORU^R01", "1300", both[0], *result("then"))


async def test_what_was_unlinked_can_be_merged_again(say, look, two):
    await say("ADT^A40", "1000", person("T1"), merged("T2"))
    await say("ADT^A37", "1100", person("T1"), person("T2"))
    await say("ADT^A40", "1200", person("T2"), merged("T1"))

    states, reports = await look()
    assert states == {"T1": (False, ["replaced-by T2"]), "T2": (True, ["replaces T1"])}
    assert set(reports.values()) == {"T2"}


@pytest.mark.parametrize("event", ["A18", "A30", "A34", "A36", "A39", "A40"])
async def test_every_event_that_merges_patients_does(say, look, two, every, event):
    await say(f"ADT^{event}", "1000", person("T1"), merged("T2"))

    activity = (await every("Provenance"))[-1]["activity"]
    assert activity["coding"][0]["code"] == "merge"

    states, reports = await look()
    assert states == {"T1": (True, ["replaces T2"]), "T2": (False, ["replaced-by T1"])}
    assert set(reports.values()) == {"T1"}


async def test_a_link_without_a_merge_is_told_and_taken_back(say, look, two):
    await say("ADT^A24", "1000", person("T1"), person("T2"))
    linked = {"T1": (True, ["seealso T2"]), "T2": (True, ["seealso T1"])}
    assert await look() == (linked, {"FT1": "T1", "FT2": "T2"})

    await say("ADT^A37", "1100", person("T1"), person("T2"))
    assert (await look())[0] == {"T1": (True, []), "T2": (True, [])}


async def test_a_link_of_two_that_were_merged_leaves_them_so(say, look, two, log):
    await say("ADT^A40", "1000", person("T2"), merged("T1"))
    before = await look()
    for first, second in (("T1", "T2"), ("T2", "T1")):
        await say("ADT^A24", "1100", person(first), person(second))

    assert await look() == before
    assert log.lines == ["message_names_one_record resources=Patient:1"] * 2
    await say("ORU^R01", "1200", person("T1"), *result("late"))
    assert (await look())[1]["late"] == "T2"


async def test_numbers_never_seen_are_merged_and_unlinked_all_the_same(say, look):
    await say("ADT^A40", "1000", person("T8"), merged("T9"))
    await say("ORU^R01", "1100", person("T9"), *result("F9"))
    assert (await look())[1] == {"F9": "T8"}

    await say("ADT^A37", "1200", person("T8"), person("T9"))
    await say("ADT^A37", "1200", person("T6"), person("T7"))
    states, _ = await look()
    assert states == {number: (True, []) for number in ("T6", "T7", "T8", "T9")}


async def test_a_survivor_whom_nobody_knows_is_who_the_prior_one_was(say, every):
    whole = person(phone="13900000001", f3=f"T2^^^SHTH01^PI~{CARD}", f11="示范路^^上海")
    await say("ADT^A04", "0800", whole)
    await say("ADT^A04", "0830", person("B7", "13900000002", "WJPH01", f3=CARD), by="HIS|WJPH01")
    await say("ADT^A40", "0900", person("T1", f5="沈^桂香", f7="", f8=""), merged("T2"))
    prior, survivor = await every("Patient")
    for at, number in (("1000", "T1"), ("1010", "T2")):
        await say("ORU^R01", at, person(number), *result(number))

    assert (prior["active"], survivor["active"]) == (False, True)
    assert [one["value"] for one in survivor["identifier"]] == ["T1"]
    for name in ("birthDate", "gender", "address", "telecom"):
        assert survivor[name] == prior[name]
    assert survivor["name"][0]["text"] == "沈桂香"
    assert [one["type"] for one in survivor["link"]] == ["replaces"]
    reports = await every("DiagnosticReport")
    assert {one["subject"]["reference"] for one in reports} == {f"Patient/{survivor['id']}"}

    await say("ADT^A37", "1100", person("T1"), person("T2"))
    assert [one["active"] for one in await every("Patient")] == [True, True]


async def test_a_survivor_is_told_of_also_where_a_number_of_the_prior_one_is_named(say, every):
    await say("ADT^A04", "0800", person(f3=f"T2^^^SHTH01^PI~{CARD}"))
    await say("ADT^A04", "0810", person("T1"))
    await say("ADT^A40", "0900", person("T1"), merged("T2"))
    await say("ADT^A08", "1000", person("T1", "13900000009", f3=f"T1^^^SHTH01^PI~{CARD}"))

    (survivor,) = [one for one in await every("Patient") if one["active"]]
    assert [one["value"] for one in survivor["telecom"]] == ["13900000009"]


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_record_merged_into_itself_is_one(say, every, is_known):
    if is_known:
        await say("ADT^A04", "0800", person("T1"))
    await say("ADT^A40", "0900", person("T1"), merged("T1"))

    (found,) = await every("Patient")
    assert (found["active"], "link" in found) == (True, False)
    targets = [one["reference"] for one in (await every("Provenance"))[-1]["target"]]
    assert [one for one in targets if "Patient/" in one] == [f"Patient/{found['id']}"]


@pytest.mark.parametrize("event", ["A24", "A37"])
async def test_whose_number_is_not_said_can_be_neither_linked_nor_parted(say, every, event):
    await say("ADT^A04", "0900", person("T1"))
    answer = await say(f"ADT^{event}", "1000", person("T1"), "PID|1||", ack="AE")

    assert "no patient number" in str(answer)
    assert len(await every("Patient")) == 1
