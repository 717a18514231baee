"""How the operator's addresses answer: JSON, or an OperationOutcome as the FHIR side gives it.

Spec: https://hl7.org/fhir/R4/operationoutcome.html
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from fhir_hub.errors import FhirError, InvalidParameter, TooLarge, outcome


async def answered(work: Callable[[], Awaitable[dict[str, Any]]]) -> Response:
    """Return what the work gives as JSON, or the error that it raises as an OperationOutcome."""
    try:
        return JSONResponse(await work())
    except FhirError as error:
        status, resource = outcome(error)
        return JSONResponse(resource, status, media_type="application/fhir+json")


async def read_body(request: Request, most_bytes: int, *, room: int = 0) -> bytes:
    """Return the body as it came; raises `TooLarge` once it has more than `most_bytes`.

    `room` is what its writing may take beside, as base64 in JSON does.
    """
    parts, size = list[bytes](), 0
    async for part in request.stream():
        size += len(part)
        if size > most_bytes + room:
            raise TooLarge(f"it may have {most_bytes} bytes")
        parts.append(part)
    return b"".join(parts)


def read_flag(name: str, text: str) -> bool:
    """Return a flag; raises `InvalidParameter`."""
    if text not in ("true", "false"):
        raise InvalidParameter(f"{name}: true or false")
    return text == "true"
