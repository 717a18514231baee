"""Who holds some codes is answered as by brute force, to a search and to a guard."""

import asyncio
import tempfile
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import And, Has, Is, Plan, Query
from fhir_hub.store.base import Change, Conflict, Guard, Store
from fhir_hub.store.memory.store import open_memory
from fhir_hub.store.sqlite.store import open_sqlite

EVERYONE = 1000
CODES, SYSTEMS, WHO = ("a", "b", "c"), ("", "urn:1", "urn:2"), ("Patient/1", "Patient/2")
tokens = st.builds(
    lambda code, system: Entry("t", "token", code, system),
    st.sampled_from(CODES),
    st.sampled_from(SYSTEMS),
)
references = st.builds(lambda who: Entry("r", "reference", who), st.sampled_from(WHO))
worlds = st.lists(st.lists(tokens | references, max_size=4), min_size=3, max_size=6)


def plans() -> list[Plan]:
    asked = [Is(code, system) for code, system in product(CODES[:2], (None, *SYSTEMS[:2], "urn:9"))]
    made: list[Plan] = [Has("t", "token", pair) for pair in combinations(asked, 2)]
    made += [Has("t", "token", (one,)) for one in asked] + [Has("none", "token", (asked[0],))]
    made += [Has("r", "reference", (Is(who), Is("Patient/9"))) for who in WHO]
    others = tuple(Is(f"none-{number}", "urn:1") for number in range(450))
    made += [Has("t", "token", (*others, *pair)) for pair in zip(asked, asked[::-1], strict=True)]
    for number, one in product((0, 2), asked):
        own = Has("_id", "token", (Is(str(number)), Is("gone", "")))
        made += [And((own, Has("t", "token", (one,)))), And((Has("r", "reference", (one,)), own))]
    return made


async def is_held(store: Store, guard: Guard) -> bool:
    """Return whether a write with the guard goes through; what it writes is nothing new."""
    try:
        await store.write([], [guard])
    except Conflict:
        return False
    return True


async def compare(world: list) -> None:
    memory, _ = open_memory()
    with tempfile.TemporaryDirectory() as folder:
        sqlite, _ = open_sqlite(Path(folder) / "hub.db")
        try:
            for number, entries in enumerate(world):
                key = ("Observation", str(number))
                change = Change(*key, 1, number, "POST", b"{}", tuple(entries))
                for store in (memory, sqlite):
                    await store.write([change])
                    if number == 1:
                        await store.write([Change(*key, 2, number, "DELETE")])
            for plan in plans():
                query = Query(("Observation",), plan, count=EVERYONE)
                expected = await memory.search(query)
                page = await sqlite.search(query)
                assert (page.matches, page.cursor) == (expected.matches, ""), plan
                page = await sqlite.search(replace(query, count=EVERYONE // 10))  # by a statement
                assert (page.matches, page.cursor) == (expected.matches, ""), plan
                found = frozenset(stored.logical_id for stored in expected.matches)
                for ids in (found, found | {"9"}, found - {"0"}, frozenset[str]()):
                    guard = Guard("Observation", plan, ids)
                    assert await is_held(sqlite, guard) == (ids == found), (plan, ids)
            queries = [Query(("Observation",), plan, count=EVERYONE) for plan in plans()]
            for several in (queries, *product(queries, queries[-9:])):
                together = await sqlite.search_all(several)
                assert together == [await sqlite.search(query) for query in several], several
        finally:
            await sqlite.close()


def test_who_holds_codes_is_found_as_by_brute_force():
    @settings(
        max_examples=8,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate),
        derandomize=True,
        database=None,
    )
    @given(worlds)
    def run(world):
        asyncio.run(compare(world))

    run()
