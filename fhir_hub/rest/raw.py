"""Binary resources as what they hold: a PDF is sent and answered as a PDF.

A read of a Binary that asks for its own media type gets the bytes, and what is posted or put to
Binary in a media type that is not FHIR's becomes the content of one.

Spec: https://hl7.org/fhir/R4/binary.html#rest
"""

import base64
from dataclasses import replace
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.errors import NotAcceptable
from fhir_hub.rest.message import FhirResponse

_TYPE = "Binary"
_WRITES = {("POST", 1), ("PUT", 2)}  # a method, and how long its path is
SECURITY_CONTEXT = "x-security-context"


def is_read(method: str, path: tuple[str, ...]) -> bool:
    """Say whether a request reads one Binary, or a version of it."""
    return method in ("GET", "HEAD") and path[:1] == (_TYPE,) and len(path) in (2, 4)


def is_write(method: str, path: tuple[str, ...]) -> bool:
    """Say whether a request creates or updates a Binary."""
    return path[:1] == (_TYPE,) and (method, len(path)) in _WRITES


def answered(response: FhirResponse, accept: str) -> FhirResponse:
    """Return the answer with what the Binary in it holds; raises `NotAcceptable` for another type.

    An answer without a Binary is returned as it is.
    """
    if response.status != 200:
        return response
    binary = fhirjson.loads(response.content)
    kind = str(binary.get("contentType", ""))
    context = str(binary.get("securityContext", {}).get("reference", ""))
    is_sayable = (kind + context).isascii() and (kind + context).isprintable()  # in a header
    if not is_sayable or not _takes(accept, kind):
        raise NotAcceptable("this Binary holds another media type than the client takes")
    headers = {**response.headers, "Content-Type": kind}
    if context:
        headers["X-Security-Context"] = context
    content = base64.b64decode(binary.get("data", ""))
    return replace(response, content=content, headers=headers)


def _takes(accept: str, kind: str) -> bool:
    """Say whether a client takes a media type."""
    own = kind.partition(";")[0].strip().lower()
    ranges = (own, f"{own.partition('/')[0]}/*", "*/*")
    return any(part.partition(";")[0].strip().lower() in ranges for part in accept.split(","))


def binary_of(content: bytes, headers: dict[str, str], path: tuple[str, ...]) -> dict[str, Any]:
    """Return the Binary that holds a body, under the id in the path if there is one."""
    binary: dict[str, Any] = {"resourceType": _TYPE}
    if len(path) > 1:
        binary["id"] = path[1]
    binary["contentType"] = headers["content-type"]
    if context := headers.get(SECURITY_CONTEXT):
        binary["securityContext"] = {"reference": context}
    return binary | {"data": base64.b64encode(content).decode()}
