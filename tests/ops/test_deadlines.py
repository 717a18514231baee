"""What the hub's clock does is done by a hub that runs."""

import json

HOLD_UNTIL = "https://fhir-hub.example/StructureDefinition/hold-until"
SCHEDULE = {
    "resourceType": "Schedule",
    "id": "s",
    "actor": [{"display": "门诊"}],
}
SLOT = {
    "resourceType": "Slot",
    "id": "a",
    "schedule": {"reference": "Schedule/s"},
    "status": "free",
    "start": "2024-03-14T09:30:00+08:00",
    "end": "2024-03-14T09:45:00+08:00",
}
HELD = {
    "resourceType": "Appointment",
    "id": "held",
    "extension": [{"url": HOLD_UNTIL, "valueDateTime": "2024-03-01T09:40:00+08:00"}],
    "status": "pending",
    "start": SLOT["start"],
    "end": SLOT["end"],
    "slot": [{"reference": "Slot/a"}],
    "participant": [{"actor": {"display": "王"}, "status": "accepted"}],
}


async def test_a_place_that_was_held_too_long_is_free_soon_after_the_start(start, tmp_path):
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in (SCHEDULE, SLOT, HELD)
    ]
    file = tmp_path / "held.json"
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    file.write_text(json.dumps(bundle))

    async with start(load=file) as running, running.client() as client:
        for _ in range(500):
            status = (await client.get("/fhir/Appointment/held")).json()["status"]
            if status != "pending":
                break
        slot = (await client.get("/fhir/Slot/a")).json()

    assert (status, slot["status"]) == ("cancelled", "free")
