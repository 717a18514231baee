"""Calls for appointments: when they are, and what their message makes of them.

R4 wants both ends of an Appointment or neither, and a time for all but proposed, waiting and
cancelled ones; SIU messages have the times in several places, or a start and a duration.

Spec: https://hl7.org/fhir/R4/appointment.html (app-2, app-3); HL7v2 chapter 10, SCH and AIS
"""

from decimal import Decimal
from typing import Any

from fhir_hub.hl7v2.datatypes import codes, numbers, times, units
from fhir_hub.hl7v2.datatypes.parts import part
from fhir_hub.hl7v2.datatypes.table import DATATYPES
from fhir_hub.hl7v2.making import items
from fhir_hub.hl7v2.making.drafts import Draft, Place
from fhir_hub.hl7v2.parsing.path import Path

_BOOKED = {"AIP": "Practitioner", "AIL": "Location"}
_STATUSES = "AppointmentStatus"
_BY_EVENT = {"S15": "cancelled", "S16": "cancelled", "S17": "entered-in-error", "S26": "noshow"}
_CHANGES = frozenset({"S14", "S18", "S19", "S20", "S21", "S22", "S23", "S24"})
_BLOCKS = {"S23": "booked", "S24": "cancelled"}
_MOST_MINUTES = 1 << 31
_ONE = ("", "ONCE", "C")
_WITHOUT_TIME = ("proposed", "cancelled", "waitlist")
_MINUTES = {"s": Decimal(1) / 60, "min": Decimal(1), "h": Decimal(60), "d": Decimal(1440)}
_SHORT = {"S": "s", "M": "min", "H": "h", "D": "d"}
Json = dict[str, Any]
Paths = tuple[Path, ...]


def start(place: Place, draft: Draft, paths: Paths) -> str | None:
    """Return the first start that one of the paths has, TQ1 before what it replaced in 2.5."""
    for path in sorted(paths, key=lambda path: path.segment != "TQ1"):
        value = place.value(path)
        if value and (found := times.instant(value, place.run.context)):
            return found
    return None


def end(place: Place, draft: Draft, paths: Paths) -> str | None:
    """Return the end: of the first two paths, else the start and a duration.

    The paths are ends, how often a booking comes again (then they are ends of the series, not of
    the first one), pairs of a duration and its unit, and one like `M15` (TQ.3).
    """
    begun = draft.resource.get("start")
    if not begun:
        return None
    first, second, again, repeated, *durations, short = paths
    minutes = _minutes(place, durations) or _short(place.text(short))
    is_series = any(place.text(one).upper() not in _ONE for one in (again, repeated))
    if not (minutes and is_series) and (found := start(place, draft, (first, second))):
        return found
    if minutes and (found := times.after(begun, minutes)):
        return found
    place.run.issue("no-end", "an appointment has a start alone; its end was set to it")
    return str(begun)


def minutes(place: Place, draft: Draft, paths: Paths) -> int | None:
    """Return how many minutes a duration and its unit make, at least one, as many as R4 knows."""
    found = _minutes(place, list(paths))
    return max(1, round(found)) if found and found < _MOST_MINUTES else None


def booked_period(place: Place, draft: Draft, paths: Paths) -> dict[str, str] | None:
    """Return when a person, a room, a device or a service is booked.

    The paths are a start, how long after the booking's own it is where none is given, its unit,
    a duration and its unit.
    """
    begins, offset, offset_unit, *duration = paths
    booked = place.find(begins.segment)
    if booked is not None and booked.field(begins.field) == '""':
        draft.nulls.append(items.part_of("participant", booked.index, "period"))
    begun = start(place, draft, (begins,)) or _after(place, draft, offset, offset_unit)
    if not begun:
        return None
    lasts = _minutes(place, duration)
    end = times.after(begun, lasts) if lasts else None
    return {"start": begun} | ({"end": end} if end else {})


