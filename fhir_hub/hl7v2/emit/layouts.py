"""Which segments a message has, in order, and which resources each tells of.

Only the order of the standard's structures is written here, and how FHIR resources refer to
each other; what stands in the fields is the maps' business. A group that has nothing to tell is
left out.

Spec: HL7v2 chapters 3 (ADT), 7 (ORU), 10 (SIU) and 11 (REF, RRI)
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fhir_hub.errors import InvalidResource
from fhir_hub.hl7v2.calls.results import VITAL_SIGNS
from fhir_hub.hl7v2.emit.conclusions import conclusions, without_impressions
from fhir_hub.hl7v2.emit.in_force import in_force, is_wrong, listed, none_of
from fhir_hub.hl7v2.emit.observations import apart, sub_id, with_members
from fhir_hub.hl7v2.emit.outbound import Outbound
from fhir_hub.hl7v2.emit.resources import Resources, numbers
from fhir_hub.hl7v2.emit.spots import Spot
from fhir_hub.hl7v2.emit.write_codes import concept, table_sources
from fhir_hub.hl7v2.emit.write_identifiers import ei, numbered, type_of
from fhir_hub.hl7v2.emit.write_places import organization_code
from fhir_hub.hl7v2.emit.write_times import moment
from fhir_hub.hl7v2.emit.written import Written
from fhir_hub.identity import names
from fhir_hub.referral.contracts import is_contract

Json = dict[str, Any]
# A visit that is none, where a structure demands PV1 (table 0004).
_NO_VISIT: dict[str, Written] = {"PV1-2": ["N"]}

_NOTHING: Mapping[str, Written] = MappingProxyType({})
_NO_CLASS = {"system": "http://terminology.hl7.org/CodeSystem/v2-0004", "code": "N"}
INPATIENT = ("IMP", "ACUTE", "NONAC")

# PID-5 is demanded: a name of unspecified type is none (table 0200).
_NO_NAME: dict[str, Written] = {"PID-5": ["", "", "", "", "", "", "U"]}

# RF1-1 (table 0283) of a referral's Task; whatever else it is, it was accepted
_ANSWERS = {"requested": "P", "received": "P", "rejected": "R", "cancelled": "R"}


def person(
    patient: Json | None,
    group: str,
    resources: Resources,
    account: Json | None = None,
    *,
    with_contacts: bool = True,
) -> Iterator[Spot]:
    """Return who it is about: PID, PD1 and NK1; of contacts, if so, those whom no other names."""
    if patient is None:
        return
    yield from _who(patient, group, account)
    related = resources.referring("RelatedPerson", "patient", patient)
    for one in in_force(related):
        yield Spot("NK1", group, {"RelatedPerson": one})
    others = _others(patient, related)
    if others and with_contacts:
        named_by = {"Patient": {**patient, "contact": others}}
        yield Spot("NK1", group, named_by, is_extract=True)


def _others(patient: Json, related: Sequence[Json]) -> list[Json]:
    """Return the contacts whom no relative names, also not one who is none any more."""
    named = {_called(name) for one in related for name in one.get("name", ())}
    return [one for one in patient.get("contact", ()) if _called(one.get("name")) not in named]


def _who(patient: Json, group: str, account: Json | None = None) -> Iterator[Spot]:
    fixed = _own_number("PID-3", patient, "PI") | _NO_NAME
    told = {"Patient": patient} | ({"Account": account} if account else {})
    yield Spot("PID", group, told, fixed)
    yield Spot("PD1", group, {"Patient": patient})


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


def _own_number(path: str, resource: Json, kind: str) -> dict[str, Written]:
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
        encounter = _classed(encounter, out)
        number = _own_number("PV1-19", encounter, "VN")
        yield Spot("PV1", group, {"Encounter": encounter}, number)
        yield Spot("PV2", group, {"Encounter": encounter})
    elif is_demanded:
        yield Spot("PV1", group, {}, _NO_VISIT)


def _classed(encounter: Json, out: Outbound) -> Json:
    """Return a visit of a class that PV1-2 (table 0004) has: else its status would write one."""
    kind = encounter.get("class", {})
    if table_sources(kind, out.table("EncounterClass")):
        return encounter
    if kind.get("code") in INPATIENT:
        return encounter | {"class": {"system": kind.get("system"), "code": "IMP"}}
    out.issue("PV1-2 has no code for the class of the visit; it is N (not applicable)")
    return encounter | {"class": _NO_CLASS}


# What the structures of events have that end or take back a visit: less than the others'.
_SHORT = ("ADT^A11", "ADT^A23", "ADT^A29")
WITHOUT_KIN = (*_SHORT, "ADT^A03")


def registration(
    resources: Resources, patient: Json, encounter: Json | None, event: str, out: Outbound
) -> Iterator[Spot]:
    """Return ADT of a person and her visit."""
    account = next(iter(resources.resolved((encounter or {}).get("account"))), None)
    if event in WITHOUT_KIN:
        yield from _who(patient, "", account)
    else:
        yield from person(patient, "", resources, account)
        related = resources.referring("RelatedPerson", "patient", patient)
        if related and not in_force(related) and not _others(patient, related):
            yield none_of("NK1", "", out)
    yield from visit(encounter, "", out, is_demanded=True)
    if event in _SHORT:
        return
    if event not in WITHOUT_KIN:
        allergies = resources.referring("AllergyIntolerance", "patient", patient)
        yield from listed(allergies, "AL1", "", out)
    for one in _diagnoses(resources, patient, encounter):
        yield Spot("DG1", "", {"Condition": one})
    for one in resources.referring("Procedure", "subject", patient):
        yield Spot("PR1", "PROCEDURE", {"Procedure": one})
    if event in WITHOUT_KIN:
        return
    covers = resources.referring("Coverage", "beneficiary", patient)
    yield from listed(covers, "IN1", "INSURANCE", out)
    for one in filter(is_contract, resources.referring("CareTeam", "subject", patient)):
        yield Spot("ZQY", "", {"CareTeam": one})


def _diagnoses(resources: Resources, patient: Json, encounter: Json | None) -> list[Json]:
    """Return a person's diagnoses; with a visit its own: a reader takes DG1 for the visit's."""
    found = resources.referring("Condition", "subject", patient)
    if encounter is None:
        return found
    named = [one.get("condition") for one in encounter.get("diagnosis", ())]
    own = {id(one) for one in resources.resolved(named)}
    own |= {id(one) for one in resources.referring("Condition", "encounter", encounter)}
    return [one for one in found if id(one) in own and not is_wrong(one)]


def merge(survivor: Json, merged: Sequence[Json]) -> Iterator[Spot]:
    """Return ADT^A40: whose number holds, and whose it replaces, a group for each."""
    number = _own_number("PID-3", survivor, "PI") | _NO_NAME
    for one in merged:
        yield Spot("PID", "PATIENT", {"Patient": survivor}, number)
        yield Spot("MRG", "PATIENT", {"Patient[merged]": one}, _own_number("MRG-1", one, "PI"))


def unlink(survivor: Json, others: Sequence[Json]) -> Iterator[Spot]:
    """Return ADT^A37: two records that are not one person's, a group for each."""
    for one in (*others, survivor):
        yield from _who(one, "PATIENT")


