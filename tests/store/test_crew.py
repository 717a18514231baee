"""Several processes on one MongoDB: one leads, one order, one number each, nothing is left behind.

Each `Post` is what a process has of its own: a connection, a name, a clock.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import parts
import pytest
from mongo_faults import failing

from fhir_hub.errors import Unavailable
from fhir_hub.store import ending
from fhir_hub.store.base import Conflict, Finish
from fhir_hub.store.ending import end_tasks
from fhir_hub.store.journal import Entered, Received
from fhir_hub.store.mongo import crew
from fhir_hub.store.mongo.crew import MongoCrew
from fhir_hub.store.mongo.driver import Connection, connect
from fhir_hub.store.mongo.journal import MongoJournal
from fhir_hub.store.mongo.messages import PROCESS, RAW
from fhir_hub.store.mongo.schema import prepare, read_address
from fhir_hub.store.mongo.waiting import touch

LEASE_S = 10.0


class Post:
    """A process at work: its crew, its journal, and what it was told to do."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self.now = connection, 0.0
        self.crew = MongoCrew(connection, lambda: self.now)
        self.journal = MongoJournal(connection, self.crew)
        self.told: list[object] = []
        self.replayed = asyncio.Event()

    def lead(self) -> None:
        self.told.append("lead")

    async def rest(self) -> None:
        self.told.append("rest")

    async def finish_left(self) -> None:
        numbers = await self.crew.take_over()
        self.told.append(numbers)
        for number in numbers:
            await self.journal.finish(Finish(number, "done", b"AA"))
        self.replayed.set()

    async def look(self) -> list[object]:
        """Go one round; return what it was told in it."""
        await self.crew.join()
        self.told = []
        await self.crew.look(self)
        return self.told


@asynccontextmanager
async def post(url: str) -> AsyncIterator[Post]:
    made = Post(connect(*read_address(url)))
    yield made
    await made.journal.close()
    await made.crew.leave()
    await made.connection.close()


@pytest.fixture
async def posts(mongo_url) -> AsyncIterator[list[Post]]:
    address, name, _ = read_address(mongo_url)
    prepare(address, name)
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(post(mongo_url)) for _ in range(2)]


@pytest.fixture
def both(posts) -> Callable[[Callable[[Post, int], Awaitable[object]]], Awaitable[list[object]]]:
    async def run(work, times: int = 12) -> list[object]:
        calls = (work(one, n) for n in range(times) for one in posts)
        return await asyncio.gather(*calls, return_exceptions=True)

    return run


def message(number: int, *turns: str, key: str = "") -> Received:
    return Received("mllp", key or f"k{number}", "d", number, b"MSH|", turns=turns)


async def test_of_equal_messages_one_is_the_first_and_numbers_have_no_gaps(posts, both):
    kept = await both(lambda one, number: one.journal.keep(message(number)))

    assert sum(not one.is_duplicate for one in kept) == 12
    everything = await posts[1].journal.recent(count=100)
    assert [one.number for one in everything] == list(range(12, 0, -1))
    assert len({one.message.key for one in everything}) == 12


async def test_a_message_ends_once_whoever_ends_it(posts, both):
    await posts[0].journal.keep(message(1))
    ended = await both(lambda one, n: one.journal.finish(Finish(1, "done", b"%d" % n)), 4)

    assert [type(one) for one in ended].count(Conflict) == 7
    assert (await posts[1].journal.find(1)).attempts == 1


async def test_messages_about_one_patient_wait_for_each_other_in_all_processes(posts):
    first, second = (one.journal for one in posts)
    assert (await first.keep(message(1, "P1"))).is_free
    assert not (await second.keep(message(2, "P1", "P2"))).is_free
    assert (await first.keep(message(3, "P3"))).is_free
    assert not (await first.keep(message(4, "P2"))).is_free
    waiting = [asyncio.ensure_future(second.turn(2)), asyncio.ensure_future(first.turn(4))]

    await first.finish(Finish(1, "done", b""))
    await waiting[0]
    assert not waiting[1].done()
    await second.finish(Finish(2, "failed", b""))
    await waiting[1]


async def test_what_a_process_had_begun_to_write_when_it_died_is_in_nobodys_way(posts):
    first, second = posts
    for one in posts:
        await one.look()
    begun, ends = asyncio.Event(), asyncio.Event()

    async def work(session):
        await touch(first.connection, session)
        begun.set()
        await ends.wait()

    left = asyncio.ensure_future(first.connection.transaction(work))
    await begun.wait()
    second.now += LEASE_S
    try:
        await second.look()
        assert (await second.journal.keep(message(1))).entered.number == 1
    finally:
        ends.set()
        await left  # it lives, and begins anew


async def test_a_message_that_a_copy_brought_unfinished_is_done_by_who_leads(posts):
    one = posts[0]
    await one.journal.adopt([Entered(7, message(7), "received", size_bytes=4)])

    assert await one.look() == ["lead"]
    await one.replayed.wait()
    assert one.told[1:] == [[7]]
    assert (await one.journal.find(7)).state == "done"
    assert (await one.journal.keep(message(8))).entered.number == 8


async def test_one_leads_and_when_it_shows_no_life_another_does_and_does_what_it_held(posts):
    first, second = posts
    assert (await first.look(), await second.look()) == (["lead"], [])
    await first.journal.keep(message(1, "P1"))
    await first.journal.keep(message(2, "P1"))
    old = first.crew.name
    second.now = LEASE_S - 1
    assert await second.look() == []
    await first.look()
    second.now += LEASE_S - 1  # its heart has beaten meanwhile
    assert await second.look() == []

    second.now += LEASE_S
    assert (await second.look())[:1] == ["lead"]

    await second.replayed.wait()
    assert second.told == ["lead", [1, 2]]
    assert await first.look() == ["rest"]
    assert first.crew.name != old
    with pytest.raises(Conflict):
        await first.journal.finish(Finish(1, "done", b""))


