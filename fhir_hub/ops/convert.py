"""`POST /hl7v2/$convert`: a message as FHIR, tried and not stored.

The body is the message as it would come over MLLP, in any character set, or a FHIR Parameters
resource that holds it; the parameters are in the query or in that resource. The answer is the
Bundle, or Parameters of `bundle` and `report`.

Spec: https://hl7.org/fhir/R4/operations.html#executing
"""

import asyncio
import base64
from contextlib import suppress
from typing import Any

from fastapi import FastAPI, Request, Response

from fhir_hub import fhirjson
from fhir_hub.errors import (
    FhirError,
    InvalidParameter,
    InvalidResource,
    UnknownParameter,
    UnsupportedMediaType,
    outcome,
)
from fhir_hub.hl7v2.reports.text import as_text
from fhir_hub.hl7v2.reports.trial import Trial, Trials
from fhir_hub.nearest import did_you_mean
from fhir_hub.ops.answers import read_body
from fhir_hub.rest.media import unpacked
from fhir_hub.store.journal import Journal

PATH = "/hl7v2/$convert"
MEDIA_TYPE = "application/fhir+json; charset=utf-8"
_ER7, _JSON = "x-application/hl7-v2+er7", "application/fhir+json"
_OTHER_ER7 = ("application/hl7-v2", "text/plain", "application/octet-stream", "")
_VALUES = {
    "sender": (),
    "report": ("false", "true", "text"),
    "tables": ("false", "true"),
    "journal": (),
}
Json = dict[str, Any]


def add_convert(app: FastAPI, trials: Trials, journal: Journal) -> None:
    """Add the operation to the application; `journal` has the messages that came."""

    @app.post(PATH, summary="Convert an HL7v2 message; nothing is stored", openapi_extra=_OPENAPI)
    async def convert(request: Request) -> Response:
        try:
            answer = await _answer(request, trials, journal)
            return Response(fhirjson.dumps(answer), media_type=MEDIA_TYPE)
        except FhirError as error:
            status, resource = outcome(error)
            return Response(fhirjson.dumps(resource), status, media_type=MEDIA_TYPE)


async def _answer(request: Request, trials: Trials, journal: Journal) -> Json:
    room = trials.most_bytes // 3 + (64 << 10)  # base64 in JSON takes a third more
    content = await read_body(request, trials.most_bytes, room=room)
    coding = request.headers.get("content-encoding", "")
    raw = unpacked(content, coding, trials.most_bytes + room)
    kind, _, rest = request.headers.get("content-type", "").partition(";")
    pairs = list(request.query_params.multi_items())
    charset = ""
    if kind.strip().lower() in (_JSON, "application/json"):
        raw, given = _parameters(raw)
        pairs += given
    elif kind.strip().lower() in (_ER7, *_OTHER_ER7):
        charset = _charset(rest)
    else:
        raise UnsupportedMediaType(f"the body is {_ER7}, text/plain or {_JSON}")
    asked = _checked(pairs)
    report = asked.get("report", "false")
    options: dict[str, Any] = {
        "sender": asked.get("sender", ""),
        "by_table": asked.get("tables") == "true",
        "with_report": report != "false",
    }
    number = asked.get("journal", "")
    if not number:
        trial = await asyncio.to_thread(trials.run, raw, forced=charset, **options)
    elif raw:
        raise InvalidParameter("either a message in the body, or journal, not both")
    elif not (number.isascii() and number.isdigit() and len(number) < 19):
        raise InvalidParameter("journal is the number of a message in the journal")
    else:
        trial = await trials.again(journal, int(number), **options)
    return trial.bundle if report == "false" else _told(trial, is_text=report == "text")


def _charset(text: str) -> str:
    """Return the character set that the parameters of a media type name."""
    for part in text.split(";"):
        name, _, value = part.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"')
    return ""


def _parameters(raw: bytes) -> tuple[bytes, list[tuple[str, str]]]:
    """Return the message and the other parameters of a Parameters resource."""
    resource = fhirjson.loads(raw)
    if not isinstance(resource, dict) or resource.get("resourceType") != "Parameters":
        raise InvalidResource("the body is no Parameters resource", expression="resourceType")
    given = resource.get("parameter", [])
    rows = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
    messages = [one for one in rows if one.get("name") == "message"]
    if len(messages) != 1:
        raise InvalidResource(
            "Parameters holds one `message`", expression="Parameters.parameter.name"
        )
    pairs = []
    for one in rows:
        if one is messages[0]:
            continue
        values = [value for name, value in one.items() if name.startswith("value")]
        value = values[0] if len(values) == 1 else ""
        is_flag = isinstance(value, bool)
        pairs.append((str(one.get("name", "")), str(value).lower() if is_flag else str(value)))
    return _message(messages[0]), pairs


def _message(parameter: Json) -> bytes:
    kinds = ("value", "resource", "part")
    said = {name: one for name, one in parameter.items() if name.startswith(kinds)}
    if len(said) == 1:
        match said:
            case {"valueString": str(text)}:
                return text.encode()
            case {"valueBase64Binary": str(coded)} | {"resource": {"data": str(coded)}}:
                with suppress(ValueError):
                    return base64.b64decode(coded, validate=True)
    raise InvalidResource(
        "`message` is a valueString, a valueBase64Binary or a Binary",
        expression="Parameters.parameter",
    )


def _checked(pairs: list[tuple[str, str]]) -> dict[str, str]:
    asked: dict[str, str] = {}
    for name, value in pairs:
        if name not in _VALUES:
            near = did_you_mean(name, _VALUES, f"there are {', '.join(_VALUES)}")
            raise UnknownParameter(f"$convert has no parameter {name[:60]}{near}")
        if name in asked:
            raise InvalidParameter(f"$convert takes {name} once")
        if _VALUES[name] and value not in _VALUES[name]:
            near = did_you_mean(value, _VALUES[name])
            raise InvalidParameter(f"{name} is one of {', '.join(_VALUES[name])}{near}")
        asked[name] = value
    return asked


def _told(trial: Trial, *, is_text: bool) -> Json:
    report: Json = {"name": "report", "valueString": as_text(trial.report)}
    if not is_text:
        report = _part("report", trial.report)
    bundle = {"name": "bundle", "resource": trial.bundle}
    return {"resourceType": "Parameters", "parameter": [bundle, report]}


def _part(name: str, value: Any) -> Json:
    """Return a JSON value as a parameter: an object as parts, a list as parts of one name."""
    if isinstance(value, dict):
        parts = [
            _part(key, one)
            for key, held in value.items()
            for one in (held if isinstance(held, list) else [held])
        ]
        return {"name": name, "part": parts} if parts else {"name": name}
    if isinstance(value, bool):
        return {"name": name, "valueBoolean": value}
    return (
        {"name": name, "valueInteger": value}
        if isinstance(value, int)
        else {"name": name, "valueString": str(value) or "-"}
    )


_PLAIN = {"schema": {"type": "string"}}
_OBJECT = {"schema": {"type": "object"}}
_OPENAPI: Json = {
    "parameters": [
        {
            "name": name,
            "in": "query",
            "schema": {"type": "string"} | ({"enum": list(values)} if values else {}),
        }
        for name, values in _VALUES.items()
    ],
    "requestBody": {
        "required": True,
        "content": {_ER7: _PLAIN, "text/plain": _PLAIN, _JSON: _OBJECT},
    },
    "responses": {
        "200": {
            "description": "The Bundle, or Parameters of `bundle` and `report`",
            "content": {_JSON: _OBJECT},
        },
        "default": {"description": "An OperationOutcome", "content": {_JSON: _OBJECT}},
    },
}
