"""XON, HD and coded institutions as Organization, and devices as Device.

An institution's code is one identifier, whichever datatype brings it, so that MSH-4, XON and a
Z-segment name one Organization. A text in Chinese where a code should be is a name.

Spec: https://hl7.org/fhir/R4/organization.html; HL7v2 chapter 2A, XON, HD
"""

from typing import Any

from fhir_hub.hl7v2.datatypes import coding_systems, identifiers
from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.datatypes.parts import compact, one_line, part, reader_of
from fhir_hub.hl7v2.parsing.er7 import Value
from fhir_hub.identity import names, systems

Json = dict[str, Any]


def organization(value: Value, context: Context) -> Json | None:
    """Return the Organization resource of XON."""
    number = part(value, 10) or part(value, 3)
    system = systems.universal(part(value, 6, 2), part(value, 6, 3))
    identifier = identifiers.institution(number, context, system)
    kind = identifiers.identifier_type(part(value, 7), context) if identifier else None
    if identifier and kind:
        identifier = {"type": kind} | identifier
    return _resource(identifier, one_line(reader_of(value)(value, 1)))


def facility(value: Value, context: Context) -> Json | None:
    """Return the Organization resource of HD or IS (MSH-4, PL.4, PV1-39)."""
    name = one_line(part(value, 1))
    if names.has_han(name):
        return _resource(None, name)
    identifier = identifiers.institution(name, context)
    found = _resource(identifier, name)
    number = part(value, 2)
    if not number:
        return found
    system = systems.universal(number, part(value, 3))
    second = (
        {"system": "urn:ietf:rfc:3986", "value": system}
        if system.startswith("urn:")
        else {"system": systems.authority_system(part(value, 3) or "unknown"), "value": number}
    )
    if found is None:
        return {"resourceType": "Organization", "identifier": [second]}
    return found | {"identifier": [*found.get("identifier", []), second]}


def coded_organization(value: Value, context: Context) -> Json | None:
    """Return the Organization resource of a code and a name (`ZJJCHC^朱家角…`)."""
    number, name = one_line(part(value, 1)), one_line(part(value, 2))
    if names.has_han(number) and not name:
        return _resource(None, number)
    return _resource(identifiers.institution(number, context), name)


def identifier(value: Value, context: Context) -> Json | None:
    """Return the Identifier of the institution that XON, HD or CWE names."""
    number = part(value, 10) or (part(value, 3) if len(value.components) > 2 else "")
    if number in ("ISO", "UUID", "DNS", "CLIA") or not number:
        number = part(value, 1)
    return None if names.has_han(number) else identifiers.institution(number, context)


def device(value: Value, context: Context) -> Json | None:
    """Return the Device resource of EI, HD or a bare number (OBX-18)."""
    found = identifiers.device(value, context)
    return {"resourceType": "Device", "identifier": [found]} if found else None


def coded_device(value: Value, context: Context) -> Json | None:
    """Return the Device resource of CWE: code and name (ORC-18, AIG-3)."""
    number, name, named = (one_line(part(value, at)) for at in (1, 2, 3))
    system = coding_systems.system_of(named, context.facility) if named else ""
    if not system or system == coding_systems.local(context.facility):
        system = systems.device(context.facility)
    parts = compact(
        {
            "identifier": [{"system": system, "value": number}] if number else [],
            "deviceName": [{"name": name, "type": "other"}] if name else [],
        }
    )
    return {"resourceType": "Device"} | parts if parts else None


def _resource(found: Json | None, name: str) -> Json | None:
    parts = compact({"identifier": [found] if found else [], "name": name})
    return {"resourceType": "Organization"} | parts if parts else None
