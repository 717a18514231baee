"""FHIR over HTTP: bytes of a request to a `FhirRequest`, a `FhirResponse` to bytes.

A raw ASGI application, because a FHIR server's own rules (versions, conditions, media types,
outcomes) need nothing that a web framework does, and each layer costs as much as a read.

Spec: https://hl7.org/fhir/R4/http.html
"""

import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from fhir_hub import fhirjson
from fhir_hub.clock import new_logical_id
from fhir_hub.errors import (
    FhirError,
    InvalidParameter,
    InvalidResource,
    MethodNotAllowed,
    NotAcceptable,
    TooLarge,
    UnsupportedMediaType,
    outcome,
)
from fhir_hub.rest import routes
from fhir_hub.rest.message import JSON_PATCH, FhirRequest, FhirResponse, Pairs
from fhir_hub.rest.service import Service

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_JSON = b"application/fhir+json; charset=utf-8"
_FORMATS = ("json", "application/json", "application/fhir+json", "text/json")
_DRAIN = 1 << 30  # a refused body is read and thrown away up to here, so the client can hear why
_SAID = (
    b"accept",
    b"if-match",
    b"if-none-exist",
    b"if-none-match",
    b"if-modified-since",
    b"prefer",
    b"content-type",
    b"x-request-id",
    b"host",
)


class Exchange(NamedTuple):
    """What the log and the metrics learn of one request: nothing of its content."""

    interaction: str
    resource_type: str
    status: int
    seconds: float
    request_id: str
    error: Exception | None


@dataclass(frozen=True, slots=True)
class FhirApp:
    """The ASGI application below `prefix`. `base_url` empty: links name the host asked for."""

    service: Service
    observe: Callable[[Exchange], None]
    prefix: str = "/fhir"
    base_url: str = ""
    max_body_bytes: int = 32 << 20
    new_request_id: Callable[[], str] = new_logical_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; whatever goes wrong, with an OperationOutcome."""
        started = time.perf_counter()
        headers = {
            k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"] if k in _SAID
        }
        request_id = headers.get("x-request-id", "")[:64] or self.new_request_id()
        interaction, fault = "", None
        try:
            content = await self._body(scope, receive)
            request, is_pretty = self._request(scope, headers, content)
            row = routes.route(request)
            interaction = row.interaction
            response = await row.function(request, self.service)
        except Exception as error:
            fault, is_pretty = error, True
            status, resource = outcome(error)
            response = FhirResponse(status, fhirjson.dumps(resource))
        await self._send(scope, send, response, request_id, is_pretty)
        known_types = self.service.definitions.resource_types
        first = scope["path"][len(self.prefix) :].strip("/").partition("/")[0]
        self.observe(
            Exchange(
                interaction,
                first if first in known_types else "",
                response.status,
                time.perf_counter() - started,
                request_id,
                fault,
            )
        )

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        if scope["method"] in ("GET", "HEAD"):
            return b""
        parts: list[bytes] = []
        size = 0
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise InvalidResource("the client went away before the end of the body")
            part = event.get("body", b"")
            size += len(part)
            if size <= self.max_body_bytes:
                parts.append(part)
            else:
                parts.clear()
            if not event.get("more_body") or size > _DRAIN:
                break
        if size > self.max_body_bytes:
            raise TooLarge(f"a body may have {self.max_body_bytes} bytes")
        return b"".join(parts)

    def _request(
        self, scope: Scope, headers: dict[str, str], content: bytes
    ) -> tuple[FhirRequest, bool]:
        method = scope["method"]
        if method not in _METHODS:
            raise MethodNotAllowed(f"the methods are {', '.join(_METHODS)}")
        path = _path(scope, self.prefix)
        query, is_pretty = _query(scope["query_string"])
        form = next((value for name, value in query if name == "_format"), "")
        _require_json(form or headers.get("accept", ""), is_parameter=bool(form))
        is_form = path[-1:] == ("_search",)
        if content:
            _require_content_type(headers.get("content-type", ""), method, is_form=is_form)
        request = FhirRequest(
            method="GET" if method == "HEAD" else method,
            path=path,
            query=tuple(pair for pair in query if pair[0] not in ("_format", "_pretty")),
            headers=headers,
            content=content,
            base=self.base_url or self._base(scope, headers),
        )
        return request, is_pretty

    def _base(self, scope: Scope, headers: dict[str, str]) -> str:
        host = headers.get("host") or ":".join(str(part) for part in scope["server"])
        return f"{scope.get('scheme', 'http')}://{host}{self.prefix}"

    async def _send(
        self, scope: Scope, send: Send, response: FhirResponse, request_id: str, is_pretty: bool
    ) -> None:
        content = response.content
        if is_pretty and content:
            content = fhirjson.pretty_bytes(content)
        headers = [(k.lower().encode(), v.encode("latin-1")) for k, v in response.headers.items()]
        headers.append((b"x-request-id", request_id.encode("latin-1", "replace")))
        if content:
            headers.append((b"content-type", _JSON))
        if response.status not in (204, 304):
            headers.append((b"content-length", str(len(content)).encode()))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else content
        await send({"type": "http.response.body", "body": body})


def _path(scope: Scope, prefix: str) -> tuple[str, ...]:
    """Return the path below the prefix, split; a trailing slash says nothing."""
    raw = scope.get("raw_path") or scope["path"].encode()
    try:
        text = raw.decode("ascii").partition("?")[0][len(prefix) :]
        parts = tuple(unquote(part, errors="strict") for part in text.strip("/").split("/") if part)
    except UnicodeDecodeError:
        raise InvalidParameter("the address is not UTF-8") from None
    return parts


def _query(query_string: bytes) -> tuple[Pairs, bool]:
    """Return the parameters and whether `_pretty` asks for indentation."""
    if not query_string:
        return (), False
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=1000,
        )
    except ValueError:
        raise InvalidParameter(
            "the query is not UTF-8, percent-encoded, of at most 1,000 parameters"
        ) from None
    is_pretty = any(name == "_pretty" and value in ("true", "") for name, value in pairs)
    return tuple(pairs), is_pretty


def _require_json(wanted: str, *, is_parameter: bool) -> None:
    """Raise `NotAcceptable` unless the client takes JSON.

    Spec: https://hl7.org/fhir/R4/http.html#mime-type
    """
    if not wanted or wanted == "*/*":
        return
    kinds = [part.partition(";")[0].strip().lower() for part in wanted.split(",")]
    open_kinds = () if is_parameter else ("*/*", "application/*", "text/html")
    if not _any_in(kinds, (*_FORMATS, *open_kinds)):
        raise NotAcceptable("this server answers application/fhir+json")


def _require_content_type(content_type: str, method: str, *, is_form: bool) -> None:
    kind = content_type.partition(";")[0].strip().lower()
    allowed = ("application/x-www-form-urlencoded",) if is_form else _FORMATS
    if method == "PATCH":
        allowed = (*allowed, JSON_PATCH)
    if kind and kind not in allowed:
        raise UnsupportedMediaType(f"the body must be {allowed[-1]}")


def _any_in(kinds: Iterable[str], known: Iterable[str]) -> bool:
    return not set(known).isdisjoint(kinds)


def is_fault(error: Exception | None) -> bool:
    """Say whether an error is ours: one that no client should see."""
    return error is not None and not isinstance(error, FhirError)
