"""A hub of several processes that is killed while a partner is silent tells him everything once."""

import asyncio
from contextlib import AsyncExitStack

import parts
from deliver_parts import Peer
from whole.running import RunningHub

from fhir_hub.cli.outbox import retry
from fhir_hub.hl7v2.deliver.outbox import dead_messages
from fhir_hub.hl7v2.wire.sender import control_id
from fhir_hub.store.open import open_backend

SYSTEM = "https://fhir-hub.example/sid/SHTH01/patient-id"


def patient(number):
    named = {"identifier": [{"system": SYSTEM, "value": f"T{number}"}]}
    return {"resourceType": "Patient", "id": f"p{number}", **named}


def put(hub, *numbers):
    with hub.client() as client:
        for number in numbers:
            answer = client.put(f"Patient/p{number}", json=patient(number))
            assert answer.status_code == 201, answer.text


async def retried(store):
    """Have the dead message sent again, when the hub that runs has noted that it is dead."""
    async with open_backend(store) as backend:
        async with asyncio.timeout(parts.PATIENCE_S):
            while not (dead := await dead_messages(backend.store)):
                await asyncio.sleep(0.01)
    assert [one.ack_code for one in dead] == ["AR"]
    await asyncio.to_thread(retry, "his", [dead[0].control_id], False, store, None)


async def test_a_killed_hub_sends_again_what_was_not_answered_and_then_the_rest(tmp_path):
    peer = Peer()
    async with AsyncExitStack() as stack:
        await peer.start()
        stack.push_async_callback(peer.stop)
        config = tmp_path / "hub.toml"
        config.write_text(
            "[partners.his]\n"
            f'address = "mllp://127.0.0.1:{peer.port}"\n'
            'sends = { Patient = "" }\n'
        )
        store = f"sqlite:{tmp_path / 'hub.sqlite'}"
        arguments = (store, "--workers", "2", "--config", str(config))
        first = await asyncio.to_thread(RunningHub, *arguments)
        await asyncio.to_thread(put, first, 1)
        await peer.messages(1)
        peer.answers = ["silent"]
        await asyncio.to_thread(put, first, 2, 3)
        await peer.messages(2)
        await asyncio.to_thread(first.kill)

        second = await asyncio.to_thread(RunningHub, *arguments)
        stack.callback(second.stop)
        await peer.messages(3)
        peer.answers = ["AR"]
        await asyncio.to_thread(put, second, 4)
        await peer.until(lambda one: len(one.received) == 5)
        await retried(store)
        await peer.until(lambda one: len(one.received) == 6)
        await asyncio.to_thread(second.stop)

    again = [control_id(raw) for raw in peer.received]
    assert again[5] == f"{again[4]}-R1"
    assert again[1] == again[2]
    assert peer.received[1] == peer.received[2]
    told = [raw.decode().split("PID|1||")[1].split("^")[0] for raw in peer.distinct]
    assert told == ["T1", "T2", "T3", "T4", "T4"]
