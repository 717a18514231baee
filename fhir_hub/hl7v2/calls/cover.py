"""Calls for cover: who insures, who is insured and through whom, the number of the policy.

Spec: HL7v2 chapter 6 (IN1, IN2)
"""

from typing import Any

from fhir_hub.hl7v2.datatypes import (
    by_table,
    codes,
    contacts,
    identifiers,
    people,
    places,
    times,
)
from fhir_hub.hl7v2.datatypes.parts import compact, one_line, part, reader_of
from fhir_hub.hl7v2.making.drafts import Draft, Place
from fhir_hub.hl7v2.parsing.er7 import Value
from fhir_hub.hl7v2.parsing.path import Path
from fhir_hub.identity import systems

_OF_PATIENTS = "/patient-id"
_CHECK_DIGITS = 2  # the most that CX.2 has of them; what is longer is no check digit
Json = dict[str, Any]
Paths = tuple[Path, ...]


def insurer(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Organization that pays: number of IN1-3, name of IN1-4, whom to ask there.

    By the tables it has every number that IN1-3 and IN1-4 say, with its type and who assigned it.
    """
    number_path, name_path, address_path, *reached = paths
    number, name = place.value(number_path), place.value(name_path)
    called = one_line(reader_of(name)(name, 1)) if name else ""
    identifier = None
    if number and part(number, 1):
        authority = part(number, 4, 1) or place.run.facility
        system = systems.universal(part(number, 4, 2), part(number, 4, 3))
        identifier = {
            "system": system or systems.authority_system(authority),
            "value": one_line(part(number, 1)),
        }
    numbers = _numbers(place, number_path, name) if place.run.by_table else []
    numbers = numbers or ([identifier] if identifier else [])
    if number and not called and not part(number, 3) and len(part(number, 2)) > _CHECK_DIGITS:
        called = one_line(part(number, 2))  # as a code with a name has it (UHC^United Healthcare)
        numbers = [{key: one[key] for key in one if key != "extension"} for one in numbers]
    parts = compact({"identifier": numbers, "name": called})
    if parts is None:
        return None
    at = place.value(address_path)
    address = places.address(at, place.run.context) if at else None
    found = parts | ({"address": [address]} if address else {})
    for path in (address_path, *reached[:1]):  # one place, and one to ask, is told
        if len(place.values(path)) > 1:
            place.run.keep(place.segment, path.field)
    return {"resourceType": "Organization"} | found | _asked(place, *reached)


def _numbers(place: Place, number: Path, name: Value | None) -> list[Json]:
    """Return the Identifiers of an institution that CX and XON say, each once."""
    context, found = place.run.context, []
    for value in place.values(number):
        said = identifiers.cx(value, context)
        found += [_of_institution(said, place)] if isinstance(said, dict) else []
    called = (by_table.organization(name, context) if name else None) or {}
    known = {one.get("value") for one in found}
    found += [one for one in called.get("identifier", ()) if one.get("value") not in known]
    return [one for one in found if "value" in one]


def _of_institution(identifier: Json, place: Place) -> Json:
    """Return an institution's number, which is no patient's where no authority is named."""
    if not identifier.get("system", "").endswith(_OF_PATIENTS):
        return identifier
    return identifier | {"system": systems.authority_system(place.run.facility)}


def _asked(
    place: Place, person: Path | None = None, phone: Path | None = None, own: Path | None = None
) -> Json:
    """Return whom to ask at an institution, by which phones, and by which of his own."""
    said = place.value(person) if person else None
    name = people.human_name(said, place.run.context) if said else None
    first = name[0] if isinstance(name, list) else name
    asked = compact({"name": first, "telecom": _phones(place, own)})
    return compact({"telecom": _phones(place, phone), "contact": [asked] if asked else []}) or {}


def _phones(place: Place, path: Path | None) -> list[Json]:
    found: list[Json] = []
    for value in place.values(path) if path else ():
        point = contacts.contact_point(value, place.run.context)
        found += point if isinstance(point, list) else [point] if point else []
    return found


def employer(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Organization that holds the policy: number of IN1-10, name of IN1-11.

    Behind them come whom to ask there, its phones and that person's.
    """
    number_path, name_path, *reached = paths
    number, name = place.value(number_path), place.value(name_path)
    if number and not place.run.by_table:
        place.run.keep(place.segment, number_path.field)
    found = identifiers.cx(number, place.run.context) if number and place.run.by_table else None
    parts = compact(
        {
            "identifier": [_of_institution(found, place)] if isinstance(found, dict) else [],
            "name": one_line(reader_of(name)(name, 1)) if name else "",
        }
    )
    if parts is None:  # without number and name nobody knows whom to ask where
        for path in reached:
            segment = place.find(path.segment)
            if segment is not None and segment.field(path.field):
                place.run.keep(segment, path.field)
        return None
    return {"resourceType": "Organization"} | parts | _asked(place, *reached)


def subscriber(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the RelatedPerson whose policy it is.

    The paths are name, number, birth, address, sex, relationship, further numbers, social
    security number and phones.
    """
    name, number, born, address, sex, kin, _, security, _ = map(place.value, paths)
    patients = place.node.nearest_drafts("Patient")
    context = place.run.context
    table = context.table("Relationship")
    relation = codes.table_codeable_concept(kin, context, table) if kin else None
    if not (name or number) or not patients or _is_self(relation):
        return None
    called = people.human_name(name, context) if name else None
    numbers = [identifiers.cx(one, context) for one in (number, *place.values(paths[6])) if one]
    numbers.append(identifiers.resident(security, context) if security else None)
    at = places.address(address, context) if address else None
    phones = [contacts.contact_point(one, context) for one in place.values(paths[8])]
    parts = compact(
        {
            "identifier": [found for found in numbers if isinstance(found, dict)],
            "patient": {"reference": patients[0].full_url},
            "relationship": [relation] if relation else [],
            "telecom": [one for one in phones if isinstance(one, dict)],
            "name": called if isinstance(called, list) else [called] if called else [],
            "birthDate": times.date(born, context) if born else "",
            "gender": codes.table_code(sex, context, context.table("AdministrativeSex"))
            if sex
            else "",
            "address": [at] if at else [],
        }
    )
    assert parts is not None
    return {"resourceType": "RelatedPerson"} | parts if len(parts) > 1 else None


def _is_self(relation: Json | None) -> bool:
    """Say whether it is the patient's own policy, in whichever words (`01^本人`)."""
    return any(one.get("code") == "ONESELF" for one in (relation or {}).get("coding", ()))


def policy_number(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Identifier of a policy: the first path's number; the others tell the insurer.

    A number of the national insurance, or one that the patient holds as such, is one in its
    system; any other is the insurer's.
    """
    number, *insurer_paths = paths
    text = one_line(place.text(number))
    if not text or identifiers.is_filler(text):
        return None
    said = [value for path in insurer_paths for value in place.values(path)]
    is_national = any("NHSA" in value.raw or "医保" in value.raw for value in said)
    held = {"system": systems.INSURANCE_CARD, "value": text}
    if is_national or _holds(place, held):
        return held
    last = place.value(insurer_paths[-1])
    authority = (part(last, 4, 1) or part(last, 1)) if last else ""
    system = systems.authority_system(authority or place.run.facility)
    return {"system": f"{system}/policy", "value": text}


def _holds(place: Place, wanted: Json) -> bool:
    return any(
        (one.get("system"), one.get("value")) == (wanted["system"], wanted["value"])
        for patient in place.node.nearest_drafts("Patient")
        for one in patient.resource.get("identifier", ())
    )
