"""Persons, institutions and places as the standard's datatype tables have them, in full.

The hub keeps a person, an institution or a place once, by number. The tables say more: who
assigned a number is an Organization, each part of PL a Location that is part of the next. These
functions follow them to the letter. A reference's target stands where the reference will be.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir/datatype_maps.html (CX, EI, HD, PL, XCN, XON)
"""

from typing import Any

from fhir_hub.hl7v2.datatypes import codes, coding_systems, identifiers, people, times
from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.datatypes.parts import compact, one_line, part, reader_of
from fhir_hub.hl7v2.parsing.er7 import Value
from fhir_hub.identity import systems

ASSIGNING_FACILITY = f"{systems.BASE}/StructureDefinition/assigning-facility"
_SCHEME = "http://hl7.org/fhir/StructureDefinition/namingsystem-checkDigit"
_UNIVERSAL_TYPES = coding_systems.v2_table("301")
_PHYSICAL_TYPES = "http://terminology.hl7.org/CodeSystem/location-physical-type"
# Components of PL from the institution to the bed, with the kind of place that each is.
_LEVELS = ((4, "si"), (7, "bu"), (8, "lvl"), (1, ""), (2, "ro"), (3, "bd"))
_XCN_AUTHORITY, _XON_AUTHORITY = 9, 6
_PLACE_STATUS = {"ACTIVE": "active", "SUSPENDED": "suspended", "INACTIVE": "inactive"}
Json = dict[str, Any]


def organization_of_hd(value: Value, context: Context) -> Json | None:
    """Return the Organization resource of HD: one identifier a name, one a universal ID."""
    found = _hierarchic(value, with_system=True)
    return {"resourceType": "Organization", "identifier": found} if found else None


def application(value: Value, context: Context) -> Json | None:
    """Return the Device resource of HD: the system that sent a message, by its names (MSH-3)."""
    found = _hierarchic(value, with_system=False)
    return {"resourceType": "Device", "identifier": found} if found else None


def _hierarchic(value: Value, *, with_system: bool) -> list[Json]:
    """Return the identifiers of HD."""
    name, number, kind = (one_line(part(value, at)) for at in (1, 2, 3))
    found: list[Json] = [{"value": name}] if name else []
    if number:
        second: Json = {"value": number}
        if kind:
            second["type"] = {"coding": [{"system": _UNIVERSAL_TYPES, "code": kind}]}
        if with_system and kind in ("ISO", "UUID"):
            second["system"] = "urn:ietf:rfc:3986"
        found.append(second)
    return found


def _authority(value: Value, component: int, identifier: Json, context: Context) -> Json:
    """Return an identifier with who assigned it: a system, or an institution (HD.3).

    Of XCN a system is called as HD.1 has it (HD[uri]), unless FHIR's registry has it or that is no
    URI; of CX the map says so only of what is in that registry, so there the OID stays.
    A namespace of our making is only the sending facility's: of another authority the hub
    knows no more than the message says.
    """
    at = value.component(component)
    found = dict(identifier)
    if identifiers.is_own(found.get("system", "")):
        if system := _uri(at):
            found["system"] = system
        elif at or not context.facility:
            del found["system"]
    elif component == _XCN_AUTHORITY and _is_called(at, found.get("system", "")):
        found["system"] = one_line(part(at, 1))
        if said := identifiers.authority("", one_line(part(at, 2)), part(at, 3)):
            found["extension"] = [*found.get("extension", ()), said]
    if part(at, 3) not in ("ISO", "UUID") and (assigner := organization_of_hd(at, Context(""))):
        found["assigner"] = assigner
    return found


def _is_called(value: Value, system: str) -> bool:
    """Say whether HD has a name for a system that is its universal ID and in no registry."""
    name, number = one_line(part(value, 1)), one_line(part(value, 2))
    is_named = bool(name) and " " not in name and part(value, 3) in ("ISO", "UUID")
    return is_named and system == systems.universal(number) and system not in identifiers.REGISTERED


def _uri(value: Value) -> str:
    """Return the system that HD names: its universal ID, else its name, `""` if it is none."""
    name, number, kind = (one_line(part(value, at)) for at in (1, 2, 3))
    found = systems.universal(number)
    if found or kind not in ("ISO", "UUID"):
        return found
    if " " in (name or number):  # a URI has none
        return ""
    if name:
        return name
    return f"urn:{'oid' if kind == 'ISO' else 'uuid'}:{number}" if number else ""


def identifier(value: Value, context: Context) -> Json | list[Json] | None:
    """Return the Identifier of CX with the institutions that assigned it."""
    found = identifiers.cx(value, context)
    if not isinstance(found, dict):
        return found
    return _with_institutions(value, found, context)


