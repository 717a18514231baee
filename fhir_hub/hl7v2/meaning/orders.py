"""An order of which a message has no more than ORC: it changes the stored one of its number.

Of what kind that is ORC does not say, so the map has one of each (`mode = "change"`), and what is
stored decides. A cancel (CA, DC, OC …), a hold (HD), a release (RL) or another state (ORC-5) of a
prescription so needs no RXO. What the map made of the ORC as a service is then no order of its own;
where nothing is known by the number that alone is stored. Of a group of orders that share the
number (several tests, or drugs that are given together) it is about all.

Spec: HL7v2 chapter 4, ORC-1
"""

from collections.abc import Iterable, Mapping, Sequence

from fhir_hub import fhirjson
from fhir_hub.hl7v2.conversion.convert import with_resource
from fhir_hub.hl7v2.conversion.matches import code_of, is_told_in_parts, pairs_of_type
from fhir_hub.hl7v2.making.rules import REQUESTS
from fhir_hub.hl7v2.meaning.teller import ANSWERED, Teller, is_overtaken, stamps_of, told_at
from fhir_hub.hl7v2.meaning.telling import Note, Telling
from fhir_hub.hl7v2.storing.merge import UNKNOWN, Resource
from fhir_hub.hl7v2.storing.things import Thing, are_two, patients_of
from fhir_hub.identity import match
from fhir_hub.identity.match import Number
from fhir_hub.repository.unit import Unit

_IN_ERROR = "entered-in-error"
# By what an order turns out to be: the states of a service that have another name there.
_STATES: Mapping[str, Mapping[str, str]] = {
    "MedicationRequest": {"revoked": "stopped"},
    "NutritionOrder": {},
}
_OF_DRUGS = ("OMP", "RDE")
_OF_RESULTS = ("ORU", "OUL")
_ANSWERS = ("ORR", "ORL", "ORG", "ORI", "ORB", "ORD", "ORS", "ORN")
_ANSWERS_OF_DRUGS = ("ORP", "RRE")
_OPEN = ("draft", "active", "on-hold", "unknown")
_ENDED = ("completed", "revoked")
_OVER = ("stopped", "cancelled", *_ENDED)
Holders = Mapping[Number, Mapping[str, Resource]]


def is_alone(thing: Thing) -> bool:
    """Say whether ORC alone made the thing: it then says which order is meant by number only."""
    converted = thing.converted
    is_order = converted.mode == "change" or thing.resource_type == "ServiceRequest"
    return is_order and converted.segment == "ORC" and not code_of(converted.resource)


def find_group(thing: Thing, holders: Holders, things: list[Thing]) -> bool:
    """Have each order of a number found where ORC alone tells of several; say whether it does.

    `thing` is what an ORC made. Where the filler's number is one's, or some's, it is about those.
    Orders of several patients are no group.
    """
    held = next((found for one in thing.numbers if (found := holders.get(one))), {})
    group = [one for one in held.values() if one.get("status") != "entered-in-error"]
    filled = pairs_of_type(thing.resource, "FILL")
    group = [one for one in group if filled & pairs_of_type(one, "FILL")] or group
    if len(held) < 2 or not group or len({tuple(patients_of(one)) for one in group}) > 1:
        return False
    thing.leave_out("identifier")  # a new number is not each one's
    kind = thing.resource_type
    others = [Thing(thing.converted, kind, [], numbers=thing.numbers) for _ in group[1:]]
    things += others
    for one, order in zip((thing, *others), group, strict=True):
        one.found(order)
    return True


def meant(thing: Thing, held: list[Resource]) -> list[Resource]:
    """Return which orders of a number are meant: of the filler's number, else those in force.

    The filler replaces an order under the placer's number, which two have then (RU, RO), or answers
    it with two numbers: who names neither means the first. Of the orders of several patients nobody
    knows.
    """
    if len({tuple(patients_of(one)) for one in held}) > 1:
        return held
    filled = pairs_of_type(thing.resource, "FILL")
    asked = code_of(thing.resource)
    if found := [one for one in held if filled & pairs_of_type(one, "FILL")]:
        return found
    same = [one for one in held if code_of(one) == asked]
    open_ = [one for one in same or held if one.get("status") not in _OVER] or (same or held)[-1:]
    is_answered = not filled and all(pairs_of_type(one, "FILL") for one in open_)
    return open_[:1] if same and is_answered else open_


