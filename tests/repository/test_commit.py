"""Units of work: decided on what is true at commit, or done again."""

import pytest

from fhir_hub.errors import InvalidResource, PreconditionFailed, VersionConflict
from fhir_hub.search.plan import EVERYTHING, Has, Is, LinkedBy, Links
from fhir_hub.store.base import Key

PATIENT = {"resourceType": "Patient", "identifier": [{"value": "1"}]}
BY_NUMBER = Has("identifier", "token", (Is("1"),))


async def test_a_search_in_a_unit_sees_what_the_unit_staged(repository):
    async def work(unit):
        key = unit.create(PATIENT, "p")
        assert [one.logical_id for one in await unit.find("Patient", BY_NUMBER)] == ["p"]
        await unit.delete(key)
        assert await unit.find("Patient", BY_NUMBER) == []

    await repository.commit(work)


async def test_a_chain_in_a_unit_sees_what_else_is_staged(repository):
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "c"},
        "subject": {"reference": "Patient/p"},
    }

    async def work(unit):
        unit.create(PATIENT, "p")
        unit.create(observation, "o")
        chain = Links("subject", ("Patient",), BY_NUMBER)
        reverse = LinkedBy("Observation", "subject", EVERYTHING)
        assert len(await unit.find("Observation", chain)) == 1
        assert len(await unit.find("Patient", reverse)) == 1

    await repository.commit(work)


async def test_a_unit_asks_the_same_once_and_decides_by_what_it_saw_first(repository):
    attempts = []

    async def create(unit):
        unit.create(PATIENT)

    async def work(unit):
        first = await unit.find("Patient", BY_NUMBER)
        if not attempts:
            await repository.commit(create)  # somebody else is faster
        attempts.append((len(first), len(await unit.find("Patient", BY_NUMBER))))
        guards = len(unit.guards)
        unit.create(PATIENT)
        assert len(await unit.find("Patient", BY_NUMBER)) == len(first) + 1
        assert len(unit.guards) == guards

    await repository.commit(work)

    assert attempts == [(0, 0), (1, 1)]


async def test_a_unit_is_done_again_when_its_search_no_longer_holds(repository):
    attempts = []

    async def create(unit):
        unit.create(PATIENT)

    async def work(unit):
        found = await unit.find("Patient", BY_NUMBER)
        attempts.append(len(found))
        if len(attempts) == 1:
            await repository.commit(create)  # somebody else is faster
        if not found:
            unit.create(PATIENT)

    await repository.commit(work)

    assert attempts == [0, 1]


async def test_a_unit_that_always_loses_gives_up(repository):
    async def work(unit):
        await unit.find("Patient", BY_NUMBER)
        await repository_writes()
        unit.create(PATIENT)

    async def repository_writes():
        async def create(unit):
            unit.create(PATIENT)

        await repository.commit(create)

    with pytest.raises(VersionConflict):
        await repository.commit(work)


async def test_an_update_of_what_is_staged_stays_one_version(repository):
    async def work(unit):
        unit.create(PATIENT, "p")
        await unit.update(PATIENT | {"active": True}, "p")

    await repository.commit(work)

    stored = await repository.read(Key("Patient", "p"))
    assert (stored.version_id, b'"active":true' in stored.content) == (1, True)


async def test_an_update_and_a_deletion_in_one_unit_are_one_version(repository):
    async def create(unit):
        unit.create(PATIENT, "p")

    async def work(unit):
        await unit.update(PATIENT | {"active": True}, "p")
        assert await unit.delete(Key("Patient", "p")) == 2

    await repository.commit(create)
    await repository.commit(work)

    stored = await repository.store.read(Key("Patient", "p"))
    assert (stored.version_id, stored.is_deleted) == (2, True)


async def test_a_unit_finds_over_more_than_one_page_and_refuses_too_many(repository, monkeypatch):
    async def fill(unit):
        for _ in range(12):
            unit.create(PATIENT)

    await repository.commit(fill)
    monkeypatch.setattr("fhir_hub.repository.unit._AT_ONCE", 5)
    found = []

    async def work(unit):
        found.extend(await unit.find("Patient", BY_NUMBER))

    await repository.commit(work)
    assert len({one.logical_id for one in found}) == 12

    monkeypatch.setattr("fhir_hub.repository.unit._MOST_MATCHES", 10)
    with pytest.raises(PreconditionFailed):
        await repository.commit(work)


async def test_a_logical_id_must_be_one(repository):
    async def work(unit):
        await unit.update(PATIENT, "not one")

    with pytest.raises(InvalidResource):
        await repository.commit(work)


async def test_what_is_familiar_is_known_as_of_the_last_write_that_held_it_true(repository):
    known = []
    await repository.commit(_create("p"))

    async def work(unit):
        found = await unit.find("Patient", BY_NUMBER, familiar="name")
        assert [one.logical_id for one in found] == ["p"]
        known.append(unit.guards[-1].as_of)
        unit.create({"resourceType": "Person"})

    for _ in range(3):
        await repository.commit(work)

    assert known == [0, 1, 2]


@pytest.mark.parametrize("resource_type", ["Person", "Patient"])
async def test_what_is_familiar_is_found_as_it_is_now(repository, resource_type):
    found = []

    async def work(unit):
        matches = await unit.find("Patient", BY_NUMBER, familiar="whole")
        found.append([(one.logical_id, one.version_id) for one in matches])
        unit.create({"resourceType": resource_type})

    async def change(unit):
        await unit.update(PATIENT | {"gender": "female"}, "p")

    for write in (_create("p"), change, _create("q")):
        await repository.commit(work)
        await repository.commit(write)
    await repository.commit(work)

    # what was unknown at the search is found by the second attempt
    ended = [one for one, after in zip(found, [*found[1:], None], strict=True) if one != after]
    assert ended == [[], [("p", 1)], [("p", 2)], [("p", 2), ("q", 1)]]


async def test_a_unit_is_done_again_if_by_its_end_there_is_what_it_requires_none_of(repository):
    attempts = []

    async def work(unit):
        attempts.append(await unit.find("Patient", Has("identifier", "token", (Is("2"),))))
        if len(attempts) == 1:
            unit.require_none("Patient", BY_NUMBER)
            await repository.commit(_create("p"))  # somebody else is faster
        unit.create({"resourceType": "Patient"})

    await repository.commit(work)

    assert len(attempts) == 2


def _create(logical_id):
    async def work(unit):
        unit.create(PATIENT, logical_id)

    return work
