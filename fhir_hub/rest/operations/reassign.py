"""`Appointment/$reassign`: a centre is closed for some days; its sessions go to other centres.

One write moves every session that has a place elsewhere, closes the centre's Slots, lists who has
no place (with a Task for who looks after him) and gives each resident a pass with his new times.
Rules of Slots hold as for every write, so no place is given twice.

Spec: DOMAIN 1.3 S19
"""

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from fhir_hub import fhirjson
from fhir_hub.clock import from_microseconds, instant
from fhir_hub.errors import InvalidParameter
from fhir_hub.r4.dates import date_interval
from fhir_hub.referral.institutions import institution_of, resource_at
from fhir_hub.referral.pools import places
from fhir_hub.referral.reading import codings, each, key_of
from fhir_hub.referral.reassignment import Place, Plan, Session, plan
from fhir_hub.referral.special import TASKS, follow_up, owner_of, patient_of
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.rest.criteria import criteria
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer
from fhir_hub.rest.operations.inputs import Inputs, only_on, read_inputs
from fhir_hub.rest.service import Service
from fhir_hub.store.base import Key

ON = ("Appointment",)
_INPUTS = ("from", "to", "start", "end", "gap-hours")
_MOST_HOURS = 24 * 31


class _Closing(NamedTuple):
    """What is asked: which centre is closed, from and until when, where its sessions may go."""

    centre: Key
    others: frozenset[Key]
    start: str
    end: str
    gap: timedelta


class _Found(NamedTuple):
    """Who is to be moved, and the sessions, Slots and places that there are, by id."""

    sessions: dict[str, Resource]
    kept: dict[str, list[datetime]]
    closed: dict[str, Resource]
    open: dict[str, Resource]


async def reassign(request: FhirRequest, service: Service) -> FhirResponse:
    """Move the sessions of `from` between the days `start` and `end` to the centres `to`: 200.

    The answer is a Parameters with `moved` and `unplaced`. `gap-hours` (72) is the longest time
    between two sessions of a resident. Raises `InvalidParameter`.
    """
    only_on(request, service, *ON)
    asked = _asked(read_inputs(request, "$reassign", _INPUTS))

    async def work(unit: Unit) -> list[Resource]:
        found = await _find(unit, asked, request, service)
        made = _plan(found, asked.gap)
        for logical_id, slot in found.closed.items():
            await unit.update(slot | {"status": "busy-unavailable"}, logical_id)
        rows = [await _move(unit, found, asked.centre, *one) for one in made.moved.items()]
        rows += [await _leave(unit, found.sessions[one.logical_id]) for one in made.unplaced]
        return rows + _passes(unit, found, made)

    rows = await service.repository.commit(work)
    return answer(200, {"resourceType": "Parameters", **({"parameter": rows} if rows else {})})


def _asked(inputs: Inputs) -> _Closing:
    centre = key_of({"reference": inputs.text("from")})
    others = frozenset(
        key for one in inputs.values("to") if (key := key_of({"reference": one})) is not None
    )
    start, end = inputs.text("start"), inputs.text("end")
    if centre is None or not others or not start or not end:
        raise InvalidParameter(
            "$reassign needs from and to (Organization/ID), start and end (days)"
        )
    gap = timedelta(hours=inputs.number("gap-hours", 72, _MOST_HOURS))
    return _Closing(centre, others - {centre}, start, end, gap)


async def _find(unit: Unit, asked: _Closing, request: FhirRequest, service: Service) -> _Found:
    first = date_interval(asked.start, service.zone)[0]
    last = date_interval(asked.end, service.zone)[1]
    around = [_text(first, -asked.gap), _text(last, asked.gap)]
    wanted = [("status", "booked"), ("date", f"ge{around[0]}"), ("date", f"lt{around[1]}")]
    booked = await _search(unit, "Appointment", wanted, request, service)
    window = [("start", f"ge{asked.start}"), ("start", f"le{asked.end}")]
    slots = await _search(unit, "Slot", window, request, service)
    closed, free = {}, {}
    for slot in slots:
        centre = await _centre(unit, slot)
        if centre == asked.centre:
            closed[slot["id"]] = slot
        elif centre in asked.others and places(slot):
            free[slot["id"]] = slot
    sessions = {one["id"]: one for one in booked if _slot_id(one) in closed}
    kinds = {code for one in sessions.values() for code in _kinds(one)}
    moved = {patient_of(one) for one in sessions.values()}
    kept: dict[str, list[datetime]] = {}
    for one in booked:
        patient = patient_of(one)
        is_alike = not kinds or bool(kinds & _kinds(one))
        if patient in moved and patient is not None and one["id"] not in sessions and is_alike:
            kept.setdefault(patient.logical_id, []).append(_start(one))
    return _Found(sessions, kept, closed, free)


def _text(moment: float, shift: timedelta) -> str:
    return instant(from_microseconds(int(moment)) + shift)


