"""Entries replaced without a new version, notes beside them, and the generation both rest on."""

import pytest

from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import Has, Is, Query
from fhir_hub.store.base import Conflict, Generation, Indexed, Key, Outdated
from fhir_hub.store.open import open_backend

OLD, NEW = Entry("x", "token", "old"), Entry("x", "token", "new")


async def found(store, code):
    page = await store.search(Query(("Patient",), Has("x", "token", (Is(code),))))
    return [stored.logical_id for stored in page.matches]


async def test_entries_are_replaced_for_the_version_that_is_said_alone(store, change):
    await store.write([change("a", OLD), change("b", OLD), change("c", OLD)])
    await store.write([change("b", OLD, version_id=2), change("c", version_id=2, method="DELETE")])
    before = await store.read(Key("Patient", "a"))

    items = [Indexed(Key("Patient", one), 1, (NEW,)) for one in "abc"]
    await store.reindex([*items, Indexed(Key("Patient", "c"), 2, (NEW,))], {}, 0)

    assert await found(store, "new") == ["a"]
    assert await found(store, "old") == ["b"]
    assert await store.read(Key("Patient", "a")) == before
    assert (await store.status()).sequence == 5
    await store.write([change("a", version_id=2)])
    assert await found(store, "new") == []


async def test_notes_are_set_replaced_and_removed(store):
    assert await store.notes() == {}
    await store.reindex([], {"a": "1", "b": "2"}, 0)
    await store.reindex([], {"a": "3", "b": ""}, 0)
    assert await store.notes() == {"a": "3"}


async def test_notes_are_set_only_if_another_is_as_expected(store):
    await store.reindex([], {"a": "1"}, 0, {"a": ""})
    for expected in ({"a": ""}, {"a": "2"}, {"a": "1", "b": "1"}):
        with pytest.raises(Outdated):
            await store.reindex([], {"a": "3", "c": "3"}, 0, expected)
    assert await store.notes() == {"a": "1"}

    await store.reindex([], {"a": "", "c": "3"}, 0, {"a": "1", "b": ""})
    await store.reindex([], {"a": "4"}, 0, {"a": ""})
    assert await store.notes() == {"a": "4", "c": "3"}


async def test_a_write_by_an_older_generation_is_refused(store, change):
    assert await store.generation() == 0
    await store.write([change("a", OLD)], [Generation(0)])
    await store.write([change("p", resource_type="SearchParameter")], [Generation(0)])
    assert await store.generation() == 2

    with pytest.raises(Conflict):
        await store.write([change("b")], [Generation(0)])
    with pytest.raises(Conflict):
        await store.reindex([Indexed(Key("Patient", "a"), 1, (NEW,))], {"a": "1"}, 0)
    assert (await found(store, "old"), await store.notes()) == (["a"], {})
    await store.write([change("b")], [Generation(2)])
    deletion = change("p", resource_type="SearchParameter", version_id=2, method="DELETE")
    await store.write([deletion], [Generation(2)])
    assert await store.generation() == 4


async def test_a_file_keeps_notes_and_generation(tmp_path, change):
    url = f"sqlite:{tmp_path / 'hub.sqlite'}"
    async with open_backend(url) as backend:
        await backend.store.write([change("p", resource_type="SearchParameter")])
        await backend.store.reindex([], {"a": "1"}, 1)
    async with open_backend(url) as backend:
        assert (await backend.store.notes(), await backend.store.generation()) == ({"a": "1"}, 1)
        with pytest.raises(Conflict):
            await backend.store.write([change("b")], [Generation(0)])
