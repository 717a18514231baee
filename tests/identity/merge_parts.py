"""Two records of one person, what refers to them, and what a client asks of them."""

import copy

RESIDENT = "urn:oid:2.16.156.10011.1.3"
LOCAL = "https://fhir-hub.example/sid/SHTH01/patient-id"
ONE, OTHER = "310229195304129989", "310229194811059976"
SHEN = {
    "resourceType": "Patient",
    "name": [{"text": "沈桂芳"}],
    "gender": "female",
    "birthDate": "1953-04-12",
    "telecom": [{"system": "phone", "value": "13916123456"}],
}


def shen(logical_id, *numbers, **more):
    """Return a record of hers; a number is a pair of system and value."""
    identifiers = [{"system": system, "value": value} for system, value in numbers]
    given = {"identifier": identifiers} if identifiers else {}
    return copy.deepcopy(SHEN) | {"id": logical_id} | given | more


def observation(logical_id, patient):
    return {
        "resourceType": "Observation",
        "id": logical_id,
        "status": "final",
        "code": {"text": "HbA1c"},
        "subject": {"reference": f"Patient/{patient}"},
        "performer": [{"reference": f"Patient/{patient}"}],
    }


def parameters(**given):
    rows = []
    for name, value in given.items():
        name = name.replace("_", "-")
        if isinstance(value, bool):
            rows.append({"name": name, "valueBoolean": value})
        elif isinstance(value, str):
            rows.append({"name": name, "valueReference": {"reference": value}})
        elif "resourceType" in value:
            rows.append({"name": name, "resource": value})
        else:
            rows.append({"name": name, "valueIdentifier": value})
    return {"resourceType": "Parameters", "parameter": rows}


async def put(client, *resources):
    for one in resources:
        answer = await client.put(f"{one['resourceType']}/{one['id']}", json=one)
        assert answer.status_code in (200, 201), answer.text


async def read(client, address):
    answer = await client.get(address)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def tasks(client):
    """Return the Tasks of the review list."""
    query = "Task?code=https://fhir-hub.example/CodeSystem/identity-review|possible-duplicate"
    return [one["resource"] for one in (await read(client, query)).get("entry", [])]
