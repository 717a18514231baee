"""What may pass is tried again, what failed can be done again, and the journal tells of it.

Spec: issue D, "retry with back-off; dead letters with reason, edit-and-replay"
"""

import asyncio

import pytest
from apply_parts import conversion, identifier, observation, patient
from hl7v2.faulty_hub import FAULT, Hub, message

from fhir_hub.errors import Contended, InvalidMessage
from fhir_hub.hl7v2.journal.reasons import shown
from fhir_hub.hl7v2.wire.sender import read_answer
from fhir_hub.store.base import Conflict


@pytest.fixture
def hub(backend, clock):
    return Hub(backend, clock)


@pytest.mark.parametrize(
    "fault", [FAULT, Contended("too many"), OSError("disk full"), MemoryError()]
)
async def test_a_fault_that_passes_is_not_seen_by_the_sender(hub, fault):
    hub.store.faults["write"] = [fault, fault]

    assert await hub.send() == ("C1", "AA")

    (entered,) = await hub.backend.journal.recent()
    assert (entered.state, entered.attempts, entered.maps) == ("done", 3, "v1")
    assert hub.lines == ["message_tried", "message_tried"]
    assert await hub.observations() == [1]


async def test_the_journal_names_the_maps_by_which_a_message_was_read(hub):
    """New maps may come after it was read, while it is compared with what there is."""
    hub.store.gates["search"] = asyncio.Event()
    sent = asyncio.create_task(hub.send())
    await hub.holds("search")
    hub.maps = "v2"
    hub.open_all()

    assert await sent == ("C1", "AA")
    (entered,) = await hub.backend.journal.recent()
    assert entered.maps == "v1"


async def test_a_long_message_is_read_anew_by_maps_that_come_while_it_is_read(hub):
    hub.new_maps = ["v3", "v2"]
    long = message() + b"NTE|1||" + b"x" * 70_000 + b"\r"

    assert read_answer(await hub.receiver.receive(long))[:2] == ("C1", "AA")
    (entered,) = await hub.backend.journal.recent()
    assert (entered.maps, hub.maps, hub.new_maps) == ("v3", "v3", [])


async def test_a_fault_that_does_not_pass_ends_in_a_dead_letter_and_ae(backend, clock, waited):
    async def pause(seconds):
        waited(seconds)

    hub = Hub(backend, clock, pause=pause)
    hub.store.faults["write"] = [FAULT] * 1000

    assert await hub.send() == ("C1", "AE")

    (entered,) = await backend.journal.recent()
    assert entered.state == "dead"
    assert 2 <= entered.attempts <= 30  # pauses double, to 2 s of the 20
    assert shown(entered.error)["zh"] == "请稍后重试"
    hub.store.faults.clear()
    assert await hub.send() == ("C1", "AA")
    assert await hub.states() == ["dead", "done"]


async def test_what_is_wrong_for_good_is_tried_once(hub):
    hub.fault = InvalidMessage("no such patient", location="PID-3")

    assert await hub.send() == ("C1", "AE")

    (entered,) = await hub.backend.journal.recent()
    assert (entered.state, entered.attempts) == ("failed", 1)
    assert shown(entered.error) == {
        "en": "Invalid HL7v2 message",
        "zh": "HL7v2 消息无效",
        "diagnostics": "no such patient",
        "field": "PID-3",
    }


async def test_a_message_that_cannot_be_kept_is_tried_again_too(hub):
    hub.journal.faults["keep"] = [FAULT]

    assert await hub.send() == ("C1", "AA")
    assert await hub.states() == ["done"]


async def test_an_end_that_cannot_be_written_is_written_later(hub):
    hub.fault = InvalidMessage("bad")
    hub.journal.faults["finish"] = [FAULT] * 5

    assert await hub.send() == ("C1", "AE")
    while await hub.states() != ["failed"]:
        await asyncio.sleep(0)
    assert hub.lines == ["message_refused", "message_not_finished"]


