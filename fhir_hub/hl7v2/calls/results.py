"""Calls for results: what an OBX says; by what it is known when it is corrected is in `keys`.

Spec: https://hl7.org/fhir/R4/observation.html; HL7v2 chapter 7, OBX
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from fhir_hub.hl7v2.calls import narratives
from fhir_hub.hl7v2.datatypes import (
    codes,
    coding_systems,
    measured,
    observed,
    quantities,
    ranges,
    texts,
    units,
)
from fhir_hub.hl7v2.datatypes.coding_systems import LOINC
from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.datatypes.parts import compact, part, whole
from fhir_hub.hl7v2.datatypes.quantities import Typed
from fhir_hub.hl7v2.making.drafts import Draft, Place
from fhir_hub.hl7v2.parsing.er7 import Encoding, Value
from fhir_hub.hl7v2.parsing.path import Path

CODES, CATEGORIES = "ObservationCode", "ObservationCategory"
PRESSURE_PANEL = "85354-9"
_PRESSURE_UNITS = ("mm[Hg]", "kPa")
_PRESSURE_NAME = "血压"
_VERDICT = 60
_LONG = 20  # a shorter text may be a mere number, as most results are: it need not be read again
NUMBER, TEXT, PARTS = "number", "text", "parts"
_plain = re.compile(r"[0-9]+(?:\.[0-9]+)?").fullmatch
VITAL_SIGNS = frozenset(
    {"8867-4", "9279-1", "8310-5", "2708-6", "59408-5", "8302-2", "9843-4", "29463-7", "39156-5"}
    | {"85354-9", "8480-6", "8462-4"}
)
Json = dict[str, Any]
Paths = tuple[Path, ...]


def observed_value(place: Place, draft: Draft, paths: Paths) -> Any:
    """Return the value of OBX-5 by OBX-2 and OBX-6; nothing where components hold it."""
    value, kind, unit = paths
    segment = place.find(value.segment)
    if "component" in draft.resource or segment is None:
        return None
    raw, run = segment.field(value.field), place.run
    context = run.context
    if len(raw) < _LONG and _plain(raw) and place.text(kind) == "NM":
        made = quantities.of_number(Decimal(raw), _unit(place, unit), context)
        if run.by_table:
            made = quantities.with_name(made, place.value(unit), context)
        return Typed("Quantity", made)
    values = segment.repetitions(value.field)
    if not values:
        return None
    found = observed.observed_value(place.text(kind), values, place.value(unit), context)
    if found and found.fhir_type == "Quantity":
        return Typed("Quantity", quantities.with_name(found.value, place.value(unit), context))
    if found and found.fhir_type == "String" and unit.segment == place.segment.name:
        run.keep(place.segment, unit.field)  # no text of R4 has a unit
    return found


def _unit(place: Place, path: Path) -> units.Unit:
    """Return the unit that a field has, if it stands in the segment itself without a look at it."""
    segment = place.segment
    raw = segment.field(path.field) if segment.name == path.segment else ""
    if raw[:1].isalnum() and segment.encoding.repetition not in raw and not path.component:
        return units.unit_written(raw, segment.encoding)
    return units.unit_of(place.value(path))


def kind_of(text: str, encoding: Encoding) -> str:
    """Return what the text of OBX-5 is: a mere NUMBER, TEXT that is no two pressures, or PARTS."""
    if len(text) < _LONG and _plain(text):
        return NUMBER
    return PARTS if "/" in text or "／" in text or encoding.repetition in text else TEXT


_ONE_VALUE = frozenset({"", "TX", "FT", "ST", "ED", "RP", "NA", "MA"})


def repeated_components(place: Place, draft: Draft, paths: Paths) -> list[Json] | None:
    """Return a component for each repetition of OBX-5; texts that repeat are lines of one."""
    value_path, kind_path, unit_path, bounds_path = paths
    segment, kind = place.segment, place.text(kind_path).upper()
    raw = segment.field(value_path.field)
    if (
        segment.encoding.repetition not in raw
        or kind in _ONE_VALUE
        or "component" in draft.resource
    ):
        return None
    values = [one for one in segment.repetitions(value_path.field) if one and not one.is_null]
    code = draft.resource.get("code")
    if len(values) < 2 or not code:
        return None
    unit = place.value(unit_path)
    bounds = reference_range(place, draft, (bounds_path, unit_path))
    components: list[Json] = []
    for value in values:
        found = observed.observed_value(kind, [value], unit, place.run.context)
        if found:
            name = f"value{found.fhir_type[:1].upper()}{found.fhir_type[1:]}"
            one = {"code": code, name: found.value}
            components.append(one | ({"referenceRange": bounds} if bounds else {}))
    return components or None


def observed_attachment(place: Place, draft: Draft, paths: Paths) -> Any:
    """Return the Attachments of an OBX-5 of files (ED, RP): no value[x] of R4 holds one."""
    context = place.run.context
    values = (one for one in place.values(paths[0]) if not one.is_null)
    made = [found for one in values if (found := observed.attachment(one, context))]
    return made if len(made) > 1 else next(iter(made), None)


def pressure_components(place: Place, draft: Draft, paths: Paths) -> list[Json] | None:
    """Return both components of a blood pressure that one text holds (`148/92`)."""
    value, unit, bounds = paths
    segment = place.segment
    raw = segment.field(value.field)
    if "/" not in raw and "／" not in raw:
        return None
    found = place.value(value)
    if found is None:
        return None
    code = draft.resource.get("code", {})
    is_panel = any(coding.get("code") == PRESSURE_PANEL for coding in code.get("coding", ()))
    unit_value = place.value(unit)
    is_told = units.unit_of(unit_value).code in _PRESSURE_UNITS or observed.has_pressure_unit(raw)
    if not is_panel and not is_told and _PRESSURE_NAME not in code.get("text", ""):
        return None
    components = observed.pressure_components(
        found, unit_value, place.value(bounds), place.run.context, is_named=is_panel
    )
    if components and place.segment.field(2) == "NM":
        told = "an observation called a number is a blood pressure of two"
        place.run.context.normalised("retyped-value", told)
    if components and not is_panel:
        panel = {
            "system": LOINC,
            "code": PRESSURE_PANEL,
            "display": "Blood pressure panel with all children optional",
        }
        code = draft.resource.setdefault("code", {})
        code["coding"] = [panel, *code.get("coding", ())]
    return components


def verdict_of_value(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the interpretation that stands in brackets behind a number (`0.01(阴性)`).

    None where OBX-8 says the same, or by the standard's tables, where such a value is a text.
    """
    value, flag = paths
    raw, context = place.segment.field(value.field), place.run.context
    if context.by_table or not (raw.endswith(")") or raw.endswith("）")) or len(raw) > _VERDICT:
        return None
    found = place.value(value)
    table = context.table(measured.FLAGS)
    verdict = measured.with_verdict(whole(found), table) if found is not None else None
    coded = table.get(verdict[1]) if verdict else None
    told = place.value(flag)
    said = codes.look_up(told, table) if told is not None else None
    if verdict is None or coded is None or (said is not None and said.code == coded.code):
        return None
    return {"coding": [coded.coding()], "text": verdict[1]}


