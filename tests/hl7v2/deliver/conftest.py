"""What delivers to a partner on a real socket, over a store in memory or on MongoDB."""

from contextlib import asynccontextmanager

import pytest
from deliver_parts import Peer, deliveries
from mongo_server import store_asked_for

from fhir_hub.store.open import open_backend
from fhir_hub.telemetry import Metrics


@pytest.fixture
async def backend():
    """A store in memory, or on MongoDB: what a kill does is tested with a hub in a process."""
    with store_asked_for() as url:
        async with open_backend(url) as opened:
            yield opened


@pytest.fixture
async def peer():
    made = Peer()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def metrics():
    return Metrics("0")


@pytest.fixture
def logged():
    """The lines that were logged: event and fields."""
    return []


@pytest.fixture
def delivering(store, metrics, logged):
    """Deliver to partners for a while."""

    def log(event, **fields):
        logged.append((event, fields))

    @asynccontextmanager
    async def run(**partners):
        made = deliveries(store, metrics, log, **partners)
        made.lead()
        try:
            await made.opened()
            yield made
        finally:
            await made.close(0.1)

    return run
