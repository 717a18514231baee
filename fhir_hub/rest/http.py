"""FHIR over HTTP: bytes of a request to a `FhirRequest`, a `FhirResponse` to bytes.

A raw ASGI application, because a FHIR server's own rules (versions, conditions, media types,
outcomes) need nothing that a web framework does, and each layer costs as much as a read.

Spec: https://hl7.org/fhir/R4/http.html
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
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
from fhir_hub.r4.xml_read import from_xml
from fhir_hub.r4.xml_write import XmlWriter, indented
from fhir_hub.rest import raw, routes
from fhir_hub.rest.media import (
    JSON,
    XML,
    Format,
    answer_format,
    body_format,
    packed,
    unpacked,
    wants_gzip,
)
from fhir_hub.rest.message import FhirRequest, FhirResponse, Pairs
from fhir_hub.rest.service import Service

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

WHOLE = "fhir_hub.whole"  # what sends an answer at once, where the server has such a way
_MEDIA = {
    "json": f"{JSON}; charset=utf-8".encode(),
    "xml": f"{XML}; charset=utf-8".encode(),
}
_PACK_ASIDE = 64 << 10  # what is larger is compressed in a thread
_MOST_PAIRS = 1000
_NOTHING: dict[str, Any] = {}
_SHOWING = (b"_format", b"_pretty")
_DRAIN = 1 << 30  # a refused body is read and thrown away up to here, so the client can hear why
_SAID = frozenset(
    (
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"content-encoding",
        b"if-match",
        b"if-none-exist",
        b"if-none-match",
        b"if-modified-since",
        b"if-unmodified-since",
        b"prefer",
        b"content-type",
        b"x-request-id",
        raw.SECURITY_CONTEXT.encode(),
        b"host",
    )
)


class Exchange(NamedTuple):
    """What the log and the metrics learn of one request: nothing of its content."""

    interaction: str
    resource_type: str
    status: int
    seconds: float
    request_id: str
    error: Exception | None


class Shown(NamedTuple):
    """How the client wants the answer: its format, indented or not, compressed or not."""

    format: Format = "json"
    is_pretty: bool = False
    encodings: str = ""


class FhirApp:
    """The ASGI application below `prefix`. `base_url` empty: links name the host asked for."""

    def __init__(
        self,
        service: Service,
        observe: Callable[[Exchange], None],
        prefix: str = "/fhir",
        base_url: str = "",
        max_body_bytes: int = 32 << 20,
        new_request_id: Callable[[], str] = new_logical_id,
    ) -> None:
        self.service, self.observe = service, observe
        self.prefix, self.base_url = prefix, base_url
        self.max_body_bytes, self.new_request_id = max_body_bytes, new_request_id
        self._xml = XmlWriter(service.definitions)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; whatever goes wrong, with an OperationOutcome."""
        started = time.perf_counter()
        said = [(k.decode(), v.decode("latin-1")) for k, v in scope["headers"] if k in _SAID]
        headers = dict(said)
        if len(headers) < len(said):
            # RFC 9110, 5.3: a header that comes twice says both
            headers = {k: ", ".join(v for name, v in said if name == k) for k in headers}
        request_id = headers.get("x-request-id", "")[:64] or self.new_request_id()
        interaction, fault, shown, is_raw = "", None, Shown(), False
        try:
            content = await self._body(scope, receive)
            try:
                query, shown = _asked(scope["query_string"], headers)
            except NotAcceptable:
                if not raw.is_read(scope["method"], _path(scope, self.prefix)):
                    raise
                is_raw = True
                query, shown = _asked(scope["query_string"], {**headers, "accept": ""})
            request = self._request(scope, headers, query, content)
            if request.path[-1:] == ("_search",) and any(n in request.content for n in _SHOWING):
                # what a search asks of the answer may stand in its form, as all of it may
                shown = _asked(scope["query_string"] + b"&" + request.content, headers)[1]
            row = routes.route(request)
            interaction = row.interaction
            response = await row.function(request, self.service)
            if is_raw:
                response = raw.answered(response, headers["accept"])
            is_own = "Content-Type" in response.headers
            content = response.content if is_own else self._content(response, shown)
        except Exception as error:
            fault = error
            shown = shown._replace(is_pretty=True, encodings="")
            response = _refusal(error)
            content = self._content(response, shown)
        await self._send(scope, send, response, request_id, content, shown)
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
        self, scope: Scope, headers: dict[str, str], query: Pairs, content: bytes
    ) -> FhirRequest:
        method = scope["method"]
        path = _path(scope, self.prefix)
        resource = None
        if content:
            is_form = path[-1:] == ("_search",)
            kind: Format | None = None
            try:
                kind = body_format(headers.get("content-type", ""), method, is_form=is_form)
            except UnsupportedMediaType:
                if not raw.is_write(method, path):
                    raise
            if "content-encoding" in headers:
                content = unpacked(content, headers["content-encoding"], self.max_body_bytes)
            if kind == "xml":
                resource = from_xml(content, self.service.definitions)
            elif kind is None:
                resource = raw.binary_of(content, headers, path)
        return FhirRequest(
            method="GET" if method == "HEAD" else method,
            path=path,
            query=query,
            headers=headers,
            content=content,
            resource=resource,
            base=self.base_url or self._base(scope, headers),
        )

    def _content(self, response: FhirResponse, shown: Shown) -> bytes:
        """Return the body of the answer in the format asked for."""
        content = response.content
        if not content:
            return b""
        if shown.format == "xml":
            text = self._xml.write(fhirjson.loads(content))
            return indented(text) if shown.is_pretty else text
        return fhirjson.pretty_bytes(content) if shown.is_pretty else content

    def _base(self, scope: Scope, headers: dict[str, str]) -> str:
        host = headers.get("host") or ":".join(str(part) for part in scope["server"])
        return f"{scope.get('scheme', 'http')}://{host}{self.prefix}"

    async def _send(
        self,
        scope: Scope,
        send: Send,
        response: FhirResponse,
        request_id: str,
        content: bytes,
        shown: Shown,
    ) -> None:
        headers = [(k.lower().encode(), v.encode("latin-1")) for k, v in response.headers.items()]
        headers.append((b"x-request-id", request_id.encode("latin-1", "replace")))
        if content:
            if "Content-Type" not in response.headers:
                headers.append((b"content-type", _MEDIA[shown.format]))
            if shown.encodings and wants_gzip(shown.encodings, len(content)):
                is_large = len(content) > _PACK_ASIDE
                content = await asyncio.to_thread(packed, content) if is_large else packed(content)
                headers.append((b"content-encoding", b"gzip"))
            headers.append((b"vary", b"accept, accept-encoding"))
        if response.status not in (204, 304):
            headers.append((b"content-length", str(len(content)).encode()))
        body = b"" if scope["method"] == "HEAD" else content
        whole = scope.get("extensions", _NOTHING).get(WHOLE)
        if whole is not None and whole["send"](response.status, headers, body):
            return
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _refusal(error: Exception) -> FhirResponse:
    """Return the answer that shows `error`, with what HTTP wants beside it."""
    status, resource = outcome(error)
    methods = error.methods if isinstance(error, MethodNotAllowed) else ()
    headers = {"Allow": ", ".join(methods)} if methods else {}
    return FhirResponse(status, fhirjson.dumps(resource), headers)


