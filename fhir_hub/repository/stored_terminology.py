"""The terminology that is stored: CodeSystems, ValueSets and ConceptMaps, usable once written.

A store answers asynchronously and the engine does not wait, so what is stored stands on a shelf
in memory and is brought up to date by what the history says has changed: nothing, usually, which
costs a look at the newest version of each of the three types. That works as well for what
another process has written.

Spec: https://hl7.org/fhir/R4/terminology-service.html
"""

import asyncio
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidResource
from fhir_hub.r4.terminology.canonical import Canonical
from fhir_hub.r4.terminology.concepts import Facts
from fhir_hub.r4.terminology.engine import Terminology, own_terminology
from fhir_hub.r4.terminology.problems import Unanswerable
from fhir_hub.r4.terminology.sources import Shelf
from fhir_hub.search.plan import Query
from fhir_hub.store.base import Key, Store, Stored
from fhir_hub.store.terminology.imported import ImportedSource

MOST_CODES = 50_000  # that a search asks for by one value set or hierarchy
TYPES = ("CodeSystem", "ValueSet", "ConceptMap")
_PAGE = 200


class StoredTerminology:
    """What is stored, as a source: `shelf`. `stamp` changes whenever it does."""

    def __init__(self, store: Store) -> None:
        self.shelf = Shelf()
        self.stamp = 0
        self._store = store
        self._seen: dict[str, int] = {}
        self._resources: dict[Key, dict[str, Any]] = {}
        self._lock = asyncio.Lock()

    async def refresh(self) -> None:
        """Bring the shelf up to date with the store."""
        async with self._lock:
            for resource_type in TYPES:
                await self._refresh(resource_type)

    def value_set(self, logical_id: str) -> dict[str, Any] | None:
        """Return the ValueSet of a logical id, None if there is none."""
        return self._resources.get(Key("ValueSet", logical_id))

    async def _refresh(self, resource_type: str) -> None:
        page = await self._store.history(resource_type, count=1)
        newest = page.matches[0].sequence if page.matches else 0
        seen = self._seen.get(resource_type)
        if newest == seen:
            return
        if seen is None:
            await self._read_all(resource_type)
        else:
            await self._read_since(resource_type, seen)
        # what was written meanwhile is read again the next time: that does no harm
        self._seen[resource_type] = newest

    async def _read_all(self, resource_type: str) -> None:
        cursor = ""
        while True:
            query = Query((resource_type,), count=_PAGE, after=cursor)
            page = await self._store.search(query)
            for stored in page.matches:
                self._put(stored)
            cursor = page.cursor
            if not cursor:
                return

    async def _read_since(self, resource_type: str, seen: int) -> None:
        before, changed = 0, dict[Key, None]()
        while True:
            page = await self._store.history(resource_type, count=_PAGE, before=before)
            newer = [one for one in page.matches if one.sequence > seen]
            changed |= dict.fromkeys(Key(one.resource_type, one.logical_id) for one in newer)
            if not page.cursor or len(newer) < len(page.matches):
                break
            before = int(page.cursor)
        for key in changed:
            self._take_away(key)
        for stored in await self._store.read_many(changed):
            self._put(stored)

    def _put(self, stored: Stored) -> None:
        resource = fhirjson.loads(stored.content)
        self._resources[Key(stored.resource_type, stored.logical_id)] = resource
        self.shelf.add(resource)
        self.stamp += 1

    def _take_away(self, key: Key) -> None:
        resource = self._resources.pop(key, None)
        if resource is None:
            return
        canonical = _canonical(resource)
        self.shelf.remove(key.resource_type, canonical)
        for other, one in self._resources.items():
            if other.resource_type == key.resource_type and _canonical(one) == canonical:
                self.shelf.add(one)
        self.stamp += 1


def hub_terminology(
    store: Store, imported: Path | None, packaged: Iterable[Facts]
) -> tuple[StoredTerminology, Terminology]:
    """Return what is stored of terminology, and all: stored, imported (a file), packaged, R4's."""
    stored, source = StoredTerminology(store), ImportedSource(imported)
    sources = (stored.shelf, source, Shelf(packaged))
    return stored, own_terminology(*sources, stamp=lambda: (stored.stamp, source.stamp()))


class SearchTerms:
    """The codes that a search means by a value set or a hierarchy, of all that is known here."""

    def __init__(self, terminology: Terminology, stored: StoredTerminology, base: str) -> None:
        self._terminology, self._stored, self._base = terminology, stored, base

    def codes(self, value_set: str) -> dict[str, frozenset[str]]:
        """Return system → codes of the value set with a canonical, or of `ValueSet/id`.

        Raises `InvalidResource` if it is not known here, or cannot be listed.
        """
        address = value_set.removeprefix(f"{self._base.rstrip('/')}/")
        if address.startswith("ValueSet/"):
            found = self._stored.value_set(address.removeprefix("ValueSet/"))
            if found is None:
                raise InvalidResource("there is no ValueSet with this id")
        else:
            found = None
        try:
            rows = self._terminology.codes(found or value_set, MOST_CODES)
        except Unanswerable as error:
            raise InvalidResource(str(error)) from None
        by_system: dict[str, set[str]] = {}
        for system, code in rows:
            by_system.setdefault(system, set()).add(code)
        return {system: frozenset(codes) for system, codes in by_system.items()}

    def below(self, system: str, code: str) -> dict[str, frozenset[str]]:
        """Return a code and all below it; raises `InvalidResource` for an unknown system."""
        return self._hierarchy(self._terminology.below(system, code), system)

    def above(self, system: str, code: str) -> dict[str, frozenset[str]]:
        """Return a code and all above it; raises `InvalidResource` for an unknown system."""
        return self._hierarchy(self._terminology.above(system, code), system)

    @staticmethod
    def _hierarchy(codes: Iterable[str] | None, system: str) -> dict[str, frozenset[str]]:
        if codes is None:
            raise InvalidResource(f"the code system {system[:200]} is not known here")
        found = frozenset(islice(codes, MOST_CODES + 1))
        if len(found) > MOST_CODES:
            raise InvalidResource(f"more than {MOST_CODES} codes are meant: too many for a search")
        return {system: found}


def _canonical(resource: dict[str, Any]) -> Canonical:
    return Canonical(str(resource.get("url", "")), str(resource.get("version", "")))
