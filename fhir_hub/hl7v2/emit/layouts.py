"""Which segments a message has, in order, and which resources each tells of.

Only the order of the standard's structures is written here, and how FHIR resources refer to
each other; what stands in the fields is the maps' business. A group that has nothing to tell is
left out.

Spec: HL7v2 chapters 3 (ADT), 10 (SIU) and 11 (REF, RRI); ORU is in findings.py
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fhir_hub.hl7v2.emit.findings import heading, result
from fhir_hub.hl7v2.emit.in_force import diagnosed, diagnosis, in_force, listed, none_of
from fhir_hub.hl7v2.emit.observations import with_members
from fhir_hub.hl7v2.emit.outbound import Outbound
from fhir_hub.hl7v2.emit.persons import NO_NAME, others, own_number, person, subject, visit, who
from fhir_hub.hl7v2.emit.resources import Resources
from fhir_hub.hl7v2.emit.senders import institution
from fhir_hub.hl7v2.emit.spots import Spot
from fhir_hub.hl7v2.emit.write_identifiers import numbered
from fhir_hub.hl7v2.emit.write_places import organization_code
from fhir_hub.hl7v2.emit.write_times import moment
from fhir_hub.hl7v2.emit.written import Written
from fhir_hub.referral.contracts import is_contract

Json = dict[str, Any]
# RF1-1 (table 0283) of a referral's Task; whatever else it is, it was accepted
_ANSWERS = {"requested": "P", "received": "P", "rejected": "R", "cancelled": "R"}
# What of a Task a PRD of a role says, or MSH-4.
_SAID_BY = {"RP": ("Task.requester",), "RT": ("Task.owner", "Task.restriction.recipient")}

# What a report says beside its results.
_SAID_BEYOND = frozenset({"conclusion", "conclusionCode", "presentedForm"})
# What the structures of events have that end or take back a visit: less than the others'.
WITHOUT_DIAGNOSES = ("ADT^A11", "ADT^A23", "ADT^A29")
WITHOUT_KIN = (*WITHOUT_DIAGNOSES, "ADT^A03")


def registration(
    resources: Resources, patient: Json, encounter: Json | None, event: str, out: Outbound
) -> Iterator[Spot]:
    """Return ADT of a person and her visit."""
    account = next(iter(resources.resolved((encounter or {}).get("account"))), None)
    if event in WITHOUT_KIN:
        yield from who(patient, "", out, account)
    else:
        is_new = out.version >= "2.7"
        yield from person(patient, "", resources, out, account, with_doctors=is_new)
        related = resources.referring("RelatedPerson", "patient", patient)
        if related and not in_force(related) and not others(patient, related):
            yield none_of("NK1", "", out)
    yield from visit(encounter, "", out, is_demanded=True)
    if event in WITHOUT_DIAGNOSES:
        return
    if event not in WITHOUT_KIN:
        allergies = resources.referring("AllergyIntolerance", "patient", patient)
        yield from listed(allergies, "AL1", "", out)
    if encounter is None:
        for one in resources.referring("Condition", "subject", patient):
            yield diagnosis(one, out)
    else:
        yield from diagnosed(_diagnoses(resources, patient, encounter), out)
    for one in resources.referring("Procedure", "subject", patient):
        yield Spot("PR1", "PROCEDURE", {"Procedure": one})
    if event in WITHOUT_KIN:
        return
    covers = resources.referring("Coverage", "beneficiary", patient)
    yield from listed(covers, "IN1", "INSURANCE", out)
    for one in filter(is_contract, resources.referring("CareTeam", "subject", patient)):
        yield Spot("ZQY", "", {"CareTeam": one})


def _diagnoses(resources: Resources, patient: Json, encounter: Json) -> list[Json]:
    """Return a person's diagnoses of a visit: a reader takes DG1 for the visit's."""
    found = resources.referring("Condition", "subject", patient)
    named = [one.get("condition") for one in encounter.get("diagnosis", ())]
    own = {id(one) for one in resources.resolved(named)}
    own |= {id(one) for one in resources.referring("Condition", "encounter", encounter)}
    return [one for one in found if id(one) in own]


def merge(survivor: Json, merged: Sequence[Json]) -> Iterator[Spot]:
    """Return ADT^A40: whose number holds, and whose it replaces, a group for each."""
    number = own_number("PID-3", survivor, "PI") | NO_NAME
    for one in merged:
        yield Spot("PID", "PATIENT", {"Patient": survivor}, number)
        yield Spot("MRG", "PATIENT", {"Patient[merged]": one}, own_number("MRG-1", one, "PI"))


def unlink(survivor: Json, others: Sequence[Json], out: Outbound) -> Iterator[Spot]:
    """Return ADT^A37: two records that are not one person's, a group for each."""
    for one in (*others, survivor):
        yield from who(one, "PATIENT", out)


def _is(resource: Json, resource_type: str) -> bool:
    return bool(resource["resourceType"] == resource_type)


def booking(
    resources: Resources, appointment: Json, before: Json | None, out: Outbound
) -> Iterator[Spot]:
    """Return SIU of an Appointment; `before` is its version of which the receiver knows.

    Who takes part no more is told with action code D.
    """
    action = "U" if before else "A"
    appointment = _taking_part(appointment)
    parts = appointment["participant"]
    actors = [one.get("actor") for one in parts]
    patient = next((one for one in resources.resolved(actors) if _is(one, "Patient")), None)
    slot = next(iter(resources.resolved(appointment.get("slot"))), None)
    appointment = numbered("FILL", appointment, "PLAC")
    yield Spot("SCH", "", {"Appointment": appointment}, after=("TQ1", "NTE"))
    if patient is not None:
        told = {"Patient": patient, "Appointment": appointment}
        yield Spot("PID", "PATIENT", told, own_number("PID-3", patient, "PI") | NO_NAME)
    yield Spot("RGS", "RESOURCES", {}, {"RGS-1": ["1"], "RGS-2": [action]})
    start, minutes = moment(appointment.get("start"), out), _minutes(appointment, out)
    when: dict[str, Written] = {"AIS-2": [action], "AIS-4": [start]}
    if minutes:
        when |= {"AIS-7": [minutes], "AIS-8": ["min"]}
    yield Spot("AIS", "RESOURCES.SERVICE", {"Appointment": appointment}, when)
    was = _taking_part(before)["participant"] if before else ()
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


