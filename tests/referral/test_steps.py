"""What single steps of a referral bring about: questions, pauses, transfers, places that come free.

DOMAIN 2.5. Today is 2024-02-29, 18:00 in Shanghai.
"""

import httpx
import pytest
from parts import fhir_app, ids, service
from parts import repository as over
from referral.referral_records import (
    BASE,
    FRAME,
    ORDER,
    PATIENT,
    TASK,
    concept,
    in_state,
    joined,
    stored,
)
from referral.test_slots import REFERRED, SCHEDULE, appointment, left, slot

from fhir_hub.referral.conduct import Conduct, OwnRules
from fhir_hub.settings.referral import ReferralSettings

DAY_S = 86400
REASON = {"statusReason": {"text": "科室已满"}}


@pytest.fixture(autouse=True)
async def frame(freely):
    await stored(freely, *FRAME, SCHEDULE)


async def written(client, state, **elements):
    """Write the Task on from what it is; return the status and the Task."""
    current = (await client.get("Task/task")).json()
    kept = {name: value for name, value in current.items() if name != "businessStatus"}
    answer = await client.put("Task/task", json=kept | in_state(state, **elements) | elements)
    return answer.status_code, answer.json()


async def test_a_referral_by_a_clock_that_runs_ahead_goes_on_all_the_same(client):
    ahead = "2024-02-29T18:20:00+08:00"
    assert (await client.put("Task/task", json=TASK | {"authoredOn": ahead})).status_code == 201

    status, accepted = await written(client, "accepted")

    assert (status, accepted["lastModified"]) == (200, "2024-02-29T10:20:00Z")


async def test_a_question_is_asked_and_the_deadline_waits_for_the_answer(
    client, freely, clock, deadlines
):
    await client.put("Task/task", json=TASK)
    clock.tick(10 * DAY_S)
    status, returned = await written(client, "info-requested", note=[{"text": "请补充尿蛋白"}])
    assert (status, returned["restriction"]["period"]["end"]) == (200, "2024-03-30T10:00:00Z")
    (asked,) = (await client.get("CommunicationRequest")).json()["entry"]
    assert asked["resource"]["payload"] == [{"contentString": "请补充尿蛋白"}]
    assert asked["resource"]["recipient"] == [TASK["requester"]]
    assert asked["resource"]["basedOn"] == [{"reference": "Task/task"}]
    clock.tick(25 * DAY_S)
    assert await deadlines.expire() == 0

    status, resumed = await written(client, "received", note=[{"text": "已补充"}])

    assert (status, resumed["restriction"]["period"]["end"]) == (200, "2024-04-24T10:00:00Z")
    assert "extension" not in resumed
    answered = (await client.get("CommunicationRequest?status=completed")).json()
    assert answered["total"] == 1
    clock.tick(21 * DAY_S)
    assert await deadlines.expire() == 1


async def test_a_question_that_is_not_answered_ends_the_referral(client, clock, deadlines):
    await client.put("Task/task", json=TASK)
    await written(client, "info-requested", **REASON)
    clock.tick(31 * DAY_S)

    assert await deadlines.expire() == 1
    assert (await client.get("CommunicationRequest?status=revoked")).json()["total"] == 1


async def test_a_report_of_what_expired_long_ago_stays_as_it_was_told(client, freely, deadlines):
    past = {"restriction": {"period": {"end": "2024-01-01T00:00:00+08:00"}}}
    await freely.put("Task/task", json=in_state("requested", **past))

    assert await deadlines.expire() == 0


@pytest.mark.parametrize("before", ["accepted", "scheduled", "arrived"])
async def test_a_cancellation_that_is_refused_leads_back(client, freely, before):
    await freely.put("Task/task", json=in_state(before))
    assert (await written(client, "cancellation requested", **REASON))[0] == 200
    other = "seen" if before != "seen" else "accepted"

    status, answer = await written(client, other)
    assert (status, f"is {before} again" in str(answer)) == (409, True)
    status, task = await written(client, before)

    assert (status, task.get("extension")) == (200, None)


@pytest.mark.parametrize(
    ("state", "elements", "status"),
    [("rejected", REASON, "cancelled"), ("cancelled", REASON, "cancelled"), ("accepted", {}, "")],
)
async def test_a_referral_that_ends_gives_its_places_back(client, freely, state, elements, status):
    await stored(freely, slot("a"))
    await freely.put("Task/task", json=in_state("requested"))
    booking = await freely.post("Appointment", json=appointment("a") | REFERRED)
    await freely.put("Slot/a", json=slot("a", status="busy"))

    assert (await written(client, state, **elements))[0] == 200

    booked = (await client.get(f"Appointment/{booking.json()['id']}")).json()
    assert booked["status"] == (status or "booked")
    assert await left(client, "a") == (("free",) if status else ("busy",))


async def test_a_referral_passes_to_another_institution(client, freely):
    await freely.put("Task/task", json=in_state("accepted"))
    there = {"owner": {"reference": "Organization/QPDCH"}}
    assert (await written(client, "accepted", **there))[0] == 409
    assert (await written(client, "requested", **there))[0] == 422
    assert (await written(client, "requested", **REASON))[0] == 422

    status, task = await written(client, "requested", **there, **REASON)

    assert (status, task["restriction"]["recipient"]) == (200, [there["owner"]])
    (told,) = (await client.get("Communication?_count=5")).json()["entry"]
    parties = [one["reference"] for one in told["resource"]["recipient"]]
    assert parties == ["Organization/ZJJCHC", "Organization/QPDCH", "Organization/SHTH01"]
    nowhere = {"owner": {"reference": "Organization/JSPH01"}}
    assert (await written(client, "requested", **nowhere, **REASON))[0] == 422


