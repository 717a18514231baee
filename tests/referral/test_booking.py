"""`$find`, `$hold`, `$book`, and what the hub's clock does. Today is 2024-02-29, 18:00 +08:00."""

import asyncio

import pytest
from referral.referral_records import FRAME, in_state, stored
from referral.test_slots import SCHEDULE, appointment, left, slot

SOON = "2024-03-05T00:00:00+08:00"


def parameters(appointment):
    row = {"name": "appt-resource", "resource": appointment}
    return {"resourceType": "Parameters", "parameter": [row]}


@pytest.fixture(autouse=True)
async def frame(freely):
    await stored(freely, *FRAME, SCHEDULE)


async def found(client, query):
    answer = await client.get(f"Appointment/$find?{query}")
    assert answer.status_code == 200, answer.text
    entries = answer.json().get("entry", [])
    return [one["resource"]["slot"][0]["reference"] for one in entries]


async def test_what_is_free_is_found_by_time_and_pool(client, freely):
    await stored(
        freely,
        slot("b", "2024-03-15", "PUBLIC"),
        slot("a", "2024-03-14", "COMMUNITY"),
        slot("c", "2024-03-16", status="busy"),
        slot("d", "2024-03-16", capacity=0),
        slot("e", "2024-04-01"),
    )

    assert await found(client, "start=2024-03-01") == ["Slot/a", "Slot/b", "Slot/e"]
    assert await found(client, "start=2024-03-01&end=2024-03-20") == ["Slot/a", "Slot/b"]
    assert await found(client, "start=2024-03-01&pool=community") == ["Slot/a"]
    assert await found(client, "start=2024-03-01&actor=Practitioner/dai&_count=1") == ["Slot/a"]
    assert await found(client, "start=2024-03-01&actor=Practitioner/nobody") == []


@pytest.mark.parametrize(
    ("query", "status"), [("", 400), ("start=soon", 400), ("start=2024&colour=red", 400)]
)
async def test_a_question_that_cannot_be_read_is_refused(client, query, status):
    assert (await client.get(f"Appointment/$find?{query}")).status_code == status


async def test_a_proposal_can_be_booked_as_it_is(client, freely):
    await stored(freely, slot("a"))
    (entry,) = (await client.get("Appointment/$find?start=2024-03-01")).json()["entry"]

    answer = await client.post("Appointment/$book", json=parameters(entry["resource"]))

    booked = answer.json()["entry"][0]["resource"]
    assert (answer.status_code, booked["status"]) == (201, "booked")
    assert (await client.get(f"Appointment/{booked['id']}")).status_code == 200
    assert await left(client, "a") == ("busy",)


async def test_a_place_is_held_for_ten_minutes(client, freely, clock, deadlines):
    await stored(freely, slot("a"))
    held = await client.post("Appointment/$hold", json=appointment("a", "proposed"))
    assert held.status_code == 201
    assert await left(client, "a") == ("busy",)

    clock.tick(9 * 60)
    assert await deadlines.expire() == 0
    clock.tick(2 * 60)
    assert await deadlines.expire() == 1

    made = held.json()["entry"][0]["resource"]
    assert (await client.get(f"Appointment/{made['id']}")).json()["status"] == "cancelled"
    assert await left(client, "a") == ("free",)


async def test_a_place_that_is_held_is_booked(client, freely, clock, deadlines):
    await stored(freely, slot("a"))
    held = (await client.post("Appointment/$hold", json=appointment("a"))).json()
    made = held["entry"][0]["resource"]

    answer = await client.post(
        "Appointment/$book",
        json={
            "resourceType": "Parameters",
            "parameter": [{"name": "appt-id", "valueString": made["id"]}],
        },
    )
    clock.tick(3600)

    booked = answer.json()["entry"][0]["resource"]
    assert (answer.status_code, booked["status"], "extension" in booked) == (200, "booked", False)
    assert await deadlines.expire() == 0
    again = await client.post("Appointment/$book", json=parameters(booked))
    assert again.status_code == 409


async def test_of_50_who_hold_or_book_10_places_10_succeed(client, freely):
    await stored(freely, slot("a", capacity=10))

    answers = await asyncio.gather(
        *(
            client.post(f"Appointment/${'hold' if n % 2 else 'book'}", json=appointment("a"))
            for n in range(50)
        )
    )

    assert sorted(one.status_code for one in answers) == [201] * 10 + [409] * 40
    assert await left(client, "a") == ("busy", 0)


@pytest.mark.parametrize(
    ("state", "end", "after"),
    [
        ("requested", SOON, "cn-expired"),
        ("received", SOON, "cn-expired"),
        ("accepted", SOON, "cn-expired"),
        ("scheduled", SOON, "5.1.1"),
        ("rejected", SOON, "4.0"),
        ("requested", "2024-04-01T00:00:00+08:00", "2.0"),
    ],
)
async def test_a_referral_that_nobody_takes_up_expires(
    client, freely, clock, deadlines, state, end, after
):
    await freely.put("Task/task", json=in_state(state, restriction={"period": {"end": end}}))
    assert await deadlines.expire() == 0

    clock.tick(7 * 86400)
    done = await deadlines.expire()

    task = (await client.get("Task/task")).json()
    assert task["businessStatus"]["coding"][0]["code"] == after
    assert done == (after == "cn-expired")
    assert await deadlines.expire() == 0
    if done:
        assert (await client.get("ServiceRequest/order")).json()["status"] == "revoked"
        told = (await client.get("Communication")).json()["entry"][0]["resource"]["recipient"]
        assert len(told) == 2