def results(resources: Resources, report: Json, out: Outbound) -> Iterator[Spot]:
    """Return ORU^R01 of a DiagnosticReport, or of an Observation that no report has."""
    patient = subject(report.get("subject"), out, is_demanded=False)
    encounter = resources.resolve(report.get("encounter"))
    # whom to call is the business of ADT: here each laboratory would tell it as its own
    yield from person(patient, "PATIENT_RESULT.PATIENT", resources, with_contacts=False)
    yield from visit(encounter, "PATIENT_RESULT.PATIENT.VISIT", out)
    yield from reported(resources, report, "PATIENT_RESULT.ORDER_OBSERVATION", out)


# OBR-25 (table 0123) has no code of its own for these.
_AS_STATUS = {"amended": "corrected", "appended": "corrected", "entered-in-error": "cancelled"}


def reported(resources: Resources, report: Json, group: str, out: Outbound) -> Iterator[Spot]:
    """Return an order's group: ORC, OBR, and what was found."""
    is_report = report["resourceType"] == "DiagnosticReport"
    if is_report:
        report = report | {"status": _AS_STATUS.get(report.get("status", ""), report.get("status"))}
    order = next(
        (one for one in resources.resolved(report.get("basedOn")) if _is(one, "ServiceRequest")),
        None,
    )
    found = resources.resolved(report.get("result")) if is_report else [report]
    found = without_impressions(report, found)
    specimen = next(iter(resources.resolved(report.get("specimen"))), None)
    if specimen is not None:
        specimen = numbered("FILL", specimen, "FGN", "PLAC", "PGN", is_own=False)
    if order is not None:
        order = numbered("PLAC", order, "FILL", is_own=False)
    report = numbered("FILL", report, "PLAC", is_own=order is None or not numbers(order))
    told: dict[str, Json] = {"DiagnosticReport": report} if is_report else {}
    if order is not None:
        told["ServiceRequest"] = order
    if specimen is not None and out.version < "2.5":
        told["Specimen"] = specimen
    # an order of unknown state has no ORC: its order control would say one
    beside = ("ORC",) if order is not None and order.get("status") != "unknown" else ()
    fixed = _order(report, found, is_report, out)
    # a result follows, whatever became of the order: that says ORC-5
    yield Spot("OBR", group, told, fixed, {"ORC-1": ["RE"]}, before=beside)
    yield Spot("NTE", group, {"DiagnosticReport": report} if is_report else {})
    if order is not None:
        yield Spot("NTE", group, {"ServiceRequest": order})
    for one in with_members(found, resources):
        yield from _result(one, f"{group}.OBSERVATION", f"{group}.OBSERVATION", out)
    yield from conclusions(report, f"{group}.OBSERVATION", out)
    if specimen is not None and out.version >= "2.5":
        yield Spot("SPM", f"{group}.SPECIMEN", {"Specimen": specimen}, {"SPM-1": ["1"]})


