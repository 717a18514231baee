"""SQLite and MongoDB answer every generated search as the brute force of `MemoryStore` does.

`FHIR_HUB_TEST_EXAMPLES` is how many databases are generated (20 searches on each). The limits
that choose between ways to search are so small that every way is taken.
"""

import asyncio
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import mongo_server
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import (
    Among,
    And,
    Compare,
    Has,
    Is,
    LinkedBy,
    Links,
    Not,
    Or,
    Plan,
    Query,
    Range,
    SortKey,
    Text,
    Together,
)
from fhir_hub.store.base import Change, Conflict, Guard, Store
from fhir_hub.store.memory.store import open_memory
from fhir_hub.store.mongo.opening import open_mongo
from fhir_hub.store.sqlite.store import open_sqlite
from fhir_hub.store.sqlite.walks import Limits

# databases on MongoDB: a few, or by `make test-mongo` as many as on SQLite
ON_MONGO = int(
    os.environ.get("FHIR_HUB_TEST_EXAMPLES", "60" if "FHIR_HUB_TEST_STORES" in os.environ else "3")
)
TYPES = ("Patient", "Observation", "Group")
IDS = ("1", "2", "3", "4", "5")
CODES = ("", "a", "ab", "abc", "b", "沈", "沈国", "\U0010ffff", "z\ud7ff", "x\x00y", "A", "#a")
SYSTEMS = ("", "urn:a", "urn:b", "urn:a.b", "urn:ab")
NUMBERS = (-1.5, 0, 1, 2, 2.5, 1_700_000_000_000_000, 10**25)

KINDS = (
    ("t", "token"),
    ("s", "string"),
    ("r", "reference"),
    ("r", "reference"),
    ("u", "uri"),
    ("url", "uri"),
    ("version", "token"),
    ("d", "date"),
    ("n", "number"),
    ("q", "quantity"),
    ("q", "date"),
    ("c.0", "token"),
    ("c.1", "quantity"),
)

types = st.sampled_from(TYPES)
codes, systems, numbers = st.sampled_from(CODES), st.sampled_from(SYSTEMS), st.sampled_from(NUMBERS)
maybe_codes, maybe_systems = st.none() | codes, st.none() | systems
local = st.builds("{}/{}".format, types, st.sampled_from(IDS))
references = local | local | local | codes


@st.composite
def intervals(draw) -> tuple[float | None, float | None]:
    low, high = draw(st.none() | numbers), draw(st.none() | numbers)
    if low is not None and high is not None and low > high:
        low, high = high, low
    return low, high


@st.composite
def entries(draw) -> Entry:
    name, kind = draw(st.sampled_from(KINDS))
    low, high = draw(intervals()) if kind in ("date", "number", "quantity") else (None, None)
    group = draw(st.integers(1, 2)) if name.startswith("c.") else 0
    code = draw(references) if kind == "reference" else draw(codes)
    if name in ("url", "version"):  # what canonicals name: few, so that some are met
        code = draw(st.sampled_from(SYSTEMS if name == "version" else CODES[:3]))
    return Entry(name, kind, code, draw(systems), low, high, draw(codes), group)


compares = st.builds(
    Compare, st.sampled_from(("low", "high")), st.sampled_from(("<", "<=", ">", ">=", "=")), numbers
)
ranges = st.builds(
    Range,
    st.lists(st.lists(compares, max_size=3).map(tuple), max_size=2).map(tuple),
    maybe_systems,
    maybe_codes,
    maybe_codes,
)
texts = st.builds(Text, codes, st.sampled_from(("starts", "contains", "exact", "below", "above")))
canonicals = st.builds(
    lambda code, version: Text(f"{code}|{version}", "version"), codes, st.sampled_from(SYSTEMS[1:])
)
identities = st.builds(Is, maybe_codes | references, st.none() | maybe_systems)


several = st.builds(Among, st.frozensets(codes, max_size=4), st.none() | maybe_systems)


def one_test(kind: str) -> st.SearchStrategy[Is | Among | Text | Range]:
    if kind in ("date", "number", "quantity"):
        return ranges
    if kind == "token":
        return identities | several
    if kind == "reference":
        return identities | canonicals
    return identities | texts if kind in ("string", "uri") else identities


operators = st.sampled_from(("<", "<=", ">", ">=", "="))
instants = st.builds(
    Compare, st.sampled_from(("low", "high")), operators, st.integers(0, 20) | numbers
)
moments = st.builds(
    Range, st.lists(st.lists(instants, max_size=2).map(tuple), max_size=2).map(tuple)
)


@st.composite
def has(draw) -> Has:
    own = draw(st.integers(0, 9))
    if own == 0:
        return Has(
            "_id", "token", tuple(draw(st.lists(st.builds(Is, st.sampled_from(IDS)), max_size=3)))
        )
    if own == 1:
        return Has("_lastUpdated", "date", tuple(draw(st.lists(moments, max_size=2))))
    name, kind = draw(st.sampled_from((*KINDS, ("never", "token"))))
    return Has(name, kind, tuple(draw(st.lists(one_test(kind), max_size=3))))


