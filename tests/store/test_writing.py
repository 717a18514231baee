"""`write`: all or nothing, one winner, no gaps."""

import asyncio

import pytest

from fhir_hub.errors import Unavailable
from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import EVERYTHING, Compare, Has, Is, Links, Query, Range
from fhir_hub.store.base import Change, Conflict, Guard, Key, Stored


def identifier(value: str) -> Entry:
    return Entry("identifier", "token", value, "urn:sid")


def is_identifier(value: str) -> Has:
    return Has("identifier", "token", (Is(value, "urn:sid"),))


async def test_write_returns_what_read_returns(store, change):
    made = change("a", content=b'{"decimal":1.10}')

    stored = await store.write([made])

    expected = Stored("Patient", "a", 1, 1, 1_000_000, "POST", b'{"decimal":1.10}')
    assert stored == [expected]
    assert await store.read(Key("Patient", "a")) == expected
    assert await store.vread(Key("Patient", "a"), 1) == expected


async def test_read_of_what_never_was_is_none(store, change):
    await store.write([change("a")])

    assert await store.read(Key("Patient", "b")) is None
    assert await store.read(Key("Device", "a")) is None
    assert await store.vread(Key("Patient", "a"), 2) is None
    assert await store.vread(Key("Patient", "a"), 0) is None
    assert await store.vread(Key("Patient", "a"), 10**30) is None
    assert await store.vread(Key("Device", "a"), 1) is None
    assert await store.vread(Key("Patient", "b"), 1) is None


async def test_an_old_version_stays_readable(store, change):
    await store.write([change("a", content=b"1")])
    await store.write([change("a", version_id=2, content=b"2")])

    assert (await store.vread(Key("Patient", "a"), 1)).content == b"1"
    assert (await store.vread(Key("Patient", "a"), 2)).content == b"2"
    assert (await store.read(Key("Patient", "a"))).content == b"2"


async def test_a_deletion_is_read_and_not_found(store, change):
    await store.write([change("a", identifier("1"))])
    await store.write([change("a", identifier("1"), version_id=2, method="DELETE")])

    stored = await store.read(Key("Patient", "a"))
    assert (stored.version_id, stored.is_deleted, stored.content) == (2, True, b"")
    assert await store.read_many([Key("Patient", "a")]) == []
    assert (await store.search(Query(("Patient",)))).matches == []
    assert (await store.search(Query(("Patient",), is_identifier("1")))).matches == []


async def test_what_was_deleted_can_be_created_again_and_keeps_its_place(store, change):
    await store.write([change("a"), change("b")])
    await store.write([change("a", version_id=2, method="DELETE")])
    await store.write([change("a", identifier("1"), version_id=3)])

    page = await store.search(Query(("Patient",)))
    assert [stored.logical_id for stored in page.matches] == ["a", "b"]
    assert (await store.status()).resources == {"Patient": 2}


async def test_read_many_keeps_the_order_and_leaves_out_what_is_not_there(store, change):
    await store.write([change("a"), change("b"), change("c")])
    await store.write([change("b", version_id=2, method="DELETE")])

    keys = [Key("Patient", name) for name in ("c", "x", "b", "a", "c")]
    assert [stored.logical_id for stored in await store.read_many(keys)] == ["c", "a", "c"]


@pytest.mark.parametrize("version_id", [1, 3, 0])
async def test_a_version_that_is_not_the_next_is_a_conflict(store, change, version_id):
    await store.write([change("a")])

    with pytest.raises(Conflict):
        await store.write([change("b"), change("a", version_id=version_id)])

    assert await store.read(Key("Patient", "b")) is None
    assert (await store.status()).sequence == 1


