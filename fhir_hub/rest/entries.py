"""The entries of a batch or transaction as requests, with the place of each for error messages.

Spec: https://hl7.org/fhir/R4/http.html#transaction and bundle.html
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

import msgspec

from fhir_hub.clock import from_microseconds, instant
from fhir_hub.errors import FhirError, InvalidResource, Issue, outcome_of
from fhir_hub.r4.dates import date_interval
from fhir_hub.r4.definitions import Definitions
from fhir_hub.repository.unit import Warned
from fhir_hub.rest.message import FhirRequest, FhirResponse, Pairs, http_date
from fhir_hub.rest.written import DONE

METHODS = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")  # in the order of processing
_HEADERS = {
    "ifMatch": "if-match",
    "ifNoneExist": "if-none-exist",
    "ifNoneMatch": "if-none-match",
    "ifModifiedSince": "if-modified-since",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: its `index`, its `full_url` (empty if none), the request that it makes."""

    index: int
    full_url: str
    request: FhirRequest

    @property
    def place(self) -> str:
        """Return the entry's FHIRPath."""
        return f"Bundle.entry[{self.index}]"


def entries(bundle: dict[str, Any], request: FhirRequest, definitions: Definitions) -> list[Entry]:
    """Return the entries of `bundle`; raises `InvalidResource` that names the first bad one."""
    names = _Names(*(_names(path, definitions) for path in _Names._fields))
    _require_known(bundle, names.Bundle, "Bundle")
    listed = bundle.get("entry", [])
    if not isinstance(listed, list) or (not listed and "entry" in bundle):
        raise InvalidResource(
            "entry must be a list with something in it", expression="Bundle.entry"
        )
    made, seen = [], set[str]()
    for index, item in enumerate(listed):
        made.append(entry := _entry(index, item, request, names))
        if entry.full_url and entry.full_url in seen:
            raise InvalidResource(
                "another entry has this fullUrl (bdl-7)", expression=f"{entry.place}.fullUrl"
            )
        seen.add(entry.full_url)
    return made


class _Names(NamedTuple):
    """The JSON names of the elements that a bundle and its parts may have."""

    Bundle: frozenset[str]
    entry: frozenset[str]
    request: frozenset[str]


def _names(part: str, definitions: Definitions) -> frozenset[str]:
    structure = definitions.structure("Bundle")
    assert structure is not None
    path = {"Bundle": "Bundle", "entry": "Bundle.entry", "request": "Bundle.entry.request"}[part]
    steps = {at.rpartition(".")[2] for at in structure.elements if at.rpartition(".")[0] == path}
    # bdl-2, bdl-4: neither is said of what is asked for; what modifies must be understood
    steps -= {"search", "response", "modifierExtension"}
    return frozenset(("resourceType", *steps, *(f"_{step}" for step in steps)))


def _require_known(node: dict[str, Any], names: frozenset[str], place: str) -> None:
    if unknown := node.keys() - names:
        name = min(unknown)
        raise InvalidResource(f"there is no element {name[:60]!r} here", expression=place)


def _entry(index: int, item: Any, outer: FhirRequest, names: _Names) -> Entry:
    place = f"Bundle.entry[{index}]"
    asked = item.get("request") if isinstance(item, dict) else None
    if not isinstance(asked, dict):
        raise InvalidResource("each entry needs a request", expression=f"{place}.request")
    _require_known(item, names.entry, place)
    _require_known(asked, names.request, f"{place}.request")
    method, url, full_url = asked.get("method"), asked.get("url"), item.get("fullUrl", "")
    if method not in METHODS:
        message = f"method must be one of {', '.join(METHODS)}"
        raise InvalidResource(message, expression=f"{place}.request.method")
    if not isinstance(url, str):
        raise InvalidResource("url must be a string", expression=f"{place}.request.url")
    if not isinstance(full_url, str):
        raise InvalidResource("fullUrl must be a string", expression=f"{place}.fullUrl")
    path, query = _address(url.removeprefix(outer.base), place)
    resource = item.get("resource")
    # an operation or a search may have all that it needs in its address
    is_full = isinstance(resource, dict) or (resource is None and path and path[-1][:1] in "$_")
    if method in ("POST", "PUT", "PATCH") and not is_full:
        message = f"{method} needs a resource"
        raise InvalidResource(message, expression=f"{place}.resource")
    return Entry(
        index,
        full_url,
        FhirRequest(
            method=str(method),
            path=path,
            query=query,
            headers=_headers(asked, outer, place),
            resource=resource,
            base=outer.base,
        ),
    )