async def test_who_is_answered_late_hears_the_end_when_sending_again(hub, waited):
    hub.store.gates["write"] = asyncio.Event()
    first = asyncio.create_task(hub.send())
    await hub.holds("write")
    waited(31)
    assert await first == ("C1", "AE")
    hub.open_all()
    waiting = asyncio.create_task(hub.send())

    assert await waiting == await hub.send() == ("C1", "AA")
    assert hub.lines == ["message_late", "message_done_late"]
    assert await hub.observations() == [1]


async def test_what_was_late_before_it_began_is_a_dead_letter(hub, waited):
    hub.journal.gates["keep"] = asyncio.Event()
    first = asyncio.create_task(hub.send())
    await hub.holds("keep")
    waited(31)
    assert await first == ("C1", "AE")
    hub.open_all()
    while await hub.states() != ["dead"]:
        await asyncio.sleep(0)

    assert await hub.observations() == []
    assert await hub.send() == ("C1", "AA")


async def test_a_message_that_waits_too_long_for_its_turn_is_a_dead_letter(hub, waited):
    hub.store.gates["write"] = asyncio.Event()
    first = asyncio.create_task(hub.send("C1"))
    await hub.holds("write")
    second = asyncio.create_task(hub.send("C2"))
    while await hub.states() != ["received"] * 2:
        await asyncio.sleep(0)
    waited(31)
    assert await second == ("C2", "AE")
    hub.open_all()
    assert (await first)[0] == "C1"  # in time, or late and still under way

    while await hub.states() != ["done", "dead"]:
        await asyncio.sleep(0)
    assert await hub.send("C1") == ("C1", "AA")
    assert await hub.observations() == [1]


async def test_a_sender_that_hangs_up_stops_nothing(hub):
    gate = hub.store.gates["write"] = asyncio.Event()
    work = asyncio.create_task(hub.send())
    while not await hub.states():
        await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    gate.set()

    assert await hub.send() == ("C1", "AA")
    assert await hub.observations() == [1]


async def test_a_failed_message_is_done_again_and_counts_as_the_first_one(hub):
    hub.fault = InvalidMessage("no map")
    await hub.send()
    hub.fault = None

    entered = await hub.receiver.again(1)

    assert (entered.state, entered.attempts, entered.error) == ("done", 2, "")
    assert await hub.send() == ("C1", "AA")
    assert await hub.states() == ["done"]
    with pytest.raises(Conflict):
        await hub.receiver.again(1)
    with pytest.raises(Conflict):
        await hub.receiver.again(2)


async def test_a_done_message_that_is_done_again_makes_nothing_twice(hub):
    await hub.send()
    hub.status = "corrected"

    entered = await hub.receiver.again(1, though_done=True)

    assert (entered.state, entered.attempts) == ("done", 2)
    assert await hub.observations() == [2]
    hub.fault = InvalidMessage("no map now")
    failed = await hub.receiver.again(1, though_done=True)
    assert (failed.state, failed.ack, failed.links) == ("done", entered.ack, entered.links)
    assert failed.error == "InvalidMessage: no map now"
    assert await hub.observations() == [2]


async def test_what_has_no_number_is_found_again_by_what_the_journal_knows(hub):
    notes = [observation(valueString=text) for text in ("a", "b")]
    hub.receiver.processing.convert = lambda *about: conversion(patient(identifier("T1")), *notes)
    await hub.send()
    assert await hub.observations() == [1, 1]
    await hub.receiver.again(1, though_done=True)
    assert await hub.observations() == [1, 1]
    notes[1:] = [observation(valueString=text) for text in ("c", "d")]
    await hub.receiver.again(1, though_done=True)
    assert sorted(await hub.observations()) == [1, 1, 2]


async def test_a_corrected_text_is_a_message_of_its_own(hub):
    hub.fault = InvalidMessage("no such patient")
    await hub.send(number="X1")
    hub.fault = None

    entered = await hub.receiver.correct(1, message(number="T1"))

    assert (entered.number, entered.state, entered.message.replaces) == (2, "done", 1)
    assert await hub.states() == ["replaced", "done"]
    assert await hub.send(number="X1") == ("C1", "AA")  # the sender's own text, once more
    assert await hub.observations() == [1]
    for number in (1, 2, 3):
        with pytest.raises(Conflict):
            await hub.receiver.correct(number, message(number="T9"))
