"""A booking that is changed: what a message leaves empty stays, of each who takes part too.

Spec: HL7v2 chapter 2, 2.5.3; chapter 10, S12 to S14, AIL, AIP and AIG
"""

import pytest
from meaning_parts import person, segment

ROOM = {"f1": "1", "f3": "R1^^^SHTH01"}
FULL = {"f4": "ECHO^超声室^99", "f6": "20250320093000", "f9": "15", "f10": "min"}


def booking(*segments, number="B1", state="", begins="20250320090000", **timing):
    head = segment("SCH", f1=number, f2=f"F{number}", f25=state)
    when = segment("TQ1", f7=begins, **timing)
    return [head, *([when] if begins else []), person(), "RGS|1", *segments]


def room(**fields):
    return segment("AIL", **{**ROOM, **fields})


async def taking_part(only, kind):
    found = (await only("Appointment"))["participant"]
    (one,) = [one for one in found if one["actor"]["reference"].startswith(kind)]
    return one


async def test_what_an_update_leaves_empty_of_a_room_stays(say, only):
    await say("SIU^S12", "0900", *booking(room(f12="Pending^^99", **FULL)))
    before = await only("Appointment")
    await say("SIU^S14", "1000", *booking(room()))

    assert await only("Appointment") == before
    assert {"type", "period"} <= (await taking_part(only, "Location")).keys()


async def test_a_room_with_an_action_code_says_what_changes_of_it(say, only):
    await say("SIU^S12", "0900", *booking(room(**FULL)))
    await say("SIU^S14", "1000", *booking(room(f2="U", f4="CT^CT室^99")))

    found = await taking_part(only, "Location")
    assert found["type"][0]["coding"][0]["code"] == "CT"
    assert found["period"]["start"] == "2025-03-20T09:30:00+08:00"


async def test_null_deletes_the_role_or_the_time_of_one_who_takes_part(say, only):
    doctor = {"f1": "1", "f3": "D1^顾^文清^^^^^^SHTH01"}
    first = booking(room(**FULL), segment("AIP", **doctor, f4="ATT^主诊^99", f6="20250320090000"))
    await say("SIU^S12", "0900", *first)
    await say("SIU^S14", "1000", *booking(room(f6='""'), segment("AIP", **doctor, f4='""')))

    assert {"type", "period"} & (await taking_part(only, "Location")).keys() == {"type"}
    assert {"type", "period"} & (await taking_part(only, "Practitioner")).keys() == {"period"}


async def test_a_device_and_its_time_of_another_booking_s_time_are_parted(say, only):
    device = {"f1": "1", "f3": "US1^彩超^99"}
    booked = segment("AIG", **device, f4="DEV^设备^99", f8="20250320090000")
    await say("SIU^S12", "0900", *booking(booked))
    await say("SIU^S13", "1000", *booking(segment("AIG", **device), begins="20250321140000"))

    found = await taking_part(only, "Device")
    assert {"type", "period"} & found.keys() == {"type"}


async def test_a_booking_is_as_long_as_it_was_where_only_its_start_is_told(say, only):
    await say("SIU^S12", "0900", *booking(f8="20250320093000"))
    for at, event, begins, end in (
        ("1000", "S14", "20250320090000", "2025-03-20T09:30:00+08:00"),
        ("1100", "S13", "20250321140000", "2025-03-21T14:30:00+08:00"),
    ):
        await say(f"SIU^{event}", at, *booking(begins=begins))
        assert (await only("Appointment"))["end"] == end


async def test_a_length_that_is_told_anew_ends_the_one_before(say, only):
    first = booking(f8="20250320093000")
    first[0] = segment("SCH", f1="B1", f2="FB1", f9="30", f10="min")
    await say("SIU^S12", "0900", *first)
    assert (await only("Appointment"))["minutesDuration"] == 30
    await say("SIU^S13", "1000", *booking(begins="20250321090000", f8="20250321100000"))

    assert "minutesDuration" not in await only("Appointment")


async def test_a_change_without_a_state_leaves_it(say, only):
    await say("SIU^S12", "0900", *booking(state="Pending"))
    await say("SIU^S14", "1000", *booking())
    assert (await only("Appointment"))["status"] == "pending"
    await say("SIU^S14", "1100", *booking(state="Booked"))
    await say("SIU^S14", "1200", *booking(begins=""))
    assert (await only("Appointment"))["status"] == "booked"


async def test_what_an_update_leaves_empty_of_two_rooms_of_one_segment_stays(say, only):
    both = {"f3": "R1^^^SHTH01~R2^^^SHTH01"}
    await say("SIU^S12", "0900", *booking(room(**both, f12="Pending^^99", **FULL)))
    before = await only("Appointment")
    assert [one["status"] for one in before["participant"]].count("tentative") == 2
    await say("SIU^S14", "1000", *booking(room(**both)))

    assert await only("Appointment") == before


async def test_a_resource_that_is_cancelled_alone_leaves_the_booking(say, only):
    await say("SIU^S12", "0900", *booking(room(), segment("AIP", f1="1", f3="D1^顾^文清")))
    await say("SIU^S19", "1000", *booking(room(f2="D")))

    found = await only("Appointment")
    kinds = sorted(one["actor"]["reference"].partition("/")[0] for one in found["participant"])
    assert (kinds, found["status"]) == (["Patient", "Practitioner"], "booked")


@pytest.mark.parametrize("comes", [1, -1])
async def test_time_that_is_blocked_for_nobody_is_free_when_it_is_opened(say, only, comes):
    head, when, _, *rest = booking(room(**FULL))
    for event, at in (("SIU^S23", "0900"), ("SIU^S24", "1000"))[::comes]:
        await say(event, at, head, when, *rest)
    assert (await only("Appointment"))["status"] == "cancelled"

    await say("SIU^S23", "1100", head, when, *rest)
    assert (await only("Appointment"))["status"] == "booked"


async def test_opening_time_takes_no_booking_off_a_patient(say, only):
    await say("SIU^S12", "0900", *booking(room(**FULL)))
    await say("SIU^S24", "1000", *booking(room(**FULL)))

    assert (await only("Appointment"))["status"] == "booked"
