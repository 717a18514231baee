"""What the events of a visit do to its Encounter, and how an event that cancels another undoes it.

An Encounter remembers the states that it had (`statusHistory`), the beds (`location`, those left
with their end) and who attended. So a cancel brings back what was: A13 the visit before the
discharge, A12 the bed before the transfer, A52 and A53 the state before the leave, A55 the
attending doctor. An update (A08) of a visit that is over does not open it again.

Spec: HL7v2 chapter 3, A11 to A13, A25 to A27, A32, A33, A38, A52, A53, A55
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_hub.clock import from_microseconds, instant
from fhir_hub.hl7v2.meaning.teller import Teller, microseconds_of
from fhir_hub.hl7v2.storing.merge import Resource
from fhir_hub.hl7v2.storing.things import Thing
from fhir_hub.identity.systems import BASE
from fhir_hub.r4.checks.moments import is_after

Json = dict[str, Any]
OF_STATE = frozenset(
    {"A01", "A03", "A04", "A05", "A06", "A07", "A09", "A10", "A11", "A13", "A14", "A21", "A22"}
    | {"A23", "A27", "A29", "A32", "A33", "A38", "A42", "A52", "A53"}
)
# What tells what a visit was before: it follows from all that was told of it.
REMEMBERED = frozenset({"status", "statusHistory", "class", "classHistory", "location"})
_BACK = frozenset({"A13", "A32", "A33", "A52", "A53"})
_BEFORE: Mapping[str, str] = {"A13": "in-progress", "A52": "in-progress", "A53": "onleave"}
OF_NOBODY = ("finished", "cancelled")
_NOT_BEGUN = ("planned", "unknown")
_OVER = ("finished", "cancelled", "entered-in-error")
_EXPECTED_RETURN = f"{BASE}/StructureDefinition/expected-return"
_OF_DISCHARGE = ("dischargeDisposition", "destination")


def begun(resource: Resource, teller: Teller) -> Resource:
    """Return an Encounter that is new: in the beds of one that is over nobody is."""
    if resource.get("status") not in OF_NOBODY or "location" not in resource or not teller.time:
        return resource
    at = _discharged(resource, instant(from_microseconds(teller.time)))
    return {**resource, "location": [left(one, at) for one in resource["location"]]}


def keep_class(things: Sequence[Thing], event: str) -> None:
    """Leave a stored visit that is merged away the class that it has: MRG says none."""
    for thing in things if event == "A42" else ():
        if thing.converted.segment == "MRG" and thing.stored and "class" in thing.resource:
            thing.leave_out("class")


def as_of(visit: Resource, time: int) -> Resource:
    """Return what a visit remembers of itself as it was before a time."""
    result: Resource = {name: visit[name] for name in ("resourceType", "id")}
    for name, remembered in (("status", "statusHistory"), ("class", "classHistory")):
        history = visit.get(remembered, [])
        over = [one for one in history if _moment(one, "end") <= time]
        held = next((one for one in history if one not in over), visit)
        told = {name: held.get(name), remembered: over}
        result |= {key: value for key, value in told.items() if value}
    beds = [one for one in visit.get("location", ()) if 0 < _moment(one, "end") <= time]
    beds += [
        _in_use(one)
        for one in visit.get("location", ())
        if 0 < _moment(one, "start") < time and one not in beds
    ]
    return {**result, "location": beds} if beds else result


def _moment(one: Json, name: str) -> int:
    return microseconds_of(str(one.get("period", {}).get(name, "")))


def asks_first(stored: Resource, new: Resource, teller: Teller) -> bool:
    """Say whether an event ends the first state of a visit, of which nobody says when it began."""
    was, event = stored.get("status", "unknown"), teller.event
    if new.get("status", was) == was or "statusHistory" in stored or teller.message_type != "ADT":
        return False
    periods = [] if was in _NOT_BEGUN else [stored.get("period", {}), new.get("period", {})]
    is_state = event in OF_STATE or was == "unknown" or new["status"] == "finished"
    return is_state and not any("start" in period for period in periods)


def adjusted(
    stored: Resource, merged: Resource, new: Resource, teller: Teller, first: int
) -> Resource:
    """Return the Encounter as the message's event leaves it.

    `stored` is what was, `merged` that with `new`, what the message says, laid over it; `first` is
    as of when the visit was first told, 0 if nobody knows.
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
        result["location"] = moved(stored.get("location", []), new["location"], at)
    opens = event in OF_STATE and new.get("status", "finished") not in _OVER
    if event == "A13" or (opens and stored.get("status") == "finished"):
        end = {"end": new["period"]["end"]} if "end" in new.get("period", {}) else {}
        result["period"] = _without(result.get("period", {}), ("end",)) | end
        result["hospitalization"] = _without(result.get("hospitalization", {}), _OF_DISCHARGE)
    if event == "A55":
        told = new.get("participant", [])
        others = [one for one in result.get("participant", ()) if not is_attending(one)]
        before = [one for one in stored.get("participant", ()) if is_attending(one)]
        result["participant"] = _attended_before([*others, *before], told)
    elif "participant" in new:
        before = stored.get("participant", [])
        result["participant"] = attended(before, result["participant"], new["participant"], at)
    _set_status(result, stored, new, event, at, first)
    if event in OF_STATE and "class" in new and stored.get("class", new["class"]) != new["class"]:
        was, history = stored["class"], stored.get("classHistory", [])
        since = history[-1]["period"] if history else {"end": stored.get("period", {}).get("start")}
        result["classHistory"] = [*history, {"class": was, "period": until(at, since.get("end"))}]
    if result.get("status") != "onleave":
        told = result.get("extension", [])
        result["extension"] = [one for one in told if one.get("url") != _EXPECTED_RETURN]
    if result.get("status") in OF_NOBODY:
        over = _discharged(result, at)
        result["location"] = _emptied(stored, result.get("location", ()), over)
    return {name: value for name, value in result.items() if value not in ([], {})}


