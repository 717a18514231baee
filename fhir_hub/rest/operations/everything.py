"""`$everything` of a Patient or an Encounter: its compartment, and what that refers to.

Pages go through the types of the compartment one after the other; the cursor says the type and
the place in it, so a page costs what it shows. What the members refer to (institutions, doctors,
drugs) comes with the page that refers to it. What is another patient's does not come, though a
Provenance may refer to it, but for the records that the Patient itself links.

Spec: https://hl7.org/fhir/R4/patient-operation-everything.html, encounter-operation-everything.html
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import msgspec

from fhir_hub.errors import InvalidParameter
from fhir_hub.r4.dates import date_interval
from fhir_hub.r4.references import parse_reference
from fhir_hub.rest.links import CURSOR, full_url, page_links
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer
from fhir_hub.rest.operations.inputs import Inputs, only_on, read_inputs
from fhir_hub.rest.service import Service
from fhir_hub.search.advice import no_type
from fhir_hub.search.compartment import compartment_plan
from fhir_hub.search.plan import EVERYTHING, And, Compare, Has, Not, Or, Plan, Query, Range
from fhir_hub.store.base import Key, Stored

ON = ("Patient", "Encounter")
_NAMES = {
    "Patient": ("start", "end", "_since", "_type", "_count", CURSOR),
    "Encounter": ("_since", "_type", "_count", CURSOR),
}
# when care took place: the first of these that a type has
_CARE_DATES = (
    "date",
    "occurrence",
    "onset-date",
    "recorded-date",
    "authoredon",
    "authored",
    "effective-time",
    "effective",
    "period",
    "performed",
    "started",
    "whenhandedover",
    "created",
    "sent",
    "collected",
)


# stored content is compact JSON of our own: this finds every literal reference, and no more
_REFERENCE = re.compile(rb'"reference":"([^"\\#][^"\\]*)"')


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked: of which resource, which types, since when, between which dates of care."""

    of: Stored
    key: Key
    types: tuple[str, ...]
    since: int
    start: int | None
    end: int | None
    count: int


class _Members(NamedTuple):
    """One page of members, and the cursor of the next."""

    found: list[Stored]
    cursor: str


async def everything(request: FhirRequest, service: Service) -> FhirResponse:
    """Return a page of all that is known of the Patient or Encounter, itself first.

    Raises `NotFound`, `Gone`, `InvalidParameter`, `UnknownParameter`.
    """
    resource_type = only_on(request, service, *ON)
    key = Key(resource_type, request.path[1])
    inputs = read_inputs(request, "$everything", _NAMES[resource_type])
    asked = _asked(inputs, await service.repository.read(key), service)
    cursor = inputs.text(CURSOR)
    members = await _members(asked, cursor, service)
    related = await _related(asked, members.found, request.base, service)
    return answer(200, _bundle(request, inputs, cursor, members, related))


def _asked(inputs: Inputs, of: Stored, service: Service) -> _Asked:
    start, end, since = (inputs.text(name) for name in ("start", "end", "_since"))
    wanted = [name for text in inputs.values("_type") for name in str(text).split(",")]
    known = service.definitions.resource_types
    if unknown := [name for name in wanted if name not in known]:
        raise InvalidParameter(no_type("_type", unknown[0], known))
    zone = service.zone
    return _Asked(
        of,
        Key(of.resource_type, of.logical_id),
        tuple(dict.fromkeys(wanted)),
        date_interval(since, zone).start if since else 0,
        date_interval(start, zone).start if start else None,
        date_interval(end, zone).end if end else None,
        inputs.number("_count", service.max_page_size, service.max_page_size),
    )


async def _members(asked: _Asked, cursor: str, service: Service) -> _Members:
    """Return the page of the compartment that begins at `cursor`."""
    own = asked.key.resource_type
    others = sorted(service.definitions.compartment(own))
    types = [own, *(name for name in others if name != own)]
    at, _, after = cursor.partition("~")
    if cursor and at not in types:
        raise InvalidParameter("the cursor is not one of this server")
    found: list[Stored] = []
    for place in range(types.index(at) if cursor else 0, len(types)):
        name = types[place]
        if asked.types and name not in asked.types:
            continue
        query = Query((name,), _plan(asked, name, service), count=asked.count - len(found))
        page = await service.repository.store.search(replace(query, after=after))
        after = ""
        found += page.matches
        if page.cursor:
            return _Members(found, f"{name}~{page.cursor}")
        if len(found) == asked.count and place + 1 < len(types):
            return _Members(found, f"{types[place + 1]}~")
    return _Members(found, "")


