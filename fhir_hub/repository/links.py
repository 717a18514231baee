"""What `_include` and `_revinclude` add to a page of matches.

Each resource comes once, matches never again. `:iterate` goes on from what was included,
until nothing new is found or a limit says that the query asks for half the store. A canonical
leads to what has its url, of its version if it names one; without one to every version.

Spec: https://hl7.org/fhir/R4/search.html#include
"""

from collections.abc import Iterable, Set
from typing import NamedTuple

from fhir_hub import fhirjson
from fhir_hub.search.extract import Extractor
from fhir_hub.search.include import Include
from fhir_hub.search.plan import URL, Has, Is, Query
from fhir_hub.search.request import SearchRequest
from fhir_hub.store.base import Key, Store, Stored, version_number

_MOST = 5000
_ROUNDS = 10


class Included(NamedTuple):
    """The resources added, and whether there were more than the limit allows."""

    resources: list[Stored]
    is_cut: bool = False


async def include(
    store: Store, extractor: Extractor, request: SearchRequest, matches: list[Stored]
) -> Included:
    """Return what the request's includes add to `matches`, at most 5,000 resources."""
    if not (request.includes or request.revincludes) or not matches:
        return Included([])
    seen = {Key(stored.resource_type, stored.logical_id) for stored in matches}
    added: list[Stored] = []
    fresh, first = matches, True
    for _ in range(_ROUNDS):
        found: list[Stored] = []
        for asked in request.includes:
            if first or asked.iterate:
                found += await _forward(store, extractor, asked, fresh)
        for asked in request.revincludes:
            if first or asked.iterate:
                found += await _reverse(store, extractor, asked, fresh)
        fresh, first = [], False
        for stored in found:
            key = Key(stored.resource_type, stored.logical_id)
            if key not in seen:
                seen.add(key)
                fresh.append(stored)
        if len(added) + len(fresh) > _MOST:
            return Included((added + fresh)[:_MOST], is_cut=True)
        added += fresh
        if not fresh:
            break
    return Included(added)


async def _forward(
    store: Store, extractor: Extractor, asked: Include, sources: Iterable[Stored]
) -> list[Stored]:
    keys: dict[Key, None] = {}
    versions: dict[tuple[Key, int], None] = {}
    canonicals: set[str] = set()
    for stored in sources:
        if asked.resource_type not in ("*", stored.resource_type):
            continue
        resource = fhirjson.loads(stored.content)
        for reference in extractor.references(resource, asked.parameter, with_versions=True):
            resource_type, _, rest = reference.partition("/")
            logical_id, _, version = rest.partition("|")
            if ":" in resource_type:
                canonicals.add(reference)
            elif logical_id and asked.target_type in ("", resource_type):
                key = Key(resource_type, logical_id)
                if version:
                    versions[key, version_number(version)] = None
                else:
                    keys[key] = None
    # R4 search.html#versions: of a versioned reference the version that it names
    named = [await store.vread(key, number) for key, number in versions]
    there = [stored for stored in named if stored is not None and not stored.is_deleted]
    found = [*there, *await store.read_many(keys)]
    return [*found, *await _named(store, canonicals, asked.target_type)]


async def _named(store: Store, canonicals: Set[str], resource_type: str) -> list[Stored]:
    """Return what has the url of a canonical, and its version if it says one."""
    if not canonicals:
        return []
    tests = tuple(Is(url) for url in sorted({one.partition("|")[0] for one in canonicals}))
    types = (resource_type,) if resource_type else ()
    page = await store.search(Query(types, Has(URL, "uri", tests), count=_MOST + 1))
    return [stored for stored in page.matches if not canonicals.isdisjoint(_names(stored))]


def _names(stored: Stored) -> set[str]:
    """Return what a canonical may name a resource by: its url, with its version or without."""
    resource = fhirjson.loads(stored.content)
    url, version = resource.get("url"), resource.get("version")
    return {url, f"{url}|{version}"} if isinstance(url, str) else set()


async def _reverse(
    store: Store, extractor: Extractor, asked: Include, targets: Iterable[Stored]
) -> list[Stored]:
    tests: list[Is] = []
    for stored in targets:
        if asked.target_type in ("", stored.resource_type):
            tests.append(Is(f"{stored.resource_type}/{stored.logical_id}"))
            if extractor.has_url(stored.resource_type):
                parts = [name.partition("|") for name in sorted(_names(stored))]
                tests += [Is(url, version) for url, _, version in parts]
    if not tests:
        return []
    plan = Has(asked.parameter, "reference", tuple(tests))
    page = await store.search(Query((asked.resource_type,), plan, count=_MOST + 1))
    return page.matches
