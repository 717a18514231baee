"""A message that refers to what the hub has never seen gets a placeholder for it.

Spec: issue B (referential integrity); https://hl7.org/fhir/R4/references.html
"""

import asyncio
import json

import pytest

SENDER = """
source = "a test"
match = {{ "MSH-3" = "XIS" }}

[[field]]
map = "PID-Patient"
to = "{to}"
value = {value}
"""
MESSAGE = (
    "MSH|^~\\&|XIS|TEST01|HUB|QPRHP|20250315101500||ADT^A04|{0}|P|2.4\r"
    "EVN|A04|20250315101500\rPID|1||T1^^^TEST01^PI||沈^桂芳||19530412|F\rPV1|1|O\r"
)
ORGANIZATION = {"to": "managingOrganization", "value": '{ reference = "Organization/hospital" }'}
# a list whose entries cannot be told: no valid Linkage has fewer than two items
LINKAGE = {
    "to": "extension",
    "value": '{ url = "urn:x", valueReference = { reference = "Linkage/l" } }',
}


@pytest.fixture
def options(tmp_path):
    """Return a maker of a hub's settings, with a sender whose patients have a reference."""

    def make(row=ORGANIZATION, **more):
        folder = tmp_path / "maps" / "senders"
        folder.mkdir(parents=True)
        (folder / "xis.toml").write_text(SENDER.format(**row), "utf-8")
        return {"mappings_folder": folder.parent, **more}

    return make


async def told(client, address):
    return (await client.get(f"/fhir/{address}")).json()


async def test_what_a_message_refers_to_is_there_as_a_placeholder(start, options):
    async with start(**options()) as hub, hub.client() as client:
        answer = await hub.send(MESSAGE.format("1").encode())
        made = await told(client, "Organization/hospital")
        valid = await client.get("/fhir/Organization/hospital/$validate")
        tagged = await told(client, "Organization?_tag=placeholder&_summary=count")

    assert b"\rMSA|AA|1" in answer
    assert made["meta"]["tag"][0]["code"] == "placeholder"
    assert "error" not in valid.text
    assert tagged["total"] == 1


async def test_the_real_resource_replaces_the_placeholder(start, options):
    real = {"resourceType": "Organization", "id": "hospital", "name": "总院"}
    async with start(**options()) as hub, hub.client() as client:
        await hub.send(MESSAGE.format("1").encode())
        replaced = await client.put("/fhir/Organization/hospital", json=real)
        await hub.send(MESSAGE.format("2").encode())
        kept = await told(client, "Organization/hospital")
        held = await client.delete("/fhir/Organization/hospital")

    assert (replaced.status_code, replaced.headers["ETag"]) == (200, 'W/"2"')
    assert kept["meta"].get("tag") is None
    assert kept["name"] == "总院"
    assert held.status_code == 409


async def test_what_cannot_be_made_is_warned_of_and_the_message_taken(start, options):
    async with start(**options(LINKAGE)) as hub, hub.client() as client:
        answer = await hub.send(MESSAGE.format("1").encode())
        found = await told(client, "Patient?name=沈桂芳")
        missing = await client.get("/fhir/Linkage/l")
        logged = [json.loads(line) for line in hub.logged.getvalue().splitlines()]

    assert b"\rMSA|AA|1" in answer
    assert found["total"] == 1
    assert missing.status_code == 404
    (line,) = [one for one in logged if one["event"] == "references_to_nothing"]
    assert line["expressions"] == "Patient.extension[0].valueReference.reference"


async def test_a_sender_whose_references_are_off_gets_no_placeholder(start, options):
    sources = {"xis": {"references": "off"}}
    async with start(**options(sources=sources)) as hub, hub.client() as client:
        answer = await hub.send(MESSAGE.format("1").encode())
        missing = await client.get("/fhir/Organization/hospital")

    assert b"\rMSA|AA|1" in answer
    assert missing.status_code == 404


async def test_of_20_messages_at_once_one_makes_the_placeholder(start, options):
    async with start(**options()) as hub, hub.client() as client:
        sent = (hub.send(MESSAGE.format(number).encode()) for number in range(20))
        answers = await asyncio.gather(*sent)
        history = await told(client, "Organization/hospital/_history")

    assert all(b"\rMSA|AA|" in answer for answer in answers)
    assert history["total"] == 1
