"""`POST /hl7v2` and `POST /hl7v2/CHANNEL`: HL7v2 messages over HTTP, answered by their ACK.

The body is what would stand in an MLLP block: a message or a batch, in any character set. The
answer's body is the acknowledgment, its status says the same. Which channel has a message of
`/hl7v2` is decided as on a port that several share.

Spec: HL7 over HTTP (the media type x-application/hl7-v2+er7); HL7v2 chapter 2, 2.9.2
"""

from collections.abc import Sequence
from dataclasses import replace

from fastapi import FastAPI, Request, Response

from fhir_hub import fhirjson
from fhir_hub.errors import FhirError, NotAllowed, NotFound, UnsupportedMediaType, outcome
from fhir_hub.hl7v2.channels.channel import Channel
from fhir_hub.hl7v2.channels.http_status import status_of
from fhir_hub.hl7v2.channels.intake import Intake
from fhir_hub.hl7v2.wire.charset import codec
from fhir_hub.hl7v2.wire.mllp import Block
from fhir_hub.rest.media import unpacked

ER7 = "x-application/hl7-v2+er7"
MEDIA_TYPES = (ER7, "application/hl7-v2", "text/plain", "application/octet-stream", "")
_HEAD_BYTES = 4096
_OPENAPI = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string"}} for kind in MEDIA_TYPES[:3]},
    },
    "responses": {
        "200": {"description": "The acknowledgment", "content": {ER7: {}}},
        "default": {"description": "The acknowledgment that refuses it, or an OperationOutcome"},
    },
}


def add_messages(app: FastAPI, intake: Intake) -> None:
    """Add the two addresses to the application."""

    async def answered(request: Request, channels: Sequence[Channel]) -> Response:
        try:
            return await _answer(request, intake, channels)
        except FhirError as error:
            status, resource = outcome(error)
            return Response(
                fhirjson.dumps(resource), status, media_type="application/fhir+json; charset=utf-8"
            )

    @app.post("/hl7v2", summary="Take HL7v2 messages", openapi_extra=_OPENAPI)
    async def every(request: Request) -> Response:
        return await answered(request, intake.posted)

    @app.post(
        "/hl7v2/{channel}", summary="Take HL7v2 messages of a channel", openapi_extra=_OPENAPI
    )
    async def one(request: Request, channel: str) -> Response:
        return await answered(request, [one for one in intake.posted if one.name == channel])


async def _answer(request: Request, intake: Intake, channels: Sequence[Channel]) -> Response:
    if not channels:
        raise NotFound("there is no such HTTP channel; see [channels.NAME] in the settings")
    kind, _, rest = request.headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    if kind not in MEDIA_TYPES:
        raise UnsupportedMediaType(f"the body is {ER7}, application/hl7-v2 or text/plain")
    address = request.client.host if request.client else ""
    let_in = [_read_as(one, rest) for one in channels if one.allows(address)]
    if not let_in:
        raise NotAllowed("messages from this address are not taken / 不接收来自该地址的消息")
    block = await _block(request, max(one.size_bytes for one in let_in))
    answer = await intake.take(let_in, None, block)
    status = 413 if block.is_cut else status_of(answer)
    media_type = kind if kind in MEDIA_TYPES[1:2] else ER7
    return Response(answer, status, headers={"content-type": media_type})


def _read_as(channel: Channel, parameters: str) -> Channel:
    """Return the channel with the character set of a media type, if it has none of its own."""
    for part in parameters.split(";"):
        name, _, value = part.partition("=")
        charset = value.strip().strip('"')
        if name.strip().lower() == "charset" and codec(charset) and not channel.charset:
            return replace(channel, charset=charset)
    return channel


async def _block(request: Request, most_bytes: int) -> Block:
    """Return the body, without its content coding, as a block: of one over the limit the head."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= most_bytes or not parts:
            parts.append(part)
    if size > most_bytes:
        return Block(b"".join(parts)[:_HEAD_BYTES], is_cut=True)
    coding = request.headers.get("content-encoding", "")
    raw = unpacked(b"".join(parts), coding, most_bytes)
    return Block(raw.strip(b"\x0b\x1c\r\n") if raw.startswith(b"\x0b") else raw)
