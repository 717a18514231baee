"""The history interactions: of one resource, of one type, of all.

Versions come newest first, in the one commit order of the store, which has no gaps: a client
that follows the links sees every version once.

Spec: https://hl7.org/fhir/R4/http.html#history
"""

from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import Any, NamedTuple

import msgspec

from fhir_hub.clock import from_microseconds, instant
from fhir_hub.errors import InvalidParameter, InvalidResource, NotFound
from fhir_hub.r4.dates import date_interval
from fhir_hub.rest.defined_here import version_here
from fhir_hub.rest.links import CURSOR, full_url, page_links
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer, etag
from fhir_hub.rest.service import Service
from fhir_hub.rest.subset import Subset, listed, subset
from fhir_hub.search.kinds.values import prefixed
from fhir_hub.store.base import Key, Page, Stored

PARAMETERS = ("_count", "_since", "_at", "_summary", "_elements")
_EVER = 2**62  # microseconds: before and after every date of R4
_PERIODS: Mapping[str, Callable[[int, int], tuple[int, int]]] = {
    "eq": lambda start, end: (start, end),
    "ge": lambda start, end: (start, _EVER),
    "gt": lambda start, end: (end, _EVER),
    "sa": lambda start, end: (end, _EVER),
    "le": lambda start, end: (-_EVER, end),
    "lt": lambda start, end: (-_EVER, start),
    "eb": lambda start, end: (-_EVER, start),
}


class _Asked(NamedTuple):
    """What a history asks for: times in microseconds; 0 and None for what is absent.

    `at` is the first and the last microsecond of a period. `is_counted`: only the number of
    versions, not themselves.
    """

    most: int
    since: int
    at: tuple[int, int] | None
    before: int
    part: Subset | None
    is_counted: bool


async def history(request: FhirRequest, service: Service) -> FhirResponse:
    """Return a page of versions as a bundle; raises `NotFound` if there never was a resource."""
    resource_type = logical_id = ""
    own = None
    if len(request.path) > 1:
        resource_type = service.known_type(request.path[0])
    if len(request.path) > 2:
        logical_id = request.path[1]
        key = Key(resource_type, logical_id)
        own = await version_here(key, request.base, service)
        if own is None and await service.repository.store.read(key) is None:
            raise NotFound(f"{resource_type} has no resource with this id")
    asked = _parameters(request, service)
    page = await service.repository.store.history(
        resource_type,
        logical_id,
        count=asked.most,
        before=asked.before,
        since=asked.since,
        at=asked.at,
        with_total=bool(logical_id) or asked.is_counted,
    )
    if own is not None:
        page = _of_one(own, asked)
    if asked.is_counted:
        page = Page([], "", page.total)
    return answer(200, _bundle(request, page, asked.part))


def _of_one(version: Stored, asked: _Asked) -> Page:
    """Return the page of a history of one version."""
    moment = version.last_updated
    is_meant = moment >= asked.since and (asked.at is None or moment <= asked.at[1])
    return Page([version] if is_meant and not asked.before else [], "", int(is_meant))


def _parameters(request: FhirRequest, service: Service) -> _Asked:
    """Return what the address asks for; R4 http.html#history: each parameter stands once."""
    request.require_no_query((*PARAMETERS, CURSOR))
    asked = dict(request.query)
    if len(asked) < len(request.query):
        raise InvalidParameter("each parameter of a history stands once")
    count = _number("_count", asked.get("_count", str(service.page_size)))
    summary = asked.get("_summary", "")
    return _Asked(
        min(count, service.max_page_size) or 1,
        _interval("_since", asked["_since"], service.zone)[0] if "_since" in asked else 0,
        _period(asked["_at"], service.zone) if "_at" in asked else None,
        _number(CURSOR, asked.get(CURSOR, "0")),
        subset(summary, listed(asked.get("_elements", "")), service.definitions),
        is_counted=summary == "count" or not count,
    )


def _period(text: str, zone: tzinfo) -> tuple[int, int]:
    """Return the first and the last microsecond of the period that `_at` names.

    A prefix opens it as it does in a search: `ge2024` is from 2024 on, `gt2024` what comes after
    it. Raises `InvalidParameter` for one that names no period.

    Spec: https://hl7.org/fhir/R4/http.html#history, search.html#prefix
    """
    prefix, rest = prefixed(text)
    if prefix not in _PERIODS:
        known = ", ".join(_PERIODS)
        raise InvalidParameter(f"_at is one period: it takes the prefixes {known}")
    start, end = _PERIODS[prefix](*_interval("_at", rest, zone))
    return start, end - 1


def _interval(name: str, text: str, zone: tzinfo) -> tuple[int, int]:
    """Return what a time of the parameter `name` covers; raises `InvalidParameter` if it is none.

    An offset's `+` may have arrived as a blank, because nothing encoded it.
    """
    try:
        return date_interval(text.replace(" ", "+"), zone)
    except InvalidResource as error:
        raise InvalidParameter(f"{name}: {error}") from None


def _number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 16):
        raise InvalidParameter(f"{name} must be a whole number from 0")
    return int(value)


def _bundle(request: FhirRequest, page: Page, part: Subset | None) -> dict[str, Any]:
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
        bundle["entry"] = [_entry(request.base, stored, part) for stored in page.matches]
    return bundle


def _entry(base: str, stored: Stored, part: Subset | None) -> dict[str, Any]:
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
        entry["resource"] = msgspec.Raw(part.apply(stored.content) if part else stored.content)
    return entry
