"""The waiting list: who gets a place that comes free, and that nobody gets it twice.

DOMAIN 2.6. Today is 2024-02-29, 18:00 in Shanghai; slots are on 2024-03-14.
"""

import asyncio

import pytest
from referral.referral_records import BASE, FRAME, ORDER, PATIENT, TASK, in_state, stored
from referral.test_contracts import contract
from referral.test_slots import REFERRED, SCHEDULE, appointment, left, slot

EVENTS = f"{BASE}/CodeSystem/waiting-list-event"
NUMBER = f"{BASE}/StructureDefinition/appointment-number"


@pytest.fixture(autouse=True)
async def frame(freely):
    others = [PATIENT | {"id": name} for name in ("wang", "li", "zhao")]
    await stored(freely, *FRAME, *others, SCHEDULE)


def waiting(slot_id="a", patient="shen", **more):
    made = appointment(slot_id, "waitlist", patient, **more)
    return {name: value for name, value in made.items() if name not in ("start", "end")}


def wish(patient="shen", start="2024-03-14", end="2024-03-15", **more):
    made = waiting(patient=patient, **more)
    del made["slot"]
    made["participant"].append({"actor": {"reference": "Practitioner/dai"}, "status": "tentative"})
    period = {"start": f"{start}T00:00:00+08:00", "end": f"{end}T00:00:00+08:00"}
    return made | {"requestedPeriod": [period]}