def bigger(plans: st.SearchStrategy[Plan]) -> st.SearchStrategy[Plan]:
    some = st.lists(plans, max_size=3).map(tuple)
    return (
        st.builds(And, some)
        | st.builds(Or, some)
        | st.builds(Not, plans)
        | st.builds(Links, linking, st.lists(types, min_size=1, max_size=2).map(tuple), plans, by)
        | st.builds(LinkedBy, types, linking, plans, by)
    )


by = st.booleans()  # canonical, or address
linking = st.sampled_from(("r", "r", "r", "never"))
together = st.builds(
    Together,
    st.just("c"),
    st.tuples(st.tuples(st.just("token"), identities), st.tuples(st.just("quantity"), ranges))
    | st.tuples(st.tuples(st.just("token"), identities)),
)
plans = st.recursive(has() | together, bigger, max_leaves=6)

sorts = st.lists(
    st.builds(
        lambda key, descending: SortKey(*key, descending),
        st.sampled_from((*KINDS, ("_id", "token"), ("_lastUpdated", "date"), ("never", "uri"))),
        st.booleans(),
    ),
    max_size=2,
).map(tuple)
queries = st.builds(
    Query,
    st.tuples(types) | st.lists(types, max_size=2).map(tuple),
    plans,
    sorts,
    st.sampled_from((1, 2, 3, 9, 0)),
    st.just(""),
    st.booleans(),
)
limits = st.sampled_from((Limits(), Limits(1, 2, 4), Limits(0, 1, 1), Limits(0, 3, 100)))
writes = st.lists(
    st.tuples(types, st.sampled_from(IDS), st.lists(entries(), max_size=9), st.integers(0, 9)),
    min_size=10,
    max_size=30,
)


async def fill(store: Store, made: list) -> None:
    versions: dict[tuple[str, str], int] = {}
    for number, (resource_type, logical_id, said, dice) in enumerate(made):
        version = versions.get((resource_type, logical_id), 0) + 1
        versions[resource_type, logical_id] = version
        method = "DELETE" if dice == 0 else "PUT"
        change = Change(
            resource_type,
            logical_id,
            version,
            number - dice // 5,
            method,
            b"" if method == "DELETE" else b"%d" % number,
            tuple(said),
        )
        await store.write([change])


async def pages(store: Store, query: Query) -> list:
    found = []
    for _ in range(20):
        page = await store.search(query)
        found.append((page.matches, bool(page.cursor), page.total))
        if not page.cursor:
            break
        query = replace(query, after=page.cursor)
    return found


async def guarded(store: Store, plan: Plan, logical_ids: frozenset[str]) -> bool:
    try:
        await store.write([], [Guard("Patient", plan, logical_ids)])
    except Conflict:
        return False
    return True


async def compare(store: Store, made: list, asked: list[Query]) -> None:
    memory, _ = open_memory()
    try:
        await fill(memory, made)
        await fill(store, made)
        for query in asked:
            expected = await pages(memory, query)
            assert await pages(store, query) == expected, (query, await store.explain(query))
            ids = frozenset(stored.logical_id for stored in expected[0][0])
            assert await guarded(store, query.plan, ids) == await guarded(memory, query.plan, ids)
        assert await store.history(count=99, since=5) == await memory.history(count=99, since=5)
        for at in ((7, 7), (3, 7)):
            assert await store.history(count=99, at=at) == await memory.history(count=99, at=at)
        assert (await store.status())[:2] == (await memory.status())[:2]
    finally:
        await store.close()


async def compare_sqlite(made: list, asked: list[Query], limits: Limits) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sqlite, _ = open_sqlite(Path(folder) / "hub.db", limits)
        await compare(sqlite, made, asked)


async def compare_mongo(url: str, made: list, asked: list[Query], few: int) -> None:
    mongo, *_ = open_mongo(url, few)
    await compare(mongo, made, asked)


@pytest.mark.no_cover  # many rounds of what other tests cover
@settings(
    max_examples=int(os.environ.get("FHIR_HUB_TEST_EXAMPLES", "25")),
    suppress_health_check=list(HealthCheck),
    derandomize="FHIR_HUB_TEST_EXAMPLES" not in os.environ,
)
@given(writes, st.lists(queries, min_size=20, max_size=20), limits)
def test_every_search_is_answered_as_by_brute_force(made, asked, limits):
    asyncio.run(compare_sqlite(made, asked, limits))


@pytest.mark.no_cover
def test_mongo_answers_every_search_as_by_brute_force(mongo_database):
    @settings(
        max_examples=ON_MONGO,
        suppress_health_check=list(HealthCheck),
        derandomize="FHIR_HUB_TEST_EXAMPLES" not in os.environ,
        database=None,
    )
    @given(writes, st.lists(queries, min_size=20, max_size=20), st.sampled_from((1000, 1, 0, 2)))
    def run(made, asked, few):  # few far ends of a chain are named, more are joined
        with mongo_server.emptied(mongo_database) as url:
            asyncio.run(compare_mongo(url, made, asked, few))

    run()
