"""A store whose entries an older hub made, or one with other settings: they are made anew.

Spec: https://hl7.org/fhir/R4/search.html
"""

import httpx
import parts
import pytest

from fhir_hub import fhirjson
from fhir_hub.repository import indexing as passes
from fhir_hub.store.base import Change

COUNT = 5
BORN = {"resourceType": "Patient", "birthDate": "1953-04-12"}


@pytest.fixture
def at_work():
    """The extractions of the processes that write, where there are several."""
    return set()


@pytest.fixture
def process(store, clock, at_work):
    """Return a function that starts a process: its client and its indexing."""

    new_id = parts.ids()

    async def start(extraction):
        async def others():
            return [one for one in at_work if one != extraction]

        service, indexing = parts.indexed(
            store, clock, new_id, extraction=extraction, others=others
        )
        await indexing.refresh()
        transport = httpx.ASGITransport(app=parts.fhir_app(service, []))
        return httpx.AsyncClient(transport=transport, base_url="http://hub.test/fhir/"), indexing

    return start


@pytest.fixture
async def older(store, process, monkeypatch):
    """Patients as an older hub left them, who knew nothing of birth dates."""
    monkeypatch.setattr(passes, "_BATCH", 2)
    _, indexing = await process("1-old")
    for number in range(COUNT):
        patient = {**BORN, "id": f"p{number}"}
        change = Change("Patient", f"p{number}", 1, 1, "PUT", fhirjson.dumps(patient))
        await store.write([change])
    return indexing


async def told(client, query="Patient?birthdate=1953-04-12"):
    """Return how many are found, and what is said of the search."""
    entries = (await client.get(query)).json().get("entry", ())
    modes = [entry["search"]["mode"] for entry in entries]
    said = [entry["resource"] for entry in entries if entry["search"]["mode"] == "outcome"]
    return modes.count("match"), [one["issue"][0]["diagnostics"] for one in said]


async def test_what_another_hub_indexed_is_made_anew_and_searches_say_so_until_then(older, process):
    assert await older.step() is False
    client, indexing = await process("2-new")
    assert (indexing.is_outdated, indexing.unfinished, indexing.under_way) == (True, [""], [])
    found, (said,) = await told(client)
    assert (found, "0 % done: matches may be missing" in said) == (0, True)
    assert await told(client, "Patient") == (COUNT, [])

    for _ in range(2):  # it begins, and does the first two
        assert await indexing.step() is True
    found, (said,) = await told(client)
    assert (found, "40 % done" in said, indexing.left) == (2, True, COUNT - 2)

    after_a_crash, again = await process("2-new")
    assert (again.under_way, again.left) == ([""], COUNT - 2)
    await again.work()
    assert await told(after_a_crash) == (COUNT, [])
    assert not again.is_outdated

    _, restarted = await process("2-new")
    assert (restarted.is_outdated, await restarted.step()) == (False, False)
    _, back = await process("1-old")
    assert back.is_outdated


async def test_a_site_s_own_parameter_is_not_kept_waiting_by_it(older, process):
    client, indexing = await process("2-new")
    await indexing.step()
    own = {
        **{"resourceType": "SearchParameter", "url": "http://site.test/sp/born", "name": "Born"},
        **{"status": "active", "description": "of birth", "code": "born", "base": ["Patient"]},
        **{"type": "date", "expression": "Patient.birthDate"},
    }
    assert (await client.post("SearchParameter", json=own)).status_code == 201
    while "Patient" in indexing.unfinished:
        await indexing.step()

    assert indexing.is_outdated
    assert (await told(client, "Patient?born=1953-04-12"))[0] == COUNT
    await indexing.work()
    assert await told(client, "Patient?born=1953-04-12") == (COUNT, [])


async def test_a_new_store_is_this_hubs(process, store):
    client, indexing = await process("2-new")
    assert (indexing.is_outdated, await indexing.step()) == (False, False)
    assert await told(client) == (0, [])
    assert list(await store.notes()) == ["index/"]


async def test_processes_of_two_extractions_do_not_undo_what_the_other_did(
    older, process, at_work, store
):
    at_work |= {"1-old", "2-new"}
    client, newer = await process("2-new")
    await older.refresh()
    for indexing in (newer, older):
        for _ in range(3):
            await indexing.refresh()
            assert await indexing.step() is False
    assert (newer.unfinished, older.unfinished) == ([], [])
    assert await store.notes() == {}  # neither made what the store holds
    found, (said,) = await told(client)
    assert (found, "matches may be missing" in said) == (0, True)
    assert (await client.post("Patient", json=BORN)).status_code == 201
    assert (await told(client))[0] == 1

    at_work.discard("1-old")
    await newer.refresh()
    assert newer.is_outdated
    await newer.work()
    assert await told(client) == (COUNT + 1, [])

    at_work.add("1-old")  # it was held up, and writes again
    await older.refresh()
    await newer.refresh()
    assert len((await told(client))[1]) == 1
    at_work.discard("1-old")
    await newer.refresh()
    await newer.work()
    assert await told(client) == (COUNT + 1, [])


async def test_a_pass_ends_where_another_extraction_begins_to_write(older, process, at_work):
    _, newer = await process("2-new")
    await newer.step()
    await newer.step()
    assert newer.under_way == [""]
    at_work |= {"1-old", "2-new"}
    await newer.refresh()
    assert (newer.under_way, await newer.step()) == ([], False)


async def test_a_process_that_does_not_say_how_it_indexes_is_waited_for(
    older, process, at_work, store
):
    before = await store.notes()
    at_work |= {"", "2-new"}
    client, newer = await process("2-new")
    assert await newer.step() is False
    assert await store.notes() == before
    assert len((await told(client))[1]) == 1
    at_work.discard("")
    await newer.refresh()
    await newer.work()
    assert await told(client) == (COUNT, [])
