"""Fixtures of the HL7v2 tests: apply messages, and look at what they left."""

from functools import partial

import parts
import pytest
from apply_parts import conversion
from hl7v2.receiving import Convert, Log, receiver_of

from fhir_hub import fhirjson
from fhir_hub.hl7v2.meaning.retold import Nothing
from fhir_hub.hl7v2.storing.apply import apply, telling_of
from fhir_hub.search.plan import EVERYTHING, Query

DAY = "2025-03-14"


@pytest.fixture
def take(repository):
    """Apply the resources of a message; return the keys that they became."""

    async def run(*resources):
        message = conversion(*resources)
        work = partial(
            apply,
            conversion=message,
            telling=telling_of(message, DAY, parts.parameters(), Nothing()),
            new_id=repository.new_id,
            parameters=parts.parameters(),
        )
        return await repository.commit(lambda unit: work(unit))

    return run


@pytest.fixture
def all_of(store):
    """Return all current resources of a type, oldest first."""

    async def run(resource_type):
        page = await store.search(Query((resource_type,), EVERYTHING, count=1000))
        return [fhirjson.loads(stored.content) for stored in page.matches]

    return run


@pytest.fixture
def by_number(all_of):
    async def run(value, *, active=None):
        found = [
            one
            for one in await all_of("Patient")
            if value in [i["value"] for i in one["identifier"]]
            and active in (None, one.get("active"))
        ]
        assert len(found) == 1, found
        return found[0]

    return run


@pytest.fixture
def convert():
    return Convert()


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def receiver(backend, convert, clock, log):
    return receiver_of(backend, convert, clock, log)


@pytest.fixture
def count(store):
    async def run(resource_type):
        page = await store.search(Query((resource_type,), EVERYTHING, count=1000))
        return len(page.matches)

    return run
