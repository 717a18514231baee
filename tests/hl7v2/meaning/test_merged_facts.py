"""What a merge brought along, told again under the number in use, and after the merge is undone.

Spec: HL7v2 chapter 3, A37 and A40; chapter 2, 2.10.4
"""

import pytest
from meaning_parts import person, segment, visit

FACTS = (
    segment("NK1", f1="1", f2="沈^晓明", f3="CHD"),
    segment("AL1", f1="1", f2="DA", f3="A^青霉素^L", f4="SV"),
    segment("DG1", f1="1", f3="I10^高血压^I10"),
    segment("IN1", f1="1", f2="310", f3="310", f4="医保"),
)
KINDS = ("RelatedPerson", "AllergyIntolerance", "Condition", "Coverage")


def prior(**fields):
    return person("A1", **fields)


def survivor(**fields):
    return person("B2", **fields)


@pytest.fixture
async def merged(say):
    """A patient registered twice; what was told of her under the number that is given up."""
    await say("ADT^A28", "0800", survivor())
    await say("ADT^A01", "0900", prior(), visit(), *FACTS)
    await say("ADT^A40", "1000", survivor(), segment("MRG", f1="A1^^^SHTH01^PI"))


@pytest.fixture
def held(every):
    """Return of each fact whose it is, by number, and its state."""

    async def run():
        numbers = {
            f"Patient/{one['id']}": one["identifier"][0]["value"] for one in await every("Patient")
        }
        found = []
        for kind in KINDS:
            for one in await every(kind):
                whose = next(one[n] for n in ("patient", "subject", "beneficiary") if n in one)
                state = one.get("clinicalStatus", {}).get("coding", [{}])[0].get("code")
                state = state or one.get("status") or str(one.get("active", True))
                found.append((kind, numbers[whose["reference"]], state))
        return found

    return run


STATES = dict(zip(KINDS, ("True", "active", "active", "active"), strict=True))


async def test_what_a_merge_brought_is_there_once_when_it_is_told_again(say, held, only, merged):
    await say("ADT^A08", "1100", survivor(), visit(), *FACTS)
    await say("ADT^A08", "1200", survivor(), visit(), *FACTS)

    assert await held() == [(kind, "B2", STATES[kind]) for kind in KINDS]
    diagnosed = (await only("Encounter"))["diagnosis"][0]["condition"]["reference"]
    assert diagnosed == f"Condition/{(await only('Condition'))['id']}"

    await say(
        "ADT^A08", "1300", survivor(), visit(), 'AL1|1|""', 'DG1|1|""', 'NK1|1|""', 'IN1|1|""'
    )
    assert [state for _, _, state in await held()] == ["False", "inactive", "inactive", "cancelled"]


async def test_what_was_told_of_both_is_of_both_when_they_are_parted(say, held, merged):
    await say("ADT^A08", "1100", survivor(), visit(), *FACTS)
    await say("ADT^A37", "1200", survivor(), prior())

    # a diagnosis goes with its visit
    own = [(kind, "B2", STATES[kind]) for kind in KINDS if kind != "Condition"]
    assert sorted(await held()) == sorted([*own, *((kind, "A1", STATES[kind]) for kind in KINDS)])

    await say("ADT^A08", "1300", prior(), visit(), *FACTS)
    await say("ADT^A08", "1300", survivor(), *(one for one in FACTS if one[:3] != "DG1"))
    assert sorted(await held()) == sorted([*own, *((kind, "A1", STATES[kind]) for kind in KINDS)])


@pytest.mark.parametrize("times", [1, 2])
async def test_what_has_a_number_of_its_own_is_of_both_too(say, held, times):
    cover = segment("IN1", f1="1", f2="310", f3="310", f4="医保", f36="P9")
    relative = segment("NK1", f1="1", f2="沈^晓明", f3="CHD", f33="N7^^^SHTH01")
    await say("ADT^A28", "0800", survivor())
    await say("ADT^A28", "0900", prior(), relative, cover)
    await say("ADT^A40", "1000", survivor(), segment("MRG", f1="A1^^^SHTH01^PI"))
    for _ in range(times):
        await say("ADT^A08", "1100", survivor(), relative, cover)
    await say("ADT^A37", "1200", survivor(), prior())

    told = ("RelatedPerson", "Coverage")
    both = [(kind, one, STATES[kind]) for kind in told for one in ("A1", "B2")]
    assert await held() == both


