"""Contracts go on, pass to another centre, and end: what ends with them. The clock is set.

DOMAIN 1.3 S2, 2.1. Today is 2024-02-29, 18:00 in Shanghai.
"""

import pytest
from referral.referral_records import BASE, FRAME, concept, organization, stored
from referral.test_contracts import MEMBERS, contract
from referral.test_slots import REFERRED, SCHEDULE, appointment, slot

OTHER = MEMBERS | {"community": "Organization/XJCHC"}
EPISODE = {
    "resourceType": "EpisodeOfCare",
    "id": "programme",
    "status": "active",
    "type": [concept(f"{BASE}/CodeSystem/programme", "HTN")],
    "patient": {"reference": "Patient/shen"},
    "period": {"start": "2023-03-01"},
    "team": [{"reference": "CareTeam/c"}],
}
CONSENT = {
    "resourceType": "Consent",
    "id": "sharing",
    "status": "active",
    "scope": concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
    "category": [concept("http://loinc.org", "59284-0")],
    "patient": {"reference": "Patient/shen"},
    "policyRule": concept("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTIN"),
    "provision": {
        "type": "permit",
        "actor": [{"role": concept(f"{BASE}/x", "team"), "reference": {"reference": "CareTeam/c"}}],
    },
}
STRANGER = EPISODE | {"id": "another", "team": [{"reference": "CareTeam/x"}]}


@pytest.fixture(autouse=True)
async def frame(freely):
    old = contract("c", start="2023-03-01", end="2024-03-01")
    await stored(freely, *FRAME, organization("XJCHC"), SCHEDULE, old)
    await stored(freely, EPISODE, STRANGER, CONSENT)


async def status_of(client, *addresses):
    return [(await client.get(address)).json()["status"] for address in addresses]


TIED = ("CareTeam/c", "EpisodeOfCare/programme", "Consent/sharing", "EpisodeOfCare/another")


async def test_what_belongs_to_a_contract_ends_with_it_by_the_clock(client, clock, deadlines):
    clock.tick(29 * 3600)  # 23:00 of its last day in Shanghai
    assert await deadlines.expire() == 0
    assert await status_of(client, *TIED) == ["active"] * 4

    clock.tick(2 * 3600)
    assert await deadlines.expire() == 1

    assert await status_of(client, *TIED) == ["inactive", "finished", "inactive", "active"]
    episode = (await client.get("EpisodeOfCare/programme")).json()
    assert episode["period"] == {"start": "2023-03-01", "end": "2024-03-01"}
    assert await deadlines.expire() == 0


async def test_the_priority_channel_closes_at_the_end_of_the_last_day(client, freely, clock):
    await stored(freely, slot("a", "2024-03-05", "COMMUNITY"), slot("b", "2024-03-05", "COMMUNITY"))
    clock.tick(29 * 3600)
    on_the_last_day = await client.post("Appointment", json=appointment("a") | REFERRED)
    clock.tick(2 * 3600)
    the_day_after = await client.post("Appointment", json=appointment("b") | REFERRED)

    assert (on_the_last_day.status_code, the_day_after.status_code) == (201, 403)


@pytest.mark.parametrize(
    ("status", "episode"), [("inactive", "finished"), ("entered-in-error", "cancelled")]
)
async def test_what_belongs_to_a_contract_ends_when_it_is_ended(client, status, episode):
    old = (await client.get("CareTeam/c")).json()

    answer = await client.put("CareTeam/c", json=old | {"status": status})

    assert answer.status_code == 200
    assert await status_of(client, *TIED) == [status, episode, "inactive", "active"]


async def test_a_contract_is_renewed_from_the_day_after(client):
    answer = await client.post("CareTeam/c/$renew?number=QY-2")

    made = answer.json()
    assert (answer.status_code, made["status"]) == (201, "active")
    assert made["period"] == {"start": "2024-03-02", "end": "2025-03-03"}
    assert made["identifier"][0]["value"] == "QY-2"
    assert len(made["participant"]) == 4
    again = await client.post("CareTeam/c/$renew?end=2026-01-01")
    assert (again.status_code, "already contracted" in again.text) == (422, True)
    assert (await client.post("CareTeam/c/$renew?end=soon")).status_code == 400
    assert (await client.post("CareTeam/none/$renew")).status_code == 404


async def test_a_contract_passes_to_another_centre_on_a_day(client):
    new = contract("d", OTHER, start="2024-02-20", end="2025-02-19")

    answer = await client.post("CareTeam/c/$transfer", json=new)

    assert answer.status_code == 201
    old = (await client.get("CareTeam/c")).json()
    assert (old["status"], old["period"]["end"]) == ("inactive", "2024-02-19")
    found = (await client.get("CareTeam?status=active&patient=shen")).json()["entry"]
    assert [one["resource"]["id"] for one in found] == [answer.json()["id"]]
    assert (await client.post("CareTeam/c/$transfer", json=new)).status_code == 409


@pytest.mark.parametrize(
    ("new", "status"),
    [
        (contract("d", OTHER, start="2024-03-02", end="2025-03-01"), 422),
        (contract("d", OTHER, patient="a", start="2024-02-20", end="2025-03-01"), 422),
        (contract("d", {"community": "Organization/XJCHC"}, start="2024-02-20"), 422),
        ({"resourceType": "CareTeam"}, 400),
    ],
)
async def test_a_transfer_that_is_none_changes_nothing(client, new, status):
    assert (await client.post("CareTeam/c/$transfer", json=new)).status_code == status
    assert await status_of(client, "CareTeam/c") == ["active"]


@pytest.mark.parametrize(
    ("period", "warned"),
    [
        ({"start": "2025-03-01", "end": "2026-02-28"}, False),
        ({"start": "2025-03-01", "end": "2025-12-31"}, True),
        ({"start": "2025-03-01"}, True),
    ],
)
async def test_a_term_below_a_year_is_warned_of(client, period, warned):
    new = contract("d") | {"period": period}

    answer = await client.put("CareTeam/d", json=new, headers={"Prefer": "return=OperationOutcome"})

    assert answer.status_code == 201
    severities = [one["severity"] for one in answer.json()["issue"]]
    assert ("warning" in severities) == warned
