"""How a day is divided, whose rules hold where, and the numbers of bookings. The clock is set.

DOMAIN 2.6. Today is 2024-02-29, 18:00 in Shanghai.
"""

import asyncio

import pytest
from referral.referral_records import BASE, FRAME, ORDER, concept, in_state, stored
from referral.test_contracts import contract
from referral.test_slots import REFERRED, SCHEDULE, appointment, left, slot

from fhir_hub.referral.conduct import OwnRules
from fhir_hub.settings import InvalidSettings, load_settings
from fhir_hub.settings.care import PoolSettings, PrescriptionSettings, rules_at

KIND = f"{BASE}/StructureDefinition/slot-kind"
NUMBER = f"{BASE}/StructureDefinition/appointment-number"
DEPARTMENT = {
    "resourceType": "Organization",
    "id": "endocrinology",
    "identifier": [{"system": f"{BASE}/sid/department", "value": "03.04"}],
    "partOf": {"reference": "Organization/SHTH01"},
}
CLINIC = {
    "resourceType": "HealthcareService",
    "id": "clinic",
    "providedBy": {"reference": "Organization/endocrinology"},
}
ELSEWHERE = {
    "resourceType": "HealthcareService",
    "id": "elsewhere",
    "providedBy": {"reference": "Organization/QPDCH"},
}


@pytest.fixture
def own():
    return OwnRules(
        pools={
            "all": PoolSettings(community_lead_days=6),
            "hospital": PoolSettings(hospital="SHTH01", return_hours=48, community_share=0.6),
            "department": PoolSettings(department="03.04", public_window_days=7),
        }
    )


@pytest.fixture(autouse=True)
async def frame(freely):
    timetable = SCHEDULE | {"actor": [{"reference": "HealthcareService/clinic"}]}
    other = SCHEDULE | {"id": "t", "actor": [{"reference": "HealthcareService/elsewhere"}]}
    await stored(freely, *FRAME, DEPARTMENT, CLINIC, ELSEWHERE, timetable, other)
    await stored(freely, ORDER | {"status": "active"}, in_state("accepted"))
    await stored(freely, contract("c", start="2024-01-01", end="2024-12-31"))


def day(schedule="t", **counts):
    """Return slots of one day: so many of each pool, or of each kind of the pool COMMUNITY."""
    made = []
    for name, count in counts.items():
        for _ in range(count):
            pool = name if name in ("PUBLIC", "INTERNAL") else "COMMUNITY"
            one = slot(f"d{len(made)}", "2024-03-20", pool)
            one["schedule"] = {"reference": f"Schedule/{schedule}"}
            if name not in ("PUBLIC", "INTERNAL", "COMMUNITY"):
                kind = concept(f"{BASE}/CodeSystem/slot-kind", name.replace("_", "-"))
                one["extension"].append({"url": KIND, "valueCodeableConcept": kind})
            made.append(one)
    return made


async def released(client, slots):
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"Slot/{one['id']}"}} for one in slots
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    return await client.post("", json=bundle)


@pytest.mark.parametrize(
    ("schedule", "community", "public", "status"),
    [("t", 10, 10, 200), ("t", 9, 11, 422), ("s", 12, 8, 200), ("s", 11, 9, 422)],
)
async def test_of_20_places_half_are_the_communities_or_what_the_hospital_says(
    client, schedule, community, public, status
):
    answer = await released(client, day(schedule, COMMUNITY=community, PUBLIC=public, INTERNAL=5))

    assert answer.status_code == status
    if status == 422:
        issue = answer.json()["issue"][0]
        assert f"not {community}" in issue["diagnostics"]
        assert "社区优先号源不得少于" in issue["details"]["text"]
        assert (await client.get("Slot?_summary=count")).json()["total"] == 0


async def test_a_slot_that_is_taken_from_the_communities_counts_too(client):
    slots = day(COMMUNITY=1, PUBLIC=1)
    assert (await released(client, slots)).status_code == 200

    gone = await client.delete("Slot/d0")
    moved = await client.put("Slot/d0", json=slots[1] | {"id": "d0"})

    assert (gone.status_code, moved.status_code) == (422, 422)


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        ({"ORDINARY": 3, "EXPERT": 4, "DISEASE": 2, "SPECIAL_NEED": 1}, 200),
        ({"ORDINARY": 3, "EXPERT": 5, "SPECIAL_NEED": 2}, 422),
        ({"SPECIAL_NEED": 1, "EXPERT": 8}, 422),
    ],
)
async def test_of_the_communities_at_most_a_tenth_is_of_special_need(client, counts, status):
    assert (await released(client, day(**counts))).status_code == status


async def test_another_mix_of_kinds_is_warned_of(client):
    assert (await released(client, day(ORDINARY=5, EXPERT=5))).status_code == 200
    more = day(ORDINARY=11)[10] | {"id": "more"}

    answer = await client.put("Slot/more", json=more)

    assert answer.status_code == 201
    assert "EXPERT and DISEASE are 5 of 11 places" in answer.headers["Warning"]
    assert "ORDINARY are 6 of 11 places" in answer.headers["Warning"]


