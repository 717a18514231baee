"""Which message tells of a resource: its event, what it is about, and its layout.

Spec: HL7v2 tables 0003 and 0354; DOMAIN 2.9
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fhir_hub.errors import InvalidResource
from fhir_hub.hl7v2.emit import findings, layouts
from fhir_hub.hl7v2.emit.outbound import Outbound
from fhir_hub.hl7v2.emit.persons import INPATIENT
from fhir_hub.hl7v2.emit.resources import Resources, numbers
from fhir_hub.hl7v2.emit.spots import Spot
from fhir_hub.hl7v2.emit.write_identifiers import numbered

Json = dict[str, Any]
EVENTS = (
    *("ADT^A01", "ADT^A03", "ADT^A04", "ADT^A05", "ADT^A06", "ADT^A07", "ADT^A08", "ADT^A11"),
    *("ADT^A13", "ADT^A23", "ADT^A29", "ADT^A31", "ADT^A37", "ADT^A40"),
    "ORU^R01",
    *("REF^I12", "REF^I13", "REF^I14", "RRI^I12", "RRI^I13", "RRI^I14"),
    *("SIU^S12", "SIU^S13", "SIU^S14", "SIU^S15", "SIU^S17", "SIU^S26"),
)
# The resource types that a message of each type can be about, the first that there is.
_MAIN = {
    "ADT": ("Patient",),
    "ORU": ("DiagnosticReport", "Observation"),
    "REF": ("ServiceRequest",),
    "RRI": ("Task",),
    "SIU": ("Appointment",),
}
_ANSWERED = ("accepted", "rejected", "received", "in-progress", "completed")
_STATES = dict.fromkeys(("draft", "requested", "received"), "P")  # RF1-1 of a Task's status
_STATES |= dict.fromkeys(("rejected", "cancelled", "entered-in-error"), "R")
_SIU_BY_STATUS = {"cancelled": "SIU^S15", "entered-in-error": "SIU^S17", "noshow": "SIU^S26"}


@dataclass(frozen=True, slots=True)
class About:
    """What a message is about: `main`, and what of the resources belongs to it."""

    event: str
    main: Json
    before: Json | None = None
    task: Json | None = None
    encounter: Json | None = None
    merged: tuple[Json, ...] = ()

    @property
    def code(self) -> str:
        """Return the message type."""
        return self.event.partition("^")[0]

    def spots(self, resources: Resources, out: Outbound) -> Iterator[Spot]:
        """Return the message's segments and what they tell of."""
        if self.code == "REF":
            return layouts.referral(resources, self.task, self.main, out)
        if self.code == "RRI":
            return layouts.answer(resources, self.main, out)
        if self.code == "SIU":
            return layouts.booking(resources, self.main, self.before, out)
        if self.code == "ORU":
            return findings.results(resources, self.main, out)
        if self.event == "ADT^A37":
            return layouts.unlink(self.main, self.merged, out)
        if self.merged:
            return layouts.merge(self.main, self.merged)
        return layouts.registration(resources, self.main, self.encounter, self.event, out)


def about(resources: Resources, event: str, main: Json | None, before: Json | None) -> About:
    """Return what a message of these resources is about.

    Raises `InvalidResource` for an event that the hub does not write, and where there is nothing
    that such a message can be about.
    """
    event = event or _event_of(resources, main, before)
    if event not in EVENTS:
        listed = ", ".join(EVENTS)
        raise InvalidResource(f"no message {event} is written; there are: {listed}")
    code = event.partition("^")[0]
    if main is None or main["resourceType"] not in _MAIN[code]:
        main = _main(resources, code)
    if main is None:
        raise InvalidResource(f"{event} needs a {' or '.join(_MAIN[code])}")
    if code == "REF":
        tasks = resources.referring("Task", "focus", main) or _same_number(resources, main)
        return About(event, numbered("PLAC", main), before, task=tasks[0] if tasks else None)
    if code == "RRI":
        return About(event, numbered("PLAC", _answer(main)), before)
    if event == "ADT^A40":
        survivor, merged = _merge(resources, main, before)
        return About(event, survivor, before, merged=merged)
    if event == "ADT^A37":
        return About(event, main, before, merged=_unlinked(resources, main, before))
    if code == "ADT":
        visits = resources.referring("Encounter", "subject", main)
        return About(event, main, before, encounter=visits[0] if visits else None)
    return About(event, main, before)


