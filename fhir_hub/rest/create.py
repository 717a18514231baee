"""The create interaction, plain and conditional.

`If-None-Exist` is decided by the same atomic write that creates: of any number of clients that
ask at once, one creates and the others get what it created.

Spec: https://hl7.org/fhir/R4/http.html#create and #ccreate
"""

from fhir_hub.errors import InvalidResource, PreconditionFailed
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.rest.criteria import criteria, if_none_exist
from fhir_hub.rest.message import FhirRequest, FhirResponse
from fhir_hub.rest.service import Service
from fhir_hub.rest.written import written
from fhir_hub.store.base import Stored


async def create(request: FhirRequest, service: Service) -> FhirResponse:
    """Store the body as a new resource: 201; or 200 if `If-None-Exist` finds one.

    An `id` in the body is ignored. Raises `InvalidResource`, `PreconditionFailed`.
    """
    request.require_no_query()
    resource = typed_body(request, service.known_type(request.path[0]))

    async def work(unit: Unit) -> tuple[Stored, int, Unit]:
        return *await stage(request, service, unit, resource), unit

    return written(request, *await service.repository.commit(work))


async def stage(
    request: FhirRequest, service: Service, unit: Unit, resource: Resource, logical_id: str = ""
) -> tuple[Stored, int]:
    """Stage the create in `unit`; return the version and the status, 201 or 200."""
    if query := if_none_exist(request):
        plan = criteria(resource["resourceType"], query, request.base, service)
        found = await unit.find(resource["resourceType"], plan)
        if len(found) > 1:
            raise PreconditionFailed(f"If-None-Exist matches {len(found)} resources")
        if found:
            return found[0], 200
    elif (twin := await unit.twin(resource)) is not None:
        await unit.require_same(twin, resource)
        return twin, 200
    key = unit.create(resource, logical_id)
    stored = await unit.current(key)
    assert stored is not None
    return stored, 201


def typed_body(request: FhirRequest, resource_type: str) -> Resource:
    """Return the body; raises `InvalidResource` if it is not a resource of that type."""
    resource = request.body()
    if resource.get("resourceType") != resource_type:
        raise InvalidResource(
            f"the resourceType of the body must be {resource_type}, as in the address",
            expression="resourceType",
        )
    return resource
