"""CX, EI, HD and bare numbers as Identifier, each in the namespace of who issued it.

A number that can be a resident ID is one, whatever the sender calls it. A number called a
resident ID that cannot be one is kept with `use` temp and a tag, so that nobody is matched by
it. What names no authority is the sending facility's.

Spec: https://hl7.org/fhir/R4/datatypes.html#Identifier; HL7v2 chapter 2A, CX, EI; DOMAIN 3.2
"""

import re
from typing import Any

from fhir_hub.hl7v2.datatypes import coding_systems
from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.datatypes.parts import clean, compact, one_line, part
from fhir_hub.hl7v2.datatypes.times import period_of, read_moment, write_datetime
from fhir_hub.hl7v2.parsing.er7 import Value
from fhir_hub.identity import resident_id, systems, uscc

DATA_QUALITY = f"{systems.BASE}/StructureDefinition/data-quality"
AUTHORITY = f"{systems.BASE}/StructureDefinition/assigning-authority"
CHECK_DIGIT = "http://hl7.org/fhir/StructureDefinition/identifier-checkDigit"
TYPE_SYSTEM = coding_systems.v2_table("203")
US_SSN = "http://hl7.org/fhir/sid/us-ssn"
US_NPI = "http://hl7.org/fhir/sid/us-npi"
# Of FHIR's registry of identifier systems: those that messages name by OID.
REGISTERED = systems.STRONG | {f"urn:oid:2.16.840.1.113883.4.{kind}" for kind in (1, 6)}
_NATIONAL_TYPE = "NNCHN"
_NAMED_CLOSER = frozenset({"SB", "MI", "DL"})  # 社保卡 and 医保卡 are both SB, each has its system
_ALMOST_A_RESIDENT_ID = 14
_SSN = re.compile(r"\d{3}-?\d{2}-?\d{4}", re.ASCII)
_FILLERS = {"", "-", "--", "/", "无", "不详", "未知", "NULL", "NONE", "N/A", "NA", "UNKNOWN"}
Json = dict[str, Any]


def is_own(system: str) -> bool:
    """Say whether a system is a namespace of the hub's own making."""
    return system.startswith(systems.BASE)


def is_filler(number: str) -> bool:
    """Say whether a number only fills the field: zeros, dashes, six nines, 无."""
    bare = number.strip("-. ")
    return (
        not bare.strip("0") or number.upper() in _FILLERS or (len(bare) > 5 and not bare.strip("9"))
    )


def cx(value: Value, context: Context) -> Json | list[Json] | None:
    """Return the Identifier of CX; two where a resident ID came in its 15-digit writing."""
    number, type_code = one_line(part(value, 1)), _type_of(part(value, 5), context)
    if not number:
        return None
    oid = part(value, 4, 2)
    named = bool(part(value, 4, 1) or oid)
    system = systems.universal(oid, part(value, 4, 3)) or systems.national(
        type_code, has_authority=named
    )
    if type_code in _NAMED_CLOSER and (said := one_line(part(value, 5))) != type_code:
        system = systems.national(said, has_authority=named) or system
    if system == systems.RESIDENT_ID or (
        resident_id.looks_like(number) and resident_id.is_valid(number)
    ):
        if system != systems.RESIDENT_ID:
            told = "a resident ID stands where a number of the sender's belongs"
            context.normalised("misplaced-resident-id", told)
        return _resident(number, value, context)
    if _is_nothing(number, context):
        return None
    if type_code.upper() == "SS" and _SSN.fullmatch(number) and not system:
        system = US_SSN
    kind = type_code or systems.kind_of_oid(oid)
    issuer = "" if systems.kind_of_oid(oid) else oid
    authority = context.namespace(part(value, 4, 1) or issuer)
    identifier = {
        "type": identifier_type(type_code, context),
        "system": system or systems.patient_number(authority, kind),
        "value": number,
    }
    return _with_rest(identifier, value, context)


def _type_of(type_code: str, context: Context) -> str:
    """Return the type that CX.5 means: the sender's own word by its table.

    `U` is unspecified, which says nothing: since 2.7 CX.5 is required.
    """
    if type_code == "U":
        return ""
    coded = context.table("IdentifierType").get(type_code) if type_code else None
    return coded.code if coded else type_code