async def _search(
    unit: Unit, kind: str, wanted: list[tuple[str, str]], request: FhirRequest, service: Service
) -> list[Resource]:
    plan_of = criteria(kind, urlencode(wanted), request.base, service)
    return [fhirjson.loads(one.content) for one in await unit.find(kind, plan_of)]


async def _centre(unit: Unit, slot: Resource) -> Key | None:
    """Return the institution of a Slot: of the first actor of its Schedule."""
    schedule = await resource_at(unit, key_of(slot.get("schedule")))
    actors = list(each(schedule, "actor"))
    return await institution_of(unit, actors[0]) if actors else None


def _slot_id(appointment: Resource) -> str:
    key = next((key_of(one) for one in each(appointment, "slot")), None)
    return key.logical_id if key is not None else ""


def _kinds(appointment: Resource) -> set[tuple[str, str]]:
    return {code for one in each(appointment, "serviceType") for code in codings(one)}


def _start(resource: Resource) -> datetime:
    return datetime.fromisoformat(resource["start"])


def _plan(found: _Found, gap: timedelta) -> Plan:
    sessions = [
        Session(name, patient.logical_id, _start(one))
        for name, one in found.sessions.items()
        if (patient := patient_of(one)) is not None
    ]
    kinds = {code for one in found.sessions.values() for code in _kinds(one)}
    open_places = [
        Place(name, _start(one), places(one))
        for name, one in found.open.items()
        if not kinds or not _kinds(one) or kinds & _kinds(one)
    ]
    return plan(sessions, found.kept, open_places, gap)


async def _move(unit: Unit, found: _Found, centre: Key, logical_id: str, place: Place) -> Resource:
    """Stage a session at its new place; return the row of the answer."""
    session, slot = found.sessions[logical_id], found.open[place.logical_id]
    schedule = await resource_at(unit, key_of(slot.get("schedule")))
    staying = [
        one
        for one in each(session, "participant")
        if await institution_of(unit, one.get("actor")) != centre
    ]
    there = [{"actor": one, "status": "accepted"} for one in each(schedule, "actor")]
    moved = {
        "slot": [{"reference": f"Slot/{place.logical_id}"}],
        "start": slot["start"],
        "end": slot["end"],
        "participant": [*staying, *there],
    }
    await unit.update(session | moved, logical_id)
    return _row(
        "moved",
        appointment={"valueReference": {"reference": f"Appointment/{logical_id}"}},
        slot={"valueReference": moved["slot"][0]},
        start={"valueInstant": slot["start"]},
        was={"valueInstant": session["start"]},
    )


async def _leave(unit: Unit, session: Resource) -> Resource:
    """Stage a session that has no place, and who is to find one; return the row of the answer."""
    key, patient = Key("Appointment", session["id"]), patient_of(session)
    assert patient is not None
    await unit.update(session | {"status": "proposed"}, key.logical_id)
    text = "无可用治疗位，请协调"
    owner = await owner_of(unit, patient)
    task = unit.create(follow_up("unplaced-session", text, key, patient, owner))
    return _row(
        "unplaced",
        appointment={"valueReference": {"reference": "/".join(key)}},
        patient={"valueReference": {"reference": "/".join(patient)}},
        task={"valueReference": {"reference": "/".join(task)}},
        reason={"valueString": "no place that keeps the gap / 无满足间隔的治疗位"},
    )


def _row(name: str, **parts: Resource) -> Resource:
    return {"name": name, "part": [{"name": part} | value for part, value in parts.items()]}


def _passes(unit: Unit, found: _Found, made: Plan) -> list[Resource]:
    """Stage a pass for each resident who was moved: the dates and times, and where."""
    by_patient: dict[Key, list[Resource]] = {}
    for logical_id, place in made.moved.items():
        patient = patient_of(found.sessions[logical_id])
        assert patient is not None
        by_patient.setdefault(patient, []).append(found.open[place.logical_id])
    rows = []
    for patient, slots in sorted(by_patient.items()):
        document = unit.create(_pass(patient, sorted(slots, key=_start), unit.now))
        rows.append(
            _row(
                "pass",
                patient={"valueReference": {"reference": "/".join(patient)}},
                document={"valueReference": {"reference": "/".join(document)}},
            )
        )
    return rows


def _pass(patient: Key, slots: Sequence[Resource], now: datetime) -> Resource:
    """Return the pass of a resident; `attachment.hash` is the SHA-1 that R4 asks for."""
    times = "\n".join(f"{one['start']} – {one['end']}" for one in slots)
    data = f"特殊患者通行证 / pass\n{times}\n".encode()
    attachment: dict[str, Any] = {
        "contentType": "text/plain; charset=utf-8",
        "data": base64.b64encode(data).decode(),
        "hash": base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode(),
        "title": "特殊患者通行证",
    }
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": {"coding": [{"system": TASKS, "code": "pass"}]},
        "subject": {"reference": "/".join(patient)},
        "date": instant(now),
        "content": [{"attachment": attachment}],
        "context": {"period": {"start": slots[0]["start"], "end": slots[-1]["end"]}},
    }