def settle(things: list[Thing], telling: Telling) -> None:
    """Leave out what would only change what is not stored, and the services that others are.

    What results answer ends. A stop or hold of a prescription (OMP, RDE) whose order has not come
    yet is kept, so that it holds then; so is an answer (ORL, ORR, ORP …).
    """
    if telling.teller.message_type in (*_ANSWERS, *_ANSWERS_OF_DRUGS):
        _part_fillers(things)
    _answer(things, telling.teller)
    notes = telling.notes
    patients = [one for one in things if one.resource_type == "Patient"]
    kept = _kept_as(telling.teller.message_type) if len(patients) == 1 else ""
    changes = [one for one in things if one.converted.mode == "change"]
    alone: dict[Number, list[Thing]] = {}
    for thing in things if changes else ():
        for number in thing.numbers if thing.converted.segment == "ORC" else ():
            alone.setdefault(number, []).append(thing)
    gone = set[int]()
    for thing in changes:
        near = {id(one): one for number in thing.numbers for one in alone.get(number, ())}
        alike = [one for key, one in near.items() if key not in gone and _is_of(thing, one)]
        alike = [one for one in alike if not are_two(thing.resource, one.resource)]
        if thing.stored and not _is_in_force(thing) and any(map(_is_in_force, alike)):
            gone.add(id(thing))
        elif thing.stored is None:
            is_kept = thing.resource_type == kept and not any(one.stored for one in alike)
            if is_kept and (telling.teller.message_type not in _OF_DRUGS or _is_stop(thing)):
                _begin(thing, patients[0])
                alike = []
            else:
                gone.add(id(thing))
            if not alike:  # the last of the kinds that it might be
                notes.append(Note("order_not_known", thing.resource_type))
        for service in alike if thing.stored else ():
            if service.converted.mode != "change" and not _is_in_force(service):
                gone.add(id(service))
                thing.full_urls += service.full_urls
    if gone:
        things[:] = [one for one in things if id(one) not in gone]
    is_unnamed = (one.converted.mode == "change" or not one.full_urls for one in things)
    changed = [one for one, is_so in zip(things, is_unnamed, strict=True) if is_so]
    _say(things, [one.address if one.stored else one.full_urls[0] for one in changed])


def _part_fillers(things: Iterable[Thing]) -> None:
    """Have an answer not be of the order of another number of the filler: two numbers are two.

    What is stored may have that of somebody else beside it, as of a platform that passed it on.
    """
    taken: dict[str, Resource] = {}
    for thing in things:
        if thing.stored is None or thing.resource_type not in REQUESTS:
            continue
        is_anothers = _has_other_filler(thing.stored, thing.resource)
        known = taken.get(thing.address) or ({} if is_anothers else thing.stored)
        if are_two(known, thing.resource):
            thing.stored, thing.logical_id, thing.is_left = None, "", False
        elif pairs_of_type(thing.resource, "FILL"):
            taken[thing.address] = thing.resource


def _has_other_filler(one: Resource, other: Resource) -> bool:
    """Say whether two orders have numbers of different fillers: both may be the one's."""
    fillers = [{system for system, _ in pairs_of_type(each, "FILL")} for each in (one, other)]
    return are_two(one, other) and fillers[0].isdisjoint(fillers[1])


def _kept_as(message_type: str) -> str:
    """Return as what an order that is not known is kept that a message changes, `""`: as none."""
    if message_type in _OF_DRUGS or message_type in _ANSWERS_OF_DRUGS:
        return "MedicationRequest"
    return "ServiceRequest" if message_type in _ANSWERS else ""


def _is_in_force(thing: Thing) -> bool:
    return thing.stored is not None and thing.stored.get("status") != _IN_ERROR


def _answer(things: Sequence[Thing], teller: Teller) -> None:
    """Have an order end that results answer: by ORC-5, else as all that is reported of it is.

    It goes on where the reports that ended it do. Who only placed the order does not open it
    again, and in whatever order both come it is so. An answer without results (ORL, ORR …) tells
    its numbers and whether it ended.
    """
    orders = [one for one in things if one.resource_type == "ServiceRequest"]
    named = [one for one in orders if one.converted.mode == "create"]
    if teller.message_type not in _OF_RESULTS:
        for thing in named if teller.message_type in _ANSWERS else ():
            status = thing.resource["status"]
            _tell(thing, "" if thing.stored and status in ("active", "unknown") else status)
        for thing in orders:
            _keep_ended(thing, teller)
        return
    reports = [one for one in things if one.resource_type == "DiagnosticReport"] if named else []
    now = _reported(named, reports, [_status_of(one, teller) for one in reports])
    known = [one for one in reports if one.stored]
    before = _reported(named, known, [_known_status(one) for one in known])
    for thing in named:
        status, stored = thing.resource["status"], _known_status(thing)
        if status not in _ENDED:
            status = now[id(thing)] if status in ("active", "unknown") else ""
        if thing.stored and stored not in _OPEN:  # nobody else ended it
            status = (status or "active") if stored == before[id(thing)] else ""
        if thing.stored or status:
            _tell(thing, status)


