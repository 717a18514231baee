"""Calls for ROL and PRT: who takes part in what, as which, and with which device.

By the standard's tables that is a PractitionerRole of its own; the hub refers to the person, or
to the institution where nobody is named.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir (ROL, PRT); HL7v2 chapters 7 (PRT) and 15 (ROL)
"""

from typing import Any

from fhir_hub.hl7v2.calls.providers import kind_of_number
from fhir_hub.hl7v2.datatypes import codes, contacts, identifiers, places, times
from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.datatypes.parts import compact, one_line, part
from fhir_hub.hl7v2.datatypes.table import DATATYPES
from fhir_hub.hl7v2.making.drafts import Draft, Place
from fhir_hub.hl7v2.parsing.er7 import Value
from fhir_hub.hl7v2.parsing.path import Path
from fhir_hub.identity import systems

Json = dict[str, Any]
Paths = tuple[Path, ...]
_ROLES = "ProviderRole"
_OF_VISITS = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_PARTICIPATIONS = "Participation"  # of PRT; ROL has its own table, and a role's code stays its own
_PREFERRED = {
    "url": "http://hl7.org/fhir/StructureDefinition/iso21090-preferred",
    "valueBoolean": True,
}
# HL7 table 0185 (PRT-23): of which system and use the preferred ContactPoint is.
_METHODS = {
    "B": ("pager", ""),
    "C": ("phone", "mobile"),
    "E": ("email", ""),
    "F": ("fax", ""),
    "H": ("phone", "home"),
    "O": ("phone", "work"),
}