async def test_what_is_stored_is_not_created_again_wherever_its_id_lies(store, change, together):
    own = [f"m{n:03}" for n in range(40)]  # as the hub gives them, one after the other
    given = [f"{sign}{n:03}" for n in range(119, 0, -1) for sign in "cm"]  # and as clients do
    ids = list(dict.fromkeys(["a", "z", *own, *given]))
    await together(*(store.write([change(one)]) for one in ids))
    await store.write([change("m007", version_id=2, method="DELETE")])

    again = await together(*(store.write([change(one)]) for one in [*ids, "n", "n"]))

    assert [isinstance(outcome, Conflict) for outcome in again] == [True] * len(ids) + [False, True]
    assert (await store.status()).resources == {"Patient": len(ids)}


async def test_a_resource_may_stand_in_the_changes_once(store, change):
    with pytest.raises(ValueError, match="twice"):
        await store.write([change("a"), change("a", version_id=2)])


async def test_the_same_logical_id_of_two_types_is_two_resources(store, change):
    await store.write([change("a"), change("a", resource_type="Device")])

    assert (await store.status()).resources == {"Device": 1, "Patient": 1}


async def test_one_of_two_hundred_guarded_creates_wins(store, change, together):
    guard = Guard("Patient", is_identifier("1"))
    outcomes = await together(
        *(store.write([change(f"p{n}", identifier("1"))], [guard]) for n in range(200))
    )

    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 199
    page = await store.search(Query(("Patient",), is_identifier("1"), with_total=True))
    assert page.total == 1


@pytest.mark.parametrize("plan", [EVERYTHING, Has("identifier", "token")], ids=["any", "present"])
async def test_a_guard_sees_what_was_written_a_moment_before(store, change, together, plan):
    outcomes = await together(
        *(
            store.write([change(f"p{n}", identifier("1"))], [Guard("Patient", plan)])
            for n in range(20)
        )
    )

    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 19


async def test_one_of_many_updates_of_the_same_version_wins(store, change, together):
    await store.write([change("a")])

    outcomes = await together(
        *(store.write([change("a", version_id=2, content=b"%d" % n)]) for n in range(50))
    )

    winners = [outcome for outcome in outcomes if not isinstance(outcome, Conflict)]
    assert len(winners) == 1
    assert await store.read(Key("Patient", "a")) == winners[0][0]


async def test_versions_that_come_at_once_leave_what_the_last_one_says(store, change, together):
    said = ["1", "2", None, "3", "3", "4"]
    versions = [
        change("a", identifier(one), version_id=n)
        if one
        else change("a", version_id=n, method="DELETE")
        for n, one in enumerate(said, start=1)
    ]
    others = [change(f"b{n}", identifier("4")) for n in range(6)]

    await together(
        *(store.write([one]) for pair in zip(versions, others, strict=True) for one in pair)
    )

    found = {
        one: (await store.search(Query(("Patient",), is_identifier(one)))).matches
        for one in ("1", "2", "3", "4")
    }
    assert {one: len(matches) for one, matches in found.items()} == {"1": 0, "2": 0, "3": 0, "4": 7}
    history = (await store.history("Patient", "a")).matches
    assert [one.version_id for one in history] == [6, 5, 4, 3, 2, 1]


async def test_a_conflict_does_not_harm_its_neighbours(store, change, together):
    await store.write([change("a")])

    outcomes = await together(
        *(store.write([change("a" if n % 3 == 0 else f"n{n}")]) for n in range(60))
    )

    assert [isinstance(outcome, Conflict) for outcome in outcomes] == [
        n % 3 == 0 for n in range(60)
    ]
    assert (await store.status()).resources == {"Patient": 41}


async def test_the_sequence_has_no_gaps_whatever_fails(store, change, together):
    await together(*(store.write([change(f"p{n % 30}"), change(f"q{n}")]) for n in range(90)))

    page = await store.history(count=1000)
    assert [stored.sequence for stored in page.matches] == list(range(60, 0, -1))


