"""The delete interaction: a version that says the resource is gone; earlier ones stay.

Spec: https://hl7.org/fhir/R4/http.html#delete
"""

from fhir_hub.repository.unit import Unit
from fhir_hub.rest.message import FhirRequest, FhirResponse, etag
from fhir_hub.rest.service import Service
from fhir_hub.store.base import Key


async def delete(request: FhirRequest, service: Service) -> FhirResponse:
    """Delete the resource: 204, also if there is none (any more)."""
    service.known_type(request.path[0])

    async def work(unit: Unit) -> int:
        return await stage(request, unit)

    return deleted(await service.repository.commit(work))


async def stage(request: FhirRequest, unit: Unit) -> int:
    """Stage the deletion; return the version that says so, 0 if there never was a resource."""
    return await unit.delete(Key(*request.path), if_match=request.if_match())


def deleted(version_id: int) -> FhirResponse:
    """Return the answer to a deletion."""
    return FhirResponse(204, b"", {"ETag": etag(version_id)} if version_id else {})
