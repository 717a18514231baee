"""Two processes that both deliver for a moment: one was paused, and does not know of the other.

DESIGN 5 (gap-free order): what was noted later holds.
"""

import asyncio

import pytest
from deliver_parts import Peer, deliveries, numbers, partner, patient, put

from fhir_hub.hl7v2.deliver.outbox import Outbox, progresses
from fhir_hub.hl7v2.wire.sender import control_id
from fhir_hub.store.memory.journal import MemoryJournal
from fhir_hub.store.memory.store import MemoryStore


class Slow(Peer):
    """Answers the first message when told to."""

    def __init__(self):
        super().__init__()
        self.held = []

    def _answer(self, writer, number):
        if not self.held:
            self.held.append((writer, number))
        else:
            super()._answer(writer, number)

    def answer_first(self):
        super()._answer(*self.held[0])


@pytest.fixture
async def slow():
    made = Slow()
    await made.start()
    yield made
    await made.stop()


async def until_noted(store, sequence):
    """Wait until the partner was told all up to a commit."""
    while True:
        his = (await progresses(store))["his"]
        if his.pending is None and max(his.sequence, his.done) >= sequence:
            return his
        await asyncio.sleep(0.01)


async def test_who_was_paused_does_not_undo_what_another_noted_meanwhile(
    store, client, metrics, slow
):
    his = partner(slow, timeout_s=60)
    first, second = (deliveries(store, metrics, his=his) for _ in range(2))
    first.lead()
    await first.opened()
    await put(client, patient(1))
    await slow.messages(1)  # the first process is paused while that is on its way
    second.lead()
    await put(client, patient(2), patient(3))
    await slow.messages(3)
    told = await until_noted(store, 3)
    await second.close(0.1)

    slow.answer_first()
    await put(client, patient(4))
    await slow.messages(4)
    his = await until_noted(store, 4)
    await first.close(0.1)

    assert numbers(slow) == ["T1", "T2", "T3", "T4"]
    assert his.epoch == told.epoch
    again = [control_id(raw) for raw in slow.received]
    assert again[0] == again[1]  # the second process cannot know that it was answered
    assert len(again) == 5  # and the first sends none of what the second has sent


class Meeting(MemoryStore):
    """A store that two ask at once how much there is."""

    def __init__(self):
        super().__init__(MemoryJournal())
        self.both = asyncio.Barrier(2)

    async def status(self):
        await self.both.wait()
        return await super().status()


async def test_two_that_meet_a_new_partner_at_once_name_his_messages_alike():
    store = Meeting()
    first, second = (Outbox(store, "his", lambda one=one: one * 20) for one in "ab")

    opened = await asyncio.gather(first.open(), second.open())

    assert opened[0] == opened[1]