def visit(value: Value, context: Context) -> Json | list[Json] | None:
    """Return the Identifier of a visit with the institutions that assigned it."""
    found = identifiers.visit(value, context)
    if not isinstance(found, dict):
        return found
    kind = identifiers.identifier_type("VN", context) or {}
    found = {**found, "type": {**kind, "text": "visit number"}}
    return _with_institutions(value, found, context)


def _with_institutions(value: Value, found: Json, context: Context) -> Json:
    found = _authority(value, 4, found, context)
    extension = list(found.get("extension", ()))
    if scheme := part(value, 3):
        extension.append({"url": _SCHEME, "valueString": scheme})
    if facility := organization_of_hd(value.component(6), Context("")):
        extension.append({"url": ASSIGNING_FACILITY, "valueReference": facility})
    return {**found, "extension": extension} if extension else found


def number_of_thing(value: Value, context: Context) -> Json | None:
    """Return the Identifier of CX that is no person's: of a specimen, of an order."""
    found = identifiers.cx(value, context)
    if not isinstance(found, dict):
        return None
    authority = context.namespace(part(value, 4, 1) or part(value, 4, 2))
    if found.get("system") == systems.patient_number(authority):
        found = {**found, "system": systems.authority_system(authority)}
    return _with_institutions(value, found, context) if context.by_table else found


def placer_number(value: Value, context: Context) -> Json | None:
    """Return the Identifier of CX as the placer's, typed PLAC (OBR-53, ORC-33)."""
    found = number_of_thing(value, context)
    if found is None:
        return None
    (placer,) = (identifiers.typed({}, "PLAC") or {})["type"]["coding"]
    kinds = [one for one in found.get("type", {}).get("coding", ()) if one != placer]
    return {**found, "type": {"coding": [placer, *kinds]}}


def discharge(value: Value, context: Context) -> Json | None:
    """Return the Location resource of DLD: the kind of place to which somebody is discharged."""
    kind = codes.codeable_concept(value.component(1), context)
    if not kind:
        return None
    name = kind.get("text", "") if context.by_table else kind.get("text") or part(value, 1, 1)
    named = {"name": name} if name else {}
    return {"resourceType": "Location", **named, "type": [kind], "mode": "kind"}


def practitioner(value: Value, context: Context) -> Json | None:
    """Return the Practitioner resource of XCN, CNN, NDL or PPN; a degree is part of the name."""
    person = people.inner(value)
    return _practitioner(person, _staff(person, context), context)


def _practitioner(person: Value, numbers: list[Json], context: Context) -> Json | None:
    name = people.person_name(person, context)
    names = name if isinstance(name, list) else [name] if name else []
    if names and (degree := part(person, 7)):
        suffix = [*names[0].get("suffix", ()), degree]
        names = [{**names[0], "suffix": list(dict.fromkeys(suffix))}, *names[1:]]
    parts = {"identifier": numbers, "name": names}
    found = compact(parts)
    return {"resourceType": "Practitioner"} | found if found else None


def _staff(person: Value, context: Context) -> list[Json]:
    found = identifiers.staff(person, context)
    if found is None:
        return []
    number = _authority(person, _XCN_AUTHORITY, found, Context(""))
    said = _checks(person, 11, 12)
    return [{**number, "extension": [*number.get("extension", ()), *said]} if said else number]


def _checks(value: Value, digit: int, scheme: int) -> list[Json]:
    """Return a number's check digit and how it is made, of these components."""
    told = ((identifiers.CHECK_DIGIT, digit), (_SCHEME, scheme))
    return [{"url": url, "valueString": text} for url, at in told if (text := part(value, at))]


def _reader(person: Value, context: Context) -> Json | None:
    """Return the Practitioner of CNN: who assigned the number stands in three of its parts."""
    number = one_line(part(person, 1))
    found: Json = {"value": number}
    if said := identifiers.authority(*(one_line(part(person, at)) for at in (9, 10, 11))):
        found["extension"] = [said]
    is_one = bool(number) and not identifiers.is_filler(number)
    return _practitioner(person, [found] if is_one else [], context)


def reporter(value: Value, context: Context) -> Json | None:
    """Return who NDL names: a Practitioner, or one's PractitionerRole at its places."""
    if len(value.component(1).components) < 2:
        return practitioner(value, context)
    person = _reader(value.component(1), context)
    spots = []
    for component, kind in ((7, "si"), (10, "bu"), (4, ""), (11, "lvl"), (5, "ro"), (6, "bd")):
        if found := _hierarchic(value.component(component), with_system=False):
            status = _PLACE_STATUS.get(part(value, 8).upper())
            spot = {"resourceType": "Location", "identifier": found, "mode": "instance"}
            spot |= {"status": status} if status else {}
            spots.append(spot | (_physical_type(kind) if kind else {}))
    parts = {"practitioner": person, "location": spots}
    parts |= {"period": times.period_of(value.component(2), value.component(3), context)}
    found_role = compact(parts)
    return {"resourceType": "PractitionerRole"} | found_role if found_role else None


