"""Searches within a compartment, as a client sees them.

Spec: https://hl7.org/fhir/R4/http.html#vsearch
"""

import pytest


@pytest.fixture
async def stored(client):
    for number, patient in enumerate("ppq"):
        await client.put(f"Patient/{patient}", json={"resourceType": "Patient", "id": patient})
        observation = {
            "resourceType": "Observation",
            "id": f"o{number}",
            "status": "final" if number else "preliminary",
            "code": {"text": "c"},
            "subject": {"reference": f"Patient/{patient}"},
        }
        await client.put(f"Observation/o{number}", json=observation)


@pytest.mark.parametrize(
    ("address", "ids"),
    [
        ("Patient/p/Observation", ["o0", "o1"]),
        ("Patient/p/Observation?status=final", ["o1"]),
        ("Patient/p/Observation?_count=1", ["o0"]),
        ("Patient/q/Observation", ["o2"]),
        ("Patient/nobody/Observation", []),
        ("Patient/p/Patient", ["p"]),
        ("Patient/p/Condition", []),
        ("Patient/p/*", ["p", "o0", "o1"]),
        ("Patient/p/*?_id=o1,o2,q", ["o1"]),
        ("Patient/p/*?_sort=-_id", ["p", "o1", "o0"]),
        ("Patient/nobody/*", []),
        ("Encounter/p/*", []),
    ],
)
@pytest.mark.usefixtures("stored")
async def test_a_compartment_is_searched_alone(client, address, ids):
    bundle = (await client.get(address)).json()

    assert [entry["resource"]["id"] for entry in bundle.get("entry", [])] == ids
    assert bundle["link"][0]["url"] == f"http://hub.test/fhir/{address}"


@pytest.mark.usefixtures("stored")
async def test_a_compartment_is_searched_by_post_and_page_by_page(client):
    for member, first, second, number in (("Observation", "o0", "o1", 2), ("*", "p", "o0", 3)):
        form = {"_count": "1", "_total": "accurate"}
        bundle = (await client.post(f"Patient/p/{member}/_search", data=form)).json()
        following = {link["relation"]: link["url"] for link in bundle["link"]}["next"]

        assert (bundle["total"], bundle["entry"][0]["resource"]["id"]) == (number, first)
        assert (await client.get(following)).json()["entry"][0]["resource"]["id"] == second


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("Patient/p/Nothing", 404),
        ("Patient/p/ValueSet", 404),
        ("Observation/o0/Patient", 404),
        ("Nothing/p/Observation", 404),
        ("Patient/p/Observation/o0", 404),
        ("Patient/p/Observation?colour=red", 400),
        ("Patient/p/*?status=final", 400),
        ("Observation/o0/*", 404),
    ],
)
async def test_what_is_no_compartment_is_refused(client, address, status):
    answer = await client.get(address)

    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"
