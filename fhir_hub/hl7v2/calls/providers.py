"""Calls for PRD: who refers, and to whom; and for PLN, the numbers that staff have.

By the tables that is a PractitionerRole with all that PRD says; the hub refers to the person.

Spec: HL7v2 chapter 11, PRD; https://build.fhir.org/ig/HL7/v2-to-fhir (PLN)
"""

from typing import Any

from fhir_hub.hl7v2.calls.roles import reached
from fhir_hub.hl7v2.datatypes import by_table, codes, organisations, people, times
from fhir_hub.hl7v2.datatypes.coding_systems import v2_table
from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.datatypes.parts import compact, one_line, part
from fhir_hub.hl7v2.datatypes.table import DATATYPES
from fhir_hub.hl7v2.making.drafts import Draft, Place
from fhir_hub.hl7v2.parsing.er7 import Value
from fhir_hub.hl7v2.parsing.path import Path
from fhir_hub.identity import systems

Json = dict[str, Any]
Paths = tuple[Path, ...]
_KINDS = "PractitionerIDNumberType"


def provider(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Practitioner of PRD: name of PRD-2, number of PRD-7, of the place of PRD-4."""
    return None if place.run.by_table else _person(place, *paths)


def institution(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Organization that a field (XON), else another (HD), names by a code."""
    context = place.run.context
    for path, read in zip(paths, (organisations.organization, organisations.facility), strict=True):
        value = place.value(path)
        found = read(value, context) if value else None
        numbers = found.get("identifier", ()) if found else ()
        if any(" " not in one["value"] for one in numbers):  # nobody answers as a name, in words
            return found
    return None


def provider_role(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return who refers or is referred to, with all that PRD says.

    The paths are name, number and place; role, begin and end of it; address and phones of the
    person; institution, its address and phones.
    """
    name, number, where, kind, begin, end, address, phones, employer, *at_work = paths
    context = place.run.context
    person = _person(place, name, number, where)
    own = reached(place, address, phones)
    if person or own:
        person = {"resourceType": "Practitioner"} | (person or {}) | own
    value, at = place.value(employer), place.value(where)
    institution = by_table.organization(value, context) if value else None
    theirs = reached(place, *at_work)
    if institution or theirs:
        institution = {"resourceType": "Organization"} | (institution or {}) | theirs
    if not (person or institution):
        return None
    none = Value("", place.segment.encoding)
    first, last = place.value(begin) or none, place.value(end) or none
    role, location = place.value(kind), DATATYPES["Location"](at, context) if at else None
    code = _role(role, context) if role else None
    period = times.period_of(first, last, context)
    if last and "end" not in (period or {}):
        place.run.keep(place.segment, end.field)
    parts = {
        "period": period,
        "practitioner": person,
        "organization": institution,
        "code": [code] if code else [],
        "location": [location] if location else [],
    }
    return {"resourceType": "PractitionerRole"} | (compact(parts) or {})


def kind_of_number(value: Value, place: Place) -> tuple[Json | None, Json | None]:
    """Return of which kind a number of PLN is (table 0338, 0203), and how long it is good."""
    context, kind, until = place.run.context, value.component(2), value.component(4)
    table = context.table(_KINDS)
    is_known = bool(kind) and table.knows(part(kind, 1))
    end = times.date_time(until, context) if until else ""
    coded = codes.table_codeable_concept(kind, context, table) if is_known else None
    return coded, compact({"end": end})


def staff_numbers(place: Place, draft: Draft, paths: Paths) -> list[Json]:
    """Return the numbers of somebody of the staff, each once: a key (STF-1), CX (STF-2)."""
    context = place.run.context
    found: dict[tuple[str, str], Json] = {}
    for value in (one for path in paths for one in place.values(path)):
        number, kind = one_line(part(value, 1)), one_line(part(value, 5))
        if not number or value.is_null:
            continue
        authority = value.component(4)
        system = systems.universal(part(authority, 2), part(authority, 3))
        told: Json = {
            "system": system or systems.practitioner(part(authority, 1) or place.run.facility),
            "value": number,
        }
        if kind:
            table = context.table("IdentifierType")
            coding = {"system": v2_table("203"), "code": kind}
            told["type"] = {"coding": [row.coding() if (row := table.get(kind)) else coding]}
        found.setdefault((told["system"], number), told)
    return list(found.values())


def licence_numbers(place: Place, draft: Draft, paths: Paths) -> list[Json]:
    """Return the numbers of PLN (PRA-6): what kind each is, and how long it is good."""
    given = [one for one in place.values(paths[0]) if not one.is_null]
    return [found for one in given if (found := _licence(one, place, place.run.facility))]


def _licence(value: Value, place: Place, facility: str) -> Json | None:
    if not (number := one_line(part(value, 1))):
        return None
    kind, period = kind_of_number(value, place)
    said = {"type": kind, "system": systems.practitioner(facility), "value": number}
    return compact(said | {"period": period})


def _role(value: Value, context: Context) -> Json | None:
    """Return the code of PRD-1, of table 0286 where it names no other."""
    found = codes.codeable_concept(value, context)
    if found is None or part(value, 3) or "coding" not in found:
        return found
    first, *others = found["coding"]
    return found | {"coding": [first | {"system": v2_table("286")}, *others]}


def _person(place: Place, name_path: Path, number_path: Path, location_path: Path) -> Json | None:
    context = place.run.context
    value = place.value(name_path)
    name = people.human_name(value, context) if value else None
    at = place.value(location_path)
    facility = (part(at, 4, 1) if at else "") or place.run.facility
    given = [one for one in place.values(number_path) if not one.is_null]
    told = given if place.run.by_table else given[:1]
    numbers = [found for one in told if (found := _licence(one, place, facility))]
    names = name if isinstance(name, list) else [name] if name else []
    parts = compact({"identifier": numbers, "name": names})
    return {"resourceType": "Practitioner"} | parts if parts else None