def organization(value: Value, context: Context) -> Json | None:
    """Return the Organization resource of XON with who assigned its number."""
    number = one_line(part(value, 10) or part(value, 3))
    if identifiers.is_filler(number):
        number = ""
    said = compact(
        {
            "type": identifiers.identifier_type(part(value, 7), context) if number else None,
            "value": number,
        }
    )
    found = _assigned(value.component(_XON_AUTHORITY), said or {})
    added: list[Json] = _checks(value, 4, 5) if number else []
    if facility := site(value.component(8)):
        added.append({"url": ASSIGNING_FACILITY, "valueReference": facility})
    if added:
        found = {**found, "extension": [*found.get("extension", ()), *added]}
    parts = compact(
        {"identifier": [found] if found else [], "name": one_line(reader_of(value)(value, 1))}
    )
    return {"resourceType": "Organization"} | parts if parts else None


def _assigned(authority: Value, identifier: Json) -> Json:
    """Return an institution's identifier with who assigned it.

    An authority that has a name is an institution (HD[Organization]); a universal ID alone is a
    system.
    """
    name, number, kind = (one_line(part(authority, at)) for at in (1, 2, 3))
    if kind not in ("ISO", "UUID"):
        assigner = organization_of_hd(authority, Context(""))
        return {**identifier, "assigner": assigner} if assigner else identifier
    if not name:
        system = _uri(authority)
        return {"system": system, **identifier} if system and identifier else identifier
    said = identifiers.authority(name, number, kind)
    return {**identifier, "assigner": {"display": name}, "extension": [said]}


def coded_organization(value: Value, context: Context) -> Json | None:
    """Return the Organization resource of CWE: code and name (OBX-15)."""
    number, name = one_line(part(value, 1)), one_line(part(value, 2))
    named = one_line(part(value, 3))
    system = coding_systems.system_of(named, context.facility) if named else ""
    if identifiers.is_own(system):
        system = "" if " " in named else named
    found = [compact({"system": system, "value": number})] if number else []
    parts = compact({"identifier": found, "name": name})
    return {"resourceType": "Organization"} | parts if parts else None


def site(value: Value) -> Json | None:
    """Return the Location resource of HD: an institution as a place (XON.8, EVN-7)."""
    name, number, kind = (one_line(part(value, at)) for at in (1, 2, 3))
    numbers = [{"value": number}] if number and kind in ("ISO", "UUID") else []
    parts = compact({"identifier": numbers, "name": name})
    return {"resourceType": "Location"} | parts | _physical_type("si") if parts else None


def site_of_hd(value: Value, context: Context) -> Json | None:
    """Return the Location resource of HD (EVN-7)."""
    return site(value)


def _physical_type(code: str) -> Json:
    return {"physicalType": {"coding": [{"system": _PHYSICAL_TYPES, "code": code}]}}


def location(value: Value, context: Context) -> Json | None:
    """Return the Location resource of PL: the innermost place, part of the others."""
    place: Json | None = None
    for component, kind in _LEVELS:
        found = _hierarchic(value.component(component), with_system=False)
        if not found:
            continue
        parent = {"partOf": place} if place else {}
        place = {"resourceType": "Location", "identifier": found, "mode": "instance"} | parent
        if kind:
            place |= _physical_type(kind)
    rest = compact(
        {
            "status": _PLACE_STATUS.get(part(value, 5).upper(), ""),
            "description": one_line(part(value, 9)),
        }
    )
    own = _own_number(value)
    if place is None and not rest and not own:
        return None
    place = place or {"resourceType": "Location", "mode": "instance"}
    if own:
        place = {**place, "identifier": [*place.get("identifier", ()), own]}
    return place | (rest or {})


def _own_number(value: Value) -> Json | None:
    """Return the identifier that PL.10 and PL.11 have for the place as a whole."""
    number = value.component(10)
    text = one_line(part(number, 1))
    if not text:
        return None
    assigner = organization_of_hd(value.component(11), Context(""))
    if assigner is None:
        assigner = _organization_of_ei(number)
    return {"value": text} | ({"assigner": assigner} if assigner else {})


def _organization_of_ei(value: Value) -> Json | None:
    """Return the Organization that assigned a number of EI (EI[Identifier-Organization])."""
    name, number, kind = (one_line(part(value, at)) for at in (2, 3, 4))
    held: list[Json] = [{"value": name}] if name else []
    if number:
        coded = {"type": {"coding": [{"system": _UNIVERSAL_TYPES, "code": kind}]}} if kind else {}
        held.append({"value": number, **coded})
    return {"resourceType": "Organization", "identifier": held} if held else None
