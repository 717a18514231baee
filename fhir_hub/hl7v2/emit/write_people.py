"""HumanName and Practitioner as XPN, XCN, PPN, NDL and coded persons.

Spec: HL7v2 chapter 2A, XPN, XCN; DOMAIN 3.4
"""

from typing import Any

from fhir_hub.hl7v2.datatypes.people import REPRESENTATIONS
from fhir_hub.hl7v2.emit.outbound import Outbound
from fhir_hub.hl7v2.emit.resources import numbers
from fhir_hub.hl7v2.emit.write_codes import sources_of
from fhir_hub.hl7v2.emit.write_identifiers import staff
from fhir_hub.hl7v2.emit.write_times import moment
from fhir_hub.hl7v2.emit.written import Written
from fhir_hub.identity import names

_LETTERS = {code: letter for letter, code in REPRESENTATIONS.items()}
Json = dict[str, Any]


def _parts(name: Json, out: Outbound) -> tuple[str, str, str]:
    """Return family, given and further given names; a name of one text is all in the first."""
    given = names.given(name)
    family = str(name.get("family", ""))
    if not family and not given:
        return str(name.get("text", "")), "", ""
    first, further = (given[0] if given else ""), " ".join(given[1:])
    if out.name_order == "given-first":
        family, first = first, family
    return family, first, further


def _use(name: Json, out: Outbound) -> str:
    return next(iter(sources_of(out.table("NameUse"), name["use"])), "") if "use" in name else ""


def _letter(name: Json) -> str:
    codes = (
        one.get("valueCode", "")
        for one in name.get("extension", ())
        if one.get("url") == names.REPRESENTATION
    )
    return _LETTERS.get(next(codes, ""), "")


def _first(name: Json, element: str) -> str:
    return str(next(iter(name.get(element, ())), ""))


def human_name(value: Any, out: Outbound) -> Written | None:
    """Return XPN of a HumanName."""
    family, given, further = _parts(value, out)
    if not (family or given or further):
        return None
    period = value.get("period", {})
    written: Written = [family, given, further, _first(value, "suffix"), _first(value, "prefix")]
    written += ["", _use(value, out), _letter(value), "", "", ""]
    written += [moment(period.get("start"), out), moment(period.get("end"), out)]
    return written


def person(resource: Json, out: Outbound) -> Written | None:
    """Return XCN of a Practitioner resource, or of one that is only a name."""
    number, authority, kind = staff(numbers(resource), out)
    name: Json = next(iter(resource.get("name", ())), {})
    family, given, further = _parts(name, out)
    if not (number or family or given):
        return None
    degrees = (one.get("code", {}).get("text", "") for one in resource.get("qualification", ()))
    written: Written = [number, family, given, further]
    written += [_first(name, "suffix"), _first(name, "prefix"), next(degrees, ""), ""]
    return [*written, authority, _use(name, out), "", "", kind, "", _letter(name)]


def practitioner(value: Any, out: Outbound) -> Written | None:
    """Return XCN of a Reference to a Practitioner, or to her role."""
    found = practitioner_of(value, out)
    return person(found, out) if found else None


def practitioner_of(value: Any, out: Outbound) -> Json | None:
    """Return the Practitioner of a Reference to her, or to her role."""
    role = out.resource(value, "PractitionerRole") if "reference" in value else None
    if role and "practitioner" in role:
        value = role["practitioner"]
    return out.resource(value, "Practitioner")


def person_name(value: Any, out: Outbound) -> Written | None:
    """Return XCN that has only the name."""
    return person({"name": [value]}, out)


def reporter(value: Any, out: Outbound) -> Written | None:
    """Return NDL: the person is its first component."""
    found = practitioner(value, out)
    if found is None:
        return None
    return [[part if isinstance(part, str) else "".join(part) for part in found[:8]]]


def coded(value: Any, out: Outbound) -> Written | None:
    """Return the person's number and whole name (`D10023^戴慧`), and whose number it is (XCN.9)."""
    found = practitioner_of(value, out)
    if found is None:
        return None
    number, authority, _ = staff(numbers(found), out)
    is_others = authority not in ([], [out.facility])
    name: Json = next(iter(found.get("name", ())), {})
    text = names.written(name)
    if not (number or text):
        return None
    return [number, text, *([*[""] * 6, authority] if is_others else [])]
