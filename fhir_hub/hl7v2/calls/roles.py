"""Calls for who does something in whose name: a person, her institution, where both are.

By the standard's tables that is a PractitionerRole between them. The hub, which keeps persons and
institutions once, refers to the person, or to the institution where nobody is named.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir (ORC, OBX); R4 practitionerrole.html
"""

from typing import Any

from fhir_hub.hl7v2.datatypes import (
    coding_systems,
    contacts,
    identifiers,
    people,
    places,
    times,
)
from fhir_hub.hl7v2.datatypes.parts import compact, one_line, part
from fhir_hub.hl7v2.datatypes.table import DATATYPES
from fhir_hub.hl7v2.making.drafts import Draft, Place
from fhir_hub.hl7v2.parsing.er7 import Value
from fhir_hub.hl7v2.parsing.path import Path
from fhir_hub.hl7v2.wire import charset

Json = dict[str, Any]
Paths = tuple[Path, ...]
_ROLES = "http://terminology.hl7.org/CodeSystem/practitioner-role"
_A_DAY = len("YYYYMMDD")
BIRTH_TIME = "http://hl7.org/fhir/StructureDefinition/patient-birthTime"
_OBSERVER = {"system": _ROLES, "code": "responsibleObserver"}
_DIRECTOR = {"system": coding_systems.v2_table("912"), "code": "MDIR"}


def made(kind: str, value: Value | None, place: Place) -> Any:
    """Return what a datatype makes of staff, an institution or a place: once, then a copy."""
    if not value:
        return None
    run, datatype = place.run, DATATYPES[kind]
    key = (kind, value.raw)
    return run.memory.get(key, lambda: datatype(value, run.context), run.issues, run.row)


def _role(
    place: Place, person: Json | None, institution: Json | None, code: Json | None = None
) -> Json | None:
    """Return who acts: a role by the tables, else the person, else the institution."""
    if not place.run.by_table:
        return person or institution
    parts = compact(
        {
            "practitioner": person,
            "organization": institution,
            "code": [{"coding": [code]}] if code else [],
        }
    )
    return {"resourceType": "PractitionerRole"} | parts if parts else None


