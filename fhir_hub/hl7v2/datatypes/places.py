"""XAD and AD as Address, PL and HD as Location.

A Chinese address in one text is taken apart by the names of its divisions; its text is kept
whole. A place within a facility is numbered by the parts that PL has: point of care, room, bed.

Spec: https://hl7.org/fhir/R4/datatypes.html#Address; HL7v2 chapter 2A, XAD, PL; DOMAIN 3.6
"""

import re
from typing import Any

from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.datatypes.parts import compact, one_line, part
from fhir_hub.hl7v2.datatypes.times import period, period_of
from fhir_hub.hl7v2.parsing.er7 import Value
from fhir_hub.identity import addresses, names, systems

DIVISION = f"{systems.BASE}/StructureDefinition/division"
DIVISION_SYSTEM = f"{systems.BASE}/CodeSystem/gb-t-2260"
ADDRESS_KIND = f"{systems.BASE}/StructureDefinition/address-kind"
_DIVISION_CODE = re.compile(r"\d{6}", re.ASCII)
_IS_DISTRICT = re.compile(r"[\u4e00-\u9fff]{1,10}(?:区|县|旗|市)")
_KINDS = "http://terminology.hl7.org/CodeSystem/v2-0190"
_OTHERS = frozenset({"N", "BDL", "F", "S", "TM"})
_PHYSICAL_TYPES = "http://terminology.hl7.org/CodeSystem/location-physical-type"
_NOTHING = frozenset({"无", "不详", "未知", "暂无", "-", "/"})
_ISO = "http://hl7.org/fhir/StructureDefinition/iso21090-"
_SITE, _ROOM, _BED = ("si", "Site"), ("ro", "Room"), ("bd", "Bed")
Json = dict[str, Any]


def address(value: Value, context: Context) -> Json | None:
    """Return the Address of XAD, AD, SAD or of one text."""
    return _address(value, context, "")


def home_address(value: Value, context: Context) -> Json | None:
    """Return the same with `use` home where the sender says none (PID-11)."""
    return _address(value, context, "home")


def _address(value: Value, context: Context, default_use: str) -> Json | None:
    parts = [one_line(part(value, 1, number)) for number in (1, 2, 3)]
    told = (*parts, one_line(part(value, 2)), part(value, 19))
    lines = [piece for piece in told if piece and piece not in _NOTHING]
    city, state = one_line(part(value, 3)), one_line(part(value, 4))
    district, code = _district(value)
    town = one_line(part(value, 8))
    if context.by_table and not names.has_han(town):
        town = ""  # the standard's table has no place for it; a Chinese town is part of the line
    if not (city or state or district) and len(lines) == 1:
        parsed = addresses.parse(lines[0])
        text = lines[0] if names.has_han(lines[0]) else ""
        city, state, district, code = parsed.city, parsed.state, parsed.district, parsed.code
        lines = list(parsed.lines)
    else:
        if town and not district and _IS_DISTRICT.fullmatch(town):
            district, code = town, addresses.code_of(town)
        elif town:
            lines = [town, *lines] if names.has_han(town) else [*lines, town]
        text = _text(state, city, district, lines)
    found = compact(
        {
            "text": text,
            "line": lines,
            "city": city,
            "district": district,
            "state": state,
            "postalCode": one_line(part(value, 5)),
            "country": one_line(part(value, 6)),
            "extension": [*_division(code, district), *_by_table(value, context)],
        }
    )
    return _with_use(found, value, default_use, context) if found else None


def _by_table(value: Value, context: Context) -> list[Json]:
    """Return what the standard's table has beside an address: a holiday home, the census tract."""
    if not context.by_table:
        return []
    tract = one_line(part(value, 10, 9) or part(value, 10, 2) or part(value, 10))
    found = [{"url": f"{_ISO}AD-use", "valueCode": "HV"}] if part(value, 7) == "HV" else []
    return [*found, *([{"url": f"{_ISO}ADXP-censusTract", "valueString": tract}] if tract else [])]


def _with_use(found: Json, value: Value, default_use: str, context: Context) -> Json:
    kind = part(value, 7)
    use = context.table("AddressUse").get(kind) if kind else None
    sort = context.table("AddressType").get(kind) if kind else None
    dates = period_of(value.component(13), value.component(14), context) or period(
        value.component(12), context
    )
    rest = compact(
        {
            "use": use.code if use else ("" if kind else default_use),
            "type": sort.code if sort else "",
            "period": dates,
        }
    )
    if kind and not use and not sort and not (context.by_table and kind == "HV"):
        told = _concept(kind)
        found["extension"] = [
            *found.get("extension", ()),
            {"url": ADDRESS_KIND, "valueCodeableConcept": told},
        ]
    return (rest or {}) | found


def _concept(kind: str) -> Json:
    """Return what an address is for that R4 has no word for: where somebody was born, a tube."""
    return {"coding": [{"system": _KINDS, "code": kind}]} if kind in _OTHERS else {"text": kind}


def _district(value: Value) -> tuple[str, str]:
    """Return the district's name and GB/T 2260 code of XAD.9, or of a county's name there."""
    code, name = part(value, 9, 1), one_line(part(value, 9, 2))
    if _DIVISION_CODE.fullmatch(code):
        return name or addresses.DIVISIONS.get(code, ""), code
    return name or one_line(code), addresses.code_of(name or code)


def _division(code: str, name: str) -> list[Json]:
    if not code:
        return []
    coding = compact({"system": DIVISION_SYSTEM, "code": code, "display": name})
    return [{"url": DIVISION, "valueCoding": coding}]


def address_text(address: Json) -> str:
    """Return the text that an Address without one has by its parts; none of one without Chinese."""
    state, city, district = (str(address.get(one, "")) for one in ("state", "city", "district"))
    return _text(state, city, district, [str(one) for one in address.get("line", ()) if one])


def _text(state: str, city: str, district: str, lines: list[str]) -> str:
    pieces = [state, city if city != state else "", district, *lines]
    text = "".join(pieces)
    return text if names.has_han(text) else ""


def location(value: Value, context: Context) -> Json | None:
    """Return the Location resource of PL: identifier, name, kind of place.

    `None` where PL names nothing within its facility.
    """
    spots = [one_line(part(value, number)) for number in (1, 2, 3)]
    name = one_line(part(value, 9)) or _given_name(spots)
    number = "-".join(spot for spot in spots if spot)
    facility = part(value, 4, 1)
    if not facility or names.has_han(facility):
        facility = context.facility
    if not (number or name):
        return None
    kind = _BED if spots[2] else (_ROOM if spots[1] else None)
    parts = {
        "identifier": [{"system": systems.location(facility), "value": number or name}],
        "name": name or number,
        "physicalType": _physical_type(kind) if kind else None,
    }
    return {"resourceType": "Location", "mode": "instance"} | (compact(parts) or {})


def site(value: Value, context: Context) -> Json | None:
    """Return the Location resource of HD: an institution as a place, known again by its OID."""
    name, system = one_line(part(value, 1)), systems.universal(part(value, 2), part(value, 3))
    number = {"system": "urn:ietf:rfc:3986", "value": system}
    numbers = [number] if system.startswith("urn:") else []
    parts = compact({"identifier": numbers, "name": name})
    kind = {"physicalType": _physical_type(_SITE)}
    return {"resourceType": "Location"} | parts | kind if parts else None


def _given_name(spots: list[str]) -> str:
    text = "".join(spots)
    return text if names.has_han(text) else ""


def _physical_type(kind: tuple[str, str]) -> Json:
    code, display = kind
    return {"coding": [{"system": _PHYSICAL_TYPES, "code": code, "display": display}]}
