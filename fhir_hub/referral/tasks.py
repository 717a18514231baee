"""The Task of a referral: what a change of it means, needs, and brings about.

A client writes the Task as any other resource, and may change `status` or `businessStatus` alone:
`complete` makes them go together. `follow` looks up the step in the table, asks what it needs, and
stages what follows from it in the same unit of work: the state of the ServiceRequest, a notice to
the other side, an entry in the audit trail.

Spec: https://hl7.org/fhir/R4/task.html; DOMAIN 2.5
"""

from datetime import datetime, timedelta
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.clock import instant
from fhir_hub.errors import NotInThisState, RuleBroken
from fhir_hub.referral.content import missing_content
from fhir_hub.referral.finding import Followed, find
from fhir_hub.referral.reading import at, each, has_code, key_of
from fhir_hub.referral.states import (
    NONE,
    STATES,
    TERMINAL,
    State,
    Step,
    allowed,
    is_referral,
    state_meant,
    state_of,
    step,
)
from fhir_hub.referral.trail import audit_event, notice
from fhir_hub.repository.unit import Resource, Unit, Warned
from fhir_hub.store.base import Key, Stored

VALID_FOR = timedelta(days=30)
_OBJECTS = ("businessStatus", "focus", "restriction")
# what becomes of the order itself
_ORDER_STATUS = {
    "requested": "active",
    "rejected": "revoked",
    "cancelled": "revoked",
    "expired": "revoked",
    "completed": "completed",
    "entered in error": "entered-in-error",
}


def complete(before: Resource | None, task: Resource, now: datetime) -> Resource:
    """Return the Task with both statuses of the state that is meant, and the moment of the change.

    A Task that is no referral's comes back as it is, and so does one whose statuses contradict
    each other: `follow` refuses it.
    """
    if not is_referral(task) and not (before and is_referral(before)):
        return task
    if not all(isinstance(task.get(name, {}), dict) for name in _OBJECTS):
        return task  # the checks refuse it
    meant = state_meant(before, task)
    if meant is None:
        return task
    was = None if before is None else state_of(before)
    added: Resource = {"status": meant.status}
    if (meant.business_status is not None and state_of(task) != meant) or not task.get(
        "businessStatus"
    ):
        added |= {"businessStatus": meant.business_status} if meant.business_status else {}
    if meant != was and at(task, "lastModified") in (None, at(before, "lastModified")):
        added["lastModified"] = instant(now)
    added["restriction"] = _restriction(before, task, meant, now)
    if before is not None and key_of(before.get("focus")) and not key_of(task.get("focus")):
        added["focus"] = before["focus"]  # an answer names the referral by its number only
    return task | {name: value for name, value in added.items() if value}


def _restriction(before: Resource | None, task: Resource, meant: State, now: datetime) -> Resource:
    """Return to which institution the referral goes, and until when it may be taken up.

    Who takes it up for the institution becomes its owner: the institution stays the recipient.
    """
    restriction = dict(task.get("restriction", {}))
    if "recipient" not in restriction:
        owner = key_of(task.get("owner"))
        to_institution = owner is not None and owner.resource_type == "Organization"
        recipient = at(before, "restriction", "recipient")
        if recipient or (to_institution and meant.name not in TERMINAL):
            restriction["recipient"] = recipient or [task["owner"]]
    period = restriction.get("period", {})
    if meant.name == "requested" and isinstance(period, dict) and "end" not in period:
        restriction["period"] = period | {"end": instant(now + VALID_FOR)}
    return restriction


async def follow(unit: Unit, followed: Followed, *, is_strict: bool) -> None:
    """Hold a staged Task to the table, and stage what follows from its step.

    With `is_strict` a referral that lacks what DOMAIN 2.5a asks for is refused, else warned of;
    and it begins at the beginning, where else what is not known yet may be in any state.
    Raises `NotInThisState`, `RuleBroken`.
    """
    key, was, task = followed
    if task is None or not (is_referral(task) or (was and is_referral(was))):
        return
    old, new = (state_of(was) if was is not None else None), state_of(task)
    if new is None:
        raise RuleBroken(
            "status and businessStatus do not go together", expression="Task.businessStatus"
        )
    if old == new:
        if new.name in TERMINAL and was is not None:
            _require_note_only(was, task, new)
        return
    row = step(NONE if old is None else old.name, new.name)
    if row is None and old is None and (was is not None or not is_strict):
        return  # no referral until now, or one whose beginning was told elsewhere
    if row is None:
        raise _refused(old, new)
    await _require(unit, key, row, was, task, is_strict=is_strict)
    stored = await unit.current(key)
    assert stored is not None
    await _consequences(unit, stored, row, new, task)