def _set_status(
    result: Resource, stored: Resource, new: Resource, event: str, at: str, first: int
) -> None:
    """Set the status, and remember the one before or forget the one that is cancelled."""
    was, history = stored.get("status", "unknown"), list(stored.get("statusHistory", ()))
    status = new.get("status", was)
    if event not in OF_STATE and was != "unknown" and status != "finished":
        status = was
    since = began(result, was, first) if not history else ""
    told = next_state((was, history), str(status), event, at, since)
    result["status"], result["statusHistory"] = told


def began(visit: Resource, status: str, first: int) -> str:
    """Return since when a visit had its first state: since it began, a plan since it was told."""
    start = visit.get("period", {}).get("start") if status not in _NOT_BEGUN else None
    return start or (instant(from_microseconds(first)) if first else "")


def next_state(
    before: tuple[str, list[Json]], status: str, event: str, at: str, since: str
) -> tuple[str, list[Json]]:
    """Return the state of a visit, and those that it had, after an event that tells a `status`.

    The first state was so `since` then, `""` if nobody knows.
    """
    was, history = before
    if event in _BACK:
        status = history[-1].get("status", status) if history else _BEFORE.get(event, status)
        return status, history[:-1]
    if status == was:
        return was, history
    start = history[-1]["period"].get("end") if history else since
    return status, [*history, {"status": was, "period": until(at, start)}]


def until(at: str, start: str | None) -> Json:
    """Return the period that ended then, and began at `start` if that was before."""
    return {"start": start, "end": at} if start and not is_after(start, at) else {"end": at}


def place(one: Mapping[str, Any]) -> Any:
    """Return which bed one of a visit is."""
    return one.get("location", {}).get("reference") or one.get("location")


def moved(old: Sequence[Json], new: Sequence[Json], at: str) -> list[Json]:
    """Return the beds after a message that names some: one that is left gets its end.

    Who is back in a bed that she left is there since now, and was there before.
    """
    named = {repr(place(one)): one for one in sorted(new, key=_is_active)}
    is_elsewhere = any(map(_is_active, new))
    result, known = list[Json](), set[str]()
    for one in old:
        key = repr(place(one))
        again = named.get(key, {})
        was, now = one.get("status"), again.get("status")
        if was == "active" and (now == "completed" or (not again and is_elsewhere)):
            result.append(left(one, at))
        elif not again or (was == "active" and now == "planned"):
            result.append(one)
        elif was == "completed" and now != was:
            result.append(one)
            continue
        else:
            begun = {"period": {"start": at}} if was == "planned" and now == "active" else {}
            result.append({**one, **again, **begun})
        known.add(key)
    begun = {"period": {"start": at}} if old else {}
    fresh = [one for key, one in named.items() if key not in known]
    return result + [{**one, **begun} if _is_active(one) else one for one in fresh]


