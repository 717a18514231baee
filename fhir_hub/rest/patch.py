"""The patch interaction: a JSON Patch or a FHIRPath Patch makes the next version.

The patch is applied to the current version inside the unit of work, so two patches at once are
both applied, one after the other. What comes out is checked like any resource.

Spec: https://hl7.org/fhir/R4/http.html#patch
"""

import base64
import binascii
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.errors import (
    CannotApply,
    Gone,
    InvalidResource,
    NotFound,
    PreconditionFailed,
    UnsupportedMediaType,
)
from fhir_hub.r4 import fhirpath_patch, json_patch
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.rest.criteria import criteria, query_text
from fhir_hub.rest.message import JSON_PATCH, FhirRequest, FhirResponse
from fhir_hub.rest.preconditions import condition
from fhir_hub.rest.service import Service
from fhir_hub.rest.written import written
from fhir_hub.store.base import Key, Stored


async def patch(request: FhirRequest, service: Service) -> FhirResponse:
    """Change the resource as the patch says: 200.

    Raises `NotFound`, `Gone`, `PreconditionFailed` for a stale `If-Match`, `InvalidResource` for
    what is no patch or leaves no valid resource, `CannotApply` for a patch that does not fit.
    """
    key = Key(service.known_type(request.path[0]), request.path[1])
    request.require_no_query()

    async def work(unit: Unit) -> tuple[Stored, int, Unit]:
        return await stage(request, service, unit, key), 200, unit

    return written(request, *await service.repository.commit(work))


async def conditional_patch(request: FhirRequest, service: Service) -> FhirResponse:
    """Change the one resource that the query finds: 200; raises `PreconditionFailed` for several.

    Spec: https://hl7.org/fhir/R4/http.html#patch
    """
    resource_type = service.known_type(request.path[0])
    plan = criteria(resource_type, query_text(request), request.base, service)

    async def work(unit: Unit) -> tuple[Stored, int, Unit]:
        found = await unit.find(resource_type, plan)
        if len(found) > 1:
            raise PreconditionFailed(f"the criteria match {len(found)} resources")
        if not found:
            raise NotFound("the criteria match nothing to patch")
        key = Key(resource_type, found[0].logical_id)
        return await stage(request, service, unit, key), 200, unit

    return written(request, *await service.repository.commit(work))


async def stage(
    request: FhirRequest, service: Service, unit: Unit, key: Key, document: Any = None
) -> Stored:
    """Stage the patched resource as the next version of `key`; return it.

    `document` is the patch, if it is not the one in the body.
    """
    current = await unit.current(key)
    if current is None:
        raise NotFound(f"{key.resource_type} has no resource with this id")
    if current.is_deleted:
        raise Gone(f"this {key.resource_type} was deleted in version {current.version_id}")
    before = fhirjson.loads(current.content)
    after = _patched(before, patch_in(request) if document is None else document, service)
    if (after.get("resourceType"), after.get("id")) != (key.resource_type, key.logical_id):
        raise CannotApply("a patch changes neither the type nor the id of a resource")
    wanted = unit.asked(condition(request))
    await unit.update(after, key.logical_id, condition=wanted, method="PATCH")
    stored = await unit.current(key)
    assert stored is not None
    return stored


def _patched(before: Resource, document: Any, service: Service) -> Resource:
    if isinstance(document, list):
        return json_patch.patched(before, document)
    if isinstance(document, dict) and document.get("resourceType") == "Parameters":
        return fhirpath_patch.patched(before, document, service.definitions)
    raise InvalidResource(
        "a patch is a JSON Patch (a list) or a FHIRPath Patch (a Parameters resource)"
    )


def patch_in(request: FhirRequest) -> Any:
    """Return the patch that the body holds; an entry of a bundle has a JSON Patch in a Binary.

    Raises `InvalidResource`, `UnsupportedMediaType`.
    """
    resource = request.resource
    if resource is None:
        if not request.content:
            raise InvalidResource("a patch needs a body")
        document = fhirjson.loads(request.content)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == JSON_PATCH and not isinstance(document, list):
            raise InvalidResource("a JSON Patch is a list of operations")
        return document
    if not isinstance(resource, dict) or resource.get("resourceType") != "Binary":
        return resource
    if resource.get("contentType") != JSON_PATCH:
        raise UnsupportedMediaType(f"the Binary of a patch has the contentType {JSON_PATCH}")
    try:
        return fhirjson.loads(base64.b64decode(str(resource.get("data", "")), validate=True))
    except binascii.Error:
        raise InvalidResource("the data of the Binary is not base64") from None
