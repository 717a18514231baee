"""Every state of a referral and every event in it: what the table has happens, all else is 409.

DOMAIN 2.4, 2.5.
"""

import json
from pathlib import Path

import pytest
from referral.referral_records import FRAME, TASK, in_state, stored

from fhir_hub.r4.packages import built_in_profiles
from fhir_hub.referral.states import NONE, STATES, STEPS, TERMINAL, allowed, step

REASON = {"statusReason": {"text": "不符合转诊指征"}}
OUTCOME = {
    "output": [
        {"type": {"text": "outcome"}, "valueReference": {"reference": "ServiceRequest/order"}}
    ]
}
ELSEWHERE = {"reference": "Organization/QPDCH"}
TARGETS = sorted(STATES)
REFERENCES = ["ServiceRequest/order"]


@pytest.fixture
async def frame(freely):
    await stored(freely, *FRAME)


async def test_every_first_state_that_the_table_has_is_taken_and_no_other(client, freely, frame):
    for number, target in enumerate(TARGETS):
        name = f"task{number}"
        task = in_state(target, id=name, **REASON, **OUTCOME)
        answer = await client.put(f"Task/{name}", json=task)

        await freely.delete(f"Task/{name}")
        row = step(NONE, target)
        assert answer.status_code == (201 if row else 409), target
        if row is None:
            assert ", ".join(allowed(NONE)) in answer.json()["issue"][0]["diagnostics"]


@pytest.mark.parametrize("source", TARGETS)
async def test_every_event_in_every_state(client, freely, frame, source):
    for number, target in enumerate(TARGETS):
        name = f"task{number}"
        await freely.put(f"Task/{name}", json=in_state(source, id=name))

        row = step(source, target)
        to = {"owner": ELSEWHERE} if row and row.event == "transfer" else {}
        answer = await client.put(
            f"Task/{name}", json=in_state(target, id=name, **REASON, **OUTCOME, **to)
        )

        if target == source:
            assert answer.status_code == (409 if source in TERMINAL else 200)
        elif row is None:
            issue = answer.json()["issue"][0]
            assert (answer.status_code, issue["code"]) == (409, "business-rule"), target
            assert all(event in issue["diagnostics"] for event in allowed(source))
        else:
            await require_consequences(client, name, row)
        await freely.delete(f"Task/{name}")  # one open referral to a specialty is enough


async def require_consequences(client, name, row):
    """The order follows, the trail says what happened, the other side is told."""
    task = (await client.get(f"Task/{name}")).json()
    assert task["status"] == STATES[row.target].status
    trail = (await client.get(f"AuditEvent?entity=Task/{name}")).json()["entry"]
    assert [one["resource"]["subtype"][0]["code"] for one in trail] == [row.event]
    told = (await client.get("Communication?part-of:missing=true&_count=50")).json()
    recipients = [
        party["reference"]
        for one in told.get("entry", [])
        if one["resource"]["about"][0]["reference"].startswith(f"Task/{name}/")
        for party in one["resource"]["recipient"]
    ]
    parties = {"requester": "Organization/ZJJCHC", "owner": task["owner"]["reference"]}
    if STATES[row.target].status == "draft":
        parties = {}
    wanted = [who for side, who in parties.items() if side != row.actor]
    assert recipients == [*wanted, *(["Organization/SHTH01"] if row.event == "transfer" else [])]


@pytest.mark.parametrize(
    ("source", "target", "without"),
    [
        ("requested", "rejected", "statusReason"),
        ("received", "cancelled", "statusReason"),
        ("accepted", "cancellation requested", "statusReason"),
        ("requested", "info-requested", "note"),
        ("seen", "completed", "output"),
    ],
)
async def test_a_step_that_lacks_what_it_needs_is_refused(
    client, freely, frame, source, target, without
):
    await freely.put("Task/task", json=in_state(source))

    answer = await client.put("Task/task", json=in_state(target))

    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == [f"Task.{without}"]


