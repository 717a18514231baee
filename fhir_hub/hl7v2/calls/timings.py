"""Calls for when something is to be done: TQ1, and TQ before it, as one Timing.

TQ1 says in a dozen fields what FHIR has in `Timing.repeat`; R4 lets an offset stand only beside an
event (tim-9), a time of day only without one (tim-10), and a length only with its unit (tim-1).

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir (TQ1[ServiceRequest]); R4 datatypes.html#Timing
"""

from typing import Any

from fhir_hub.hl7v2.datatypes import quantities, texts, times, timings
from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.datatypes.parts import compact, part
from fhir_hub.hl7v2.datatypes.quantities import Typed
from fhir_hub.hl7v2.making.drafts import Draft, Place
from fhir_hub.hl7v2.parsing.er7 import Value
from fhir_hub.hl7v2.parsing.path import Path

Json = dict[str, Any]
Paths = tuple[Path, ...]
_A_DAY = len("2025-03-10")
_MINUTES = {"min": 1, "h": 60, "d": 1440, "wk": 7 * 1440}


def order_timing(place: Place, draft: Draft, paths: Paths) -> Typed | None:
    """Return the Timing of an order.

    The paths are TQ1-3 (pattern), -4 (times of day), -5 (offset), -6 (how long), -7 and -8 (from,
    until), -13 (length of one) and -14 (how often in all).
    """
    pattern, at, offset, service, begins, ends, length, total = paths
    context = place.run.context
    if place.find(pattern.segment) is None and len({path.segment for path in paths}) == 1:
        return None
    value = place.value(pattern)
    made = (timings.timing(value, context) if value else None) or {}
    repeat: Json = dict(made.get("repeat", {}))
    if "when" in repeat:
        distance = place.value(offset)
        if distance and "offset" not in repeat:
            repeat |= timings.offset_of(distance)
    else:
        hours = [times.time(one, context) for one in place.values(at)]
        repeat |= compact({"timeOfDay": [one for one in hours if one]}) or {}
    repeat |= _bounds(place, service, begins, ends)
    if one := place.value(length):
        repeat |= timings.length_of(one)
    count = place.value(total)
    if count and (number := texts.positive_int(count, context)):
        repeat["count"] = number
    found = compact(made | {"repeat": repeat})
    return Typed("Timing", found) if found else None


def _bounds(place: Place, service: Path, begins: Path, ends: Path) -> Json:
    start, end = place.value(begins), place.value(ends)
    context = place.run.context
    period = compact(
        {
            "start": times.date_time(start, context) if start else "",
            "end": times.date_time(end, context) if end else "",
        }
    )
    lasts = place.value(service)
    if period:
        begun, ended = period.get("start", ""), period.get("end", "")
        if lasts and not ended and (found := _end(begun, lasts, context)):
            period["end"] = found
        if lasts and not begun and (found := _start(ended, lasts, context)):
            period["start"] = found
        return {"boundsPeriod": period}
    duration = quantities.duration(lasts, context) if lasts else None
    return {"boundsDuration": duration} if duration and "code" in duration else {}


def _end(begun: str, lasts: Value, context: Context) -> str | None:
    """Return when what begins so and lasts so long is over, as precise as its beginning."""
    return _over(begun, quantities.duration(lasts, context) or {})


def _start(ended: str, lasts: Value, context: Context) -> str | None:
    """Return when what ends so and lasted so long began, as precise as its end."""
    return _over(ended, quantities.duration(lasts, context) or {}, -1)


def _over(begun: str, duration: Json, forward: int = 1) -> str | None:
    unit = _MINUTES.get(duration.get("code", ""))
    if unit is None or len(begun) < _A_DAY:
        return None
    return times.after(begun, forward * duration["value"] * unit)


def service_end(place: Place, draft: Draft, paths: Paths) -> str | None:
    """Return when a service that begins at TQ1-7 and lasts for TQ1-6 is over."""
    begins, service = (place.value(path) for path in paths)
    context = place.run.context
    begun = times.date_time(begins, context) if begins else None
    return _end(begun, service, context) if begun and service else None


def service_start(place: Place, draft: Draft, paths: Paths) -> str | None:
    """Return when a service that is over at TQ1-8 and lasts for TQ1-6 begins."""
    ends, service = (place.value(path) for path in paths)
    context = place.run.context
    ended = times.date_time(ends, context) if ends else None
    return _start(ended, service, context) if ended and service else None


def occurrence_length(place: Place, draft: Draft, paths: Paths) -> Any:
    """Return how long one time lasts (TQ1-13), in the unit that `occurrence_unit` returns."""
    value = place.value(paths[0])
    return timings.length_of(value).get("duration") if value else None


def occurrence_unit(place: Place, draft: Draft, paths: Paths) -> str | None:
    """Return the unit of how long one time lasts (TQ1-13)."""
    value = place.value(paths[0])
    return timings.length_of(value).get("durationUnit") if value else None


def event_offset(place: Place, draft: Draft, paths: Paths) -> int | None:
    """Return the minutes of TQ1-5 from an event that TQ1-3 names: R4 has none from others."""
    pattern, offset = (place.value(path) for path in paths)
    repeat = (timings.timing(pattern, place.run.context) or {}).get("repeat", {}) if pattern else {}
    if offset is None or "when" not in repeat or "offset" in repeat:
        return None
    return timings.offset_of(offset).get("offset")


def quantity_timing(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Timing of TQ, which TQ1 replaced in 2.5 (ORC-7, OBR-27, RXE-1).

    Of several fields a component is read in the first that has it.
    """
    return _of_quantity([value for path in paths if (value := place.value(path))], place, "")


def timing_of_quantity(value: Value, place: Place) -> Json | None:
    """Return the Timing of one TQ."""
    return _of_quantity([value], place, "")


def _of_quantity(told: list[Value], place: Place, begun: str) -> Json | None:
    """Return the Timing that TQs tell together, of what begins at `begun` where they say no other.

    What lasts so and so long from a beginning on is over at its end.
    """
    if not told:
        return None
    context = place.run.context

    def said(component: int) -> Value:
        found = (value.component(component) for value in told)
        return next((one for one in found if one), told[0].component(component))

    pattern, start, end = said(2), said(4), said(5)
    made = (timings.timing(pattern, context) if pattern else None) or {}
    period: Json = {
        "start": (times.date_time(start, context) if start else "") or begun,
        "end": times.date_time(end, context) if end else "",
    }
    lasts = timings.bounds_of(part(said(3), 1))
    if period["start"] and not period["end"] and "boundsDuration" in lasts:
        period["end"] = _over(period["start"], lasts["boundsDuration"])
    repeat: Json = {**made.get("repeat", {}), **lasts, **timings.length_of(said(11))}
    if bounds := compact(period):
        repeat.pop("boundsDuration", None)
        repeat["boundsPeriod"] = bounds
    total = said(12)
    if count := texts.positive_int(total, context) if total else None:
        repeat["count"] = count
    return compact(made | {"repeat": repeat})


def quantity_occurrence(place: Place, draft: Draft, paths: Paths) -> Typed | None:
    """Return when an order of TQ is to be done (OBR-27, ORC-7), from OBR-6 on if TQ has no start.

    The second path, if there is one, is OBR-6.
    """
    requested = place.value(paths[1]) if len(paths) > 1 else None
    begun = times.date_time(requested, place.run.context) if requested else None
    value = place.value(paths[0])
    found = _of_quantity([value] if value else [], place, begun or "")
    return Typed("Timing", found) if found else None
