"""Calls for where a fact comes from: the sending system, the message, the time it was sent.

Spec: https://hl7.org/fhir/R4/provenance.html; HL7v2 chapter 2, MSH
"""

import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from fhir_hub.hl7v2.datatypes import times
from fhir_hub.hl7v2.datatypes.parts import one_line, part
from fhir_hub.hl7v2.making.drafts import Draft, Place
from fhir_hub.hl7v2.parsing.path import Path
from fhir_hub.identity import systems

Json = dict[str, Any]
Paths = tuple[Path, ...]
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_RESPONSES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("AA", "CA"), "ok"),
        **dict.fromkeys(("AE", "CE"), "transient-error"),
        **dict.fromkeys(("AR", "CR"), "fatal-error"),
    }
)


def sending_application(place: Place, draft: Draft, paths: Paths) -> Json:
    """Return the Reference to the sending system, `application@facility`."""
    run = place.run
    name = f"{run.application or 'unknown'}@{run.facility or 'unknown'}"
    system = f"{systems.authority_system(run.facility)}/application"
    identifier = {"system": system, "value": run.application or "unknown"}
    return {"type": "Device", "identifier": identifier, "display": name}


def message_entity(place: Place, draft: Draft, paths: Paths) -> Json:
    """Return the Reference to the message, by its control id."""
    run = place.run
    system = f"{systems.authority_system(run.facility)}/message"
    if not run.control_id:
        system = "urn:ietf:rfc:3986"
    return {"identifier": {"system": system, "value": run.control_id or run.urns.of("message")}}


def message_response(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return what a message answers (MSA-2), and how (MSA-1); R4 wants both, the first as an id."""
    said, how = (place.value(path) for path in paths)
    number = one_line(part(said)) if said else ""
    code = _RESPONSES.get(part(how) if how else "")
    if number and not _ID.fullmatch(number):
        place.run.issue(
            "no-id", "what is answered has a number that is no FHIR id; it was left out"
        )
        return None
    return {"identifier": number, "code": code} if number and code else None


def recorded(place: Place, draft: Draft, paths: Paths) -> str | None:
    """Return the first of the times; of a mere date its midnight; else when it was received."""
    context = place.run.context
    for path in paths:
        value = place.value(path)
        text = part(value) if value else ""
        if known := times.to_the_second(text, context.zone):
            return known
        moment = times.read_moment(text, context)
        if moment and moment.day:
            whole = moment if moment.has_time else moment._replace(hour=0)
            return times.write_datetime(whole, context.zone)
    return place.run.received or None


def task_changed(place: Place, draft: Draft, paths: tuple[Path, ...]) -> str | None:
    """Return when a referral was last changed: RF1-9, else MSH-7, but not before it was written.

    R4 wants an order of both (Task inv-1), and RF1-7 is when a referral takes effect.
    """
    processed, sent, written = (place.value(path) for path in paths)
    context = place.run.context
    authored = times.date_time(written, context) if written else None
    for value in (processed, sent):
        moment = times.date_time(value, context) if value else None
        if moment and not (authored and _is_before(moment, authored)):
            return moment
    return authored


def _is_before(moment: str, other: str) -> bool:
    """Say whether a FHIR dateTime is before another, as far as both are precise."""
    shorter = min(len(moment), len(other), len("2025-03-10"))
    if moment[:shorter] != other[:shorter] or "T" not in moment or "T" not in other:
        return moment[:shorter] < other[:shorter]
    return datetime.fromisoformat(moment) < datetime.fromisoformat(other)


def kept(place: Place, draft: Draft, paths: Paths) -> None:
    """Have fields kept word for word: rows take parts of them, and not in each message."""
    for path in paths:
        segment = place.find(path.segment)
        if segment is not None and segment.field(path.field):
            place.run.keep(segment, path.field)
