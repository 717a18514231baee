"""Follow-up of who is in a programme: when the next reading is due, and who is overdue.

To be in a programme is to have an active CarePlan of its category. The hub keeps one activity of
it: the time in which the next reading is due, worked out from the last one and whether it was on
target. When the time has passed without a reading, the community centre gets a Task: its overdue
list is a search. The next reading completes the Task and moves the time, in the write that brings
the reading; an older reading that comes late changes nothing that a newer one said.

Spec: https://hl7.org/fhir/R4/careplan.html and task.html; DOMAIN 1.3 S13
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from fhir_hub.clock import instant
from fhir_hub.referral.contracts import contract_on, members
from fhir_hub.referral.finding import Followed, find, plan_between, read
from fhir_hub.referral.places import resource_at
from fhir_hub.referral.reading import at, codings, each, has_code, key_of
from fhir_hub.referral.readings import (
    Reading,
    effective,
    is_final,
    is_implausible,
    is_on_target,
    values,
)
from fhir_hub.referral.screening import OPEN, PROGRAMMES, TASKS, programmes_of
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.search.plan import Is
from fhir_hub.settings.programmes import Programme, Programmes
from fhir_hub.store.base import Key

FOLLOW_UP = "follow-up"
_LOOKS_BACK = timedelta(days=400)  # for the last reading of who comes into a programme
_CODE = {"coding": [{"system": TASKS, "code": FOLLOW_UP}]}


async def follow_plan(unit: Unit, followed: Followed, *, programmes: Programmes) -> None:
    """Give a staged CarePlan of a programme its schedule; end the work of one that ended."""
    key, before, plan = followed
    if plan is None or _programme_of(plan, programmes) is None:
        if before is not None and _programme_of(before, programmes) is not None:
            await _close(unit, key, "cancelled", statusReason={"text": "ended / 随访已终止"})
        return
    if due_day(plan) is None:
        await _schedule(unit, key, plan, await _last_reading(unit, plan, programmes), programmes)
    else:
        await require_task(unit, plan)


async def follow_reading(
    unit: Unit, followed: Followed, reading: Reading, *, programmes: Programmes
) -> None:
    """Move the schedules that a staged Observation is a reading for, and complete their Tasks."""
    key, before, observation = followed
    names = reading.programmes
    patient = key_of((observation or before or {}).get("subject")) if names else None
    if patient is None or patient.resource_type != "Patient":
        return
    is_reading = reading.is_told and not reading.is_implausible
    if not is_reading and before is None:
        return
    for plan in await programmes_of(unit, patient):
        if _programme_of(plan, programmes) not in names:
            continue
        of = Key("CarePlan", plan["id"])
        was_last = key_of(at(_activity(plan), "outcomeReference", 0)) == key
        if is_reading and observation is not None:
            taken, last = effective(observation), _last_taken(plan)
            if taken is not None and (was_last or last is None or taken > last):
                await _schedule(unit, of, plan, observation, programmes)
        elif was_last:  # it was no reading after all
            last_one = await _last_reading(unit, plan, programmes, but=key)
            await _schedule(unit, of, plan, last_one, programmes)


def is_overdue(plan: Resource, today: date) -> bool:
    """Say whether a CarePlan's reading is overdue and nobody was asked for it yet."""
    due = due_day(plan)
    return (
        due is not None and due < today and at(_activity(plan), "detail", "status") != "in-progress"
    )


async def require_task(unit: Unit, plan: Resource) -> None:
    """Stage the Task of the centre, if the reading is overdue and there is none yet."""
    key, patient = Key("CarePlan", plan["id"]), key_of(plan.get("subject"))
    if patient is None or not is_overdue(plan, unit.today):
        return
    await unit.update(_with_activity(plan, status="in-progress"), plan["id"])
    if await _tasks(unit, key):
        return
    detail = at(_activity(plan), "detail")
    name = next(_categories(plan))
    made: Resource = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "plan",
        "code": _CODE,
        "description": f"follow-up was due on {due_day(plan)} / 随访应于 {due_day(plan)} 前完成",
        "basedOn": [{"reference": "/".join(key)}],
        "focus": {"reference": "/".join(key)},
        "for": plan["subject"],
        "authoredOn": instant(unit.now),
        "lastModified": instant(unit.now),
        "reasonCode": {"coding": [{"system": PROGRAMMES, "code": name}]},
    }
    if owner := next(each(detail, "performer"), None):
        made["owner"] = owner
    unit.create(made)


def due_day(plan: Resource) -> date | None:
    """Return the day by which the next reading is due, None if there is no schedule yet."""
    try:
        end = at(_activity(plan), "detail", "scheduledPeriod", "end")
        return date.fromisoformat(str(end)[:10])
    except ValueError:
        return None


def _programme_of(plan: Resource, programmes: Programmes) -> str | None:
    """Return the programme of an active CarePlan, None if it is of none that is known."""
    if plan.get("status") != "active":
        return None
    found = (
        code
        for one in each(plan, "category")
        for system, code in codings(one)
        if system == PROGRAMMES
    )
    return next((code for code in found if code in programmes.programme), None)


