"""The capabilities interaction: what this server does, generated from what it does.

Interactions come from the route table, search parameters from the compiled definitions: what
is not there is not said, and what is there cannot be forgotten.

Spec: https://hl7.org/fhir/R4/http.html#capabilities and capabilitystatement.html
"""

from collections.abc import Iterable
from typing import Any
from zlib import crc32

from fhir_hub import fhirjson
from fhir_hub.clock import instant
from fhir_hub.errors import InvalidParameter
from fhir_hub.rest.message import JSON_PATCH, FhirRequest, FhirResponse
from fhir_hub.rest.service import Operation, Service
from fhir_hub.rest.subset import parse_subset
from fhir_hub.rest.terminology_capabilities import terminology_statement
from fhir_hub.search.parameter import Parameter

_ON_TYPES = {
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
}
_EVERYWHERE = (
    "Every address takes _format and _pretty; reads, histories, searches and metadata take"
    " _summary and _elements; histories take _count, _since and _at. PATCH, PUT and DELETE take"
    " criteria (conditional patch, update, delete). If-Match, If-Unmodified-Since, If-None-Match,"
    " If-Modified-Since, If-None-Exist and Prefer (return, handling) are read."
)
MODES = ("full", "normative", "terminology")
_COMPARTMENT = "http://hl7.org/fhir/CompartmentDefinition/"
_ON_SYSTEM = {"transaction", "search-system", "history-system"}


async def capabilities(request: FhirRequest, service: Service) -> FhirResponse:
    """Return the CapabilityStatement, for `mode=terminology` the TerminologyCapabilities.

    `_summary` and `_elements` choose parts of it. Raises `InvalidParameter` for another mode.

    Spec: https://hl7.org/fhir/R4/http.html#capabilities
    """
    mode = dict(request.query).get("mode", "full")
    if mode not in MODES:
        raise InvalidParameter(f"mode is one of {', '.join(MODES)}")
    name = "TerminologyCapabilities" if mode == "terminology" else "CapabilityStatement"
    subset = parse_subset(request, service.definitions, name, also="mode")
    if mode == "terminology":
        shown = await terminology_statement(request.base, service)
    else:
        shown = statement(request.base, service)
    content = fhirjson.dumps(subset.reduce(shown) if subset else shown)
    # it has no version: the tag is that of its bytes
    headers = {"ETag": f'W/"{crc32(content):08x}"'}
    known = request.headers.get("if-none-match", "").split(",")
    if headers["ETag"] in map(str.strip, known):
        return FhirResponse(304, b"", headers)
    return FhirResponse(200, content, headers)


def statement(base: str, service: Service) -> dict[str, Any]:
    """Return the CapabilityStatement of a server at `base`."""
    on_types = [{"code": name} for name in service.interactions if name in _ON_TYPES]
    on_system = [{"code": name} for name in service.interactions if name in _ON_SYSTEM]
    types = sorted(service.definitions.resource_types)
    referring = _referring(types, service)
    rest: dict[str, Any] = {
        "mode": "server",
        "documentation": _EVERYWHERE,
        "resource": [_resource(name, on_types, referring[name], base, service) for name in types],
        "interaction": [*on_system, {"code": "batch"}],
        "compartment": [
            f"{_COMPARTMENT}{name.lower()}" for name in service.definitions.compartments
        ],
    }
    if shown := [_operation(one, base) for one in service.operations if one.is_of_system]:
        rest["operation"] = shown
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant(service.started),
        **_published_by(service),
        "kind": "instance",
        "software": {"name": "fhir-hub", "version": service.version},
        "implementation": {"description": "fhir-hub", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "application/fhir+xml", "json", "xml"],
        "patchFormat": [JSON_PATCH, "application/fhir+json", "application/fhir+xml"],
        "rest": [rest],
    }


def _published_by(service: Service) -> dict[str, Any]:
    """Return who runs the server and how to reach it, as far as the settings say."""
    organization = service.organization or {}
    shown = {"publisher": organization["name"]} if "name" in organization else {}
    if "telecom" in organization:
        shown["contact"] = [{"telecom": organization["telecom"]}]
    return shown


def _resource(
    name: str, interactions: list[dict[str, str]], referring: list[str], base: str, service: Service
) -> dict[str, Any]:
    parameters = service.parameters.of(name).values()
    references = sorted(f"{name}:{p.code}" for p in parameters if p.kind == "reference")
    is_enforced = service.repository.reference_policy == "enforce"
    shown: dict[str, Any] = {
        "type": name,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{name}",
        **_profiles(name, service),
        "interaction": interactions,
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": "multiple",
        "referencePolicy": ["literal", "logical", *(["enforced"] if is_enforced else [])],
        "searchInclude": ["*", *references],
        "searchRevInclude": ["*", *referring],
    }
    shown["searchParam"] = sorted(
        (_parameter(name, p, service) for p in parameters), key=lambda row: row["name"]
    )
    operations = [
        _operation(one, base, name)
        for one in service.operations
        if (one.is_of_type or one.is_of_instance) and name in (one.resource_types or (name,))
    ]
    if operations:
        shown["operation"] = operations
    return shown


def _profiles(name: str, service: Service) -> dict[str, list[str]]:
    """Return the profiles of a type that packages define: what a resource may claim to keep."""
    known = [
        each["url"]
        for each in service.profiles.all("StructureDefinition")
        if each.get("type") == name and each.get("url") and not each.get("abstract")
    ]
    return {"supportedProfile": sorted(known)} if known else {}


def _parameter(resource_type: str, parameter: Parameter, service: Service) -> dict[str, str]:
    shown = {
        "name": parameter.code,
        "type": "string" if parameter.kind == "text" else parameter.kind,
    }
    url = service.parameters.own_definition(resource_type, parameter.code)
    told = {"documentation": f"FHIRPath: {parameter.expression}"} if parameter.expression else {}
    return shown | ({"definition": url} if url else {}) | told


def _referring(types: Iterable[str], service: Service) -> dict[str, list[str]]:
    """Return for each type the parameters, as `Type:parameter`, that may lead to it."""
    found: dict[str, list[str]] = {name: [] for name in types}
    for other in found:
        for parameter in service.parameters.of(other).values():
            if parameter.kind == "reference":
                for target in parameter.targets:
                    found[target].append(f"{other}:{parameter.code}")
    return {name: sorted(set(values)) for name, values in found.items()}


def _operation(operation: Operation, base: str, resource_type: str = "") -> dict[str, str]:
    name, definition = operation.name.removeprefix("$"), operation.definition
    if "://" not in definition:
        definition = f"{base}/{definition}"
    elif resource_type in operation.resource_types[1:]:
        # R4 defines an operation of several types for each of them
        definition = definition.replace(f"{operation.resource_types[0]}-", f"{resource_type}-")
    return {"name": name, "definition": definition}
