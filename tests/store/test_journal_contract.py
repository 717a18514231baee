"""The journal beyond keeping: order of turns, corrected texts, selections, what time removes."""

import asyncio
from dataclasses import replace

import pytest

from fhir_hub.store.base import Conflict, Finish, Key
from fhir_hub.store.journal import Entered, Pruned, Received, Selection


def message(number: int = 1, digest: str = "", **more: object) -> Received:
    control_id = f"C{number}"
    header = {"application": "HIS", "facility": "SHTH01", "message_type": "ORU^R01"} | more
    came = header.pop("received", number * 1_000_000)
    key = f"HIS|SHTH01|{control_id}"
    raw = b"raw %d" % number
    way = header.pop("channel", "mllp")
    return Received(way, key, digest or f"d{number}", came, raw, control_id=control_id, **header)


async def end(journal, number: int, state: str = "done", **more: object) -> None:
    await journal.finish(Finish(number, state, b"ACK", **more))


async def test_everything_about_a_message_comes_back(journal):
    kept = await journal.keep(message())
    links = (Key("Patient", "p1"), Key("Observation", "张"))
    finish = Finish(1, "done", b"AA", "note", links, finished=7, attempts=3, maps="v1")
    await journal.finish(finish)

    found = await journal.find(1)
    assert (kept.entered.message, kept.entered.size_bytes) == (found.message, 5)
    assert (found.ack, found.error, found.links, found.size_bytes) == (b"AA", "note", links, 5)
    assert (found.finished, found.attempts, found.maps) == (7, 3, "v1")


async def test_other_content_under_a_known_control_id_is_never_pending(journal):
    await journal.keep(message())
    kept = await journal.keep(message(digest="other"))

    assert (kept.is_changed, kept.entered.state) == (True, "quarantined")
    assert [one.number for one in await journal.pending()] == [1]
    assert (await journal.find(2)).state == "quarantined"


async def test_what_is_quarantined_does_not_hold_its_key_when_the_first_is_forgotten(journal):
    await journal.keep(message(digest="of last year"))
    await end(journal, 1)
    for number in (2, 3):
        kept = await journal.keep(message(digest="of this year", received=number * 1_000_000))
        assert (kept.is_changed, kept.entered.number) == (True, number)
    while any(await journal.prune({"done": 2_000_000}, 2_000_000)):
        pass

    assert not (await journal.keep(message(digest="of next year", received=9_000_000))).is_changed
    assert (await journal.keep(message(digest="of this year", received=9_000_000))).is_changed


async def test_messages_that_share_a_number_wait_for_each_other_in_order(journal):
    first, second, other, third = [
        await journal.keep(message(n, turns=turns))
        for n, turns in enumerate((("P1",), ("P1", "P2"), ("P3",), ("P2",)), 1)
    ]
    assert [k.is_free for k in (first, second, other, third)] == [True, False, True, False]

    await journal.turn(1)
    waiting = [asyncio.ensure_future(journal.turn(n)) for n in (2, 4)]
    await end(journal, 3)
    await asyncio.sleep(0)
    assert not any(one.done() for one in waiting)
    await end(journal, 1)
    await waiting[0]
    assert not waiting[1].done()
    await end(journal, 2, "failed")
    await waiting[1]


async def test_who_ends_before_its_turn_does_not_let_the_next_one_pass(journal):
    for number in (1, 2, 3):
        await journal.keep(message(number, turns=("P1",)))
    second, third = (asyncio.ensure_future(journal.turn(n)) for n in (2, 3))
    await asyncio.sleep(0)
    await end(journal, 2, "dead")
    await second
    assert not third.done()
    await end(journal, 1)
    await third
    assert (await journal.keep(message(4, turns=("P2",)))).is_free
    await end(journal, 3)
    assert (await journal.keep(message(5, turns=("P1",)))).is_free


async def test_a_turn_ends_with_what_the_message_wrote(backend, change):
    await backend.journal.keep(message(1, turns=("P1",)))
    await backend.journal.keep(message(2, turns=("P1",)))
    waiting = asyncio.ensure_future(backend.journal.turn(2))
    with pytest.raises(Conflict):
        await backend.store.write([change("a", version_id=2)], finish=Finish(1, "done", b""))
    assert not waiting.done()
    await backend.store.write([change("a")], finish=Finish(1, "done", b""))
    await waiting


