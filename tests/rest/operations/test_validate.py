"""`$validate`, as a client sees it.

Spec: https://hl7.org/fhir/R4/resource-operation-validate.html
"""

import pytest

GOOD = {"resourceType": "Patient", "gender": "female"}
BAD = {"resourceType": "Patient", "gender": "girl", "birthDate": "1999-02-30"}


def asked(resource=None, **values):
    rows = [{"name": name, "valueCode": value} for name, value in values.items()]
    if resource:
        rows.append({"name": "resource", "resource": resource})
    return {"resourceType": "Parameters", "parameter": rows}


def issues_of(answer):
    assert answer.status_code == 200, answer.text
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    return [(i["severity"], i.get("expression", [""])[0]) for i in outcome["issue"]]


FINE = [("information", "")]


async def test_a_valid_resource_has_no_problem_and_is_not_stored(client):
    assert issues_of(await client.post("Patient/$validate", json=GOOD)) == FINE
    assert (
        issues_of(await client.post("Patient/$validate", json=asked(GOOD, mode="create"))) == FINE
    )
    assert (await client.get("Patient?_summary=count")).json()["total"] == 0


async def test_every_problem_is_named_with_its_place(client):
    found = issues_of(await client.post("Patient/$validate", json=BAD))

    assert sorted(found) == [("error", "Patient.birthDate"), ("error", "Patient.gender")]


async def test_an_update_needs_the_id_of_its_address(client):
    with_id = GOOD | {"id": "p"}

    right = await client.post("Patient/p/$validate", json=asked(with_id, mode="update"))
    wrong = await client.post("Patient/q/$validate", json=asked(with_id, mode="update"))

    assert issues_of(right) == FINE
    assert issues_of(wrong) == [("error", "Patient.id")]


async def test_what_is_stored_can_be_validated_and_let_go(client):
    await client.put("Patient/p", json=GOOD | {"id": "p"})

    assert issues_of(await client.get("Patient/p/$validate")) == FINE
    assert issues_of(await client.get("Patient/p/$validate?mode=delete")) == FINE
    assert (await client.get("Patient/p")).status_code == 200


async def test_a_profile_that_nobody_knows_is_an_error_and_not_passed_over(client):
    base = "http://hl7.org/fhir/StructureDefinition/"
    known = await client.post("Patient/$validate", json=asked(GOOD, profile=f"{base}Patient|4.0.1"))
    unknown = await client.post("Patient/$validate", json=asked(GOOD, profile="urn:mine"))

    assert issues_of(known) == FINE
    assert issues_of(unknown) == [("error", "")]


async def test_a_resource_is_held_against_the_profile_that_is_asked(client):
    pressure = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    profile = "http://hl7.org/fhir/StructureDefinition/bp"

    asked_for = await client.post(f"Observation/$validate?profile={profile}", json=pressure)
    claimed = await client.post(
        "Observation/$validate", json=pressure | {"meta": {"profile": [profile]}}
    )

    assert ("error", "Observation.component") in issues_of(asked_for)
    assert issues_of(asked_for) == issues_of(claimed)
    text = asked_for.json()["issue"][0]["details"]["text"]
    assert text.startswith(asked_for.json()["issue"][0]["diagnostics"] + " / 请")


@pytest.mark.parametrize(
    ("address", "body", "status"),
    [
        ("Patient/$validate", asked(mode="create"), 400),
        ("Patient/$validate", asked(GOOD, mode="maybe"), 400),
        ("Patient/$validate", asked(GOOD, mode="update"), 400),
        ("Patient/$validate", asked(GOOD, colour="red"), 400),
        ("Patient/$validate", asked(GOOD, mode=5), 400),
        ("Patient/$validate", [], 400),
        ("Patient/never/$validate", asked(GOOD), 404),
        ("Nothing/$validate", GOOD, 404),
    ],
)
async def test_what_cannot_be_asked_is_refused(client, address, body, status):
    answer = await client.post(address, json=body)

    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"


async def test_a_resource_of_another_type_is_a_problem(client):
    found = issues_of(await client.post("Observation/$validate", json=GOOD))

    assert ("error", "resourceType") in found
