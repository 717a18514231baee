"""Bookings take places and give them back; pools keep theirs. The clock is set.

DOMAIN 1.3 S1, 2.6. Today is 2024-02-29, 18:00 in Shanghai.
"""

import asyncio

import pytest
from referral.referral_records import BASE, FRAME, ORDER, concept, in_state, stored
from referral.test_contracts import contract

CAPACITY = f"{BASE}/StructureDefinition/slot-capacity"
POOL = f"{BASE}/StructureDefinition/slot-pool"
SCHEDULE = {
    "resourceType": "Schedule",
    "id": "s",
    "actor": [{"reference": "Practitioner/dai"}],
}


def slot(name, day="2024-03-14", pool="", capacity=None, status="free"):
    extensions = []
    if pool:
        value = concept(f"{BASE}/CodeSystem/slot-pool", pool)
        extensions.append({"url": POOL, "valueCodeableConcept": value})
    if capacity is not None:
        extensions.append({"url": CAPACITY, "valueUnsignedInt": capacity})
    return {
        "resourceType": "Slot",
        "id": name,
        "schedule": {"reference": "Schedule/s"},
        "status": status,
        "start": f"{day}T09:30:00+08:00",
        "end": f"{day}T09:45:00+08:00",
    } | ({"extension": extensions} if extensions else {})


def appointment(slot_id, status="booked", patient="shen", **more):
    return {
        "resourceType": "Appointment",
        "status": status,
        "start": "2024-03-14T09:30:00+08:00",
        "end": "2024-03-14T09:45:00+08:00",
        "slot": [{"reference": f"Slot/{slot_id}"}],
        "participant": [{"actor": {"reference": f"Patient/{patient}"}, "status": "accepted"}],
    } | more


REFERRED = {"basedOn": [{"reference": "ServiceRequest/order"}]}


@pytest.fixture(autouse=True)
async def frame(freely):
    await stored(freely, *FRAME, SCHEDULE)


async def left(client, name):
    found = (await client.get(f"Slot/{name}")).json()
    places = [
        one["valueUnsignedInt"] for one in found.get("extension", ()) if one["url"] == CAPACITY
    ]
    return (found["status"], *places)


async def test_of_four_bookers_three_get_a_place(client, freely):
    await stored(freely, slot("a", capacity=3))

    answers = await asyncio.gather(
        *(client.post("Appointment", json=appointment("a")) for _ in range(4))
    )

    assert sorted(one.status_code for one in answers) == [201, 201, 201, 409]
    (refused,) = [one for one in answers if one.status_code == 409]
    assert refused.json()["issue"][0]["code"] == "conflict"
    assert "已被占用" in refused.json()["issue"][0]["details"]["text"]
    assert await left(client, "a") == ("busy", 0)


async def test_of_50_bookers_of_10_slots_each_slot_has_one(client, freely):
    await stored(freely, *(slot(f"s{number}") for number in range(10)))

    answers = await asyncio.gather(
        *(client.post("Appointment", json=appointment(f"s{number % 10}")) for number in range(50))
    )

    assert sorted(one.status_code for one in answers) == [201] * 10 + [409] * 40
    booked = (await client.get("Appointment?_count=100")).json()["entry"]
    slots = [one["resource"]["slot"][0]["reference"] for one in booked]
    assert sorted(slots) == sorted(f"Slot/s{number}" for number in range(10))


@pytest.mark.parametrize("how", ["cancelled", "entered-in-error", "deleted", "moved"])
async def test_a_place_that_is_given_up_is_free_again(client, freely, how):
    await stored(freely, slot("a", capacity=1), slot("b"))
    made = (await client.post("Appointment", json=appointment("a"))).json()
    address = f"Appointment/{made['id']}"
    assert await left(client, "a") == ("busy", 0)

    if how == "deleted":
        await client.delete(address)
    elif how == "moved":
        await client.put(address, json=made | {"slot": [{"reference": "Slot/b"}]})
    else:
        await client.put(address, json=made | {"status": how})

    assert await left(client, "a") == ("free", 1)
    assert await left(client, "b") == (("busy",) if how == "moved" else ("free",))


