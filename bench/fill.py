"""A big database, made fast: through the hub's own extraction and store, without HTTP.

The file is what `fhir-hub serve` would have written (checked resources excepted: the generator's
are valid), so it is made once and used by many runs.
"""

import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import apsw

from bench.records import Resource, resources
from fhir_hub import fhirjson
from fhir_hub.clock import from_microseconds, instant, microseconds
from fhir_hub.identity.blocks import DERIVED
from fhir_hub.identity.systems import ALIASES
from fhir_hub.r4.definitions import load_definitions
from fhir_hub.repository.indexing import Indexing
from fhir_hub.search.extract import Extractor
from fhir_hub.search.extraction import extraction
from fhir_hub.search.parameters import Parameters
from fhir_hub.store.base import Change, Store
from fhir_hub.store.notes import set_notes
from fhir_hub.store.open import open_backend

ZONE = timezone(timedelta(hours=8))
START = microseconds(datetime(2026, 1, 1, tzinfo=UTC))
_GROUP = 20_000  # resources in one transaction
STEP = 10_000_000  # microseconds from one to the next


def change(resource: Resource, moment: int, extractor: Extractor) -> Change:
    """Return the first version of a resource, with what a search finds it by."""
    meta = {"versionId": "1", "lastUpdated": instant(from_microseconds(moment))}
    head = {"resourceType": resource["resourceType"], "id": resource["id"], "meta": meta}
    # the numbers as FHIR's JSON is read: exact
    stamped = fhirjson.loads(fhirjson.dumps(head | resource))
    entries = extractor.entries(stamped)
    return Change(
        resource["resourceType"],
        resource["id"],
        1,
        moment,
        "POST",
        fhirjson.dumps(stamped),
        entries,
    )


def fill(path: Path, wanted: int, *, is_quiet: bool = False) -> int:
    """Write a new database of about `wanted` resources; return how many there are."""
    return fill_store(f"sqlite:{path}", wanted, is_quiet=is_quiet)


def fill_store(url: str, wanted: int, *, group: int = _GROUP, is_quiet: bool = False) -> int:
    """Write about `wanted` resources into an empty store, `group` at once; return how many."""

    async def work() -> int:
        async with open_backend(url) as backend:
            return await _fill(backend.store, wanted, group, is_quiet=is_quiet)

    return asyncio.run(work())


async def note_made(store: Store) -> None:
    """Say that this program made all entries: the hub that is measured shall make none anew."""
    parameters = Parameters(load_definitions())
    made = extraction(parameters.definitions, ZONE, "", ALIASES)
    indexing = Indexing(store, parameters, Extractor(parameters, ZONE), extraction=made)
    await set_notes(store, indexing.portable({}))


def note_file(path: Path) -> None:
    """Say so in a file."""

    async def work() -> None:
        async with open_backend(f"sqlite:{path}") as backend:
            await note_made(backend.store)

    asyncio.run(work())


async def _fill(store: Store, wanted: int, size: int, *, is_quiet: bool) -> int:
    extractor = Extractor(Parameters(load_definitions()), ZONE, aliases=ALIASES, derived=DERIVED)
    began = time.perf_counter()
    done, group = 0, list[Change]()
    for resource in resources(wanted):
        done += 1
        group.append(change(resource, START + done * STEP, extractor))
        if len(group) == size:
            await store.write(group)
            group = []
            if not is_quiet:
                print(f"{done:,} in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    if group:
        await store.write(group)
    await note_made(store)
    return done


def last_person(path: Path) -> tuple[int, int]:
    """Return how many resources a filled database has, and how many persons."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        rows = connection.execute(
            "SELECT t.name, sum(s.resources) FROM shape s JOIN type t ON t.id = s.type GROUP BY 1"
        )
        counts = {str(name): int(number) for name, number in rows.fetchall()}
    finally:
        connection.close()
    return sum(counts.values()), counts["Patient"]


if __name__ == "__main__":
    fill(Path(sys.argv[1]), int(sys.argv[2]))