@pytest.mark.parametrize(
    ("day", "status"),
    [("2024-03-13", 201), ("2024-03-14", 409)],  # 7 and 6 days, where 14 and 5 are usual
)
async def test_a_department_has_its_own_window(client, freely, day, status):
    await stored(freely, slot("a", day, "COMMUNITY"))

    assert (await client.post("Appointment", json=appointment("a", **REFERRED))).status_code == (
        status
    )


async def test_a_hospital_returns_earlier(client, freely, clock):
    theirs = slot("b", "2024-03-04", "COMMUNITY") | {"schedule": {"reference": "Schedule/t"}}
    await stored(freely, slot("a", "2024-03-04", "COMMUNITY"), theirs)
    clock.tick(2 * 86400)

    assert (await client.post("Appointment", json=appointment("a"))).status_code == 201
    assert (await client.post("Appointment", json=appointment("b"))).status_code == 409


async def test_no_number_is_given_out_twice(client, freely):
    await stored(freely, slot("a", capacity=10))
    made = await asyncio.gather(
        *(client.post("Appointment", json=appointment("a")) for _ in range(15))
    )
    first = [one.json() for one in made if one.status_code == 201]
    for one in first[:4]:
        await client.put(f"Appointment/{one['id']}", json=one | {"status": "cancelled"})
    again = await asyncio.gather(
        *(client.post("Appointment/$book", json=appointment("a")) for _ in range(6))
    )
    later = [one.json()["entry"][0]["resource"] for one in again if one.status_code == 201]

    numbers = [
        next(e["valuePositiveInt"] for e in one["extension"] if e["url"] == NUMBER)
        for one in first + later
    ]
    assert sorted(numbers) == list(range(1, 15))
    assert await left(client, "a") == ("busy", 0)


async def test_a_transaction_answers_a_booking_with_its_number(client, freely):
    await stored(freely, SCHEDULE, slot("a", capacity=2))
    booking = {"resource": appointment("a"), "request": {"method": "POST", "url": "Appointment"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [booking]}
    made = await client.post("", json=bundle, headers={"Prefer": "return=representation"})

    (answered,) = made.json()["entry"]
    booked = answered["resource"]
    assert [e["url"] for e in booked["extension"] if e["url"] == NUMBER] == [NUMBER]
    assert (await client.get(f"Appointment/{booked['id']}")).json() == booked


async def test_who_finds_no_place_is_told_the_next_one(client, freely):
    await stored(
        freely,
        slot("full", "2024-03-05", status="busy"),
        slot("kept", "2024-03-06", "COMMUNITY"),
        slot("free", "2024-03-07"),
        slot("sooner", "2024-03-04"),
    )

    for_public = await client.post("Appointment", json=appointment("full"))
    for_referral = await client.post("Appointment", json=appointment("full", **REFERRED))

    issue = for_public.json()["issue"][0]
    assert (for_public.status_code, issue["code"]) == (409, "conflict")
    assert "next place is at 2024-03-07T09:30:00+08:00 (Slot/free)" in issue["diagnostics"]
    assert "下一可约时间 2024-03-07 09:30" in issue["details"]["text"]
    assert "(Slot/kept)" in for_referral.json()["issue"][0]["diagnostics"]


async def test_where_the_next_place_is_not_open_yet_its_window_is_told(client, freely):
    await stored(
        freely, slot("full", "2024-03-05", status="busy"), slot("later", "2024-03-25", "PUBLIC")
    )

    issue = (await client.post("Appointment", json=appointment("full"))).json()["issue"][0]

    assert "of the next one: the slot opens 2024-03-18" in issue["diagnostics"]
    assert "下一号源：该号源 2024-03-18 起可约" in issue["details"]["text"]


async def test_where_there_is_no_next_place_the_waiting_list_is_named(client, freely):
    await stored(freely, slot("full", status="busy"))

    answer = await client.post("Appointment", json=appointment("full"))

    assert "可登记候补" in answer.json()["issue"][0]["details"]["text"]


def test_the_more_exact_table_holds_key_by_key():
    tables = {
        "b": PrescriptionSettings(hospital="H", department="D", normal_days=1),
        "d": PrescriptionSettings(department="D", normal_days=2, long_days=2),
        "h": PrescriptionSettings(hospital="H", normal_days=3, long_days=3, refill_days=3),
        "all": PrescriptionSettings(normal_days=4, source_days=4),
    }

    def at(*place):
        rules = rules_at(PrescriptionSettings(), tables, place)
        return rules.normal_days, rules.long_days, rules.refill_days, rules.source_days

    assert at() == (4, 28, 7, 4)
    assert at("H") == (3, 3, 3, 4)
    assert at("D") == (2, 2, 7, 4)
    assert at("H", "D") == (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[pools.a]\ncommunity_share = 1.5", "pools.a.community_share: input should be less"),
        (
            "[pools.a]\nreturn_days = 1",
            "pools.a.return_days: there is no such key; did you mean urgent_days, return_hours",
        ),
        ("[prescriptions.a]\nlong_days = -1", "prescriptions.a.long_days: input should be"),
    ],
)
def test_a_table_that_is_wrong_is_told(tmp_path, text, told):
    file = tmp_path / "hub.toml"
    file.write_text(text)

    with pytest.raises(InvalidSettings, match=told):
        load_settings(file, {}, {})
