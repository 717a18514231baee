"""The monthly report of the pools: offered, used, returned, by hospital, kind and centre.

DOMAIN 2.6. Today is 2024-02-29, 18:00 in Shanghai.
"""

import pytest
from referral.referral_records import FRAME, ORDER, TASK, in_state, stored
from referral.test_slots import REFERRED, SCHEDULE, appointment, slot

from fhir_hub.rest.operations import pool_report

SERVICES = [
    {
        "resourceType": "HealthcareService",
        "id": name,
        "providedBy": {"reference": f"Organization/{name}"},
    }
    for name in ("SHTH01", "QPDCH")
]
SCHEDULES = [
    SCHEDULE | {"id": one["id"], "actor": [{"reference": f"HealthcareService/{one['id']}"}]}
    for one in SERVICES
]


@pytest.fixture(autouse=True)
async def frame(freely):
    await stored(freely, *FRAME, *SERVICES, *SCHEDULES)
    await stored(freely, ORDER | {"status": "active"}, TASK | in_state("accepted"))


def at(hospital, name, day, pool, **more):
    return slot(name, day, pool, **more) | {"schedule": {"reference": f"Schedule/{hospital}"}}


def held(name, slot_id, status="booked", **more):
    return appointment(slot_id, status, **more) | {"id": name}


async def reported(client, query, status=200):
    answer = await client.get(f"Schedule/$pool-report?{query}")
    assert answer.status_code == status, answer.text
    return answer.json()


def counts(row):
    return {one["code"]["coding"][0]["code"]: one["count"] for one in row["population"]}


def strata(report, name):
    (row,) = [
        one
        for one in report["group"][0]["stratifier"]
        if one["code"][0]["coding"][0]["code"] == name
    ]
    return {one["value"]["text"]: counts(one) for one in row.get("stratum", [])}


async def test_a_month_of_two_hospitals(client, freely, clock):
    await stored(
        freely,
        at("SHTH01", "a", "2024-03-05", "COMMUNITY", capacity=7),  # and 3 are taken
        at("SHTH01", "b", "2024-03-06", "PUBLIC", status="busy"),
        at("SHTH01", "late", "2024-03-30", "COMMUNITY", capacity=2),
        at("SHTH01", "inside", "2024-03-06", "INTERNAL"),
        at("SHTH01", "april", "2024-04-01", "COMMUNITY"),
        at("QPDCH", "c", "2024-03-07", "COMMUNITY", status="busy"),
        held("h1", "a", "fulfilled", **REFERRED),
        held("h2", "a", "noshow", **REFERRED),
        held("h3", "a"),
        held("h4", "a", "cancelled", **REFERRED),
        held("h5", "b"),
        held("h6", "c", **REFERRED),
    )
    clock.tick(10 * 86400)

    report = await reported(client, "period=2024-03")

    (group,) = report["group"]
    assert (report["resourceType"], report["status"]) == ("MeasureReport", "complete")
    assert report["period"] == {"start": "2024-03-01", "end": "2024-03-31"}
    assert counts(group) == {
        "places": 14,
        "taken": 5,
        "no-show": 1,
        "community": 13,
        "used": 3,
        "returned": 8,
        "returned-used": 1,
    }
    assert group["measureScore"] == {"value": 0.9286}
    assert strata(report, "hospital")["QPDCH"] == {
        "places": 1,
        "taken": 1,
        "no-show": 0,
        "community": 1,
        "used": 1,
        "returned": 0,
        "returned-used": 0,
    }
    assert strata(report, "hospital")["SHTH01"]["used"] == 2
    assert strata(report, "centre") == {"ZJJCHC": {"used": 3}}
    assert strata(report, "kind") == {"unknown": {"community": 13}}


async def test_a_place_given_back_late_is_counted_as_returned(client, freely, clock):
    await stored(freely, at("SHTH01", "a", "2024-03-05", "COMMUNITY"))
    made = await freely.put("Appointment/has", json=held("has", "a", **REFERRED))
    await freely.put("Slot/a", json=at("SHTH01", "a", "2024-03-05", "COMMUNITY", status="busy"))
    clock.tick(4.5 * 86400)
    await client.put("Appointment/has", json=made.json() | {"status": "cancelled"})
    assert (await client.post("Appointment", json=appointment("a"))).status_code == 201

    told = counts((await reported(client, "period=2024-03"))["group"][0])

    assert (told["community"], told["used"]) == (1, 0)
    assert (told["returned"], told["returned-used"]) == (1, 1)


async def test_one_hospital_or_schedule_is_asked_for(client, freely):
    await stored(
        freely,
        at("SHTH01", "a", "2024-03-05", "COMMUNITY"),
        at("QPDCH", "b", "2024-03-05", "PUBLIC"),
    )

    by_code = await reported(client, "period=2024-03&hospital=QPDCH")
    by_schedule = await reported(client, "period=2024-03-05&schedule=Schedule/SHTH01")
    by_actor = await reported(client, "period=2024&actor=HealthcareService/SHTH01")
    nothing = await reported(client, "period=2023-03")

    assert [*strata(by_code, "hospital")] == ["QPDCH"]
    assert [*strata(by_schedule, "hospital")] == [*strata(by_actor, "hospital")] == ["SHTH01"]
    assert (strata(nothing, "hospital"), counts(nothing["group"][0])["places"]) == ({}, 0)


@pytest.mark.parametrize("query", ["", "period=soon", "period=2024-03&colour=red"])
async def test_a_question_that_cannot_be_read_is_refused(client, query):
    await reported(client, query, 400)


async def test_too_many_slots_are_told_before_they_are_counted(client, freely, monkeypatch):
    monkeypatch.setattr(pool_report, "MOST", 1)
    await stored(freely, *(at("SHTH01", n, "2024-03-05", "PUBLIC") for n in ("a", "b")))

    told = await reported(client, "period=2024-03", 422)

    assert told["issue"][0]["code"] == "too-costly"


async def test_the_report_is_a_resource_of_r4(client, freely):
    await stored(freely, at("SHTH01", "a", "2024-03-05", "COMMUNITY"))
    report = await reported(client, "period=2024-03")

    assert (await client.post("MeasureReport", json=report)).status_code == 201
