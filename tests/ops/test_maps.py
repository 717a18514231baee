"""New maps in a running hub: taken if they are in order; else told, and the old ones stay.

Spec: DESIGN 2a
"""

import asyncio
import json
import os
import signal

import parts
import pytest

GOOD = """
source = "test"
version = "7"
match = { "MSH-3" = "XIS" }
[[field]]
map = "PV1-Encounter"
to = "status"
value = "triaged"
"""
MESSAGE = (
    "MSH|^~\\&|XIS|TEST01|HUB|QPRHP|20250315101500||ADT^A08|{}|P|2.4\r"
    "PID|1||T{}^^^TEST01^PI||沈^桂芳||19530412|F\rPV1|1|O|||||||||||||||||V{}\r"
)


@pytest.fixture
async def hub(start, tmp_path):
    (tmp_path / "senders").mkdir()
    (tmp_path / "version.toml").write_text('version = "2026.11"\n')
    async with start(mappings_folder=tmp_path, mappings_watch_s=0) as running:
        yield running


async def maps_of(hub):
    async with hub.client() as client:
        return (await client.get("/ops/maps")).json()


async def until(hub, holds):
    """Wait for what a signal has asked for."""
    async with asyncio.timeout(parts.PATIENCE_S):
        while not holds(found := await maps_of(hub)):
            await asyncio.sleep(0)
    return found


async def status_of(hub, number):
    assert b"MSA|AA" in await hub.send(MESSAGE.format(number, number, number).encode())
    async with hub.client() as client:
        found = (await client.get(f"/fhir/Encounter?identifier=V{number}")).json()
    return found["entry"][0]["resource"]["status"]


async def test_on_sighup_a_new_file_holds_from_the_next_message_on(hub, tmp_path):
    before = await maps_of(hub)
    assert before["version"].startswith("2026.11-")
    assert await status_of(hub, 1) == "in-progress"

    (tmp_path / "senders" / "xis.toml").write_text(GOOD, "utf-8")
    os.kill(os.getpid(), signal.SIGHUP)
    after = await until(hub, lambda found: found["version"] != before["version"])

    assert {"name": "xis", "version": "7", "match": {"MSH-3": ["XIS"]}} in after["senders"]
    assert await status_of(hub, 2) == "triaged"
    assert [one.maps for one in await hub.hub.backend.journal.recent()] == [
        after["version"],
        before["version"],
    ]
    line = json.loads(hub.logged.getvalue().splitlines()[-1])
    assert (line["event"], line["level"]) == ("maps_taken", "info")


async def test_who_could_open_no_file_when_it_looked_looks_again(hub, tmp_path):
    before = await maps_of(hub)
    (tmp_path / "senders" / "xis.toml").write_text(GOOD, "utf-8")
    with parts.no_descriptors():
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(parts.PATIENCE_S):
            while "files_not_looked_at" not in hub.logged.getvalue():
                await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGHUP)

    await until(hub, lambda found: found["version"] != before["version"])


async def test_of_the_same_maps_asked_for_again_none_are_said_to_be_taken(hub):
    before = await maps_of(hub)
    await hub.hub.reloading.look(is_asked=True)

    assert await maps_of(hub) == before
    line = json.loads(hub.logged.getvalue().splitlines()[-1])
    assert (line["event"], line["level"]) == ("maps_unchanged", "info")
    async with hub.client() as client:
        assert 'reloads_total{outcome="taken"}' not in (await client.get("/metrics")).text


async def test_of_a_mistake_file_and_row_are_told_and_the_old_maps_stay(hub, tmp_path):
    before = await maps_of(hub)
    wrong = GOOD.replace('"status"', '"stratus"')
    (tmp_path / "senders" / "xis.toml").write_text(wrong, "utf-8")
    await hub.hub.reloading.look()

    told = await maps_of(hub)
    assert told["version"] == before["version"]
    assert told["refused"] == [
        "senders/xis.toml row 1: Encounter has no element stratus; "
        "did you mean status, statusHistory? / Encounter 没有元素 stratus"
    ]
    line = json.loads(hub.logged.getvalue().splitlines()[-1])
    assert (line["event"], line["problems"]) == ("maps_refused", told["refused"][0])
    assert await status_of(hub, 3) == "in-progress"
    async with hub.client() as client:
        metrics = (await client.get("/metrics")).text
    assert 'fhir_hub_maps_reloads_total{outcome="refused"} 1.0' in metrics

    (tmp_path / "senders" / "xis.toml").write_text(GOOD, "utf-8")
    await hub.hub.reloading.look()
    assert (await maps_of(hub))["refused"] == []
    assert await status_of(hub, 4) == "triaged"


async def test_what_has_not_changed_is_not_read_again(hub):
    before = await maps_of(hub)
    await hub.hub.reloading.look()

    assert await maps_of(hub) == before
    assert "maps_" not in hub.logged.getvalue()
