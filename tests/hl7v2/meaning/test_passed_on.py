"""What a hub passes on, and its own institution tells here too: one fact, and its own word holds.

Spec: docs/hl7v2-meaning.md
"""

import itertools

import parts
import pytest
from meaning_parts import person, plain, segment

from fhir_hub.hl7v2.maps.mappings import load_mappings

FACTS = (
    segment("AL1", f1="1", f2="DA", f3="J01CA^青霉素^ATC", f4="SV"),
    segment("NK1", f1="1", f2="沈^晓明", f3="CHD^子女^HL70063"),
    segment("IN1", f1="1", f2="310", f3="310000^^^NHSA", f36="S1"),
)
NONE = ('AL1|1|""', 'NK1|1|""', 'IN1|1|""')
KINDS = ("AllergyIntolerance", "RelatedPerson", "Coverage")
OTHER = "CHIS|XTCHC"


@pytest.fixture(autouse=True)
def known(tmp_path, chosen):
    """Maps of a site that knows HUBA as a hub, and two that have no name of their own in MSH-3."""
    folder = tmp_path / "senders"
    folder.mkdir()
    for field, value in (("MSH-3", "HUBA"), ("MSH-4", "NJHUB"), ("MSH-4", "SZHUB")):
        match = f'match = {{ "{field}" = ["{value}"] }}'
        text = f'source = "a test"\n{match}\n[settings]\nis_hub = true\n'
        (folder / f"{value.lower()}.toml").write_text(text, "utf-8")
    chosen.append(load_mappings(parts.definitions(), [tmp_path]))


@pytest.fixture(params=["HUBA|ZJJCHC", "HUBA|SHTH01"], ids=["as itself", "as the hospital"])
def hub(request):
    """Whom the hub names as its institution: itself, or whose facts it passes on."""
    return request.param


@pytest.fixture
def states(every):
    """Return the state of each fact, by type."""

    async def run():
        found = []
        for one in [each for kind in KINDS for each in await every(kind)]:
            state = one.get("clinicalStatus", {}).get("coding", [{}])[0].get("code")
            found.append(state or one.get("status") or str(one.get("active", True)))
        return found

    return run


async def phones(only):
    """Return the numbers of the patient's phones that have not ended."""
    told = (await only("Patient")).get("telecom", ())
    return [one["value"] for one in told if "end" not in one.get("period", {})]


IN_FORCE, OVER = ["active", "True", "active"], ["inactive", "False", "cancelled"]


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
async def test_what_a_hub_passes_on_is_no_second_fact(say, hub, states, order):
    told = ((FACTS, "1000", {}), (FACTS, "1001", {"by": hub}), (FACTS, "1002", {"by": hub}))
    for place in order:
        facts, at, by = told[place]
        await say("ADT^A31", at, person(), *facts, **by)

    assert await states() == IN_FORCE


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_who_tells_it_himself_ends_it_and_a_copy_does_not_begin_it_again(
    say, hub, states, order
):
    for place in order:
        await say("ADT^A31", f"100{place}", person(), *FACTS, by=("HIS|SHTH01", hub)[place])
    await say("ADT^A31", "1100", person(), *NONE, by=hub)
    assert await states() == IN_FORCE

    await say("ADT^A31", "1200", person(), *NONE)
    await say("ADT^A31", "1300", person(), *FACTS, by=hub)
    assert await states() == OVER


async def test_what_a_hub_alone_tells_its_list_ends(say, hub, states):
    await say("ADT^A31", "1000", person(), *FACTS, by=hub)
    await say("ADT^A31", "1100", person(), *NONE, by=hub)
    assert await states() == OVER


async def test_a_copy_adds_what_is_not_there_and_changes_nothing(say, hub, only):
    milder = segment("AL1", f1="1", f2="DA", f3="J01CA^青霉素^ATC", f4="MI", f5="皮疹")
    await say("ADT^A31", "1000", person(), FACTS[0])
    before = await only("AllergyIntolerance")
    await say("ADT^A31", "1100", person(), milder, by=hub)

    after = await only("AllergyIntolerance")
    assert after["reaction"]
    assert plain({**after, "reaction": 0}) == plain({**before, "reaction": 0})


