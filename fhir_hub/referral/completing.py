"""What the hub adds to a referral's Task as it is written: both statuses, moments, the deadline.

A client may change `status` or `businessStatus` alone; a copy (HL7v2) tells what it knows of, which
may be less than what is known here. All of it is worked out of the Task before and the Task as it
came, so it stands in the same version. Where the referral was before a cancellation was asked
for, and since when its deadline pauses, stand in extensions.

Spec: https://hl7.org/fhir/R4/task.html; DOMAIN 2.5
"""

from datetime import datetime, timedelta
from typing import Any

from fhir_hub.clock import instant
from fhir_hub.identity.systems import BASE
from fhir_hub.referral.reading import at, each, extension, key_of, moment
from fhir_hub.referral.states import (
    ALIVE,
    BOOKED,
    STATES,
    TERMINAL,
    State,
    is_referral,
    state_meant,
    state_of,
    step,
)
from fhir_hub.repository.unit import Resource

STATE_BEFORE = f"{BASE}/StructureDefinition/referral-state-before"
PAUSED = f"{BASE}/StructureDefinition/referral-paused"
_OBJECTS = ("businessStatus", "focus", "restriction")


def complete(
    before: Resource | None, task: Resource, now: datetime, *, is_strict: bool, valid_days: int
) -> Resource:
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
    if before is not None and was is not None and not is_strict:
        if was.name == "cancelled" and meant != was and _was_said_before(before, task):
            return before | {"note": task["note"]} if task.get("note") else before
        is_allowed = step(was.name, meant.name) or is_answered_first(before, task)
        is_elsewhere = is_allowed and _is_passed_on(before, task, meant)
        meant = meant if is_elsewhere else as_told(was, meant, before)
    added: Resource = {"status": meant.status}
    if (meant.business_status is not None and state_of(task) != meant) or not task.get(
        "businessStatus"
    ):
        added |= {"businessStatus": meant.business_status} if meant.business_status else {}
    if meant != was and at(task, "lastModified") in (None, at(before, "lastModified")):
        # R4 inv-1: not before it was authored, by a clock that may run ahead of the hub's
        added["lastModified"] = instant(max(now, moment(task.get("authoredOn")) or now))
    if before is not None and key_of(before.get("focus")) and not key_of(task.get("focus")):
        added["focus"] = before["focus"]  # an answer names the referral by its number only
    is_open = was is not None and (was.name not in TERMINAL or is_answered_first(before, task))
    if is_open and not is_strict and _is_asked(before, task):
        added["owner"] = at(before, "owner")
    is_passed_on = was is not None and _is_passed_on(before, task, meant)
    added["restriction"] = _restriction(before, task, meant, now, valid_days)
    if is_passed_on:
        added["restriction"]["recipient"] = [task["owner"]]
    marked = _marked(before, task, was, meant, now)
    if was is not None and was.name == "info-requested" and meant.name in ("received", "requested"):
        added["restriction"] = _resumed(before, added["restriction"], now)
    kept = {name: value for name, value in task.items() if name != "extension"}
    added["extension"] = marked
    return kept | {name: value for name, value in added.items() if value}


def as_told(was: State, meant: State, before: Resource | None) -> State:
    """Return the state that a copy means, which may know less than is known here.

    The same order again, or changed (REF^I12, I13), supplements one that was returned and else
    moves nothing back. An answer that came late (RRI) moves nothing back. Whoever cancels what was
    accepted asks for it; an answer while that is asked for confirms or refuses it.
    """
    name, said = was.name, meant.name
    if name in TERMINAL and said == "requested" and not key_of(at(before, "focus")):
        return was  # the answer came before the order
    if name in TERMINAL or name in ("draft", "audit"):
        return meant
    if name == "cancellation requested":
        if said == "rejected":
            return STATES["cancelled"]
        return noted_state(before) or meant if said == "accepted" else was
    if said in ("requested", "received"):
        if name == "info-requested" and said == "requested":
            return STATES["received"]
        return meant if step(name, said) and name == "requested" else was
    if said == "accepted" and name in BOOKED:
        return was
    return STATES["cancellation requested"] if said == "cancelled" and name in ALIVE else meant


