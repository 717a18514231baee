"""Parameters of a site's own as a process that starts reads them from the store's history.

Spec: https://hl7.org/fhir/R4/searchparameter.html
"""

import asyncio

import httpx
import parts
import pytest

from fhir_hub.store.open import open_backend

PARAMETER = {
    "resourceType": "SearchParameter",
    "url": "http://hospital.test/SearchParameter/contact-name",
    "name": "Contact",
    "status": "active",
    "description": "who to call",
    "code": "contact-name",
    "base": ["Patient"],
    "type": "string",
    "expression": "Patient.contact.name.family",
}
PATIENT = {"resourceType": "Patient", "contact": [{"name": {"family": "Shen"}}]}


@pytest.fixture
def process(store, clock):
    """Return a function that starts a process: its client and its indexing."""
    new_id = parts.ids()

    async def start():
        service, indexing = parts.indexed(store, clock, new_id)
        await indexing.refresh()
        transport = httpx.ASGITransport(app=parts.fhir_app(service, []))
        return httpx.AsyncClient(transport=transport, base_url="http://hub.test/fhir/"), indexing

    return start


async def post(client, resource):
    answer = await client.post(resource["resourceType"], json=resource)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def found(client, query):
    answer = await client.get(query)
    assert answer.status_code == 200, answer.text
    return [entry["resource"]["id"] for entry in answer.json().get("entry", ())]


async def test_many_versions_of_the_same_meaning_leave_an_index_as_it_is(process):
    client, indexing = await process()
    shen = await post(client, PATIENT)
    logical_id = await post(client, PARAMETER)
    await indexing.work()
    for number in range(22):
        changed = PARAMETER | {"id": logical_id, "description": f"in words of day {number}"}
        assert (await client.put(f"SearchParameter/{logical_id}", json=changed)).is_success

    restarted, again = await process()
    assert again.left == 0
    assert await found(restarted, "Patient?contact-name=Shen") == [shen]
    assert await again.step() is False


async def test_a_pass_that_did_not_know_of_a_new_parameter_reads_it_and_goes_on(process):
    client, _ = await process()
    shen = await post(client, PATIENT)
    await post(client, PARAMETER)
    other, behind = await process()
    second = PARAMETER | {
        "code": "contact-given",
        "url": "http://hospital.test/SearchParameter/contact-given",
        "expression": "Patient.contact.name.given",
    }
    await post(client, second)

    assert not await behind.is_current()
    assert await behind.step() is True
    assert await behind.is_current()
    await behind.work()
    assert await found(other, "Patient?contact-name=Shen") == [shen]
    assert await found(other, "Patient?contact-given=Shen") == []


async def test_watching_a_store_that_does_not_answer_leaves_others_their_time(clock, tmp_path):
    backend = open_backend(f"sqlite:{tmp_path / 'hub.sqlite'}")
    _, indexing = parts.indexed(backend.store, clock, parts.ids())
    indexing.lead()
    await backend.close()

    watching = asyncio.create_task(indexing.watch())
    turns = 0
    while turns < 100:  # one that asks again at once would never let this go on
        await asyncio.sleep(0)
        turns += 1
    assert not watching.done()
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
