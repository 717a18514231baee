"""Updates of a group in SQLite: the rows that differ are touched, and all agree afterwards.

Half of them are a worker's, who sends rows where he knows the numbers that stand in them.
"""

import asyncio
import random

import pytest

from fhir_hub.search.entry import Entry
from fhir_hub.store.base import Stored
from fhir_hub.store.open import open_backend
from fhir_hub.store.sqlite.checking import Checking

_PEOPLE = 6


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
