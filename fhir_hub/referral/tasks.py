"""The Task of a referral: what a change of it means, and what it needs.

A client writes the Task as any other resource. `completing` makes it whole; `follow` looks up the
step in the table, asks what it needs, and has what follows from it staged in the same unit of work
(`effects`).

Spec: https://hl7.org/fhir/R4/task.html; DOMAIN 2.5
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.errors import FhirError, Issue, NotFound, NotInThisState, RuleBroken
from fhir_hub.identity import merging
from fhir_hub.referral.completing import is_answered_first, noted_state
from fhir_hub.referral.effects import effects, have_order_follow
from fhir_hub.referral.finding import Followed, find
from fhir_hub.referral.institutions import institution_of, resource_at
from fhir_hub.referral.reading import at, each, has_code, key_of, moment
from fhir_hub.referral.routes import recipient_of
from fhir_hub.referral.states import (
    NONE,
    STATES,
    TERMINAL,
    State,
    Step,
    allowed,
    is_referral,
    state_of,
    step,
)
from fhir_hub.referral.submission import faults
from fhir_hub.repository.unit import Resource, Unit, Warned
from fhir_hub.settings.referral import ReferralSettings
from fhir_hub.store.base import Key, Stored

_DONE = ("Encounter", "DiagnosticReport", "DocumentReference", "Procedure")


async def follow(
    unit: Unit, followed: Followed, *, is_strict: bool, settings: ReferralSettings
) -> None:
    """Hold a staged Task to the table, and stage what follows from its step.

    With `is_strict` a referral that lacks what DOMAIN 2.5a asks for is refused, else warned of;
    and it begins at the beginning, where else what is not known yet may be in any state.
    Raises `NotInThisState`, `RuleBroken`, and what a submission may be refused for.
    """
    key, was, task = followed
    if task is None or not (is_referral(task) or (was and is_referral(was))):
        return
    old, new = (state_of(was) if was is not None else None), state_of(task)
    if new is None:
        raise RuleBroken(
            "status and businessStatus do not go together", expression="Task.businessStatus"
        )
    if was is not None:
        await _require_same_patient(unit, was, task)
    begins = was is not None and not is_strict and is_answered_first(was, task)
    if begins and new.name == "requested":
        old = None  # what came before it was somebody else's answer
    is_passed_on = was is not None and not begins and await _is_passed_on(unit, was, task)
    if old == new and not is_passed_on:
        if new.name in TERMINAL and was is not None:
            if is_strict or key_of(was.get("focus")) or not key_of(task.get("focus")):
                _require_note_only(was, task, new)
            else:  # the order of what was answered before it came
                await have_order_follow(unit, new, task)
        return
    row = step(NONE if old is None else old.name, new.name)
    if row is None and old is None and (was is not None or not is_strict):
        # no referral until now, or one whose beginning was told elsewhere
        if was is None and settings.unknown_answer == "refuse" and not key_of(task.get("focus")):
            raise NotFound("no referral has this number", expression="Task.focus")
        return
    if row is None or (is_passed_on and row.event != "transfer"):
        raise _refused(old, new, is_passed_on=is_passed_on)
    noted = noted_state(was)
    if row.event == "refuse-cancellation" and noted not in (None, new):
        assert noted is not None
        text = f"a referral whose cancellation is refused is {noted.name} again, as before"
        raise NotInThisState(text, expression="Task.businessStatus")
    await _require(unit, key, row, was, task, is_strict=is_strict, settings=settings)
    stored = await unit.current(key)
    assert stored is not None
    await effects(unit, stored, row, new, task, was)


def _refused(old: State | None, new: State, *, is_passed_on: bool) -> NotInThisState:
    source = NONE if old is None else old.name
    events = ", ".join(allowed(source)) or "none: only a note may be added"
    shown = f"from {source}" if source else "as the first state"
    goes = "go to another institution" if is_passed_on else f"become {new.name}"
    text = f"a referral cannot {goes} {shown}; events allowed now: {events}"
    return NotInThisState(text, expression="Task.status")


async def _require_same_patient(unit: Unit, was: Resource, task: Resource) -> None:
    """Raise `RuleBroken` if a referral is told of another patient; one who was merged is the same.

    So is it with a merge undone, and a number that moves. A message about it, with the identifiers
    of somebody else, ends as failed, for a person to see.
    """
    old, new = key_of(was.get("for")), key_of(task.get("for"))
    if old is None or new is None or old == new or await is_same_patient(unit, old, new):
        return
    if not merging.is_led_on(was, task, old.logical_id, new.logical_id):
        raise another_patient("Task.for")


def another_patient(expression: str) -> RuleBroken:
    """Return that something about a referral has the identifiers of somebody else."""
    text = "the referral is another patient's: the identifiers do not belong to its patient"
    chinese = "消息中的患者与转诊单患者不一致，请人工核对"
    return RuleBroken(text, Issue("business-rule", text, expression, chinese=chinese))


async def is_same_patient(unit: Unit, one: Key, other: Key) -> bool:
    """Say whether two Patients are one person: one of them was merged into the other."""
    for first, second in ((one, other), (other, one)):
        patient = await resource_at(unit, first)
        if any(key_of(link.get("other")) == second for link in each(patient, "link")):
            return True
    return False


async def _is_passed_on(unit: Unit, was: Resource, task: Resource) -> bool:
    """Say whether a referral goes to another institution than before."""
    if key_of(was.get("owner")) == key_of(task.get("owner")) and not _recipients_differ(was, task):
        return False
    old = await institution_of(unit, recipient_of(was))
    new = await institution_of(unit, recipient_of(task))
    taken_by = await institution_of(unit, task.get("owner"))
    is_elsewhere = taken_by is not None and taken_by.resource_type == "Organization"
    return old is not None and (old != new or (is_elsewhere and taken_by != old))


def _recipients_differ(was: Resource, task: Resource) -> bool:
    return key_of(recipient_of(was)) != key_of(recipient_of(task))


def _require_note_only(was: Resource, task: Resource, state: State) -> None:
    """Raise `NotInThisState` if more than notes of a finished referral changed.

    Whose record it is of may, where a merge or a move leads it on.
    """
    free = ("note", "meta", "id", "lastModified")
    old, new = (
        fhirjson.canonical({k: v for k, v in one.items() if k not in free}) for one in (was, task)
    )
    left, there = key_of(was.get("for")), key_of(task.get("for"))
    if left and there and merging.is_led_on(was, task, left.logical_id, there.logical_id):
        before, after = (f'"Patient/{one.logical_id}"'.encode() for one in (left, there))
        old = old.replace(before, after)
    if old != new:
        raise NotInThisState(
            f"a referral that is {state.name} is finished: only a note may be added",
            expression="Task.status",
        )


async def _require(
    unit: Unit,
    key: Key,
    row: Step,
    was: Resource | None,
    task: Resource,
    *,
    is_strict: bool,
    settings: ReferralSettings,
) -> None:
    """Raise what is against the step; a copy is warned of what it lacks."""
    lacking = [one async for one in _lacking(unit, row, was, task)]
    for fault in lacking:
        if is_strict or row.event == "decline":
            raise fault
        _warn(unit, key, fault)
    if row.event == "accept" and is_strict and _is_past(task, unit.now):
        text = "the referral's deadline has passed"
        raise RuleBroken(text, Issue("expired", text, "Task.restriction.period", chinese="已过期"))
    if "complete referral" in row.needs:
        async for fault, is_flagged in faults(unit, key, task, settings):
            if is_strict and not is_flagged:
                raise fault
            _warn(unit, key, fault)


def _warn(unit: Unit, key: Key, fault: FhirError) -> None:
    unit.warnings += [Warned(key, replace(one, severity="warning")) for one in fault.issues]


async def _lacking(unit: Unit, row: Step, was: Resource | None, task: Resource) -> Any:
    """Yield the errors for what a step needs and the Task has not."""
    if "reason" in row.needs and not task.get("statusReason"):
        text, expression = f"{row.event} needs a reason", "Task.statusReason"
        needed = Issue("business-rule", text, expression, chinese="须说明原因")
        yield RuleBroken(text, needed)
    if "question" in row.needs:
        asked = len(list(each(task, "note"))) > len(list(each(was, "note")))
        if not asked and not task.get("statusReason"):
            yield RuleBroken("say what is to be supplemented", expression="Task.note")
    if "outcome" in row.needs and not task.get("output") and not await _documents(unit, task):
        text = "a referral is completed with its outcome: a document or report"
        yield RuleBroken(text, expression="Task.output")
    if "another owner" in row.needs and (was is None or not await _is_passed_on(unit, was, task)):
        text = "a referral is transferred to another institution: name it as the owner"
        yield RuleBroken(text, expression="Task.owner")
    if "nothing done" in row.needs:
        done = (key_of(one.get("valueReference")) for one in each(task, "output"))
        if any(key is not None and key.resource_type in _DONE for key in done):
            text = "something was done for this referral already: it cannot be entered in error"
            yield NotInThisState(text, expression="Task.output")


def _is_past(task: Resource, now: datetime) -> bool:
    end = moment(at(task, "restriction", "period", "end"))
    return end is not None and end < now


async def _documents(unit: Unit, task: Resource) -> list[Stored]:
    """Return the documents that say they belong to the referral."""
    focus = key_of(task.get("focus"))
    if focus is None:
        return []
    return await find(unit, "DocumentReference", related=focus)


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
