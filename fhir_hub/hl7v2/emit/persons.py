"""Whom a message is about: the Patient with her contacts and her doctor, and her visit.

Spec: HL7v2 chapter 3, PID, PD1, NK1, PV1 and PV2; chapter 15, ROL
"""

from collections.abc import Iterator, Sequence
from typing import Any

from fhir_hub.errors import InvalidResource
from fhir_hub.hl7v2.calls.roles import BIRTH_TIME
from fhir_hub.hl7v2.emit.in_force import in_force
from fhir_hub.hl7v2.emit.outbound import Outbound
from fhir_hub.hl7v2.emit.resources import Resources, numbers
from fhir_hub.hl7v2.emit.spots import Spot
from fhir_hub.hl7v2.emit.write_codes import table_sources
from fhir_hub.hl7v2.emit.write_times import moment
from fhir_hub.hl7v2.emit.written import Written
from fhir_hub.identity import names
from fhir_hub.identity.systems import BASE

Json = dict[str, Any]
# A visit that is none, where a structure demands PV1 (table 0004).
_NO_VISIT: dict[str, Written] = {"PV1-2": ["N"]}
_NO_CLASS = {"system": "http://terminology.hl7.org/CodeSystem/v2-0004", "code": "N"}
INPATIENT = ("IMP", "ACUTE", "NONAC")
# PID-5 is demanded: a name of unspecified type is none (table 0200).
NO_NAME: dict[str, Written] = {"PID-5": ["", "", "", "", "", "", "U"]}
# How US Core says what PID-10 and PID-22 say.
_US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"


def person(
    patient: Json | None,
    group: str,
    resources: Resources,
    out: Outbound,
    account: Json | None = None,
    *,
    with_contacts: bool = True,
    with_doctors: bool = False,
) -> Iterator[Spot]:
    """Return who it is about: PID, PD1 and NK1; of contacts, if so, those whom no other names.

    `with_doctors`: who her doctors are stands in ROL, as PD1 does not say it since 2.7.
    """
    if patient is None:
        return
    yield from who(patient, group, out, account, with_doctors=with_doctors)
    related = resources.referring("RelatedPerson", "patient", patient)
    for one in in_force(related):
        yield Spot("NK1", group, {"RelatedPerson": one})
    unnamed = others(patient, related)
    if unnamed and with_contacts:
        named_by = {"Patient": {**patient, "contact": unnamed}}
        yield Spot("NK1", group, named_by, is_extract=True)


def others(patient: Json, related: Sequence[Json]) -> list[Json]:
    """Return the contacts whom no relative names, also not one who is none any more."""
    named = {_called(name) for one in related for name in one.get("name", ())}
    return [one for one in patient.get("contact", ()) if _called(one.get("name")) not in named]


def who(
    patient: Json,
    group: str,
    out: Outbound,
    account: Json | None = None,
    *,
    with_doctors: bool = False,
) -> Iterator[Spot]:
    """Return PID and PD1, of doctors, if so, ROL."""
    patient = _with_races(patient)
    if spoken := patient.get("communication", ()):  # PID-15 has room for one
        first = sorted(spoken, key=lambda one: not one.get("preferred"))
        patient = patient | {"communication": first}
    born = _born(patient, out)
    begun: dict[str, Written] = {"PID-7": [born]} if born else {}
    tells = ("birthDate",) if born else ()
    fixed = own_number("PID-3", patient, "PI") | NO_NAME
    told = {"Patient": patient} | ({"Account": account} if account else {})
    yield Spot("PID", group, told, fixed, begun, tells=tells)
    yield Spot("PD1", group, {"Patient": patient})
    if with_doctors:
        yield Spot("ROL", group, {"Patient": patient}, {"ROL-2": ["UC"]})


def _born(patient: Json, out: Outbound) -> str:
    """Return the moment of a birth, if it is on the day that is told beside it."""
    times = (
        moment(one.get("valueDateTime"), out)
        for one in patient.get("_birthDate", {}).get("extension", ())
        if one.get("url") == BIRTH_TIME
    )
    born, day = next(times, ""), moment(patient.get("birthDate"), out)
    return born if day and born.startswith(day) else ""


def subject(reference: Any, out: Outbound, *, is_demanded: bool) -> Json | None:
    """Return the Patient whom a message is about, as much as is known of one who is not here.

    Raises `InvalidResource` if nothing is: a message without PID would be of nobody.
    """
    found = out.resource(reference, "Patient") if isinstance(reference, dict) else None
    address = str((reference or {}).get("reference", ""))
    if found is not None and not numbers(found) and out.resources.resolve(reference) is None:
        found = None  # a name alone
    if found is None and (is_demanded or "Patient/" in address):
        raise InvalidResource("the patient whom it is about is not here")
    return found


def _with_races(patient: Json) -> Json:
    """Return a Patient whose race and ethnicity by US Core stand as the maps read them."""
    told: list[Json] = []
    for one in patient.get("extension", ()):
        name = str(one.get("url", "")).removeprefix(_US_CORE)
        concepts = _concepts(one.get("extension", ())) if name in ("race", "ethnicity") else []
        url = f"{BASE}/StructureDefinition/{name}"
        told += [{"url": url, "valueCodeableConcept": concept} for concept in concepts] or [one]
    return patient | {"extension": told} if told else patient


def _concepts(parts: Sequence[Json]) -> list[Json]:
    """Return what an extension of US Core says: its codes, where it has none its text."""
    codes = [{"coding": [one["valueCoding"]]} for one in parts if "valueCoding" in one]
    return codes or [{"text": one["valueString"]} for one in parts if "valueString" in one]


def own_number(path: str, resource: Json, kind: str) -> dict[str, Written]:
    """Return the id in the hub, of a kind (table 0203), as the number of what has none."""
    if any(one.get("value") for one in numbers(resource)) or not resource.get("id"):
        return {}
    number = str(resource["id"])
    return {path: [number, "", "", "FHIRHUB", kind]}


def _called(name: Any) -> str:
    if not isinstance(name, dict):
        return ""
    return names.written(name)


def visit(
    encounter: Json | None, group: str, out: Outbound, *, is_demanded: bool = False
) -> Iterator[Spot]:
    """Return the visit: PV1 and PV2."""
    if encounter is not None:
        encounter = _placed(_classed(encounter, out))
        number = own_number("PV1-19", encounter, "VN")
        yield Spot("PV1", group, {"Encounter": encounter}, number)
        yield Spot("PV2", group, {"Encounter": encounter})
    elif is_demanded:
        yield Spot("PV1", group, {}, _NO_VISIT)


def _placed(encounter: Json) -> Json:
    """Return a visit of which each place has a status: she is where nobody says that she was."""
    places = []
    for one in encounter.get("location", ()):
        is_over = "end" in one.get("period", {}) and encounter.get("status") != "finished"
        places.append({"status": "completed" if is_over else "active"} | one)
    return encounter | {"location": places} if places else encounter


def _classed(encounter: Json, out: Outbound) -> Json:
    """Return a visit of a class that PV1-2 (table 0004) has: else its status would write one."""
    kind = encounter.get("class", {})
    if table_sources(kind, out.table("EncounterClass")):
        return encounter
    if kind.get("code") in INPATIENT:
        return encounter | {"class": {"system": kind.get("system"), "code": "IMP"}}
    out.issue("PV1-2 has no code for the class of the visit; it is N (not applicable)")
    return encounter | {"class": _NO_CLASS}