def _was_said_before(before: Resource, task: Resource) -> bool:
    """Say whether a message tells of a cancelled referral what was so before it was cancelled.

    The two crossed: who was asked accepted, while who asked took it back. Its note alone is kept.
    So is it with the agreement to cancel it, told again.
    """
    over, said = moment(before.get("lastModified")), moment(task.get("lastModified"))
    return over is not None and said is not None and said <= over


def noted_state(task: Resource | None) -> State | None:
    """Return the state from which a cancellation was requested, None if it is not noted."""
    noted = extension(task, STATE_BEFORE)
    found = (one for one in STATES.values() if one.business_status == noted)
    return next(found, None) if noted else None


def is_answered_first(before: Resource | None, task: Resource) -> bool:
    """Say whether an order comes whose answer came before it: of that its number alone is known."""
    return key_of(at(before, "focus")) is None and key_of(task.get("focus")) is not None


def _is_asked(before: Resource | None, task: Resource) -> bool:
    """Say whether an order that is told again names who is asked, where somebody took it up."""
    old, new = key_of(at(before, "owner")), key_of(task.get("owner"))
    recipients = {key_of(one) for one in each(before, "restriction", "recipient")}
    is_taken = old is not None and old.resource_type != "Organization"
    is_named = new in recipients or (not recipients and is_answered_first(before, task))
    return is_taken and new is not None and is_named


def _is_passed_on(before: Resource | None, task: Resource, meant: State) -> bool:
    """Say whether a referral goes to another institution: submitted again, to another owner."""
    old, new = key_of(at(before, "owner")), key_of(task.get("owner"))
    if meant.name != "requested" or old == new or new is None:
        return False
    recipients = {key_of(one) for one in each(before, "restriction", "recipient")}
    if not recipients and is_answered_first(before, task):
        return False  # who passed the answer on did not know who is asked
    return new.resource_type == "Organization" and new not in recipients


def _restriction(
    before: Resource | None, task: Resource, meant: State, now: datetime, valid_days: int
) -> Resource:
    """Return to which institution the referral goes, and until when it may be taken up.

    Who takes it up for the institution becomes its owner: the institution stays the recipient.
    """
    restriction = dict(task.get("restriction", {}))
    is_known = before is not None and not is_answered_first(before, task)
    first = at(before, "owner") if is_known else task.get("owner")
    owner = key_of(first)
    to_institution = owner is not None and owner.resource_type == "Organization"
    if "recipient" not in restriction:
        recipient = at(before, "restriction", "recipient")
        is_open = meant.name not in TERMINAL or (before is not None and not is_known)
        if recipient or (to_institution and is_open):
            restriction["recipient"] = recipient or [first]
    period = restriction.get("period", {})
    if meant.name == "requested" and isinstance(period, dict) and "end" not in period:
        restriction["period"] = period | {"end": instant(now + timedelta(days=valid_days))}
    return restriction


def _resumed(before: Resource | None, restriction: Resource, now: datetime) -> Resource:
    """Return the restriction with the deadline as much later as it paused."""
    since, end = moment(extension(before, PAUSED)), moment(at(restriction, "period", "end"))
    is_told = at(restriction, "period", "end") != at(before, "restriction", "period", "end")
    if since is None or end is None or is_told:
        return restriction
    later = end + (now - since)
    shown = instant(later) if end.utcoffset() == timedelta(0) else later.isoformat("T", "seconds")
    return restriction | {"period": restriction["period"] | {"end": shown}}


def _marked(
    before: Resource | None, task: Resource, was: State | None, meant: State, now: datetime
) -> list[Any]:
    """Return the Task's extensions with the hub's own: what is noted while a state lasts."""
    own = {STATE_BEFORE, PAUSED}
    given = task.get("extension")
    if not isinstance(given, list):
        given = [] if given is None else [given]  # the checks refuse it
    kept = [one for one in given if at(one, "url") not in own]
    if meant.name == "cancellation requested":
        value = extension(before, STATE_BEFORE) if was == meant else None
        if was is not None and was != meant:
            value = was.business_status
        return [*kept, *([{"url": STATE_BEFORE, "valueCodeableConcept": value}] if value else [])]
    if meant.name == "info-requested":
        since = extension(before, PAUSED) if was == meant else None
        return [*kept, {"url": PAUSED, "valueDateTime": since or instant(now)}]
    return kept