def _with_rest(identifier: Json, value: Value, context: Context) -> Json | None:
    if len(value.components) < 6 and not (part(value, 2) or part(value, 4, 2)):
        return compact(identifier)  # number, authority and type, as nearly always
    dates = period_of(value.component(7), value.component(8), context)
    if digit := part(value, 2):
        identifier["extension"] = [{"url": CHECK_DIGIT, "valueString": digit}]
    if part(value, 4, 1) and part(value, 4, 2):
        identifier["assigner"] = {"display": part(value, 4, 1)}
    elif part(value, 6, 1):
        identifier["assigner"] = {"display": part(value, 6, 1)}
    return compact(identifier | {"period": dates})


def _moment(text: str, context: Context) -> str:
    moment = read_moment(text, context)
    return write_datetime(moment, context.zone) if moment else ""


def _is_nothing(number: str, context: Context) -> bool:
    if is_filler(number):
        context.issue("filler-identifier", "an identifier only fills its field; it was left out")
        return True
    return False


def resident(value: Value, context: Context) -> Json | list[Json] | None:
    """Return the Identifier of a field that holds a national number (PID-19).

    A US social security number is told by its shape. A text of about a resident ID's length is
    one, right or wrong; a shorter one is a social security number in a message of the USA, else a
    number of the sender's, typed SS as the field says.
    """
    number = one_line(part(value, 1))
    if not number:
        return None
    if _SSN.fullmatch(number) and not is_filler(number.replace("-", "")):
        return typed({"system": US_SSN, "value": number}, "SS")
    if len(resident_id.normalise(number)) >= _ALMOST_A_RESIDENT_ID:
        told = "a resident ID stands in a field for another number"
        context.normalised("misplaced-resident-id", told)
        return _resident(number, value, context)
    if _is_nothing(number, context):
        return None
    is_us = context.country in ("USA", "US")
    system = US_SSN if is_us else systems.patient_number(context.facility, "SS")
    return typed({"system": system, "value": number}, "SS")


def _resident(number: str, value: Value, context: Context) -> Json | list[Json] | None:
    verdict = resident_id.examine(number)
    if "filler" in verdict.reasons or is_filler(verdict.value):
        context.issue("filler-identifier", "a resident ID only fills its field; it was left out")
        return None
    kind = {"coding": [{"system": TYPE_SYSTEM, "code": _NATIONAL_TYPE}]}
    good: Json = {
        "use": "official",
        "type": kind,
        "system": systems.RESIDENT_ID,
        "value": verdict.value,
    }
    if not verdict.is_valid:
        context.issue(
            "invalid-resident-id",
            f"a resident ID cannot be right ({', '.join(verdict.reasons)}); it matches nobody",
        )
        tag = {"url": DATA_QUALITY, "valueCode": f"invalid-{verdict.reasons[0]}"}
        return good | {"use": "temp", "extension": [tag]}
    whole = _with_rest(good, value, context) or good
    if verdict.former:
        return [whole, good | {"use": "old", "value": verdict.former}]
    return whole


def identifier_type(type_code: str, context: Context) -> Json | None:
    """Return the CodeableConcept of CX.5 by the table IdentifierType, else of HL7 table 0203."""
    if not type_code:
        return None
    if coded := context.table("IdentifierType").get(type_code):
        return {"coding": [coded.coding()]}
    if type_code.isascii() and " " not in type_code:
        return {"coding": [{"system": TYPE_SYSTEM, "code": type_code}]}
    return {"text": type_code}


def ei(value: Value, context: Context) -> Json | None:
    """Return the Identifier of EI in the namespace of EI.2 or EI.3, else of the sender."""
    return _in_namespace(part(value, 1), part(value, 2), part(value, 3), part(value, 4), context)


def _in_namespace(number: str, name: str, oid: str, kind: str, context: Context) -> Json | None:
    number = one_line(number)
    if not number or _is_nothing(number, context):
        return None
    system = systems.universal(oid, kind) or systems.authority_system(context.namespace(name))
    identifier: Json = {"system": system, "value": number}
    is_senders = bool(context.facility) and name in ("", context.facility) and not oid
    if context.by_table and not is_senders:
        identifier = {"value": number}  # EI[Identifier-Extension]: who assigned it, not a system
        if said := authority(name, oid, kind):
            identifier["extension"] = [said]
    if name and (oid or "system" not in identifier):
        identifier["assigner"] = {"display": name}
    return identifier


def authority(name: str, number: str, kind: str) -> Json | None:
    """Return the extension that keeps who assigned a number as EI and HD name it."""
    parts = {
        "namespaceId": {"valueString": name},
        "universalId": {"valueString": number},
        "universalIdType": {"valueCode": kind},
    }
    held = [{"url": url, **one} for url, one in parts.items() if all(one.values())]
    return {"url": AUTHORITY, "extension": held} if held else None


