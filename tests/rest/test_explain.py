"""`_explain=true`: the plan of a search and what the store makes of it, instead of results."""

import pytest

SECRET = "沈桂芳"
QUERY = {
    "name": SECRET,
    "identifier": "urn:oid:2.16.156.10011.1.3|310229195304129989",
    "birthdate": "ge1953-04-12",
    "_has:Observation:patient:value-quantity": "gt9.8|http://unitsofmeasure.org|g",
    "general-practitioner:Organization.name:contains": SECRET,
    "_filter": f'not (family eq "{SECRET}") and gender ne female',
    "_sort": "-birthdate,name",
    "_explain": "true",
}


@pytest.fixture
async def patient(client):
    body = {"resourceType": "Patient", "name": [{"text": SECRET}], "birthDate": "1953-04-12"}
    assert (await client.post("Patient", json=body)).status_code == 201


def parts(answer):
    assert answer.status_code == 200, answer.text
    assert answer.json()["resourceType"] == "Parameters"
    found = {}
    for one in answer.json()["parameter"]:
        found.setdefault(one["name"], []).append(one.get("valueString") or one["part"])
    return found


@pytest.mark.usefixtures("patient")
async def test_the_plan_and_the_statements_are_shown(client):
    found = parts(
        await client.get("Patient?name=x&birthdate=gt1950&_sort=-birthdate&_explain=true")
    )
    assert found["types"] == ["Patient"]
    assert found["plan"] == [
        "all of\n  name (string): starts\n  birthdate (date): high > ?",
    ]
    assert found["order"] == ["-birthdate (date), creation"]
    texts = [part["valueString"] for part in found["statement"][0]]
    assert texts[0].startswith(("SELECT ", "[{$match: ", "every resource"))
    if texts[0].startswith("SELECT "):
        assert len(texts) > 1
        assert any("SEARCH" in line for line in texts[1:])


@pytest.mark.usefixtures("patient")
async def test_no_value_is_shown(client):
    for answer in (
        await client.get("Patient", params=QUERY),
        await client.post("Patient/_search", data=QUERY),
        await client.post("Patient/_search?_sort=_id", data=QUERY),
    ):
        assert "refers by general-practitioner" in parts(answer)["plan"][0]
        for value in (SECRET, "310229195304129989", "1953", "-529", "9.8", "2.16.156", "shen"):
            assert value not in answer.text, value


@pytest.mark.usefixtures("patient")
async def test_every_level_explains(client):
    assert parts(await client.get("?_id=a1&_explain=true"))["types"] == ["all types"]
    found = parts(await client.get("?_type=Patient,List&_id=a1&_explain=true"))
    assert found["types"] == ["Patient, List"]
    found = parts(await client.get("Patient/a1/Observation?_explain=true"))
    assert "subject (reference): equal code" in found["plan"][0]
    found = parts(await client.get("Patient?_count=0&_explain=true"))
    assert "count" in found["statement"][0][0]["valueString"].lower() or "every" in str(found)


@pytest.mark.usefixtures("patient")
async def test_what_is_explained_must_be_right(client):
    assert (await client.get("Patient?nmae=x&_explain=true")).status_code == 400
    assert (await client.get("Patient?_explain=yes")).status_code == 400
    assert (await client.get("Patient?_explain=false")).json()["resourceType"] == "Bundle"
