"""What a referral must be to be submitted, and what is answered where it is not.

DOMAIN 2.5a, 2.5b. Today is 2024-02-29, 18:00 in Shanghai.
"""

import pytest
from referral.referral_records import (
    BASE,
    CONSENT,
    FRAME,
    ORDER,
    TASK,
    concept,
    in_state,
    organization,
    stored,
)
from referral.test_contracts import MEMBERS, contract

AWAY = {"reference": "Organization/JSPH01"}
TO_JIASHAN = TASK | {"owner": AWAY}
NUMBER = {"identifier": [{"system": f"{BASE}/sid/ZJJCHC", "value": "ZZ-1"}]}


def affiliation(lead, joins, code="medical-alliance", **more):
    return {
        "resourceType": "OrganizationAffiliation",
        "id": f"{lead}-{joins}",
        "organization": {"reference": f"Organization/{lead}"},
        "participatingOrganization": {"reference": f"Organization/{joins}"},
        "code": [concept(f"{BASE}/CodeSystem/affiliation", code)],
    } | more


def service(name, specialty, **more):
    return {
        "resourceType": "HealthcareService",
        "id": name,
        "providedBy": {"reference": "Organization/SHTH01"},
        "specialty": [concept("urn:departments", specialty)],
    } | more


@pytest.fixture(autouse=True)
async def frame(freely):
    await stored(freely, *FRAME)


async def refused(client, task=TASK):
    answer = await client.put("Task/task", json=task)
    issue = answer.json().get("issue", [{}])[0]
    return answer.status_code, issue.get("code", "")


async def test_who_is_reached_by_no_route_is_not_asked(client):
    assert await refused(client, TO_JIASHAN) == (422, "business-rule")


@pytest.mark.parametrize(
    ("route", "status"),
    [
        ([affiliation("JSPH01", "ZJJCHC")], 201),
        ([affiliation("ZJJCHC", "JSPH01", "cross-province-referral")], 201),
        ([affiliation("JSPH01", "ZJJCHC", active=False)], 422),
        ([affiliation("JSPH01", "ZJJCHC", period={"end": "2024-02-28"})], 422),
        ([affiliation("SHTH01", "ZJJCHC"), affiliation("SHTH01", "JSPH01")], 201),
        ([affiliation("SHTH01", "ZJJCHC", "x"), affiliation("SHTH01", "JSPH01", "x")], 422),
        ([contract("c", MEMBERS | {"municipal": "Organization/JSPH01"}, start="2024-01-01")], 201),
        ([contract("c", MEMBERS | {"municipal": "Organization/JSPH01"}, start="2024-03-01")], 422),
    ],
)
async def test_a_route_is_a_contract_an_affiliation_or_an_alliance(client, freely, route, status):
    await stored(freely, *route)

    assert (await refused(client, TO_JIASHAN))[0] == status


@pytest.mark.parametrize(
    ("records", "performer_type", "status"),
    [
        ([organization("SHTH01") | {"active": False}], None, 422),
        ([service("eyes", "04")], "04", 201),
        ([service("eyes", "04")], "03", 422),
        ([service("eyes", "04", active=False)], "04", 422),
        ([service("eyes", "04", active=False), service("eyes-2", "04")], "04", 201),
        (
            [
                service(
                    "eyes",
                    "04",
                    notAvailable=[{"description": "x", "during": {"start": "2024-02-01"}}],
                )
            ],
            "04",
            422,
        ),
    ],
)
async def test_a_closed_or_missing_department_is_not_asked(
    client, freely, records, performer_type, status
):
    await stored(freely, *records)
    if performer_type:
        asked = {"performerType": concept("urn:departments", performer_type)}
        await stored(freely, ORDER | asked)

    assert (await refused(client))[0] == status


def consent(**more):
    return CONSENT | more


def provision(kind="permit", actor="Organization/SHTH01", **more):
    row = {"role": concept(f"{BASE}/x", "recipient"), "reference": {"reference": actor}}
    return {"provision": {"type": kind, "actor": [row]} | more}


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        (consent(), (201, "")),
        (consent(status="inactive"), (403, "suppressed")),
        (consent(patient={"reference": "Patient/other"}), (403, "suppressed")),
        (consent(**provision()), (201, "")),
        (consent(**provision(actor="Organization/JSPH01")), (403, "suppressed")),
        (consent(**provision("deny")), (403, "suppressed")),
        (consent(**provision(period={"end": "2024-02-28"})), (403, "suppressed")),
    ],
)
async def test_nothing_is_shared_without_consent(client, freely, given, answer):
    await stored(freely, {"resourceType": "Patient", "id": "other"}, given)

    assert await refused(client) == answer