def _main(resources: Resources, code: str) -> Json | None:
    found = (one for kind in _MAIN[code] for one in resources.of_type(kind))
    if code == "REF":
        orders = resources.of_type("ServiceRequest")
        return next((one for one in orders if is_referral(one)), next(iter(orders), None))
    return next(found, None)


def is_referral(request: Json) -> bool:
    """Say whether a ServiceRequest is a referral, by its category."""
    return any(
        coding.get("code") in ("referral", "3457005", "306206005")
        for category in request.get("category", ())
        for coding in category.get("coding", ())
    )


def _event_of(resources: Resources, main: Json | None, before: Json | None) -> str:
    kinds = {main["resourceType"]} if main else {one["resourceType"] for one in resources}
    tasks = [main] if main and main["resourceType"] == "Task" else resources.of_type("Task")
    if "Appointment" in kinds:
        booked = main or resources.of_type("Appointment")[0]
        return booking_event(booked, before)
    if "Task" in kinds and tasks[0].get("status") in _ANSWERED:
        return answer_event(tasks[0], before)
    if "ServiceRequest" in kinds and ("Task" in kinds or _main(resources, "REF") is not None):
        has_report = "DiagnosticReport" in kinds
        if not has_report:
            return referral_event(
                "REF", _main(resources, "REF") or {}, tasks[0] if tasks else None, before
            )
    if "DiagnosticReport" in kinds or "Observation" in kinds:
        return "ORU^R01"
    if "Patient" in kinds:
        if any(_replaces(one) for one in resources.of_type("Patient")):
            return "ADT^A40"
        visits = resources.of_type("Encounter")
        if visits:
            return visit_event(visits[0], before)
        person = main or resources.of_type("Patient")[0]
        return "ADT^A29" if person.get("active") is False else "ADT^A31"
    raise InvalidResource(f"no message tells of {', '.join(sorted(kinds)) or 'nothing'}")


def visit_event(encounter: Json, before: Json | None) -> str:
    """Return what became of an Encounter: announced, begun, ended, cancelled, or changed.

    What A08 cannot say is said again: that it is cancelled, or has ended at an unknown time.
    """
    status, was = encounter.get("status"), (before or {}).get("status")
    if status in ("cancelled", "entered-in-error"):
        return "ADT^A11" if status == "cancelled" else "ADT^A23"
    if status == "planned":
        return "ADT^A05"
    if status == "finished":
        is_told = was == "finished" and "end" in encounter.get("period", {})
        return "ADT^A08" if is_told else "ADT^A03"
    if was == "finished":
        return "ADT^A13"
    is_inpatient = _is_inpatient(encounter)
    if was in (None, "planned", "cancelled", "entered-in-error"):
        return "ADT^A01" if is_inpatient else "ADT^A04"
    if before and before.get("class") and is_inpatient != _is_inpatient(before):
        return "ADT^A06" if is_inpatient else "ADT^A07"
    return "ADT^A08"


def _is_inpatient(encounter: Json) -> bool:
    return encounter.get("class", {}).get("code") in INPATIENT


def booking_event(appointment: Json, before: Json | None) -> str:
    """Return what became of an Appointment: booked, cancelled, missed, moved or changed."""
    status = appointment.get("status", "")
    if status in _SIU_BY_STATUS:
        return _SIU_BY_STATUS[status]
    if before is None or before.get("status") in ("proposed", "pending", "waitlist"):
        return "SIU^S12"
    is_moved = any(before.get(name) != appointment.get(name) for name in ("start", "end", "slot"))
    return "SIU^S13" if is_moved else "SIU^S14"


def referral_event(code: str, request: Json, task: Json | None, before: Json | None) -> str:
    """Return whether a referral (REF) or its answer (RRI) is new, changed or taken back."""
    states = (request.get("status"), (task or {}).get("status"))
    if any(one in ("revoked", "entered-in-error", "cancelled") for one in states):
        return f"{code}^I14"
    return f"{code}^I13" if before and code == "REF" else f"{code}^I12"


