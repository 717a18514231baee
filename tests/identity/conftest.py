"""A hub's FHIR side that reviews what is written, in memory."""

import sys
from pathlib import Path

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from parts import fhir_app, ids, service
from parts import repository as over

from fhir_hub.referral.conduct import Conduct
from fhir_hub.store.open import open_backend


@pytest.fixture
async def client(clock):
    opened = open_backend("memory:")
    repository = over(opened.store, clock, ids(), "enforce", Conduct(is_strict=True))
    transport = httpx.ASGITransport(app=fhir_app(service(repository), []))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.test/fhir/") as client:
        yield client
    await opened.close()
