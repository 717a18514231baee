"""Who is related to a patient: on a list of relatives (NK1), or told by another segment.

Spec: HL7v2 chapter 3, NK1 and PID-21; chapter 6, GT1, IN1; chapter 2, 2.10.4
"""

import itertools

import pytest
from meaning_parts import person, segment, visit

ACCOUNT = {"f18": "A1^^^SHTH01^AN"}


def relative(name, kind="CHD", phone=""):
    return segment("NK1", f1="1", f2=name, f3=kind, f5=phone)


def guarantor(name, kind="CHD", phone=""):
    return segment("GT1", f1="1", f3=name, f6=phone, f11=kind)


@pytest.fixture
def related(every):
    """Return each relative's name, or relationship, and whether she is one still."""

    async def run():
        return [
            (
                one["name"][0]["text"]
                if "name" in one
                else one["relationship"][0]["coding"][0]["code"],
                one.get("active", True),
            )
            for one in await every("RelatedPerson")
        ]

    return run


@pytest.mark.parametrize("again", [True, False], ids=["told again", "not told again"])
async def test_who_answers_for_the_bill_is_on_no_list_of_relatives(say, related, again):
    told = guarantor("沈^晓明")
    await say("ADT^A01", "0900", person(**ACCOUNT), visit(), told)
    more = [told] if again else []
    await say("ADT^A08", "1000", person(**ACCOUNT), visit(), relative("李^伟", "SPO"), *more)

    assert await related() == [("沈晓明", True), ("李伟", True)]


@pytest.mark.parametrize("again", [True, False], ids=["a relative since", "a relative before"])
async def test_a_relative_off_the_list_who_answers_for_the_bill_stays_in_any_order(
    say, every, again
):
    story = [
        ("A01", "0900", relative("沈^晓明")),
        ("A08", "1000", guarantor("沈^晓明", phone="13000000001")),
        ("A08", "1100", relative("李^伟", "SPO")),
    ]
    if again:
        story.insert(2, ("A08", "1030", relative("沈^晓明")))
    ends = []
    for order in itertools.permutations(range(len(story))):
        number = f"T{len(ends)}"
        for event, at, told in (story[place] for place in order):
            await say(f"ADT^{event}", at, person(number), visit(f19=f"V{number}"), told)
        found = (await every("RelatedPerson"))[2 * len(ends) :]
        told = [(o["name"][0]["text"], o.get("active", True), str(o.get("telecom"))) for o in found]
        ends.append(sorted(told))

    assert [(name, active) for name, active, _ in ends[0]] == [("李伟", True), ("沈晓明", True)]
    assert all(one == ends[0] for one in ends)


async def test_a_mother_of_whom_the_number_is_told_is_not_ended_by_a_list(say, related, only):
    born = person(f5="沈^之子", f7="20250313", f21="M77^^^SHTH01")
    await say("ADT^A01", "0900", born, visit())
    await say("ADT^A08", "1000", born, visit(), relative("李^伟", "FTH"))

    assert await related() == [("MTH", True), ("李伟", True)]
    assert (await only("Patient"))["link"][0]["type"] == "seealso"


async def test_who_is_a_relative_and_answers_for_the_bill_is_one_person(say, only):
    both = relative("沈^晓明", phone="13000000001"), guarantor("沈^晓明")
    await say("ADT^A01", "0900", person(**ACCOUNT), visit(), *both)
    await say("ADT^A08", "1000", person(**ACCOUNT), visit(), *both)

    found = await only("RelatedPerson")
    assert found["telecom"][0]["value"] == "13000000001"
    party = (await only("Account"))["guarantor"][0]["party"]
    assert party == {"reference": f"RelatedPerson/{found['id']}"}


async def test_another_of_the_family_answers_for_the_bill(say, every, only):
    await say("ADT^A01", "0900", person(**ACCOUNT), visit(), guarantor("沈^晓明"))
    await say("ADT^A08", "1000", person(**ACCOUNT), visit(), guarantor("沈^晓红"))

    first, second = await every("RelatedPerson")
    assert [one["name"][0]["text"] for one in (first, second)] == ["沈晓明", "沈晓红"]
    party = (await only("Account"))["guarantor"][0]["party"]
    assert party == {"reference": f"RelatedPerson/{second['id']}"}


@pytest.mark.parametrize(
    ("opened", "told"), [("ADT^A01", "ADT^A08"), ("BAR^P01", "BAR^P05"), ("BAR^P01", "ADT^A31")]
)
async def test_who_answers_for_an_account_and_what_pays_may_be_told_later(say, only, opened, told):
    await say(opened, "0900", person(**ACCOUNT), visit())
    insured = segment("IN1", f1="1", f2="310", f3="310", f4="医保", f36="N1")
    await say(told, "1000", person(**ACCOUNT), visit(), guarantor("沈^晓明"), insured)

    account = await only("Account")
    assert account["guarantor"][0]["party"]["reference"].startswith("RelatedPerson/")
    assert account["coverage"][0]["coverage"]["reference"].startswith("Coverage/")

    await say("BAR^P06", "1100", person(**ACCOUNT))
    await say(told, "1200", person(**ACCOUNT), visit(), guarantor("沈^晓红"))
    account = await only("Account")
    assert account["status"] == "inactive"
    assert len(account["guarantor"]) == 1


async def test_a_problem_is_not_among_the_diagnoses_of_a_visit(say, every):
    await say("PPR^PC1", "0900", person(), visit(), "PRB|AD|20250314|I10^高血压^I10|P1")
    await say("ADT^A08", "1000", person(), visit(), "DG1|1||J18^肺炎^I10")

    found = await every("Condition")
    assert [one["clinicalStatus"]["coding"][0]["code"] for one in found] == ["active", "active"]