async def test_the_consent_of_a_contract_covers_its_referrals(client, freely):
    info = [one for one in ORDER["supportingInfo"] if "Consent" not in one["reference"]]
    signed = consent(id="sharing", **provision(actor="CareTeam/c"))
    await stored(freely, consent(status="inactive"), ORDER | {"supportingInfo": info})
    assert await refused(client) == (403, "suppressed")

    await stored(freely, contract("c", start="2024-01-01"), signed)

    assert await refused(client) == (201, "")


async def test_what_was_sent_twice_is_there_once(client, freely):
    first = await client.post("Task", json=TASK | NUMBER)
    again = await client.post("Task", json=TASK | NUMBER)
    other = await client.post("Task", json=TASK | NUMBER | {"priority": "stat"})
    moved = await client.put("Task/mine", json=TASK | NUMBER | {"id": "mine"})

    assert [one.status_code for one in (first, again, other, moved)] == [201, 200, 409, 409]
    assert again.json()["id"] == first.json()["id"]
    assert [one.json()["issue"][0]["code"] for one in (other, moved)] == ["duplicate"] * 2
    assert (await client.get("Task?_summary=count")).json()["total"] == 1


async def test_a_whole_referral_sent_twice_is_there_once(client):
    order = {name: value for name, value in ORDER.items() if name != "id"} | NUMBER
    task = TASK | NUMBER | {"focus": {"reference": "urn:uuid:0b9ff0a2-3c52-4bb9-8d0c-0f4b5a7bd001"}}
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": "urn:uuid:0b9ff0a2-3c52-4bb9-8d0c-0f4b5a7bd001",
                "resource": order,
                "request": {"method": "POST", "url": "ServiceRequest"},
            },
            {"resource": task, "request": {"method": "POST", "url": "Task"}},
        ],
    }

    answers = [(await client.post("", json=bundle)).json() for _ in range(2)]
    (entry,) = (await client.get("Task")).json()["entry"]
    address, task = f"Task/{entry['resource']['id']}", entry["resource"]
    await client.put(address, json=task | {"status": "accepted"})
    answers.append((await client.post("", json=bundle)).json())
    changed = bundle["entry"][1]["resource"] | {"priority": "stat"}
    bundle["entry"][1] = bundle["entry"][1] | {"resource": changed}

    statuses = [[one["response"]["status"][:3] for one in a["entry"]] for a in answers]
    assert statuses == [["201", "201"], ["200", "200"], ["200", "200"]]
    assert (await client.get(address)).json()["status"] == "accepted"
    assert (await client.post("", json=bundle)).status_code == 409


async def test_a_second_open_referral_to_a_specialty_says_why(client, freely):
    eyes, heart = ({"performerType": {"text": text}} for text in ("眼科", "心内科"))
    await stored(freely, ORDER | eyes, ORDER | eyes | {"id": "second"})
    await stored(freely, ORDER | heart | {"id": "other"})
    assert await refused(client) == (201, "")
    second = TASK | {"id": "b", "focus": {"reference": "ServiceRequest/second"}}
    other = TASK | {"id": "c", "focus": {"reference": "ServiceRequest/other"}}
    why = second | {"reasonCode": {"text": "另一眼"}}

    answers = [await client.put(f"Task/{one['id']}", json=one) for one in (second, other, why)]

    assert [one.status_code for one in answers] == [409, 201, 201]
    assert "已有同一专科" in answers[0].json()["issue"][0]["details"]["text"]


async def test_an_order_that_replaces_the_first_needs_no_reason(client, freely):
    replaces = {"id": "second", "replaces": [{"reference": "ServiceRequest/order"}]}
    await stored(freely, ORDER | replaces)
    assert await refused(client) == (201, "")
    second = TASK | {"id": "b", "focus": {"reference": "ServiceRequest/second"}}

    assert (await client.put("Task/b", json=second)).status_code == 201


@pytest.mark.parametrize(
    ("status", "end", "answer"),
    [
        ("requested", "2024-02-28T00:00:00+08:00", (422, "expired")),
        ("accepted", "2024-02-28T00:00:00+08:00", (422, "expired")),
        ("accepted", "2024-03-28T00:00:00+08:00", (200, "")),
    ],
)
async def test_nothing_is_asked_or_accepted_after_the_deadline(client, freely, status, end, answer):
    late = {"restriction": {"period": {"end": end}}}
    if status == "accepted":
        await freely.put("Task/task", json=in_state("received", **late))

    assert await refused(client, in_state(status, **late)) == answer
