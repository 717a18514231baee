"""Calls for procedures: when one was done, and the whole that it is part of.

Spec: HL7v2 chapter 6 (PR1); https://build.fhir.org/ig/HL7/v2-to-fhir (PR1)
"""

from decimal import Decimal
from typing import Any

from fhir_hub.hl7v2.datatypes import identifiers, numbers, times
from fhir_hub.hl7v2.datatypes.quantities import Typed
from fhir_hub.hl7v2.making.drafts import Draft, Place
from fhir_hub.hl7v2.parsing.path import Path
from fhir_hub.r4.checks.moments import is_after

Json = dict[str, Any]
Paths = tuple[Path, ...]


def performed(place: Place, draft: Draft, paths: Paths) -> Typed | None:
    """Return when it was done: a Period of a time (PR1-5) and its minutes (PR1-7), else the time.

    A day is no moment from which minutes could be counted.
    """
    begun = _begun(place, paths[0])
    if not begun:
        return None
    lasts = _minutes(place, paths[1])
    end = times.after(begun, lasts) if lasts and "T" in begun else None
    return Typed("Period", {"start": begun, "end": end}) if end else Typed("dateTime", begun)


def status(place: Place, draft: Draft, paths: Paths) -> str:
    """Return that it was done, or is to be: its time (PR1-5) is after the message's (MSH-7)."""
    planned, told = _moment(place, paths[0]), _moment(place, paths[1])
    return "preparation" if planned and told and is_after(planned, told) else "completed"


def _moment(place: Place, path: Path) -> str | None:
    value = place.value(path)
    return times.date_time(value, place.run.context) if value else None


def minutes_alone(place: Place, draft: Draft, paths: Paths) -> Decimal | None:
    """Return how many minutes it took (PR1-7), where `performed` has no end that tells so."""
    lasts, begun = _minutes(place, paths[0]), _begun(place, paths[1])
    return None if lasts and "T" in begun and times.after(begun, lasts) else lasts


def _begun(place: Place, path: Path) -> str:
    value, found = place.value(path), _moment(place, path)
    if value and not found:
        place.run.keep(place.segment, path.field)
    return found or ""


def _minutes(place: Place, path: Path) -> Decimal | None:
    text = place.text(path)
    number = numbers.read_decimal(text)
    if text and number is None:
        place.run.keep(place.segment, path.field)
    return number if number and number > 0 else None


def whole_procedure(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the procedure that this one is part of (PR1-25), by its number."""
    value = place.value(paths[0])
    found = identifiers.ei(value, place.run.context) if value else None
    if found is None or not place.run.by_table:
        return {"type": "Procedure", "identifier": found} if found else None
    patients = place.node.nearest_drafts("Patient")
    whole_one = {"resourceType": "Procedure", "identifier": [found], "status": "unknown"}
    return whole_one | {"subject": {"reference": patients[0].full_url}} if patients else None
