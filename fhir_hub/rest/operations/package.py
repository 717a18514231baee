"""`$package` of a ServiceRequest: a referral as a document for the institution it goes to.

Spec: DOMAIN 2.5a, 2.8; https://hl7.org/fhir/R4/documents.html
"""

from fhir_hub import fhirjson
from fhir_hub.documents.package import package as package_of
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer
from fhir_hub.rest.operations.inputs import only_on, read_inputs
from fhir_hub.rest.operations.summary import archive_of
from fhir_hub.rest.service import Service
from fhir_hub.store.base import Key

ON = ("ServiceRequest",)


async def package(request: FhirRequest, service: Service) -> FhirResponse:
    """Return the package of a referral: a Bundle of the type document.

    Raises `NotFound`, `Gone`, `NotSupported` for what is no referral, `UnknownParameter`.
    """
    only_on(request, service, *ON)
    read_inputs(request, "$package", ("",))
    stored = await service.repository.read(Key("ServiceRequest", request.path[1]))
    order = fhirjson.loads(stored.content)
    return answer(200, await package_of(archive_of(request, service), order))
