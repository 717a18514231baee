"""XTN and TN as ContactPoint.

The number stands in XTN.1 as one text, or in pieces (country, area, local), or in XTN.12; an
e-mail address in XTN.4. Several numbers in one text are several contact points.

Spec: https://hl7.org/fhir/R4/datatypes.html#ContactPoint; HL7v2 chapter 2A, XTN; DOMAIN 3.6
"""

from typing import Any

from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.datatypes.numbers import read_decimal
from fhir_hub.hl7v2.datatypes.parts import compact, half_width, one_line, part
from fhir_hub.hl7v2.datatypes.times import period_of
from fhir_hub.hl7v2.parsing.er7 import Value
from fhir_hub.identity import phones

_EXTENSION = "http://hl7.org/fhir/StructureDefinition/contactpoint-"
_MOBILE = {"CP", "PRS"}
_ADDRESSED = {"INTERNET", "X.400"}
_NOTHING = {"-", "--", "/", "无", "0"}
Json = dict[str, Any]


def contact_point(value: Value, context: Context) -> Json | list[Json] | None:
    """Return the ContactPoint of XTN or TN, or several that one text holds."""
    found = [point for point in _points(value, context) if point]
    return found[0] if len(found) == 1 else found or None


def home_phone(value: Value, context: Context) -> Json | list[Json] | None:
    """Return the same, of use home where the sender says none and it is no mobile (PID-13)."""
    return _used(value, context, "home")


def work_phone(value: Value, context: Context) -> Json | list[Json] | None:
    """Return the same, of use work where the sender says none and it is no mobile (PID-14)."""
    return _used(value, context, "work")


def _used(value: Value, context: Context, use: str) -> Json | list[Json] | None:
    found = [point for point in _points(value, context) if point]
    if not part(value, 2):
        found = [point if "use" in point else {**point, "use": use} for point in found]
    return found[0] if len(found) == 1 else found or None


def _points(value: Value, context: Context) -> list[Json | None]:
    address = one_line(part(value, 4)) or _email(part(value, 1))
    shared = {
        "rank": _rank(part(value, 18)),
        "period": period_of(value.component(13), value.component(14), context),
    }
    use, equipment = part(value, 2).upper(), part(value, 3)
    if context.by_table:
        return _by_table(value, use, equipment, shared, context)
    if address:
        system = _system(equipment, context) or ("email" if "@" in address else "url")
        if system in ("phone", "fax") and "@" in address:
            system = "email"
        if system == "email" and "@" not in address and "://" in address:
            system = "url"
        spoken = {"system": system, "value": address, "use": _use(use, "", False, context)}
        return [compact(spoken | shared), *_numbers(value, use, "PH", shared, context)]
    return _numbers(value, use, equipment, shared, context)


def _by_table(
    value: Value, use: str, equipment: str, shared: Json, context: Context
) -> list[Json | None]:
    """Return the point that the standard's table makes: an address, or the whole number.

    Of several writings the unformatted one (XTN.12) goes before the pieces, and XTN.1 is last.
    An e-mail address beside a number is a point of its own: the table would lose it.
    """
    address = one_line(part(value, 4)) or _email(part(value, 1))
    number = one_line(part(value, 12))
    is_address = equipment.upper() in _ADDRESSED
    has_number = number or part(value, 7) or (part(value, 1) and not _email(part(value, 1)))
    only_address = is_address or not has_number
    spoken: list[Json | None] = []
    if address and (only_address or "@" in address):
        system = (_system(equipment, context) if only_address else "") or "email"
        told = {"system": system, "value": address, "use": _use(use, "", False, context)}
        spoken.append(compact(told | shared))
    if spoken and only_address:
        return spoken
    if number and not is_address:
        point = phones.normalise(number, "")
        system = _system(equipment, context) or "phone"
        made = _point(point, system, use, equipment, shared, context, _pieces(value))
        return [made, *spoken]
    return [*_numbers(value, use, equipment, shared, context), *spoken]


def _numbers(
    value: Value, use: str, equipment: str, shared: Json, context: Context
) -> list[Json | None]:
    country, area, local = (one_line(part(value, number)) for number in (5, 6, 7))
    system = _system(equipment, context) or "phone"
    if local:
        text = _assembled(country, area, local, one_line(part(value, 8)))
        phone = phones.normalise(text, country)
        return [_point(phone, system, use, equipment, shared, context, _pieces(value))]
    text = "" if _email(part(value, 1)) else part(value, 1) or part(value, 12)
    return [
        _point(phones.normalise(one), system, use, equipment, shared, context, [])
        for one in phones.split_phones(text)
        if one not in _NOTHING
    ]


def _pieces(value: Value) -> list[Json]:
    """Return the pieces of a number as extensions: XTN.5 to XTN.8."""
    return [
        {"url": _EXTENSION + name, "valueString": text}
        for at, name in ((5, "country"), (6, "area"), (7, "local"), (8, "extension"))
        if (text := one_line(part(value, at)))
    ]


def _point(
    phone: phones.Phone | None,
    system: str,
    use: str,
    equipment: str,
    shared: Json,
    context: Context,
    extension: list[Json],
) -> Json | None:
    if phone is None:
        return None
    parts = {
        "extension": extension,
        "system": system,
        "value": phone.value,
        "use": _use(use, equipment, phone.is_mobile, context),
    }
    return compact(parts | shared)


def _assembled(country: str, area: str, local: str, extension: str) -> str:
    number = f"{area} {local}" if area else local
    if country and country.lstrip("+0") not in ("86", "", "CHN"):
        number = f"+{country.lstrip('+')} {number}"
    return f"{number} X{extension}" if extension else number


def _system(equipment: str, context: Context) -> str:
    coded = context.table("TelecomSystem").get(equipment) if equipment else None
    return coded.code if coded else ""


def _use(use: str, equipment: str, is_mobile: bool, context: Context) -> str:
    if equipment.upper() in _MOBILE or use == "PRS":
        return "mobile"
    coded = context.table("TelecomUse").get(use) if use else None
    if coded:
        return coded.code
    return "mobile" if is_mobile and use in ("", "NET") else ""


def _email(text: str) -> str:
    text = half_width(text)
    return text if "@" in text and " " not in text else ""


def _rank(text: str) -> int | None:
    number = read_decimal(text)
    return int(number) if number is not None and 1 <= number < 1000 else None
