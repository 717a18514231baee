"""`$status` and `$reindex` of SearchParameter: may one search by it, and build it anew.

R4 has no such operations; other servers answer them with Parameters as here.

Spec: https://hl7.org/fhir/R4/searchparameter.html
"""

from typing import Any

from fhir_hub import fhirjson
from fhir_hub.errors import NotFound
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer
from fhir_hub.rest.operations.inputs import read_inputs
from fhir_hub.rest.service import Service
from fhir_hub.search.own import OwnParameter, types_of
from fhir_hub.store.base import PARAMETERS, Key

ON = (PARAMETERS,)

Part = dict[str, Any]


async def status(request: FhirRequest, service: Service) -> FhirResponse:
    """Return the state of every active parameter of the site, or of one, whatever its status."""
    read_inputs(request, "$status", ("",))
    return answer(200, await _states(request, service))


async def reindex(request: FhirRequest, service: Service) -> FhirResponse:
    """Have everything of the parameter's types indexed anew, in the background: 202 and `$status`.

    Searches by it go on meanwhile. Raises `NotFound` if it is not active.
    """
    read_inputs(request, "$reindex", ("",))
    states = await _states(request, service)
    own = [one for one in service.parameters.own if one.logical_id == request.path[1]]
    if not own:
        raise NotFound("this parameter is not active: nothing is indexed by it")
    await service.repository.rebuild(types_of(own[0].row, service.definitions))
    return answer(202, states)


async def _states(request: FhirRequest, service: Service) -> dict[str, Any]:
    if request.path[0] not in ON:
        raise NotFound(f"only {PARAMETERS} has this operation")
    own = {one.logical_id: one for one in service.parameters.own}
    if len(request.path) == 2:
        shown = [_active(one, service) for one in own.values()]
    else:
        logical_id = request.path[1]
        stored = await service.repository.read(Key(PARAMETERS, logical_id))
        one = own.get(logical_id)
        shown = [_active(one, service) if one else _other(fhirjson.loads(stored.content), service)]
    parts = [{"name": "parameter", "part": part} for part in shown]
    return {"resourceType": "Parameters"} | ({"parameter": parts} if parts else {})


def _active(one: OwnParameter, service: Service) -> list[Part]:
    percent = service.parameters.progress(one)
    row = one.row
    return [
        {"name": "url", "valueUri": row.url},
        {"name": "code", "valueCode": row.code},
        *({"name": "base", "valueCode": name} for name in row.base),
        {"name": "reference", "valueReference": {"reference": f"{PARAMETERS}/{one.logical_id}"}},
        {"name": "status", "valueCode": "active" if percent == 100 else "building"},
        {"name": "percent", "valueInteger": percent},
    ]


def _other(resource: dict[str, Any], service: Service) -> list[Part]:
    """Return what is said of a parameter that nothing is indexed by."""
    if service.parameters.is_of_r4(resource):
        reason = "it is one of R4's own and works without this resource"
    else:
        reason = f"its status is {resource.get('status')}; with active it would work"
    return [
        {"name": "url", "valueUri": resource["url"]},
        {"name": "code", "valueCode": resource["code"]},
        {"name": "status", "valueCode": "inactive"},
        {"name": "reason", "valueString": reason},
    ]
