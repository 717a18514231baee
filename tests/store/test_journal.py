"""The journal: a message is kept before it is acknowledged, and counts once."""

from dataclasses import replace

import pytest

from fhir_hub.search.plan import EVERYTHING
from fhir_hub.store.base import Conflict, Finish, Guard, Key
from fhir_hub.store.journal import FINAL, Received


def message(
    key: str = "HIS|1", digest: str = "d1", raw: bytes = b"MSH|^~\\&|\x84\x31\x95\x33\r"
) -> Received:
    return Received("mllp-1", key, digest, 1_000, raw)


async def test_a_message_comes_back_byte_for_byte(journal):
    kept = await journal.keep(message())

    assert (kept.is_duplicate, kept.is_changed) == (False, False)
    assert (kept.entered.number, kept.entered.state, kept.entered.message) == (
        1,
        "received",
        message(),
    )
    assert await journal.find(1) == kept.entered
    assert await journal.pending() == [kept.entered]
    assert await journal.find(2) is None
    assert await journal.find(0) is None


async def test_the_same_message_again_is_a_duplicate_with_the_same_acknowledgment(journal):
    await journal.keep(message())
    assert (await journal.keep(message())).is_duplicate
    await journal.finish(Finish(1, "done", b"MSA|AA", links=(Key("Patient", "a"),)))

    kept = await journal.keep(message())

    assert kept.is_duplicate
    assert (kept.entered.number, kept.entered.state, kept.entered.ack) == (1, "done", b"MSA|AA")
    assert kept.entered.links == (Key("Patient", "a"),)
    assert await journal.pending() == []


async def test_one_of_a_hundred_at_once_is_the_first(journal, together):
    kept = await together(*(journal.keep(message()) for _ in range(100)))

    assert sum(not each.is_duplicate for each in kept) == 1
    assert {each.entered.number for each in kept} == {1}


async def test_a_failed_message_may_be_sent_again(journal):
    await journal.keep(message())
    await journal.finish(Finish(1, "failed", b"MSA|AE", error="no PID"))

    kept = await journal.keep(message())

    assert (kept.is_duplicate, kept.is_changed, kept.entered.number) == (False, False, 2)
    assert (await journal.keep(message())).entered.number == 2


async def test_what_is_known_of_a_message_that_has_not_ended_is_kept_until_it_does(journal):
    await journal.keep(message())
    await journal.note(1, "Interrupted: once")
    assert [one.error for one in await journal.pending()] == ["Interrupted: once"]

    await journal.finish(Finish(1, "failed", b"MSA|AE", error="no PID"))
    await journal.note(1, "Interrupted: twice")
    assert ((await journal.find(1)).state, (await journal.find(1)).error) == ("failed", "no PID")


async def test_a_dead_letter_that_is_final_stays_what_it_is_until_it_is_opened_again(journal):
    await journal.keep(message())
    await journal.finish(Finish(1, "dead", b"MSA|AE", error=f"{FINAL}it ended the process"))

    kept = await journal.keep(message())
    assert (kept.is_duplicate, kept.entered.number, kept.entered.ack) == (True, 1, b"MSA|AE")
    other = await journal.keep(message(digest="d2"))
    assert (other.is_duplicate, other.is_changed) == (False, True)

    assert (await journal.reopen(1, ())).entered.state == "received"
    await journal.elsewhere(1)  # nobody else does it
    await journal.finish(Finish(1, "dead", b"MSA|AE", error="Unavailable: disk full"))
    assert not (await journal.keep(message())).is_duplicate


async def test_the_same_key_with_other_bytes_is_changed(journal):
    await journal.keep(message())
    kept = await journal.keep(message(digest="d2"))

    assert (kept.is_duplicate, kept.is_changed, kept.entered.number) == (False, True, 2)
    assert (await journal.keep(message())).entered.number == 1


async def test_without_a_key_the_digest_tells(journal):
    await journal.keep(message(key=""))

    assert (await journal.keep(message(key=""))).is_duplicate
    other = await journal.keep(message(key="", digest="d2"))
    assert (other.is_duplicate, other.is_changed) == (False, False)


async def test_a_done_or_unknown_message_cannot_be_finished(journal):
    await journal.keep(message())
    await journal.finish(Finish(1, "done", b"MSA|AA"))

    for number in (1, 2, 0):
        with pytest.raises(Conflict):
            await journal.finish(Finish(number, "failed", b""))
    assert (await journal.find(1)).state == "done"


async def test_a_message_ends_with_what_it_wrote_or_not_at_all(backend, change):
    await backend.journal.keep(message())
    finish = Finish(1, "done", b"MSA|AA", links=(Key("Patient", "a"),))

    with pytest.raises(Conflict):
        await backend.store.write([change("a", version_id=2)], finish=finish)
    assert (await backend.journal.find(1)).state == "received"

    await backend.store.write([change("a")], [Guard("Patient", EVERYTHING)], finish)
    assert (await backend.journal.find(1)).state == "done"

    with pytest.raises(Conflict):
        await backend.store.write([change("b")], finish=finish)
    assert await backend.store.read(Key("Patient", "b")) is None


async def test_a_message_may_write_nothing(backend):
    await backend.journal.keep(message())
    await backend.store.write([], finish=Finish(1, "done", b"MSA|AA"))

    assert (await backend.journal.find(1)).ack == b"MSA|AA"


async def test_recent_is_newest_first_in_pages_and_by_state(journal):
    for number in range(5):
        await journal.keep(message(key=f"k{number}"))
    await journal.finish(Finish(2, "failed", b"", error="x"))
    await journal.finish(Finish(4, "failed", b"", error="x"))

    async def numbers(**options: object) -> list[int]:
        return [entered.number for entered in await journal.recent(**options)]

    assert await numbers() == [5, 4, 3, 2, 1]
    assert await numbers(count=2) == [5, 4]
    assert await numbers(count=2, before=4) == [3, 2]
    assert await numbers(state="failed") == [4, 2]
    assert await numbers(state="failed", before=4) == [2]
    assert [entered.number for entered in await journal.pending()] == [1, 3, 5]


async def test_what_is_owed_to_a_sender_is_known_from_its_end_until_it_is_settled(journal):
    owing = replace(message(), owes=True)
    for one in (owing, message("HIS|2", "d2"), replace(owing, digest="d3")):
        await journal.keep(one)  # the last is quarantined: it was refused at once
    assert await journal.owed() == []
    await journal.finish(Finish(1, "failed", b"MSA|AE"))
    await journal.finish(Finish(2, "done", b"MSA|AA"))

    assert [(one.number, one.ack) for one in await journal.owed()] == [(1, b"MSA|AE")]
    await journal.settle(1)
    await journal.settle(1)
    assert await journal.owed() == []
