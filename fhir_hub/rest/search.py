"""The search interactions: of one type, of all types; by GET and by POST `_search`.

The answer joins stored bytes into the bundle without parsing them.

Spec: https://hl7.org/fhir/R4/http.html#search and bundle.html#searchset
"""

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidParameter, Issue, NotFound
from fhir_hub.nearest import did_you_mean
from fhir_hub.repository.links import Included
from fhir_hub.rest import defined_here
from fhir_hub.rest.links import CURSOR, page_links
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer
from fhir_hub.rest.operation_definitions import RESOURCE_TYPE
from fhir_hub.rest.service import Service
from fhir_hub.rest.subset import Subset, subset
from fhir_hub.search.compartment import compartment_plan, whole_plan
from fhir_hub.search.condition import LIST
from fhir_hub.search.parse import parse_search
from fhir_hub.search.plan import EVERYTHING, And, Plan
from fhir_hub.search.request import SearchRequest
from fhir_hub.search.shown import shown_plan, shown_sort
from fhir_hub.store.base import Key, Page, Stored

_ALL = "*"
# the end of an entry, and the comma before the next
_MATCH, _INCLUDE = b',"search":{"mode":"match"}},', b',"search":{"mode":"include"}},'

_RENEWED = (
    "the index was made by another version of the hub or by other settings and is being made anew,"
    " {} % done: matches may be missing"
)


async def search_type(request: FhirRequest, service: Service) -> FhirResponse:
    """Return a page of one type's resources that match."""
    resource_type = service.known_type(request.path[0])
    return await _search(request, service, (resource_type,), resource_type)


async def search_system(request: FhirRequest, service: Service) -> FhirResponse:
    """Return a page of all types' resources that match."""
    return await _search(request, service, (), "")


async def search_compartment(request: FhirRequest, service: Service) -> FhirResponse:
    """Return a page of one type's resources that match and are in the compartment of a resource.

    Of all types for `*`.

    Raises `NotFound` for a type that has no compartment, or whose compartment has no such type.

    Spec: https://hl7.org/fhir/R4/http.html#vsearch
    """
    owner, logical_id, member = request.path[:3]
    known = service.definitions.compartment(service.known_type(owner))
    path = "/".join(request.path[:3])
    if member == _ALL and known:
        types = tuple(sorted(known))
        plan = whole_plan(service.parameters, owner, logical_id, types)
        return await _search(request, service, types, path, plan)
    if member not in known:
        near = did_you_mean(member, known, f"of all types: {_ALL}")
        raise NotFound(f"{owner} has no compartment with such a type{near}")
    plan = compartment_plan(service.parameters, owner, logical_id, member)
    return await _search(request, service, (member,), path, plan)


async def _search(
    request: FhirRequest,
    service: Service,
    resource_types: tuple[str, ...],
    path: str,
    within: Plan = EVERYTHING,
) -> FhirResponse:
    pairs = request.query
    if request.method == "POST":
        pairs = (*pairs, *_form(request))
    names = dict(pairs)
    if ":" in "".join(names) or "_filter" in names:
        await service.stored_terminology.refresh()
    cursor = names.get(CURSOR, "")
    asked = parse_search(
        resource_types,
        [pair for pair in pairs if pair[0] != CURSOR] if CURSOR in names else pairs,
        parameters=service.parameters,
        zone=service.zone,
        base=request.base,
        aliases=service.aliases,
        terms=service.terms(request.base),
        lenient=request.prefer("handling") == "lenient",
        page_size=service.page_size,
        max_page_size=service.max_page_size,
    )
    if cursor or within is not EVERYTHING:
        plan = And((within, asked.query.plan)) if within is not EVERYTHING else asked.query.plan
        asked = replace(asked, query=replace(asked.query, plan=plan, after=cursor))
    if asked.is_explained:
        return answer(200, await _explanation(asked, service))
    if asked.query.resource_types == (RESOURCE_TYPE,):
        page, included = await defined_here.search(asked, request.base, service)
    else:
        page, included = await service.repository.search(asked)
    if LIST in names:
        asked = replace(asked, issues=(*asked.issues, *await _absent_lists(asked, service)))
    if service.shown is not None and resource_types == ("Task",):
        await service.shown(tuple(pairs), page.matches)
    return FhirResponse(200, searchset(request.base, path, asked, page, included, service))


