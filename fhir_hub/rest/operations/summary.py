"""`$summary` of a Patient: the International Patient Summary, across institutions.

Spec: https://hl7.org/fhir/uv/ips/OperationDefinition-summary.html
"""

from urllib.parse import urlencode

from fhir_hub.documents.archive import Archive
from fhir_hub.documents.people import Person, person_of
from fhir_hub.documents.summary import summary as summary_of
from fhir_hub.errors import InvalidParameter, NotFound, PreconditionFailed
from fhir_hub.rest.criteria import criteria
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer
from fhir_hub.rest.operations.inputs import only_on, read_inputs
from fhir_hub.rest.service import Service
from fhir_hub.search.plan import Query

ON = ("Patient",)
_PROFILES = (
    "http://hl7.org/fhir/uv/ips/StructureDefinition/Bundle-uv-ips",
    "http://hl7.org/fhir/uv/ips/StructureDefinition/Composition-uv-ips",
)
_MOST = 50


async def summary(request: FhirRequest, service: Service) -> FhirResponse:
    """Return the summary of a Patient, by id or by `identifier`: a Bundle of the type document.

    Raises `NotFound`, `Gone`, `PreconditionFailed` if the identifier is of several people,
    `InvalidParameter`, `UnknownParameter`.
    """
    only_on(request, service, *ON)
    is_instance = len(request.path) == 3
    known = ("profile",) if is_instance else ("identifier", "profile")
    inputs = read_inputs(request, "$summary", known)
    profile = inputs.text("profile").partition("|")[0]
    if profile and profile not in _PROFILES:
        raise InvalidParameter(f"$summary: profile is {_PROFILES[0]}, or leave it out")
    archive = archive_of(request, service)
    if is_instance:
        person = await person_of(archive.store, request.path[1])
    else:
        person = await _identified(inputs.text("identifier"), request, service)
    return answer(200, await summary_of(archive, person, service.version))


def archive_of(request: FhirRequest, service: Service) -> Archive:
    """Return what documents are made from."""
    repository = service.repository
    return Archive(
        repository.store,
        service.parameters,
        service.zone,
        request.base,
        repository.clock,
        repository.new_id,
        service.organization,
    )


async def _identified(identifier: str, request: FhirRequest, service: Service) -> Person:
    if not identifier:
        raise InvalidParameter("Patient/$summary needs identifier: system|value")
    plan = criteria("Patient", urlencode({"identifier": identifier}), request.base, service)
    store = service.repository.store
    page = await store.search(Query(("Patient",), plan, count=_MOST))
    people = {}
    for one in page.matches:
        person = await person_of(store, one.logical_id)
        people[person.ids[0]] = person
    if not people:
        raise NotFound("no Patient has this identifier")
    if len(people) > 1:
        raise PreconditionFailed("several Patients have this identifier; ask for one by its id")
    return next(iter(people.values()))
