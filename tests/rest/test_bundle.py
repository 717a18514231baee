"""Batch and transaction, as a client sees them.

Spec: https://hl7.org/fhir/R4/http.html#transaction
"""

import asyncio

import pytest

URN = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
PATIENT = {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "1"}]}
OBSERVATION = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"text": "c"},
    "subject": {"reference": URN},
}


def entry(method, url, resource=None, full_url=None, **request):
    made = {"request": {"method": method, "url": url, **request}}
    if resource:
        made["resource"] = resource
    if full_url:
        made["fullUrl"] = full_url
    return made


async def send(client, *entries, kind="transaction", **options):
    bundle = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
    return await client.post("", json=bundle, **options)


def statuses(answer):
    assert answer.status_code == 200, answer.text
    return [shown["response"]["status"] for shown in answer.json()["entry"]]


async def test_a_transaction_resolves_references_between_its_entries(client):
    answer = await send(
        client,
        entry("POST", "Observation", OBSERVATION),
        entry("POST", "Patient", PATIENT, URN),
    )

    assert statuses(answer) == ["201 Created", "201 Created"]
    first, second = (shown["response"] for shown in answer.json()["entry"])
    patient = second["location"].removesuffix("/_history/1")
    observation = (await client.get(first["location"])).json()
    assert observation["subject"]["reference"] == patient
    assert (first["etag"], first["lastModified"]) == ('W/"1"', "2024-02-29T10:00:00Z")
    assert answer.json()["type"] == "transaction-response"


async def test_links_in_narrative_and_relative_references_follow_too(client):
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{URN}">p</a></div>'
    narrated = OBSERVATION | {"text": {"status": "generated", "div": div}}
    relative = OBSERVATION | {"subject": {"reference": "Patient/old"}}
    answer = await send(
        client,
        entry("POST", "Patient", PATIENT, URN),
        entry("POST", "Patient", {"resourceType": "Patient"}, "http://else.where/Patient/old"),
        entry("POST", "Observation", narrated),
        entry("POST", "Observation", relative),
    )

    patient, old, first, second = (
        shown["response"]["location"].removesuffix("/_history/1")
        for shown in answer.json()["entry"]
    )
    assert f'href="{patient}"' in (await client.get(first)).json()["text"]["div"]
    assert (await client.get(second)).json()["subject"]["reference"] == old


async def test_entries_run_in_the_order_of_r4_and_answer_in_their_own(client):
    await client.put("Patient/p", json={"resourceType": "Patient", "id": "p"})
    await client.put("Patient/d", json={"resourceType": "Patient", "id": "d"})

    answer = await send(
        client,
        entry("GET", "Patient?_total=accurate"),
        entry("PUT", "Patient/p", {"resourceType": "Patient", "id": "p", "active": True}),
        entry("POST", "Patient", PATIENT),
        entry("DELETE", "Patient/d"),
        entry("GET", "Patient/p"),
        entry("GET", "Patient/nobody"),
    )

    assert [status[:3] for status in statuses(answer)] == ["200", "200", "201", "204", "200", "404"]
    shown = answer.json()["entry"]
    assert shown[0]["resource"]["total"] == 2
    assert shown[4]["resource"]["active"] is True
    assert shown[5]["response"]["outcome"]["issue"][0]["code"] == "not-found"


async def test_one_bad_entry_fails_the_whole_and_is_named(client):
    answer = await send(
        client,
        entry("POST", "Patient", PATIENT),
        entry("POST", "Patient", {"resourceType": "Patient", "gender": "girl"}),
    )

    assert answer.status_code == 400
    issue = answer.json()["issue"][0]
    assert issue["expression"] == ["Bundle.entry[1].resource.gender"]
    assert (await client.get("Patient?_count=0")).json()["total"] == 0