async def test_a_failed_message_is_opened_again_and_is_then_a_duplicate(journal):
    await journal.keep(message())
    await end(journal, 1, "failed", error="NotFound: no map")

    kept = await journal.reopen(1, ("P1",))

    assert (kept.entered.state, kept.entered.message.raw) == ("received", b"raw 1")
    assert [one.number for one in await journal.pending()] == [1]
    again = await journal.keep(message())
    assert (again.is_duplicate, again.is_free) == (True, False)
    await end(journal, 1)
    assert (await journal.find(1)).attempts == 2


async def test_only_what_ended_without_effect_is_opened_again(journal):
    await journal.keep(message())
    for number in (1, 2, 0):
        with pytest.raises(Conflict):
            await journal.reopen(number, ())
    await end(journal, 1, "failed")
    await journal.keep(message())  # the sender tried again, and that was done
    await end(journal, 2)
    for number in (1, 2):
        with pytest.raises(Conflict):
            await journal.reopen(number, ())

    assert (await journal.reopen(2, (), again=True)).entered.state == "done"
    with pytest.raises(Conflict):
        await end(journal, 2)
    await end(journal, 2, is_again=True)


async def test_what_has_ended_ends_no_more_but_is_set_aside(journal):
    await journal.keep(message(1))
    await journal.keep(message(2))
    await end(journal, 1, "dead")
    await end(journal, 2)

    for number, state in ((1, "done"), (1, "failed"), (1, "answered"), (2, "dead"), (2, "ignored")):
        with pytest.raises(Conflict):
            await end(journal, number, state)
    await end(journal, 1, "ignored")
    assert [(await journal.find(number)).state for number in (1, 2)] == ["ignored", "done"]
    await journal.reopen(1, ())
    await end(journal, 1)


async def test_a_corrected_text_takes_the_place_of_the_old_one(journal):
    await journal.keep(message())
    with pytest.raises(Conflict):
        await journal.keep(message(digest="better", replaces=1))
    await end(journal, 1, "failed")

    kept = await journal.keep(message(digest="better", replaces=1))

    assert (kept.is_changed, kept.entered.number, kept.entered.state) == (False, 2, "received")
    assert kept.entered.message.replaces == 1
    old = await journal.find(1)
    assert (old.state, old.replaced_by) == ("replaced", 2)
    again = await journal.keep(message())  # the sender, who never heard of the correction
    assert (again.is_duplicate, again.entered.number) == (True, 2)
    for number in (1, 2, 9):
        with pytest.raises(Conflict):
            await journal.keep(message(digest="third", replaces=number))


@pytest.fixture
async def full(journal):
    for number in range(1, 7):
        header = {"message_type": "ADT^A08", "facility": "ZJJCHC"} if number % 2 else {}
        header |= {"channel": "night"} if number < 3 else {}
        await journal.keep(message(number, **header))
    await end(journal, 1, links=(Key("Patient", "p1"),))
    await end(journal, 2, links=(Key("Patient", "p11"), Key("Patient", "p1")))
    await end(journal, 3, "failed")
    await end(journal, 4, "dead")
    return journal


@pytest.mark.parametrize(
    ("selection", "numbers"),
    [
        (Selection(), [6, 5, 4, 3, 2, 1]),
        (Selection(states=("failed", "dead")), [4, 3]),
        (Selection(sender="ZJJCHC"), [5, 3, 1]),
        (Selection(sender="HIS", states=("done",)), [2, 1]),
        (Selection(sender="HIS", facility="ZJJCHC"), [5, 3, 1]),
        (Selection(facility="ZJJCH"), []),
        (Selection(message_type="ORU"), [6, 4, 2]),
        (Selection(message_type="A08"), [5, 3, 1]),
        (Selection(message_type="ADT^A08", control_id="C3"), [3]),
        (Selection(message_type="OR"), []),
        (Selection(channel="night"), [2, 1]),
        (Selection(channel="nigh"), []),
        (Selection(since=2_000_000, until=4_000_000), [3, 2]),
        (Selection(since=9_000_000), []),
        (Selection(until=1), []),
        (Selection(link=Key("Patient", "p1")), [2, 1]),
        (Selection(link=Key("Patient", "p")), []),
        (Selection(numbers=(1, 6, 99)), [6, 1]),
    ],
)
async def test_messages_are_selected_by(full, selection, numbers):
    found = await full.select(selection)
    assert [one.number for one in found] == numbers
    assert all(one.message.raw == b"" and one.size_bytes == 5 for one in found)
    oldest = await full.select(selection, is_oldest_first=True, with_raw=True, count=2)
    assert [one.number for one in oldest] == numbers[::-1][:2]
    assert all(one.message.raw for one in oldest)


