"""MongoDB answers from an index what an index can answer; what it cannot keep is refused alone."""

import asyncio

import pytest

from fhir_hub.errors import InvalidParameter, InvalidResource, TooLarge
from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import (
    And,
    Compare,
    Except,
    Has,
    Is,
    LinkedBy,
    Links,
    Query,
    Range,
    SortKey,
    Text,
)
from fhir_hub.store.base import Conflict, Finish, Guard
from fhir_hub.store.journal import Kept, Received
from fhir_hub.store.mongo.driver import Connection, connect
from fhir_hub.store.mongo.opening import open_mongo
from fhir_hub.store.mongo.schema import read_address
from fhir_hub.store.mongo.store import MongoStore

DAY = 86_400
PATIENT = Has("subject", "reference", (Is("Patient/p7"),))
CODE = Has("code", "token", (Is("c3", "http://loinc.org"),))
SINCE = Has(
    "date", "date", (Range(((Compare("low", ">=", 9 * DAY),), (Compare("high", ">", 9 * DAY),))),)
)
UNTIL = Has("date", "date", (Range(((Compare("low", "<", 11 * DAY),),)),))
NAME = Has("name", "string", (Text("name 7"),))


@pytest.fixture
async def store(mongo_url):
    opened, *_ = open_mongo(mongo_url)
    yield opened
    await opened.close()


@pytest.fixture
async def filled(store, change):
    """Write ten patients, and forty observations: one a day, of a day."""
    people = [
        change(f"p{n}", Entry("name", "string", f"name {n}", text=f"Name {n}")) for n in range(10)
    ]
    results = [
        change(
            f"o{n}",
            Entry("subject", "reference", f"Patient/p{n % 10}"),
            Entry("code", "token", f"c{n % 4}", "http://loinc.org"),
            Entry("date", "date", low=n * DAY, high=(n + 1) * DAY),
            resource_type="Observation",
        )
        for n in range(40)
    ]
    await store.write([*people, *results])
    return store


@pytest.mark.parametrize(
    ("resource_type", "plan", "found"),
    [
        ("Observation", And(), 40),
        ("Observation", CODE, 10),
        ("Observation", And((PATIENT, CODE)), 2),
        ("Patient", NAME, 1),
        ("Observation", UNTIL, 11),
        ("Observation", And((SINCE, UNTIL)), 2),
        ("Observation", Links("subject", ("Patient",), NAME), 4),
        ("Patient", LinkedBy("Observation", "subject", CODE), 5),
        ("Patient", Has("_id", "token", (Is("p3"),)), 1),
    ],
)
async def test_a_plan_finds(filled, resource_type, plan, found):
    assert len((await filled.search(Query((resource_type,), plan, count=100))).matches) == found


# the stand-in plans no other shapes; MongoDB does
@pytest.mark.parametrize(("plan", "index"), [(And(), "t_1_n_1"), (CODE, "t_1_x_1_n_1")])
async def test_an_index_answers(filled, plan, index):
    told = await filled.explain(Query(("Observation",), plan))

    assert f"IXSCAN {index}" in told
    assert "COLLSCAN" not in told


async def test_from_and_until_are_one_range_while_nobody_has_two_dates(filled, change):
    query = Query(("Observation",), And((SINCE, UNTIL)), sort=(SortKey("date", "date"),))

    assert (await filled.explain(query))[0].count("$elemMatch") == 2  # the two ways to be since
    twice = change(
        "two",
        Entry("date", "date", low=1 * DAY, high=2 * DAY),
        Entry("date", "date", low=30 * DAY, high=31 * DAY),
        resource_type="Observation",
    )
    await filled.write([twice])
    found = [one.logical_id for one in (await filled.search(query)).matches]

    assert found == ["two", "o9", "o10"]
    assert (await filled.explain(query))[0].count("$elemMatch") == 3


async def test_within_a_write_no_sharded_collection_is_joined(filled, mongo_url, change):
    """MongoDB refuses `$lookup` from a sharded collection within a transaction.

    Spec: https://jira.mongodb.org/browse/DOCS-16693
    """
    asked = []

    class Recorded(Connection):
        async def aggregate(self, collection, stages, *, session=None):
            asked.extend(name for stage in stages for name in stage)
            return await super().aggregate(collection, stages, session=session)

    opened = connect(*read_address(mongo_url))
    store = MongoStore(Recorded(opened.client, opened.database.name, "motor"), None, few=1)
    plan = LinkedBy("Observation", "subject", CODE)
    await store.search(Query(("Patient",), plan))
    assert "$lookup" in asked
    asked.clear()

    with pytest.raises(Conflict):
        await store.write([change("new")], [Guard("Patient", plan)])

    assert "$lookup" not in asked
    there = frozenset(f"p{number}" for number in (1, 3, 5, 7, 9))
    assert await store.write([change("new")], [Guard("Patient", plan, there)])
    await store.close()


