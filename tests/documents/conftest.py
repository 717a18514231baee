"""A hub's FHIR side on a store in memory, and a record of two institutions in it."""

import httpx
import pytest
from documents.document_parts import Record
from mongo_server import store_asked_for
from parts import fhir_app, ids, service
from parts import repository as over

from fhir_hub.store.open import open_backend


@pytest.fixture
async def store(tmp_path):
    with store_asked_for() as url:
        async with open_backend(url) as opened:
            yield opened.store


@pytest.fixture
async def client(store, clock):
    transport = httpx.ASGITransport(app=fhir_app(service(over(store, clock, ids())), []))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.test/fhir/") as client:
        yield client


@pytest.fixture
async def record(client):
    """The resident 沈桂芳, a centre and a hospital."""
    made = Record(client)
    await made.begin()
    return made
