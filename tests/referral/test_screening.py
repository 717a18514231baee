"""Readings, findings and follow-up by REST: what is brought about once, and taken back.

DOMAIN 1.3 S1, S9, S13. Today is 2024-02-29, 18:00 in Shanghai.
"""

import asyncio

import pytest
from referral.referral_records import BASE, FRAME, concept, stored
from referral.test_contracts import contract

from fhir_hub.referral.conduct import OwnRules
from fhir_hub.settings import InvalidSettings
from fhir_hub.settings.programmes import load_programmes

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
MMHG = "mm[Hg]"


@pytest.fixture
def own():
    return OwnRules(programmes=load_programmes())


@pytest.fixture(autouse=True)
async def frame(freely):
    await stored(freely, *FRAME, contract("c", start="2024-01-01", end="2024-12-31"))


def quantity(value, unit=MMHG):
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


def pressure(name="bp", high=148, low=92, taken="2024-02-29T08:44:00+08:00", **more):
    parts = (("8480-6", high), ("8462-4", low))
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": concept(LOINC, "85354-9"),
        "subject": {"reference": "Patient/shen"},
        "effectiveDateTime": taken,
        "component": [
            {"code": concept(LOINC, code), "valueQuantity": quantity(value)}
            for code, value in parts
        ],
    } | more


def glucose(value, unit="mmol/L", code="14743-9", **more):
    made = pressure("glucose") | {"code": concept(LOINC, code)} | more
    del made["component"]
    return made | {"valueQuantity": quantity(value, unit)}


def virus(result="260373001", **more):
    made = pressure("virus") | {"code": concept(LOINC, "94500-6")} | more
    del made["component"]
    return made | {"valueCodeableConcept": concept("http://snomed.info/sct", result)}


def plan(name="plan", **more):
    return {
        "resourceType": "CarePlan",
        "id": name,
        "status": "active",
        "intent": "plan",
        "category": [concept(f"{BASE}/CodeSystem/programme", "hypertension")],
        "subject": {"reference": "Patient/shen"},
        "period": {"start": "2024-02-29"},
    } | more


async def put(client, *resources):
    for one in resources:
        answer = await client.put(f"{one['resourceType']}/{one['id']}", json=one)
        assert answer.status_code in (200, 201), answer.text
    return answer.json()


async def tasks(client, code="screening"):
    found = (await client.get(f"Task?code={code}&_count=100")).json().get("entry", [])
    return [one["resource"] for one in found]


async def due(client):
    (activity,) = (await client.get("CarePlan/plan")).json()["activity"]
    return activity["detail"]["scheduledPeriod"]["end"]


@pytest.mark.parametrize(
    ("reading", "count"),
    [
        (pressure(high=140, low=80), 1),
        (pressure(high=120, low=90), 1),
        (pressure(high=139, low=89), 0),
        (pressure(status="preliminary"), 0),
        (pressure(subject={"display": "沈"}), 0),
        (glucose(11.1), 1),
        (glucose(11.0), 0),
        (glucose(8.6, "%", "4548-4"), 1),
        (glucose(0.0111, "mol/L"), 1),
        (glucose(200, "mg/dL"), 0),
    ],
)
async def test_a_reading_that_meets_a_threshold_becomes_work(client, reading, count):
    await put(client, reading)

    found = await tasks(client)
    assert len(found) == count
    if found:
        assert found[0]["owner"] == {"reference": "Practitioner/dai"}


async def test_one_task_is_open_at_a_time_however_many_readings_come_at_once(client):
    readings = [pressure(f"bp{n}", taken=f"2024-02-29T08:{n:02}:00+08:00") for n in range(12)]
    await asyncio.gather(*(put(client, one) for one in readings))
    await put(client, glucose(12))
    (task,) = await tasks(client)
    assert [one["type"]["coding"][0]["code"] for one in task["input"]] == [
        "blood-pressure",
        "glucose",
    ]

    await put(client, task | {"status": "completed"}, readings[3] | {"note": [{"text": "又测"}]})
    await put(client, pressure("later", taken="2024-03-01T08:00:00+08:00"))

    assert sorted(one["status"] for one in await tasks(client)) == ["completed", "requested"]


async def test_a_reading_that_is_corrected_takes_its_task_back(client):
    await put(client, pressure())
    await put(client, pressure(high=118, low=76, status="corrected"))

    assert [one["status"] for one in await tasks(client)] == ["cancelled"]
    await put(client, pressure(status="corrected"))
    assert sorted(one["status"] for one in await tasks(client)) == ["cancelled", "requested"]


async def test_who_has_no_family_doctor_gets_one_flag(client, freely):
    await freely.delete("CareTeam/c")
    await put(client, pressure(), pressure("again", taken="2024-02-29T09:00:00+08:00"))

    flags = (await client.get("Flag?patient=shen")).json()["entry"]
    assert [one["resource"]["period"] for one in flags] == [{"start": "2024-02-29"}]
    assert await tasks(client) == []


async def together(client, *resources):
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"Observation/{one['id']}"}}
        for one in resources
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = await client.post("", json=bundle)
    assert answer.status_code == 200, answer.text


async def test_readings_of_one_transaction_say_each_finding_once(client):
    readings = [pressure(f"bp{n}", high=140 + n) for n in range(4)]
    sugars = [glucose(12 + n) | {"id": f"sugar{n}"} for n in range(4)]
    await together(client, *readings, *sugars)

    (task,) = await tasks(client)
    assert [one["valueReference"]["reference"] for one in task["input"]] == [
        "Observation/bp0",
        "Observation/sugar0",
    ]