def placer_ei(value: Value, context: Context) -> Json | None:
    """Return the Identifier that the placer gave of EIP, typed PGN."""
    return typed(ei(value.component(1), context), "PGN")


def filler_ei(value: Value, context: Context) -> Json | None:
    """Return the Identifier that the filler gave of EIP, typed FGN."""
    return typed(ei(value.component(2), context), "FGN")


def placer_number(value: Value, context: Context) -> Json | None:
    """Return the Identifier of EI as the placer's, typed PLAC (ORC-2, OBR-2, SCH-1)."""
    return typed(ei(value, context), "PLAC")


def filler_number(value: Value, context: Context) -> Json | None:
    """Return the Identifier of EI as the filler's, typed FILL (ORC-3, OBR-3, SCH-2)."""
    return typed(ei(value, context), "FILL")


def shipment_number(value: Value, context: Context) -> Json | None:
    """Return the Identifier of EI as a shipment's, typed SHIP (SPM-32)."""
    return typed(ei(value, context), "SHIP")


def typed(identifier: Json | None, type_code: str) -> Json | None:
    """Return an Identifier with a type of HL7 table 0203."""
    if identifier is None:
        return None
    return {"type": {"coding": [{"system": TYPE_SYSTEM, "code": type_code}]}} | identifier


def licence(value: Value, context: Context) -> Json | None:
    """Return the Identifier of a driver's licence of DLN, of the place that issued it."""
    number = one_line(part(value, 1))
    if not number or _is_nothing(number, context):
        return None
    found: Json = {"system": systems.patient_number(context.namespace(part(value, 2)), "DL")}
    end = _moment(part(value, 3), context)
    return typed(found | {"value": number} | ({"period": {"end": end}} if end else {}), "DL")


def visit(value: Value, context: Context) -> Json | list[Json] | None:
    """Return the Identifier of a visit (PV1-19), of type VN where it has none."""
    if part(value, 5) or part(value, 4, 2):
        return cx(value, context)
    number = one_line(part(value, 1))
    if not number or _is_nothing(number, context):
        return None
    authority = context.namespace(part(value, 4, 1))
    system = systems.patient_number(authority, "VN")
    identifier = {"type": identifier_type("VN", context), "system": system, "value": number}
    return _with_rest(identifier, value, context)


def staff(value: Value, context: Context) -> Json | None:
    """Return the Identifier of the person whom XCN, CNN or PPN names."""
    number = one_line(part(value, 1))
    if not number or _is_nothing(number, context):
        return None
    type_code = part(value, 13)
    authority = part(value, 9, 1) or context.facility
    system = systems.universal(part(value, 9, 2), part(value, 9, 3))
    if type_code == "NPI" or (authority == "NPI" and not system):
        system = US_NPI
    identifier = {
        "type": identifier_type(type_code, context),
        "system": system or systems.practitioner(authority),
        "value": number,
    }
    if part(value, 9, 1) and part(value, 9, 2):
        identifier["assigner"] = {"display": part(value, 9, 1)}
    return compact(identifier)


def institution(number: str, context: Context, system: str = "") -> Json | None:
    """Return the Identifier of an institution's code; a valid USCC is told by its check."""
    number = one_line(clean(number))
    if not number or is_filler(number):
        return None
    if uscc.is_valid(number):
        return {"system": systems.USCC, "value": uscc.normalise(number)}
    return {"system": system or systems.ORGANIZATION, "value": number}


def device(value: Value, context: Context) -> Json | None:
    """Return the Identifier of a device of the sender (OBX-18)."""
    number = one_line(part(value, 1))
    if not number or _is_nothing(number, context):
        return None
    if context.by_table:
        said = authority(*(one_line(part(value, at)) for at in (2, 3, 4)))
        return {"value": number} | ({"extension": [said]} if said else {})
    system = systems.universal(part(value, 3), part(value, 4))
    return {"system": system or systems.device(part(value, 2) or context.facility), "value": number}


def slot(value: Value, context: Context) -> Json | None:
    """Return the Identifier of a slot."""
    return _of_system(value, systems.SLOT)


def contract(value: Value, context: Context) -> Json | None:
    """Return the Identifier of a family doctor contract."""
    return _of_system(value, systems.CONTRACT)


def _of_system(value: Value, system: str) -> Json | None:
    number = one_line(part(value, 1))
    return {"system": system, "value": number} if number else None
