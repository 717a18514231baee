"""What the events of a visit do to its Encounter, and how an event that cancels another undoes it.

An Encounter remembers the states that it had (`statusHistory`), the beds (`location`, those left
with their end) and who attended. So a cancel brings back what was: A13 the visit before the
discharge, A12 the bed before the transfer, A52 and A53 the state before the leave, A55 the
attending doctor. An update (A08) of a visit that is over does not open it again.

Spec: HL7v2 chapter 3, A11 to A13, A25 to A27, A32, A33, A38, A52, A53, A55
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from fhir_hub.clock import from_microseconds, instant
from fhir_hub.hl7v2.meaning.teller import Teller
from fhir_hub.hl7v2.merge import Resource
from fhir_hub.r4.checks.moments import is_after

Json = dict[str, Any]
_OF_STATE = frozenset(
    {"A01", "A03", "A04", "A05", "A06", "A07", "A09", "A10", "A11", "A13", "A14", "A21", "A22"}
    | {"A23", "A27", "A29", "A32", "A33", "A38", "A42", "A52", "A53"}
)
_OF_BED = frozenset({"A01", "A02", "A06", "A07"})
_BACK = frozenset({"A13", "A32", "A33", "A52", "A53"})
_BEFORE: Mapping[str, str] = {"A13": "in-progress", "A52": "in-progress", "A53": "onleave"}
_OF_NOBODY = ("finished", "cancelled")
_OVER = ("finished", "cancelled", "entered-in-error")
_PARTS = ("period", "hospitalization")
_OF_DISCHARGE = ("dischargeDisposition", "destination")


def begun(resource: Resource, teller: Teller) -> Resource:
    """Return an Encounter that is new: in the beds of one that is over nobody is."""
    if resource.get("status") not in _OF_NOBODY or "location" not in resource or not teller.time:
        return resource
    at = instant(from_microseconds(teller.time))
    return {**resource, "location": [_left(one, at) for one in resource["location"]]}


def adjusted(stored: Resource, merged: Resource, new: Resource, teller: Teller) -> Resource:
    """Return the Encounter as the message's event leaves it.

    `stored` is what was, `merged` that with `new`, what the message says, laid over it.
    """
    event = teller.event if teller.message_type == "ADT" else ""
    at = instant(from_microseconds(teller.time)) if teller.time else ""
    if not event or not at:
        return merged
    result = dict(merged)
    if event == "A12":
        result["location"] = _back_in_bed(stored.get("location", []), new.get("location", []))
    elif event in ("A13", "A26"):
        result["location"] = _without_end(stored.get("location", []), event)
    elif "location" in new:
        result["location"] = _moved(stored.get("location", []), new["location"], at)
    opens = event in _OF_STATE and new.get("status", "finished") not in _OVER
    if event == "A13" or (opens and stored.get("status") == "finished"):
        end = {"end": new["period"]["end"]} if "end" in new.get("period", {}) else {}
        result["period"] = _without(result.get("period", {}), ("end",)) | end
        result["hospitalization"] = _without(result.get("hospitalization", {}), _OF_DISCHARGE)
    if event == "A55":
        result["participant"] = _attended_before(stored.get("participant", []))
    elif "participant" in new:
        result["participant"] = _attended(result["participant"], new["participant"], at)
    _set_status(result, stored, new, event, at)
    if event in _OF_STATE and "class" in new and stored.get("class", new["class"]) != new["class"]:
        was, history = stored["class"], stored.get("classHistory", [])
        since = history[-1]["period"] if history else {"end": stored.get("period", {}).get("start")}
        result["classHistory"] = [*history, {"class": was, "period": _until(at, since.get("end"))}]
    if result.get("status") in _OF_NOBODY:
        result["location"] = _emptied(stored, result.get("location", ()), event, at)
    return {name: value for name, value in result.items() if value not in ([], {})}


def is_last_state(teller: Teller, since: Collection[str]) -> bool:
    """Say whether a late message is the last that tells a visit's state, by the events since."""
    is_state = teller.message_type == "ADT" and teller.event in _OF_STATE
    return is_state and bool(since) and _OF_STATE.isdisjoint(since)


