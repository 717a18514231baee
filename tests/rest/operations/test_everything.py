"""`$everything`, as a client sees it.

Spec: https://hl7.org/fhir/R4/patient-operation-everything.html
"""

import pytest


def observation(number, patient="p", **more):
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"text": "c"},
        "subject": {"reference": f"Patient/{patient}"},
        "performer": [{"reference": "Organization/centre"}],
    } | more


@pytest.fixture
async def record(client, clock):
    """Patient p with an encounter, three observations and what they refer to; Patient q apart."""
    resources = [
        {"resourceType": "Organization", "id": "centre", "name": "C"},
        {"resourceType": "Organization", "id": "other", "name": "O"},
        {"resourceType": "Patient", "id": "p"},
        {
            "resourceType": "Patient",
            "id": "q",
            "managingOrganization": {"reference": "Organization/other"},
        },
        {
            "resourceType": "Encounter",
            "id": "e",
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": {"reference": "Patient/p"},
        },
        observation(1, effectiveDateTime="2024-01-01"),
        observation(2, effectiveDateTime="2024-02-01", encounter={"reference": "Encounter/e"}),
        observation(3, hasMember=[{"reference": "Observation/o1"}]),
        observation(4, patient="q"),
    ]
    for resource in resources:
        address = f"{resource['resourceType']}/{resource['id']}"
        assert (await client.put(address, json=resource)).status_code == 201, address
        clock.tick()


async def walk(client, address):
    """Return the ids of matches and of includes over all pages, and the number of pages."""
    matches, includes, pages = [], [], 0
    while address:
        answer = await client.get(address)
        assert answer.status_code == 200, answer.text
        bundle = answer.json()
        for entry in bundle.get("entry", []):
            resource = entry["resource"]
            found = matches if entry["search"]["mode"] == "match" else includes
            found.append(f"{resource['resourceType']}/{resource['id']}")
        address = {link["relation"]: link["url"] for link in bundle["link"]}.get("next")
        pages += 1
    return matches, includes, pages


ALL = ["Patient/p", "Encounter/e", "Observation/o1", "Observation/o2", "Observation/o3"]


@pytest.mark.usefixtures("record")
async def test_a_patient_comes_with_the_compartment_and_what_it_refers_to(client):
    matches, includes, pages = await walk(client, "Patient/p/$everything")

    assert (matches, includes, pages) == (ALL, ["Organization/centre"], 1)
    bundle = (await client.get("Patient/p/$everything")).json()
    assert (bundle["type"], bundle["total"]) == ("searchset", 5)


@pytest.mark.usefixtures("record")
async def test_nothing_of_another_patient_comes_but_a_linked_record(client):
    """A Provenance of both may stand in the record: of a merge that was undone."""
    linked = {
        "resourceType": "Patient",
        "id": "p",
        "link": [{"other": {"reference": "Patient/old"}, "type": "replaces"}],
    }
    provenance = {
        "resourceType": "Provenance",
        "id": "v",
        "target": [{"reference": one} for one in ("Patient/p", "Patient/q", "Observation/o4")],
        "recorded": "2024-03-01T00:00:00Z",
        "agent": [{"who": {"reference": "Organization/other"}}],
    }
    old = {"resourceType": "Patient", "id": "old", "active": False}
    for resource in (old, linked, provenance):
        address = f"{resource['resourceType']}/{resource['id']}"
        assert (await client.put(address, json=resource)).status_code in (200, 201), address

    matches, includes, _ = await walk(client, "Patient/p/$everything")

    assert matches == [*ALL, "Provenance/v"]
    assert sorted(includes) == ["Organization/centre", "Organization/other", "Patient/old"]
    _, includes, _ = await walk(client, "Encounter/e/$everything")
    assert sorted(includes) == ["Organization/centre", "Patient/p"]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.usefixtures("record")
async def test_pages_show_every_member_once(client, count):
    matches, includes, pages = await walk(client, f"Patient/p/$everything?_count={count}")

    assert matches == ALL
    assert set(includes) == {"Organization/centre"}
    assert pages >= len(ALL) // count


async def test_what_is_referred_to_by_its_versions_comes_once(client, record):
    for number in (5, 6):
        versioned = {"reference": f"Organization/centre/_history/{number - 4}"}
        body = observation(number, performer=[versioned])
        await client.put("Organization/centre", json=_centre(number))
        assert (await client.put(f"Observation/o{number}", json=body)).status_code == 201

    entries = (await client.get("Patient/p/$everything")).json()["entry"]

    addresses = [one["fullUrl"] for one in entries]
    assert len(addresses) == len(set(addresses))


def _centre(number):
    return {"resourceType": "Organization", "id": "centre", "name": f"C{number}"}


@pytest.mark.usefixtures("record")
async def test_an_encounter_comes_with_its_compartment_and_its_patient(client):
    matches, includes, _ = await walk(client, "Encounter/e/$everything")

    assert matches == ["Encounter/e", "Observation/o2"]
    assert sorted(includes) == ["Organization/centre", "Patient/p"]


@pytest.mark.parametrize(
    ("query", "matches", "includes"),
    [
        ("_type=Observation", ALL[2:], []),
        ("_type=Observation,Organization", ALL[2:], ["Organization/centre"]),
        ("_type=Observation&_type=Encounter", ALL[1:], []),
        ("_since=2024-02-29T10:00:06Z", ALL[3:], []),
        ("start=2024-02-01", ["Patient/p", "Encounter/e", *ALL[3:]], ["Organization/centre"]),
        ("end=2024-01-15", ["Patient/p", "Encounter/e", ALL[2], ALL[4]], ["Organization/centre"]),
        ("start=2024-01-01&end=2024-01-01&_type=Observation", [ALL[2], ALL[4]], []),
    ],
)
@pytest.mark.usefixtures("record")
async def test_types_and_times_narrow_it(client, query, matches, includes):
    assert (await walk(client, f"Patient/p/$everything?{query}"))[:2] == (matches, includes)


@pytest.mark.usefixtures("record")
async def test_parameters_may_come_in_the_body(client):
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "_type", "valueCode": "Observation"},
            {"name": "_count", "valueInteger": 2},
        ],
    }
    bundle = (await client.post("Patient/p/$everything", json=body)).json()

    assert [entry["resource"]["id"] for entry in bundle["entry"]] == ["o1", "o2"]
    following = {link["relation"]: link["url"] for link in bundle["link"]}["next"]
    assert [e["resource"]["id"] for e in (await client.get(following)).json()["entry"]] == ["o3"]


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("Patient/never/$everything", 404),
        ("Observation/o1/$everything", 404),
        ("Patient/p/$everything?_type=Nothing", 400),
        ("Patient/p/$everything?_since=soon", 400),
        ("Patient/p/$everything?_count=0", 400),
        ("Patient/p/$everything?_count=x", 400),
        ("Patient/p/$everything?name=x", 400),
        ("Patient/p/$everything?start=2024&start=2025", 400),
        ("Patient/p/$everything?_cursor=x", 400),
        ("Encounter/e/$everything?start=2024", 400),
    ],
)
@pytest.mark.usefixtures("record")
async def test_what_cannot_be_asked_is_refused(client, address, status):
    answer = await client.get(address)

    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.usefixtures("record")
async def test_a_deleted_patient_has_nothing(client):
    for name in reversed(ALL):
        assert (await client.delete(name)).status_code == 204

    assert (await client.get("Patient/p/$everything")).status_code == 410
