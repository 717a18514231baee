"""Media types and content codings: what a client sends, and what it wants to have.

FHIR is JSON or XML; `_format` beats `Accept`. Bodies may be compressed by gzip both ways; a
compressed body is unpacked only as far as the limit on bodies goes.

Spec: https://hl7.org/fhir/R4/http.html#mime-type and RFC 9110, 12.5
"""

import gzip
import zlib
from typing import Literal

from fhir_hub.errors import InvalidResource, NotAcceptable, TooLarge, UnsupportedMediaType
from fhir_hub.rest.message import JSON_PATCH

Format = Literal["json", "xml"]

JSON = "application/fhir+json"
XML = "application/fhir+xml"
_FORM = "application/x-www-form-urlencoded"
_FORMATS: dict[str, Format] = {
    **dict.fromkeys((JSON, "application/json", "text/json", "json"), "json"),
    **dict.fromkeys((XML, "application/xml", "text/xml", "xml"), "xml"),
}
# who asks for anything, or is a browser, gets JSON unless he refuses it
_OPEN = ("*/*", "application/*", "text/html", "text/*")
_PREFERENCE: tuple[Format, ...] = ("json", "xml")
_VERSIONS = ("4.0", "4.0.1")
_SMALLEST = 1024
_LEVEL = 1


def answer_format(asked: str, accept: str) -> Format:
    """Return the format of the answer, by `_format` (`asked`), else by `Accept`.

    Raises `NotAcceptable` if the client takes neither JSON nor XML of R4.
    """
    if not asked and accept in ("", "*/*", JSON, "application/json"):
        return "json"
    offers = [_offer(part) for part in ([asked] if asked else accept.split(","))]
    # RFC 9110, 12.5.1: what is refused by its name is not taken by a range with `*`
    refused = {_FORMATS.get(kind) for kind, weight in offers if not weight}
    open_to = next((one for one in _PREFERENCE if one not in refused), None)
    best: tuple[float, Format] | None = None
    for kind, weight in offers:
        known = open_to if kind in _OPEN and not asked else _FORMATS.get(kind)
        if known and weight > 0 and (best is None or weight > best[0]):
            best = weight, known
    if best is None:
        raise NotAcceptable(f"this server answers {JSON} and {XML}, of FHIR 4.0")
    return best[1]


def body_format(content_type: str, method: str, *, is_form: bool) -> Format:
    """Return the format of a body; a form and a JSON Patch are left as they are (`json`).

    Raises `UnsupportedMediaType`.
    """
    if not content_type or (content_type == JSON and not is_form):
        return "json"
    kind, parameters = _media_type(content_type)
    charset = parameters.get("charset", "utf-8").lower()
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType("a body is written in UTF-8")
    if parameters.get("fhirversion", "4.0") not in _VERSIONS:
        raise UnsupportedMediaType("this server speaks FHIR 4.0")
    if is_form and kind == _FORM:
        return "json"
    if method == "PATCH" and kind == JSON_PATCH:
        return "json"
    if is_form or kind not in _FORMATS or "/" not in kind:
        wanted = _FORM if is_form else f"{JSON} or {XML}"
        raise UnsupportedMediaType(f"the body must be {wanted}")
    return _FORMATS[kind]


def _media_type(text: str) -> tuple[str, dict[str, str]]:
    kind, *rest = text.split(";")
    pairs = (part.partition("=") for part in rest)
    # a `+` in an address that is not percent-encoded arrives as a blank
    name = kind.strip().lower().replace("fhir ", "fhir+")
    return name, {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}


def _offer(part: str) -> tuple[str, float]:
    """Return a media type that the client takes and its weight; `""` for another FHIR's."""
    kind, parameters = _media_type(part)
    is_r4 = parameters.get("fhirversion", "4.0") in _VERSIONS
    return (kind if is_r4 else ""), _weight(parameters.get("q", "1"))


def _weight(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0


def unpacked(content: bytes, coding: str, most: int) -> bytes:
    """Return a body without its content coding (`gzip`, `identity`).

    Raises `TooLarge` beyond `most` bytes, `InvalidResource` for what is not gzip,
    `UnsupportedMediaType` for another coding.
    """
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return content
    if coding not in ("gzip", "x-gzip"):
        raise UnsupportedMediaType("a body may be compressed by gzip, or not at all")
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = reader.decompress(content, most + 1)
    except zlib.error:
        raise InvalidResource("the body is not gzip") from None
    if len(plain) > most:
        raise TooLarge(f"a body may have {most} bytes, unpacked")
    if not reader.eof or reader.unused_data:
        raise InvalidResource("the body is not one gzip stream")
    return plain


def wants_gzip(accept_encoding: str, size: int) -> bool:
    """Return whether an answer of `size` bytes is to be compressed for this client."""
    if size < _SMALLEST or "gzip" not in accept_encoding.lower():
        return False
    for part in accept_encoding.split(","):
        kind, parameters = _media_type(part)
        if kind == "gzip":
            return _weight(parameters.get("q", "1")) > 0
    return False


def packed(content: bytes) -> bytes:
    """Return `content` compressed by gzip, quickly rather than small."""
    return gzip.compress(content, _LEVEL, mtime=0)
