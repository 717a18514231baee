"""Who may merge another institution's patient or part her records, or take something off one.

Spec: HL7v2 chapter 3, A37, A40, A43 to A45; DOMAIN 0.12
"""

import pytest
from meaning_parts import person, segment, visit

HERS = segment("MRG", f1="T1^^^SHTH01^PI")
OTHER = {"f5": "李^伟", "f7": "19880808", "f8": "M"}
CENTRE, EMPI = "CHIS|XQCHC", "EMPI|QPRHP"
HOSPITAL, ANOTHER = "HIS|SHTH01", "HIS|WJPH01"


def of_centre(**fields):
    return person("Z1", authority="XQCHC", **fields)


@pytest.fixture
async def hers(say):
    """A hospital's patient, with a visit."""
    await say("ADT^A01", "0800", person(), visit())


@pytest.fixture
def owner(only, every):
    """Return by which numbers the patient of the visit is known."""

    async def run():
        reference = (await only("Encounter"))["subject"]["reference"]
        (one,) = [one for one in await every("Patient") if reference == f"Patient/{one['id']}"]
        return [number["value"] for number in one["identifier"]]

    return run


@pytest.mark.parametrize("by", [CENTRE, EMPI])
@pytest.mark.parametrize("is_known", [True, False])
async def test_nobody_else_merges_a_hospitals_patient_into_somebody_else(
    say, hers, owner, by, is_known
):
    if is_known:
        await say("ADT^A28", "0830", of_centre(**OTHER), by=CENTRE)
    answer = await say("ADT^A40", "0900", of_centre(**OTHER), HERS, by=by, ack="AE")

    assert "another institution's" in answer.text
    assert await owner() == ["T1"]


async def test_nobody_else_merges_somebody_else_into_a_hospitals_patient(say, hers, every):
    await say("ADT^A28", "0830", of_centre(**OTHER), by=CENTRE)
    named_alone = segment("PID", f3="T1^^^SHTH01^PI")
    hers_too = segment("MRG", f1="Z1^^^XQCHC^PI")
    await say("ADT^A40", "0900", named_alone, hers_too, by=CENTRE, ack="AE")

    assert [one.get("active") for one in await every("Patient")] == [True, True]


@pytest.mark.parametrize(
    "told",
    [
        pytest.param({"f5": "李^伟"}, id="another name, as of a baby or an alias"),
        pytest.param({"f7": "19540412"}, id="another birth date, as by a typing mistake"),
        pytest.param({"f5": "无名氏", "f7": "19000101"}, id="a stand-in"),
    ],
)
async def test_an_empi_merges_whom_not_everything_denies_to_be_one(say, hers, owner, told):
    await say("ADT^A28", "0830", of_centre(**told), by=CENTRE)
    await say("ADT^A40", "0900", of_centre(**told), HERS, by=EMPI)

    assert (await owner())[0] == "Z1"


async def test_who_told_of_a_patient_or_is_trusted_merges_her_with_anybody(
    say, hers, owner, trusted
):
    another = person("T2", **OTHER)
    await say("ADT^A28", "0830", another)
    await say("ADT^A40", "0900", another, HERS)
    assert (await owner())[0] == "T2"

    await say("ADT^A37", "0910", another, person())
    trusted.append("QPRHP")
    await say("ADT^A28", "0915", of_centre(**OTHER), by=CENTRE)
    await say("ADT^A40", "0920", of_centre(**OTHER), HERS, by=EMPI)
    assert (await owner())[0] == "Z1"