def _refused(old: State | None, new: State) -> NotInThisState:
    source = NONE if old is None else old.name
    events = ", ".join(allowed(source)) or "none: only a note may be added"
    shown = f"from {source}" if source else "as the first state"
    text = f"a referral cannot become {new.name} {shown}; events allowed now: {events}"
    return NotInThisState(text, expression="Task.status")


def _require_note_only(was: Resource, task: Resource, state: State) -> None:
    """Raise `NotInThisState` if more than notes of a finished referral changed."""
    free = ("note", "meta", "id", "lastModified")
    old, new = ({k: v for k, v in one.items() if k not in free} for one in (was, task))
    if fhirjson.canonical(old) != fhirjson.canonical(new):
        raise NotInThisState(
            f"a referral that is {state.name} is finished: only a note may be added",
            expression="Task.status",
        )


async def _require(
    unit: Unit, key: Key, row: Step, was: Resource | None, task: Resource, *, is_strict: bool
) -> None:
    """Raise `RuleBroken` if the step lacks what it needs."""
    if "reason" in row.needs and not task.get("statusReason"):
        raise RuleBroken(f"{row.event} needs a reason", expression="Task.statusReason")
    if "question" in row.needs:
        asked = len(list(each(task, "note"))) > len(list(each(was, "note")))
        if not asked and not task.get("statusReason"):
            raise RuleBroken("say what is to be supplemented", expression="Task.note")
    if "outcome" in row.needs and not task.get("output") and not await _documents(unit, task):
        raise RuleBroken(
            "a referral is completed with its outcome: a document or report",
            expression="Task.output",
        )
    if "complete referral" in row.needs:
        issues = await missing_content(unit, task)
        if issues and is_strict:
            raise RuleBroken(issues[0].diagnostics, *issues)
        unit.warnings += [Warned(key, issue) for issue in issues]


async def _documents(unit: Unit, task: Resource) -> list[Stored]:
    """Return the documents that say they belong to the referral."""
    focus = key_of(task.get("focus"))
    if focus is None:
        return []
    return await find(unit, "DocumentReference", related=focus)


async def _consequences(unit: Unit, stored: Stored, row: Step, new: State, task: Resource) -> None:
    """Stage what follows from a step."""
    status = _ORDER_STATUS.get(new.name)
    order = await _order(unit, task)
    if status is not None and order is not None and order.get("status") != status:
        await unit.update(order | {"status": status}, order["id"])
    unit.create(audit_event(row, stored, task, unit.now))
    message = notice(row, new, stored, task, unit.now)
    if message is not None and new.status != "draft":  # until then it is the sender's own affair
        unit.create(message)


async def _order(unit: Unit, task: Resource) -> Resource | None:
    """Return the ServiceRequest that the Task is about, if it is here."""
    key = key_of(task.get("focus"))
    stored = await unit.current(key) if key is not None else None
    if stored is None or stored.is_deleted or stored.resource_type != "ServiceRequest":
        return None
    order: Resource = fhirjson.loads(stored.content)
    return order


async def tasks_of(unit: Unit, order: Key) -> list[Stored]:
    """Return the referrals' Tasks about a ServiceRequest, oldest first."""
    found = await find(unit, "Task", focus=order)
    return [one for one in found if is_referral(fhirjson.loads(one.content))]


async def advance(unit: Unit, stored: Stored, target: str, **elements: Any) -> None:
    """Stage the Task in another state, with `elements` changed; `follow` holds it to the table."""
    task = fhirjson.loads(stored.content)
    state = STATES[target]
    changed = task | {"status": state.status, "businessStatus": state.business_status} | elements
    await unit.update(changed, stored.logical_id)


def is_referral_order(order: Resource) -> bool:
    """Say whether a ServiceRequest asks for a referral."""
    return any(has_code(category, "referral") for category in each(order, "category"))
