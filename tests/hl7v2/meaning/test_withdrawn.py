"""What a newer message withdrew does not come back by an older one that comes late.

Spec: DOMAIN 4 (out-of-order A08); HL7v2 chapter 2, 2.10.4
"""

import pytest
from meaning_parts import person, segment, visit

PENICILLIN, LATEX, DUST = "J01CA^青霉素^ATC", "LTX^乳胶^99", "DUST^尘螨^99"
RESIDENT = "~310229195304129989^^^&2.16.156.10011.1.3&ISO^NNCHN"


def allergies(*codes):
    return [segment("AL1", f1="1", f2="DA", f3=code) for code in codes]


def relatives(*names):
    return [segment("NK1", f1="1", f2=f"沈^{name}", f3="CHD") for name in names]


def insurances(*kinds):
    return [segment("IN1", f1="1", f2=kind, f3=kind, f4="医保", f12="20250101") for kind in kinds]


def diagnoses(*codes):
    return [segment("DG1", f1="1", f3=f"{code}^{code}^I10", f6="A") for code in codes]


GROUPS = {
    "AL1": (allergies, PENICILLIN, LATEX),
    "NK1": (relatives, "晓明", "晓红"),
    "IN1": (insurances, "310", "330"),
    "DG1": (diagnoses, "E11.9", "I10"),
}


@pytest.fixture
def in_force(every):
    """Return how many facts of a segment are in force."""
    kinds = {
        "AL1": "AllergyIntolerance",
        "NK1": "RelatedPerson",
        "IN1": "Coverage",
        "DG1": "Condition",
    }

    def is_in_force(one):
        state = one.get("clinicalStatus", {}).get("coding", [{}])[0].get("code")
        is_over = state == "inactive" or one.get("status") == "cancelled"
        return not is_over and one.get("active") is not False

    async def run(group):
        return sum(map(is_in_force, await every(kinds[group])))

    return run


def names(patient):
    return [one["name"]["text"] for one in patient.get("contact", ())]


@pytest.mark.parametrize("group", GROUPS)
async def test_what_only_an_older_list_has_is_over(say, in_force, every, group):
    listed, first, second = GROUPS[group]
    await say("ADT^A08", "1200", person(), visit(), *listed(first))
    await say("ADT^A08", "1100", person(), visit(), *listed(first, second))
    assert await in_force(group) == 1

    await say("ADT^A08", "1300", person(), visit(), *listed(first, second))
    assert await in_force(group) == 2


@pytest.mark.parametrize("group", GROUPS)
async def test_what_was_taken_off_the_list_stays_off(say, in_force, group):
    listed, first, second = GROUPS[group]
    await say("ADT^A08", "1000", person(), visit(), *listed(first, second))
    await say("ADT^A08", "1200", person(), visit(), *listed(first))
    await say("ADT^A08", "1100", person(), visit(), *listed(first, second))

    assert await in_force(group) == 1


@pytest.mark.parametrize("group", GROUPS)
async def test_what_ended_before_does_not_come_back_by_a_list_between(say, in_force, group):
    listed, first, second = GROUPS[group]
    await say("ADT^A08", "1000", person(), visit(), *listed(first, second))
    await say("ADT^A08", "1100", person(), visit(), *listed(first))
    await say("ADT^A08", "1300", person(phone="13000000003"), visit(), *listed(first))
    await say("ADT^A08", "1200", person(), visit(), *listed(first, second))
    assert await in_force(group) == 1

    await say("ADT^A08", "1400", person(), visit(), *listed(first, second))
    assert await in_force(group) == 2


@pytest.mark.parametrize("group", GROUPS)
async def test_an_older_list_ends_nothing_that_was_listed_again(say, in_force, group):
    listed, first, second = GROUPS[group]
    await say("ADT^A08", "1000", person(), visit(), *listed(first, second))
    await say("ADT^A08", "1200", person(), visit(), *listed(first, second))
    await say("ADT^A08", "1100", person(), visit(), *listed(first))

    assert await in_force(group) == 2


@pytest.mark.parametrize("group", GROUPS)
async def test_an_older_list_ends_what_no_newer_message_speaks_of(say, in_force, group):
    listed, first, second = GROUPS[group]
    await say("ADT^A08", "1000", person(), visit(), *listed(first, second))
    await say("ADT^A08", "1200", person(phone="13000000003"), visit(f2="I"))
    await say("ADT^A08", "1100", person(), visit(), *listed(first))

    assert await in_force(group) == 1


