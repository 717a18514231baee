"""`$meta`, `$meta-add` and `$meta-delete`, as a client sees them.

Spec: https://hl7.org/fhir/R4/resource-operation-meta.html
"""

import pytest

HIV = {"system": "urn:sensitivity", "code": "HIV"}
DIABETES = {"system": "urn:programme", "code": "DM"}
PROFILE = "http://example.org/StructureDefinition/resident"


def labels(**meta):
    return {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": meta}]}


def meta_of(answer):
    assert answer.status_code == 200, answer.text
    [row] = answer.json()["parameter"]
    assert row["name"] == "return"
    return row["valueMeta"]


@pytest.fixture
async def patient(client):
    body = {"resourceType": "Patient", "id": "p", "meta": {"tag": [DIABETES]}}
    assert (await client.put("Patient/p", json=body)).status_code == 201


@pytest.mark.usefixtures("patient")
async def test_labels_are_added_once_and_make_a_version(client):
    added = meta_of(
        await client.post(
            "Patient/p/$meta-add", json=labels(security=[HIV], tag=[DIABETES], profile=[PROFILE])
        )
    )

    assert (added["versionId"], added["security"]) == ("2", [HIV])
    assert (added["tag"], added["profile"]) == ([DIABETES], [PROFILE])
    again = await client.post("Patient/p/$meta-add", json=labels(tag=[DIABETES]))
    assert (meta_of(again)["versionId"], again.headers["ETag"]) == ("2", 'W/"2"')


@pytest.mark.usefixtures("patient")
async def test_labels_are_taken_away_and_others_stay(client):
    await client.post("Patient/p/$meta-add", json=labels(security=[HIV]))
    left = meta_of(await client.post("Patient/p/$meta-delete", json=labels(tag=[DIABETES, HIV])))

    assert "tag" not in left
    assert left["security"] == [HIV]
    assert (await client.get("Patient?_security=HIV&_summary=count")).json()["total"] == 1
    assert (await client.get("Patient?_tag=DM&_summary=count")).json()["total"] == 0


@pytest.mark.usefixtures("patient")
async def test_meta_is_that_of_an_instance_or_a_version(client):
    await client.post("Patient/p/$meta-add", json=labels(security=[HIV]))

    assert meta_of(await client.get("Patient/p/$meta"))["versionId"] == "2"
    first = meta_of(await client.get("Patient/p/_history/1/$meta"))
    assert (first["versionId"], first["tag"]) == ("1", [DIABETES])
    assert "security" not in first


@pytest.mark.usefixtures("patient")
async def test_meta_of_a_type_or_of_all_lists_the_labels_in_use(client):
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": "c"}}
    await client.post("Observation", json=observation | {"meta": {"security": [HIV]}})

    assert meta_of(await client.get("Patient/$meta")) == {"tag": [DIABETES]}
    assert meta_of(await client.get("$meta")) == {"security": [HIV], "tag": [DIABETES]}
    assert meta_of(await client.get("Encounter/$meta")) == {}


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    ("method", "address", "body", "status"),
    [
        ("POST", "Patient/p/$meta-add", labels(), 400),
        ("POST", "Patient/p/$meta-add", labels(tag="x"), 400),
        ("POST", "Patient/p/$meta-add", labels(profile=[{}]), 400),
        ("POST", "Patient/p/$meta-add", labels(tag=[{"code": 5}]), 400),
        ("POST", "Patient/p/$meta-add", {"resourceType": "Patient"}, 400),
        ("POST", "Patient/p/$meta-add", {"resourceType": "Parameters", "parameter": []}, 400),
        ("POST", "Patient/p/$meta-add", {"resourceType": "Parameters", "parameter": [1]}, 400),
        (
            "POST",
            "Patient/p/$meta-add",
            {"resourceType": "Parameters", "parameter": [{"name": "meta"}]},
            400,
        ),
        ("POST", "Patient/never/$meta-add", labels(tag=[HIV]), 404),
        ("GET", "Patient/never/$meta", None, 404),
        ("GET", "Patient/p/_history/x/$meta", None, 404),
        ("GET", "Patient/p/$meta?x=1", None, 400),
        ("GET", "Nothing/$meta", None, 404),
        ("DELETE", "Patient/p/$meta", None, 405),
    ],
)
async def test_what_cannot_be_done_is_refused(client, method, address, body, status):
    answer = await client.request(method, address, json=body)

    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.usefixtures("patient")
async def test_a_stale_if_match_changes_nothing(client):
    answer = await client.post(
        "Patient/p/$meta-add", json=labels(tag=[HIV]), headers={"If-Match": 'W/"7"'}
    )

    assert answer.status_code == 412
    assert meta_of(await client.get("Patient/p/$meta"))["versionId"] == "1"
