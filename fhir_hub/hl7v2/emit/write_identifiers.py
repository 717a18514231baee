"""Identifiers as CX, EI, EIP and bare numbers: the namespace goes back to who issued the number.

Spec: HL7v2 chapter 2A, CX, EI, HD; DOMAIN 3.2
"""

import re
from collections.abc import Callable
from typing import Any

from fhir_hub.hl7v2.datatypes.identifiers import CHECK_DIGIT, TYPE_SYSTEM, US_NPI, US_SSN
from fhir_hub.hl7v2.emit.outbound import Outbound
from fhir_hub.hl7v2.emit.resources import numbers
from fhir_hub.hl7v2.emit.write_codes import authority_of, sources_of
from fhir_hub.hl7v2.emit.write_times import moment
from fhir_hub.hl7v2.emit.written import Written
from fhir_hub.identity import systems

_OID = re.compile(r"urn:oid:([0-9.]+)")
_NATIONAL_TYPES = {
    systems.RESIDENT_ID: "NNCHN",
    systems.SOCIAL_SECURITY_CARD: "SB",
    systems.INSURANCE_CARD: "SB",
    systems.HEALTH_CARD: "HC",
    systems.HEALTH_RECORD: "JKDA",
}
_DOCUMENT = re.compile(re.escape(f"{systems.BASE}/sid/idtype-") + r"(\d\d)")
Json = dict[str, Any]
Writer = Callable[[Any, Outbound], Written | None]


def type_of(identifier: Json) -> str:
    """Return the code of table 0203 that an identifier has, `""` without one."""
    codings = identifier.get("type", {}).get("coding", ())
    own = (one.get("code", "") for one in codings if one.get("system") == TYPE_SYSTEM)
    return next(own, "") or next((one.get("code", "") for one in codings), "")


def numbered(kind: str, resource: Json, *others: str, is_own: bool = True) -> Json:
    """Return a resource with a number of a kind, PLAC or FILL, that has a field of its own.

    Where it has none, nor one of the `others`, that is its first number without a type, else
    (`is_own`) its id in the hub: by it a receiver knows it again.
    """
    held = numbers(resource)
    if any(type_of(one) in (kind, *others) and one.get("value") for one in held):
        return resource
    typed_so = {"type": {"coding": [{"system": TYPE_SYSTEM, "code": kind}]}}
    for at, one in enumerate(held):
        if not type_of(one) and one.get("value"):
            return resource | {"identifier": [*held[:at], one | typed_so, *held[at + 1 :]]}
    own = typed_so | {"system": systems.authority_system("FHIRHUB"), "value": resource.get("id")}
    return resource | {"identifier": [*held, own]} if is_own and own["value"] else resource


def hierarchic(system: str) -> list[str]:
    """Return HD of a system: a namespace of ours, an OID, a UUID or a URI."""
    if match := _OID.fullmatch(system):
        return ["", match[1], "ISO"]
    authority, kind = authority_of(system)
    if authority and not kind:
        return [authority]
    if system.startswith("urn:uuid:"):
        return ["", system.removeprefix("urn:uuid:"), "UUID"]
    return ["", system, "URI"] if system else []


def _issuer(value: Json, system: str, out: Outbound) -> list[str]:
    """Return HD of who issued a number: its system, and in words or by a Reference the assigner."""
    issuer = hierarchic(system)
    assigner = value.get("assigner", {})
    name = assigner.get("display", "")
    if not name and not system and (found := out.resource(assigner, "Organization")):
        held = (str(one["value"]) for one in numbers(found) if one.get("value"))
        name = found.get("name") or next(held, "")
    if name and not (issuer and issuer[0]):
        issuer[:1] = [name]
    return issuer


