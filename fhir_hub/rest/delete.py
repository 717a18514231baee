"""The delete interaction: a version that says the resource is gone; earlier ones stay.

Spec: https://hl7.org/fhir/R4/http.html#delete
"""

from collections.abc import Iterable

from fhir_hub.errors import PreconditionFailed
from fhir_hub.repository.unit import Unit, Warned
from fhir_hub.rest.criteria import criteria, query_text
from fhir_hub.rest.message import FhirRequest, FhirResponse, etag
from fhir_hub.rest.preconditions import condition
from fhir_hub.rest.service import Service
from fhir_hub.rest.written import warning_headers
from fhir_hub.search.plan import Plan
from fhir_hub.store.base import Key

MOST = 1000


async def delete(request: FhirRequest, service: Service) -> FhirResponse:
    """Delete the resource: 204, also if there is none (any more)."""
    service.known_type(request.path[0])
    request.require_no_query()

    async def work(unit: Unit) -> tuple[int, list[Warned]]:
        return await stage(request, unit), unit.warnings

    return deleted(*await service.repository.commit(work))


async def conditional_delete(request: FhirRequest, service: Service) -> FhirResponse:
    """Delete what the query finds, one or several, all or none: 204, also if that is nothing.

    Raises `PreconditionFailed` for more than 1,000, or for several with an `If-Match`.

    Spec: https://hl7.org/fhir/R4/http.html#3.1.0.7.1
    """
    resource_type = service.known_type(request.path[0])
    plan = criteria(resource_type, query_text(request), request.base, service)

    async def work(unit: Unit) -> tuple[int, list[Warned]]:
        keys = await doomed(request, unit, resource_type, plan)
        return await stage_all(request, unit, keys), unit.warnings

    return deleted(*await service.repository.commit(work))


async def doomed(request: FhirRequest, unit: Unit, resource_type: str, plan: Plan) -> list[Key]:
    """Return what a conditional delete is about; raises `PreconditionFailed`."""
    found = await unit.find(resource_type, plan)
    if len(found) > MOST or (len(found) > 1 and condition(request) is not None):
        raise PreconditionFailed(f"the criteria match {len(found)} resources")
    return [Key(resource_type, stored.logical_id) for stored in found]


async def stage_all(request: FhirRequest, unit: Unit, keys: list[Key]) -> int:
    """Stage the deletions; return the version of the only one, else 0."""
    versions = [await unit.delete(key, condition=condition(request)) for key in keys]
    return versions[0] if len(versions) == 1 else 0


async def stage(request: FhirRequest, unit: Unit) -> int:
    """Stage the deletion; return the version that says so, 0 if there never was a resource."""
    return await unit.delete(Key(*request.path), condition=condition(request))


def deleted(version_id: int, warnings: Iterable[Warned] = ()) -> FhirResponse:
    """Return the answer to a deletion."""
    headers = {"ETag": etag(version_id)} if version_id else {}
    return FhirResponse(204, b"", headers | warning_headers(warnings))