@pytest.mark.parametrize("event", ["A40", "A24"])
@pytest.mark.parametrize(
    ("prior", "done_by", "allowed"),
    [
        pytest.param("T2^^^SHTH01^PI", HOSPITAL, {HOSPITAL}, id="its own two, by itself"),
        pytest.param("T2^^^SHTH01^PI", EMPI, {HOSPITAL, EMPI}, id="its own two, by an EMPI"),
        pytest.param("Z1^^^XQCHC^PI", EMPI, {HOSPITAL, CENTRE, EMPI}, id="of two, by an EMPI"),
        pytest.param("Z1^^^XQCHC^PI", CENTRE, {HOSPITAL, CENTRE}, id="of two, by one of them"),
    ],
)
async def test_a_merge_or_link_is_undone_by_whom_it_concerns(
    say, every, trusted, event, prior, done_by, allowed
):
    both = segment("PID", f3="T1^^^SHTH01^PI"), segment("PID", f3=prior)
    for one, by in zip(both, (HOSPITAL, HOSPITAL if "SHTH01" in prior else CENTRE), strict=True):
        await say("ADT^A28", "0800", one, by=by)
    if "SHTH01" in prior:  # the centre tells of one of the two as well
        await say("ADT^A28", "0810", person("Z1", f3="T1^^^SHTH01^PI~Z1^^^XQCHC^PI"), by=CENTRE)
    done = (
        f"ADT^{event}",
        "0900",
        both[0],
        both[1] if event == "A24" else segment("MRG", f1=prior),
    )
    await say(*done, by=done_by)
    before = await every("Patient")
    assert ["link" in one for one in before] == [True, True]

    for by in sorted({HOSPITAL, CENTRE, EMPI, ANOTHER} - allowed):
        answer = await say("ADT^A37", "1000", *both, by=by, ack="AE")
        assert "206" in answer.answer
        assert "another institution" in answer.answer
        assert "其他机构" in answer.answer
    assert await every("Patient") == before
    trusted.append("WJPH01")
    for hour, by in enumerate((*sorted(allowed), ANOTHER), start=11):
        await say("ADT^A37", f"{hour}00", *both, by=by)
        assert ["link" in one for one in await every("Patient")] == [False, False]
        await say(done[0], f"{hour}30", *done[2:], by=done_by)


async def test_who_says_again_what_was_merged_did_not_merge_it(say, hers, every):
    await say("ADT^A28", "0810", person("T2"))
    merged = person("T2"), HERS
    await say("ADT^A40", "0900", *merged)
    await say("ADT^A40", "0910", *merged, by=EMPI)
    await say("ADT^A37", "1000", person("T2"), person("T1"), by=EMPI, ack="AE")

    assert [one["active"] for one in await every("Patient")] == [False, True]
    await say("ADT^A37", "1100", person("T2"), person("T1"))
    await say("ADT^A40", "1200", *merged, by=EMPI)
    await say("ADT^A37", "1300", person("T2"), person("T1"), by=EMPI)
    assert [one["active"] for one in await every("Patient")] == [True, True]


@pytest.mark.parametrize(
    ("by", "number", "ack"),
    [
        pytest.param("HIS|SHTH01", "T1^^^SHTH01^PI", "AA", id="who told the record"),
        pytest.param("HIS2|SHTH01", "T1^^^SHTH01^PI", "AA", id="another system of its"),
        pytest.param(CENTRE, "Z9^^^XQCHC^PI", "AA", id="who issued the number"),
        pytest.param(CENTRE, "T1^^^SHTH01^PI", "AE", id="another"),
    ],
)
async def test_a_number_is_taken_off_by_who_told_the_record_or_issued_it(
    say, every, by, number, ack
):
    await say("ADT^A28", "0800", person(f3="T1^^^SHTH01^PI~T9^^^SHTH01^PI~Z9^^^XQCHC^PI"))
    await say("ADT^A28", "0830", of_centre(**OTHER), by=CENTRE)
    gone = segment("MRG", f1=number, f4="T9^^^SHTH01^PI")
    to = segment("PID", f2="Z1^^^XQCHC^PI", f3=number, f5="李^伟", f7="19880808")
    await say("ADT^A43", "0900", to, gone, by=by, ack=ack)

    value = number.partition("^")[0]
    held = [value in [one["value"] for one in of["identifier"]] for of in await every("Patient")]
    assert held == ([False, True] if ack == "AA" else [True, False])


@pytest.mark.parametrize(("by", "ack", "whose"), [("HIS|SHTH01", "AA", "Z1"), (CENTRE, "AE", "T1")])
@pytest.mark.parametrize("event", ["A44", "A45"])
async def test_a_visit_or_account_is_moved_by_who_told_it(say, only, every, event, by, ack, whose):
    account, stay = "C1^^^SHTH01^AN", "V1^^^SHTH01^VN"
    await say("ADT^A01", "0800", person(f18=account), visit())
    await say("ADT^A28", "0830", of_centre(**OTHER), by=CENTRE)
    gone = segment("MRG", f1="T1^^^SHTH01^PI", f3=account if event == "A44" else "", f5=stay)
    moved = {"f18": account} if event == "A44" else {}
    more = [] if event == "A44" else [visit(f19=stay)]
    await say(f"ADT^{event}", "0900", of_centre(**OTHER, **moved), gone, *more, by=by, ack=ack)

    held = (await only("Account" if event == "A44" else "Encounter"))["subject"]
    reference = (held[0] if isinstance(held, list) else held)["reference"]
    (one,) = [one for one in await every("Patient") if reference == f"Patient/{one['id']}"]
    assert one["identifier"][0]["value"] == whose
