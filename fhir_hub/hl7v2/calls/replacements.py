"""Calls for orders that take the place of others: RP, RQ or RU, and RO behind.

What is replaced is treated as though it were cancelled. Without an RO behind it nothing is known
to take its place: some senders write RP over an order that goes on under its number.

Spec: HL7v2 chapter 4, ORC-1 and table 0119; R4 medicationrequest.priorPrescription,
servicerequest.replaces
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fhir_hub.hl7v2.datatypes import identifiers
from fhir_hub.hl7v2.making.drafts import Draft, Place
from fhir_hub.hl7v2.parsing.er7 import Segment
from fhir_hub.hl7v2.parsing.path import Path

Json = dict[str, Any]
_REPLACED, _REPLACEMENT = ("RP", "RQ", "RU"), "RO"
_OVER: Mapping[str, str] = MappingProxyType(
    {"MedicationRequest": "stopped", "ServiceRequest": "revoked"}
)


def replaced_status(place: Place, draft: Draft, paths: tuple[Path, ...]) -> str | None:
    """Return the status of an order (ORC-1) in whose stead the message has another."""
    control = paths[0]
    if place.text(control) not in _REPLACED:
        return None
    own, known = place.find(control.segment), place.run.moments
    key = ("replaced", control.segment)
    if key not in known:
        known[key] = _replaced(place.run.message.all(control.segment))
    is_replaced = own is not None and own.index in known[key]
    return _OVER[draft.resource["resourceType"]] if is_replaced else None


def _replaced(orders: Sequence[Segment]) -> set[int]:
    """Return where the orders stand behind which, and others that go, one comes in their stead."""
    found, is_replaced = set[int](), False
    for one in reversed(orders):
        code = one.value(1)
        if code not in _REPLACED:
            is_replaced = code == _REPLACEMENT
        elif is_replaced:
            found.add(one.index)
    return found


def replaced_orders(place: Place, draft: Draft, paths: tuple[Path, ...]) -> list[Json] | None:
    """Return References to the orders in whose stead one is (ORC-1 RO); `paths` go on: numbers."""
    control, *numbers = paths
    if place.text(control) != _REPLACEMENT:
        return None
    own, gone, before = place.find(control.segment), list[Segment](), ""
    for one in place.run.message.all(control.segment):
        code = one.value(1)
        if one is own:
            break
        if code != _REPLACEMENT:
            kept = gone if before in _REPLACED else []
            gone = [*kept, one] if code in _REPLACED else []
        before = code
    return [found for one in gone if (found := _reference(one, place, draft, numbers))] or None


def _reference(order: Segment, place: Place, draft: Draft, numbers: list[Path]) -> Json | None:
    """Return the Reference to what an ORC became, else to its number."""
    kind, run = draft.resource["resourceType"], place.run
    following = (one.index for one in run.message.all("ORC") if one.index > order.index)
    end = next(following, len(run.message.segments))
    for one in run.drafts:
        is_made = one.mode != "change" and one.resource["resourceType"] == kind
        if is_made and order.index <= one.segment.index < end:
            return {"reference": one.full_url}
    for path, read in zip(numbers, (identifiers.placer_ei, identifiers.filler_ei), strict=True):
        value = next(iter(order.repetitions(path.field)), None)
        if value and (identifier := read(value, run.context)):
            return {"type": kind, "identifier": identifier}
    return None
