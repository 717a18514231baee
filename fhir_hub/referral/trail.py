"""What a step of a referral leaves behind: an audit entry, and a notice to the other side.

Spec: https://hl7.org/fhir/R4/auditevent.html and communication.html; DOMAIN 2.5
"""

from datetime import datetime
from typing import Any

from fhir_hub.clock import instant
from fhir_hub.referral.reading import at
from fhir_hub.referral.states import State, Step
from fhir_hub.repository.unit import Resource
from fhir_hub.store.base import Stored

EVENTS = "https://fhir-hub.example/CodeSystem/referral-event"
_TYPES = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_CATEGORIES = "http://terminology.hl7.org/CodeSystem/communication-category"
_HUB = {"display": "fhir-hub"}


def audit_event(row: Step, stored: Stored, task: Resource, now: datetime) -> Resource:
    """Return the AuditEvent of a step: who, when, which version of the Task; no content."""
    actor = _actor(row, task)
    return {
        "resourceType": "AuditEvent",
        "type": {"system": _TYPES, "code": "rest"},
        "subtype": [{"system": EVENTS, "code": row.event}],
        "action": "C" if stored.version_id == 1 else "U",
        "recorded": instant(now),
        "outcome": "0",
        "agent": [{"who": actor or _HUB, "requestor": True}],
        "source": {"observer": _HUB},
        "entity": [{"what": {"reference": _version(stored)}}],
    }


def notice(
    row: Step,
    state: State,
    stored: Stored,
    task: Resource,
    was: Resource | None,
    now: datetime,
) -> Resource | None:
    """Return the Communication to whoever did not do the step himself, None if to nobody.

    Of a referral that passed to another institution the first one is told too.
    """
    recipients = [
        party
        for side in ("requester", "owner")
        if side != row.actor and _is_reference(party := task.get(side))
    ]
    if row.event == "transfer" and _is_reference(first := at(was, "owner")):
        recipients.append(first)
    if not recipients:
        return None
    made: Resource = {
        "resourceType": "Communication",
        "status": "completed",
        "category": [{"coding": [{"system": _CATEGORIES, "code": "notification"}]}],
        "topic": {"coding": [{"system": EVENTS, "code": row.event}]},
        "about": [{"reference": _version(stored)}],
        "sent": instant(now),
        "recipient": recipients,
        "payload": [{"contentString": f"{state.name} / {state.text or state.status}"}],
    }
    if _is_reference(subject := task.get("for")):
        made["subject"] = subject
    if actor := _actor(row, task):
        made["sender"] = actor
    return made


def _actor(row: Step, task: Resource) -> Any:
    side = task.get(row.actor) if row.actor in ("requester", "owner") else None
    return side if _is_reference(side) else None


def _is_reference(value: Any) -> bool:
    return isinstance(at(value, "reference"), str)


def _version(stored: Stored) -> str:
    return f"Task/{stored.logical_id}/_history/{stored.version_id}"
