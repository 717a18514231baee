"""What a reading brings about: work for the family doctor, a report to public health, or a doubt.

A reading outside of what can be true is kept and marked: `entered-in-error`, with the reason, and
nobody is alarmed. A finding of screening becomes one Task of the family doctor for each patient:
further findings are added to it while it is open. A notifiable result becomes a restricted Task of
public health. All of it is written with the reading, and once: a reading that is corrected takes
back what it brought about.

Spec: https://hl7.org/fhir/R4/task.html and flag.html; DOMAIN 1.3 S1, S9
"""

from datetime import date
from typing import Any

from fhir_hub.clock import instant
from fhir_hub.errors import Issue
from fhir_hub.identity.systems import BASE
from fhir_hub.referral.contracts import contracts_of, holds, members
from fhir_hub.referral.finding import Followed, find, find_again, read
from fhir_hub.referral.reading import at, codings, each, has_code, key_of
from fhir_hub.referral.readings import Reading, codes_of, effective, is_final, meets, values
from fhir_hub.repository.unit import Resource, Unit, Warned
from fhir_hub.search.plan import Is
from fhir_hub.settings.programmes import Notification, Programmes, Screening
from fhir_hub.store.base import Key

TASKS = f"{BASE}/CodeSystem/task-code"
RULES = f"{BASE}/CodeSystem/programme-rule"
PROGRAMMES = f"{BASE}/CodeSystem/programme"
ROLES = f"{BASE}/CodeSystem/public-health-role"
DOUBTS = f"{BASE}/CodeSystem/reading-doubt"
SCREENING, NOTIFICATION = "screening", "public-health-notification"
_DOCTOR = b'"generalPractitioner"'
_SAID = "findings that are said"
OPEN = ("requested", "received", "accepted", "ready", "in-progress", "on-hold")
_RESTRICTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
    "code": "R",
    "display": "restricted",
}


async def follow(
    unit: Unit, followed: Followed, reading: Reading, *, programmes: Programmes
) -> None:
    """Stage what a staged Observation brings about, or takes back."""
    key, before, observation = followed
    found, about, is_told = reading.values, reading.about, reading.is_told
    if reading.is_implausible:
        await _mark(unit, key, observation or {})
        observation, is_told = None, False
    if before is not None and is_final(before):
        await _take_back(unit, key, observation if is_told else None, programmes)
    if observation is None or not is_told:
        return
    findings = [one for one in about.screening if meets(found, one[1].any)]
    notifiable = [one for one in about.notification if _is_notifiable(observation, one[1])]
    if not findings and not notifiable:
        return
    patient = key_of(at(observation, "subject"))
    if patient is None or patient[0] != "Patient":
        return
    for rule in findings:
        await _screen(unit, followed, patient, rule)
    for name, notification in notifiable:
        await _notify(unit, followed, name, notification)


async def _mark(unit: Unit, key: Key, observation: Resource) -> None:
    """Stage the reading as entered in error, with the reason."""
    english, chinese = "the value cannot be true", "数值超出可信范围"
    note = {"time": instant(unit.now), "text": f"{english} / {chinese}"}
    meta = dict(observation.get("meta", {}))
    meta["tag"] = [*each(meta, "tag"), {"system": DOUBTS, "code": "implausible"}]
    marked = observation | {"status": "entered-in-error", "meta": meta}
    await unit.update(marked | {"note": [*each(observation, "note"), note]}, key.logical_id)
    issue = Issue("business-rule", english, "Observation.value", "warning", chinese)
    unit.warnings.append(Warned(key, issue))


async def _screen(
    unit: Unit, followed: Followed, patient: Key, rule: tuple[str, Screening]
) -> None:
    """Have a finding said once: of a hundred readings in one unit many find the same."""
    said = unit.worked_out.setdefault(_SAID, {})
    holder, change = said.get((patient, rule[0]), (None, None))
    if holder is None or unit.changes.get(holder) is not change:
        holder = await _say(unit, followed, patient, rule)
        if holder is not None:
            said[patient, rule[0]] = holder, unit.changes.get(holder)


async def _say(
    unit: Unit, followed: Followed, patient: Key, rule: tuple[str, Screening]
) -> Key | None:
    """Stage the Task of the family doctor, or a finding more in the one that is open.

    Return what says the finding now, while it stays as it is; None if nothing has to.
    """
    (name, screening), key, observation = rule, followed.key, followed.after
    assert observation is not None
    finding = {
        "type": {"coding": [{"system": RULES, "code": name}], "text": screening.chinese},
        "valueReference": {"reference": "/".join(key)},
    }
    code = Is(SCREENING, TASKS)
    tasks = [read(one) for one in await find_again(unit, "Task", patient=patient, code=code)]
    if any(_is_about(one, key, name) for one in tasks):
        return None  # the same reading again: its Task is there, or was done
    there = next((one for one in tasks if one.get("status") in OPEN), None)
    inputs = list(each(there, "input"))
    if there is not None and any(has_code(one.get("type"), name, RULES) for one in inputs):
        return Key("Task", there["id"])  # nothing can follow: nobody is asked further
    if screening.programme and await programmes_of(unit, patient, screening.programme):
        return None
    if there is not None:
        await unit.update(there | {"input": [*inputs, finding]}, there["id"])
        return Key("Task", there["id"])
    taken = effective(observation)
    day = unit.today if taken is None else taken.date()
    owner = await family_doctor(unit, patient, day)
    if owner is None:
        return await _flag(unit, patient, name, screening, str(day))
    made = _task(
        unit, SCREENING, key, observation["subject"], (screening.english, screening.chinese)
    )
    made |= {"owner": {"reference": "/".join(owner)}, "input": [finding]}
    made["reasonCode"] = {"coding": [{"system": RULES, "code": name}], "text": screening.chinese}
    return unit.create(made)


