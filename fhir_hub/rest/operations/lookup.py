"""`CodeSystem/$lookup`: what a code means, and `CodeSystem/$subsumes`: how two codes stand.

Spec: https://hl7.org/fhir/R4/codesystem-operation-lookup.html and
codesystem-operation-subsumes.html
"""

from typing import Any

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidParameter
from fhir_hub.r4.terminology import messages
from fhir_hub.r4.terminology.compose import Composer
from fhir_hub.r4.terminology.concepts import CodeSystem, Concept
from fhir_hub.r4.terminology.lookup import lookup as describe
from fhir_hub.r4.terminology.lookup import relation
from fhir_hub.r4.terminology.problems import UnknownTerminology
from fhir_hub.r4.terminology.supplements import require_supplements, supplemented
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer
from fhir_hub.rest.operations.inputs import Inputs, only_on, read_inputs
from fhir_hub.rest.operations.terminology_inputs import (
    SHARED,
    coding_of,
    composer_of,
    languages_of,
)
from fhir_hub.rest.service import Service
from fhir_hub.store.base import Key

ON = ("CodeSystem",)
OF_LOOKUP = ("code", "system", "version", "coding", "property", *SHARED)
OF_SUBSUMES = ("codeA", "codeB", "system", "version", "codingA", "codingB", *SHARED)


async def lookup(request: FhirRequest, service: Service) -> FhirResponse:
    """Return the names, the hierarchy and the properties of a code.

    Raises `UnknownTerminology` if the code or its system is not here, `InvalidParameter`.
    """
    only_on(request, service, *ON)
    inputs = read_inputs(request, "$lookup", OF_LOOKUP)
    composer = await composer_of(inputs, service)
    coding = _coding(inputs, "coding", "code")
    system = await _system(request, service, composer, coding)
    require_supplements(composer.rules.supplements, composer.catalogue)
    system = supplemented(system, composer.rules.supplements, composer.catalogue)
    concept = _concept(system, str(coding.get("code", "")))
    properties = tuple(str(one) for one in inputs.values("property"))
    languages = languages_of(request, inputs, None)
    rows = describe(system, concept, languages, properties)
    return answer(200, {"resourceType": "Parameters", "parameter": rows})


async def subsumes(request: FhirRequest, service: Service) -> FhirResponse:
    """Return whether one code is above the other: equivalent, subsumes, subsumed-by, not-subsumed.

    Raises `UnknownTerminology` if a code or the system is not here, `InvalidParameter`.
    """
    only_on(request, service, *ON)
    inputs = read_inputs(request, "$subsumes", OF_SUBSUMES)
    composer = await composer_of(inputs, service)
    first, second = _coding(inputs, "codingA", "codeA"), _coding(inputs, "codingB", "codeB")
    if first.get("system", "") != second.get("system", ""):
        raise InvalidParameter("$subsumes compares codes of one code system")
    system = await _system(request, service, composer, first)
    codes = [_concept(system, str(one.get("code", ""))).code for one in (first, second)]
    outcome = {"name": "outcome", "valueCode": relation(system, *codes)}
    return answer(200, {"resourceType": "Parameters", "parameter": [outcome]})


def _coding(inputs: Inputs, name: str, code_name: str) -> dict[str, Any]:
    """Return what is asked about, as a Coding."""
    given, code = inputs.value(name), inputs.text(code_name)
    if (given is None) == (not code):
        raise InvalidParameter(f"{inputs.operation} takes {code_name} with system, or {name}")
    if given is not None:
        return coding_of(given, inputs, name)
    return {"system": inputs.text("system"), "version": inputs.text("version"), "code": code}


async def _system(
    request: FhirRequest, service: Service, composer: Composer, coding: dict[str, Any]
) -> CodeSystem:
    url, version = str(coding.get("system", "")), str(coding.get("version", ""))
    if len(request.path) == 3:
        stored = await service.repository.read(Key("CodeSystem", request.path[1]))
        resource = fhirjson.loads(stored.content)
        url, version = str(resource.get("url", "")), str(resource.get("version", ""))
    if not url:
        raise InvalidParameter("name the code system by system")
    version = version or composer.rules.choose(url, "").wanted
    found = composer.catalogue.system(url, version)
    if found.system is None:
        raise UnknownTerminology.of(messages.unknown_system(url, version, found.versions, "system"))
    return found.system


def _concept(system: CodeSystem, code: str) -> Concept:
    concept = system.find(code)
    if concept is None:
        header = system.header
        raise UnknownTerminology.of(messages.unknown_code(code, header.url, header.version, "code"))
    return concept
