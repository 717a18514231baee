"""Who may merge another institution's patient, or take something off her record.

Spec: HL7v2 chapter 3, A40, A43 to A45; DOMAIN 0.12
"""

import pytest
from meaning_parts import person, segment, visit

HERS = segment("MRG", f1="T1^^^SHTH01^PI")
OTHER = {"f5": "李^伟", "f7": "19880808", "f8": "M"}
CENTRE, EMPI = "CHIS|XQCHC", "EMPI|QPRHP"


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
