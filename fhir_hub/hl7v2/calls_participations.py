"""Calls for ROL and PRT: who takes part in what, as which, and with which device.

By the standard's tables that is a PractitionerRole of its own; the hub refers to the person, or
to the institution where nobody is named.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir (ROL, PRT); HL7v2 chapters 7 (PRT) and 15 (ROL)
"""

from typing import Any

from fhir_hub.hl7v2.datatypes import codes, contacts, identifiers, places, times
from fhir_hub.hl7v2.datatypes.parts import compact, one_line, part
from fhir_hub.hl7v2.datatypes.table import DATATYPES
from fhir_hub.hl7v2.drafts import Draft, Place
from fhir_hub.hl7v2.er7 import Value
from fhir_hub.hl7v2.path import Path

Json = dict[str, Any]
Paths = tuple[Path, ...]


def participation(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return who takes part, of ROL or PRT.

    The paths are number, role, person, kind of provider, institution, place, begin, end,
    address and phone.
    """
    number, role, who, kind, institution, where, begin, end, address, phone = paths
    context = place.run.context
    person: Json | None = _made("Practitioner", place.value(who), place)
    facility: Json | None = _made("Organization", place.value(institution), place)
    if not place.run.by_table:
        return person or facility
    at = [places.address(value, context) for value in place.values(address)][:1]
    if person and at and at[0]:
        person = {**person, "address": at}
    reached: list[Json] = []
    for value in place.values(phone):
        point = contacts.contact_point(value, context)
        reached += point if isinstance(point, list) else [point] if point else []
    given = place.value(number)
    location = _made("Location", place.value(where), place)
    parts = compact(
        {
            "identifier": [one] if given and (one := identifiers.ei(given, context)) else [],
            "period": compact({"start": _time(place, begin), "end": _time(place, end)}),
            "practitioner": person,
            "organization": facility,
            "code": _concept(place, role),
            "specialty": _concept(place, kind),
            "location": [location] if location else [],
            "telecom": reached,
        }
    )
    acts = person or facility or location or reached
    return {"resourceType": "PractitionerRole"} | parts if parts and acts else None


def visit_participant(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Encounter.participant of ROL or PRT, `None` where it is of no visit.

    It is one's whose PV1 stands beside it, not of a procedure or of an insurance. The paths are
    those of `participation`.
    """
    beside = place.node.segments.get("PV1", ())
    if all(by is not None for _, by in beside):
        return None
    found = participation(place, draft, paths)
    if found is None or found["resourceType"] == "Organization":
        return None  # R4 knows persons in a visit
    individual = place.run.support(found, place.segment)
    if individual is None:
        return None
    _, role, *_, begin, end, _, _ = paths
    period = compact({"start": _time(place, begin), "end": _time(place, end)})
    return compact({"type": _concept(place, role), "period": period, "individual": individual})


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
            "udiCarrier": [{"deviceIdentifier": one_line(part(carrier, 1))}] if carrier else [],
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


def _made(kind: str, value: Value | None, place: Place) -> Any:
    return DATATYPES[kind](value, place.run.context) if value else None


def _time(place: Place, path: Path) -> str:
    value = place.value(path)
    return (times.date_time(value, place.run.context) or "") if value else ""


def _concept(place: Place, path: Path) -> list[Json]:
    value = place.value(path)
    found = codes.codeable_concept(value, place.run.context) if value else None
    return [found] if found else []
