"""Organizations, Locations, Devices, Addresses and ContactPoints as XON, HD, PL, EI, XAD and XTN.

Spec: HL7v2 chapter 2A, XON, HD, PL, XAD, XTN; DOMAIN 3.6
"""

import re
from typing import Any

from fhir_hub.clock import instant
from fhir_hub.hl7v2.datatypes.places import ADDRESS_KIND, DIVISION
from fhir_hub.hl7v2.emit.outbound import Outbound
from fhir_hub.hl7v2.emit.resources import numbers
from fhir_hub.hl7v2.emit.write_codes import authority_of, concept, sources_of
from fhir_hub.hl7v2.emit.write_identifiers import hierarchic, in_systems_of, type_of
from fhir_hub.hl7v2.emit.write_times import moment
from fhir_hub.hl7v2.emit.written import Written, trimmed
from fhir_hub.identity import addresses, names, systems

_PIECES = "http://hl7.org/fhir/StructureDefinition/contactpoint-"
_DIALLED = re.compile(r"[-+*#() ./\d]*\d[-+*#() ./\d]*")
_TOWNS = ("镇", "乡", "街道")
_OWN = (systems.ORGANIZATION, systems.USCC)
Json = dict[str, Any]


def organization_code(resource: Json) -> str:
    """Return the code of an institution, as MSH-4 names it; `""` if it has none."""
    held = [one for one in numbers(resource) if one.get("value")]
    ours = [one for one in held if one.get("system") in _OWN]
    return str((ours or held or [{"value": ""}])[0]["value"])


def organization(value: Any, out: Outbound) -> Written | None:
    """Return XON of a Reference to an Organization."""
    found = out.resource(value, "Organization")
    if found is None:
        return None
    code, held = organization_code(found), numbers(found)
    chosen: Json = next((one for one in held if one.get("value") == code), {})
    own = chosen.get("system", "") in (*_OWN, "")
    authority = [] if own else hierarchic(chosen["system"])
    if not (code or found.get("name")):
        return None
    # XON.10 since 2.5; before, XON.3, which is a number by the standard and seldom in fact
    is_new = out.version >= "2.5"
    third, tenth = ("", code) if is_new else (code, "")
    written: Written = [found.get("name", ""), "L" if found.get("name") else "", third, "", ""]
    return [*written, authority, type_of(chosen), "", "", tenth]


def facility(value: Any, out: Outbound) -> Written | None:
    """Return HD of a Reference to an Organization (MSH-4, PL.4, PV1-39)."""
    found = out.resource(value, "Organization")
    code = organization_code(found) if found else ""
    name = found.get("name", "") if found else ""
    return [code or name] if code or name else None


def coded_organization(value: Any, out: Outbound) -> Written | None:
    """Return code and name of an institution (`ZJJCHC^朱家角…`)."""
    found = out.resource(value, "Organization")
    if found is None or not (organization_code(found) or found.get("name")):
        return None
    return [organization_code(found), found.get("name", "")]


def organization_identifier(value: Any, out: Outbound) -> Written | None:
    """Return the code of an institution's Identifier."""
    return [str(value["value"])] if value.get("value") else None


def device(value: Any, out: Outbound) -> Written | None:
    """Return EI of a Reference to a Device."""
    found = out.resource(value, "Device")
    held = numbers(found) if found else []
    return in_systems_of("device")(held[0], out) if held else None


def coded_device(value: Any, out: Outbound) -> Written | None:
    """Return CWE of a Reference to a Device: number and name."""
    found = out.resource(value, "Device")
    if found is None:
        return None
    number = next((str(one["value"]) for one in numbers(found)), "")
    name = next((str(one["name"]) for one in found.get("deviceName", ())), "")
    return [number, name] if number or name else None


def location(value: Any, out: Outbound) -> Written | None:
    """Return PL of a Reference to a Location.

    A room's and a bed's number is taken apart again where it was put together of PL's parts.
    """
    found = out.resource(value, "Location")
    if found is None:
        return None
    held = next((one for one in numbers(found) if one.get("value")), {})
    number, name = str(held.get("value", "")), found.get("name", "")
    authority, _ = authority_of(held.get("system", ""))
    kinds = {one.get("code") for one in found.get("physicalType", {}).get("coding", ())}
    spots = number.split("-", 2 if "bd" in kinds else 1 if "ro" in kinds else 0)
    if names.has_han(number) and number == name:
        spots = []
    if not (spots or name):
        return None
    spots += [""] * (3 - len(spots))
    return [*spots, authority, "", "", "", "", name if name != number or not spots[0] else ""]