def participant_status(place: Place, draft: Draft, paths: Paths) -> str:
    """Return that who is booked takes part, where the field does not say whether."""
    (told,) = paths
    if not place.text(told):
        draft.unsaid += (items.part_of("participant", place.segment.index, "status"),)
    return "accepted"


def booked_too(place: Place, draft: Draft, paths: Paths) -> list[Json] | None:
    """Return a participant for each further person or room that one segment books (AIP-3, AIL-3).

    It is booked as the first of them is, whose item stands in the Appointment.
    """
    index = place.segment.index
    first = draft.items.get((id(draft.resource), "participant", "", index))
    _, *others = place.values(paths[0])
    if first is None or "actor" not in first or not others:
        return None
    make, run = DATATYPES[_BOOKED[paths[0].segment]], place.run
    made = [make(one, run.context) for one in others if not one.is_null]
    actors = [run.support(one, place.segment) for one in made if one]
    found = [first | {"actor": actor} for actor in actors if actor]
    for one in found:
        draft.unsaid += items.as_of(draft.unsaid, "participant", index, one)
        draft.nulls += items.as_of(draft.nulls, "participant", index, one)
    return found


def _after(place: Place, draft: Draft, offset: Path, unit: Path) -> str | None:
    """Return the start that is an offset, of either sign, from that of the Appointment."""
    number = numbers.read_decimal(place.text(offset))
    bookings = [draft, *place.node.nearest_drafts("Appointment")]
    begun = next((one.resource["start"] for one in bookings if "start" in one.resource), "")
    if number is None or not begun:
        return None
    return times.after(begun, number * _a_unit(place, offset, unit))


def _a_unit(place: Place, amount: Path, path: Path) -> Decimal:
    """Return the minutes of a unit of time, which may stand behind the amount; a minute without."""
    value = place.value(path)
    if not value or not part(value, 1):
        told = place.value(amount)
        value = told.component(2) if told and part(told, 2) else None
    unit = units.unit_of(value) if value else units.Unit("", "min")
    code = units.minutes_told(unit).code
    return _MINUTES.get(code, Decimal(1))


def _minutes(place: Place, durations: list[Path]) -> Decimal | None:
    for amount, unit in zip(durations[::2], durations[1::2], strict=True):
        number = numbers.read_decimal(place.text(amount))
        if number and number > 0:
            return number * _a_unit(place, amount, unit)
    return None


def _short(text: str) -> Decimal | None:
    number = numbers.read_decimal(text[1:]) if text[:1] in _SHORT and len(text) < 9 else None
    return number * _MINUTES[_SHORT[text[0]]] if number and number > 0 else None


def status(place: Place, draft: Draft, paths: Paths) -> str:
    """Return the status: by what the event does, else as the fields say, else booked.

    The fields are the booking's own and that of its services, where all of these say the same. A
    change of a booking that has no status, or no time for it, says none. Time that is blocked for
    nobody (S23) is booked until it is opened (S24).
    """
    event, own, of_services = paths
    is_change = place.text(event) in _CHANGES
    found = _BY_EVENT.get(place.text(event), "")
    if (blocks := _BLOCKS.get(place.text(event))) and place.run.message.first("PID") is None:
        is_change, found = False, blocks
    table = place.run.context.table(_STATUSES)
    if not found and (value := place.value(own)):
        coded = codes.look_up(value, table)
        found = coded.code if coded else ""
    if not found:
        key = ("status", of_services.segment)
        known = place.run.moments
        if key not in known:  # the same for all bookings of the message
            told = {
                coded.code if (coded := codes.look_up(value, table)) else ""
                for segment in place.run.message.all(of_services.segment)
                if (value := segment.whole(of_services.field))
            }
            known[key] = told.pop() if len(told) == 1 else ""
        found = known[key]
    is_untimed = "start" not in draft.resource and (found or "booked") not in _WITHOUT_TIME
    if is_change and (is_untimed or not found):
        draft.unsaid += ("status",)
    found = found or "booked"
    if is_untimed:
        place.run.issue("no-start", "an appointment has no time; it was taken as proposed")
        return "proposed"
    return found