def reference_range(place: Place, draft: Draft, paths: Paths) -> list[Json] | None:
    """Return Observation.referenceRange of OBX-7, bounds in the unit of OBX-6.

    None where each pressure has its own; what says no bounds of both is a text of the two.
    """
    text, unit = paths
    segment, run = place.segment, place.run
    parts = draft.resource.get("component", ())
    if not segment.field(text.field) or any("referenceRange" in one for one in parts):
        return None
    whole = segment.whole(text.field)
    if run.by_table or _is_pressure(parts):
        told = texts.string(whole, run.context) if not whole.is_null else ""
        return [{"text": told}] if told else None
    key = ("range", whole.raw, segment.field(unit.field))
    again = run.memory.ready.get(key)
    if again is not None:
        known: list[Json] = again()
        return known

    def make() -> list[Json] | None:
        return ranges.reference_ranges(whole, run.context, units.unit_of(place.value(unit)))

    found: list[Json] | None = run.memory.get(key, make, run.issues, run.row)
    return found


def _is_pressure(parts: Sequence[Json]) -> bool:
    codings = parts[0].get("code", {}).get("coding", ()) if parts else ()
    return any(one.get("code") == observed.SYSTOLIC for one in codings)


def observation_code(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the code of OBX-3: first what the table ObservationCode has, then as it was sent."""
    (path,) = paths
    segment, run = place.find(path.segment), place.run
    raw = segment.field(path.field) if segment is not None else ""
    if segment is not None and segment.encoding.subcomponent in raw:
        value = place.value(path)
        if value is not None and (suffix := narratives.suffix_of(value)):
            draft.items["suffix"] = suffix  # not by the code alone: OBR-4 and the report count
            return _part_of_report(place, value, suffix)
    again = run.memory.ready.get(("observation", raw))
    if again is not None:
        known: Json = again()
        return known

    def make() -> Json | None:
        value = place.value(path)
        return _concept(value, run.context) if value is not None else None

    concept: Json | None = run.memory.get(("observation", raw), make, run.issues, run.row)
    return concept


def _concept(value: Value, context: Context) -> Json | None:
    found = codes.codings(value, context) or _by_name(value, context)
    coded = codes.look_up(value, context.table(CODES))
    if coded is None:
        codes.ask_meaning(found, context)
    if coded and all(one["code"] != coded.code for one in found):
        found.insert(0, coded.coding())
    return compact({"coding": found, "text": codes.text_of(value)})


def _part_of_report(place: Place, value: Value, suffix: str) -> Json:
    """Return the code of a part of a report in words; the impression is its conclusion too."""
    study = narratives.without_suffix(value)
    if not part(study, 1):
        study = place.value(Path("OBR", 4)) or study
    if suffix == narratives.IMPRESSION:
        narratives.conclude(place)
    return narratives.of_suffix(_concept(study, place.run.context) if study else None, suffix)


def _by_name(value: Value, context: Context) -> list[Json]:
    """Return what a map says of a result that has only a name."""
    name, system = codes.text_of(value), coding_systems.local(context.home or context.facility)
    if not name:
        return []
    meant = context.meaning(system, name)
    if meant is None:
        context.unmapped(system, name, name)
    return [dict(one) for one in meant or ()]


def report_status(place: Place, draft: Draft, paths: Paths) -> str | None:
    """Return the status of a result that tells none: its report's (OBR-25).

    By the standard's tables such a status is unknown.
    """
    if "status" in draft.resource or place.run.by_table:
        return None
    value = place.value(paths[0])
    if value is None:
        return None
    context = place.run.context
    return codes.table_code(value, context, context.table("ObservationStatus"))


def observation_category(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the category by the first field that the table of categories knows, or by a code."""
    run = place.run
    table = run.context.table(CATEGORIES)
    order = place.node.nearest("OBR")
    key = ("category", order.index if order is not None else -1)
    try:
        coded = run.moments[key]
    except KeyError:
        values = (place.value(path) for path in paths)
        told = (codes.look_up(value, table) for value in values if value)
        coded = run.moments[key] = next((one for one in told if one), None)
    if coded:
        return {"coding": [coded.coding()]}
    held = draft.resource.get("code", {}).get("coding", ())
    if any(one.get("system") == LOINC and one.get("code") in VITAL_SIGNS for one in held):
        coded = table.get("VS")
    return {"coding": [coded.coding()]} if coded else None
