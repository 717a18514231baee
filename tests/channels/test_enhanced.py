"""Enhanced mode: the commit acknowledgment at once, the application's later, once, whatever fails.

Spec: HL7v2 chapter 2, 2.9.3 and table 0155
"""

import asyncio

import pytest
from channel_parts import adt, held_until

from fhir_hub.hl7v2.wire.sender import read_answer

GOOD, BAD = "T1", ""
ENHANCED = {"mllp": {"ack_mode": "enhanced"}}


def message(control_id="C1", accept="AL", application="AL", **fields):
    return adt(control_id, msh_15=accept, msh_16=application, **fields)


async def codes(client, raw):
    """Return MSA-1 of all that is answered to a message and to one after it that is quick."""
    await client.send_only(raw)
    await client.send_only(adt("LAST"))
    found = []
    while not found or found[-1][0] != "LAST":
        result = read_answer(await client.answer())
        found.append((result.control_id, result.ack_code))
    return [code for control_id, code in found if control_id != "LAST"]


async def test_a_message_is_committed_and_then_acknowledged(start):
    async with start(channels=ENHANCED) as ways:
        client = await ways.connect()
        committed = await client.send(message())
        told = await client.answer()

        assert committed.endswith(b"MSA|CA|C1\r")
        assert told.endswith(b"MSA|AA|C1\r")
        header = told.split(b"\r")[0].split(b"|")
        assert header[14:16] == [b"AL", b"NE"]
        assert header[9] not in (b"", b"C1", committed.split(b"\r")[0].split(b"|")[9])
        assert len(committed.split(b"\r")[0].split(b"|")) == 12  # it asks for no acknowledgment
        assert await ways.kept() == [("mllp", "done")]
        await ways.intake.close()
        assert await ways.backend.journal.owed() == []


@pytest.mark.parametrize(
    ("accept", "application", "good", "bad"),
    [
        ("AL", "AL", "CA AA", "CA AE"),
        ("AL", "NE", "CA", "CA"),
        ("AL", "", "CA", "CA"),
        ("NE", "AL", "AA", "AE"),
        ("", "AL", "AA", "AE"),
        ("NE", "NE", "", ""),
        ("ER", "ER", "", "AE"),
        ("SU", "SU", "CA AA", "CA"),
        ("AL", "ER", "CA", "CA AE"),
        ("al", "su", "CA AA", "CA"),
        ("", "", "AA", "AE"),
    ],
)
async def test_the_sender_hears_what_msh_15_and_16_ask_for(start, accept, application, good, bad):
    async with start(channels=ENHANCED) as ways:
        for number, (told, event) in enumerate([(good, "ADT^A08"), (bad, "BAD^A08")]):
            client = await ways.connect()
            raw = message(f"C{number}", accept, application, msh_9=event)
            assert sorted(await codes(client, raw)) == sorted(told.split())


async def test_in_original_mode_msh_15_and_16_say_nothing(start):
    async with start() as ways:
        client = await ways.connect()
        assert await codes(client, message()) == ["AA"]
        assert await codes(client, message("C2", "NE", "NE")) == ["AA"]


@pytest.mark.parametrize("kind", ["processing id", "changed", "too large"])
async def test_what_cannot_be_kept_or_taken_is_refused_at_commit(start, kind):
    channel = {"ack_mode": "enhanced", "processing_ids": "P", "max_message_bytes": 1024}
    async with start(channels={"mllp": channel}) as ways:
        client = await ways.connect()
        raw = message()
        if kind == "processing id":
            raw, code = message(msh_11="T"), "CR"
        elif kind == "changed":
            assert await codes(client, raw) == ["CA", "AA"]
            raw, code = raw + b"NTE|1\r", "CE"
        else:
            raw, code = raw + b"NTE|" + b"x" * 2000, "CE"
        refused = await client.send(raw)
        assert read_answer(refused).ack_code == code
        assert set(refused.split(b"\r")[0].split(b"|")[14:16]) <= {b""}
        await ways.intake.close()
        assert await ways.backend.journal.owed() == []


@pytest.mark.parametrize(
    ("accept", "application", "told"),
    [
        ("NE", "AL", ["AR"]),
        ("", "ER", ["AR"]),
        ("NE", "SU", []),
        ("SU", "NE", []),
        ("ER", "", ["CR"]),
    ],
)
async def test_who_wants_no_commit_hears_of_a_refusal_as_msh_16_asks(
    start, accept, application, told
):
    channel = {"ack_mode": "enhanced", "processing_ids": "P"}
    async with start(channels={"mllp": channel}) as ways:
        client = await ways.connect()
        assert await codes(client, message("C1", accept, application, msh_11="T")) == told


async def test_a_message_that_no_channel_takes_is_refused_at_commit(start):
    only = {"ack_mode": "enhanced", "match": {"MSH-3": "LIS"}}
    async with start(channels={"mllp": {"enabled": False}, "lab": only | {"port": 0}}) as ways:
        client = await ways.connect("lab")
        assert read_answer(await client.send(message("C1"))).ack_code == "CR"
        assert read_answer(await client.send(adt("C2"))).ack_code == "AR"
        assert await ways.kept() == []


async def test_a_message_that_comes_again_is_committed_and_acknowledged_again(start):
    async with start(channels=ENHANCED) as ways:
        client = await ways.connect()
        assert await codes(client, message()) == ["CA", "AA"]
        assert await codes(client, message()) == ["CA", "AA"]
        assert len(ways.seen.zones) == 2  # of the message, and of the last


async def test_an_acknowledgment_is_not_acknowledged(start):
    async with start(channels=ENHANCED) as ways:
        client = await ways.connect()
        commit = adt("X1", msh_9="ACK^A08^ACK").replace(b"PID|1||T1", b"MSA|CA|h1")
        assert await codes(client, commit) == []


async def test_no_more_messages_are_under_way_than_the_channel_says(start):
    most = now = 0

    def around(take):
        async def counted(*way):
            nonlocal most, now
            now += 1
            most = max(most, now)
            try:
                return await take(*way)
            finally:
                now -= 1

        return counted

    channels = {"mllp": {"ack_mode": "enhanced", "under_way": 3}}
    async with start(around=around, channels=channels) as ways:
        client = await ways.connect()
        for number in range(30):
            await client.send_only(message(f"C{number}"))
        told = [read_answer(await client.answer()).ack_code for _ in range(60)]
        assert (told.count("CA"), told.count("AA"), most <= 3) == (30, 30, True)


async def test_closing_tells_first_what_is_under_way(start):
    gate = asyncio.Event()

    async with start(around=held_until(gate), channels=ENHANCED) as ways:
        client = await ways.connect()
        assert read_answer(await client.send(message())).ack_code == "CA"
        closing = asyncio.create_task(ways.intake.close())
        await asyncio.sleep(0)
        gate.set()
        assert read_answer(await client.answer()).ack_code == "AA"
        assert await client.is_closed()
        await closing


async def test_acknowledgments_come_in_the_order_of_the_messages(start):
    gates = {"C1": asyncio.Event(), "C2": asyncio.Event()}
    gates["C2"].set()

    def around(take):
        async def held(block, *way):
            answer = await take(block, *way)
            await gates[read_answer(answer).control_id].wait()
            gates["C1"].set()
            return answer

        return held

    async with start(around=around, channels=ENHANCED) as ways:
        client = await ways.connect()
        for control_id in ("C1", "C2"):
            await client.send_only(message(control_id))
        found = [read_answer(await client.answer())[:2] for _ in range(4)]
        assert [one for one in found if one[1] == "AA"] == [("C1", "AA"), ("C2", "AA")]
