"""A search whose shape was seen before is answered with its own values, as by brute force."""

import asyncio
import tempfile
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path

import apsw
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import And, Compare, Has, Is, Not, Or, Plan, Query, Range, SortKey
from fhir_hub.store.base import Change
from fhir_hub.store.memory.store import open_memory
from fhir_hub.store.sqlite.connection import open_reader
from fhir_hub.store.sqlite.reads import Reader
from fhir_hub.store.sqlite.store import open_sqlite
from fhir_hub.store.sqlite.walks import Limits

pytestmark = pytest.mark.no_cover  # many rounds of what other tests cover

CODES, SYSTEMS, DAYS = ("a", "b", "c\x1f2"), ("", "urn:1", "urn:2"), (1, 2, 3, 4)
WHO = ("Patient/1", "Patient/2")

tokens = st.builds(
    lambda code, system: Entry("code", "token", code, system),
    st.sampled_from(CODES),
    st.sampled_from(SYSTEMS),
)
references = st.builds(
    lambda who, version: Entry("r", "reference", who, version),
    st.sampled_from(WHO),
    st.sampled_from(("", "7")),
)
dates = st.builds(
    lambda day, width: Entry("date", "date", low=day, high=day + width),
    st.sampled_from(DAYS),
    st.integers(1, 2),
)
entries = tokens | references | dates
worlds = st.lists(st.lists(entries, max_size=6), min_size=4, max_size=12)


def plans() -> list[Plan]:
    """Return the same few shapes, each with every value."""
    made: list[Plan] = []
    for code, system, day, who in product(CODES, (None, *SYSTEMS), DAYS[::2], WHO):
        patient = Has("r", "reference", (Is(who),))
        token = Has("code", "token", (Is(code, system),))
        since = Has(
            "date", "date", (Range(((Compare("low", ">=", day),), (Compare("high", ">", day),))),)
        )
        until = Has("date", "date", (Range(((Compare("low", "<", day + 1),),)),))
        either = Has("code", "token", (Is(code, system), Is("a", "")))
        made += [
            token,
            And((patient, token, since)),
            And((patient, And((since, until)))),
            And((either, patient)),
            And((patient, Not(token), Or((since, until)))),
        ]
    return list(dict.fromkeys(made))


SORTS = ((), (SortKey("date", "date", True),), (SortKey("code", "token"), SortKey("date", "date")))


async def compare(world: list, later: list, limits: Limits) -> None:
    memory, _ = open_memory()
    versions: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        sqlite, _ = open_sqlite(Path(folder) / "hub.db", limits)
        try:
            number = 0
            for part in (world, later):  # what comes later brings names that were not known
                for said in part:
                    number += 1
                    name = str(number % 9)  # some are told anew
                    versions[name] += 1
                    change = Change(
                        "Observation", name, versions[name], number, "PUT", b"{}", tuple(said)
                    )
                    await memory.write([change])
                    await sqlite.write([change])
                for plan, sort in product(plans(), SORTS):
                    query = Query(("Observation",), plan, sort, 2)
                    expected = await memory.search(query)
                    found = await sqlite.search(query)
                    assert found.matches == expected.matches, query
                    assert bool(found.cursor) == bool(expected.cursor), query
                    if found.cursor:
                        after = replace(query, after=found.cursor)
                        assert (await sqlite.search(after)).matches == (
                            await memory.search(replace(query, after=expected.cursor))
                        ).matches, after
        finally:
            await sqlite.close()


@settings(
    max_examples=6,
    phases=(Phase.generate,),
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(worlds, worlds, st.sampled_from((Limits(), Limits(0, 1, 1), Limits(2, 4, 9))))
def test_searches_of_one_shape_are_answered_each_by_its_values(world, later, limits):
    asyncio.run(compare(world, later, limits))


async def test_an_order_by_what_no_resource_had_before_is_learned(tmp_path):
    sqlite, _ = open_sqlite(tmp_path / "hub.db")
    token = Entry("t", "token", "a")

    async def write(number: int, *entries: Entry) -> None:
        await sqlite.write([Change("Basic", str(number), 1, number, "POST", b"{}", entries)])

    async def found() -> list[str]:
        for sort in ((SortKey("d", "date"),), (SortKey("c", "token", others=("d",)),)):
            query = Query(("Basic",), Has("t", "token", (Is("a"),)), sort)
            ids.append([stored.logical_id for stored in (await sqlite.search(query)).matches])
        return ids[-2:]

    ids: list[list[str]] = []
    try:
        await write(1, token)
        assert await found() == [["1"], ["1"]]
        await write(2, token, Entry("d", "date", low=2, high=3), Entry("d", "token", "2"))
        assert await found() == [["2", "1"], ["2", "1"]]
    finally:
        await sqlite.close()


async def test_a_search_is_compiled_once_whatever_its_values(tmp_path):
    sqlite, _ = open_sqlite(tmp_path / "hub.db")
    entries = (Entry("r", "reference", "Patient/1"), Entry("code", "token", "a"))
    await sqlite.write([Change("Basic", "1", 1, 1, "POST", b"{}", entries)])
    reader = Reader(open_reader(tmp_path / "hub.db", 1024))
    compiled: list[int] = []

    def compiles(*what: object) -> int:
        compiled.append(1)
        return apsw.SQLITE_OK

    def found(who: str, code: str, count: int) -> int:
        parts = Has("r", "reference", (Is(who),)), Has("code", "token", (Is(code, ""),))
        query = Query(("Basic",), And(parts), count=count)
        page = reader.quick(query)
        assert page == reader.search(query)
        return len(page.matches)

    reader.connection.authorizer = compiles
    first, so_far = found("Patient/1", "a", 1), len(compiled)
    then = [found(*asked) for asked in product(WHO, CODES[:2], (1, 2))]
    reader.connection.close()
    await sqlite.close()

    assert (first, then) == (1, [1, 1, *[0] * 6])
    assert len(compiled) == so_far > 0
