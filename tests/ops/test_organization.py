"""`[organization]`: who runs the hub is named where the hub says who did something.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-msh-to-provenance-transformation.html
"""

from pathlib import Path

import pytest
import pytest_asyncio

MESSAGE = (
    Path(__file__).parents[2] / "examples" / "messages" / "01_ADT_A04_chc_register.hl7"
).read_bytes()
NUMBER = {"system": "https://fhir-hub.example/sid/uscc", "value": "12310118DEM0000149"}
CENTRE = {
    "name": "青浦区卫生健康信息中心",
    "identifier": [NUMBER],
    "telecom": [{"system": "phone", "value": "021-00000000", "use": "work"}],
}
TABLES = "/hl7v2/$convert?tables=true"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(start):
    async with start(organization=CENTRE) as hub:
        yield hub


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(hub):
    async with hub.client() as client:
        yield client


def assemblers(bundle):
    """Return who made FHIR of the message: Organizations of the Bundle."""
    by_url = {one["fullUrl"]: one for one in bundle["entry"]}
    return [
        by_url[agent["who"]["reference"]]
        for one in by_url.values()
        if one["resource"]["resourceType"] == "Provenance"
        for agent in one["resource"]["agent"]
        if agent["type"]["coding"][0]["code"] == "assembler"
    ]


async def test_the_transformation_names_it_also_after_maps_were_read_again(hub, client):
    first = (await client.post(TABLES, content=MESSAGE)).json()
    await hub.hub.reloading.look(is_asked=True)
    again = (await client.post(TABLES, content=MESSAGE)).json()

    assert first == again
    assert [one["resource"] for one in assemblers(first)] == [
        {"resourceType": "Organization", **CENTRE}
    ]


async def test_it_is_one_organization_however_often_it_is_named_the_one_that_is_there(client):
    own = await client.post(
        "/fhir/Organization", json={"resourceType": "Organization", "identifier": [NUMBER]}
    )
    for _ in range(2):
        bundle = (await client.post(TABLES, content=MESSAGE)).json()
        answer = await client.post("/fhir", json=bundle)
        assert answer.status_code == 200, answer.text

    found = (await client.get("/fhir/Organization", params={"identifier": NUMBER["value"]})).json()
    assert [one["resource"]["id"] for one in found["entry"]] == [own.json()["id"]]


async def test_a_message_that_is_stored_is_stored_as_ever(hub, client):
    assert b"|AA|" in (await hub.send(MESSAGE))

    told = (await client.get("/fhir/Provenance")).json()["entry"][0]["resource"]
    assert [agent["type"]["coding"][0]["code"] for agent in told["agent"]] == ["transmitter"]


async def test_the_capability_statement_says_who_publishes_it(client):
    statement = (await client.get("/fhir/metadata")).json()

    assert statement["publisher"] == CENTRE["name"]
    assert statement["contact"] == [{"telecom": CENTRE["telecom"]}]


async def test_a_summary_is_kept_by_it(client):
    await client.put("/fhir/Patient/p", json={"resourceType": "Patient", "id": "p"})
    document = (await client.get("/fhir/Patient/p/$summary")).json()

    keeper = document["entry"][0]["resource"]["custodian"]["reference"]
    kept = next(one["resource"] for one in document["entry"] if one["fullUrl"] == keeper)
    assert kept["identifier"] == [NUMBER]
