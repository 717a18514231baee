"""Points (a number, a time to the second) have one row of an index, and are found by either end."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import apsw
import pytest

from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import And, Compare, Has, Is, Not, Plan, Query, Range, SortKey
from fhir_hub.store.base import Change, Store
from fhir_hub.store.memory.store import open_memory
from fhir_hub.store.open import open_backend
from fhir_hub.store.sqlite.agreement import ENTRIES
from fhir_hub.store.sqlite.store import open_sqlite
from fhir_hub.store.sqlite.walks import Limits

SECOND, DAY = 1_000_000, 86_400_000_000
KINDS = ("date", "date", "quantity", "number")
LOWS = {"date": (0, 1, SECOND - 1, SECOND, SECOND + 1, 2 * SECOND, DAY)}
WIDTHS = {"date": (SECOND, SECOND, SECOND, 1, SECOND - 1, SECOND + 1, DAY, None)}
LOWS |= dict.fromkeys(KINDS[2:], (-0.5, 0, 0.0, 1, 1.5))
WIDTHS |= dict.fromkeys(KINDS[2:], (0, 0, 5e-324, 1, 1.0, None))
OPERATORS = ("<", "<=", ">", ">=", "=")


def interval(dice: Random) -> Entry:
    kind = dice.choice(KINDS)
    low, width = dice.choice((*LOWS[kind], None)), dice.choice(WIDTHS[kind])
    high = None if width is None else (low or 0) + width
    return Entry(kind, kind, low=low, high=high)


def written(dice: Random) -> list[Change]:
    versions: Counter[str] = Counter()
    made = []
    for _ in range(14):
        logical_id = dice.choice("abcdefgh")
        versions[logical_id] += 1
        said = [interval(dice) for _ in range(dice.choice((1, 1, 1, 2, 3)))]
        gone = dice.randrange(8) == 0
        made.append(change(logical_id, versions[logical_id], said, gone=gone))
    return made


def asked(dice: Random) -> Query:
    kind = dice.choice(KINDS)
    values = [low + (width or 0) for low in LOWS[kind] for width in (0, *WIDTHS[kind])]

    def compare() -> Compare:
        return Compare(dice.choice(("low", "high")), dice.choice(OPERATORS), dice.choice(values))

    def alternative() -> tuple[Compare, ...]:
        return tuple(compare() for _ in range(dice.choice((1, 1, 2))))

    def part() -> Has:
        return Has(kind, kind, (Range(tuple(alternative() for _ in range(dice.choice((1, 2))))),))

    parts: list[Plan] = [part() for _ in range(dice.choice((0, 1, 1, 2)))]
    if dice.randrange(2):  # no part of it leads
        parts.append(Not(Has("_id", "token", (Is("none"),))))
    kinds = [dice.choice(KINDS) for _ in range(dice.randrange(3))]
    sort = tuple(SortKey(one, one, dice.random() < 0.5) for one in kinds)
    count, with_total = dice.choice((1, 2, 9)), dice.random() < 0.5
    return Query(("Observation",), And(tuple(parts)), sort, count, "", with_total)


def change(logical_id: str, version: int, said: list[Entry], *, gone: bool = False) -> Change:
    method, content = ("DELETE", b"") if gone else ("PUT", b"%d" % version)
    said = [] if gone else said
    return Change("Observation", logical_id, version, version, method, content, tuple(said))


async def pages(store: Store, query: Query) -> list:
    found = []
    while True:
        page = await store.search(query)
        found.append(([one.logical_id for one in page.matches], page.total))
        if not page.cursor:
            return found
        query = replace(query, after=page.cursor)


def rows(path: Path, sql: str) -> list:
    connection = apsw.Connection(str(path))
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize("limits", [Limits(), Limits(0, 1, 1), Limits(1, 2, 4)], ids=repr)
async def test_intervals_of_every_width_are_found_and_sorted_as_by_brute_force(tmp_path, limits):
    dice = Random(7)
    memory, _ = open_memory()
    path = tmp_path / "hub.db"
    store, _ = open_sqlite(path, limits)
    for one in written(dice):
        await memory.write([one])
        await store.write([one])
    for query in [asked(dice) for _ in range(120)]:
        expected = await pages(memory, query)
        assert await pages(store, query) == expected, (query, await store.explain(query))
    await store.close()
    assert [(rule.name, found) for rule in ENTRIES if (found := rows(path, rule.find))] == []


async def test_an_interval_has_a_row_for_its_high_end_if_it_is_no_point(tmp_path):
    path = tmp_path / "hub.db"
    store, _ = open_sqlite(path)
    second = Entry("date", "date", low=5, high=5 + SECOND)
    number = Entry("quantity", "quantity", low=5.5, high=5.5)
    place = Entry("near", "special", low=5.5, high=5.5)
    await store.write([change("a", 1, [second, number, place]), change("b", 1, [second])])
    points = [(low,) for low in (5, 5, 5.5)]
    assert rows(path, "SELECT low FROM by_point ORDER BY low") == points
    assert rows(path, "SELECT low FROM by_low") == [(5.5,)]

    await store.write([change("b", 2, [second._replace(high=5 + DAY)])])
    assert rows(path, "SELECT low FROM by_point ORDER BY low") == points[1:]
    assert rows(path, "SELECT high FROM by_high ORDER BY high") == [(5.5,), (5 + DAY,)]
    await store.close()


async def test_a_resource_whose_intervals_are_in_two_indexes_is_on_one_page_once(tmp_path):
    store, _ = open_sqlite(tmp_path / "hub.db", Limits(0, 1, 1))
    number = Entry("quantity", "quantity", low=5, high=5)
    for logical_id in "ab":
        await store.write([change(logical_id, 1, [number, number._replace(high=7)])])
    for descending in (False, True):
        sort = (SortKey("quantity", "quantity", descending),)
        found = await pages(store, Query(("Observation",), And(()), sort, 9, "", True))
        assert found == [(["a", "b"], 2)]
    await store.close()


async def test_what_a_worker_changes_first_after_a_start_is_in_no_index_of_points(
    tmp_path, as_worker
):
    path = tmp_path / "hub.db"
    term = Entry("date", "date", low=5, high=5 + DAY)
    async with open_backend(f"sqlite:{path}") as opened:
        await opened.store.write([change("a", 1, [term])])
    async with open_backend(f"sqlite:{path}") as opened:
        later = term._replace(low=7, high=7 + DAY)
        await as_worker(opened).store.write([change("a", 2, [later])])

    assert rows(path, "SELECT low FROM by_point") == []
    assert rows(path, "SELECT low FROM by_low") == [(7,)]
    assert [(rule.name, found) for rule in ENTRIES if (found := rows(path, rule.find))] == []
