"""A message that ends each process that does it ends as a dead letter; those beside it do not.

DESIGN §5, promises 1 and 2. The processes are real and die.
"""

import asyncio

import mongo_server
import pytest
from hl7v2.deadly_receiver import DEADLY, Lives, die, message, receiving, replay

from fhir_hub.hl7v2.journal.reasons import shown
from fhir_hub.hl7v2.wire.sender import read_answer


@pytest.fixture(params=mongo_server.KINDS)
def lives(request, tmp_path):
    if request.param == "mongo":
        return Lives(request.getfixturevalue("mongo_url"))
    return Lives(f"sqlite:{tmp_path / 'hub.sqlite'}")


def states(lives):
    """Return the states by control id, in the order in which they came."""
    found = []

    async def look(receiver, backend):
        entered = reversed(await backend.journal.recent(count=100))
        found.extend((one.message.control_id, one.state, one.error) for one in entered)

    asyncio.run(lives.run(look))
    return [(control_id, state) for control_id, state, _ in found]


MANY = (message("A", "T1"), message(DEADLY, "T2"), message("B", "T2"), message("C", "T3"))


def test_three_deaths_alone_make_a_dead_letter_and_what_was_beside_it_is_done(lives):
    assert lives.dies(receiving(*MANY))

    deaths = 0
    while lives.dies(replay):
        deaths += 1
        # what comes before it, or has nothing to do with it, does not wait for its end
        assert dict(states(lives)) == {"A": "done", DEADLY: "received"} | {
            "B": "received",
            "C": "received" if deaths == 1 else "done",
        }

    assert deaths == 3
    assert states(lives) == [("A", "done"), (DEADLY, "dead"), ("B", "done"), ("C", "done")]


def test_it_is_answered_ae_when_it_comes_again_until_somebody_replays_it(lives):
    assert lives.dies(receiving(MANY[1]))
    while lives.dies(replay):
        pass

    async def again(receiver, backend):
        (entered,) = await backend.journal.recent()
        told = shown(entered.error)
        assert told["en"] == "The hub ended each time it did this message"
        assert told["zh"] == "每次处理该消息,平台进程都会终止"
        for _ in range(2):
            assert read_answer(await receiver.receive(MANY[1]))[:2] == (DEADLY, "AE")
        assert len(await backend.journal.recent()) == 1

    asyncio.run(lives.run(again))
    lives.is_mended = True
    asyncio.run(lives.run(again))

    async def by_hand(receiver, backend):
        assert (await receiver.again(1)).state == "done"
        assert read_answer(await receiver.receive(MANY[1]))[:2] == (DEADLY, "AA")

    asyncio.run(lives.run(by_hand))


def test_replayed_by_hand_it_has_three_lives_again(lives):
    assert lives.dies(receiving(MANY[1]))
    while lives.dies(replay):
        pass

    async def by_hand(receiver, backend):
        await receiver.again(1)

    assert lives.dies(by_hand)
    assert [lives.dies(replay) for _ in range(4)] == [True, True, True, False]
    assert states(lives) == [(DEADLY, "dead")]


def test_who_is_killed_at_any_other_moment_makes_no_dead_letter(lives):
    def kill(control_id):
        die()

    assert lives.dies(receiving(message("A", "T1"), message("B", "T2")), on_convert=kill)
    for _ in range(2):  # it is hit twice while it is done alone
        assert lives.dies(replay, on_convert=kill)
    for _ in range(20):  # a hub that dies anyhow dies before it is begun once more
        assert lives.dies(replay, on_pause=die)
    assert {state for _, state in states(lives)} <= {"received", "done"}

    assert not lives.dies(replay)
    assert states(lives) == [("A", "done"), ("B", "done")]


def test_who_is_stopped_while_it_does_one_does_not_count(lives):
    async def stopped(receiver, backend):
        replaying = asyncio.ensure_future(replay(receiver, backend))
        while (pending := await backend.journal.pending()) and not pending[0].error:
            await asyncio.sleep(0)
        await receiver.close()
        await asyncio.gather(replaying, return_exceptions=True)

    assert lives.dies(receiving(MANY[1]))
    lives.is_mended = True
    for _ in range(4):
        assert not lives.dies(stopped)
    assert states(lives)[0][1] in ("received", "done")
    assert not lives.dies(replay)
    assert states(lives) == [(DEADLY, "done")]