async def test_who_was_taken_for_gone_leads_no_more_whichever_beat_tells(
    posts, mongo_url, monkeypatch
):
    monkeypatch.setattr(crew, "_LEASE_S", 0.01)  # its heart is first to know
    second = posts[1]
    async with post(mongo_url) as first:
        assert await first.look() == ["lead"]
        old = first.crew.name
        await second.connection[PROCESS].delete_one({"_id": old})
        while first.crew.name == old:
            await asyncio.sleep(0.001)

        assert await second.look() == ["lead"]
        assert await first.look() == ["rest"]


async def test_who_leaves_is_not_waited_for(posts):
    first, second = posts
    await first.look()
    await first.journal.keep(message(1))
    await first.crew.leave()

    assert (await second.look())[:1] == ["lead"]
    await second.replayed.wait()
    assert second.told == ["lead", [1]]


@pytest.mark.parametrize("driver", ["motor", "pymongo"])
async def test_who_leaves_ends_in_whatever_turn_of_the_loop_its_heart_is(
    mongo_url, driver, monkeypatch
):
    monkeypatch.setattr(crew, "_LEASE_S", 0)  # it beats all the time
    monkeypatch.setattr(ending, "_AGAIN_S", 0.02)
    address, name, driver = read_address(f"{mongo_url}?driver={driver}")
    prepare(address, name)
    connection = connect(address, name, driver)
    async with asyncio.timeout(parts.PATIENCE_S):
        for turns in range(12):
            one = MongoCrew(connection)
            await one.join()
            for _ in range(turns):
                await asyncio.sleep(0)
            await one.leave()
        assert await connection.find(PROCESS, {}) == []
        await connection.close()


async def test_a_process_of_this_machine_that_is_no_more_is_not_waited_for(posts):
    first, second = posts
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    await first.look()
    await first.journal.keep(message(1))
    await first.connection[PROCESS].update_one(
        {"_id": first.crew.name}, {"$set": {"pid": ended.pid}}
    )

    assert (await second.look())[:1] == ["lead"]


async def test_what_one_apart_could_not_finish_another_takes_over(posts, mongo_url):
    first, second = posts
    await first.journal.keep(message(1))
    await first.crew.leave()

    async def fail() -> None:
        async with post(mongo_url) as apart:
            assert await apart.crew.take_over() == [1]
            # meanwhile it is nobody else's, and who gets it again waits for its end
            assert await first.crew.take_over() == []
            waiting = asyncio.ensure_future(second.journal.elsewhere(1))
            await second.look()
            assert not waiting.done()
            await end_tasks(waiting)
        raise OSError

    finish, second.finish_left = second.finish_left, fail
    await second.look()
    await asyncio.wait(second.crew.finishing)
    second.finish_left = finish
    await second.look()

    await second.replayed.wait()
    assert second.told == [[1]]


async def test_what_was_taken_over_when_the_connection_broke_is_not_forgotten(posts, mongodb):
    first, second = posts
    for number in (1, 2, 3):
        await first.journal.keep(message(number))
    await first.crew.leave()
    await second.crew.join()

    with failing(mongodb, "update", skip=1), pytest.raises(Unavailable):
        await second.crew.take_over()

    assert await second.crew.take_over() == [1, 2, 3]
    await second.journal.finish(Finish(2, "done", b""))
    assert await second.crew.take_over() == [1, 3]


async def test_what_comes_after_one_that_somebody_is_at_is_left_until_its_turn(posts, mongo_url):
    first, second = posts
    await second.journal.keep(message(1, "P1"))
    async with post(mongo_url) as third:
        for number, turns in ((2, ("P1", "P2")), (3, ("P2",)), (4, ("P3",))):
            await third.journal.keep(message(number, *turns))

    assert await first.crew.take_over() == [4]
    for done, by in ((4, first), (1, second)):
        await by.journal.finish(Finish(done, "done", b""))
    assert await first.crew.take_over() == [2, 3]


async def test_a_leader_that_cannot_reach_the_database_leads_no_more_before_its_lease_ends(posts):
    first, _ = posts
    serving = asyncio.create_task(first.crew.serve(first, 0.05))
    while first.told != ["lead"]:
        await asyncio.sleep(0.001)
    await first.connection.close()
    first.now = 0.04

    while first.told != ["lead", "rest"]:
        await asyncio.sleep(0.001)
    await end_tasks(serving)


async def test_a_message_over_what_a_document_holds_is_kept_in_pieces_and_removed_whole(posts):
    raw = bytes(range(256)) * (13 << 12)  # 13 MB
    journal = posts[0].journal
    await journal.keep(Received("mllp", "k", "d", 1, raw))
    await journal.keep(message(2))

    assert (await posts[1].journal.find(1)).message.raw == raw
    await journal.finish(Finish(1, "done", b""))
    assert (await journal.prune({"done": 9}, 0)).emptied == 1
    assert [one["_id"] for one in await posts[0].connection.find(RAW, {})] == [2]


async def test_each_knows_by_which_extractions_the_others_index(posts):
    first, second = posts
    assert await first.crew.extractions() == frozenset()
    second.crew.extraction = "2-new"
    await second.look()
    await first.look()
    assert await first.crew.extractions() == {"2-new"}
    assert await second.crew.extractions() == {""}  # it does not say
    await second.crew.leave()
    assert await first.crew.extractions() == frozenset()
