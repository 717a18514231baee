"""SQLite and MongoDB answer a search over resources as the brute force of `MemoryStore` does.

From the text of a query to its pages: every kind, prefix, modifier, chain and sort, on generated
records. At least 5,000 pairs of records and query are compared; `FHIR_HUB_TEST_EXAMPLES` says how
many times as many.
"""

import asyncio
import os
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import made_records
import made_searches
import mongo_server
import parts
import pytest
import quick_draws
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_hub import fhirjson
from fhir_hub.errors import FhirError
from fhir_hub.search.extract import Extractor
from fhir_hub.search.parse import parse_search
from fhir_hub.search.plan import Query
from fhir_hub.store.base import Change, Store
from fhir_hub.store.memory.store import open_memory
from fhir_hub.store.mongo.opening import open_mongo
from fhir_hub.store.sqlite.store import open_sqlite
from fhir_hub.store.sqlite.walks import Limits

TIMES = int(os.environ.get("FHIR_HUB_TEST_EXAMPLES", "1"))
QUERIES, EXAMPLES = 80, 66
# on MongoDB a few, or by `make test-mongo` all
IS_ALL_ON_MONGO = "FHIR_HUB_TEST_STORES" in os.environ
ON_MONGO = EXAMPLES * TIMES if IS_ALL_ON_MONGO else 2
NUMBERS = made_records.NUMBERS
BASE = "http://hub.test/fhir"
EXTRACTOR = Extractor(parts.all_parameters(), parts.ZONE)
LIMITS = st.sampled_from((Limits(), Limits(1, 2, 4), Limits(0, 1, 1), Limits(0, 3, 100)))


def changes(world: list) -> list[Change]:
    versions: Counter[tuple[str, str]] = Counter()
    made = []
    for number, (resource_type, logical_id, elements, dice) in enumerate(world):
        key = resource_type, logical_id
        versions[key] += 1
        resource = {"resourceType": resource_type, "id": logical_id, **elements}
        gone = dice == 0
        made.append(
            Change(
                *key,
                versions[key],
                1_709_200_800_000_000 + number * 1_000_000,
                "DELETE" if gone else "PUT",
                b"" if gone else fhirjson.dumps(resource),
                () if gone else EXTRACTOR.entries(resource),
            )
        )
    return made


async def pages(store: Store, query: Query) -> list:
    found = []
    while True:
        page = await store.search(query)
        found.append((page.matches, bool(page.cursor), page.total))
        if not page.cursor:
            return found
        query = replace(query, after=page.cursor)


def read(types: tuple[str, ...], pairs: list[tuple[str, str]]) -> Query | None:
    """Return the query, None if it is refused."""
    try:
        asked = parse_search(
            types, pairs, parameters=parts.all_parameters(), zone=parts.ZONE, base=BASE
        )
    except FhirError as error:
        assert error.status == 400  # noqa: PT017 - a refusal is allowed, of this kind
        return None
    return asked.query


async def compare(store: Store, world: list, searches: list) -> Counter[str]:
    """Return how many searches were compared, how many were refused, how many found something."""
    memory, _ = open_memory()
    told: Counter[str] = Counter()
    try:
        for change in changes(world):
            await memory.write([change])
        await asyncio.gather(*(store.write([change]) for change in changes(world)))
        for types, pairs in searches:
            query = read(types, pairs)
            told["compared" if query else "refused"] += 1
            if query is None:
                continue
            expected = await pages(memory, query)
            assert await pages(store, query) == expected, (types, pairs, query)
            told["found"] += bool(expected[0][0] or expected[0][2])
    finally:
        await store.close()
    return told


async def compare_sqlite(world: list, searches: list, limits: Limits) -> Counter[str]:
    with tempfile.TemporaryDirectory() as folder:
        sqlite, _ = open_sqlite(Path(folder) / "hub.db", limits)
        return await compare(sqlite, world, searches)


async def compare_mongo(address: str, world: list, searches: list, few: int) -> Counter[str]:
    with mongo_server.emptied(address) as url:
        mongo, *_ = open_mongo(url, few)
        return await compare(mongo, world, searches)


# of every eight one is of several types
one_search = quick_draws.one_of(*[made_searches.searches()] * 7, made_searches.searches_of_types())
searches = st.lists(one_search.seeded(), min_size=QUERIES, max_size=QUERIES)


