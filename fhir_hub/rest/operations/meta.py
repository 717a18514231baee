"""`$meta`, `$meta-add` and `$meta-delete`: profiles, tags and security labels.

Adding and taking away makes a new version: what a record was labelled, and when, stays known.

Spec: https://hl7.org/fhir/R4/resource-operation-meta.html, -meta-add and -meta-delete
"""

from dataclasses import replace
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidParameter, NotFound, PreconditionFailed
from fhir_hub.repository.unit import Unit, Warned
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer, version_headers
from fhir_hub.rest.operations.inputs import read_inputs, returned
from fhir_hub.rest.preconditions import condition
from fhir_hub.rest.service import Service
from fhir_hub.rest.written import warning_headers
from fhir_hub.search.plan import Has, Or, Query
from fhir_hub.store.base import Key, Stored

Meta = dict[str, Any]

_LABELS = ("profile", "security", "tag")
_MOST = 20_000
_AT_ONCE = 1000
_IN_USE = Or((Has("_profile", "uri"), Has("_security", "token"), Has("_tag", "token")))


async def meta(request: FhirRequest, service: Service) -> FhirResponse:
    """Return the meta of a resource, or the labels in use in a type or the whole store.

    Raises `NotFound`, `Gone`; `PreconditionFailed` if more than 20,000 resources have labels.
    """
    read_inputs(request, "$meta", ("",))
    found = await (_of_instance if len(request.path) > 2 else _in_use)(request, service)
    return answer(200, returned(("return", "valueMeta", found)))


async def _of_instance(request: FhirRequest, service: Service) -> Meta:
    key = Key(service.known_type(request.path[0]), request.path[1])
    if len(request.path) == 3:
        return _meta_of(await service.repository.read(key))
    version = request.path[3]
    if not (version.isascii() and version.isdigit() and len(version) < 16):
        raise NotFound("a version id of this server is a whole number from 1")
    return _meta_of(await service.repository.vread(key, int(version)))


async def _in_use(request: FhirRequest, service: Service) -> Meta:
    """Return the labels in use, sorted."""
    types = (service.known_type(request.path[0]),) if len(request.path) == 2 else ()
    found: dict[str, dict[bytes, Any]] = {name: {} for name in _LABELS}
    query, read = Query(types, _IN_USE, count=_AT_ONCE), 0
    while True:
        page = await service.repository.store.search(query)
        for stored in page.matches:
            for name, values in _labels(_meta_of(stored)).items():
                found[name] |= {fhirjson.canonical(value): value for value in values}
        read += len(page.matches)
        if not page.cursor:
            break
        if read >= _MOST:
            raise PreconditionFailed(f"more than {_MOST} resources have labels: ask type by type")
        query = replace(query, after=page.cursor)
    return {name: [rows[key] for key in sorted(rows)] for name, rows in found.items() if rows}


def _meta_of(stored: Stored) -> Meta:
    resource: dict[str, Meta] = fhirjson.loads(stored.content)
    return resource.get("meta", {})


async def meta_add(request: FhirRequest, service: Service) -> FhirResponse:
    """Add the labels of `meta` that the resource does not have; return its meta.

    Raises `NotFound`, `Gone`, `InvalidResource`, `PreconditionFailed` for a stale `If-Match`.
    """
    return await _change(request, service)


async def meta_delete(request: FhirRequest, service: Service) -> FhirResponse:
    """Take the labels of `meta` from the resource; what it does not have is no error."""
    return await _change(request, service)


def _added(name: str, there: list[Any], asked: list[Any]) -> list[Any]:
    known = {_identity(name, value) for value in there}
    return there + [value for value in asked if _identity(name, value) not in known]


def _without(name: str, there: list[Any], asked: list[Any]) -> list[Any]:
    unwanted = {_identity(name, value) for value in asked}
    return [value for value in there if _identity(name, value) not in unwanted]


def _identity(name: str, value: Any) -> Any:
    """Return what makes two labels the same: a profile's url, a coding's system and code."""
    return value if name == "profile" else (value.get("system"), value.get("code"))


CHANGES = {"$meta-add": _added, "$meta-delete": _without}


async def _change(request: FhirRequest, service: Service) -> FhirResponse:
    async def work(unit: Unit) -> tuple[FhirResponse, list[Warned]]:
        return await stage(request, unit, service), unit.warnings

    answered, warnings = await service.repository.commit(work)
    return replace(answered, headers={**answered.headers, **warning_headers(warnings)})


async def stage(request: FhirRequest, unit: Unit, service: Service) -> FhirResponse:
    """Stage the changed labels in `unit`; return the answer. Raises as `meta_add` does."""
    key = Key(service.known_type(request.path[0]), request.path[1])
    operation = request.path[2]
    asked = _labels(read_inputs(request, operation, ("meta",)).value("meta"))
    if not any(asked.values()):
        raise InvalidParameter(f"{operation} takes meta with a profile, security or tag")
    current = await unit.current(key)
    if current is None or current.is_deleted:
        await service.repository.read(key)  # says which of the two
        raise NotFound("another entry deletes the resource")
    resource = fhirjson.loads(current.content)
    changed = dict(resource.get("meta", {}))
    for name, values in asked.items():
        changed[name] = CHANGES[operation](name, changed.get(name, []), values)
        if not changed[name]:
            del changed[name]
    resource["meta"] = changed
    await unit.update(resource, key.logical_id, condition=condition(request))
    stored = await unit.current(key)
    assert stored is not None
    body = fhirjson.dumps(returned(("return", "valueMeta", _meta_of(stored))))
    return FhirResponse(200, body, version_headers(stored))


def _labels(given: Any) -> dict[str, list[Any]]:
    """Return the labels of a Meta; raises `InvalidParameter` for what is none."""
    meta = given if isinstance(given, dict) else {}
    labels = {name: meta.get(name, []) for name in _LABELS}
    for name, values in labels.items():
        kind: type = str if name == "profile" else dict
        if not isinstance(values, list) or not all(isinstance(one, kind) for one in values):
            raise InvalidParameter(f"meta.{name} is a list as R4 has it in Meta")
    return labels
