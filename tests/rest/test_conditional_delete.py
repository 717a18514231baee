"""Conditional delete, as a client sees it: one, several, none, all or nothing.

Spec: https://hl7.org/fhir/R4/http.html#3.1.0.7.1
"""

import asyncio

import pytest


def patient(number, value="x"):
    return {
        "resourceType": "Patient",
        "id": f"p{number}",
        "identifier": [{"system": "urn:a", "value": value}],
    }


@pytest.fixture
async def stored(client):
    for number, value in enumerate("xxy"):
        await client.put(f"Patient/p{number}", json=patient(number, value))


async def left(client):
    entries = (await client.get("Patient")).json().get("entry", [])
    return [entry["resource"]["id"] for entry in entries]


@pytest.mark.parametrize(
    ("address", "headers", "status", "ids"),
    [
        ("Patient?identifier=urn:a|x", {}, 204, ["p2"]),
        ("Patient?identifier=urn:a|y", {}, 204, ["p0", "p1"]),
        ("Patient?identifier=urn:a|z", {}, 204, ["p0", "p1", "p2"]),
        ("Patient?identifier=urn:a|y", {"If-Match": 'W/"1"'}, 204, ["p0", "p1"]),
        ("Patient?identifier=urn:a|y", {"If-Match": 'W/"2"'}, 412, ["p0", "p1", "p2"]),
        ("Patient?identifier=urn:a|x", {"If-Match": 'W/"1"'}, 412, ["p0", "p1", "p2"]),
        ("Patient", {}, 400, ["p0", "p1", "p2"]),
        ("Patient?colour=red", {}, 400, ["p0", "p1", "p2"]),
        ("Nothing?identifier=x", {}, 404, ["p0", "p1", "p2"]),
    ],
)
@pytest.mark.usefixtures("stored")
async def test_what_the_criteria_find_is_deleted(client, address, headers, status, ids):
    answer = await client.delete(address, headers=headers)

    assert answer.status_code == status, answer.text
    assert await left(client) == ids


def entry(method, url, resource=None):
    made = {"request": {"method": method, "url": url}}
    return made | ({"resource": resource} if resource else {})


@pytest.mark.usefixtures("stored")
async def test_a_transaction_deletes_by_criteria_before_it_creates(client):
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            entry("POST", "Patient", patient("")),
            entry("DELETE", "Patient?identifier=urn:a|x"),
            entry("DELETE", "Patient?identifier=urn:a|none"),
        ],
    }
    answer = await client.post("", json=bundle)

    assert answer.status_code == 200, answer.text
    statuses = [one["response"]["status"] for one in answer.json()["entry"]]
    assert statuses == ["201 Created", "204 No Content", "204 No Content"]
    assert await left(client) == ["p2", "a1"]


@pytest.mark.parametrize(
    ("entries", "status"),
    [
        ([entry("DELETE", "Patient/p0?identifier=urn:a|x")], 422),
        ([entry("DELETE", "Patient?identifier=urn:a|x"), entry("DELETE", "Patient/p0")], 400),
        ([entry("DELETE", "Patient?colour=red")], 400),
    ],
)
@pytest.mark.usefixtures("stored")
async def test_a_transaction_that_cannot_delete_so_changes_nothing(client, entries, status):
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = await client.post("", json=bundle)

    assert answer.status_code == status, answer.text
    assert await left(client) == ["p0", "p1", "p2"]


@pytest.mark.usefixtures("stored")
async def test_many_who_delete_the_same_at_once_all_succeed(client):
    answers = await asyncio.gather(
        *(client.delete("Patient?identifier=urn:a|x") for _ in range(20))
    )

    assert {answer.status_code for answer in answers} == {204}
    assert await left(client) == ["p2"]
