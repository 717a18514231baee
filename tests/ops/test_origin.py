"""From a resource to the message that wrote it and back, by the message's Provenance."""

from pathlib import Path

import pytest
import pytest_asyncio

FIRST = Path(__file__).parents[2] / "examples" / "messages" / "01_ADT_A04_chc_register.hl7"
CONTROL_ID = "ZJJ20250310083015001"
MESSAGES = "https://fhir-hub.example/sid/ZJJCHC/message"
JOURNAL = "https://fhir-hub.example/sid/journal"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(start):
    async with start() as hub:
        assert b"MSA|AA" in await hub.send(FIRST.read_bytes())
        async with hub.client() as client:
            yield client


async def found(client, query):
    bundle = (await client.get(f"/fhir/{query}")).json()
    return [entry["resource"] for entry in bundle.get("entry", ())]


async def test_a_resource_leads_to_its_message(client):
    (patient,) = await found(client, "Patient?name=沈桂芳")

    (provenance,) = await found(client, f"Provenance?target=Patient/{patient['id']}")

    what = provenance["entity"][0]["what"]
    assert what["identifier"] == {"system": MESSAGES, "value": CONTROL_ID}
    assert {"system": JOURNAL, "code": "1"} in provenance["meta"]["tag"]


@pytest.mark.parametrize(
    "query", [f"_tag={JOURNAL}|1", f"entity:identifier={MESSAGES}|{CONTROL_ID}"]
)
async def test_a_message_leads_to_its_resources(client, query):
    (provenance,) = await found(client, f"Provenance?{query}")
    types = {target["reference"].partition("/")[0] for target in provenance["target"]}

    assert {"Patient", "Encounter", "CareTeam", "Coverage"} <= types