def _taking_part(appointment: Json) -> Json:
    """Return a booking of which each who takes part has a kind: who is named alone is a person."""
    parts = []
    for one in appointment.get("participant", ()):
        actor = one.get("actor", {})
        if actor and not actor.keys() & {"reference", "type"}:
            one = one | {"actor": actor | {"type": "Practitioner"}}
        parts.append(one)
    return appointment | {"participant": parts}


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
    parties = _parties(resources, task or {})
    request, alone = _with_parties(resources, request, parties)
    told = {"ServiceRequest": request} | ({"Task": task} if task else {})
    said = [path for role, paths in _SAID_BY.items() if role in parties for path in paths]
    yield Spot("RF1", "", told, {"RF1-1": ["P"]}, tells=tuple(said))
    for role in alone:
        place: Written = ["", "", "", parties[role]]
        yield Spot("PRD", "PROVIDER_CONTACT", {}, {"PRD-1": [role], "PRD-4": place})
    yield Spot("PRD", "PROVIDER_CONTACT", {"ServiceRequest": request})
    yield from person(patient, "", resources, out)
    for one in resources.resolved(request.get("insurance")):
        yield Spot("IN1", "INSURANCE", {"Coverage": one})
    known = {id(one) for one in resources}
    for one in resources.resolved(request.get("reasonReference")):
        if _is(one, "Condition"):
            yield diagnosis(one, out, is_contained=id(one) not in known)
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
    copies = [one for one in with_members(found, resources) if _is(one, "Observation")]
    for one in copies:
        yield from _copy(one, out)
    if any(not _SAID_BEYOND.isdisjoint(one) for one in brought):
        out.issue("of a report that a referral brings the results alone are told")
    encounter = resources.resolve(request.get("encounter"))
    # right behind a result the referral's note would be the result's
    is_between = bool(copies) and "note" in request
    yield from visit(encounter, "PATIENT_VISIT", out, is_demanded=is_between)
    yield Spot("NTE", "", {"ServiceRequest": request})
    yield Spot("ZZR", "", {"ServiceRequest": request})


def _parties(resources: Resources, task: Json) -> dict[str, str]:
    """Return the codes of the institutions that ask and are asked, by the role in PRD-1."""
    asked = next(iter(task.get("restriction", {}).get("recipient", ())), task.get("owner"))
    codes = {
        "RP": institution(task.get("requester"), resources),
        "RT": institution(asked, resources),
    }
    return {role: code for role, code in codes.items() if code}


def _with_parties(
    resources: Resources, request: Json, parties: Mapping[str, str]
) -> tuple[Json, list[str]]:
    """Return the order with who is asked first, and the roles of which a PRD says the place alone.

    A reader takes the institution of the first PRD of a role. Where that is not whose the referral
    is (a doctor's number is another's), one goes before it; of who asks MSH-4 says it otherwise.
    """
    performers = request.get("performer", ())
    codes = [institution(one, resources) for one in performers]
    order = sorted(range(len(codes)), key=lambda at: codes[at] != parties.get("RT"))
    if order:
        request = request | {"performer": [performers[at] for at in order]}
    asking = institution(request.get("requester"), resources)
    alone = ["RP"] if asking and parties.get("RP", asking) != asking else []
    return request, alone + (["RT"] if "RT" in parties and parties["RT"] not in codes else [])


def _copy(observation: Json, out: Outbound) -> Iterator[Spot]:
    """Return the copy of a result that a referral brings."""
    fixed = heading(numbered("FILL", observation, "PLAC"), [observation], False, out)
    group = "OBSERVATION.RESULTS"
    yield from result(observation, group, f"{group}.RESULTS_NOTES", out, fixed, ("OBR",))


def answer(
    resources: Resources, task: Json, out: Outbound, state: Sequence[str] = ()
) -> Iterator[Spot]:
    """Return RRI of a referral's Task: its state, who took it, and what he says.

    `state` is RF1-1, where that says more than how it was answered.
    """
    begun: dict[str, Written] = {"RF1-1": [*state]} if state else {}
    said = _ANSWERS.get(task.get("status", ""), "A")
    yield Spot("RF1", "", {"Task": task}, {"RF1-1": [said]}, begun)
    owner = resources.resolve(task.get("owner"))
    if owner is not None and _is(owner, "Organization"):
        name, code = owner.get("name", ""), organization_code(owner)
        place: Written = ["", "", "", code]
        fixed: dict[str, Written] = {"PRD-1": ["RT"], "PRD-2": [name or code], "PRD-4": place}
        yield Spot("PRD", "PROVIDER_CONTACT", {}, fixed)
    else:
        yield Spot("PRD", "PROVIDER_CONTACT", {"Task": task}, {"PRD-1": ["RT"]})
    if (patient := subject(task.get("for"), out, is_demanded=True)) is not None:
        yield from who(patient, "", out)  # her relatives would be told as facts of who answers
    yield Spot("NTE", "", {"Task": task})
