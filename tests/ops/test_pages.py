"""Health, metrics and the pages that say where everything is, as an operator sees them."""

import re
from pathlib import Path

import pytest

from fhir_hub.rest.routes import ROUTES


@pytest.fixture
async def hub(start):
    async with start() as hub:
        yield hub


@pytest.fixture
async def client(hub):
    async with hub.client() as client:
        yield client


async def test_a_running_hub_is_live_and_ready(client):
    live = await client.get("/health/live")
    ready = await client.get("/health/ready")

    assert (live.status_code, live.json()) == (200, {"status": "ok"})
    assert ready.status_code == 200
    assert ready.json() == {"status": "ready", "store": "ok", "http": "ok", "mllp": "ok"}


async def test_a_hub_whose_store_is_gone_is_live_and_not_ready(hub, client):
    await hub.hub.backend.close()

    ready = await client.get("/health/ready")

    assert (await client.get("/health/live")).status_code == 200
    assert ready.status_code == 503
    assert ready.json()["status"] == "not ready"
    assert ready.json()["store"].startswith("not reachable (")


async def test_a_draining_hub_is_not_ready(hub, client):
    hub.hub.is_taking = False

    assert (await client.get("/health/ready")).json()["http"] == "draining"


async def test_metrics_are_text_for_prometheus_and_count_what_was_done(hub, client):
    await client.get("/fhir/metadata")
    await client.get("/fhir/Nothing")
    await hub.send(b"MSH|^~\\&|A|B|C|D|20240229||XXX^X01|1|P|2.4\r")

    answer = await client.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert (
        'fhir_hub_http_requests_total{interaction="capabilities",status="200"} 1.0' in answer.text
    )
    assert 'status="404"} 1.0' in answer.text
    assert 'fhir_hub_mllp_messages_total{ack_code="AR"} 1.0' in answer.text
    assert "fhir_hub_journal_pending 0.0" in answer.text
    assert "process_resident_memory_bytes" in answer.text


async def test_the_first_page_says_where_everything_is(hub, client):
    page = (await client.get("/")).text

    assert str(hub.addresses.mllp) in page
    of_hl7 = ("ops/messages", "ops/codes", "ops/maps")
    for link in ("fhir/metadata", *of_hl7, "docs", "health/live", "health/ready", "metrics"):
        assert f'href="{link}"' in page
        assert (await client.get(f"/{link}")).status_code == 200


async def test_openapi_has_every_interaction_and_every_page(client):
    described = (await client.get("/openapi.json")).json()

    operations = [o for path in described["paths"].values() for o in path.values()]
    assert {route.interaction for route in ROUTES} <= {o["summary"] for o in operations}
    assert {"/health/live", "/health/ready", "/metrics"} <= set(described["paths"])
    update = described["paths"]["/fhir/{type}/{id}"]["put"]
    assert [parameter["name"] for parameter in update["parameters"]] == ["type", "id"]
    assert list(update["requestBody"]["content"]) == ["application/fhir+json"]
    form = described["paths"]["/fhir/{type}/_search"]["post"]["requestBody"]["content"]
    assert list(form) == ["application/x-www-form-urlencoded"]
    assert len({o["operationId"] for o in operations}) == len(operations)


async def test_the_page_of_addresses_needs_nothing_from_elsewhere(client):
    page = (await client.get("/docs")).text

    assert page == (await client.get("/docs")).text
    assert "/fhir/{type}/{id}/_history/{vid}" in page
    assert "http" not in page.replace("httpx", "")
    assert "<script" not in page


async def test_an_address_that_nothing_has_gets_404(client):
    assert (await client.get("/nothing")).status_code == 404
    assert (await client.get("/fhirs")).status_code == 404


async def test_the_rules_for_alerts_name_metrics_that_there_are(client):
    """`_total` and what a histogram adds is added to a name when it is shown."""
    told = (await client.get("/metrics")).text
    known = set(re.findall(r"^# TYPE (\w+)", told, re.MULTILINE))
    rules = (Path(__file__).parents[2] / "examples" / "alerts.yml").read_text("utf-8")
    named = set(re.findall(r"\bfhir_hub_\w+", rules))
    assert len(named) > 5
    assert named <= known
    assert 'fhir_hub_journal_messages{state="dead"} 0.0' in told
