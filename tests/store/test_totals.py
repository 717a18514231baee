"""Exact totals of what most resources meet, counted by what does not meet it.

Spec: https://hl7.org/fhir/R4/search.html#total
"""

from itertools import product

import pytest

from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import Compare, Has, Is, Not, Query, Range
from fhir_hub.store.base import Change
from fhir_hub.store.memory.store import open_memory
from fhir_hub.store.sqlite.store import open_sqlite
from fhir_hub.store.sqlite.walks import LIMITS, Limits

DAYS = range(0, 50, 3)
# most are final, one is nothing, one is final and more, one is deleted, three have no day
CODES = {5: ("draft",), 9: (), 14: ("final", "draft"), 20: ("amended",)}


def _change(number: int, day: int | None, version_id: int = 1) -> Change:
    entries = [Entry("status", "token", code) for code in CODES.get(number, ("final",))]
    if day is not None:
        entries.append(Entry("date", "date", low=day, high=day + 1 + number % 4))
    return Change("Basic", str(number), version_id, number, "PUT", b"{}", tuple(entries))


def _plans() -> list[Has]:
    plans = [
        Has("status", "token", tuple(map(Is, codes)))
        for codes in (("final",), ("draft",), ("final", "draft"), ("amended", "final"), ("none",))
    ]
    for day in range(-2, 56, 4):
        since = (Compare("low", ">=", day),), (Compare("high", ">", day),)
        until = (Compare("low", "<", day),), (Compare("high", "<=", day),)
        plans += [Has("date", "date", (Range(found),)) for found in (since, until)]
        plans += [Has("date", "date", (Range((one,)),)) for one in (*since, *until)]
    return plans


@pytest.mark.no_cover  # many rounds of what other tests cover
@pytest.mark.parametrize("limits", [LIMITS, Limits(0, 1, 1), Limits(1, 7, 9)])
@pytest.mark.parametrize("is_many", [False, True])
async def test_a_total_is_exact_whichever_side_is_counted(tmp_path, limits, is_many):
    memory, _ = open_memory()
    sqlite, _ = open_sqlite(tmp_path / "hub.db", limits)
    days = [None if day in (3, 6, 30) else day for day in DAYS] * 2
    changes = [_change(number, day) for number, day in enumerate(days, 1)]
    changes.append(_change(4, 45, version_id=2))
    changes.append(Change("Basic", "7", 2, 99, "DELETE"))
    if is_many:
        two = tuple(Entry("date", "date", low=day, high=day + 2) for day in (4, 40))
        changes.append(Change("Basic", "many", 1, 100, "PUT", b"{}", two))
    for store, change in product((memory, sqlite), changes):
        await store.write([change])
    wanted, found = [], []
    for plan in (one for has in _plans() for one in (has, Not(has))):
        query = Query(("Basic",), plan, count=1, with_total=True)
        wanted.append((plan, (await memory.search(query)).total))
        found.append((plan, (await sqlite.search(query)).total))
    told = [
        "\n".join(await sqlite.explain(Query(("Basic",), plan, count=1, with_total=True)))
        for plan in _plans()
    ]
    await sqlite.close()

    assert found == wanted
    # the totals of nearly all and of an end of time are taken from what they leave out
    assert ("code <" in told[0]) == (limits == Limits(1, 7, 9))
    assert any("shape_parameter p" in one for one in told) == (limits != LIMITS and not is_many)
