"""The update interaction: a new version of a resource, or its first under a chosen logical id.

Spec: https://hl7.org/fhir/R4/http.html#update
"""

from fhir_hub.errors import InvalidResource, PreconditionFailed, VersionConflict
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.rest.create import typed_body
from fhir_hub.rest.criteria import criteria, query_text
from fhir_hub.rest.message import FhirRequest, FhirResponse
from fhir_hub.rest.preconditions import condition
from fhir_hub.rest.service import Service
from fhir_hub.rest.written import written
from fhir_hub.store.base import Key, Stored


async def update(request: FhirRequest, service: Service) -> FhirResponse:
    """Store the body as the next version: 200, or 201 for the first.

    Raises `PreconditionFailed` for a stale `If-Match`, `InvalidResource`.
    """
    request.require_no_query()
    resource = typed_body(request, service.known_type(request.path[0]))

    async def work(unit: Unit) -> tuple[Stored, int, Unit]:
        return *await stage(request, unit, resource), unit

    return written(request, *await service.repository.commit(work))


async def conditional_update(request: FhirRequest, service: Service) -> FhirResponse:
    """Update the one resource that the query finds, or create it: 200 or 201.

    Raises `PreconditionFailed` if the query finds several, `VersionConflict` if it finds none
    and there is another resource with the id in the body.

    Spec: https://hl7.org/fhir/R4/http.html#cond-update
    """
    resource_type = service.known_type(request.path[0])
    resource = typed_body(request, resource_type)
    plan = criteria(resource_type, query_text(request), request.base, service)

    async def work(unit: Unit) -> tuple[Stored, int, Unit]:
        found = await unit.find(resource_type, plan)
        if len(found) > 1:
            raise PreconditionFailed(f"the criteria match {len(found)} resources")
        logical_id = chosen_id(resource, found)
        if logical_id and not found:
            await require_none(unit, Key(resource_type, logical_id))
        key = Key(resource_type, logical_id or service.repository.new_id())
        return *await stage_as(request, unit, resource, key), unit

    return written(request, *await service.repository.commit(work))


def chosen_id(resource: Resource, found: list[Stored]) -> str:
    """Return the logical id that a conditional update writes, `""` for a new one.

    Raises `InvalidResource` if the body's id is not that of the resource found.
    """
    given = resource.get("id", "")
    if not found:
        return given if isinstance(given, str) else ""
    if given and given != found[0].logical_id:
        raise InvalidResource(
            "the criteria find a resource with another id than the body has",
            expression=f"{resource['resourceType']}.id",
        )
    return found[0].logical_id


async def require_none(unit: Unit, key: Key) -> None:
    """Raise `VersionConflict` if there is a resource: criteria that find none do not mean it."""
    there = await unit.current(key)
    if there is not None and not there.is_deleted:
        raise VersionConflict(
            "the criteria find nothing, and the id in the body is that of another resource",
            expression=f"{key.resource_type}.id",
        )


async def stage(request: FhirRequest, unit: Unit, resource: Resource) -> tuple[Stored, int]:
    """Stage the update in `unit`; return the version and the status, 200 or 201."""
    key = Key(*request.path)
    require_id(resource, key)
    return await stage_as(request, unit, resource, key)


def require_id(resource: Resource, key: Key) -> None:
    """Raise `InvalidResource` unless the body has the id that the address has.

    Spec: https://hl7.org/fhir/R4/http.html#update
    """
    if resource.get("id") != key.logical_id:
        raise InvalidResource(
            "the body must have the id that the address has", expression=f"{key.resource_type}.id"
        )


async def stage_as(
    request: FhirRequest, unit: Unit, resource: Resource, key: Key
) -> tuple[Stored, int]:
    """Stage `resource` as the next version of `key`; return the version and the status.

    Raises `PreconditionFailed` if `If-None-Match` names what is there (`*`: anything).
    """
    if request.headers.get("if-none-match"):
        there = await unit.current(key)
        if there is not None and not there.is_deleted and request.names_version(there.version_id):
            raise PreconditionFailed("If-None-Match names what is there already")
    is_new = await unit.update(resource, key.logical_id, condition=unit.asked(condition(request)))
    stored = await unit.current(key)
    assert stored is not None
    return stored, 201 if is_new else 200