async def _absent_lists(asked: SearchRequest, service: Service) -> list[Issue]:
    """Return a warning for each List that is asked for and is not there.

    Spec: https://hl7.org/fhir/R4/search.html#errors
    """
    texts = [value for name, value in asked.used if name == LIST]
    ids = dict.fromkeys(one.removeprefix("List/") for text in texts for one in text.split(","))
    stored = await service.repository.store.read_many([Key("List", one) for one in ids])
    there = {one.logical_id for one in stored}
    return [
        Issue("not-found", f"{LIST}: there is no List with the id {name}", severity="warning")
        for name in ids
        if name not in there
    ]


async def _explanation(asked: SearchRequest, service: Service) -> dict[str, Any]:
    """Return the plan of a search and what the store makes of it, without values."""
    query = asked.query
    types = ", ".join(query.resource_types) or "all types"
    shown = [
        {"name": "types", "valueString": types},
        {"name": "plan", "valueString": shown_plan(query.plan)},
        {"name": "order", "valueString": shown_sort(query.sort)},
    ]
    steps: list[dict[str, Any]] = []
    for line in await service.repository.store.explain(query):
        if line.startswith("SELECT ") or not steps:
            steps.append({"name": "statement", "part": []})
        name = "step" if steps[-1]["part"] else "text"
        steps[-1]["part"].append({"name": name, "valueString": line})
    return {"resourceType": "Parameters", "parameter": [*shown, *steps]}


def _form(request: FhirRequest) -> list[tuple[str, str]]:
    try:
        text = request.content.decode()
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=1000)
    except ValueError:
        raise InvalidParameter("the body must be a form in UTF-8 (x-www-form-urlencoded)") from None


def searchset(
    base: str, path: str, asked: SearchRequest, page: Page, included: Included, service: Service
) -> bytes:
    """Return the Bundle of a page of results, as JSON.

    Spec: https://hl7.org/fhir/R4/bundle.html#searchset
    """
    is_part = asked.summary or asked.elements
    part = subset(asked.summary, asked.elements, service.definitions) if is_part else None
    start = msgspec.json.encode(base)[:-1].decode()
    pieces = _entries(start, page.matches, _MATCH, part)
    # R4 search.html#elements: the list does not apply to included resources
    pieces += _entries(start, included.resources, _INCLUDE, None if asked.elements else part)
    issues = list(asked.issues)
    if included.is_cut:
        issues.append(Issue("too-costly", "not all included resources fit", severity="warning"))
    renewed = service.parameters.renewed
    if renewed is not None and asked.query.plan != EVERYTHING:
        issues.append(Issue("incomplete", _RENEWED.format(renewed), severity="warning"))
    if issues:
        pieces += (_note(issues), b",")
    total = page.total
    if total is None and not page.cursor and not asked.query.after and asked.query.count:
        total = len(page.matches)  # the only page: its length is the exact total
    said = b"" if total is None else b',"total":%d' % total
    link = fhirjson.dumps(page_links(base, path, asked.used, asked.query.after, page.cursor))
    head = b'{"resourceType":"Bundle","type":"searchset"%b,"link":%b' % (said, link)
    if not pieces:
        return head + b"}"
    pieces[-1] = pieces[-1][:-1]  # nothing follows the last entry
    return b"".join((head, b',"entry":[', *pieces, b"]}"))


def _entries(start: str, found: list[Stored], end: bytes, part: Subset | None) -> list[bytes]:
    """Return entries as pieces of JSON; `start` is the base, without its last quotation mark."""
    pieces: list[bytes] = []
    for stored in found:
        # a type and a logical id need no escapes
        head = f'{{"fullUrl":{start}/{stored.resource_type}/{stored.logical_id}","resource":'
        pieces += (head.encode(), part.apply(stored.content) if part else stored.content, end)
    return pieces


def _note(issues: list[Issue]) -> bytes:
    """Return the entry that says what was ignored or left out."""
    shown = [
        {"severity": issue.severity, "code": issue.code, "diagnostics": issue.diagnostics}
        for issue in issues
    ]
    resource = {"resourceType": "OperationOutcome", "issue": shown}
    return fhirjson.dumps({"resource": resource, "search": {"mode": "outcome"}})