async def test_readings_of_one_transaction_raise_one_flag_where_there_is_no_doctor(client, freely):
    await freely.delete("CareTeam/c")
    await together(client, *(pressure(f"bp{n}") for n in range(4)))

    flags = (await client.get("Flag?patient=shen")).json()
    assert len(flags["entry"]) == 1


async def test_what_said_a_finding_may_be_taken_back_in_between(client):
    await put(client, pressure("first"))
    await together(
        client, pressure("again"), pressure("first", high=120, low=70), pressure("later")
    )

    found = {one["focus"]["reference"]: one["status"] for one in await tasks(client)}
    assert found == {"Observation/first": "cancelled", "Observation/later": "requested"}


async def test_what_cannot_be_true_is_marked_and_warned_of(client):
    answer = await client.put("Observation/bp", json=pressure(high=1480))

    assert (answer.status_code, answer.json()["status"]) == (201, "entered-in-error")
    assert "cannot be true" in answer.headers["Warning"]
    assert await tasks(client) == []
    assert (await put(client, pressure()))["status"] == "final"
    assert len(await tasks(client)) == 1


async def test_a_result_for_public_health_is_restricted_and_taken_back(client):
    await put(client, virus("260415000"))
    assert await tasks(client, "public-health-notification") == []
    await put(client, virus(status="corrected"), virus(status="amended"))

    (task,) = await tasks(client, "public-health-notification")
    assert [one["code"] for one in task["meta"]["security"]] == ["R"]
    assert task["performerType"][0]["coding"][0]["code"] == "cdc"
    await put(client, virus("260415000", status="corrected"))
    assert [one["status"] for one in await tasks(client, "public-health-notification")] == [
        "cancelled"
    ]


@pytest.mark.parametrize(
    ("reading", "day"),
    [
        (None, "2024-03-14"),
        (pressure(high=128, low=78, taken="2024-02-20T08:00:00+08:00"), "2024-05-20"),
        (pressure(high=148, low=78, taken="2024-02-20T08:00:00+08:00"), "2024-03-05"),
    ],
)
async def test_who_comes_into_a_programme_is_due_by_his_last_reading(client, reading, day):
    if reading:
        await put(client, reading)
    await put(client, plan())

    assert await due(client) == day
    assert await tasks(client, "follow-up") == []


async def test_a_reading_moves_the_day_and_an_older_one_does_not(client):
    await put(client, plan(), pressure("new", 128, 78))
    assert await due(client) == "2024-05-29"

    await put(client, pressure("old", 160, 78, taken="2024-02-01T08:00:00+08:00"))
    assert await due(client) == "2024-05-29"
    assert await tasks(client) == []  # who is followed up is not screened for it

    await put(client, pressure("new", 150, 78, status="corrected"))
    assert await due(client) == "2024-03-14"
    await put(client, pressure("new", 1500, 78, status="corrected"))
    assert await due(client) == "2024-02-15"


async def test_overdue_is_on_the_centres_list_until_the_next_reading(
    client,
    clock,
    deadlines,
):
    await put(client, plan(), pressure(high=128, low=78))
    clock.tick(90 * 86400)  # the last day
    assert await deadlines.expire() == 0
    clock.tick(86400)
    assert await deadlines.expire() == 1
    assert await deadlines.expire() == 0

    (task,) = await tasks(client, "follow-up")
    assert (task["owner"], task["status"]) == ({"reference": "Organization/ZJJCHC"}, "requested")
    await put(client, pressure("next", 130, 80, taken="2024-05-31T08:00:00+08:00"))

    (task,) = await tasks(client, "follow-up")
    assert task["status"] == "completed"
    assert [one.get("valueBoolean") for one in task["output"]] == [None, True]
    assert await due(client) == "2024-08-29"


@pytest.mark.parametrize("how", ["completed", "deleted"])
async def test_who_leaves_the_programme_is_not_overdue(client, freely, clock, deadlines, how):
    await put(client, plan(), pressure(high=128, low=78))
    clock.tick(100 * 86400)
    await deadlines.expire()
    current = (await client.get("CarePlan/plan")).json()

    if how == "deleted":
        task = (await tasks(client, "follow-up"))[0]
        await freely.delete(f"Task/{task['id']}")
        assert (await client.delete("CarePlan/plan")).status_code in (200, 204)
        assert await tasks(client, "follow-up") == []
    else:
        await put(client, current | {"status": "completed"})
        assert [one["status"] for one in await tasks(client, "follow-up")] == ["cancelled"]
    assert await deadlines.expire() == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[screening.glucose]\nenabled = false", ""),
        ("[programme.x]\nenglish = 'x'", "programme.x.chinese: Field required"),
        ("[screening.x]\nthreshold = 1", "screening.x.threshold: Extra inputs"),
        ("screening = 1", "screening: write tables"),
        ("[plausible.x]\ncode = 'x'\nunit = 'x'\nleast = true\nmost = 2", "least: .*number"),
        ("[programme.x]\nevery_days = true", "every_days: .*number"),
        ("[doses.x]\na = 1", "doses: Extra inputs"),
        ("[", "not TOML"),
    ],
)
def test_a_file_of_ones_own_replaces_tables_or_is_refused(tmp_path, text, told):
    file = tmp_path / "own.toml"
    file.write_text(text)

    if told:
        with pytest.raises(InvalidSettings, match=told):
            load_programmes(file)
    else:
        found = load_programmes(file)
        assert set(found.screening) == {"blood-pressure"}
        assert "hypertension" in found.programme