def _plan(asked: _Asked, resource_type: str, service: Service) -> Plan:
    parts = [compartment_plan(service.parameters, *asked.key, resource_type)]
    if asked.since:
        parts.append(Has("_lastUpdated", "date", (_from(asked.since),)))
    if (asked.start, asked.end) != (None, None):
        parts.append(_care_date(asked, resource_type, service))
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _from(moment: int) -> Range:
    return Range(((Compare("high", ">", moment),),))


def _care_date(asked: _Asked, resource_type: str, service: Service) -> Plan:
    """Return what holds the date of care between start and end; without a date it may be."""
    known = service.parameters.of(resource_type)
    named = [code for code in _CARE_DATES if code in known and known[code].kind == "date"]
    if not named or resource_type == asked.key.resource_type:
        return EVERYTHING
    comparisons = []
    if asked.start is not None:
        comparisons.append(Compare("high", ">", asked.start))
    if asked.end is not None:
        comparisons.append(Compare("low", "<", asked.end))
    indexes = known[named[0]].indexes
    dated = [Has(index, "date", (Range((tuple(comparisons),)),)) for index in indexes]
    undated = And(tuple(Not(Has(index, "date")) for index in indexes))
    return Or((*dated, undated))


async def _related(
    asked: _Asked, members: Sequence[Stored], base: str, service: Service
) -> list[Stored]:
    """Return what the members refer to and what is no member itself: another page shows those."""
    there = {asked.key, *(Key(one.resource_type, one.logical_id) for one in members)}
    addresses = {found for stored in members for found in _REFERENCE.findall(stored.content)}
    keys: dict[Key, None] = {}  # several addresses may be of one: of its versions
    for address in sorted(addresses):
        literal = parse_reference(address.decode(), base)
        key = Key(literal.resource_type, literal.logical_id)
        if all(key) and key not in there and key.resource_type in (asked.types or key):
            keys[key] = None
    patients = _patients(asked.of, service)
    return [
        stored
        for stored in await service.repository.store.read_many(keys)
        if stored.last_updated >= asked.since
        and not _is_member(stored, asked, service)
        and not _is_of_others(stored, asked, patients, service)
    ]


def _is_of_others(
    stored: Stored, asked: _Asked, patients: Collection[str], service: Service
) -> bool:
    """Return whether it is in the record of patients, but of none of these."""
    if stored.resource_type == "Patient":
        address = f"Patient/{stored.logical_id}"
        return f'"{address}"'.encode() not in asked.of.content
    whose = _patients(stored, service)
    return bool(whose) and whose.isdisjoint(patients)


def _patients(stored: Stored, service: Service) -> set[str]:
    """Return whose record a resource is in: `Patient/id`."""
    if stored.resource_type == "Patient":
        return {f"Patient/{stored.logical_id}"}
    codes = service.definitions.compartment("Patient").get(stored.resource_type, ())
    addresses = service.repository.references(stored, codes)
    return {address for address in addresses if address.startswith("Patient/")}


def _is_member(stored: Stored, asked: _Asked, service: Service) -> bool:
    address = "/".join(asked.key)
    if address.encode() not in stored.content:
        return False
    compartment = service.definitions.compartment(asked.key.resource_type)
    codes = compartment.get(stored.resource_type, ())
    return address in service.repository.references(stored, codes)


def _bundle(
    request: FhirRequest, inputs: Inputs, here: str, members: _Members, related: list[Stored]
) -> dict[str, Any]:
    pairs = tuple(pair for pair in inputs.query() if pair[0] != CURSOR)
    entries = [
        {
            "fullUrl": full_url(request.base, stored.resource_type, stored.logical_id),
            "resource": msgspec.Raw(stored.content),
            "search": {"mode": mode},
        }
        for mode, listed in (("match", members.found), ("include", related))
        for stored in listed
    ]
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if not (here or members.cursor):
        bundle["total"] = len(members.found)
    bundle["link"] = page_links(request.base, "/".join(request.path), pairs, here, members.cursor)
    if entries:
        bundle["entry"] = entries
    return bundle