async def programmes_of(unit: Unit, patient: Key, name: str = "") -> list[Resource]:
    """Return the active CarePlans of a patient that are of a programme, of the one named."""
    plans = await find_again(unit, "CarePlan", patient=patient, status="active")
    found = [read(one) for one in plans]
    return [
        one
        for one in found
        for category in each(one, "category")
        for system, code in codings(category)
        if system == PROGRAMMES and name in ("", code)
    ]


async def family_doctor(unit: Unit, patient: Key, day: date) -> Key | None:
    """Return the doctor of the contract of a day, else whom the Patient names, else None."""
    contracts = await contracts_of(unit, patient)
    for contract in sorted(contracts, key=lambda one: not holds(one, day)):
        is_held = holds(contract, day) or holds(contract, unit.today)
        if is_held and (doctors := members(contract, "family-doctor")):
            return doctors[0]
    stored = await unit.current(patient)
    if stored is None or _DOCTOR not in stored.content:  # as in nearly all: it need not be read
        return None
    named = [key_of(one) for one in each(read(stored), "generalPractitioner")]
    known = [key for key in named if key is not None]
    known.sort(key=lambda key: key.resource_type == "Organization")  # a person first
    return known[0] if known else None


async def _flag(unit: Unit, patient: Key, name: str, screening: Screening, day: str) -> Key:
    """Stage a Flag for whoever sees the patient next, where there is no family doctor."""
    code = {"coding": [{"system": RULES, "code": name}], "text": screening.chinese}
    for stored in await find_again(unit, "Flag", patient=patient):
        flag = read(stored)
        if flag.get("status") == "active" and has_code(flag.get("code"), name, RULES):
            return Key("Flag", flag["id"])
    made = {"resourceType": "Flag", "status": "active", "code": code, "period": {"start": day}}
    return unit.create(made | {"subject": {"reference": "/".join(patient)}})


def _is_notifiable(observation: Resource, notification: Notification) -> bool:
    if "valueCodeableConcept" not in observation:
        return False
    results = {code for _, code in codings(observation["valueCodeableConcept"])}
    return notification.code in codes_of(observation) and not results.isdisjoint(
        notification.results
    )


async def _notify(unit: Unit, followed: Followed, name: str, notification: Notification) -> None:
    """Stage the restricted Task of public health."""
    key, observation = followed.key, followed.after
    assert observation is not None
    code = Is(NOTIFICATION, TASKS)
    if any(
        _is_about(read(one), key, name) for one in await find(unit, "Task", focus=key, code=code)
    ):
        return
    words = (notification.english, notification.chinese)
    made = _task(unit, NOTIFICATION, key, observation["subject"], words)
    made |= {"meta": {"security": [_RESTRICTED]}, "priority": "urgent"}
    made["performerType"] = [{"coding": [{"system": ROLES, "code": notification.role}]}]
    made["reasonCode"] = {"coding": [{"system": RULES, "code": name}], "text": notification.chinese}
    if notification.owner:
        found = await find(unit, "Organization", identifier=Is(notification.owner))
        owner = found[0].logical_id if found else notification.owner
        made["owner"] = {"reference": f"Organization/{owner}"}
    unit.create(made)


def _task(unit: Unit, code: str, focus: Key, subject: Any, words: tuple[str, str]) -> Resource:
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": TASKS, "code": code}]},
        "description": " / ".join(words),
        "focus": {"reference": "/".join(focus)},
        "for": subject,
        "authoredOn": instant(unit.now),
        "lastModified": instant(unit.now),
    }


def _is_about(task: Resource, key: Key, rule: str) -> bool:
    """Say whether a Task is there for a finding of one rule in one reading."""
    if task.get("status") in ("cancelled", "entered-in-error"):
        return False
    if key_of(task.get("focus")) == key and has_code(task.get("reasonCode"), rule, RULES):
        return True
    return any(
        key_of(one.get("valueReference")) == key and has_code(one.get("type"), rule, RULES)
        for one in each(task, "input")
    )


async def _take_back(
    unit: Unit, key: Key, observation: Resource | None, programmes: Programmes
) -> None:
    """Stage the end of the open Tasks about a reading that does not say so any more."""
    found = values(observation or {})
    for stored in await find(unit, "Task", focus=key):  # nearly always none: one step to see it
        task = read(stored)
        if task.get("status") not in OPEN:
            continue
        if not {SCREENING, NOTIFICATION} & {code for _, code in codings(task.get("code"))}:
            continue
        rules = {code for system, code in codings(task.get("reasonCode")) if system == RULES}
        holds = observation is not None and any(
            (name in programmes.screening and meets(found, programmes.screening[name].any))
            or (
                name in programmes.notification
                and _is_notifiable(observation, programmes.notification[name])
            )
            for name in rules
        )
        others = [one for one in each(task, "input") if key_of(one.get("valueReference")) != key]
        if not holds and not others:
            reason = {"text": "the reading was corrected / 结果已更正"}
            await unit.update(task | {"status": "cancelled", "statusReason": reason}, task["id"])
