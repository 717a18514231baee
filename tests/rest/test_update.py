"""Update and delete, as a client sees them.

Spec: https://hl7.org/fhir/R4/http.html#update and #delete
"""

import asyncio
from email.utils import formatdate

import pytest

PATIENT = {"resourceType": "Patient", "id": "p"}


async def test_an_update_makes_the_next_version(client, clock):
    await client.put("Patient/p", json=PATIENT)
    clock.tick()
    answer = await client.put("Patient/p", json=PATIENT | {"active": True})

    assert (answer.status_code, answer.headers["ETag"]) == (200, 'W/"2"')
    assert answer.json()["meta"] == {"versionId": "2", "lastUpdated": "2024-02-29T10:00:01Z"}


async def test_an_update_creates_under_the_id_that_the_client_chose(client):
    answer = await client.put("Patient/p", json=PATIENT)

    assert answer.status_code == 201
    assert answer.headers["Location"] == "http://hub.test/fhir/Patient/p/_history/1"


async def test_an_update_that_changes_nothing_makes_no_version(client):
    await client.put("Patient/p", json=PATIENT | {"active": True})
    answer = await client.put(
        "Patient/p", json=PATIENT | {"active": True, "meta": {"versionId": "9"}}
    )

    assert (answer.status_code, answer.headers["ETag"]) == (200, 'W/"1"')


async def test_a_digit_more_is_a_change(client):
    base = b'{"resourceType":"Observation","id":"o","status":"final","code":{"text":"c"}'
    await client.put("Observation/o", content=base + b',"valueQuantity":{"value":1.1}}')
    answer = await client.put("Observation/o", content=base + b',"valueQuantity":{"value":1.10}}')

    assert answer.headers["ETag"] == 'W/"2"'


async def test_a_deleted_resource_can_be_brought_back(client):
    await client.put("Patient/p", json=PATIENT)
    await client.delete("Patient/p")
    answer = await client.put("Patient/p", json=PATIENT)

    assert (answer.status_code, answer.headers["ETag"]) == (201, 'W/"3"')
    assert (await client.get("Patient/p")).status_code == 200


@pytest.mark.parametrize(
    ("if_match", "status"),
    [
        ('W/"1"', 200),
        ('"1"', 200),
        ("1", 200),
        ('W/"2"', 412),
        ('W/"0"', 412),
        ("some", 400),
        ("*", 200),
        ('W/"7", W/"1"', 200),
        ('"7", "8"', 412),
        ('*, "1"', 400),
        ('W/"1",', 400),
    ],
)
async def test_if_match_must_name_the_current_version(client, if_match, status):
    await client.put("Patient/p", json=PATIENT)

    answer = await client.put(
        "Patient/p", json=PATIENT | {"active": True}, headers={"If-Match": if_match}
    )

    assert answer.status_code == status


@pytest.mark.parametrize(
    "headers",
    [{"If-Match": 'W/"1"'}, {"If-Match": "*"}, {"If-Unmodified-Since": formatdate(usegmt=True)}],
)
@pytest.mark.parametrize("was_deleted", [False, True])
async def test_a_condition_on_what_is_not_there_is_refused(client, headers, was_deleted):
    if was_deleted:
        await client.put("Patient/p", json=PATIENT)
        await client.delete("Patient/p")

    answer = await client.put("Patient/p", json=PATIENT, headers=headers)

    assert answer.status_code == 412


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Unmodified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"}, 412),
        ({"If-Unmodified-Since": "Fri, 31 Dec 2100 00:00:00 GMT"}, 200),
        ({"If-Unmodified-Since": "no date"}, 200),
        ({"If-Unmodified-Since": "Sat, 01 Jan 2000 00:00:00 GMT", "If-Match": "*"}, 200),
    ],
)
async def test_what_was_modified_since_is_not_written_over(client, headers, status):
    made = await client.put("Patient/p", json=PATIENT)

    unchanged = await client.put(
        "Patient/p",
        json=PATIENT | {"active": True},
        headers={"If-Unmodified-Since": made.headers["Last-Modified"]},
    )
    answer = await client.put("Patient/p", json=PATIENT | {"active": False}, headers=headers)

    assert (unchanged.status_code, answer.status_code) == (200, status)


