"""The read interaction: the current version of a resource, by its stored bytes.

Spec: https://hl7.org/fhir/R4/http.html#read
"""

from fhir_hub.clock import microseconds
from fhir_hub.rest.defined_here import version_here
from fhir_hub.rest.message import FhirRequest, FhirResponse, parse_http_date, version_headers
from fhir_hub.rest.service import Service
from fhir_hub.rest.subset import Subset, parse_subset
from fhir_hub.store.base import Key, Stored


async def read(request: FhirRequest, service: Service) -> FhirResponse:
    """Return the resource, or 304 if the client's `If-None-Match` or `If-Modified-Since` hold.

    Raises `NotFound`, `Gone`.
    """
    key = Key(service.known_type(request.path[0]), request.path[1])
    subset = parse_subset(request, service.definitions) if request.query else None
    own = await version_here(key, request.base, service)
    stored = own or await service.repository.read(key)
    return respond(request, stored, subset)


def respond(request: FhirRequest, stored: Stored, subset: Subset | None) -> FhirResponse:
    """Return a version of a resource, or 304 if the client has it."""
    headers = version_headers(stored)
    if _is_known(request, stored):
        return FhirResponse(304, b"", headers)
    content = subset.apply(stored.content) if subset else stored.content
    return FhirResponse(200, content, headers, stored.last_updated)


def _is_known(request: FhirRequest, stored: Stored) -> bool:
    """Say whether the client's copy is current.

    Spec: https://hl7.org/fhir/R4/http.html#cread
    """
    if request.headers.get("if-none-match"):
        return request.names_version(stored.version_id)
    if since := request.headers.get("if-modified-since"):
        moment = parse_http_date(since)
        return moment is not None and stored.last_updated // 1_000_000 <= (
            microseconds(moment) // 1_000_000
        )
    return False
