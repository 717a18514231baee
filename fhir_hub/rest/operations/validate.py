"""`$validate`: whether the server would take a resource, or let one go, and why not.

The answer is an OperationOutcome and its status 200, whatever it says: the validation worked.

Spec: https://hl7.org/fhir/R4/resource-operation-validate.html
"""

from typing import Any

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidParameter, Issue, outcome_of
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer
from fhir_hub.rest.operations.inputs import Inputs, read_inputs
from fhir_hub.rest.service import Service
from fhir_hub.store.base import Key

MODES = ("create", "update", "delete", "profile")
_FINE = Issue("informational", "no problem found", "", "information", "未发现问题")


async def validate(request: FhirRequest, service: Service) -> FhirResponse:
    """Return what is wrong with the resource in the body, or with the one of the address.

    `mode` is create, update, delete or profile; `profile` names the profile to hold it against.
    Raises `InvalidParameter` for a mode that does not fit the address, `NotFound`, `Gone`.
    """
    resource_type = service.known_type(request.path[0])
    logical_id = request.path[1] if len(request.path) == 3 else ""
    inputs = read_inputs(request, "$validate", ("resource", "mode", "profile"), bare="resource")
    mode = inputs.text("mode")
    if mode and mode not in MODES:
        raise InvalidParameter(f"$validate: mode is one of {', '.join(MODES)}")
    if mode in ("update", "delete", "profile") and not logical_id:
        raise InvalidParameter(f"$validate: mode {mode} is for Type/id/$validate")
    if logical_id and mode != "update":
        stored = await service.repository.read(Key(resource_type, logical_id))
        if mode == "delete":
            held = await service.repository.deletion_issues(Key(resource_type, logical_id))
            return answer(200, outcome_of(held or [_FINE]))
        resource = inputs.resource("resource") or fhirjson.loads(stored.content)
    else:
        resource = _resource(inputs)
    profile = inputs.text("profile")
    issues = service.checks.check_profiles(resource, [profile] if profile else [])
    issues += service.checks.advised_codes(resource)
    issues += service.site_rules.check(resource, ("rest",))
    issues += _about_address(resource, resource_type, logical_id if mode == "update" else "")
    return answer(200, outcome_of(issues or [_FINE]))


def _resource(inputs: Inputs) -> dict[str, Any]:
    resource = inputs.resource("resource")
    if resource is None:
        raise InvalidParameter("$validate needs a resource: as the body, or in Parameters")
    return resource


def _about_address(resource: dict[str, Any], resource_type: str, logical_id: str) -> list[Issue]:
    issues = []
    if resource.get("resourceType") != resource_type:
        text = f"the resourceType must be {resource_type}, as in the address"
        chinese = f"resourceType 应为 {resource_type}，与地址一致"
        issues.append(Issue("invalid", text, "resourceType", chinese=chinese))
    if logical_id and resource.get("id") != logical_id:
        # http.html#update: the body of an update has the id of its address
        text, chinese = "an update needs the id that the address has", "更新时 id 应与地址一致"
        issues.append(Issue("invalid", text, f"{resource_type}.id", chinese=chinese))
    return issues