async def test_what_changes_no_slot_takes_none(client, freely):
    await stored(freely, slot("a", capacity=2))
    made = (await client.post("Appointment", json=appointment("a"))).json()

    await client.put(f"Appointment/{made['id']}", json=made | {"comment": "空腹"})
    await client.put(f"Appointment/{made['id']}", json=made | {"status": "arrived"})

    assert await left(client, "a") == ("free", 1)


async def test_a_proposal_holds_no_place(client, freely):
    await stored(freely, slot("a"))

    await client.post("Appointment", json=appointment("a", "proposed"))

    assert await left(client, "a") == ("free",)


class TestPools:
    """Of the pool COMMUNITY: who may book, and when."""

    @pytest.fixture(autouse=True)
    async def referral(self, freely):
        await stored(freely, ORDER | {"status": "active"}, in_state("accepted"))

    async def book(self, client, **more):
        return await client.post("Appointment", json=appointment("a", **more))

    async def signed(self, freely, **more):
        await stored(freely, contract("c", start="2024-01-01", end="2024-12-31") | more)

    async def test_the_public_waits_until_it_is_returned(self, client, freely, clock):
        await stored(freely, slot("a", pool="COMMUNITY"))

        assert (await self.book(client)).status_code == 409
        clock.tick(12 * 86400 + 16 * 3600)  # 2024-03-13T10:00, a day before but half an hour
        assert (await self.book(client)).status_code == 201

    async def test_a_contracted_resident_with_a_referral_gets_it(self, client, freely):
        await stored(freely, slot("a", pool="COMMUNITY"))
        await self.signed(freely)

        assert (await self.book(client, **REFERRED)).status_code == 201
        task = (await client.get("Task/task")).json()
        assert task["businessStatus"]["coding"][0]["code"] == "5.1.1"

    @pytest.mark.parametrize(
        "change", [{}, {"status": "inactive"}, {"period": {"end": "2024-02-28"}}]
    )
    async def test_who_has_no_contract_now_is_refused(self, client, freely, change):
        await stored(freely, slot("a", pool="COMMUNITY"))
        if change:
            await self.signed(freely, **change)

        answer = await self.book(client, **REFERRED)

        assert answer.status_code == 403
        assert "有效签约" in answer.json()["issue"][0]["details"]["text"]

    @pytest.mark.parametrize(
        ("pool", "day", "status"),
        [
            ("PUBLIC", "2024-03-14", 201),
            ("PUBLIC", "2024-03-15", 409),
            ("COMMUNITY", "2024-03-19", 201),
            ("COMMUNITY", "2024-03-20", 409),
        ],
    )
    async def test_communities_book_five_days_earlier(self, client, freely, pool, day, status):
        await stored(freely, slot("a", day, pool))
        await self.signed(freely)

        assert (await self.book(client, **REFERRED)).status_code == status

    async def test_a_place_given_up_when_it_is_returned_is_the_publics(self, client, freely, clock):
        await stored(freely, slot("a", pool="COMMUNITY"))
        await self.signed(freely)
        made = (await self.book(client, **REFERRED)).json()
        clock.tick(13 * 86400)

        await client.put(f"Appointment/{made['id']}", json=made | {"status": "cancelled"})

        found = (await client.get("Slot/a")).json()
        assert found["extension"][0]["valueCodeableConcept"]["coding"][0]["code"] == "PUBLIC"
        task = (await client.get("Task/task")).json()
        assert task["businessStatus"]["coding"][0]["code"] == "5.1.3"

    async def test_a_finished_referral_books_nothing(self, client, freely):
        await stored(freely, slot("a"), in_state("rejected"))

        answer = await self.book(client, **REFERRED)

        assert answer.status_code == 409
        assert await left(client, "a") == ("free",)
