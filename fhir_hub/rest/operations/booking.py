"""`Appointment/$find`, `$hold` and `$book`: places that are free, held for a while, and taken.

They do what plain requests do: `$find` searches free Slots, `$hold` creates a pending Appointment
whose place is given back after ten minutes, `$book` books a held or a new one. The rules of Slots
and pools are those of every write.

Spec: IHE ITI Scheduling (operations $find, $hold, $book); https://hl7.org/fhir/R4/appointment.html
"""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from fhir_hub import fhirjson
from fhir_hub.clock import instant
from fhir_hub.errors import InvalidParameter, NotFound, NotInThisState
from fhir_hub.referral.deadlines import HOLD_UNTIL
from fhir_hub.referral.pools import places, pool_of
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.rest.criteria import criteria
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer
from fhir_hub.rest.operations.inputs import Inputs, only_on, read_inputs
from fhir_hub.rest.service import Service
from fhir_hub.search.plan import Query, SortKey
from fhir_hub.store.base import Key

ON = ("Appointment",)
_HELD_FOR = timedelta(minutes=10)
_FIND = ("start", "end", "specialty", "service-type", "schedule", "actor", "pool", "_count")
_MOST = 200


async def find(request: FhirRequest, service: Service) -> FhirResponse:
    """Return a searchset of proposed Appointments, one for each Slot with a place, by time.

    Raises `InvalidParameter`, `UnknownParameter`.
    """
    only_on(request, service, *ON)
    inputs = read_inputs(request, "$find", _FIND)
    query = [("status", "free"), *_when(inputs)]
    query += [
        (name, inputs.text(name))
        for name in ("specialty", "service-type", "schedule")
        if inputs.text(name)
    ]
    if actor := inputs.text("actor"):
        query.append(("schedule.actor", actor))
    plan = criteria("Slot", urlencode(query), request.base, service)
    sort = (SortKey(service.parameters.of("Slot")["start"].index, "date"),)
    count = inputs.number("_count", 20, _MOST)
    page = await service.repository.store.search(Query(("Slot",), plan, sort, count=_MOST))
    slots = [fhirjson.loads(one.content) for one in page.matches]
    wanted = inputs.text("pool").upper()
    fit = [one for one in slots if places(one) and wanted in ("", pool_of(one))][:count]
    entries = [await _proposal(one, service) for one in fit]
    bundle: Resource = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    return answer(200, bundle | ({"entry": entries} if entries else {}))


def _when(inputs: Inputs) -> list[tuple[str, str]]:
    start, end = inputs.text("start"), inputs.text("end")
    if not start:
        raise InvalidParameter("$find needs start: from when a place is wanted")
    return [("start", f"ge{start}"), *([("start", f"lt{end}")] if end else [])]


async def _proposal(slot: Resource, service: Service) -> Resource:
    """Return the Appointment that a Slot would be."""
    _, _, schedule_id = slot["schedule"].get("reference", "").rpartition("/")
    stored = await service.repository.store.read(Key("Schedule", schedule_id))
    actors = fhirjson.loads(stored.content).get("actor", []) if stored and stored.content else []
    made: Resource = {
        "resourceType": "Appointment",
        "status": "proposed",
        "start": slot["start"],
        "end": slot["end"],
        "slot": [{"reference": f"Slot/{slot['id']}"}],
        "participant": [{"actor": actor, "status": "tentative"} for actor in actors]
        or [{"type": [{"text": "patient"}], "status": "needs-action"}],
    }
    made |= {name: slot[name] for name in ("serviceType", "specialty") if name in slot}
    return {"resource": made, "search": {"mode": "match"}}


async def hold(request: FhirRequest, service: Service) -> FhirResponse:
    """Create the given Appointment as pending, its place held for ten minutes: 201, a Bundle.

    Raises `InvalidResource`, `NotInThisState` if there is no place, `NotAllowed` by a pool.
    """
    until = instant(service.repository.clock() + _HELD_FOR)
    given = _given(request, service, "$hold")
    rest = [one for one in given.get("extension", ()) if one.get("url") != HOLD_UNTIL]
    held = {"url": HOLD_UNTIL, "valueDateTime": until}
    return await _create(given | {"status": "pending", "extension": [*rest, held]}, service)


async def book(request: FhirRequest, service: Service) -> FhirResponse:
    """Book the given Appointment: one that is held, named by `appt-id` or its id, or a new one.

    Raises as `hold` does; `NotFound` for an id that is not there.
    """
    inputs = read_inputs(request, "$book", ("appt-id", "appt-resource"), bare="appt-resource")
    only_on(request, service, *ON)
    given = inputs.resource("appt-resource")
    logical_id = inputs.text("appt-id") or (given or {}).get("id", "")
    if not logical_id:
        if given is None:
            raise InvalidParameter("$book needs appt-resource or appt-id")
        return await _create(_booked(given), service)
    key = Key("Appointment", str(logical_id))

    async def work(unit: Unit) -> tuple[Unit, Key]:
        stored = await unit.current(key)
        if stored is None or stored.is_deleted:
            raise NotFound("there is no such Appointment")
        held = fhirjson.loads(stored.content)
        if held["status"] not in ("pending", "proposed", "waitlist"):
            text = f"an Appointment that is {held['status']} cannot be booked"
            raise NotInThisState(text, expression="Appointment.status")
        await unit.update(_booked(held | (given or {})), key.logical_id)
        return unit, key

    return await _shown(200, *await service.repository.commit(work))


def _booked(appointment: Resource) -> Resource:
    rest = [one for one in appointment.get("extension", ()) if one.get("url") != HOLD_UNTIL]
    plain = {name: value for name, value in appointment.items() if name != "extension"}
    return plain | {"status": "booked"} | ({"extension": rest} if rest else {})


def _given(request: FhirRequest, service: Service, operation: str) -> Resource:
    only_on(request, service, *ON)
    inputs = read_inputs(request, operation, ("appt-resource",), bare="appt-resource")
    given = inputs.resource("appt-resource")
    if given is None or given.get("resourceType") != "Appointment":
        raise InvalidParameter(f"{operation} needs an Appointment: appt-resource")
    service.checks.require(given)
    return given


async def _create(appointment: Resource, service: Service) -> FhirResponse:
    service.checks.require(appointment)

    async def work(unit: Unit) -> tuple[Unit, Key]:
        return unit, unit.create({k: v for k, v in appointment.items() if k != "id"})

    return await _shown(201, *await service.repository.commit(work))


async def _shown(status: int, unit: Unit, key: Key) -> FhirResponse:
    """Return the Appointment as it was written, with what followed from it."""
    stored = await unit.current(key)
    assert stored is not None
    appointment = fhirjson.loads(stored.content)
    entry: dict[str, Any] = {"resource": appointment, "search": {"mode": "match"}}
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": 1, "entry": [entry]}
    location = f"Appointment/{appointment['id']}"
    return FhirResponse(status, fhirjson.dumps(bundle), {"Content-Location": location})