def site(value: Any, out: Outbound) -> Written | None:
    """Return HD of a Reference to a Location that is an institution."""
    found = out.resource(value, "Location")
    return [found.get("name", "")] if found and found.get("name") else None


def discharge(value: Any, out: Outbound) -> Written | None:
    """Return DLD of a Reference to a Location that is a kind of place."""
    found = out.resource(value, "Location")
    kind = concept(next(iter(found.get("type", ())), {}), out) if found else None
    if kind is None:
        return None
    return [[part if isinstance(part, str) else "" for part in kind]]


def address(value: Any, out: Outbound) -> Written | None:
    """Return XAD of an Address."""
    lines = [str(one) for one in value.get("line", ()) if one]
    town = lines.pop(0) if len(lines) > 1 and lines[0].endswith(_TOWNS) else ""
    parts = [value.get(name, "") for name in ("city", "state", "postalCode", "country")]
    if not lines and not town and not any(parts) and value.get("text"):
        lines = [value["text"]]
    kind = _address_kind(value, out)
    period = value.get("period", {})
    street, *rest = lines or [""]
    written: Written = [street, " ".join(rest), *parts, kind, town, _county(value), "", "", ""]
    written += [moment(period.get("start"), out), moment(period.get("end"), out)]
    return written if any(one for at, one in enumerate(written) if at != 6) else None


def _address_kind(value: Json, out: Outbound) -> str:
    for table, name in (("AddressUse", "use"), ("AddressType", "type")):
        if found := sources_of(out.table(table), value.get(name, "")):
            return found[0]
    kinds = (
        one["valueCodeableConcept"]
        for one in value.get("extension", ())
        if one.get("url") == ADDRESS_KIND and one.get("valueCodeableConcept")
    )
    kind: Json = next(kinds, {})
    code: Json = next(iter(kind.get("coding", ())), {})
    return str(code.get("code") or kind.get("text", ""))


def _county(value: Json) -> str | list[str]:
    codes = (
        one.get("valueCoding", {})
        for one in value.get("extension", ())
        if one.get("url") == DIVISION
    )
    division: Json = next(codes, {})
    code, district = str(division.get("code", "")), str(value.get("district", ""))
    if code and addresses.DIVISIONS.get(code, "") != district:
        return [code, district]
    return code or district


def home_phone(value: Any, out: Outbound) -> Written | None:
    """Return XTN of a ContactPoint, but of one at work: that has a field of its own."""
    return None if value.get("use") == "work" else contact_point(value, out)


def work_phone(value: Any, out: Outbound) -> Written | None:
    """Return XTN of a ContactPoint at work."""
    return contact_point(value, out) if value.get("use") == "work" else None


def contact_point(value: Any, out: Outbound) -> Written | None:
    """Return XTN of a ContactPoint; None of one that has ended, which XTN cannot say before 2.7."""
    period = value.get("period", {})
    begin, end = moment(period.get("start"), out), moment(period.get("end"), out)
    number, system, use = value.get("value"), value.get("system", "phone"), value.get("use", "")
    if use == "old" or (end and end <= moment(instant(out.moment), out)[: len(end)]):
        return None
    if not number:
        return None
    if system == "other" and not _DIALLED.fullmatch(str(number)):
        out.issue("an account is no telephone number, and XTN has no code for it; it was left out")
        return None
    if system == "sms":  # which a mobile phone receives
        system, use = "phone", "mobile"
    code = "PRN" if use == "mobile" else next(iter(sources_of(out.table("TelecomUse"), use)), "")
    kind = next(iter(sources_of(out.table("TelecomSystem"), system)), "")
    later: Written = [begin, end, "", "", "", str(value.get("rank", ""))]
    if system in ("email", "url"):  # both are addresses in the Internet
        kind = kind or next(iter(sources_of(out.table("TelecomSystem"), "email")), "")
        return trimmed(["", code or "NET", kind, str(number), *[""] * 8, *later])
    held = {
        one["url"].removeprefix(_PIECES): one.get("valueString", "")
        for one in value.get("extension", ())
        if one.get("url", "").startswith(_PIECES)
    }
    pieces = [held.get(name, "") for name in ("country", "area", "local", "extension")]
    first = "" if pieces[2] else str(number)
    kind = "CP" if use == "mobile" else kind
    return trimmed([first, code, kind, "", *pieces, *[""] * 4, *later])