def _categories(plan: Resource) -> Iterator[str]:
    """Yield the programmes that a CarePlan says it is of."""
    for category in each(plan, "category"):
        yield from (code for system, code in codings(category) if system == PROGRAMMES)


def _activity(plan: Resource) -> Resource | None:
    """Return the activity of a CarePlan that the hub keeps."""
    kept = (
        one
        for one in each(plan, "activity")
        if has_code(at(one, "detail", "code"), FOLLOW_UP, TASKS)
    )
    return next(kept, None)


def _last_taken(plan: Resource) -> datetime | None:
    try:
        return datetime.fromisoformat(str(at(_activity(plan), "progress", 0, "time")))
    except ValueError:
        return None


async def _schedule(
    unit: Unit, key: Key, plan: Resource, reading: Resource | None, programmes: Programmes
) -> None:
    """Stage the time of the next reading; a Task is done if that time has not passed yet."""
    name = _programme_of(plan, programmes)
    assert name is not None
    programme = programmes.programme[name]
    taken = None if reading is None else effective(reading)
    is_met = reading is not None and is_on_target(values(reading), programme.targets)
    first = taken.date() if taken is not None else _begins(plan, unit.today)
    due = first + timedelta(days=programme.every_days if is_met else programme.off_target_days)
    detail: Resource = {
        "kind": "Task",
        "code": _CODE,
        "status": "scheduled",
        "scheduledPeriod": {"start": first.isoformat(), "end": due.isoformat()},
        "description": f"{programme.english} / {programme.chinese}",
    }
    if (centre := await _centre(unit, plan)) is not None:
        detail["performer"] = [{"reference": "/".join(centre)}]
    activity: Resource = {"detail": detail}
    if reading is not None and taken is not None:
        said = "on target / 达标" if is_met else "off target / 未达标"
        activity["outcomeReference"] = [{"reference": f"Observation/{reading['id']}"}]
        activity["progress"] = [{"time": taken.isoformat(), "text": said}]
    others = [one for one in each(plan, "activity") if one != _activity(plan)]
    changed = plan | {"activity": [*others, activity]}
    await unit.update(changed, key.logical_id)
    if reading is not None and due >= unit.today:
        output = [
            {"type": {"text": "reading"}, "valueReference": activity["outcomeReference"][0]},
            {"type": {"text": "target met"}, "valueBoolean": is_met},
        ]
        await _close(unit, key, "completed", output=output)
    else:
        await require_task(unit, changed)


def _begins(plan: Resource, today: date) -> date:
    try:
        return date.fromisoformat(str(at(plan, "period", "start"))[:10])
    except ValueError:
        return today


async def _last_reading(
    unit: Unit, plan: Resource, programmes: Programmes, but: Key | None = None
) -> Resource | None:
    """Return the last reading of the patient for the programme, None if there was none lately."""
    patient, name = key_of(plan.get("subject")), _programme_of(plan, programmes)
    if patient is None or name is None:
        return None
    programme: Programme = programmes.programme[name]
    span = (unit.now - _LOOKS_BACK, unit.now + timedelta(days=1))
    wanted = plan_between("Observation", "date", *span, patient=patient, code=programme.codes)
    found = [read(one) for one in await unit.find("Observation", wanted)]
    timed = [
        (taken, one["id"], one)
        for one in found
        if is_final(one)
        and (but is None or one["id"] != but.logical_id)
        and not is_implausible(values(one), programmes.plausible.values())
        and (taken := effective(one)) is not None
    ]
    return max(timed, key=lambda each_one: each_one[:2])[2] if timed else None


async def _centre(unit: Unit, plan: Resource) -> Key | None:
    """Return who is to see to it: the centre of the contract, else whom plan or Patient names."""
    patient = key_of(plan.get("subject"))
    contract = await contract_on(unit, patient, unit.today) if patient is not None else None
    if contract is not None and (centres := members(contract, "community")):
        return centres[0]
    person = await resource_at(unit.current, patient)
    for reference in (plan.get("author"), at(person, "managingOrganization")):
        if (key := key_of(reference)) is not None:
            return key
    return None


def _with_activity(plan: Resource, **detail: str) -> Resource:
    kept = _activity(plan)
    activities = [
        one | {"detail": one["detail"] | detail} if one == kept else one
        for one in each(plan, "activity")
    ]
    return plan | {"activity": activities}


async def _tasks(unit: Unit, plan: Key) -> list[Resource]:
    code = Is(FOLLOW_UP, TASKS)
    found = await find(unit, "Task", based_on=plan, code=code, status=OPEN)
    return [read(one) for one in found]


async def _close(unit: Unit, plan: Key, status: str, **elements: object) -> None:
    for task in await _tasks(unit, plan):
        changed = task | {"status": status, "lastModified": instant(unit.now)} | elements
        await unit.update(changed, task["id"])
