"""A message that goes on before it is durable: its end comes after it, or neither ever was."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from fhir_hub.errors import Unavailable
from fhir_hub.search.entry import Entry
from fhir_hub.store.base import Conflict, Finish
from fhir_hub.store.journal import Received
from fhir_hub.store.open import open_backend

REFUSED = "refused"


def message(number: int = 1, **more: object) -> Received:
    return Received("mllp", f"HIS|C{number}", f"d{number}", number, b"MSH", **more)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "hub.sqlite"


@pytest.fixture
async def failing(path):
    """A store that takes a resource with the code `refused`, and fails when it is made durable."""
    async with open_backend(f"sqlite:{path}") as backend:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(
                f"CREATE TRIGGER refuse BEFORE INSERT ON by_code WHEN NEW.code = '{REFUSED}'"
                " BEGIN SELECT RAISE(ABORT, 'not this one'); END"
            )
        yield backend


async def test_what_ends_an_early_message_makes_it_durable_too(journal, path):
    kept = await journal.keep(message(turns=("P1",)), is_early=True)
    assert (kept.entered.number, kept.is_free) == (1, True)
    await journal.finish(Finish(1, "done", b"AA"))

    found = await journal.find(1)
    assert (found.state, found.ack) == ("done", b"AA")


async def test_an_early_message_is_durable_soon_though_nothing_follows(journal):
    await journal.keep(message(), is_early=True)
    await journal.settle(0)  # any write of later

    assert [one.number for one in await journal.pending()] == [1]


async def test_a_duplicate_is_answered_when_the_end_of_the_first_is_durable(journal):
    await journal.keep(message(), is_early=True)
    _, again = await asyncio.gather(
        journal.finish(Finish(1, "done", b"AA")), journal.keep(message(), is_early=True)
    )

    assert (again.is_duplicate, again.entered.number) == (True, 1)
    assert (await journal.find(1)).state in ("received", "done")
    third = await journal.keep(message(), is_early=True)
    assert (third.entered.state, third.entered.ack) == ("done", b"AA")
    assert (await journal.find(1)).state == "done"


async def test_early_and_other_messages_take_their_turns_in_the_order_of_numbers(journal):
    first, second, third = await asyncio.gather(
        journal.keep(message(1, turns=("P1",))),
        journal.keep(message(2, turns=("P1",)), is_early=True),
        journal.keep(message(3, turns=("P1",))),
    )
    by_number = sorted((one.entered.number, one.is_free) for one in (first, second, third))

    assert by_number == [(1, True), (2, False), (3, False)]


async def test_one_that_was_lost_ends_no_other_and_holds_up_nobody(failing, change):
    refused = change("a", Entry("identifier", "token", REFUSED, "urn:a"))
    _, kept = await asyncio.gather(
        failing.store.write([refused]),
        failing.journal.keep(message(1, turns=("P1",)), is_early=True),
        return_exceptions=True,
    )
    assert isinstance(_, Unavailable)
    assert await failing.journal.find(kept.entered.number) is None

    next_kept = await failing.journal.keep(message(2, turns=("P1",)))
    assert next_kept.entered.number > kept.entered.number
    assert next_kept.is_free
    with pytest.raises(Conflict):
        await failing.journal.finish(Finish(kept.entered.number, "done", b"AA"))
    assert (await failing.journal.find(next_kept.entered.number)).state == "received"


async def test_one_that_is_not_waited_for_any_more_is_not_waited_for(path):
    async with open_backend(f"sqlite:{path}") as backend:
        journal = backend.journal
        for number in (1, 2):
            await journal.keep(message(number, turns=("P1",)), is_early=True)
        turn = asyncio.create_task(journal.turn(2))
        await asyncio.sleep(0)
        await journal.finish(Finish(2, "dead", b"AE"))  # its sender waits no longer
        await turn
        await journal.finish(Finish(1, "done", b"AA"))

        assert journal._early.coming == set()  # or each group waits for it, for ever


async def test_one_beside_another_who_fails_keeps_its_number(path, change):
    async with open_backend(f"sqlite:{path}") as backend:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(
                "CREATE TRIGGER refuse BEFORE UPDATE ON message WHEN NEW.number = 1"
                " BEGIN SELECT RAISE(ABORT, 'it never ends'); END"
            )
        journal = backend.journal
        await journal.keep(message(1))
        end, *kept = await asyncio.gather(
            journal.finish(Finish(1, "done", b"AA")),
            journal.keep(message(2), is_early=True),
            journal.keep(message(3), is_early=True),
            return_exceptions=True,
        )
        assert isinstance(end, Unavailable)
        for one in kept:
            await journal.finish(Finish(one.entered.number, "done", b"AA"))
        states = {one.number: one.state for one in await journal.recent()}
        assert states == {1: "received", 2: "done", 3: "done"}


async def test_one_whose_number_another_process_took_ends_not_that_ones_message(path):
    async with open_backend(f"sqlite:{path}") as backend, open_backend(f"sqlite:{path}") as other:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            taken = ("mllp", "HIS|other", "d9", 9, "", "", "", "", "in", 0, "received", 3)
            connection.execute(
                "INSERT INTO message (number, channel, key, digest, received, type, application,"
                " facility, control_id, direction, replaces, state, size)"
                f" VALUES (1, {', '.join('?' * len(taken))})",
                taken,
            )
            kept = await backend.journal.keep(message(1), is_early=True)
            assert kept.entered.number == 1
            connection.execute("COMMIT")
        with pytest.raises(Conflict):
            await backend.journal.finish(Finish(1, "done", b"AA"))
        with pytest.raises(Conflict):
            await backend.store.write((), (), Finish(1, "done", b"AA"))
        found = await other.journal.find(1)
        assert (found.message.key, found.state) == ("HIS|other", "received")
        again = await backend.journal.keep(message(1))
        assert again.entered.number == 2