def participation(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return who takes part, of ROL or PRT.

    The paths are number, role, person, kind of provider, institution, place, begin, end,
    address, phone, kind of institution; of PRT also how to reach whom best, and other numbers.
    What the hub, which refers to the person, has no room for is kept.
    """
    return _taking_part(place, paths, paths[3:])


def _taking_part(place: Place, paths: Paths, beside: Paths) -> Json | None:
    """Return who takes part; what stands `beside` a person is told by nothing in the hub."""
    number, role, who, kind, institution, where, begin, end, address, phone, unit, *more = paths
    context = place.run.context
    person: Json | None = _made("Practitioner", place.value(who), place)
    facility: Json | None = _made("Organization", place.value(institution), place)
    if not place.run.by_table and (person or not facility):
        for path in beside if person else ():
            if place.value(path):
                place.run.keep(place.segment, path.field)
        return person
    reached: list[Json] = []
    for value in place.values(phone):
        point = contacts.contact_point(value, context)
        reached += point if isinstance(point, list) else [point] if point else []
    if facility and not place.run.by_table:
        home = [
            found for value in place.values(address) if (found := places.address(value, context))
        ]
        return {**facility, **(compact({"address": home, "telecom": reached}) or {})}
    location: Json | None = _made("Location", place.value(where), place)
    at = [places.address(value, context) for value in place.values(address)][:1]
    person, facility, location = _at(at[0] if at else None, person, facility, location)
    acts = person or facility or location or reached
    if of_kind := _concept(place, unit):
        facility = {"resourceType": "Organization"} | (facility or {}) | {"type": of_kind}
    parts = compact(
        {
            "identifier": _numbers(place, number, more[1:]),
            "period": _period(place, begin, end),
            "practitioner": person,
            "organization": facility,
            "code": _concept(place, role, _PARTICIPATIONS if role.segment == "PRT" else ""),
            "specialty": _concept(place, kind),
            "location": [location] if location else [],
            "telecom": _preferring(reached, place.text(more[0]) if more else ""),
        }
    )
    return {"resourceType": "PractitionerRole"} | parts if parts and acts else None


def _at(address: Json | None, *whose: Json | None) -> tuple[Json | None, Json | None, Json | None]:
    """Return person, institution and place, the first that there is with the address."""
    person, facility, location = whose
    if address and person:
        person = {**person, "address": [address]}
    elif address and facility:
        facility = {**facility, "address": [address]}
    elif address and location:
        location = {**location, "address": address}
    return person, facility, location


def _numbers(place: Place, number: Path, others: list[Path]) -> list[Json]:
    """Return the number of the participation (EI), and others of the person (PLN, PRT-24)."""
    context, given = place.run.context, place.value(number)
    found = [one] if given and (one := identifiers.ei(given, context)) else []
    for value in (value for path in others for value in place.values(path)):
        kind, (known, period) = value.component(2), kind_of_number(value, place)
        number_of_kind = compact(
            {
                "value": one_line(part(value, 1)),
                "type": known or (codes.codeable_concept(kind, context) if kind else None),
                "period": period,
            }
        )
        found += [number_of_kind] if number_of_kind and "value" in number_of_kind else []
    return found


def _preferring(points: list[Json], method: str) -> list[Json]:
    """Return ways to reach somebody, the one that PRT-23 prefers (table 0185) marked as such."""
    system, use = _METHODS.get(method, ("", ""))
    fits = [one for one in points if system and one.get("system") == system]
    best = next((one for one in fits if one.get("use") == use), fits[0] if len(fits) == 1 else None)
    return [_preferred(one) if one is best else one for one in points]


def _preferred(point: Json) -> Json:
    return point | {"extension": [*point.get("extension", ()), _PREFERRED]}


def visit_participant(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Encounter.participant of ROL or PRT, `None` where it is of no visit.

    It is one's whose PV1 stands beside it, not of a procedure or of an insurance. The paths are
    those of `participation`.
    """
    beside = place.node.spot.segments.get("PV1", ())
    if all(by is not None for _, by in beside):
        place.run.pass_over()
        return None
    found = _taking_part(place, paths, (*paths[3:6], *paths[8:]))  # it has a period
    if found is None or found["resourceType"] == "Organization":
        return None  # R4 knows persons in a visit
    individual = place.run.support(found, place.segment)
    if individual is None:
        return None
    _, role, _, _, _, _, begin, end, *_ = paths
    period = _period(place, begin, end)
    value = place.value(role)
    kind = _in_visit(value, role, place.run.context) if value else None
    return compact({"type": [kind] if kind else [], "period": period, "individual": individual})


def _in_visit(value: Value, role: Path, context: Context) -> Json | None:
    """Return what somebody is in a visit: by R4's own code, else by the table of the segment."""
    kind = codes.table_codeable_concept(value, context, context.table(_ROLES))
    told = (kind or {}).get("coding", ())
    table = context.table(_PARTICIPATIONS)
    if role.segment != "PRT" or not table.knows(part(value)) or told[0].get("system") == _OF_VISITS:
        return kind
    return codes.table_codeable_concept(value, context, table)


def participating_device(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Device of PRT-10 and PRT-16 to PRT-22.

    The paths are number, UDI, made, expires, lot, serial number, donation and type.
    """
    number, udi, made, expires, lot, serial, donation, kind = paths
    context = place.run.context
    value = place.value(number)
    carrier = place.value(udi)
    found = identifiers.device(value, context) if value else None
    parts = compact(
        {
            "identifier": [found] if found else [],
            "udiCarrier": _carrier(carrier) if carrier else [],
            "distinctIdentifier": one_line(place.text(donation)),
            "manufactureDate": _time(place, made),
            "expirationDate": _time(place, expires),
            "lotNumber": one_line(place.text(lot)),
            "serialNumber": one_line(place.text(serial)),
            "type": next(iter(_concept(place, kind)), None),
        }
    )
    if not parts:
        return None
    if not place.run.by_table and not found:
        return None  # nothing would find it again
    return {"resourceType": "Device"} | parts


def _carrier(value: Value) -> list[Json]:
    """Return the UDI of EI, and who issued it where that is an OID or the like."""
    issuer = systems.universal(part(value, 3), part(value, 4))
    found = compact({"deviceIdentifier": one_line(part(value, 1)), "issuer": issuer})
    return [found] if found else []


def _made(kind: str, value: Value | None, place: Place) -> Any:
    return DATATYPES[kind](value, place.run.context) if value else None


def _time(place: Place, path: Path) -> str:
    value = place.value(path)
    return (times.date_time(value, place.run.context) or "") if value else ""


def _period(place: Place, begin: Path, end: Path) -> Json | None:
    none = Value("", place.segment.encoding)
    first, last = place.value(begin) or none, place.value(end) or none
    found = times.period_of(first, last, place.run.context)
    if last and "end" not in (found or {}):
        place.run.keep(place.segment, end.field)
    return found


def _concept(place: Place, path: Path, name: str = "") -> list[Json]:
    """Return what a field's code means, by the table of that name if one is given."""
    value, context = place.value(path), place.run.context
    if not value:
        return []
    by = context.table(name) if name else None
    made = codes.table_codeable_concept(value, context, by) if by else None
    found = made or codes.codeable_concept(value, context)
    return [found] if found else []
