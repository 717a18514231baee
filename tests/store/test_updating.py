"""Updates of a group in SQLite: the rows that differ are touched, and all agree afterwards.

Half of them are a worker's, who sends rows where he knows the numbers that stand in them. Half come
by parts, as of resources whose elements are known: what either store made of a part stays with it.
"""

import asyncio
import random
import sqlite3
from contextlib import closing
from itertools import chain, groupby, product
from operator import itemgetter

import pytest

from fhir_hub.search.entry import Entry
from fhir_hub.search.found import Entries, Part
from fhir_hub.store.base import Stored
from fhir_hub.store.open import open_backend
from fhir_hub.store.sqlite.checking import Checking

_PEOPLE = 6
_TABLES = ("entry", "by_code", "by_point", "by_low", "by_high")


def entries_of(dice: random.Random) -> list[Entry]:
    """What a reading is found by: now this is missing, now that; each place shifts the next."""
    person = f"Patient/{dice.randrange(_PEOPLE)}"
    low = dice.randrange(5)
    some = [
        Entry("identifier", "token", str(dice.randrange(40)), "urn:sid"),
        Entry("status", "token", dice.choice(("final", "amended"))),
        Entry("code", "token", dice.choice("abc"), "urn:loinc"),
        Entry("code", "token", dice.choice("abc"), "urn:local"),
        Entry("subject", "reference", person),
        Entry("performer", "reference", dice.choice((person, "Organization/1"))),
        Entry("date", "date", "", "", low, low + dice.randrange(1, 3)),
        Entry("value-quantity", "quantity", "%", "urn:ucum", low, low),
        Entry("pair.1", "quantity", "%", "urn:ucum", low, low, "", 1),
        Entry("pair.0", "token", dice.choice("abc"), "urn:loinc", None, None, "", 1),
    ]
    return [one for one in some if dice.random() < 0.8]


@pytest.mark.parametrize("seed", range(3))
async def test_every_table_agrees_after_groups_of_creates_updates_and_deletions(
    tmp_path, change, as_worker, seed
):
    dice = random.Random(seed)
    backend = open_backend(f"sqlite:{tmp_path / 'hub.sqlite'}")
    stores = backend.store, as_worker(backend).store
    versions = dict.fromkeys("abcdefghij", 0)
    wanted: dict[str, list[Entry]] = {}
    known_parts: dict[Part, Part] = {}

    async def write(name: str) -> None:
        is_deletion = versions[name] > 0 and dice.random() < 0.2
        wanted[name] = [] if is_deletion else entries_of(dice)
        versions[name] += 1
        made = change(
            name,
            *wanted[name],
            resource_type="Observation",
            version_id=versions[name],
            method="DELETE" if is_deletion else None,
        )
        if dice.random() < 0.5:
            parts = [Part(some) for _, some in groupby(wanted[name], itemgetter(0))]
            made = made._replace(entries=Entries([known_parts.setdefault(p, p) for p in parts]))
        await dice.choice(stores).write([made])

    for _ in range(12):
        # all that are waiting at once become groups, of one resource twice too
        await asyncio.gather(*(write(name) for name in dice.choices("abcdefghij", k=8)))
    await backend.close()

    def known(stored: Stored) -> list[Entry]:
        return wanted[stored.logical_id]

    checking = Checking(tmp_path / "hub.sqlite", known, lambda *done: None)
    found = [(one.rule, one.where) for one in checking.findings() if one.rule != "content"]
    checking.close()
    assert found == []


async def test_parts_come_to_what_their_entries_come_to_in_each_file(tmp_path, change, as_worker):
    entries = entries_of(random.Random(19))
    parts = [Part(some) for _, some in groupby(entries, itemgetter(0))]
    tables = []
    for numbered, is_by_part in product((parts, parts[::-1]), (True, False)):
        path = tmp_path / f"{len(tables)}.sqlite"
        backend = open_backend(f"sqlite:{path}")
        # a file numbers the parameters as they come
        await backend.store.write([change("first", *chain(*numbered), resource_type="Observation")])
        for name, store in ("by the hub", backend.store), ("by a worker", as_worker(backend).store):
            said = Entries(parts) if is_by_part else tuple(chain(*parts))
            await store.write([change(name, resource_type="Observation")._replace(entries=said)])
        await backend.close()
        with closing(sqlite3.connect(path)) as opened:
            tables.append([opened.execute(f"SELECT * FROM {one}").fetchall() for one in _TABLES])
    assert tables[0] == tables[1] != tables[2] == tables[3]
