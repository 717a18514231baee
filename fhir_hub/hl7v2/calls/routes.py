"""Calls for RXR: by which way a medicine is given, and which other ways are allowed.

Several RXR of one order are alternatives, of which whoever gives it takes one: FHIR has one route
in a dosage, and a second dosage would be given too, so the others are an extension. What the
pharmacy encoded (RXE) comes before what was asked for (RXO), as with the drug.

Spec: HL7v2 chapter 4A, RXR; R4 Dosage.route
"""

from types import MappingProxyType
from typing import Any

from fhir_hub.hl7v2.datatypes import codes
from fhir_hub.hl7v2.making.drafts import UNKNOWN, Draft, Place
from fhir_hub.hl7v2.parsing.er7 import Segment
from fhir_hub.hl7v2.parsing.path import Path
from fhir_hub.identity import systems

ALTERNATIVE = f"{systems.BASE}/StructureDefinition/alternative-route"
Json = dict[str, Any]
Paths = tuple[Path, ...]
_PARTS = MappingProxyType(
    {1: ("route", "Route"), 2: ("site", "BodySite"), 4: ("method", "AdministrationMethod")}
)
_HEADS = frozenset({"PID", "ORC", "OBR", "RXO", "RXE", "RXD", "RXG", "RXA"})


def route(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return route, site or method (RXR-1, -2, -4) of the RXR that counts, nothing of others."""
    segment = place.segment
    return _part(place, segment, paths[0].field) if _chosen(place, draft) is segment else None


def other_route(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the extension of an RXR behind the one that counts: another way, to choose from.

    What was asked for before the pharmacy said another way is kept word for word.
    """
    chosen, segment = _chosen(place, draft), place.segment
    if chosen is None or chosen is segment:
        return None
    if segment.index < chosen.index:
        if segment.fields != chosen.fields:
            place.run.pass_over()
        return None
    told = {_PARTS[path.field][0]: _part(place, segment, path.field) for path in paths}
    parts = [{"url": url, "valueCodeableConcept": made} for url, made in told.items() if made]
    known, key = draft.items.setdefault("routes", set()), repr(parts)
    if not parts or key in known:
        return None
    known.add(key)
    return {"url": ALTERNATIVE, "extension": parts}


def given_together(place: Place, draft: Draft, paths: Paths) -> None:
    """Give the doses of the same RXR before this one its route, and R4's dose where they have none.

    R4 wants a dose or a rate beside a route (mad-1).
    """
    if place.node.nearest("RXR") is not place.segment:
        return
    told = draft.resource.get("dosage", {})
    way = {name: told[name] for name, _ in _PARTS.values() if name in told}
    for other in place.node.nearest_drafts(draft.name):
        dosage = other.resource.get("dosage", {})
        if other is not draft and "route" not in dosage:
            other.resource["dosage"] = {"dose": UNKNOWN, **dosage, **way}


def way_of(place: Place, draft: Draft) -> Json:
    """Return route, site and method of the RXR that counts, as parts of a dosage."""
    chosen = _chosen(place, draft)
    told = _PARTS.items() if chosen is not None else ()
    made = {name: _part(place, chosen, at) for at, (name, _) in told if chosen is not None}
    return {name: one for name, one in made.items() if one}


def _part(place: Place, segment: Segment, field: int) -> Json | None:
    context = place.run.context
    table = context.table(_PARTS[field][1])
    told = [one for one in segment.repetitions(field) if one and not one.is_null]
    return codes.table_codeable_concept(told[0], context, table) if told else None


def _chosen(place: Place, draft: Draft) -> Segment | None:
    """Return the RXR that counts: the first of what was supplied, else encoded, else asked for."""
    if draft.resource["resourceType"] == "MedicationDispense":
        heads: list[Segment | None] = [draft.segment]
    else:
        heads = [place.find("RXE"), place.find("RXO")]
    found = (_behind(place, head) for head in heads if head is not None)
    return next((one for one in found if one is not None), None) or place.node.nearest("RXR")


def _behind(place: Place, head: Segment) -> Segment | None:
    """Return the first RXR behind a segment and before the next of its kind, looked for once."""
    known, segments = place.run.moments, place.run.message.segments
    key = ("RXR", head.index)
    if key not in known:
        found = None
        for at in range(head.index + 1, len(segments)):
            if segments[at].name in _HEADS:
                break
            if segments[at].name == "RXR":
                found = segments[at]
                break
        known[key] = found
    made: Segment | None = known[key]
    return made