def _headers(asked: dict[str, Any], outer: FhirRequest, place: str) -> dict[str, str]:
    """Return the conditions of an entry as the headers that say the same."""
    headers = {}
    for name, header in _HEADERS.items():
        if name in asked:
            value, expression = asked[name], f"{place}.request.{name}"
            if not isinstance(value, str):
                raise InvalidResource(f"{name} must be a string", expression=expression)
            if name == "ifModifiedSince":
                try:
                    value = http_date(date_interval(value, UTC).start)
                except InvalidResource as error:
                    raise InvalidResource(str(error), expression=expression) from None
            headers[header] = value
    if prefer := outer.headers.get("prefer"):
        headers["prefer"] = prefer
    return headers


def _address(url: str, place: str) -> tuple[tuple[str, ...], Pairs]:
    """Return the path and the parameters of an entry's url; the format is the bundle's."""
    path, _, query = url.partition("?")
    try:
        steps = tuple(unquote(part, errors="strict") for part in path.strip("/").split("/") if part)
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        message = "the url is not UTF-8, percent-encoded"
        raise InvalidResource(message, expression=f"{place}.request.url") from None
    return steps, tuple(pair for pair in pairs if pair[0] not in ("_format", "_pretty"))


def named(error: FhirError, entry: Entry) -> FhirError:
    """Return `error` with its issues' expressions under the entry's place in the bundle."""
    issues = []
    for issue in error.issues:
        _, dot, inner = issue.expression.partition(".")
        tail = f".resource.{inner}" if dot else ""
        issues.append(Issue(issue.code, issue.diagnostics, entry.place + tail, issue.severity))
    return type(error)(f"{entry.place}: {error}", *issues)


@contextmanager
def naming(entry: Entry) -> Iterator[None]:
    """Let what is raised inside name the entry."""
    try:
        yield
    except FhirError as error:
        raise named(error, entry) from None


def response_entry(
    request: FhirRequest, response: FhirResponse, warnings: Iterable[Warned] = ()
) -> dict[str, Any]:
    """Return the entry of the answer: status, location, etag, lastModified, the resource.

    What was written comes back only if the client prefers `return=representation`. Warnings are
    in the entry's outcome.
    """
    shown: dict[str, Any] = {
        "status": f"{response.status} {HTTPStatus(response.status).phrase}",
    }
    headers = response.headers
    if "Location" in headers:
        shown["location"] = headers["Location"].removeprefix(request.base + "/")
    if "ETag" in headers:
        shown["etag"] = headers["ETag"]
    if response.last_updated:
        shown["lastModified"] = instant(from_microseconds(response.last_updated))
    issues = [warned.issue for warned in warnings]
    is_write = "Location" in headers
    wish = request.prefer("return") if is_write else ""
    if wish == "OperationOutcome":
        issues.insert(0, DONE)
    if issues:
        shown["outcome"] = outcome_of(issues)
    entry: dict[str, Any] = {"response": shown}
    if not response.content:
        return entry
    if response.status >= 400:
        shown["outcome"] = msgspec.Raw(response.content)
        return entry
    # what was written comes back to who asks for it, what was read or worked out to everybody
    if not is_write or wish == "representation":
        entry["resource"] = msgspec.Raw(response.content)
    return entry
