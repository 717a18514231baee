"""A hub's FHIR side that reviews what is written, in memory."""

import httpx
import pytest
from mongo_server import store_asked_for
from parts import fhir_app, ids, service
from parts import repository as over

from fhir_hub.referral.conduct import Conduct
from fhir_hub.store.open import open_backend


@pytest.fixture
async def client(clock):
    with store_asked_for() as url:
        async with open_backend(url) as opened:
            repository = over(opened.store, clock, ids(), "enforce", Conduct(is_strict=True))
            app = fhir_app(service(repository), [])
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://hub.test/fhir/"
            ) as client:
                yield client
