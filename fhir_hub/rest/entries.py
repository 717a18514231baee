"""The entries of a batch or transaction as requests, with the place of each for error messages.

Spec: https://hl7.org/fhir/R4/http.html#transaction and bundle.html
"""

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from fhir_hub import fhirjson
from fhir_hub.errors import FhirError, InvalidResource, Issue, outcome_of
from fhir_hub.repository.unit import Warned
from fhir_hub.rest.message import FhirRequest, FhirResponse

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


def entries(bundle: dict[str, Any], request: FhirRequest) -> list[Entry]:
    """Return the entries of `bundle`; raises `InvalidResource` that names the first bad one."""
    listed = bundle.get("entry", [])
    if not isinstance(listed, list) or (not listed and "entry" in bundle):
        raise InvalidResource(
            "entry must be a list with something in it", expression="Bundle.entry"
        )
    return [_entry(index, item, request) for index, item in enumerate(listed)]


def _entry(index: int, item: Any, outer: FhirRequest) -> Entry:
    place = f"Bundle.entry[{index}]"
    asked = item.get("request") if isinstance(item, dict) else None
    if not isinstance(asked, dict):
        raise InvalidResource("each entry needs a request", expression=f"{place}.request")
    method, url, full_url = asked.get("method"), asked.get("url"), item.get("fullUrl", "")
    if method not in METHODS:
        message = f"method must be one of {', '.join(METHODS)}"
        raise InvalidResource(message, expression=f"{place}.request.method")
    if not isinstance(url, str) or not isinstance(full_url, str):
        raise InvalidResource("url must be a string", expression=f"{place}.request.url")
    headers = {}
    for name, header in _HEADERS.items():
        if name in asked:
            if not isinstance(asked[name], str):
                message = f"{name} must be a string"
                raise InvalidResource(message, expression=f"{place}.request.{name}")
            headers[header] = asked[name]
    if prefer := outer.headers.get("prefer"):
        headers["prefer"] = prefer
    path, _, query = url.removeprefix(outer.base).strip("/").partition("?")
    resource = item.get("resource")
    if method in ("POST", "PUT", "PATCH") and not isinstance(resource, dict):
        message = f"{method} needs a resource"
        raise InvalidResource(message, expression=f"{place}.resource")
    return Entry(
        index,
        full_url,
        FhirRequest(
            method=str(method),
            path=tuple(unquote(part) for part in path.split("/") if part),
            query=tuple(parse_qsl(query, keep_blank_values=True)),
            headers=headers,
            resource=resource,
            base=outer.base,
        ),
    )


def named(error: FhirError, entry: Entry) -> FhirError:
    """Return `error` with its issues' expressions under the entry's place in the bundle."""
    issues = []
    for issue in error.issues:
        _, dot, inner = issue.expression.partition(".")
        tail = f".resource.{inner}" if dot else ""
        issues.append(Issue(issue.code, issue.diagnostics, entry.place + tail, issue.severity))
    return type(error)(f"{entry.place}: {error}", *issues)


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
    if issues := [warned.issue for warned in warnings]:
        shown["outcome"] = outcome_of(issues)
    entry: dict[str, Any] = {"response": shown}
    if not response.content:
        return entry
    if response.status >= 400:
        shown["outcome"] = msgspec.Raw(response.content)
        return entry
    resource = fhirjson.loads(response.content)
    if updated := resource.get("meta", {}).get("lastUpdated"):
        shown["lastModified"] = updated
    if request.method == "GET" or request.prefer("return") == "representation":
        entry["resource"] = msgspec.Raw(response.content)
    return entry
