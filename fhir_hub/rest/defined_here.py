"""OperationDefinitions of the hub's own among those that are stored: read, searched, paged alike.

They are in no store, because they say at which address the hub is asked. A search therefore
merges two lists that are in the same order: ours, which are few and do not change while the hub
runs, and the pages of the store. Where both are alike, ours come first. A stored one of the same
id takes the place of ours, a deleted one too.

Spec: https://hl7.org/fhir/R4/operationdefinition.html
"""

from dataclasses import replace
from typing import NamedTuple

from fhir_hub.errors import InvalidParameter
from fhir_hub.repository.links import Included
from fhir_hub.rest.operation_definitions import RESOURCE_TYPE, TOLD, defined
from fhir_hub.rest.service import Service
from fhir_hub.search.plan import EVERYTHING, Query
from fhir_hub.search.request import SearchRequest
from fhir_hub.store.base import Change, Key, Page, Stored
from fhir_hub.store.cursor import check_of
from fhir_hub.store.memory.store import open_memory

_END = "-"  # in a cursor: the store has no more


class _Place(NamedTuple):
    """Where a page begins: how many of ours came before it, and the store's own cursor."""

    ours: int = 0
    stored: str = ""


async def version_here(key: Key, base: str, service: Service) -> Stored | None:
    """Return the one version of a definition of ours, None if none has this id or one is stored."""
    if key.resource_type != RESOURCE_TYPE or await service.repository.store.read(key) is not None:
        return None
    return defined(key, base, service)


async def search(request: SearchRequest, base: str, service: Service) -> tuple[Page, Included]:
    """Return a page of OperationDefinitions, and what is included."""
    repository, query = service.repository, request.query
    place = _read(query)
    ours = await _matching(await _ours(base, service), query, service)
    rest = ours[place.ours :]
    found = Page([])
    if place.stored != _END:
        found = await repository.store.search(replace(query, after=place.stored))
    merged = (await _in_order([*rest, *found.matches], query, service))[: max(query.count, 0)]
    mine = sum(stored in rest for stored in merged)
    after = await _after(query, place.stored, found, len(merged) - mine, service)
    is_last = mine == len(rest) and after == _END
    cursor = f"{check_of(query)}.{place.ours + mine}.{after}"
    total = found.total
    if query.with_total and place.stored == _END:
        total = (await repository.store.search(replace(query, count=0, after=""))).total
    total = None if total is None else total + len(ours)
    page = Page(merged, "" if is_last or not merged else cursor, total)
    return page, await repository.included(request, page.matches)


async def _ours(base: str, service: Service) -> list[Stored]:
    keys = {
        Key(RESOURCE_TYPE, one.definition.partition("/")[2])
        for one in service.operations
        if one.name in TOLD
    }
    found = [await version_here(key, base, service) for key in sorted(keys)]
    return [stored for stored in found if stored is not None]


async def _matching(ours: list[Stored], query: Query, service: Service) -> list[Stored]:
    """Return those that meet the query, in its order."""
    asked = replace(query, count=len(ours), after="", with_total=False)
    return await _searched(ours, asked, service)


async def _in_order(both: list[Stored], query: Query, service: Service) -> list[Stored]:
    """Return what meets the query in its order; those that come first stay before their like."""
    asked = replace(query, plan=EVERYTHING, count=len(both), after="", with_total=False)
    return await _searched(both, asked, service)


async def _searched(listed: list[Stored], query: Query, service: Service) -> list[Stored]:
    store, _ = open_memory()
    known = {stored.logical_id: stored for stored in listed}
    await store.write(
        [
            Change(*stored[:2], 1, stored.last_updated, "PUT", b"", entries)
            for stored in listed
            for entries in (tuple(service.repository.entries(stored)),)
        ]
    )
    page = await store.search(query)
    return [known[stored.logical_id] for stored in page.matches]


async def _after(query: Query, before: str, found: Page, taken: int, service: Service) -> str:
    """Return the store's cursor behind the first `taken` of a page of it that began at `before`."""
    if taken == len(found.matches):
        return found.cursor or (before if query.count < 1 else _END)
    if not taken:
        return before
    asked = replace(query, count=taken, after=before, with_total=False)
    return (await service.repository.store.search(asked)).cursor


def _read(query: Query) -> _Place:
    if not query.after:
        return _Place()
    check, _, rest = query.after.partition(".")
    ours, dot, stored = rest.partition(".")
    if not dot or not (ours.isascii() and ours.isdigit() and len(ours) < 6):
        raise InvalidParameter("the page cursor cannot be read")
    if check != str(check_of(query)):
        raise InvalidParameter("the page cursor belongs to another search")
    return _Place(int(ours), stored)
