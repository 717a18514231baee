"""A message whose sender has heard that it is kept (CA) is done, however long that takes.

Spec: HL7v2 chapter 2, 2.9.2: the sender need not send it again after the commit acknowledgment
"""

import asyncio

import pytest
from hl7v2.faulty_hub import FAULT, Hub, message

from fhir_hub.errors import VersionConflict
from fhir_hub.hl7v2.journal.desk import JournalDesk
from fhir_hub.hl7v2.wire.sender import read_answer

PAST = 40  # tries, which take longer than a sender waits


@pytest.fixture
def hub(backend, clock):
    return Hub(backend, clock, ack_mode="enhanced")


def commit(hub, control_id="C1", number="T1"):
    """Take a message in enhanced mode; return who does it, once it is committed."""
    kept = asyncio.get_running_loop().create_future()
    raw = message(control_id, number, "AL")
    work = hub.receiver.receive(raw, on_kept=lambda number, told: kept.set_result(told))
    return asyncio.create_task(work), kept


async def test_a_fault_that_takes_longer_than_senders_wait_is_tried_until_it_is_over(
    backend, clock, waited
):
    pauses = []

    async def pause(seconds):
        pauses.append(seconds)
        waited(seconds)

    hub = Hub(backend, clock, pause=pause, ack_mode="enhanced")
    hub.store.faults["write"] = [FAULT] * PAST
    work, kept = commit(hub)

    assert read_answer(await kept).ack_code == "CA"
    assert read_answer(await work)[:2] == ("C1", "AA")
    assert await hub.states() == ["done"]
    assert await hub.observations() == [1]
    assert 15 < max(pauses) <= 30 < sum(pauses)


async def test_a_fault_of_more_than_a_day_and_want_of_memory_end_in_a_dead_letter(
    backend, clock, waited
):
    async def pause(seconds):
        waited(seconds)

    hub = Hub(backend, clock, pause=pause, ack_mode="enhanced")
    for control_id, fault in (("C1", FAULT), ("C2", MemoryError())):
        hub.fault = fault
        work, _ = commit(hub, control_id)
        assert read_answer(await work)[:2] == (control_id, "AE")

    long, short = reversed(await backend.journal.recent())
    assert (long.state, short.state) == ("dead", "dead")
    assert long.attempts > 86_400 / 30 > 30 > short.attempts


async def test_one_that_waits_for_its_turn_waits_as_long_as_it_takes(hub, waited):
    hub.store.gates["write"] = asyncio.Event()
    first, _ = commit(hub, "C1")
    await hub.holds("write")
    second, kept = commit(hub, "C2")
    assert read_answer(await kept).ack_code == "CA"
    for _ in range(3):
        waited(3600)
        await asyncio.sleep(0)
    hub.open_all()

    assert read_answer(await first)[:2] == ("C1", "AA")
    assert read_answer(await second)[:2] == ("C2", "AA")
    assert await hub.states() == ["done", "done"]


async def test_what_a_crash_left_and_waits_for_another_process_holds_nothing_up(hub, waited):
    """C1 is done elsewhere, C2 waits for it; C3, behind C2, is about somebody else."""
    hub.store.gates["write"] = asyncio.Event()
    told = (("C1", "T1"), ("C2", "T1"), ("C3", "T3"))
    works, kept = zip(*(commit(hub, *one) for one in told), strict=True)
    await asyncio.gather(*kept)
    await hub.receiver.close()
    await asyncio.gather(*works, return_exceptions=True)
    hub.store.gates.clear()

    replaying = asyncio.create_task(hub.receiver.replay([2, 3], is_alone=True))
    while not replaying.done():
        waited(0.01)
        await asyncio.sleep(0)
    assert await hub.states() == ["received", "received", "done"]
    assert await hub.receiver.replay([1]) == 1
    while await hub.states() != ["done"] * 3:
        await asyncio.sleep(0)


ENDS = {"ignore": ["ignored", "done"], "correct": ["replaced", "done", "done"]}


@pytest.mark.parametrize("by", ENDS)
async def test_one_that_holds_up_its_patient_is_ended_by_hand(backend, clock, waited, by):
    """C1 is tried again and again, C2 waits for it; then somebody decides about C1."""
    goes_on = asyncio.Event()
    goes_on.set()

    async def pause(seconds):
        waited(seconds)
        await asyncio.sleep(0)
        await goes_on.wait()

    hub = Hub(backend, clock, pause=pause, ack_mode="enhanced")
    hub.store.faults["write"] = [FAULT] * 10_000
    desk = JournalDesk(backend.journal, hub.receiver, hub.receiver._log)
    first, _ = commit(hub, "C1")
    second, _ = commit(hub, "C2")
    while hub.lines.count("message_tried") < PAST:
        await asyncio.sleep(0)
    goes_on.clear()
    assert await hub.states() == ["received", "received"]
    assert [hub.lines.count(f"message_{one}") for one in ("holds_up", "waits")] == [1, 1]
    hub.store.faults.clear()
    clock.tick(31)

    does = desk.ignore(1, who="li") if by == "ignore" else desk.correct(1, message("C3"), who="li")
    assert (await does)["state"] == ENDS[by][-1 if by == "correct" else 0]
    assert read_answer(await second)[:2] == ("C2", "AA")
    goes_on.set()
    assert read_answer(await first)[:2] == ("C1", "AE")
    assert await hub.states() == ENDS[by]
    assert len(await hub.observations()) == len(hub.done) == ENDS[by].count("done")


async def test_what_is_written_while_it_is_ended_by_hand_is_lost(hub, clock):
    hub.store.gates["write"] = asyncio.Event()
    desk = JournalDesk(hub.backend.journal, hub.receiver, hub.receiver._log)
    work, _ = commit(hub)
    await hub.holds("write")
    with pytest.raises(VersionConflict, match="under way"):  # its sender may wait for it
        await desk.ignore(1, who="li")
    clock.tick(31)
    assert (await desk.ignore(1, who="li"))["reason"]["zh"] == "已由人工终止"
    hub.open_all()

    assert read_answer(await work)[:2] == ("C1", "AE")
    assert (await hub.states(), await hub.observations(), hub.done) == (["ignored"], [], [])
