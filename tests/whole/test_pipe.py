"""The pipe between two processes of one hub, both ends of it here."""

import asyncio
import socket

import pytest
import uvloop

from fhir_hub.errors import Fault, Unavailable
from fhir_hub.store.base import Conflict
from fhir_hub.workers.pipe import open_pipe

SIZES = (0, 1, 250_000, 30, 65_536, 3_000_000, 65_530, 40_000)


async def _back(kind, value):
    if kind == "conflict":
        raise Conflict("it has changed")
    if kind == "fault":
        raise ZeroDivisionError("with what nobody may read")
    return kind, value


async def _pair(lost=lambda: None):
    one, other = socket.socketpair()
    return await open_pipe(one, _back, lost), await open_pipe(other, _back, lost)


async def test_questions_of_every_size_are_answered_in_both_directions_at_once():
    pipes = await _pair()

    asked = [(pipe, f"{number}", bytes([number]) * size)
             for pipe in pipes for number, size in enumerate(SIZES * 3)]  # fmt: skip
    answers = await asyncio.gather(*(pipe.ask(kind, value) for pipe, kind, value in asked))

    assert answers == [(kind, value) for _, kind, value in asked]
    for pipe in pipes:
        pipe.close()


async def test_who_asks_hears_the_error_of_the_other_end_but_of_a_fault_only_its_place():
    one, other = await _pair()

    with pytest.raises(Conflict, match="it has changed"):
        await one.ask("conflict")
    with pytest.raises(Fault, match=r"^ZeroDivisionError at ") as caught:
        await one.ask("fault")
    assert "nobody" not in str(caught.value)
    one.close()
    other.close()


async def test_what_was_asked_of_an_end_that_is_gone_is_unavailable():
    lost = asyncio.Event()
    one, other = await _pair(lost.set)

    asked = asyncio.ensure_future(one.ask("kept", b"x" * 2_000_000))
    other.close()

    with pytest.raises(Unavailable):
        await asked
    with pytest.raises(Unavailable):
        await one.ask("more")
    await lost.wait()


def test_what_a_message_writes_leaves_before_the_step_of_the_loop_ends():
    async def ask():
        own, peer = socket.socketpair()
        peer.setblocking(False)
        pipe = await open_pipe(own, _back, lambda: None)
        for kind, size in (("keep", 2_000), ("write", 40_000)):
            question = pipe.ask(kind, b"x" * size)
            question.send(None)  # until it waits for the answer; the loop does nothing meanwhile
            try:
                yield kind, len(peer.recv(1 << 20)) >= size
            except BlockingIOError:
                yield kind, False
            question.close()
        pipe.close()
        peer.close()

    async def left():
        return [one async for one in ask()]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(left()) == [("keep", False), ("write", True)]