def in_state(stored: Resource, filled: Resource, new: Resource, teller: Teller) -> Resource:
    """Return the Encounter in the state of a late event, behind which only updates came."""
    parts = {name: {**new.get(name, {}), **filled.get(name, {})} for name in _PARTS}
    merged = filled | {name: value for name, value in parts.items() if value}
    state = {name: value for name, value in new.items() if name in ("status", *_PARTS)}
    return adjusted(stored, merged, state, teller)


def with_bed(
    stored: Resource,
    result: Resource,
    new: Resource,
    teller: Teller,
    told_at: int,
    since: Collection[str],
) -> Resource:
    """Return an Encounter with the bed that an older message tells among those that it had.

    `told_at` is as of when the teller told what holds, `since` has the events told later.
    """
    is_bed = teller.message_type == "ADT" and teller.event in _OF_BED and "location" in new
    beds, span = stored.get("location"), (teller.time, told_at)
    if not beds or not is_bed or "A12" in since or teller.time >= told_at:
        return result
    at, latest = (instant(from_microseconds(moment)) for moment in span)
    return {**result, "location": _slept(beds, new["location"], since, (at, latest))}


def remembered(
    stored: Resource, filled: Resource, new: Resource, teller: Teller, told_at: int
) -> Resource:
    """Return an Encounter with what an older message tells of it as what was before.

    That is its state, and who attended; `told_at` is as of when the teller told what holds. Where
    states before that are known it is not certain between which this one was.
    """
    if teller.message_type != "ADT" or teller.time >= told_at:
        return filled
    start, end = (instant(from_microseconds(at)) for at in (teller.time, told_at))
    result, status = dict(filled), new.get("status", filled.get("status"))
    known = stored.get("participant", [])
    if any(_is_attending(one) and "end" not in one.get("period", {}) for one in known):
        result["participant"] = [
            one
            if one in known or not _is_attending(one)
            else {**one, "period": {**one.get("period", {}), "end": end}}
            for one in filled["participant"]
        ]
    is_state = teller.event in _OF_STATE - _BACK and status != filled.get("status")
    if is_state and "statusHistory" not in filled:
        before = {"status": status, "period": {"start": start, "end": end}}
        result["statusHistory"] = [before]
    return result


def _set_status(result: Resource, stored: Resource, new: Resource, event: str, at: str) -> None:
    """Set the status, and remember the one before or forget the one that is cancelled."""
    was, history = stored.get("status", "unknown"), list(stored.get("statusHistory", ()))
    status = new.get("status", was)
    if event in _BACK:
        status = history[-1]["status"] if history else _BEFORE.get(event, status)
        result["status"], result["statusHistory"] = status, history[:-1]
        return
    if event not in _OF_STATE and was != "unknown" and status != "finished":
        status = was
    result["status"] = status
    if status != was:
        start = history[-1]["period"].get("end") if history else None
        result["statusHistory"] = [*history, {"status": was, "period": _until(at, start)}]


def _until(at: str, start: str | None) -> Json:
    return {"start": start, "end": at} if start and not is_after(start, at) else {"end": at}


def _place(one: Mapping[str, Any]) -> Any:
    return one.get("location", {}).get("reference") or one.get("location")


def _moved(old: Sequence[Json], new: Sequence[Json], at: str) -> list[Json]:
    """Return the beds after a message that names some: one that is left gets its end."""
    now = [one for one in new if one.get("status") == "active"]
    named = {repr(_place(one)): one for one in new}
    result = []
    for one in old:
        again = named.pop(repr(_place(one)), None)
        if again is not None:
            result.append({**_without(one, ("period",) if again in now else ()), **again})
        elif now and one.get("status") == "active":
            result.append(_left(one, at))
        else:
            result.append(one)
    begun = [{**one, "period": {"start": at}} if old and one in now else one for one in new]
    return result + [one for one in begun if repr(_place(one)) in named]


