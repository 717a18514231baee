"""One resident, one contract: one community centre, one district, one municipal institution.

DOMAIN 1.3 S2, 2.1.
"""

import pytest
from referral.referral_records import BASE, FRAME, concept, organization, stored

TIER = f"{BASE}/CodeSystem/tier"
MEMBERS = {
    "community": "Organization/ZJJCHC",
    "district": "Organization/QPDCH",
    "municipal": "Organization/SHTH01",
    "family-doctor": "Practitioner/dai",
}
MORE = [organization("XJCHC"), *({"resourceType": "Patient", "id": name} for name in "abc")]


def contract(name, members=MEMBERS, patient="shen", start="2025-03-01", end="2026-02-28", **more):
    rows = members.items() if isinstance(members, dict) else members
    return {
        "resourceType": "CareTeam",
        "id": name,
        "status": "active",
        "category": [concept(f"{BASE}/CodeSystem/careteam-category", "one-plus-one-plus-one")],
        "subject": {"reference": f"Patient/{patient}"},
        "period": {"start": start, "end": end},
        "participant": [
            {"role": [concept(TIER, tier)], "member": {"reference": who}} for tier, who in rows
        ],
    } | more


@pytest.fixture(autouse=True)
async def frame(freely):
    await stored(freely, *FRAME, *MORE)


async def test_a_whole_contract_is_stored_and_found(client):
    assert (await client.put("CareTeam/c", json=contract("c"))).status_code == 201
    found = await client.get("CareTeam?participant=Organization/SHTH01&status=active")
    assert found.json()["total"] == 1


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({k: v for k, v in MEMBERS.items() if k != "district"}, "one district institution, not 0"),
        (
            [*MEMBERS.items(), ("municipal", "Organization/JSPH01")],
            "one municipal institution, not 2",
        ),
        ({k: v for k, v in MEMBERS.items() if k != "family-doctor"}, "one family doctor, not 0"),
    ],
)
async def test_a_contract_has_one_of_each(client, members, said):
    answer = await client.put("CareTeam/c", json=contract("c", members))

    issue = answer.json()["issue"][0]
    assert (answer.status_code, issue["code"]) == (422, "business-rule")
    assert said in issue["diagnostics"]
    assert "1+1+1 签约" in issue["details"]["text"]


@pytest.mark.parametrize(
    ("start", "end", "status"),
    [
        ("2026-02-28", "2027-02-27", 422),
        ("2026-03-01", "2027-02-28", 201),
        ("2024-03-01", "2025-02-28", 201),
        ("2024-03-01", "2025-03", 422),
        ("2025", "2025", 422),
    ],
)
async def test_a_second_contract_in_the_same_term_is_refused(client, start, end, status):
    await client.put("CareTeam/c", json=contract("c"))
    other = MEMBERS | {"community": "Organization/XJCHC"}

    answer = await client.put("CareTeam/d", json=contract("d", other, start=start, end=end))

    assert answer.status_code == status
    assert status == 201 or "already contracted" in answer.text


async def test_a_transfer_ends_the_old_contract_the_day_before(client):
    await client.put("CareTeam/c", json=contract("c"))
    other = MEMBERS | {"community": "Organization/XJCHC"}

    await stored(
        client,
        contract("c", end="2025-08-31"),
        contract("d", other, start="2025-09-01"),
    )


async def test_a_family_signs_together_or_not_at_all(client):
    await client.put("CareTeam/old", json=contract("old", patient="c"))
    family = [contract(f"new-{name}", patient=name) for name in "abc"]
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": one, "request": {"method": "PUT", "url": f"CareTeam/{one['id']}"}}
            for one in family
        ],
    }

    refused = await client.post("", json=bundle)
    assert refused.status_code == 422
    assert (await client.get("CareTeam?_summary=count")).json()["total"] == 1

    await client.put("CareTeam/old", json=contract("old", patient="c", status="inactive"))
    assert (await client.post("", json=bundle)).status_code == 200


async def test_two_contracts_of_one_resident_in_one_bundle_are_refused(client):
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": contract(name), "request": {"method": "PUT", "url": f"CareTeam/{name}"}}
            for name in ("one", "two")
        ],
    }

    assert (await client.post("", json=bundle)).status_code == 422


async def test_a_care_team_of_another_kind_is_nobodys_business(client):
    team = {"resourceType": "CareTeam", "id": "t", "status": "active"}

    assert (await client.put("CareTeam/t", json=team)).status_code == 201