def cx(value: Any, out: Outbound) -> Written | None:
    """Return CX of an Identifier."""
    number, system = value.get("value"), systems.canonical(value.get("system", ""))
    if not number:
        return None
    code = type_of(value)
    authority, kind = authority_of(system)
    if authority and kind:
        assigner = [authority]
        code = code or ("" if kind == "patient-id" else kind.upper())
    elif _DOCUMENT.fullmatch(system) or system == US_SSN:
        assigner = []
    else:
        assigner = _issuer(value, system, out)
        code = code or _NATIONAL_TYPES.get(system, "")
    spelled = sources_of(out.table("IdentifierType"), code) if code else []
    digits = (
        one.get("valueString", "")
        for one in value.get("extension", ())
        if one.get("url") == CHECK_DIGIT
    )
    period = value.get("period", {})
    return [
        str(number),
        next(digits, ""),
        "",
        assigner,
        spelled[0] if spelled else code,
        "",
        moment(period.get("start"), out)[:8],
        moment(period.get("end"), out)[:8],
    ]


def bare(value: Any, out: Outbound) -> Written | None:
    """Return the number alone (PID-19, ZHY-2)."""
    return [str(value["value"])] if value.get("value") else None


def ei(value: Any, out: Outbound) -> Written | None:
    """Return EI of an Identifier."""
    number = value.get("value")
    if not number:
        return None
    issuer = _issuer(value, systems.canonical(value.get("system", "")), out)
    return [str(number), *issuer, *[""] * (3 - len(issuer))]


def pair(at: int, *types: str) -> Writer:
    """Return the writer of EIP whose part `at` is an EI: of identifiers with one of the types."""

    def write(value: Any, out: Outbound) -> Written | None:
        found = ei(value, out) if type_of(value) in types else None
        if found is None:
            return None
        parts = [part if isinstance(part, str) else "" for part in found]
        return [parts] if at == 1 else ["", parts]

    return write


def typed(writer: Writer, *types: str) -> Writer:
    """Return the writer for identifiers of these types alone."""

    def write(value: Any, out: Outbound) -> Written | None:
        return writer(value, out) if type_of(value) in types else None

    return write


def of_reference(writer: Writer) -> Writer:
    """Return the writer for a Reference: by its identifier, else by one of what it leads to."""

    def write(value: Any, out: Outbound) -> Written | None:
        if "value" in value and "reference" not in value:
            return writer(value, out)
        found = out.resources.resolve(value)
        held = [value.get("identifier"), *(numbers(found) if found else ())]
        return next((done for one in held if one and (done := writer(one, out))), None)

    return write


def in_system(system: str) -> Writer:
    """Return the writer of a bare number that is in this system."""

    def write(value: Any, out: Outbound) -> Written | None:
        return bare(value, out) if value.get("system") == system else None

    return write


def in_systems_of(kind: str) -> Writer:
    """Return the writer of EI whose number is in an authority's namespace of a kind (`device`)."""

    def write(value: Any, out: Outbound) -> Written | None:
        authority, found = authority_of(value.get("system", ""))
        if not value.get("value"):
            return None
        if found == kind:
            return [str(value["value"]), "" if authority == out.facility else authority]
        return ei(value, out)

    return write


def licence(value: Any, out: Outbound) -> Written | None:
    """Return DLN of a driver's licence."""
    authority, _ = authority_of(value.get("system", ""))
    if type_of(value) != "DL" or not value.get("value"):
        return None
    return [str(value["value"]), authority, moment(value.get("period", {}).get("end"), out)[:8]]


def staff(identifiers: list[Json], out: Outbound) -> tuple[str, list[str], str]:
    """Return XCN.1, XCN.9 and XCN.13 for a person's identifiers: the first of one's employer."""
    ours = [one for one in identifiers if authority_of(one.get("system", ""))[1] == "practitioner"]
    for one in (*ours, *identifiers):
        if not one.get("value"):
            continue
        system = one.get("system", "")
        authority, kind = authority_of(system)
        if kind == "practitioner":
            return str(one["value"]), [authority], type_of(one)
        if system == US_NPI:
            return str(one["value"]), ["NPI"], "NPI"
        return str(one["value"]), hierarchic(system), type_of(one)
    return "", [], ""
