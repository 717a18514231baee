"""How a row makes its value: the FHIR value of a field, and whether it fits its element.

Spec: DESIGN 2a
"""

from collections.abc import Callable
from typing import Any

from fhir_hub.hl7v2.datatypes.table import CODED, DATATYPES, FHIR_TYPES
from fhir_hub.hl7v2.making.drafts import Place
from fhir_hub.hl7v2.making.rules import CARING
from fhir_hub.hl7v2.parsing.er7 import Value
from fhir_hub.hl7v2.rows.elements import Target
from fhir_hub.hl7v2.rows.row import Row, Scope
from fhir_hub.hl7v2.rows.setters import Put, setter
from fhir_hub.nearest import did_you_mean

Json = dict[str, Any]
Convert = Callable[[Value, Place], Any]
_TEXTS = frozenset(
    {"string", "code", "id", "markdown", "uri", "url", "canonical", "oid", "uuid"}
    | {"date", "dateTime", "instant"}
)
_NUMBERS = frozenset(["integer", "positiveInt", "unsignedInt", "decimal"])
_QUANTITIES = frozenset(["Quantity", "Duration", "Age", "Distance", "Count"])
_CODES = frozenset({"CodeableConcept", "Coding", "code", "CodeText"})
MOMENTS = frozenset({"date", "dateTime", "instant"})
_OF_ORDERS = frozenset({"PlacerNumber", "FillerNumber"})  # order and report have the same
_NAMED = {"HumanName": 0, "PersonName": 1, "Practitioner": 1, "CodedPractitioner": 1}


def converter(kind: str, row: Row, scope: Scope) -> tuple[Convert, str]:
    """Return the function that makes the FHIR value, and that value's type."""
    if row.table:
        kind = kind or "code"
        coded, table = CODED.get(kind), scope.tables[row.table]
        if coded is None:
            raise ValueError(f"`table` gives {', '.join(CODED)}, not {kind}")
        return _remembering(row, lambda value, place: coded(value, place.run.context, table)), kind
    datatype = DATATYPES.get(kind)
    if datatype is None:
        raise ValueError(f"there is no datatype {kind}{did_you_mean(kind, DATATYPES)}")
    fhir_type = FHIR_TYPES[kind]

    swap_at = _NAMED.get(kind, -1) if scope.settings.name_order == "given-first" else -1

    def made(value: Value, place: Place) -> Any:
        value = value if swap_at < 0 else _swapped(value, swap_at)
        return datatype(value, place.run.context)

    if kind in _CODES:
        return _remembering(row, made), fhir_type
    if kind in MOMENTS or kind in _OF_ORDERS:
        return _once_a_message(kind, made), fhir_type
    if scope.definitions.kind(fhir_type) == "resource":
        return _referring(kind, _remembering(row, made)), fhir_type
    return made, fhir_type


def is_of_codes(row: Row) -> bool:
    """Say whether a row reads a code, and nothing but what was made of it is remembered."""
    return bool(row.table) or (isinstance(row.kind, str) and row.kind in _CODES)


def _remembering(row: Row, make: Convert) -> Convert:
    """Return `make` with what it made of each code kept for as long as the maps are."""

    token = f"{row.where} {row.to}"

    def convert(value: Value, place: Place) -> Any:
        run = place.run
        key = (token, value.raw)
        again = run.memory.ready.get(key)
        if again is not None:
            return again()
        return run.memory.get(key, lambda: make(value, place), run.issues, row)

    return convert


def _once_a_message(kind: str, make: Convert) -> Convert:
    """Return `make` with each value of a message made once: its resources share it."""

    def convert(value: Value, place: Place) -> Any:
        made = place.run.moments.get((kind, value.raw))
        if made is None:
            made = place.run.moments[kind, value.raw] = make(value, place)
        return made

    return convert


def _referring(kind: str, make: Convert) -> Convert:
    """Return the function that makes a Reference to what `make` makes a resource of."""

    def convert(value: Value, place: Place) -> Any:
        run = place.run
        if run.by_table:
            resource = make(value, place)
            return run.support(resource, place.segment) if resource else None
        known: Json | None = run.references.get((kind, value.raw))
        if known is None:
            resource = make(value, place)
            found = run.support(resource, place.segment) if resource else None
            if found is None:
                return None
            known = run.references[kind, value.raw] = found
        return dict(known)

    return convert


def _swapped(value: Value, at: int) -> Value:
    parts = list(value.components)
    parts += [""] * (at + 2 - len(parts))
    parts[at], parts[at + 1] = parts[at + 1], parts[at]
    return Value(value.encoding.component.join(parts), value.encoding)


def putter(goal: Target, fhir_type: str) -> Put:
    """Return the setter, with a resource or an Identifier made a Reference where one belongs."""
    if _fits(fhir_type, goal.types):
        chosen = fhir_type if fhir_type in goal.types else _similar(fhir_type, goal.types)
        return setter(goal, chosen)
    if "Reference" not in goal.types:
        raise ValueError(f"{goal.last.name} is {' or '.join(goal.types[:6])}, not {fhir_type}")
    put = setter(goal, "Reference")
    if fhir_type == "Identifier":
        only = goal.references[0] if len(goal.references) == 1 else ""
        kind = {"type": only} if only and only != "Resource" else {}
        return lambda d, p, i, value: put(d, p, i, kind | {"identifier": value})
    if fhir_type == "string":
        return lambda d, p, i, value: put(d, p, i, {"display": value})
    if not goal.may_refer_to(fhir_type):
        raise ValueError(f"{goal.last.name} may not refer to {fhir_type}")
    if goal.last.name == CARING:  # nothing else tells of a name alone what it is
        kind = {"type": fhir_type}
        return lambda d, p, i, one: put(d, p, i, one if "reference" in one else kind | one)
    return put


def _fits(fhir_type: str, types: tuple[str, ...]) -> bool:
    return fhir_type in types or bool(_similar(fhir_type, types))


def _similar(fhir_type: str, types: tuple[str, ...]) -> str:
    for family in (_TEXTS, _NUMBERS, _QUANTITIES):
        if fhir_type in family:
            return next((one for one in types if one in family), "")
    return "BackboneElement" if fhir_type == "BackboneElement" and "Element" in types else ""


def type_of(value: Any, goal: Target) -> str:
    """Return the FHIR type of a constant; raises `ValueError` where it cannot stand there."""
    if isinstance(value, bool):
        suited = [one for one in goal.types if one == "boolean"]
    elif isinstance(value, str):
        suited = [one for one in goal.types if one in _TEXTS]
    elif isinstance(value, int):
        suited = [one for one in goal.types if one in _NUMBERS]
    else:
        suited = [one for one in goal.types if one[:1].isupper()]
    if not suited or (goal.choice and len(suited) > 1 and not isinstance(value, str)):
        raise ValueError(f"{goal.last.name} cannot have such a value")
    return "string" if "string" in suited else suited[0]