async def test_a_contact_that_is_no_longer_listed_stays_away(say, only):
    await say("ADT^A08", "1000", person(), *relatives("晓明", "晓红"))
    await say("ADT^A08", "1200", person(), *relatives("晓红"))
    await say("ADT^A08", "1100", person(), *relatives("晓明", "晓红", "晓东"))
    assert names(await only("Patient")) == ["沈晓红"]

    await say("ADT^A08", "1300", person(), *relatives("晓红", "晓明"))
    assert names(await only("Patient")) == ["沈晓红", "沈晓明"]


async def test_a_contact_that_an_unchanged_list_lacks_is_not_added(say, only):
    for at in ("1000", "1200"):
        await say("ADT^A08", at, person(), *relatives("晓红"))
    await say("ADT^A04", "1100", person(), *relatives("晓红", "晓明"))

    assert names(await only("Patient")) == ["沈晓红"]


async def test_a_contact_is_added_where_no_newer_message_lists_any(say, only):
    await say("ADT^A08", "1000", person(), *relatives("晓红"))
    await say("ADT^A08", "1200", person(phone="13000000003"))
    await say("ADT^A04", "1100", person(), *relatives("晓红", "晓明"))

    assert names(await only("Patient")) == ["沈晓红", "沈晓明"]


async def test_one_of_several_institutions_takes_back_a_contact_and_a_phone(say, only):
    centre = person("Z1", authority="ZJJCHC", f3=f"Z1^^^ZJJCHC^PI{RESIDENT}")
    await say("ADT^A04", "0900", centre, *relatives("文清"), by="CHIS|ZJJCHC")
    known = {"f3": f"T1^^^SHTH01^PI{RESIDENT}"}
    await say("ADT^A08", "1000", person(phone="13000000001", **known), *relatives("晓明", "晓红"))
    await say("ADT^A08", "1200", person(phone='""', **known), *relatives("晓红"))
    await say("ADT^A08", "1100", person(phone="13000000002", **known), *relatives("晓明", "晓红"))

    patient = await only("Patient")
    assert sorted(names(patient)) == ["沈文清", "沈晓红"]
    assert "telecom" not in patient


async def test_what_null_deleted_stays_away_though_another_was_told_since(say, only):
    def home_and_work(home, work=""):
        return f"{home}^^上海市^^^CHN^H" + (f"~{work}^^上海市^^^CHN^B" if work else "")

    await say("ADT^A08", "1000", person(f11=home_and_work("示范路1号", "单位路2号")))
    await say("ADT^A08", "1200", person(f11='""'))
    await say("ADT^A08", "1300", person(f11=home_and_work("新路3号")))
    await say("ADT^A08", "1100", person(f11=home_and_work("示范路1号", "单位路2号")))

    addresses = (await only("Patient"))["address"]
    assert [one["line"] for one in addresses] == [["新路3号"]]


async def test_a_doctor_whom_null_took_off_a_visit_stays_away(say, only):
    seen = {"f44": "20250314090000"}
    await say("ADT^A04", "0900", person(), visit(f7="T20456^顾^文清", **seen))
    await say("ADT^A08", "1200", person(), visit(f7='""', f9="T20501^方^晓岚", **seen))
    await say("ADT^A08", "1100", person(), visit(f7="T20456^顾^文清", **seen))

    found = (await only("Encounter"))["participant"]
    assert [one["type"][0]["coding"][0]["code"] for one in found] == ["CON"]


async def test_a_room_that_left_a_booking_stays_away(say, only):
    booking = "SCH|P1^ZJJCHC|A1^SHTH01|||||||15|min|^^15^20250320090000", person()
    rooms = [segment("AIL", f1=n, f3=f"R{n}^^^SHTH01") for n in ("1", "2")]
    await say("SIU^S12", "1000", *booking, *rooms)
    await say("SIU^S13", "1200", *booking, rooms[1])
    await say("SIU^S13", "1100", *booking, *rooms)

    actors = [one["actor"] for one in (await only("Appointment"))["participant"]]
    assert sum(one.get("reference", "").startswith("Location/") for one in actors) == 1
