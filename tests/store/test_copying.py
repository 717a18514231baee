"""A copy is the same as what it is of, whatever the stores, and goes on after a kill."""

from collections.abc import Callable
from typing import Any

import pytest

from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import Has, Is, Query
from fhir_hub.store.base import Finish, Key, Stored
from fhir_hub.store.copying import CannotCopy, Copying
from fhir_hub.store.journal import Entered, Received, Selection
from fhir_hub.store.open import Backend, open_backend

BORN = Has("born", "token", (Is("x"),))


def entries_of(stored: Stored) -> tuple[Entry, ...]:
    return (Entry("born", "token", code="x"),)


def turns_of(entered: Entered) -> tuple[str, ...]:
    return (f"patient {entered.message.key}",)


class Killed(Exception):
    """The copy ends here."""


@pytest.fixture
async def source(change):
    async with open_backend("memory:") as backend:
        for number in range(30):
            await backend.store.write([change(f"p{number}"), change(f"q{number}")])
        await backend.store.write([change("p1", version_id=2), change("q1", version_id=2)])
        await backend.store.write([change("p1", version_id=3), change("p2", version_id=2)])
        await backend.store.write([change("p3", version_id=2, method="DELETE")])
        for number in range(1, 6):
            await backend.journal.keep(
                Received("mllp", f"k{number}", "d", number, b"MSH|%d" % number, owes=number > 3)
            )
        await backend.journal.finish(Finish(2, "done", b"AA", "", (Key("Patient", "p1"),), 9))
        await backend.journal.finish(Finish(4, "failed", b"AE", "NotFound: x"))
        await backend.store.reindex([], {"outbox/his": '{"sequence": 3}'}, 0)
        yield backend


@pytest.fixture
def copying(source, backend) -> Callable[..., Copying]:
    def make(on_step: Callable[[str, int, int], None] = lambda *step: None, **more: Any) -> Copying:
        return Copying(more.get("source", source), backend, entries_of, dict, turns_of, on_step)

    return make


async def whole(backend: Backend) -> tuple[Any, ...]:
    everything = Selection()
    notes = await backend.store.notes()
    notes.pop("copy", None)
    return (
        (await backend.store.history(count=1000)).matches,
        await backend.journal.select(everything, with_raw=True),
        await backend.journal.owing(),
        notes,
    )


async def test_a_copy_has_everything_in_its_order_and_is_found(source, backend, copying):
    copied = await copying().run()

    assert await whole(backend) == await whole(source)
    assert copied[:3] == (59, 65, 5)
    found = await backend.store.search(Query(("Patient",), BORN, count=100))
    assert len(found.matches) == 59
    assert (await backend.journal.keep(Received("mllp", "k6", "d", 6, b"x"))).entered.number == 6


async def test_a_copy_that_was_killed_goes_on_and_one_that_is_whole_takes_what_is_new(
    source, backend, copying, change
):
    def kill(what: str, done: int, total: int) -> None:
        raise Killed(what)

    for _ in range(2):
        with pytest.raises(Killed):
            await copying(kill).run()
    first = await copying().run()
    assert await copying().run() == first
    await source.store.write([change("p1", version_id=4)])
    await source.journal.finish(Finish(1, "done", b"AA"))
    await source.journal.settle(4)

    again = await copying().run()

    assert (again.versions, again.versions_sha256 != first.versions_sha256) == (66, True)
    assert again.messages_sha256 != first.messages_sha256
    assert await whole(backend) == await whole(source)


async def test_what_is_not_this_copy_is_refused_and_left_as_it_is(source, backend, copying, change):
    await copying().run()
    await backend.store.write([change("own")])
    with pytest.raises(CannotCopy, match="written to since"):
        await copying().run()
    await source.store.write([change("p9", version_id=2)])
    with pytest.raises(CannotCopy, match="written to since"):
        await copying().run()
    async with open_backend("memory:") as empty:
        with pytest.raises(CannotCopy, match="a copy of something else"):
            await copying(source=empty).run()
    assert (await backend.store.status()).sequence == 66


async def test_a_store_that_holds_anything_is_no_target(backend, copying):
    await backend.journal.keep(Received("mllp", "", "d", 1, b"x"))
    with pytest.raises(CannotCopy, match="not empty"):
        await copying().run()


async def test_a_message_that_became_another_is_found_by_the_comparison(source, backend, copying):
    await copying().run()
    await source.journal.prune({"done": 9}, 0)
    with pytest.raises(CannotCopy, match="a message after 1 is not the same"):
        await copying().run()
