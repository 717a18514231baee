"""Calls for further schedules of one order (TQ1 again, TQ again), and what is done as needed.

Each TQ1 of a prescription is a dosage of its own with the dose and the way of them all; in R4 an
order of something else is done at one time, so further ones are an extension. TQ1-12 says whether
the next one follows (S) or goes on beside (A).

Spec: HL7v2 chapter 4, TQ1-12; R4 Dosage.sequence, ServiceRequest.asNeeded
"""

from collections.abc import Iterator
from typing import Any

from fhir_hub.hl7v2.calls import orders, routes, timings
from fhir_hub.hl7v2.datatypes import quantities
from fhir_hub.hl7v2.datatypes import timings as patterns
from fhir_hub.hl7v2.datatypes.parts import compact, one_line, whole
from fhir_hub.hl7v2.datatypes.quantities import Typed
from fhir_hub.hl7v2.making.drafts import Draft, Place
from fhir_hub.hl7v2.parsing.er7 import Value
from fhir_hub.hl7v2.parsing.path import Path
from fhir_hub.hl7v2.rows.conditions import is_again
from fhir_hub.identity import systems

FURTHER = f"{systems.BASE}/StructureDefinition/further-schedule"
_DOSES = {
    "MedicationRequest": (("RXE", (3, 4, 5)), ("RXO", (2, 3, 4))),
    "MedicationDispense": (("RXG", (5, 6, 7)),),
}
_PRIORITY, _CONDITION = Path("TQ1", 9), Path("TQ1", 10)
Json = dict[str, Any]
Paths = tuple[Path, ...]


def as_needed(place: Place, draft: Draft, paths: Paths) -> Typed | None:
    """Return that something is to be done as needed, and if there is one under which condition.

    The paths are the pattern, the condition and the priority. An order that is no medicine may have
    a condition without a mark (PRN): it is done under that.
    """
    pattern, condition, priority = place.value(paths[0]), *map(place.text, paths[1:])
    is_marked = _is_marked(pattern, priority)
    text = one_line(condition)
    if text and (is_marked or draft.resource["resourceType"] == "ServiceRequest"):
        return Typed("CodeableConcept", {"text": text})
    return Typed("boolean", True) if is_marked else None


def _is_marked(pattern: Value | None, priority: str) -> bool:
    return priority.upper() == "PRN" or bool(pattern and patterns.is_as_needed(pattern))


def _dosage_as_needed(pattern: Value | None, condition: Value | None, priority: str) -> Json:
    """Return `asNeeded` of a dosage and the condition among its instructions."""
    text = whole(condition) if condition else ""
    told: Json = {"additionalInstruction": [{"text": text}] if text else []}
    if _is_marked(pattern, priority):
        told |= {"asNeededCodeableConcept": {"text": text}} if text else {"asNeededBoolean": True}
    return told


def further_dosage(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the dosage of a TQ1 behind another, whatever number it has.

    The paths are TQ1-2, TQ1-10, TQ1-11 and those of its timing.
    """
    if not is_again(place):
        return None
    amount, condition, instruction, *timing = paths
    found = timings.order_timing(place, draft, tuple(timing))
    told = place.value(amount)
    text, pattern = place.value(instruction), place.value(timing[0])
    made = {
        "sequence": _sequence(place),
        "text": whole(text) if text else "",
        **_dosage_as_needed(pattern, place.value(condition), place.text(_PRIORITY)),
        "timing": found.value if found else None,
        **_as_ordered(place, draft, told),
    }
    return compact(made)


def further_patterns(place: Place, draft: Draft, paths: Paths) -> list[Json] | None:
    """Return the dosages of what a field says behind its first (TQ1-3; RXE-1 and ORC-7, a TQ)."""
    found = []
    for value, timing in _behind_first(place, paths[0]):
        is_whole = paths[0].segment != "TQ1"
        text = value.component(8) if is_whole else None
        amount = value.component(1) if is_whole else place.value(Path("TQ1", 2))
        needed = (
            _dosage_as_needed(value.component(2), value.component(7), value.text(6))
            if is_whole
            else _dosage_as_needed(value, place.value(_CONDITION), place.text(_PRIORITY))
        )
        made = {"text": whole(text) if text else "", **needed, "timing": timing}
        found.append(compact(made | _as_ordered(place, draft, amount)) or {})
    return found or None


def further_schedules(place: Place, draft: Draft, paths: Paths) -> list[Json] | None:
    """Return the extensions of when else an order is to be done.

    That is the Timing of a TQ1 behind another; with one path what its field says behind its first.
    """
    if len(paths) > 1:
        one = timings.order_timing(place, draft, paths) if is_again(place) else None
        found = [one.value] if one else []
    else:
        found = [timing for _, timing in _behind_first(place, paths[0])]
    return [{"url": FURTHER, "valueTiming": one} for one in found] or None


def first_pattern(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Timing of the first pattern of TQ1-3: the others are further ones."""
    value = place.value(paths[0])
    return patterns.timing(value, place.run.context) if value else None


def first_amount(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Quantity of the first TQ of a field: those behind it are further dosages."""
    value = _of_first(place, paths[0])
    return quantities.simple_quantity(value, place.run.context) if value else None


def first_words(place: Place, draft: Draft, paths: Paths) -> str | None:
    """Return what the first TQ of a field says in words (TQ.7, TQ.8)."""
    value = _of_first(place, paths[0])
    return (whole(value) or None) if value else None


def _of_first(place: Place, path: Path) -> Value | None:
    segment = place.find(path.segment)
    told = segment.repetitions(path.field)[:1] if segment is not None else ()
    return next((one.component(path.component) for one in told), None)


def _behind_first(place: Place, path: Path) -> Iterator[tuple[Value, Json]]:
    context = place.run.context
    for value in place.values(path)[1:]:
        is_pattern = path.segment == "TQ1"
        timing = (
            patterns.timing(value, context)
            if is_pattern
            else timings.timing_of_quantity(value, place)
        )
        if timing:
            yield value, timing


def _as_ordered(place: Place, draft: Draft, amount: Value | None) -> Json:
    """Return the dose, that of TQ unless the order has its own, and the way to give it."""
    dose: Json = {}
    for name, numbers in _DOSES.get(draft.resource["resourceType"], ()):
        if made := orders.dose(place, draft, tuple(Path(name, at) for at in numbers)):
            dose = {f"dose{made.fhir_type}": made.value}
            break
    if not dose and amount:
        quantity = quantities.simple_quantity(amount, place.run.context)
        dose = {"doseQuantity": quantity} if quantity else {}
    return {**routes.way_of(place, draft), "doseAndRate": [dose] if dose else []}


def _sequence(place: Place) -> int | None:
    """Return the place of a TQ1 among those before it: the next one where one says `S`."""
    known, segments = place.run.moments, place.run.message.segments
    at, new = place.segment.index - 1, []
    while at >= 0 and segments[at].name in ("TQ1", "TQ2") and ("joined", at) not in known:
        new.append(at)
        at -= 1
    is_told, steps = known.get(("joined", at), (False, 0))
    for at in reversed(new):
        code = segments[at].value(12).upper() if segments[at].name == "TQ1" else ""
        is_told, steps = is_told or bool(code), steps + (code == "S")
        known["joined", at] = is_told, steps
    return 1 + steps if is_told else None