@pytest.mark.no_cover  # many rounds of what other tests cover
def test_every_search_over_resources_is_answered_as_by_brute_force():
    told: Counter[str] = Counter()

    @settings(
        max_examples=EXAMPLES * TIMES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=TIMES == 1,
        database=None,
    )
    @given(made_records.worlds, searches, LIMITS)
    def run(world, searches, limits):
        told.update(asyncio.run(compare_sqlite(world, searches, limits)))

    run()
    assert told["compared"] >= 5000 * TIMES, told
    assert told["found"] >= told["compared"] // 8, told


def boundaries() -> list:
    """Return a resource for each value that the generated records have, and each in a pair."""
    units = [made_records.UNITS[n] for n in (0, 1, 3, 7, 8, 9, 11)]
    made: list = []
    for day in (*made_records.DATES, "1953", "2024-02"):
        made.append(("Observation", {"effectiveDateTime": day, "status": "final"}))
    for number in made_records.NUMBERS:
        risk = {"prediction": [{"probabilityDecimal": parts.exact(number)}]}
        made.append(("RiskAssessment", {**risk, "status": "final"}))
        for unit, system, code in units:
            quantity = {"value": parts.exact(number), "unit": unit, "system": system, "code": code}
            made.append(("Observation", {"valueQuantity": quantity, "status": "final"}))
    for latitude, longitude in (("31.15", "121.12"), ("30.85", "120.93"), ("-31", "-59")):
        place = {"latitude": parts.exact(latitude), "longitude": parts.exact(longitude)}
        made.append(("Location", {"position": place, "status": "active"}))
    for name in made_records.TEXTS:
        made.append(("Location", {"name": name, "status": "active"}))
    return [(name, str(n), elements, 1) for n, (name, elements) in enumerate(made)]


def asked_at_boundaries() -> list:
    prefixes = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
    days = (*made_records.DATES, "1953", "2024-02")
    units = ("", f"|{made_records.UCUM}|g", f"|{made_records.UCUM}|mg/dL", "||mg")
    asked = [("Observation", "date", p + day) for p in prefixes for day in days]
    asked += [("RiskAssessment", "probability", p + n) for p in prefixes for n in NUMBERS]
    asked += [
        ("Observation", "value-quantity", p + n + unit)
        for p in prefixes
        for n in ("5.4", "5", "0.054", "5400")
        for unit in units
    ]
    near = ("31.15|121.12|1", "31|121|40", "31|121|20000", "31|121|20016", "-31|-59|1")
    asked += [("Location", "near", text) for text in near]
    operators = ("eq", "ne", "co", "sw", "ew")
    asked += [
        ("Location", "_filter", f'name {operator} "{text}"')
        for operator in operators
        for text in (*made_records.TEXTS, "b", "g", "芳")
    ]
    # alone the value's index is walked; with another condition each resource is asked
    return [
        ((name,), [(code, value), *more, ("_count", "100")])
        for name, code, value in asked
        for more in ([], [("_id:not", "none")])
    ]


@pytest.mark.no_cover  # many rounds of what other tests cover
@pytest.mark.parametrize("limits", [Limits(), Limits(0, 1, 1)], ids=["usual", "small limits"])
def test_every_prefix_and_operator_agrees_at_every_boundary(limits):
    told = asyncio.run(compare_sqlite(boundaries(), asked_at_boundaries(), limits))

    assert told["refused"] == 0
    assert told["found"] >= told["compared"] // 2


@pytest.mark.no_cover
def test_mongo_answers_every_search_over_resources_as_by_brute_force(mongo_database):
    told: Counter[str] = Counter()

    @settings(
        max_examples=ON_MONGO,
        suppress_health_check=list(HealthCheck),
        derandomize=TIMES == 1,
        database=None,
    )
    @given(made_records.worlds, searches, st.sampled_from((1000, 1, 0, 3)))
    def run(world, searches, few):
        told.update(asyncio.run(compare_mongo(mongo_database, world, searches, few)))

    run()
    assert told["found"] >= told["compared"] // (8 if IS_ALL_ON_MONGO else 20), told


@pytest.mark.no_cover
def test_mongo_agrees_at_every_boundary(mongo_database):
    asked = asked_at_boundaries()
    told = asyncio.run(
        compare_mongo(mongo_database, boundaries(), asked if IS_ALL_ON_MONGO else asked[::12], 1000)
    )

    assert told["refused"] == 0
    assert told["found"] >= told["compared"] // 2