async def test_who_refers_to_a_version_refers_to_no_other_resource(store, change):
    for name, *target in (("v", "Patient/2", "1"), ("o", "Patient/3"), ("p", "Patient/2")):
        await store.write(
            [change(name, Entry("subject", "reference", *target), resource_type="Observation")]
        )
    other = Has("subject", "reference", (Except((Is("Patient/2"),)),))

    found = [one.logical_id for one in (await store.search(Query(("Observation",), other))).matches]

    assert found == ["o"]


async def test_an_explanation_has_no_values(filled):
    plan = And((PATIENT, CODE, SINCE, Links("subject", ("Patient",), NAME)))

    told = "\n".join(await filled.explain(Query(("Observation",), plan, with_total=True)))

    assert not any(value in told for value in ("p7", "c3", "loinc", "name 7", str(9 * DAY)))


async def test_what_is_too_large_is_refused_alone(store, change):
    large = change("large", content=b"x" * 15_000_001)
    wide = change(
        "wide",
        *(Entry("note", "string", f"{n}" + "y" * 10_000) for n in range(300)),
        content=b"x" * 14_000_000,
    )

    outcomes = await asyncio.gather(
        *(store.write([one]) for one in (change("a"), large, wide, change("b"))),
        return_exceptions=True,
    )

    assert [type(outcome) for outcome in outcomes] == [list, TooLarge, TooLarge, list]
    page = await store.history()
    assert [one.sequence for one in page.matches] == [2, 1]


async def test_a_message_that_is_too_large_to_keep_is_refused_alone(mongo_url):
    store, journal, *_ = open_mongo(mongo_url)

    def message(name: str, *turns: str) -> Received:
        return Received("mllp", name, name, 1, name.encode(), turns=turns)

    kept = await asyncio.gather(
        *map(
            journal.keep,
            (message("a"), message("b", "1"), message("c", "1", "2" * 17_000_000), message("d")),
        ),
        return_exceptions=True,
    )

    assert [type(one) for one in kept] == [Kept, Kept, TooLarge, Kept]
    pending = await journal.pending()
    assert [(one.number, one.message.key) for one in pending] == [(1, "a"), (2, "b"), (3, "d")]
    await store.close()


async def test_a_write_that_is_refused_waits_for_no_commit(store, change, mongo_url):
    await store.write([change()])
    connection = connect(*read_address(mongo_url))
    before = await connection.find("hub", {})

    with pytest.raises(Conflict):
        await store.write([change()])

    assert await connection.find("hub", {}) == before
    await connection.close()


async def test_what_is_not_unicode_is_refused_alone(store, change):
    odd = change("odd", Entry("name", "string", "\ud800"))

    outcomes = await asyncio.gather(
        *(store.write([one]) for one in (change("a"), odd, change("b"))), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes] == [list, InvalidResource, list]
    assert (await store.status()).sequence == 2
    with pytest.raises(InvalidParameter):
        await store.search(Query(("Patient",), Has("name", "string", (Text("\ud800"),))))


@pytest.mark.parametrize("mode", ["starts", "contains", "above"])
async def test_a_value_longer_than_a_pattern_may_be_is_refused(store, mode):
    with pytest.raises(InvalidParameter):
        await store.search(Query(("Patient",), Has("url", "uri", (Text("x" * 31_000, mode),))))


async def test_bytes_that_time_removes_are_in_no_collection(mongo_url):
    opened = open_mongo(mongo_url)
    journal, connection = opened.journal, connect(*read_address(mongo_url))
    sizes = [9, 13 << 20, 7]  # the second one's bytes are two documents
    for number, size in enumerate(sizes, 1):
        await journal.keep(Received("mllp", f"k{number}", "d", number, b"x" * size))
        if number < 3:
            await journal.finish(Finish(number, "done", b"AA"))
    before = await connection.command("collStats", "message_raw")

    assert await journal.prune({"done": 9}, 0) == (2, 0)
    assert await journal.prune({"done": 9}, 0) == (0, 0)

    after = await connection.command("collStats", "message_raw")
    assert (before["count"], after["count"]) == (4, 1)
    assert after["size"] < 1_000 < 13 << 20 < before["size"]
    assert await journal.shrink() == 0
    assert (await journal.tally())["received"] == 1
    assert (await journal.keep(Received("mllp", "k2", "d", 4, b"x"))).is_duplicate
    await connection.close()
    await opened.close()