@pytest.mark.parametrize(
    ("source", "status", "code"),
    [
        ("requested", "received", "2.0"),
        ("received", "accepted", "3.0"),
        ("received", "rejected", "4.0"),
        ("accepted", "in-progress", "5.1"),
        ("scheduled", "completed", "7.0"),
        ("requested", "cancelled", "6.0"),
    ],
)
async def test_a_client_may_change_the_status_alone(client, freely, frame, source, status, code):
    await freely.put("Task/task", json=in_state(source))
    changed = in_state(source) | {"status": status} | REASON | OUTCOME

    answer = await client.put("Task/task", json=changed)

    assert answer.status_code == 200
    assert answer.json()["businessStatus"]["coding"][0]["code"] == code
    assert answer.json()["lastModified"] == "2024-02-29T10:00:00Z"


async def test_a_client_may_change_the_business_status_alone(client, freely, frame):
    await freely.put("Task/task", json=in_state("accepted"))
    booked = in_state("scheduled")["businessStatus"]

    answer = await client.put("Task/task", json=in_state("accepted", businessStatus=booked))

    assert (answer.status_code, answer.json()["status"]) == (200, "in-progress")


async def test_two_statuses_that_contradict_each_other_are_refused(client, freely, frame):
    await freely.put("Task/task", json=in_state("requested"))
    rejected = in_state("rejected")["businessStatus"]

    answer = await client.put("Task/task", json=in_state("accepted", businessStatus=rejected))

    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("target", "status"),
    [("requested", "active"), ("rejected", "revoked"), ("completed", "completed")],
)
async def test_the_order_follows_its_task(client, freely, frame, target, status):
    if target != "requested":
        await freely.put("Task/task", json=in_state("accepted"))

    await client.put("Task/task", json=in_state(target, **REASON, **OUTCOME))

    assert (await client.get("ServiceRequest/order")).json()["status"] == status


async def test_of_a_finished_referral_only_notes_change(client, freely, frame):
    await freely.put("Task/task", json=in_state("completed"))

    note = await client.put("Task/task", json=in_state("completed", note=[{"text": "已随访"}]))
    more = await client.put("Task/task", json=in_state("completed", priority="stat"))

    assert (note.status_code, more.status_code) == (200, 409)


async def test_a_deadline_is_set_for_who_gives_none(client, frame):
    answer = await client.put("Task/task", json=TASK)

    assert answer.json()["restriction"]["period"]["end"] == "2024-03-30T10:00:00Z"


async def test_a_task_that_is_no_referral_is_nobodys_business(client, frame):
    plain = {"resourceType": "Task", "id": "t", "status": "completed", "intent": "order"}

    assert (await client.put("Task/t", json=plain)).status_code == 201
    assert (await client.put("Task/t", json=plain | {"status": "draft"})).status_code == 200


def test_a_step_is_one_row():
    pairs = [(source, row.target) for row in STEPS for source in row.sources]

    assert len(pairs) == len(set(pairs))
    assert {name for row in STEPS for name in (*row.sources, row.target)} <= {NONE, *STATES}


def test_the_page_has_every_event_and_state():
    page = (Path(__file__).parents[2] / "docs" / "referral.md").read_text("utf-8")

    for row in STEPS:
        needs = ", ".join(row.needs)
        assert any(
            line.startswith(f"| `{row.event}` | {row.actor} |") and line.endswith(f"| {needs} |")
            for line in page.splitlines()
        ), row
    for state in STATES.values():
        code = f"`{state.code}` {state.text}" if state.code else ""
        assert f"| {state.name} | `{state.status}` | {code} |" in page


def test_the_code_system_has_every_event():
    path = built_in_profiles() / "cn-yangtze" / "CodeSystem-referral-event.json"
    known = [one["code"] for one in json.loads(path.read_text("utf-8"))["concept"]]

    assert known == list(dict.fromkeys(row.event for row in STEPS))