def _tell(thing: Thing, status: str) -> None:
    """Have a message that only names an order tell its state, and a number of a new type.

    So it does with the first of another filler.
    """
    resource, stored = thing.resource, thing.stored or {}
    status = "" if status == stored.get("status") else status
    names: Iterable[str] = ("resourceType", "identifier")
    if not code_of(stored):  # nobody knew what is ordered
        names = resource
    elif not (status or is_told_in_parts(resource, stored) or _has_other_filler(resource, stored)):
        return
    told = {name: resource[name] for name in names if name in resource}
    told = {name: value for name, value in told.items() if name != "status"}
    converted = with_resource(thing.converted, {**told, **({"status": status} if status else {})})
    thing.converted = converted._replace(mode="update", nulls=(), removes={})
    thing.is_left = False


def _reported(
    orders: Iterable[Thing], reports: Iterable[Thing], statuses: Iterable[str]
) -> dict[int, str]:
    """Return the status of each order by those of the reports of it, `""`: they do not end it.

    By the order's `id()`. Several groups of results may answer one order.
    """
    told: dict[str, list[str]] = {}
    for one, status in zip(reports, statuses, strict=True):
        for of in one.resource.get("basedOn", ()):
            told.setdefault(of.get("reference", ""), []).append(status)
    by_order: dict[str, list[str]] = {}
    for thing in orders:
        place = by_order.setdefault(thing.logical_id or thing.full_urls[0], [])
        place += [status for url in thing.full_urls for status in told.get(url, ())]
    return {id(one): _ended_by(by_order[one.logical_id or one.full_urls[0]]) for one in orders}


def _known_status(thing: Thing) -> str:
    return str((thing.stored or {}).get("status", ""))


def _status_of(report: Thing, teller: Teller) -> str:
    """Return the status of a report with what a message tells of it; what came later is newer."""
    stored = report.stored or {}
    is_older = told_at(stored, teller) > teller.time
    is_older = is_older or is_overtaken(stored, report.resource, teller)
    return _known_status(report) if is_older else str(report.resource.get("status", ""))


def _ended_by(statuses: Sequence[str]) -> str:
    answered = [status for status in statuses if status != "cancelled"]
    if not statuses or not all(status in ANSWERED for status in answered):
        return ""
    return "completed" if answered else "revoked"


def _keep_ended(thing: Thing, teller: Teller) -> None:
    stored = thing.stored or {}
    if stored.get("status") not in (*_ENDED, "on-hold") or thing.resource.get("status") != "active":
        return
    told = told_at(stored, teller)
    if stored["status"] == "on-hold":
        is_kept = not told and bool(stamps_of(stored))
    else:
        is_kept = told > teller.time or any(not teller.is_told(one) for one in stamps_of(stored))
    if is_kept:
        thing.leave_out("status")


async def take_over(unit: Unit, things: Sequence[Thing]) -> None:
    """Have a new prescription or diet begin as what was kept of its number by ORC alone.

    That was kept as a service, for nobody knew what is ordered: it is no order of its own any more.
    """
    patients = {one.address for one in things if one.resource_type == "Patient"}
    for thing in things:
        states = _STATES.get(thing.resource_type)
        if states is None or thing.stored or not thing.numbers:
            continue
        for stored in await unit.find("ServiceRequest", match.plan_of(thing.numbers)):
            kept: Resource = fhirjson.loads(stored.content)
            is_known = code_of(kept) or kept.get("status") == _IN_ERROR
            if is_known or patients.isdisjoint(patients_of(kept)):
                continue
            head = {"resourceType": thing.resource_type, "meta": kept["meta"]}
            status = kept.get("status", "unknown")
            numbers = {"identifier": kept["identifier"], "status": states.get(status, status)}
            thing.inherited = {**head, **numbers}
            await unit.update({**kept, "status": _IN_ERROR}, stored.logical_id)


def _is_stop(thing: Thing) -> bool:
    return thing.resource.get("status") in ("stopped", "cancelled", "on-hold")


def _begin(thing: Thing, patient: Thing) -> None:
    """Have an order of which nothing but its state is known begin as one of an unknown kind."""
    resource = {"status": "unknown", **thing.resource, "intent": "order"}
    resource["subject"] = {"reference": patient.full_urls[0]}
    if thing.resource_type == "MedicationRequest":
        resource["medicationCodeableConcept"] = {"extension": [dict(UNKNOWN)]}
    thing.say(resource)


def _is_of(thing: Thing, other: Thing) -> bool:
    """Say whether what ORC alone made of a number is of the one ORC that made another thing."""
    kinds = {"ServiceRequest"} if other.converted.mode != "change" else {other.resource_type}
    return other is not thing and other.resource_type in kinds


def _say(things: Iterable[Thing], changed: list[str]) -> None:
    """Say in the message's Provenance what it changed."""
    for thing in things if changed else ():
        if thing.resource_type == "Provenance" and thing.converted.segment == "MSH":
            thing.refer_to(changed)