def _result(
    observation: Json,
    group: str,
    notes: str,
    out: Outbound,
    fixed: Mapping[str, Written] = _NOTHING,
    before: tuple[str, ...] = (),
) -> Iterator[Spot]:
    """Return OBX and NTE of a result, and those of its components that are results of their own."""
    own, parts = apart(observation, out)
    yield Spot("OBX", group, {"Observation": own}, {**sub_id(own), **fixed}, before=before)
    yield Spot("NTE", notes, {"Observation": own})
    for number, part in parts:
        yield Spot("OBX", group, {"Observation": part}, {"OBX-4": [number]})


def _order(
    report: Json, found: Sequence[Json], is_report: bool, out: Outbound
) -> dict[str, Written]:
    """Return what OBR says where no row does: of results the category, alone all of it."""
    fixed: dict[str, Written] = {}
    table = out.table("ObservationCategory")
    told = (one for one in found if not _is_vital_sign(one))
    categories = (one for result in told for one in result.get("category", ()))
    sections = (codes for one in categories if (codes := table_sources(one, table)))
    if section := next(sections, None):
        fixed["OBR-24"] = [section[0]]
    if not is_report:
        fillers = (ei(one, out) for one in numbers(report) if type_of(one) == "FILL")
        fixed["OBR-3"] = next(filter(None, fillers), [])
        fixed["OBR-4"] = concept(report.get("code", {}), out) or []
        fixed["OBR-7"] = [moment(report.get("effectiveDateTime"), out)]
        status = str(report.get("status", "unknown"))
        codes = table_sources(_AS_STATUS.get(status, status), out.table("DiagnosticReportStatus"))
        fixed["OBR-25"] = [*codes[:1]] if status != "unknown" else []
    return fixed


def _is_vital_sign(observation: Json) -> bool:
    """Say whether a reader knows the category by the code."""
    codings = observation.get("code", {}).get("coding", ())
    return any(one.get("code") in VITAL_SIGNS for one in codings)


def _is(resource: Json, resource_type: str) -> bool:
    return bool(resource["resourceType"] == resource_type)


def booking(
    resources: Resources, appointment: Json, before: Json | None, out: Outbound
) -> Iterator[Spot]:
    """Return SIU of an Appointment; `before` is its version of which the receiver knows.

    Who takes part no more is told with action code D.
    """
    action = "U" if before else "A"
    parts = appointment.get("participant", ())
    actors = [one.get("actor") for one in parts]
    patient = next((one for one in resources.resolved(actors) if _is(one, "Patient")), None)
    slot = next(iter(resources.resolved(appointment.get("slot"))), None)
    appointment = numbered("FILL", appointment, "PLAC")
    yield Spot("SCH", "", {"Appointment": appointment}, after=("NTE",))
    if patient is not None:
        told = {"Patient": patient, "Appointment": appointment}
        yield Spot("PID", "PATIENT", told, _own_number("PID-3", patient, "PI") | _NO_NAME)
    yield Spot("RGS", "RESOURCES", {}, {"RGS-1": ["1"], "RGS-2": [action]})
    start, minutes = moment(appointment.get("start"), out), _minutes(appointment, out)
    when: dict[str, Written] = {"AIS-2": [action], "AIS-4": [start]}
    if minutes:
        when |= {"AIS-7": [minutes], "AIS-8": ["min"]}
    yield Spot("AIS", "RESOURCES.SERVICE", {"Appointment": appointment}, when)
    was = before.get("participant", ()) if before else ()
    gone = [one for one in was if one.get("actor") not in actors]
    for segment, group, at in (
        ("AIG", "RESOURCES.GENERAL_RESOURCE", 8),
        ("AIL", "RESOURCES.LOCATION_RESOURCE", 6),
        ("AIP", "RESOURCES.PERSONNEL_RESOURCE", 6),
    ):
        fixed: dict[str, Written] = {f"{segment}-2": [action], f"{segment}-{at}": [start]}
        yield Spot(segment, group, {"Appointment": appointment}, fixed)
        if gone:
            left = {"resourceType": "Appointment", "participant": gone}
            removed: dict[str, Written] = {f"{segment}-2": ["D"]}
            yield Spot(segment, group, {"Appointment": left}, removed, is_extract=True)
    if slot is not None:
        told = {"Slot": slot}
        if (schedule := resources.resolve(slot.get("schedule"))) is not None:
            told["Schedule"] = schedule
        yield Spot("ZHY", "", told)