async def test_messages_are_selected_by_time_though_the_clock_was_set_back(journal):
    hour = 3_600_000_000
    for number, at in enumerate((2, 3, 12, 12, 12, 12, 4, 5), 1):
        await journal.keep(message(number, received=at * hour))

    async def between(since, until):
        selection = Selection(since=since * hour, until=until * hour)
        return [one.number for one in await journal.select(selection, is_oldest_first=True)]

    assert await between(4, 6) == [7, 8]
    assert await between(3, 12) == [2, 7, 8]
    assert await between(12, 0) == [3, 4, 5, 6]
    assert await between(0, 5) == [1, 2, 7]


async def test_a_selection_comes_in_pages(full):
    assert [one.number for one in await full.select(Selection(), count=2, beyond=4)] == [3, 2]
    page = await full.select(Selection(), count=2, beyond=4, is_oldest_first=True)
    assert [one.number for one in page] == [5, 6]


async def test_bytes_go_by_state_and_what_tells_a_duplicate_stays(full):
    assert await full.prune({"done": 9_000_000, "received": 9_000_000}, 0) == Pruned(2, 0)
    assert await full.prune({"done": 9_000_000, "failed": 3_000_000}, 0) == Pruned(0, 0)

    emptied = await full.find(1)
    assert (emptied.message.raw, emptied.size_bytes, emptied.state) == (b"", 5, "done")
    header = {"message_type": "ADT^A08", "facility": "ZJJCHC"}
    assert (await full.keep(message(1, **header))).is_duplicate
    assert (await full.keep(message(1, digest="other"))).is_changed
    with pytest.raises(Conflict):
        await full.reopen(1, (), again=True)
    assert (await full.find(6)).message.raw == b"raw 6"


async def test_what_is_older_still_is_forgotten_but_never_what_waits(full):
    every = dict.fromkeys(("done", "failed", "dead"), 9_000_000)
    assert await full.prune(every, 4_000_000, most=3) == Pruned(3, 3)
    assert await full.prune(every, 9_000_000, most=3) == Pruned(1, 1)
    assert [one.number for one in await full.select(Selection())] == [6, 5]
    assert not (await full.keep(message(1))).is_changed
    assert (await full.keep(message(8))).entered.number == 8


async def test_a_number_is_never_given_twice(journal):
    await journal.keep(message(1))
    await end(journal, 1, "failed")
    while any(await journal.prune({"failed": 9_000_000}, 9_000_000)):
        pass
    assert (await journal.keep(message(2))).entered.number == 2


async def test_messages_of_another_journal_are_put_as_they_are_there(journal):
    links = (Key("Patient", "p1"),)
    mine = [
        Entered(3, message(3), "done", b"AA", "", links, 7, 2, "v1", size_bytes=5),
        Entered(7, message(7), "received", size_bytes=5),
        Entered(5, replace(message(5), raw=b""), "replaced", replaced_by=7, size_bytes=9),
    ]
    await journal.adopt(mine[:2], (3, 7))
    await journal.adopt(mine)
    await journal.adopt(mine[1:2], {7})

    everything = await journal.select(Selection(), is_oldest_first=True, with_raw=True)
    assert everything == [mine[0], mine[2], mine[1]]
    assert await journal.owing() == {7}
    assert [one.number for one in await journal.pending()] == [7]
    assert (await journal.keep(message(3))).is_duplicate
    assert (await journal.keep(message(8))).entered.number == 8


async def test_messages_that_are_not_done_are_counted_by_state(journal):
    for number, state in enumerate(("failed", "dead", "done", "failed", "answered"), 1):
        await journal.keep(message(number))
        await end(journal, number, state)
    await journal.keep(message(6))
    await journal.keep(message(6, digest="other"))

    assert await journal.tally() == {
        "received": 1,
        "failed": 2,
        "dead": 1,
        "quarantined": 1,
        "ignored": 0,
        "replaced": 0,
    }