def _is_active(one: Json) -> bool:
    return bool(one.get("status") == "active")


def _emptied(stored: Resource, beds: Sequence[Json], at: str) -> list[Json]:
    """Return the beds of a visit that is over: what tells that again names one left before."""
    held = stored.get("location", ()) if stored.get("status") in _OVER else ()
    known = {repr(place(one)) for one in held}
    was = _moment(stored, "end")
    told = [ended(one, at) if was and _moment(one, "end") == was else one for one in held]
    told += [one for one in beds if repr(place(one)) not in known]
    return [left(one, at) for one in told]


def _discharged(visit: Resource, at: str) -> str:
    """Return when who was in a bed of a visit that is over left it: PV1-45, else `at`."""
    end = visit.get("period", {}).get("end", "") if visit.get("status") == "finished" else ""
    return instant(from_microseconds(microseconds_of(end))) if "T" in end else at


def left(one: Json, at: str) -> Json:
    """Return a bed that was in use as one that was left."""
    if one.get("status") != "active":
        return one
    return {**ended(one, at), "status": "completed"}


def ended(one: Json, at: str) -> Json:
    """Return what has a period with the end of it, at the earliest when it began."""
    period = one.get("period", {})
    start = period.get("start", "")
    return {**one, "period": {**period, "end": start if is_after(start, at) else at}}


def _back_in_bed(old: Sequence[Json], new: Sequence[Json]) -> list[Json]:
    """Return the beds without the one of the transfer that is cancelled, the one before in use."""
    left = [one for one in old if one.get("status") == "completed"]
    named = [repr(place(one)) for one in new]
    theirs = [one for one in left if repr(place(one)) in named] or left
    former = theirs[-1] if theirs else None
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
    last = max(old, key=lambda one: _moment(one, "end"))
    return [_in_use(one) if one is last else one for one in old]


def is_attending(one: Mapping[str, Any]) -> bool:
    """Say whether one who takes part in a visit is the doctor who attends."""
    codings = [coding for kind in one.get("type", ()) for coding in kind.get("coding", ())]
    return any(coding.get("code") == "ATND" for coding in codings)


def attended(
    old: Sequence[Json], merged: Sequence[Json], new: Sequence[Json], at: str
) -> list[Json]:
    """Return who takes part; who attended until another does gets the end of that.

    Who attends again does so since now, and did before. `merged` has each once, in its place.
    """
    now = {repr(one.get("individual")): one for one in new if is_attending(one)}
    before = [one for one in old if is_attending(one)] if now else []
    if not before:
        return list(merged)
    told = list[Json]()
    for one in before:
        again = None if _is_over(one) else now.pop(repr(one.get("individual")), None)
        is_left = again is None and not _is_over(one)
        told.append(ended(one, at) if is_left else {**one, **(again or {})})
    known = {repr(one.get("individual")) for one in before}
    since = {"period": {"start": at}}
    told += [one | since if whom in known else one for whom, one in now.items()]
    attending = iter(told)
    kept = [next(attending, one) if is_attending(one) else one for one in merged]
    return [*kept, *attending]


def _is_over(one: Json) -> bool:
    return "end" in one.get("period", {})


def _attended_before(old: Sequence[Json], new: Sequence[Json]) -> list[Json]:
    """Return who took part before the attending doctor changed (A54, cancelled by A55).

    That is whom the message names, else who attended last; who attends now never did.
    """
    ended = [one for one in old if is_attending(one) and _is_over(one)]
    named = [one for one in new if is_attending(one)] or ended[-1:]
    if not named:
        return list(old)
    last_of = {repr(one.get("individual")): one for one in ended}
    back = [last_of.get(repr(one.get("individual"))) for one in named]
    kept = [one for one in old if not is_attending(one) or (one in ended and one not in back)]
    known = {repr(one.get("individual")): one for one in old if is_attending(one)}
    for one in named:
        last = {**known.get(repr(one.get("individual")), {}), **one}
        period = _without(last.pop("period", {}), ("end",))
        kept.append({**last, "period": period} if period else last)
    return kept


def _without(value: Json, names: Sequence[str]) -> Json:
    return {name: part for name, part in value.items() if name not in names}