@pytest.mark.parametrize(
    ("entries", "status", "expression"),
    [
        ([{"resource": PATIENT}], 400, "Bundle.entry[0].request"),
        ([entry("JUMP", "Patient")], 400, "Bundle.entry[0].request.method"),
        ([entry("POST", "Patient")], 400, "Bundle.entry[0].resource"),
        ([entry("POST", 7, PATIENT)], 400, "Bundle.entry[0].request.url"),
        ([entry("POST", "Patient", PATIENT, ifNoneExist=1)], 400,
         "Bundle.entry[0].request.ifNoneExist"),
        ([entry("POST", "Patient", PATIENT, ifNoneExist="")], 400, "Bundle.entry[0]"),
        ([entry("POST", "Nothing", PATIENT)], 400, "Bundle.entry[0]"),
        ([entry("POST", "Patient/1", PATIENT)], 422, "Bundle.entry[0]"),
        ([entry("POST", "Observation", PATIENT)], 400, "Bundle.entry[0]"),
        ([entry("POST", "Observation", OBSERVATION)], 400, "Bundle.entry[0].resource.subject"),
        ([entry("DELETE", "Patient/p"), entry("PUT", "Patient/p", PATIENT | {"id": "p"})], 400,
         "Bundle.entry[1]"),
        ([entry("PUT", "Patient/p", PATIENT | {"id": "p"}, ifMatch='W/"3"')], 412,
         "Bundle.entry[0]"),
        ([entry("PUT", "Patient?nmae=1", PATIENT)], 400, "Bundle.entry[0]"),
        ([entry("POST", "Observation",
                OBSERVATION | {"subject": {"reference": "Patient?identifier=none"}})], 412,
         "Bundle.entry[0]"),
        (["x"], 400, "Bundle.entry[0].request"),
    ],
)  # fmt: skip
async def test_a_transaction_refuses_and_names_the_entry(client, entries, status, expression):
    answer = await send(client, *entries)

    assert answer.status_code == status, answer.text
    assert answer.json()["issue"][0]["expression"] == [expression]


@pytest.mark.parametrize(
    "body",
    [
        {"resourceType": "Patient"},
        {"resourceType": "Bundle"},
        {"resourceType": "Bundle", "type": "searchset"},
        {"resourceType": "Bundle", "type": "batch", "entry": []},
        {"resourceType": "Bundle", "type": "transaction", "entry": {}},
    ],
)
async def test_the_base_takes_a_batch_or_transaction_only(client, body):
    assert (await client.post("", json=body)).status_code == 400


async def test_an_empty_transaction_is_answered(client):
    answer = await client.post("", json={"resourceType": "Bundle", "type": "transaction"})

    assert answer.json() == {"resourceType": "Bundle", "type": "transaction-response"}


async def test_conditional_entries_and_references_find_what_is_there(client):
    await client.put("Patient/p", json=PATIENT | {"id": "p"})
    by_criteria = OBSERVATION | {"subject": {"reference": "Patient?identifier=urn:x|1"}}

    answer = await send(
        client,
        entry("POST", "Patient", PATIENT, URN, ifNoneExist="identifier=urn:x|1"),
        entry("POST", "Observation", OBSERVATION),
        entry("POST", "Observation", by_criteria),
        entry("PUT", "Observation?identifier=o1",
              OBSERVATION | {"identifier": [{"value": "o1"}]}),
        entry("POST", "Patient", {"resourceType": "Patient"}, ifNoneExist="identifier=2"),
        entry("POST", "Patient", {"resourceType": "Patient"}, ifNoneExist="identifier=2"),
    )  # fmt: skip

    assert [status[:3] for status in statuses(answer)] == ["200", "201", "201", "201", "201", "200"]
    found = (await client.get("Observation?patient=p")).json()
    assert found["total"] == 3


async def test_two_matches_fail_the_transaction(client):
    for _ in range(2):
        await client.post("Patient", json=PATIENT)

    answer = await send(client, entry("POST", "Patient", PATIENT, ifNoneExist="identifier=urn:x|1"))

    assert answer.status_code == 412


async def test_50_transactions_at_once_make_the_same_patient_once(client):
    def both():
        return (
            entry("POST", "Patient", PATIENT, URN, ifNoneExist="identifier=urn:x|1"),
            entry("POST", "Observation", OBSERVATION),
        )

    answers = await asyncio.gather(*(send(client, *both()) for _ in range(50)))

    assert {answer.status_code for answer in answers} == {200}
    patients = (await client.get("Patient")).json()
    assert patients["total"] == 1
    patient = patients["entry"][0]["resource"]["id"]
    assert (await client.get(f"Observation?patient={patient}&_count=0")).json()["total"] == 50


async def test_representation_comes_back_if_preferred(client):
    answer = await send(
        client,
        entry("POST", "Patient", PATIENT),
        headers={"Prefer": "return=representation"},
    )

    assert answer.json()["entry"][0]["resource"]["identifier"] == PATIENT["identifier"]


async def test_a_batch_answers_each_entry_for_itself(client):
    answer = await send(
        client,
        entry("POST", "Patient", PATIENT),
        entry("POST", "Patient", {"resourceType": "Patient", "gender": "girl"}),
        entry("GET", "Patient/nobody"),
        entry("POST", "", {"resourceType": "Bundle", "type": "batch"}),
        entry("GET", "metadata"),
        entry("PUT", "http://hub.test/fhir/Patient/p", {"resourceType": "Patient", "id": "p"}),
        kind="batch",
    )

    assert [status[:3] for status in statuses(answer)] == ["201", "400", "404", "400", "200", "201"]
    assert answer.json()["type"] == "batch-response"
