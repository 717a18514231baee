"""What is stored of terminology is known as soon as it is written, and forgotten when deleted."""

import parts

from fhir_hub.r4.terminology.engine import own_terminology
from fhir_hub.repository.repository import Repository
from fhir_hub.repository.rules import Rules
from fhir_hub.repository.stored_terminology import StoredTerminology
from fhir_hub.store.base import Key

URL = "http://a.example/codes"


def value_set(*codes):
    concepts = [{"code": code} for code in codes]
    compose = {"include": [{"system": "http://a.example/x", "concept": concepts}]}
    return {"resourceType": "ValueSet", "url": URL, "status": "active", "compose": compose}


def known_of(store, clock):
    """Return a repository that tells its terminology, and the terminology."""
    stored = StoredTerminology(store)
    extractor = parts.extractor()
    rules = Rules(parts.checks().require, extractor, clock, parts.ids())
    repository = Repository(store, rules, extractor, terminology=stored)
    return repository, stored, own_terminology(stored.shelf, stamp=lambda: stored.stamp)


async def test_a_written_value_set_is_known_at_once_and_by_others_when_they_look(store, clock):
    repository, _, terminology = known_of(store, clock)
    _, other, elsewhere = known_of(store, clock)

    async def create(unit):
        return unit.create(value_set("a"))

    key = await repository.commit(create)
    assert terminology.contains(URL, "http://a.example/x", "a") is True
    assert elsewhere.contains(URL, "http://a.example/x", "a") is None
    await other.refresh()
    assert elsewhere.contains(URL, "http://a.example/x", "a") is True

    async def change(unit):
        await unit.update(value_set("b"), key.logical_id)

    await repository.commit(change)
    await other.refresh()
    for one in (terminology, elsewhere):
        assert one.contains(URL, "http://a.example/x", "a") is False
        assert one.contains(URL, "http://a.example/x", "b") is True

    async def remove(unit):
        await unit.delete(Key("ValueSet", key.logical_id))

    await repository.commit(remove)
    assert terminology.contains(URL, "http://a.example/x", "b") is None


async def test_of_two_resources_with_one_address_the_other_stays_when_one_goes(store, clock):
    repository, _, terminology = known_of(store, clock)

    async def create(unit):
        return unit.create(value_set("a"), "first"), unit.create(value_set("b"), "second")

    await repository.commit(create)

    async def remove(unit):
        await unit.delete(Key("ValueSet", "second"))

    await repository.commit(remove)
    assert terminology.contains(URL, "http://a.example/x", "a") is True