def requester(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return who ordered: ORC-12, else OBR-16, in the name of ORC-21, with addresses and phones."""
    who, facility, address, phone, own_address, *others = paths
    said = [value for path in (who, *others) if (value := place.value(path))]
    if len(said) > 1 and not place.run.by_table:
        _keep_others(place, said[0], others)
    person = made("Practitioner", said[0] if said else None, place)
    institution = made("Organization", place.value(facility), place)
    if institution:
        institution |= reached(place, address, phone)
    elif place.value(address) or place.value(phone):
        institution = {"resourceType": "Organization"} | reached(place, address, phone)
    if institution is None or not place.run.by_table:
        return person or (institution if institution and "name" in institution else None)
    if person and (home := made("Address", place.value(own_address), place)):
        person |= {"address": [home]}
    return _role(place, person, institution)


def _keep_others(place: Place, first: Value, others: list[Path]) -> None:
    """Have each field kept that numbers somebody else than who is taken: one alone orders in R4.

    Who stands in OBR-16 beside is told by a row of its own.
    """
    for path in [one for one in others if one.segment != "OBR"]:
        value = place.value(path)
        here = path.segment == place.segment.name
        segment = place.segment if here else place.node.nearest(path.segment)
        if value and segment and part(value, 1) != part(first, 1):
            place.run.keep(segment, path.field)


def reached(place: Place, address: Path, phone: Path) -> Json:
    """Return the first address of one path and the phones of another."""
    found: list[Json] = []
    for value in place.values(phone):
        point = contacts.contact_point(value, place.run.context)
        found += point if isinstance(point, list) else [point] if point else []
    at = [places.address(value, place.run.context) for value in place.values(address)][:1]
    return compact({"address": [one for one in at if one], "telecom": found}) or {}


def contact_organization(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the institution of NK1-13 with whom to ask there: NK1-30, NK1-31, NK1-32."""
    institution, name, phone, address = paths
    found: Json | None = made("Organization", place.value(institution), place)
    context = place.run.context
    called, at = place.value(name), place.value(address)
    ways = reached(place, address, phone)
    named = people.human_name(called, context) if called else None
    contact = compact(
        {
            "name": named[0] if isinstance(named, list) else named,
            "telecom": ways.get("telecom", []),
            "address": places.address(at, context) if at else None,
        }
    )
    if not contact:
        return found
    return {"resourceType": "Organization"} | (found or {}) | {"contact": [contact]}


def moved_number(place: Place, draft: Draft, paths: Paths) -> list[Json]:
    """Return the numbers that go to another patient (A43): those of MRG-1 that PID-3 has, or all.

    Before 2.7 MRG-4 says whose they were, and MRG-1 has no others.
    """
    said, here = (_numbers(place, path) for path in paths)
    values = {one["value"] for one in here}
    both = [one for one in said if one["value"] in values]
    return said if place.text(Path("MRG", 4)) else both or said


def number_moved_here(place: Place, draft: Draft, paths: Paths) -> list[Json]:
    """Return those of them that PID-3 does not have anyway."""
    values = {one["value"] for one in _numbers(place, paths[1])}
    return [one for one in moved_number(place, draft, paths) if one["value"] not in values]


def _numbers(place: Place, path: Path) -> list[Json]:
    found = (DATATYPES["Identifier"](one, place.run.context) for one in place.values(path))
    return [one for one in found if isinstance(one, dict) and "value" in one]


def birth_time(place: Place, draft: Draft, paths: Paths) -> None:
    """Have the moment of a birth (PID-7 with a time) beside the day, by FHIR's own extension.

    The hub, to which others tell the day alone, keeps the field word for word.
    """
    value = place.value(paths[0])
    if value is None or len(part(value)) <= _A_DAY or "birthDate" not in draft.resource:
        return
    moment = times.date_time(value, place.run.context) or ""
    if "T" not in moment:
        return
    if not place.run.by_table:
        if "T00:00:00" not in moment:
            place.run.keep(place.segment, paths[0].field)
        return
    draft.resource["_birthDate"] = {"extension": [{"url": BIRTH_TIME, "valueDateTime": moment}]}


def home_county(place: Place, draft: Draft, paths: Paths) -> None:
    """Have the county of PID-12 as the district of the only address, if that says none.

    It stays what it is, a county of nobody knows which address, so the field is kept too. By the
    standard's tables it is an address of its own beside none or several.
    """
    held = draft.resource.get("address", [])
    place.run.keep(place.segment, paths[0].field)
    name = one_line(place.text(paths[0]))
    if not name or any(one.get("district") == name for one in held):
        return
    if len(held) == 1 and "district" not in held[0]:
        held[0]["district"] = name
    elif len(held) != 1 and place.run.by_table:
        draft.resource["address"] = [*held, {"district": name}]


def observers(place: Place, draft: Draft, paths: Paths) -> list[Json] | None:
    """Return the responsible observers of OBX-16."""
    people = [made("Practitioner", value, place) for value in place.values(paths[0])]
    return [role for one in people if one and (role := _role(place, one, None, _OBSERVER))] or None


def laboratory(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the laboratory of OBX-23 at OBX-24, or its director of OBX-25 in its name."""
    facility, address, director = paths
    institution: Json | None = made("Organization", place.value(facility), place)
    at = [places.address(value, place.run.context) for value in place.values(address)][:1]
    if at and at[0]:
        institution = (institution or {"resourceType": "Organization"}) | {"address": at}
    person = made("Practitioner", place.value(director), place)
    if person and place.run.by_table:
        return _role(place, person, institution, _DIRECTOR)
    is_named = institution is not None and len(institution) > 1 and "name" in institution
    for path in (director,) if is_named else (facility, address):  # nothing made has these
        if place.value(path):
            place.run.keep(place.segment, path.field)
    return institution if is_named else person


def facility_performer(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the sending facility (MSH-4), whose result it is where nobody else is named.

    The standard's tables do not say so; the hub does, because a result without a performer
    cannot be told from another hospital's.
    """
    run = place.run
    if run.by_table:
        return None
    key = ("facility_performer", run.facility)
    known = run.references.get(key)
    if known is None:
        value = place.value(paths[0])
        if value is None:
            return None
        known = run.references.get(("FacilityOrganization", value.raw))  # Provenance has it
        if known is None:
            found = made("FacilityOrganization", value, place)
            known = run.support(found, place.segment) if found else None
        if known is None:
            return None
        run.references[key] = known
    return dict(known)


def sending_facility(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Organization of MSH-4 in the country of MSH-17."""
    facility, country = paths
    found: Json | None = made("FacilityOrganization", place.value(facility), place)
    named = one_line(place.text(country))
    if not named.isalpha() or len(named) > 3 or charset.codec(named):
        return found  # some write MSH-18 one field too early
    return (found or {"resourceType": "Organization"}) | {"address": [{"country": named}]}


def requisition(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the placer's number of the order's group, of an EI or of an EIP (ORC-4)."""
    value = place.value(paths[0])
    if value is None:
        return None
    is_pair = len(value.component(1).components) > 1 or part(value.component(2), 2)
    number = value.component(1) if is_pair else value
    return identifiers.typed(identifiers.ei(number, place.run.context), "PGN")


def group_number(place: Place, draft: Draft, paths: Paths) -> Json | list[Json] | None:
    """Return the numbers of the order's group: the placer's, and the filler's if any.

    The filler's is that of ORC-38, which 2.9 added, else of an EIP in ORC-4.
    """
    group, of_filler = paths
    value, context = place.value(group), place.run.context
    if last := place.value(of_filler):
        number = identifiers.typed(identifiers.ei(last, context), "FGN")
        first = requisition(place, draft, (group,))
        return [one for one in (first, number) if one] or None
    if value is None:
        return None
    if len(value.component(1).components) == 1 and not part(value.component(2), 2):
        return identifiers.typed(identifiers.ei(value, context), "PGN")
    pair = (
        identifiers.typed(identifiers.ei(value.component(1), context), "PGN"),
        identifiers.typed(identifiers.ei(value.component(2), context), "FGN"),
    )
    return [one for one in pair if one] or None


def own_number(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the placer's number of an OBR that has another than the ORC that it shares (ORC-2).

    The standard's tables have only that of ORC.
    """
    own, shared = map(place.value, paths)
    if own is None or shared is None or part(own, 1) == part(shared, 1) or place.run.by_table:
        return None
    return identifiers.typed(identifiers.ei(own, place.run.context), "PLAC")