def _minutes(appointment: Json, out: Outbound) -> str:
    if "minutesDuration" in appointment:
        return str(appointment["minutesDuration"])
    return ""


def referral(
    resources: Resources, task: Json | None, request: Json, out: Outbound
) -> Iterator[Spot]:
    """Return REF of a referral: what is asked of whom, and what comes with it."""
    patient = subject(request.get("subject"), out, is_demanded=True)
    if "performer" not in request and task and "owner" in task:
        request = request | {"performer": [task["owner"]]}
    told = {"ServiceRequest": request} | ({"Task": task} if task else {})
    yield Spot("RF1", "", told, {"RF1-1": ["P"]})
    yield Spot("PRD", "PROVIDER_CONTACT", {"ServiceRequest": request})
    yield from person(patient, "", resources)
    for one in resources.resolved(request.get("insurance")):
        yield Spot("IN1", "INSURANCE", {"Coverage": one})
    for one in resources.resolved(request.get("reasonReference")):
        if _is(one, "Condition"):
            yield Spot("DG1", "", {"Condition": one})
    brought = resources.resolved(request.get("supportingInfo"))
    for one in brought:
        if _is(one, "AllergyIntolerance"):
            yield Spot("AL1", "", {"AllergyIntolerance": one})
    for one in brought:
        if _is(one, "Procedure"):
            yield Spot("PR1", "PROCEDURE", {"Procedure": one})
    found: list[Json] = []
    for one in brought:
        is_report = _is(one, "DiagnosticReport")
        found += resources.resolved(one.get("result")) if is_report else [one]
    for one in with_members(found, resources):
        if _is(one, "Observation"):
            yield from _copy(one, out)
    yield from visit(resources.resolve(request.get("encounter")), "PATIENT_VISIT", out)
    yield Spot("NTE", "", {"ServiceRequest": request})
    yield Spot("ZZR", "", {"ServiceRequest": request})


def _copy(observation: Json, out: Outbound) -> Iterator[Spot]:
    """Return the copy of a result that a referral brings."""
    fixed = _order(numbered("FILL", observation, "PLAC"), [observation], False, out)
    group = "OBSERVATION.RESULTS"
    yield from _result(observation, group, f"{group}.RESULTS_NOTES", out, fixed, ("OBR",))


def answer(resources: Resources, task: Json, out: Outbound) -> Iterator[Spot]:
    """Return RRI of a referral's Task: its state, who took it, and what he says."""
    state = _ANSWERS.get(task.get("status", ""), "A")
    yield Spot("RF1", "", {"Task": task}, {"RF1-1": [state]})
    owner = resources.resolve(task.get("owner"))
    if owner is not None and _is(owner, "Organization"):
        name, code = owner.get("name", ""), organization_code(owner)
        place: Written = ["", "", "", code]
        fixed: dict[str, Written] = {"PRD-1": ["RT"], "PRD-2": [name or code], "PRD-4": place}
        yield Spot("PRD", "PROVIDER_CONTACT", {}, fixed)
    else:
        yield Spot("PRD", "PROVIDER_CONTACT", {"Task": task}, {"PRD-1": ["RT"]})
    if (patient := subject(task.get("for"), out, is_demanded=True)) is not None:
        yield from _who(patient, "")  # her relatives would be told as facts of who answers
    yield Spot("NTE", "", {"Task": task})