def _slept(
    old: Sequence[Json], new: Sequence[Json], since: Collection[str], span: tuple[str, str]
) -> list[Json]:
    """Return the beds with the one that a late event tells, taken at the beginning of `span`.

    Where only updates came since, it is the one in use. Else it was left when the next thing was
    told of a bed, at the latest at the end of `span`.
    """
    at, latest = span
    known = [repr(_place(one)) for one in old]
    now = [one for one in new if one.get("status") == "active" and repr(_place(one)) not in known]
    if not now:
        return list(old)
    if _OF_STATE.isdisjoint(since) and _OF_BED.isdisjoint(since):
        return _moved(old, now, at)
    moments = [one.get("period", {}).get(name, "") for one in old for name in ("start", "end")]
    until = min((moment for moment in moments if moment > at), default=latest)
    told = [{**one, "status": "completed", "period": {"start": at, "end": until}} for one in now]
    before = [one for one in old if not _is_since(one, at)]
    before = [
        {**one, "period": {**one["period"], "end": at}}
        if one.get("period", {}).get("end", "") > at
        else one
        for one in before
    ]
    return [*before, *told, *(one for one in old if _is_since(one, at))]


def _is_since(one: Json, at: str) -> bool:
    """Say whether a bed was taken later, or is in use though nobody knows since when."""
    start = str(one.get("period", {}).get("start", ""))
    return start > at if start else one.get("status") == "active"


def _emptied(stored: Resource, beds: Sequence[Json], event: str, at: str) -> list[Json]:
    """Return the beds of a visit that is over: an update names one that was left before."""
    is_update = event not in _OF_STATE and stored.get("status") in _OVER
    left = {
        repr(_place(one)): one
        for one in (stored.get("location", ()) if is_update else ())
        if one.get("status") == "completed"
    }
    return [left.get(repr(_place(one))) or _left(one, at) for one in beds]


def _left(one: Json, at: str) -> Json:
    if one.get("status") != "active":
        return one
    return {**one, "status": "completed", "period": {**one.get("period", {}), "end": at}}


def _back_in_bed(old: Sequence[Json], new: Sequence[Json]) -> list[Json]:
    """Return the beds without the one of the transfer that is cancelled, the one before in use."""
    left = [one for one in old if one.get("status") == "completed"]
    named = [repr(_place(one)) for one in new]
    former = next((one for one in left if repr(_place(one)) in named), left[-1] if left else None)
    if former is None:
        return list(new or old)
    kept = [one for one in old if one is not former and one.get("status") != "active"]
    return [*kept, _in_use(former)]


def _in_use(one: Json) -> Json:
    period = _without(one.get("period", {}), ("end",))
    rest = _without(one, ("period",))
    return {**rest, "status": "active", **({"period": period} if period else {})}


def _without_end(old: Sequence[Json], event: str) -> list[Json]:
    """Return the beds before a discharge (A13), or without the one that was pending (A26)."""
    if event == "A26":
        return [one for one in old if one.get("status") != "planned"]
    if not old or any(one.get("status") == "active" for one in old):
        return list(old)
    last = max(old, key=lambda one: str(one.get("period", {}).get("end", "")))
    return [_in_use(one) if one is last else one for one in old]


def _is_attending(one: Mapping[str, Any]) -> bool:
    codings = [coding for kind in one.get("type", ()) for coding in kind.get("coding", ())]
    return any(coding.get("code") == "ATND" for coding in codings)


def _attended(merged: Sequence[Json], new: Sequence[Json], at: str) -> list[Json]:
    """Return who takes part; who attended until another does gets the end of that."""
    now = [one.get("individual") for one in new if _is_attending(one)]
    return [
        {**one, "period": {**one.get("period", {}), "end": at}}
        if now
        and _is_attending(one)
        and one.get("individual") not in now
        and "end" not in one.get("period", {})
        else one
        for one in merged
    ]


def _attended_before(old: Sequence[Json]) -> list[Json]:
    """Return who took part before the attending doctor changed (A54, cancelled by A55)."""
    ended = [one for one in old if _is_attending(one) and "end" in one.get("period", {})]
    if not ended:
        return list(old)
    kept = [one for one in old if not _is_attending(one) or one in ended[:-1]]
    last = ended[-1]
    period = _without(last["period"], ("end",))
    rest = _without(last, ("period",))
    return [*kept, {**rest, "period": period} if period else rest]


def _without(value: Json, names: Sequence[str]) -> Json:
    return {name: part for name, part in value.items() if name not in names}
