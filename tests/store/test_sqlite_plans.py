"""No search that an index can answer reads a table from end to end; long ones can be stopped."""

import asyncio
import re

import pytest

from fhir_hub.errors import InvalidParameter
from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import (
    EVERYTHING,
    Among,
    And,
    Compare,
    Has,
    Is,
    LinkedBy,
    Links,
    Not,
    Or,
    Query,
    Range,
    SortKey,
    Text,
    Together,
)
from fhir_hub.store.sqlite.store import open_sqlite
from fhir_hub.store.sqlite.walks import LIMITS, Limits

PATIENT = Has("subject", "reference", (Is("Patient/p7"),))
CODE = Has("code", "token", (Is("c3", "http://loinc.org"),))
FINAL = Has("status", "token", (Is("final"),))
SINCE = Has("date", "date", (Range(((Compare("high", ">", 100),),)),))
UNTIL = Has("date", "date", (Range(((Compare("low", "<", 200),),)),))
BY_DATE = (SortKey("date", "date", True),)
NAME = Has("name", "string", (Text("name 7"),))
LATELY = Has("_lastUpdated", "date", (Range(((Compare("low", ">", 100),),)),))

ABOVE = Range(((Compare("low", ">", 3),),))
EMPLOYER = Links("organization", ("Organization",), NAME)

SHAPES = {
    "type": (EVERYTHING, ()),
    "type by date": (EVERYTHING, BY_DATE),
    "type by last updated": (EVERYTHING, (SortKey("_lastUpdated", "date", True),)),
    "patient": (PATIENT, ()),
    "patient by date": (PATIENT, BY_DATE),
    "patient, code and date": (And((PATIENT, CODE, SINCE, UNTIL)), ()),
    "code": (CODE, ()),
    "code by date": (CODE, BY_DATE),
    "codes": (Has("code", "token", (Is("c3"), Is("c4", "http://loinc.org"))), ()),
    "value set": (Has("code", "token", (Among(frozenset(("c3", "c4")), "http://loinc.org"),)), ()),
    "value set by date": (Has("code", "token", (Among(frozenset(("c3", "c4"))),)), BY_DATE),
    "common code by date": (FINAL, BY_DATE),
    "date": (And((SINCE, UNTIL)), ()),
    "last updated": (LATELY, ()),
    "id": (Has("_id", "token", (Is("o3"), Is("o4"))), ()),
    "no subject": (Not(Has("subject", "reference")), ()),
    "not final": (Not(FINAL), ()),
    "quantity": (Has("value", "quantity", (Range(((Compare("low", ">", 90),),), unit="mg"),)), ()),
    "composite": (Together("c-v", (("token", Is("c3")), ("quantity", ABOVE))), ()),
    "chain": (Links("subject", ("Patient",), NAME), ()),
    "chain of two": (Links("subject", ("Patient",), EMPLOYER), ()),
    "chain and code": (And((Links("subject", ("Patient",), NAME), CODE)), BY_DATE),
    "reverse chain": (LinkedBy("Observation", "focus", CODE), ()),
    "canonical chain": (Links("based", ("Plan",), NAME, True), ()),
    "canonical chain and code": (And((Links("based", ("Plan",), NAME, True), CODE)), BY_DATE),
    "canonical reverse chain": (LinkedBy("Observation", "like", CODE, True), ()),
    "either": (Or((PATIENT, CODE)), ()),
}  # fmt: skip


@pytest.fixture(params=[LIMITS, Limits(0, 2, 4)], ids=["usual", "small limits"])
async def store(request, tmp_path, change):
    opened, _ = open_sqlite(tmp_path / "hub.db", request.param)
    for n in range(20):
        name = Entry("name", "string", f"name {n}")
        employer = Entry("organization", "reference", f"Organization/o{n % 5}")
        await opened.write([change(f"o{n}", name, resource_type="Organization")])
        await opened.write([change(f"p{n}", name, employer)])
        names = Entry("url", "uri", f"urn:plan:{n}"), Entry("version", "token", "1")
        await opened.write([change(f"d{n}", name, *names, resource_type="Plan")])
    await opened.write([change(f"b{n}", *said(n), resource_type="Observation") for n in range(400)])
    yield opened
    await opened.close()


def said(n: int) -> tuple[Entry, ...]:
    return (
        Entry("subject", "reference", f"Patient/p{n % 20}"),
        Entry("focus", "reference", f"Observation/b{n - 1}"),
        Entry("based", "reference", f"urn:plan:{n % 20}", str(n % 3 or "")),
        Entry("like", "reference", f"urn:b:{n - 1}", "1"),
        Entry("url", "uri", f"urn:b:{n}"),
        Entry("version", "token", "1"),
        Entry("status", "token", "final"),
        Entry("code", "token", f"c{n % 9}", "http://loinc.org"),
        Entry("date", "date", low=n, high=n + 1),
        Entry("value", "quantity", "mg", "http://ucum", low=n % 100, high=n % 100 + 1, text="mg"),
        Entry("c-v.0", "token", f"c{n % 9}", "http://loinc.org", group=1),
        Entry("c-v.1", "quantity", "mg", "http://ucum", low=n % 100, high=n % 100 + 1, group=1),
    )


async def test_no_table_is_scanned(store):
    for shape, (plan, sort) in SHAPES.items():
        first = Query(("Observation",), plan, sort, 5, with_total=True)
        cursor = (await store.search(first)).cursor
        queries = [first]
        if cursor:
            queries.append(Query(("Observation",), plan, sort, 5, cursor))

        for query in queries:
            for line in await store.explain(query):
                # p, found and subquery-n are rows of this search; t1, t2 ... are tables
                assert not re.search(r"^SCAN t\d", line), (shape, line)
                assert "AUTOMATIC" not in line, shape


@pytest.mark.parametrize("shape", ["type", "patient", "code", "codes", "type by date"])
async def test_a_page_of_a_long_walk_sorts_nothing_before_its_first_row(store, shape):
    plan, sort = SHAPES[shape]

    lines = await store.explain(Query(("Observation",), plan, sort, 5))

    before_page = lines[: lines.index("SCAN p")]
    assert not [line for line in before_page if "TEMP B-TREE FOR ORDER BY" in line] or sort


async def test_values_are_never_in_the_sql(store):
    text = Has("name", "string", (Text("Robert'); DROP TABLE resource"), Text("x", "contains")))
    lines = await store.explain(Query(("Patient",), And((text, Not(text)))))

    assert not [line for line in lines if "Robert" in line or "'" in line.replace("''", "")]
    assert (await store.search(Query(("Patient",), text))).matches == []


async def test_a_search_for_what_is_not_unicode_is_refused(store):
    with pytest.raises(InvalidParameter):
        await store.search(Query(("Patient",), Has("name", "string", (Text("\ud800"),))))


async def test_a_search_whose_caller_gave_up_is_stopped_and_its_connection_used_again(store):
    slow = And(tuple(Not(Links("focus", ("Observation",), Not(FINAL))) for _ in range(30)))
    for _ in range(8):
        search = asyncio.create_task(store.search(Query(("Observation",), slow, with_total=True)))
        await asyncio.sleep(0)
        search.cancel()
        with pytest.raises(asyncio.CancelledError):
            await search

    page = await store.search(Query(("Observation",), slow, with_total=True, count=0))
    assert page.total == 400
