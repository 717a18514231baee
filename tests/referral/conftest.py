"""A hub's FHIR side that holds referrals, contracts and slots to their rules."""

import httpx
import pytest
from mongo_server import store_asked_for
from parts import fhir_app, ids, service
from parts import repository as over

from fhir_hub.referral.conduct import Conduct, OwnRules
from fhir_hub.referral.deadlines import Deadlines
from fhir_hub.store.open import open_backend


@pytest.fixture
async def store(tmp_path):
    with store_asked_for() as url:
        async with open_backend(url) as opened:
            yield opened.store


@pytest.fixture
def own():
    """What the site says itself; a test module may say more."""
    return OwnRules()


@pytest.fixture
def repository(store, clock, own):
    return over(store, clock, ids(), "enforce", Conduct(is_strict=True, own=own))


@pytest.fixture
def deadlines(repository, clock):
    return Deadlines(repository, clock, lambda event, **fields: None)


@pytest.fixture
async def freely(store, clock):
    """A client of the same store whom no rule binds: it makes what tests start from."""
    async for each in _client(over(store, clock, ids())):
        yield each


@pytest.fixture
async def client(repository):
    async for each in _client(repository):
        yield each


async def _client(repository):
    transport = httpx.ASGITransport(app=fhir_app(service(repository), []))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.test/fhir/") as client:
        yield client
