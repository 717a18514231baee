"""What was left, by a hub that ended or by a connection that broke, is done in its turn.

Spec: DESIGN 3, "A crash between keep and finish is replayed at start"
"""

import asyncio

import pytest
from hl7v2.faulty_hub import FAULT, Hub, message

from fhir_hub.hl7v2.wire.sender import read_answer
from fhir_hub.store.journal import Received


@pytest.fixture
def hub(backend, clock):
    return Hub(backend, clock)


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_message_that_cannot_ask_for_its_turn_asks_again(hub, is_told):
    """A connection to the database that breaks meanwhile: else it was kept and nobody did it."""
    hub.store.gates["write"] = asyncio.Event()
    hub.journal.faults["turn"] = [FAULT, FAULT]
    heard = (lambda number, commit: None) if is_told else None
    first = asyncio.create_task(hub.send("C1"))
    await hub.holds("write")
    second = asyncio.create_task(hub.receiver.receive(message("C2"), on_kept=heard))
    while hub.lines.count("message_tried") < 2 and not second.done():
        await asyncio.sleep(0)
    hub.open_all()

    assert await first == ("C1", "AA")
    assert read_answer(await second)[:2] == ("C2", "AA")
    assert await hub.states() == ["done", "done"]


async def test_a_message_that_was_left_is_asked_for_again_when_it_cannot_be_read(hub):
    received = Received("mllp-1", "C1", "d", 1, message())
    await hub.backend.journal.keep(received)
    hub.journal.faults["find"] = [FAULT]

    await hub.receiver.replay()

    assert await hub.states() == ["done"]
    assert hub.lines == ["message_tried"]


async def test_closing_leaves_what_is_under_way_to_the_next_start(hub):
    hub.store.gates["write"] = asyncio.Event()
    work = asyncio.create_task(hub.send())
    while await hub.states() != ["received"]:
        await asyncio.sleep(0)
    await hub.receiver.close()
    with pytest.raises(asyncio.CancelledError):
        await work

    hub.store.gates.clear()
    assert await hub.receiver.replay() == 1
    assert await hub.states() == ["done"]


async def test_what_was_left_and_comes_again_does_not_overtake_what_was_left_before_it(hub):
    hub.store.gates["write"] = asyncio.Event()
    left = [asyncio.create_task(hub.send(control_id)) for control_id in ("C1", "C2")]
    while await hub.states() != ["received"] * 2:
        await asyncio.sleep(0)
    await hub.receiver.close()
    await asyncio.gather(*left, return_exceptions=True)
    hub.store.gates.clear()
    hub.journal.gates["turn"] = asyncio.Event()

    again = asyncio.create_task(hub.send("C2"))
    waits = asyncio.create_task(hub.holds("turn"))
    await asyncio.wait((again, waits), return_when=asyncio.FIRST_COMPLETED)
    waits.cancel()
    assert await hub.states() == ["received"] * 2
    hub.open_all()
    assert await hub.receiver.replay([1, 2]) == 2

    assert await again == ("C2", "AA")
    assert await hub.states() == ["done"] * 2


async def test_of_what_is_handed_over_only_that_is_read_and_in_its_order(hub):
    hub.store.gates["write"] = asyncio.Event()
    sent = [asyncio.create_task(hub.send(control_id=f"C{n}", number=f"X{n}")) for n in range(1, 4)]
    while await hub.states() != ["received"] * 3:
        await asyncio.sleep(0)
    await hub.receiver.close()
    await asyncio.gather(*sent, return_exceptions=True)
    hub.store.gates.clear()
    hub.journal.faults["pending"] = [FAULT]  # it may be very long

    assert await hub.receiver.replay([3, 1, 9]) == 2
    assert await hub.states() == ["done", "received", "done"]
    assert await hub.receiver.replay([]) == 0
    assert await hub.receiver.replay([1, 2, 3]) == 1
    assert await hub.states() == ["done"] * 3


class SlowAtFirst:
    """A gate whose first visitor waits longer than those who come behind him."""

    def __init__(self):
        self.rounds = 9

    async def wait(self):
        rounds, self.rounds = self.rounds, 0
        for _ in range(rounds):
            await asyncio.sleep(0)


async def test_the_first_messages_after_a_start_are_kept_as_they_came(backend, clock):
    hub = Hub(backend, clock)
    hub.journal.gates["select"] = SlowAtFirst()
    ids = ["C1", "C2", "C3"]
    await asyncio.gather(*(hub.send(control_id) for control_id in ids))

    kept = reversed(await backend.journal.recent())
    assert [one.message.control_id for one in kept] == ids