async def test_a_guard_names_what_it_must_find(store, change):
    await store.write([change("a", identifier("1")), change("b", identifier("1"))])
    both = Guard("Patient", is_identifier("1"), frozenset(("a", "b")))

    for wrong in ((), ("a",), ("a", "b", "c"), ("a", "c")):
        with pytest.raises(Conflict):
            await store.write(
                [change("n")], [Guard("Patient", is_identifier("1"), frozenset(wrong))]
            )

    assert await store.write([change("n")], [both])


async def test_a_guard_does_not_see_the_changes_beside_it(store, change):
    guard = Guard("Patient", is_identifier("1"))

    assert await store.write([change("a", identifier("1"))], [guard])


async def test_a_guard_may_look_through_references(store, change):
    await store.write([change("o", identifier("1"), resource_type="Organization")])
    member = Entry("organization", "reference", "Organization/o")
    linked = Links("organization", ("Organization",), is_identifier("1"))

    await store.write([change("a", member)], [Guard("Patient", linked)])

    with pytest.raises(Conflict):
        await store.write([change("b", member)], [Guard("Patient", linked)])


async def test_an_update_removes_what_the_resource_says_no_more(store, change):
    old = (
        identifier("1"),
        identifier("1"),
        Entry("birthdate", "date", low=1, high=2),
        Entry("name", "string", "shen", text="Shen"),
    )
    await store.write([change("a", *old)])
    new = (identifier("2"), Entry("birthdate", "date", low=1, high=3), old[3])
    await store.write([change("a", *new, version_id=2)])

    async def total(plan: object) -> int | None:
        return (await store.search(Query(("Patient",), plan, with_total=True))).total

    assert await total(is_identifier("1")) == 0
    assert await total(is_identifier("2")) == 1
    assert await total(Has("name", "string")) == 1
    await store.write([change("a", *new, version_id=3)])
    assert await total(is_identifier("2")) == 1
    await store.write([change("a", version_id=4)])
    assert await total(Has("birthdate", "date")) == 0
    assert await total(EVERYTHING) == 1


async def test_a_write_of_thousands_is_one_write(store, change, store_kind):
    count = 1050 if store_kind == "mongo" else 3000  # the stand-in takes 3 ms for each
    many = [change(f"p{n}", identifier(str(n % 7))) for n in range(count)]

    await store.write(many)

    page = await store.search(Query(("Patient",), is_identifier("3"), count=3, with_total=True))
    assert page.total == len([n for n in range(count) if n % 7 == 3])
    assert [stored.logical_id for stored in page.matches] == ["p3", "p10", "p17"]


async def test_nothing_to_write_is_fine(store):
    assert await store.write([]) == []


async def test_a_closed_store_is_unavailable(backend, change):
    await backend.store.write([change("a")])
    await backend.close()
    await backend.close()

    for work in (
        backend.store.read(Key("Patient", "a")),
        backend.store.write([change("b")]),
        backend.store.search(Query(("Patient",))),
        backend.store.history(),
        backend.store.status(),
    ):
        with pytest.raises(Unavailable):
            await work


async def test_close_waits_for_what_was_asked_before(backend, change, together):
    writes = [asyncio.ensure_future(backend.store.write([change(f"p{n}")])) for n in range(40)]
    await asyncio.sleep(0)
    await backend.close()

    assert all(isinstance(outcome, list) for outcome in await together(*writes))


def test_a_change_is_plain_data():
    assert Change("Patient", "a", 1, 0, "POST").entries == ()


async def test_an_update_that_ends_an_open_interval_is_found_by_its_end(store, change):
    ended = Has("date", "date", (Range(((Compare("high", "<=", 20),),)),))
    await store.write([change("e", Entry("date", "date", low=10, high=None))])
    assert (await store.search(Query(("Patient",), ended))).matches == []

    await store.write([change("e", Entry("date", "date", low=10, high=20), version_id=2)])

    assert [one.logical_id for one in (await store.search(Query(("Patient",), ended))).matches] == [
        "e"
    ]
