"""The answer to a write: status, `Location`, `ETag`, and what `Prefer: return` asks for.

Spec: https://hl7.org/fhir/R4/http.html#ops (Prefer) and #create
"""

from fhir_hub import fhirjson
from fhir_hub.rest.message import FhirRequest, FhirResponse, version_headers
from fhir_hub.store.base import Stored

_DONE = {
    "severity": "information",
    "code": "informational",
    "details": {"text": "Done / 已完成"},
    "diagnostics": "the resource is stored",
}


def written(request: FhirRequest, stored: Stored, status: int) -> FhirResponse:
    """Return the answer to a create (201), an update (200, 201) or a conditional create (200)."""
    place = f"{stored.resource_type}/{stored.logical_id}/_history/{stored.version_id}"
    headers = version_headers(stored)
    headers["Location"] = f"{request.base}/{place}" if request.base else place
    wish = request.prefer("return")
    if wish == "minimal":
        return FhirResponse(status, b"", headers)
    if wish == "OperationOutcome":
        done = fhirjson.dumps({"resourceType": "OperationOutcome", "issue": [_DONE]})
        return FhirResponse(status, done, headers)
    return FhirResponse(status, stored.content, headers)