def answer_event(task: Json, before: Json | None) -> str:
    """Return whether an answer to a referral is the first one, another one, or taken back.

    The first is I12; a question, and whatever comes after an answer, I13; a referral that the one
    who was asked gives up, because he was asked to, I14.
    """
    if task.get("status") == "cancelled" and not is_expired(task):
        return "RRI^I14"
    was_answered = before is not None and before.get("status") in _ANSWERED
    is_later = was_answered and (before or {}).get("status") != "received"
    return "RRI^I13" if is_question(task) or is_later else "RRI^I12"


def state_of(task: Json) -> list[str]:
    """Return where a referral stands now as RF1-1: by table 0283, and in words."""
    status, business = str(task.get("status", "")), task.get("businessStatus", {})
    code = "E" if is_expired(task) else _STATES.get(status, "A")
    shown = (one.get("display") for one in business.get("coding", ()))
    return [code, business.get("text") or next(filter(None, shown), status), "HL70283"]


def is_expired(task: Json) -> bool:
    """Say whether a referral was not taken up in time."""
    return _has_code(task, "cn-expired")


def is_question(task: Json) -> bool:
    """Say whether a referral waits for more information."""
    return _has_code(task, "cn-info-requested")


def is_taken_back(task: Json) -> bool:
    """Say whether who asked wants the referral cancelled, and the other side has yet to agree."""
    return _has_code(task, "5.2")


def _has_code(task: Json, code: str) -> bool:
    codings = task.get("businessStatus", {}).get("coding", ())
    return any(one.get("code") == code for one in codings)


def _answer(task: Json) -> Json:
    """Return a Task as an answer tells of it: a reason belongs to a refusal, else it is a note."""
    reason = task.get("statusReason")
    if not reason or task.get("status") in ("rejected", "cancelled"):
        return task
    kept = {name: value for name, value in task.items() if name != "statusReason"}
    text = reason.get("text") or next(
        (one.get("display", "") for one in reason.get("coding", ())), ""
    )
    return kept | ({"note": [*task.get("note", ()), {"text": text}]} if text else {})


def _replaces(patient: Json) -> list[Any]:
    wanted = ("replaces", "replaced-by")
    return [one for one in patient.get("link", ()) if one.get("type") in wanted]


def new_merges(patient: Json, before: Json | None) -> list[Any]:
    """Return the links to whom a Patient replaces since the version before."""
    told = _replaces(before or {})
    return [one for one in _replaces(patient) if one["type"] == "replaces" and one not in told]


def undone_merges(patient: Json, before: Json | None) -> list[Any]:
    """Return the links to whom a Patient replaced in the version before, and does no more."""
    return _undone("replaces", patient, before)


def given_back(patient: Json, before: Json | None) -> list[Any]:
    """Return the links to who replaced a Patient in the version before, and does no more."""
    return _undone("replaced-by", patient, before)


def _undone(kind: str, patient: Json, before: Json | None) -> list[Any]:
    told = [one for one in _replaces(before or {}) if one["type"] == kind]
    held = [one.get("other") for one in _replaces(patient)]
    return [one for one in told if one.get("other") not in held]


def _unlinked(resources: Resources, patient: Json, before: Json | None) -> tuple[Json, ...]:
    """Return the first of whom a Patient replaces no more: the message has room for one."""
    others = [resources.resolve(one.get("other")) for one in undone_merges(patient, before)]
    found = tuple(one for one in others if one is not None)[:1]
    if not found:
        raise InvalidResource("ADT^A37 needs two Patients, one of which replaced the other")
    return found


def _merge(
    resources: Resources, patient: Json, before: Json | None
) -> tuple[Json, tuple[Json, ...]]:
    """Return who survives and who are merged into her, without those who were before."""
    others = [resources.resolve(one.get("other")) for one in new_merges(patient, before)]
    if merged := tuple(one for one in others if one is not None):
        return patient, merged
    patients = [patient, *(one for one in resources.of_type("Patient") if one is not patient)]
    for one in patients:
        for link in _replaces(one):
            other = resources.resolve(link.get("other"))
            if other is not None:
                return (one, (other,)) if link["type"] == "replaces" else (other, (one,))
    raise InvalidResource("ADT^A40 needs two Patients, one of which replaces the other")


def _same_number(resources: Resources, request: Json) -> list[Json]:
    held = {(one.get("system"), one.get("value")) for one in numbers(request)}
    return [
        task
        for task in resources.of_type("Task")
        if held & {(one.get("system"), one.get("value")) for one in numbers(task)}
    ]
