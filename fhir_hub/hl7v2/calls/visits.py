"""Calls for a visit: the bed in the state that PV1-40 says, what PV2-12 tells, its diagnoses.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir (PV1[Encounter], PV2[Encounter]); R4 narrative.html
"""

from html import escape
from typing import Any

from fhir_hub.hl7v2.calls.roles import made
from fhir_hub.hl7v2.datatypes import codes, places, texts, times
from fhir_hub.hl7v2.datatypes.parts import compact, part, whole
from fhir_hub.hl7v2.making.drafts import Draft, Place
from fhir_hub.hl7v2.parsing.path import Path

_BED_STATUS, _FINANCIAL_CLASS = "BedStatus", "FinancialClass"
_DIAGNOSIS_USE = "DiagnosisUse"
_A_DAY = len("20250310")
Json = dict[str, Any]


def assigned_place(place: Place, draft: Draft, paths: tuple[Path, ...]) -> Json | None:
    """Return the Location of PV1-3; by the tables a bed or a room in the state of PV1-40.

    The hub keeps a place once, and what state it is in is not this visit's to say.
    """
    where, state = paths
    value, context = place.value(where), place.run.context
    if value is None:
        return None
    location: Json | None = made("Location", value, place)
    told = place.value(state) if place.run.by_table else None
    if location and told and (part(value, 2) or part(value, 3)):
        found = codes.table_coding(told, context, context.table(_BED_STATUS))
        return location | {"operationalStatus": found} if found else location
    if place.text(state):
        place.run.keep(place.segment, state.field)
    return location


def place_identifier(place: Place, draft: Draft, paths: tuple[Path, ...]) -> Json | None:
    """Return the number of the bed that a message is about (NPU-1), as visits name it."""
    found: Json | None = _place(place, paths).get("identifier", [None])[0]
    return found


def place_name(place: Place, draft: Draft, paths: tuple[Path, ...]) -> str | None:
    """Return the name of the bed that a message is about."""
    return _place(place, paths).get("name")


def place_kind(place: Place, draft: Draft, paths: tuple[Path, ...]) -> Json | None:
    """Return what kind of place it is: room or bed."""
    return _place(place, paths).get("physicalType")


def _place(place: Place, paths: tuple[Path, ...]) -> Json:
    value = place.value(paths[0])
    return (places.location(value, place.run.context) if value else None) or {}


def financial_class(place: Place, draft: Draft, paths: tuple[Path, ...]) -> Json | None:
    """Return the class of FC; beside it stands since when, or with some senders its name."""
    value, context = place.value(paths[0]), place.run.context
    if value is None:
        return None
    coded = value.component(1) if _is_since(part(value, 2)) else value
    return codes.table_codeable_concept(coded, context, context.table(_FINANCIAL_CLASS))


def financial_period(place: Place, draft: Draft, paths: tuple[Path, ...]) -> Json | None:
    """Return since when FC is so."""
    value = place.value(paths[0])
    if value is None or not _is_since(part(value, 2)):
        return None
    begun = times.date_time(value.component(2), place.run.context)
    return {"start": begun} if begun else None


def _is_since(text: str) -> bool:
    return len(text) >= _A_DAY and text[:_A_DAY].isdigit()


def earlier_diagnoses(place: Place, draft: Draft, paths: tuple[Path, ...]) -> list[Json]:
    """Return the diagnoses that stand before their visit (REF), each with its use and its rank."""
    context, found = place.run.context, []
    table = context.table(_DIAGNOSIS_USE)
    for one in place.node.nearest_drafts("Condition"):
        there = Place(one.segment, place.node, place.run)
        use, rank = (there.value(path) for path in paths[:2])
        said: Json = {"condition": {"reference": one.full_url}}
        said["use"] = codes.table_codeable_concept(use, context, table) if use else None
        said["rank"] = texts.positive_int(rank, context) if rank else None
        found.append(compact(said) or {})
    return found


def narrative(place: Place, draft: Draft, paths: tuple[Path, ...]) -> Json | None:
    """Return what the sender writes of the visit as the Narrative beside its elements."""
    text = whole(place.segment.whole(paths[0].field))
    if not text:
        return None
    paragraph = escape(text, quote=False).replace("\n", "<br/>")
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{paragraph}</p></div>'
    return {"status": "additional", "div": div}
