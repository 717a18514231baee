"""What is no resource of R4 is 400 before any rule of 1+1+1 looks at it, never a fault of ours."""

import pytest
from referral.referral_records import FRAME, TASK, in_state, stored

GARBAGE = [
    {"meta": "boo"},
    {"meta": {"profile": "boo"}},
    {"businessStatus": []},
    {"businessStatus": {"coding": "x"}},
    {"businessStatus": {"coding": [{"system": 5, "code": []}]}},
    {"status": 5},
    {"status": ["requested"]},
    {"restriction": "soon"},
    {"restriction": {"period": []}},
    {"restriction": {"recipient": {}}},
    {"focus": "ServiceRequest/order"},
    {"owner": []},
    {"note": "x"},
    {"output": {}},
    {"identifier": {}},
]


@pytest.fixture(autouse=True)
async def frame(freely):
    await stored(freely, *FRAME)


@pytest.mark.parametrize("change", GARBAGE, ids=str)
@pytest.mark.parametrize("is_there", [False, True])
async def test_a_broken_task_is_400(client, freely, change, is_there):
    if is_there:
        await freely.put("Task/task", json=in_state("requested"))

    answer = await client.put("Task/task", json=TASK | change)

    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Appointment", "status": "booked", "slot": "Slot/a"},
        {"resourceType": "Appointment", "status": "booked", "participant": [], "basedOn": {}},
        {"resourceType": "CareTeam", "category": "x", "participant": "y"},
        {"resourceType": "Encounter", "status": "arrived", "subject": [], "period": "x"},
        {"resourceType": "MedicationRequest", "status": "active", "extension": "x"},
        {"resourceType": "DiagnosticReport", "status": "final", "encounter": "x"},
    ],
    ids=lambda one: one["resourceType"],
)
async def test_another_broken_record_is_400(client, resource):
    assert (await client.post(resource["resourceType"], json=resource)).status_code == 400
