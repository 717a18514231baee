"""The vread interaction: one version of a resource.

Spec: https://hl7.org/fhir/R4/http.html#vread
"""

import re

from fhir_hub.errors import NotFound
from fhir_hub.rest.defined_here import version_here
from fhir_hub.rest.message import FhirRequest, FhirResponse
from fhir_hub.rest.read import respond
from fhir_hub.rest.service import Service
from fhir_hub.rest.subset import parse_subset
from fhir_hub.store.base import Key

_is_version = re.compile(r"[1-9][0-9]{0,14}", re.ASCII).fullmatch


async def vread(request: FhirRequest, service: Service) -> FhirResponse:
    """Return the version; raises `NotFound`, and `Gone` for the one that is a deletion."""
    resource_type, logical_id, _, version = request.path
    key = Key(service.known_type(resource_type), logical_id)
    subset = parse_subset(request, service.definitions) if request.query else None
    if not _is_version(version):
        raise NotFound("a version id of this server is a whole number from 1")
    own = await version_here(key, request.base, service) if version == "1" else None
    stored = own or await service.repository.vread(key, int(version))
    return respond(request, stored, subset)
