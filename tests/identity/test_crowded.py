"""People of whom very many are alike, such as those of a form filled in for a whole home.

Function calls are counted, because they are the same on every machine.

Spec: docs/identity.md
"""

import sys

import parts

from fhir_hub.identity import doubles
from fhir_hub.store.memory.journal import MemoryJournal
from fhir_hub.store.memory.store import MemoryStore


def alike(number, phone="13912345678"):
    return {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:local", "value": str(number)}],
        "name": [{"text": "王伟", "family": "王", "given": ["伟"]}],
        "birthDate": "1990-05-05",
        "telecom": [{"system": "phone", "value": phone}],
    }


async def steps(repository, count):
    """Return how many functions are called to look for one more of a message of so many alike."""
    called = 0

    def counted(frame, event, argument):
        nonlocal called
        called += event == "call"

    async def work(unit):
        for number in range(count):
            unit.create(alike(number))
        for number in ("one", "another"):
            sys.setprofile(counted if number == "another" else None)
            try:
                await doubles.find(alike(number), doubles.OfUnit(unit))
            finally:
                sys.setprofile(None)
        unit.changes.clear()  # what it costs to write is the store's

    await repository.commit(work)
    return called


async def test_to_look_for_one_of_very_many_who_are_alike_takes_no_more_steps(clock):
    repository = parts.repository(MemoryStore(MemoryJournal()), clock, parts.ids())

    assert await steps(repository, 240) <= await steps(repository, 120)


async def test_whom_a_rare_number_leads_to_is_found_among_very_many(repository):
    async def work(unit):
        for number in range(150):
            unit.create(alike(number))
        crowd = await doubles.find(alike("x"), doubles.OfUnit(unit))
        unit.create(alike("a", "13800138123"), "one")
        return crowd, await doubles.find(alike("b", "13800138123"), doubles.OfUnit(unit))

    crowd, found = await repository.commit(work)

    assert crowd == []
    assert [one.stored.logical_id for one in found] == ["one"]
