"""The history interactions: of one resource, of one type, of all.

Versions come newest first, in the one commit order of the store, which has no gaps: a client
that follows the links sees every version once.

Spec: https://hl7.org/fhir/R4/http.html#history
"""

from typing import Any

import msgspec

from fhir_hub.clock import from_microseconds, instant
from fhir_hub.errors import InvalidParameter, NotFound, UnknownParameter
from fhir_hub.r4.dates import date_interval
from fhir_hub.rest.links import CURSOR, full_url, page_links
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer, etag
from fhir_hub.rest.service import Service
from fhir_hub.store.base import Key, Page, Stored

PARAMETERS = ("_count", "_since", "_at", CURSOR)


async def history(request: FhirRequest, service: Service) -> FhirResponse:
    """Return a page of versions as a bundle; raises `NotFound` if there never was a resource."""
    resource_type = logical_id = ""
    if len(request.path) > 1:
        resource_type = service.known_type(request.path[0])
    if len(request.path) > 2:
        logical_id = request.path[1]
        if await service.repository.store.read(Key(resource_type, logical_id)) is None:
            raise NotFound(f"{resource_type} has no resource with this id")
    count, since, at, before = _parameters(request, service)
    page = await service.repository.store.history(
        resource_type,
        logical_id,
        count=count,
        before=before,
        since=since,
        at=at,
        with_total=bool(logical_id),
    )
    return answer(200, _bundle(request, page))


def _parameters(request: FhirRequest, service: Service) -> tuple[int, int, int, int]:
    """Return `_count`, `_since`, `_at` (microseconds) and the cursor, 0 for what is absent."""
    count, since, at, before = service.page_size, 0, 0, 0
    for name, value in request.query:
        if name == "_count":
            count = min(_number(name, value), service.max_page_size) or service.page_size
        elif name == "_since":
            since = date_interval(value, service.zone).start
        elif name == "_at":
            at = date_interval(value, service.zone).end - 1
        elif name == CURSOR:
            before = _number(name, value)
        else:
            known = ", ".join(PARAMETERS[:3])
            raise UnknownParameter(f"a history takes {known}, not {name[:60]!r}")
    return count, since, at, before


def _number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 16):
        raise InvalidParameter(f"{name} must be a whole number from 0")
    return int(value)


def _bundle(request: FhirRequest, page: Page) -> dict[str, Any]:
    pairs = tuple(pair for pair in request.query if pair[0] != CURSOR)
    here = dict(request.query).get(CURSOR, "")
    path = "/".join(request.path)
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "history",
        "link": page_links(request.base, path, pairs, here, page.cursor),
    }
    if page.total is not None:
        bundle["total"] = page.total
    if page.matches:
        bundle["entry"] = [_entry(request.base, stored) for stored in page.matches]
    return bundle


def _entry(base: str, stored: Stored) -> dict[str, Any]:
    place = f"{stored.resource_type}/{stored.logical_id}"
    status = {"POST": "201", "DELETE": "204"}.get(stored.method, "200")
    entry: dict[str, Any] = {
        "fullUrl": full_url(base, stored.resource_type, stored.logical_id),
        "request": {
            "method": stored.method,
            "url": stored.resource_type if stored.method == "POST" else place,
        },
        "response": {
            "status": "201" if stored.version_id == 1 else status,
            "etag": etag(stored.version_id),
            "lastModified": instant(from_microseconds(stored.last_updated)),
        },
    }
    if not stored.is_deleted:
        entry["resource"] = msgspec.Raw(stored.content)
    return entry
