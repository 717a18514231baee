"""`$diff`: what changed between two versions of a resource, as a FHIRPath Patch.

R4 has no such operation; this one is as other servers have it. Its answer may be sent back as
the body of a PATCH.

Spec: https://hl7.org/fhir/R4/fhirpatch.html
"""

from fhir_hub import fhirjson
from fhir_hub.errors import NotFound
from fhir_hub.r4.difference import difference
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer
from fhir_hub.rest.operations.inputs import read_inputs
from fhir_hub.rest.service import Service
from fhir_hub.store.base import Key

_MOST = 10**15


async def diff(request: FhirRequest, service: Service) -> FhirResponse:
    """Return what changed from `fromVersion` to `toVersion`; not said: with the last version.

    Raises `NotFound` for a version that is not there, `Gone` for one that is a deletion.
    """
    key = Key(service.known_type(request.path[0]), request.path[1])
    inputs = read_inputs(request, "$diff", ("fromVersion", "toVersion"))
    current = await service.repository.store.read(key)
    if current is None:
        raise NotFound(f"{key.resource_type} has no resource with this id")
    to_version = inputs.number("toVersion", current.version_id, _MOST)
    from_version = inputs.number("fromVersion", to_version - 1 or 1, _MOST)
    before = await service.repository.vread(key, from_version)
    after = await service.repository.vread(key, to_version)
    rows = difference(
        fhirjson.loads(before.content), fhirjson.loads(after.content), service.definitions
    )
    return answer(200, {"resourceType": "Parameters"} | ({"parameter": rows} if rows else {}))