async def test_of_50_clients_with_the_same_if_match_one_wins(client):
    await client.put("Patient/p", json=PATIENT)

    answers = await asyncio.gather(
        *(
            client.put(
                "Patient/p",
                json=PATIENT | {"name": [{"family": str(number)}]},
                headers={"If-Match": 'W/"1"'},
            )
            for number in range(50)
        )
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 49


async def test_50_clients_without_if_match_all_write_and_no_version_is_lost(client):
    answers = await asyncio.gather(
        *(
            client.put("Patient/p", json=PATIENT | {"name": [{"family": str(number)}]})
            for number in range(50)
        )
    )

    versions = {answer.headers["ETag"] for answer in answers}
    assert versions == {f'W/"{number}"' for number in range(1, 51)}
    assert (await client.get("Patient/p/_history")).json()["total"] == 50


@pytest.mark.parametrize(
    ("address", "body"),
    [
        ("Patient/q", PATIENT),
        ("Patient/p", {"resourceType": "Patient"}),
        ("Patient/p", {"resourceType": "Observation", "id": "p"}),
        ("Patient/p_q", PATIENT | {"id": "p_q"}),
        ("Patient/" + "p" * 65, PATIENT | {"id": "p" * 65}),
    ],
)
async def test_the_address_and_the_body_must_agree(client, address, body):
    assert (await client.put(address, json=body)).status_code == 400


async def test_delete_says_the_version_and_is_idempotent(client):
    await client.put("Patient/p", json=PATIENT)

    first = await client.delete("Patient/p")
    second = await client.delete("Patient/p")
    never = await client.delete("Patient/never")

    assert (first.status_code, first.headers["ETag"]) == (204, 'W/"2"')
    assert (second.status_code, second.headers["ETag"]) == (204, 'W/"2"')
    assert never.status_code == 204
    assert (await client.get("Patient?_total=accurate")).json()["total"] == 0


async def test_delete_with_a_stale_if_match_is_refused(client):
    await client.put("Patient/p", json=PATIENT)

    answer = await client.delete("Patient/p", headers={"If-Match": 'W/"7"'})

    assert answer.status_code == 412


async def test_a_conditional_update_updates_the_one_that_it_finds(client):
    patient = {"resourceType": "Patient", "identifier": [{"value": "1"}]}

    made = await client.put("Patient?identifier=1", json=patient)
    updated = await client.put("Patient?identifier=1", json=patient | {"active": True})

    assert (made.status_code, updated.status_code) == (201, 200)
    assert updated.headers["Location"].endswith("Patient/a1/_history/2")


async def test_a_conditional_update_creates_under_the_id_in_the_body(client):
    patient = PATIENT | {"identifier": [{"value": "1"}]}

    assert (await client.put("Patient?identifier=1", json=patient)).status_code == 201
    assert (await client.get("Patient/p")).status_code == 200


async def test_a_conditional_update_that_finds_none_leaves_another_with_that_id_alone(client):
    other = PATIENT | {"identifier": [{"value": "1"}]}
    mine = PATIENT | {"identifier": [{"value": "2"}]}
    entry = {"resource": mine, "request": {"method": "PUT", "url": "Patient?identifier=2"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    await client.put("Patient/p", json=other)

    alone = await client.put("Patient?identifier=2", json=mine)
    inside = await client.post("", json=bundle)
    await client.delete("Patient/p")
    after = await client.put("Patient?identifier=2", json=mine)

    assert (alone.status_code, inside.status_code, after.status_code) == (409, 409, 201)
    assert alone.json()["issue"][0]["expression"] == ["Patient.id"]
    assert inside.json()["issue"][0]["expression"] == ["Bundle.entry[0].resource.id"]


async def test_a_conditional_update_refuses_two_matches_another_id_and_no_criteria(client):
    patient = {"resourceType": "Patient", "identifier": [{"value": "1"}]}
    await client.put("Patient/x", json=patient | {"id": "x"})

    other = await client.put("Patient?identifier=1", json=patient | {"id": "y"})
    none = await client.put("Patient", json=patient)
    await client.post("Patient", json=patient)
    two = await client.put("Patient?identifier=1", json=patient)

    assert (other.status_code, none.status_code, two.status_code) == (400, 400, 412)


async def test_100_conditional_updates_at_once_make_one_resource(client):
    patient = {"resourceType": "Patient", "identifier": [{"value": "1"}]}

    answers = await asyncio.gather(
        *(
            client.put("Patient?identifier=1", json=patient | {"name": [{"family": str(number)}]})
            for number in range(100)
        )
    )

    assert sorted(answer.status_code for answer in answers) == [200] * 99 + [201]
    assert (await client.get("Patient?_total=accurate")).json()["total"] == 1
