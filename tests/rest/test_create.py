"""The create interaction, as a client sees it.

Spec: https://hl7.org/fhir/R4/http.html#create
"""

import asyncio

import pytest


async def test_create_answers_a_new_logical_id_and_version_1(client):
    answer = await client.post("Patient", json={"resourceType": "Patient", "id": "mine"})

    assert answer.status_code == 201
    assert answer.headers["ETag"] == 'W/"1"'
    assert answer.headers["Location"] == "http://hub.test/fhir/Patient/a1/_history/1"
    assert answer.headers["Last-Modified"] == "Thu, 29 Feb 2024 10:00:00 GMT"
    assert answer.headers["Content-Type"] == "application/fhir+json; charset=utf-8"
    assert answer.json() == {
        "resourceType": "Patient",
        "id": "a1",
        "meta": {"versionId": "1", "lastUpdated": "2024-02-29T10:00:00Z"},
    }


async def test_create_keeps_every_digit_and_the_clients_own_meta(client):
    sent = (
        b'{"resourceType":"Observation","meta":{"tag":[{"code":"x"}]},"status":"final",'
        b'"code":{"text":"c"},"valueQuantity":{"value":72.50}}'
    )

    answer = await client.post("Observation", content=sent)

    assert b'"value":72.50' in answer.content
    assert answer.json()["meta"]["tag"] == [{"code": "x"}]
    assert answer.content == (await client.get("Observation/a1")).content


@pytest.mark.parametrize(
    ("body", "code", "expression"),
    [
        pytest.param(b'{"resourceType":"Observation"}', "invalid", "resourceType", id="type"),
        pytest.param(b"{", "invalid", None, id="not JSON"),
        pytest.param(b"", "invalid", None, id="empty"),
        pytest.param(b"[1]", "invalid", None, id="a list"),
        pytest.param(b'{"resourceType":"Patient","id":"\xff"}', "invalid", None, id="UTF-8"),
        pytest.param(b"[" * 3000 + b"]" * 3000, "invalid", None, id="3,000 deep"),
        pytest.param(
            b'{"resourceType":"Patient","active":true,"active":false}',
            "invalid",
            None,
            id="a key twice",
        ),
    ],
)
async def test_create_refuses_what_is_no_patient(client, body, code, expression):
    answer = await client.post("Patient", content=body)

    issue = answer.json()["issue"][0]
    found = issue.get("expression", [None])[0]
    assert (answer.status_code, issue["code"], found) == (400, code, expression)


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("meta", "boo"),
        ("active", "true"),
        ("name", []),
        ("name", {"family": "x"}),
        ("birthDate", "1953-02-30"),
        ("gender", "girl"),
        ("colour", "red"),
        ("id", 1),
        ("text", {"status": "generated", "div": "<script/>"}),
    ],
)
async def test_create_names_the_element_that_is_wrong(client, element, value):
    answer = await client.post("Patient", json={"resourceType": "Patient", element: value})

    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"][0].startswith(f"Patient.{element}")


@pytest.mark.parametrize(
    ("preference", "shown"),
    [("minimal", None), ("representation", "Patient"), ("OperationOutcome", "OperationOutcome")],
)
async def test_prefer_return_decides_the_body(client, preference, shown):
    answer = await client.post(
        "Patient",
        json={"resourceType": "Patient"},
        headers={"Prefer": f"handling=strict; return={preference}"},
    )

    assert answer.status_code == 201
    assert (answer.json()["resourceType"] if answer.content else None) == shown


async def test_if_none_exist_creates_once_and_then_answers_what_is_there(client):
    patient = {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "1"}]}
    asked = {"If-None-Exist": "identifier=urn:x|1"}

    first = await client.post("Patient", json=patient, headers=asked)
    second = await client.post("Patient", json=patient, headers=asked)

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.headers["Location"] == first.headers["Location"]


async def test_if_none_exist_with_two_matches_is_refused(client):
    patient = {"resourceType": "Patient", "identifier": [{"value": "1"}]}
    for _ in range(2):
        await client.post("Patient", json=patient)

    answer = await client.post("Patient", json=patient, headers={"If-None-Exist": "identifier=1"})

    assert answer.status_code == 412


@pytest.mark.parametrize("criteria", ["identifer=1", "identifier:nope=1", "birthdate=never", ""])
async def test_if_none_exist_reads_its_criteria_strictly(client, criteria):
    answer = await client.post(
        "Patient",
        json={"resourceType": "Patient"},
        headers={"If-None-Exist": criteria, "Prefer": "handling=lenient"},
    )

    assert answer.status_code == 400


async def test_200_clients_that_want_the_same_patient_make_one(client):
    patient = {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "1"}]}
    asked = {"If-None-Exist": "identifier=urn:x|1"}

    answers = await asyncio.gather(
        *(client.post("Patient", json=patient, headers=asked) for _ in range(200))
    )

    assert sorted(answer.status_code for answer in answers) == [200] * 199 + [201]
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert (await client.get("Patient?_total=accurate")).json()["total"] == 1
