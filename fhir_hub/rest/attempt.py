"""One entry of a bundle, tried: its error is its answer, and the others go on.

Spec: https://hl7.org/fhir/R4/http.html#transaction-response
"""

from dataclasses import replace

from fhir_hub import fhirjson
from fhir_hub.errors import FhirError, InvalidResource, outcome
from fhir_hub.rest.message import FhirRequest, FhirResponse
from fhir_hub.rest.service import Service


async def attempt(request: FhirRequest, service: Service) -> FhirResponse:
    """Answer a request; an error that a client may see becomes its OperationOutcome."""
    try:
        if not request.path and request.method == "POST":
            raise InvalidResource("a Bundle in a Bundle is not processed")
        if request.method == "HEAD":
            answer = await service.dispatch(replace(request, method="GET"), service)
            return replace(answer, content=b"")
        return await service.dispatch(request, service)
    except FhirError as error:
        status, resource = outcome(error)
        return FhirResponse(status, fhirjson.dumps(resource))