async def test_what_was_not_told_since_goes_back_alone(say, held, merged):
    await say("ADT^A37", "1200", survivor(), prior())

    assert await held() == [(kind, "A1", STATES[kind]) for kind in KINDS]


async def test_what_was_told_under_the_number_that_is_given_up_is_there_once(say, held):
    await say("ADT^A28", "0800", survivor())
    await say("ADT^A28", "0900", prior())
    await say("ADT^A40", "1000", survivor(), segment("MRG", f1="A1^^^SHTH01^PI"))
    for at, told in (("1100", prior()), ("1200", survivor()), ("1300", prior())):
        await say("ADT^A08", at, told, visit(), *FACTS)

    assert await held() == [(kind, "B2", STATES[kind]) for kind in KINDS]


async def test_another_fact_than_the_merge_brought_is_one_of_its_own(say, held, merged):
    await say("ADT^A08", "1100", survivor(), segment("AL1", f1="1", f2="DA", f3="B^花粉^L"))

    states = [state for kind, _, state in await held() if kind == "AllergyIntolerance"]
    assert states == ["inactive", "active"]


async def test_anothers_fact_that_a_merge_brought_stays_as_it_is(say, held, merged):
    both = "B2^^^SHTH01^PI~Z1^^^ZJJCHC^PI"
    centre = person("B2", f3=both)
    await say("ADT^A08", "1100", centre, FACTS[1], by="CHIS|ZJJCHC")
    await say("ADT^A08", "1200", centre, 'AL1|1|""', by="CHIS|ZJJCHC")

    states = [state for kind, _, state in await held() if kind == "AllergyIntolerance"]
    assert states == ["active", "inactive"]


LISTED = tuple(one for one in FACTS if one[:3] != "DG1")
OF_LISTS = tuple(kind for kind in KINDS if kind != "Condition")


@pytest.fixture
async def alike(say):
    """A patient registered twice, with the same lists, and merged."""
    for one in (survivor, prior):
        await say("ADT^A28", "0800", one(), *LISTED)
    await say("ADT^A40", "1000", survivor(), segment("MRG", f1="A1^^^SHTH01^PI"))


@pytest.mark.parametrize("by", [survivor, prior])
async def test_what_both_records_had_is_true_until_a_list_lacks_it(say, held, alike, by):
    for at in ("1100", "1110"):
        await say("ADT^A08", at, by(), *LISTED)
    assert await held() == [(kind, "B2", STATES[kind]) for kind in OF_LISTS for _ in range(2)]

    await say("ADT^A08", "1120", by(), 'AL1|1|""', 'NK1|1|""', 'IN1|1|""')
    states = [state for _, _, state in await held()]
    assert states == [one for one in ("False", "inactive", "cancelled") for _ in range(2)]


@pytest.mark.parametrize("by", [survivor, prior])
async def test_what_both_records_had_goes_with_each_when_they_are_parted(say, held, alike, by):
    await say("ADT^A08", "1100", by(), *LISTED)
    await say("ADT^A37", "1200", survivor(), prior())

    own = sorted((kind, one, STATES[kind]) for kind in OF_LISTS for one in ("A1", "B2"))
    assert sorted(await held()) == own


@pytest.mark.parametrize("first", ["A1", "B2", "C3"])
@pytest.mark.parametrize("then", ["A1", "B2", "C3"])
async def test_over_a_chain_a_fact_is_there_once(say, held, first, then):
    for number in ("C3", "B2", "A1"):
        await say("ADT^A28", "0800", person(number))
    for at, into, gone in (("1000", "B2", "A1"), ("1010", "C3", "B2")):
        await say("ADT^A40", at, person(into), segment("MRG", f1=f"{gone}^^^SHTH01^PI"))
    for at, number in (("1100", first), ("1200", then), ("1300", first), ("1400", then)):
        await say("ADT^A08", at, person(number), visit(), *FACTS)

    assert await held() == [(kind, "C3", STATES[kind]) for kind in KINDS]