async def test_what_two_hospitals_tell_themselves_stays_each_one_s_own(say, hub, states):
    await say("ADT^A31", "1000", person(), *FACTS, by=hub)
    await say("ADT^A31", "1001", person(), *FACTS)
    await say("ADT^A31", "1002", person(), *FACTS, by=OTHER)
    await say("ADT^A31", "1003", person(), *FACTS, by=hub)

    # a cover is one by its policy number
    assert await states() == ["active", "active", "True", "True", "active"]


async def test_a_cover_without_a_number_is_one_by_who_pays_and_its_kind(say, hub, every):
    cover, other = (
        segment("IN1", f1=n, f2=kind, f3="310000^^^NHSA")
        for n, kind in (("1", "310"), ("2", "390"))
    )
    both = person(f3="A1^^^ZJJCHC^PI~T1^^^SHTH01^PI")
    await say("ADT^A31", "1000", person(), cover, other)
    await say("ADT^A31", "1100", person(), cover, other, by=hub)
    await say("ADT^A31", "1200", both, cover, other, by="HUBA|XTCHC")

    told = [one["type"]["coding"][0]["code"] for one in await every("Coverage")]
    assert told == ["310", "390"]


async def test_a_hospital_s_list_does_not_end_what_a_hub_alone_told_of_others(say, hub, states):
    await say("ADT^A31", "1000", person(), *FACTS, by=hub)
    await say("ADT^A31", "1100", person(), *NONE)

    assert await states() == IN_FORCE


async def test_a_hub_ends_what_it_told_whatever_institution_it_named_then(say, hub, states):
    await say("ADT^A31", "1000", person(), *FACTS, by=hub)
    await say("ADT^A31", "1100", person(), *NONE, by="HUBA|XTCHC")
    assert await states() == OVER

    await say("ADT^A31", "1030", person(), *FACTS, by="HUBA|QPRHP")  # late
    assert await states() == OVER


async def test_a_hub_without_a_name_is_known_by_its_facility(say, states):
    await say("ADT^A31", "1000", person(), *FACTS, by="|NJHUB")
    await say("ADT^A31", "1100", person(), *NONE, by="|SZHUB")
    assert await states() == IN_FORCE

    await say("ADT^A31", "1200", person(), *NONE, by="|NJHUB")
    assert await states() == OVER


async def test_what_a_hospital_repeats_does_not_come_back_over_what_a_hub_passed_on(say, hub, only):
    await say("ADT^A31", "1000", person(phone="13000000001"))
    await say("ADT^A31", "1100", person(phone="13000000002"), by=hub)
    await say("ADT^A31", "1200", person(phone="13000000001"))

    assert await phones(only) == ["13000000002"]


async def test_what_a_hub_only_repeats_is_who_said_it_s_to_change_and_take_back(say, hub, only):
    wed, called = {"f16": "M", "f11": "一路1号"}, "13000000001"
    for at, said, by in (
        ("1000", wed, {}),
        ("1100", {**wed, "phone": called}, {"by": hub}),
        ("1200", {"f16": '""', "f11": '""'}, {}),
        ("1201", {**wed, "phone": called}, {"by": hub}),  # it does not know yet
    ):
        await say("ADT^A31", at, person(**said), **by)

    patient = await only("Patient")
    assert "maritalStatus" not in patient
    assert "address" not in patient
    assert await phones(only) == [called]

    await say("ADT^A31", "1300", person(**wed, phone=called), by=hub)
    assert (await only("Patient"))["meta"]["versionId"] == patient["meta"]["versionId"]

    await say("ADT^A31", "1400", person(f16="W", phone=called), by=hub)
    assert (await only("Patient"))["maritalStatus"]["coding"][0]["code"] == "W"
