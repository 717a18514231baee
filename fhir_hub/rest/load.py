"""A Bundle from a file, stored when a hub starts: the same as if it were posted, all or nothing.

What is loaded obeys the rules of the source `load`; one entry that is refused stops the start.

Spec: https://hl7.org/fhir/R4/http.html#transaction
"""

from dataclasses import replace

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidResource
from fhir_hub.rest.message import FhirRequest
from fhir_hub.rest.service import Service


async def load_bundle(content: bytes, service: Service) -> int:
    """Store a transaction or batch Bundle; return how many entries it had.

    Raises `FhirError`, and `InvalidResource` if an entry of a batch is refused.
    """
    bundle = fhirjson.loads(content)
    loading = replace(service, repository=service.repository.of("load"))
    response = await loading.dispatch(FhirRequest("POST", resource=bundle), loading)
    for entry in fhirjson.loads(response.content).get("entry", ()):
        answered = entry["response"]
        if not answered["status"].startswith("2"):
            said = answered.get("outcome", {}).get("issue", [{}])[0].get("diagnostics", "")
            raise InvalidResource(f"an entry was refused: {answered['status']} {said}")
    return len(bundle.get("entry", ()))
