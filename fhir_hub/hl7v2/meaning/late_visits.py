"""What a message that comes late tells of a visit whose later course is known.

The journal knows all events that a sender told of a visit, so its states are those that follow
from them in the order of their times. Where the journal has less than was told (its time is over,
or another sender told some) what is stored holds, and the late state is one before.

Spec: HL7v2 chapter 3, EVN-2; DOMAIN 4 (out-of-order A08)
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fhir_hub.clock import from_microseconds, instant
from fhir_hub.hl7v2.meaning import visits
from fhir_hub.hl7v2.meaning.retold import Told
from fhir_hub.hl7v2.meaning.teller import Teller, told_at
from fhir_hub.hl7v2.merge import Resource
from fhir_hub.r4.checks.moments import is_after

Json = dict[str, Any]
_PARTS = ("period", "hospitalization")
_STATES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("A11", "A27", "A38"), "cancelled"),
        **dict.fromkeys(("A05", "A14"), "planned"),
        **{"A03": "finished", "A10": "arrived", "A21": "onleave", "A23": "entered-in-error"},
    }
)


def remembered(
    stored: Resource, filled: Resource, new: Resource, teller: Teller, later: Told
) -> Resource:
    """Return an Encounter with what an older message tells of it in its place.

    `filled` is what is `stored` with what it adds, `later` what its teller told since.
    """
    span = teller.time, _told_again(stored, teller, later)
    at, until = (instant(from_microseconds(moment)) for moment in span)
    is_state = teller.event in visits.OF_STATE
    if is_state and later.events and visits.OF_STATE.isdisjoint(later.events):
        result = _in_state(stored, filled, new, teller)
    else:
        result = _told_before(stored, filled, new, teller, (at, until))
    _set_states(result, stored, teller, new, later)
    _set_class(result, stored, new, later, (at, until))
    _set_attending(result, stored, new, later, (at, until))
    _set_beds(result, stored, new, teller, later, (at, until))
    return result


def _told_again(stored: Resource, teller: Teller, later: Told) -> int:
    """Return when the visit was told again: as the stamp says, else when nothing new was."""
    if (told := told_at(stored, teller)) > teller.time:
        return told
    since = (time for time, _ in later.all_events if time > teller.time)
    return min(since, default=teller.time)


def _in_state(stored: Resource, filled: Resource, new: Resource, teller: Teller) -> Resource:
    """Return the Encounter in the state of a late event, behind which only updates came."""
    parts = {name: {**new.get(name, {}), **filled.get(name, {})} for name in _PARTS}
    merged = filled | {name: value for name, value in parts.items() if value}
    state = {name: value for name, value in new.items() if name in ("status", *_PARTS)}
    return visits.adjusted(stored, merged, state, teller)


def _told_before(
    stored: Resource, filled: Resource, new: Resource, teller: Teller, span: tuple[str, str]
) -> Resource:
    """Return the Encounter with a state or class before, where none is known."""
    result, (at, until) = dict(filled), span
    status = new.get("status", filled.get("status"))
    if teller.event not in visits.OF_STATE - visits.BACK or at >= until:
        return result
    if status != filled.get("status") and "statusHistory" not in filled:
        before = {"status": status, "period": {"start": at, "end": until}}
        result["statusHistory"] = [before]
    return result


def _set_states(
    result: Resource, stored: Resource, teller: Teller, new: Resource, later: Told
) -> None:
    """Set the states that follow from all events, where those known are what is stored."""
    others = [(*one, _STATES.get(one[1], "in-progress")) for one in later.all_events]
    known = _follow(others, result)
    had = stored.get("status", ""), [one.get("status") for one in stored.get("statusHistory", ())]
    if (known[0], [one["status"] for one in known[1]]) != had:
        return
    told = (teller.time, teller.event, new.get("status", "in-progress"))
    status, history = _follow(sorted((*others, told)), result)
    result["status"] = status
    result.pop("statusHistory", None)
    if history:
        result["statusHistory"] = history


def _follow(events: Sequence[tuple[int, str, str]], visit: Resource) -> tuple[str, list[Json]]:
    """Return the state after events, each with its time and what it tells, and those before."""
    if not events:
        return "", []
    first, _, status = events[0]
    since = visits.began(visit, status, first)
    state: tuple[str, list[Json]] = (status, [])
    for time, event, told in events[1:]:
        if event in visits.OF_STATE:
            at = instant(from_microseconds(time))
            state = visits.next_state(state, told, event, at, since)
    return state


def _set_class(
    result: Resource, stored: Resource, new: Resource, later: Told, span: tuple[str, str]
) -> None:
    """Set the class that a visit had before another was told, or since when it has its own."""
    history, at = stored.get("classHistory", []), span[0]
    if "class" not in new or "class" not in stored:
        return
    if new["class"] == stored["class"]:
        period = history[-1]["period"] if history else {}
        if is_after(period.get("end", ""), at) and not is_after(period.get("start", ""), at):
            last = {**history[-1], "period": {**period, "end": at}}
            result["classHistory"] = [*history[:-1], last]
        return
    changed = [time for time, event in later.all_events if event in visits.OF_STATE]
    ends = [end for time in changed if (end := instant(from_microseconds(time))) > at]
    if not history and ends:
        began = result.get("period", {}).get("start")
        result["classHistory"] = [{"class": new["class"], "period": visits.until(ends[0], began)}]


def _set_attending(
    result: Resource, stored: Resource, new: Resource, later: Told, span: tuple[str, str]
) -> None:
    """Set who attends: who a late message names did until another was, or does if none was told."""
    known = stored.get("participant", [])
    if "participant" not in new or not any(map(visits.is_attending, known)):
        return
    next_told = later.fields.get("PV1-7")
    if next_told is None and later.is_told:
        result["participant"] = visits.attended(result["participant"], new["participant"], span[0])
    elif any(visits.is_attending(one) and "end" not in one.get("period", {}) for one in known):
        end = instant(from_microseconds(next_told)) if next_told else span[1]
        result["participant"] = [
            one if one in known or not visits.is_attending(one) else visits.ended(one, end)
            for one in result["participant"]
        ]


def _set_beds(
    result: Resource,
    stored: Resource,
    new: Resource,
    teller: Teller,
    later: Told,
    span: tuple[str, str],
) -> None:
    """Set the beds with the one that a late message tells; in those of a visit over nobody is."""
    beds, since = stored.get("location"), later.events
    is_bed = teller.event in visits.OF_BED and "location" in new
    if beds and is_bed and "A12" not in since and span[0] < span[1]:
        is_first = not any(_is_before(one, span[0]) for one in beds) and all(
            time >= teller.time for time, _ in later.all_events
        )
        next_told = later.fields.get("PV1-3")
        end = instant(from_microseconds(next_told)) if next_told else span[1]
        result["location"] = _slept(beds, new["location"], later, (span[0], end), is_first)
    if result.get("status") in visits.OF_NOBODY and "location" in result:
        result["location"] = [visits.left(one, span[1]) for one in result["location"]]


def _slept(
    old: Sequence[Json], new: Sequence[Json], later: Told, span: tuple[str, str], is_first: bool
) -> list[Json]:
    """Return the beds with the one that a late event tells, taken at the beginning of `span`.

    Where only updates came since, it is the one in use. Else it was left when the next thing was
    told of a bed, at the latest at the end of `span`.
    """
    at, latest = span
    now = [one for one in new if one.get("status") == "active"]
    known = {repr(visits.place(one)): one for one in old}
    if not now:
        return list(old)
    if (same := known.get(repr(visits.place(now[0])))) is not None:
        return _taken_earlier(old, same, at)
    since_told = visits.OF_STATE | visits.OF_BED
    if "PV1-3" not in later.fields and since_told.isdisjoint(later.events):
        return visits.moved(old, now, at)
    moments = [one.get("period", {}).get(name, "") for one in old for name in ("start", "end")]
    until = min((moment for moment in (*moments, latest) if moment > at), default=latest)
    period = {"end": until} if is_first else {"start": at, "end": until}
    told = [{**one, "status": "completed", "period": period} for one in now]
    since = [one for one in old if is_first or _is_since(one, at)]
    before = [one for one in old if one not in since]
    before = [
        {**one, "period": {**one["period"], "end": at}}
        if one.get("period", {}).get("end", "") > at
        else one
        for one in before
    ]
    if since and "start" not in since[0].get("period", {}):
        since = [{**since[0], "period": {"start": until, **since[0].get("period", {})}}, *since[1:]]
    return [*before, *told, *since]


def _taken_earlier(old: Sequence[Json], same: Json, at: str) -> list[Json]:
    """Return the beds where the one that is the same was taken at that time, if that is earlier."""
    start = same.get("period", {}).get("start", "")
    if any(at < one.get("period", {}).get("start", "") < start for one in old) or start <= at:
        return list(old)
    return [
        {**one, "period": {**one["period"], "start": at}}
        if one is same
        else {**one, "period": {**one["period"], "end": at}}
        if one.get("period", {}).get("end") == start
        else one
        for one in old
    ]


def _is_before(one: Json, at: str) -> bool:
    """Say whether a bed is known to have been taken or left before."""
    period = one.get("period", {})
    return any(period.get(name, at) < at for name in ("start", "end"))


def _is_since(one: Json, at: str) -> bool:
    """Say whether a bed was taken later, or is in use though nobody knows since when."""
    start = str(one.get("period", {}).get("start", ""))
    return start > at if start else one.get("status") == "active"