async def test_a_doctor_of_the_institution_takes_the_referral_up(client, freely):
    await freely.put("Task/task", json=in_state("received"))

    status, task = await written(client, "accepted", owner={"reference": "Practitioner/dai"})

    assert (status, task["restriction"]["recipient"]) == (200, [TASK["owner"]])


async def test_what_was_done_is_not_entered_in_error(client, freely):
    visit = {"type": {"text": "encounter"}, "valueReference": {"reference": "Encounter/e"}}
    await freely.put("Task/task", json=in_state("scheduled", output=[visit]))
    assert (await written(client, "entered in error"))[0] == 409

    await freely.put("Task/task", json=in_state("scheduled"))
    assert (await written(client, "entered in error"))[0] == 200


async def test_a_referral_is_of_one_patient(client, freely):
    stranger = {"reference": "Patient/other"}
    await stored(freely, {"resourceType": "Patient", "id": "other"}, slot("a"))
    await freely.put("Task/task", json=in_state("requested"))

    status, answer = await written(client, "accepted", **{"for": stranger})
    booked = await client.post("Appointment", json=appointment("a", patient="other") | REFERRED)

    assert (status, booked.status_code) == (422, 422)
    assert "患者与转诊单患者不一致" in answer["issue"][0]["details"]["text"]


DOWN = [
    ORDER["extension"][0]
    | {"valueCodeableConcept": concept(f"{BASE}/CodeSystem/referral-direction", "DOWN")}
]
WHEN = {"occurrenceDateTime": "2024-03-14"}
DRUG = {
    "resourceType": "MedicationRequest",
    "id": "drug",
    "status": "active",
    "intent": "order",
    "subject": {"reference": "Patient/shen"},
    "medicationCodeableConcept": concept("http://www.whocc.no/atc", "A10BA02"),
}


@pytest.mark.parametrize(
    ("first", "when", "status"),
    [
        ("completed", WHEN, 201),
        ("seen", WHEN, 201),
        ("accepted", WHEN, 409),
        ("completed", {}, 422),
    ],
)
async def test_a_referral_back_down_has_a_plan(client, freely, first, when, status):
    back = ORDER | {"id": "back", "extension": DOWN} | when
    back["supportingInfo"] = [*ORDER["supportingInfo"], {"reference": "MedicationRequest/drug"}]
    await stored(freely, DRUG, back, in_state(first))
    given_back = TASK | {
        "id": "back",
        "focus": {"reference": "ServiceRequest/back"},
        "partOf": [{"reference": "Task/task"}],
        "requester": TASK["owner"],
        "owner": TASK["requester"],
    }

    assert (await client.put("Task/back", json=given_back)).status_code == status

    drug = (await client.get("MedicationRequest/drug")).json()
    marks = [one["url"].rpartition("/")[2] for one in drug.get("extension", ())]
    assert marks == (["prescription-extendable"] if status == 201 else [])


@pytest.mark.parametrize("policy", ["428", "412", "off"])
async def test_a_task_is_changed_with_its_version_where_the_house_asks_for_it(
    store, clock, freely, policy
):
    own = OwnRules(ReferralSettings(if_match=policy))
    rules = Conduct(is_strict=True, own=own)
    app = fhir_app(service(over(store, clock, ids(), "enforce", rules)), [])
    await freely.put("Task/task", json=in_state("requested"))
    accepted, none = in_state("accepted"), [{"op": "add", "path": "/priority", "value": "stat"}]
    at = {"transport": httpx.ASGITransport(app=app), "base_url": "http://hub.test/fhir/"}
    async with httpx.AsyncClient(**at) as client:
        blind = await client.put("Task/task", json=accepted)
        sighted = await client.put("Task/task", json=accepted, headers={"If-Match": 'W/"1"'})
        other = await client.put("Patient/shen", json=FRAME[4] | {"active": True})
        kind = {"Content-Type": "application/json-patch+json"}
        patched = await client.patch("Task/task", json=none, headers=kind)

    wanted = 200 if policy == "off" else int(policy)
    assert blind.status_code == wanted
    assert sighted.status_code == (412 if policy == "off" else 200)
    assert (other.status_code, patched.status_code) == (200, wanted)


@pytest.mark.parametrize("state", ["requested", "rejected", "completed"])
async def test_a_referral_goes_with_its_patients_record_when_that_is_merged(client, freely, state):
    """A finished one too: nothing of what it says changes."""
    await stored(freely, PATIENT | {"id": "twin"}, TASK | in_state(state))
    was = (await client.get("Task/task")).json()
    for operation, whose in (("$merge", "twin"), ("$unmerge", "shen")):
        await joined(client, operation)
        task = (await client.get("Task/task")).json()
        assert task["for"]["reference"] == f"Patient/{whose}"
    assert {name: task[name] for name in was} == was | {"meta": task["meta"]}
    assert "tag" not in task["meta"]

    answer = await client.put("Task/task", json=task | {"for": {"reference": "Patient/twin"}})
    assert answer.status_code in (409, 422)