def _path(scope: Scope, prefix: str) -> tuple[str, ...]:
    """Return the path below the prefix, split; a trailing slash says nothing."""
    raw = scope.get("raw_path") or scope["path"].encode()
    try:
        text = raw.decode("ascii").partition("?")[0][len(prefix) :]
        parts = tuple(unquote(part, errors="strict") for part in text.strip("/").split("/") if part)
    except UnicodeDecodeError:
        raise InvalidParameter("the address is not UTF-8") from None
    return parts


def _asked(query_string: bytes, headers: dict[str, str]) -> tuple[Pairs, Shown]:
    """Return the parameters for the interaction, and how the answer is to be shown."""
    accept, encodings = headers.get("accept", ""), headers.get("accept-encoding", "")
    if not query_string:
        return (), Shown(answer_format("", accept), encodings=encodings)
    try:
        pairs = _pairs(query_string.decode("ascii"))
    except ValueError:
        raise InvalidParameter(
            "the query is not UTF-8, percent-encoded, of at most 1,000 parameters"
        ) from None
    told = [pair for pair in pairs if pair[0] in ("_format", "_pretty")]
    own = dict(told)
    if len(own) < len(told):
        raise InvalidParameter("_format and _pretty may stand once")
    pretty = own.get("_pretty", "false")
    if pretty not in ("true", "false", ""):
        raise InvalidParameter("_pretty is true or false")
    shown = Shown(answer_format(own.get("_format", ""), accept), pretty != "false", encodings)
    return tuple(pair for pair in pairs if pair[0] not in own) if own else tuple(pairs), shown


def _pairs(text: str) -> list[tuple[str, str]]:
    """Return names and values; raises `ValueError` for what is no query of at most 1,000."""
    if "%" in text or "+" in text or text.count("&") >= _MOST_PAIRS:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_PAIRS)
    parts = [part.partition("=") for part in text.split("&") if part]
    return [(name, value) for name, _, value in parts]


def is_fault(error: Exception | None) -> bool:
    """Say whether an error is ours: one that no client should see."""
    return error is not None and not isinstance(error, FhirError)