async def wait(client, clock, body):
    """Put one on the list, a minute after whoever was put there before."""
    clock.tick(60)
    answer = await client.post("Appointment", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def booked(client, body="a", **more):
    made = appointment(body, **more) if isinstance(body, str) else body
    answer = await client.post("Appointment", json=made)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def cancel(client, made):
    change = {"status": "cancelled"}
    answer = await client.put(f"Appointment/{made['id']}", json=made | change)
    assert answer.status_code == 200, answer.text


async def statuses(client, *made):
    return [(await client.get(f"Appointment/{one['id']}")).json()["status"] for one in made]


async def told(client, event):
    found = (await client.get("Communication?_count=100")).json().get("entry", [])
    of = [one["resource"] for one in found]
    of = [one for one in of if one.get("topic", {}).get("coding", [{}])[0].get("code") == event]
    return [one["recipient"][0]["reference"] for one in of]


async def test_a_place_that_is_given_back_goes_to_who_waits_longest(client, freely, clock):
    await stored(freely, slot("a", capacity=1))
    has = await booked(client, patient="wang")
    first = await wait(client, clock, waiting(patient="li"))
    second = await wait(client, clock, waiting(patient="shen"))

    await cancel(client, has)

    assert await statuses(client, has, first, second) == ["cancelled", "booked", "waitlist"]
    assert await left(client, "a") == ("busy", 0)
    assert await told(client, "place-found") == ["Patient/li"]
    got = (await client.get(f"Appointment/{first['id']}")).json()
    assert (got["start"], got["end"]) == ("2024-03-14T09:30:00+08:00", "2024-03-14T09:45:00+08:00")
    numbers = [one["valuePositiveInt"] for one in got["extension"] if one["url"] == NUMBER]
    assert numbers == [2]


async def test_an_urgent_referral_goes_before_and_moves(client, freely, clock):
    await stored(freely, slot("a"), ORDER | {"status": "active", "priority": "urgent"})
    await stored(freely, in_state("accepted"))
    has = await booked(client, patient="wang")
    plain = await wait(client, clock, waiting(patient="li"))
    urgent = await wait(client, clock, waiting(**REFERRED))

    await cancel(client, has)

    assert await statuses(client, plain, urgent) == ["waitlist", "booked"]
    task = (await client.get(f"Task/{TASK['id']}")).json()
    assert task["businessStatus"]["coding"][0]["code"] == "5.1.1"


async def test_who_waits_cannot_say_since_when(client, freely, clock):
    await stored(freely, slot("a"))
    has = await booked(client, patient="wang")
    first = await wait(client, clock, waiting(patient="li"))
    url = f"{BASE}/StructureDefinition/waiting-since"
    early = {"extension": [{"url": url, "valueDateTime": "2020-01-01T00:00:00Z"}]}
    second = await wait(client, clock, waiting(**early))
    clock.tick(60)
    await client.put(f"Appointment/{first['id']}", json=first | {"comment": "下午也可以"})

    await cancel(client, has)

    assert await statuses(client, first, second) == ["booked", "waitlist"]


async def test_the_pool_still_says_who_may_have_it(client, freely, clock):
    await stored(freely, slot("a", pool="COMMUNITY"), ORDER | {"status": "active"})
    await stored(freely, contract("c", start="2024-01-01", end="2024-12-31"), in_state("accepted"))
    has = await booked(freely, patient="wang")
    await freely.put("Slot/a", json=slot("a", pool="COMMUNITY", status="busy"))
    plain = await wait(client, clock, waiting(patient="li"))
    referred = await wait(client, clock, waiting(**REFERRED))

    await cancel(client, has)

    assert await statuses(client, plain, referred) == ["waitlist", "booked"]


async def test_what_is_returned_to_the_public_goes_to_who_waits(
    client,
    freely,
    clock,
    deadlines,
):
    await stored(freely, slot("a", pool="COMMUNITY"))
    plain = await wait(client, clock, waiting(patient="li"))
    assert await deadlines.expire() == 0

    clock.tick(13 * 86400)

    assert await deadlines.expire() == 1
    assert await statuses(client, plain) == ["booked"]
    assert await deadlines.expire() == 0


async def test_where_a_place_is_free_nobody_waits(client, freely, clock):
    await stored(freely, slot("a"))

    made = await wait(client, clock, waiting())

    assert made["status"] == "booked"
    assert await left(client, "a") == ("busy",)


@pytest.mark.parametrize("how", ["given back", "written", "more places"])
async def test_who_waits_for_a_time_gets_any_slot_in_it(client, freely, clock, how):
    await stored(freely, slot("late", "2024-03-16", capacity=1), slot("a", capacity=1))
    has = await booked(client, patient="wang")
    wishes = await wait(client, clock, wish(patient="li"))
    assert wishes["status"] == "waitlist"

    if how == "given back":
        await cancel(client, has)
    elif how == "written":
        await client.put("Slot/b", json=slot("b"))
    else:
        await client.put("Slot/a", json=slot("a", capacity=1))

    got = (await client.get(f"Appointment/{wishes['id']}")).json()
    expected = "Slot/b" if how == "written" else "Slot/a"
    assert (got["status"], got["slot"]) == ("booked", [{"reference": expected}])
    assert await left(client, "late") == ("free", 1)


async def test_who_waits_for_a_time_gets_the_first_that_is_free_at_once(client, freely, clock):
    await stored(freely, slot("b", "2024-03-15"), slot("a"), slot("c", "2024-03-13"))

    made = await wait(client, clock, wish(end="2024-03-16"))

    assert (made["status"], made["slot"]) == ("booked", [{"reference": "Slot/a"}])


@pytest.mark.parametrize(
    "change", [{"slot": []}, {"requestedPeriod": [{"start": "2024-03-14T00:00:00+08:00"}]}]
)
async def test_a_wish_says_for_what(client, change):
    body = {k: v for k, v in (wish() | change).items() if v} | {"participant": []}
    body["participant"] = [{"actor": {"reference": "Patient/shen"}, "status": "accepted"}]

    answer = await client.post("Appointment", json=body)

    assert answer.status_code == 422


async def test_in_vain_is_told_too(client, freely, clock, deadlines):
    await stored(freely, slot("a", status="busy"))
    named = await wait(client, clock, waiting(patient="li"))
    wishes = await wait(client, clock, wish(patient="shen"))
    clock.tick(20 * 86400)

    assert await deadlines.expire() == 2

    assert await statuses(client, named, wishes) == ["cancelled", "cancelled"]
    assert sorted(await told(client, "wait-ended")) == ["Patient/li", "Patient/shen"]


async def test_a_hold_that_ends_serves_the_list(client, freely, clock, deadlines):
    await stored(freely, slot("a"))
    held = await client.post("Appointment/$hold", json=appointment("a", "proposed", "wang"))
    assert held.status_code == 201
    waits = await wait(client, clock, waiting(patient="li"))
    clock.tick(10 * 60)

    await deadlines.expire()

    assert await statuses(client, waits) == ["booked"]


async def test_of_10_places_given_back_at_once_each_of_10_who_wait_gets_one(client, freely, clock):
    await stored(freely, slot("a", capacity=10))
    have = [await booked(client, patient="wang") for _ in range(10)]
    wait_for_it = [await wait(client, clock, waiting(patient="li")) for _ in range(12)]

    await asyncio.gather(*(cancel(client, one) for one in have))

    assert await statuses(client, *wait_for_it) == ["booked"] * 10 + ["waitlist"] * 2
    assert await left(client, "a") == ("busy", 0)
    assert len(await told(client, "place-found")) == 10


async def test_one_who_waits_for_two_slots_gets_one(client, freely, clock):
    await stored(freely, slot("a"), slot("b", "2024-03-15"))
    have = [await booked(client, one, patient="wang") for one in ("a", "b")]
    both = [{"reference": "Slot/a"}, {"reference": "Slot/b"}]
    one = await wait(client, clock, waiting(slot=both))

    await asyncio.gather(*(cancel(client, each) for each in have))

    places = [await left(client, name) for name in ("a", "b")]
    assert await statuses(client, one) == ["booked"]
    assert sorted(places) == [("busy",), ("free",)]
