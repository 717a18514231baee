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
from fhir_hub.hl7v2.conversion.matches import code_of, pairs_of_type
from fhir_hub.hl7v2.meaning.teller import Teller, stamps_of, told_at
from fhir_hub.hl7v2.meaning.telling import Note, Telling
from fhir_hub.hl7v2.storing.merge import UNKNOWN, Resource
from fhir_hub.hl7v2.storing.things import Thing, patients_of
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
_OPEN = ("draft", "active", "on-hold", "unknown")
_ENDED = ("completed", "revoked")
_ANSWERED = ("final", "corrected", "amended", "appended")  # reports
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
    rest = {name: value for name, value in thing.resource.items() if name != "identifier"}
    converted = with_resource(thing.converted, rest)  # a new number is not each one's
    things += [Thing(converted, thing.resource_type, [], numbers=thing.numbers) for _ in group[1:]]
    thing.converted = converted
    for one, order in zip((thing, *things[len(things) - len(group) + 1 :]), group, strict=True):
        one.found(order)
    return True


def settle(things: list[Thing], telling: Telling) -> None:
    """Leave out what would only change what is not stored, and the services that others are.

    What results answer ends. A stop of a prescription (OMP, RDE) whose order has not come yet is
    kept, so that it holds then.
    """
    _answer(things, telling.teller)
    notes = telling.notes
    patients = [one for one in things if one.resource_type == "Patient"]
    is_drug = telling.teller.message_type in _OF_DRUGS and len(patients) == 1
    changes = [one for one in things if one.converted.mode == "change"]
    alone: dict[Number, list[Thing]] = {}
    for thing in things if changes else ():
        for number in thing.numbers if thing.converted.segment == "ORC" else ():
            alone.setdefault(number, []).append(thing)
    gone = set[int]()
    for thing in changes:
        near = {id(one): one for number in thing.numbers for one in alone.get(number, ())}
        alike = [one for key, one in near.items() if key not in gone and _is_of(thing, one)]
        if thing.stored is None:
            if is_drug and _is_stop(thing):
                _begin(thing, patients[0])
            else:
                gone.add(id(thing))
            if not alike:  # the last of the kinds that it might be
                notes.append(Note("order_not_known", thing.resource_type))
            continue
        for service in alike:
            if service.converted.mode != "change" and service.stored is None:
                gone.add(id(service))
                thing.full_urls += service.full_urls
    if gone:
        things[:] = [one for one in things if id(one) not in gone]
    is_unnamed = (one.converted.mode == "change" or not one.full_urls for one in things)
    changed = [one for one, is_so in zip(things, is_unnamed, strict=True) if is_so]
    _say(things, [one.address if one.stored else one.full_urls[0] for one in changed])


def _answer(things: Sequence[Thing], teller: Teller) -> None:
    """Have an order end that results answer: by ORC-5, else as all that is reported of it is.

    Who only placed the order does not open it again, and in whatever order both come it is so.
    """
    orders = [one for one in things if one.resource_type == "ServiceRequest"]
    if teller.message_type not in _OF_RESULTS:
        for thing in orders:
            _keep_ended(thing, teller)
        return
    reported = _reported(orders, things, teller)
    for thing in orders:
        is_over = thing.stored is not None and thing.stored.get("status") not in _OPEN
        is_due = is_over and _is_due_after_all(thing, things, teller)
        if thing.converted.mode != "create" or (is_over and not is_due):
            continue
        status = thing.resource["status"]
        if status in ("active", "unknown"):
            status = reported[thing.logical_id or thing.full_urls[0]]
            status = status or ("active" if is_due else "")
        if status in _ENDED or is_due:
            names = thing.resource if thing.stored is None else ("resourceType", "identifier")
            told = {name: thing.resource[name] for name in names if name in thing.resource}
            converted = with_resource(thing.converted, {**told, "status": status})
            thing.converted, thing.is_left = (
                converted._replace(mode="update", nulls=(), removes={}),
                False,
            )


def _is_due_after_all(order: Thing, things: Iterable[Thing], teller: Teller) -> bool:
    """Say whether an order was revoked by the reports alone that now have results: X, then F."""
    stored = order.stored or {}
    if stored.get("status") != "revoked" or stored.get("meta", {}).get("source") != teller.source:
        return False
    reports = [
        one
        for one in things
        if one.resource_type == "DiagnosticReport"
        and any(of.get("reference") in order.full_urls for of in one.resource.get("basedOn", ()))
    ]
    known = [(one.stored or {}).get("status") for one in reports]
    return bool(known) and all(status == "cancelled" for status in known)


def _reported(orders: Iterable[Thing], things: Iterable[Thing], teller: Teller) -> dict[str, str]:
    """Return the status of each order by the reports of it, `""` where they do not end it.

    By its logical id, else its first full url. Several groups of results may answer one order.
    """
    reports: dict[str, list[str]] = {}
    for one in things:
        for of in (
            one.resource.get("basedOn", ()) if one.resource_type == "DiagnosticReport" else ()
        ):
            reports.setdefault(of.get("reference", ""), []).append(_status_of(one, teller))
    found: dict[str, list[str]] = {}
    for thing in orders:
        told = found.setdefault(thing.logical_id or thing.full_urls[0], [])
        told += [status for url in thing.full_urls for status in reports.get(url, ())]
    return {order: _ended_by(statuses) for order, statuses in found.items()}


def _status_of(report: Thing, teller: Teller) -> str:
    """Return the status that a message tells of a report; no X behind which results came."""
    stored, status = report.stored or {}, str(report.resource.get("status", ""))
    is_older = status == "cancelled" and told_at(stored, teller) > teller.time
    return str(stored.get("status", "")) if is_older else status


def _ended_by(statuses: Sequence[str]) -> str:
    answered = [status for status in statuses if status != "cancelled"]
    if not statuses or not all(status in _ANSWERED for status in answered):
        return ""
    return "completed" if answered else "revoked"


def _keep_ended(thing: Thing, teller: Teller) -> None:
    stored = thing.stored or {}
    if stored.get("status") not in _ENDED or thing.resource.get("status") != "active":
        return
    if any(not teller.is_told(stamp) for stamp in stamps_of(stored)):
        rest = {name: value for name, value in thing.resource.items() if name != "status"}
        thing.converted = with_resource(thing.converted, rest)


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
            status = states.get(status, status)
            thing.inherited = {**head, "status": status}
            await unit.update({**kept, "status": _IN_ERROR}, stored.logical_id)


def _is_stop(thing: Thing) -> bool:
    status = thing.resource.get("status")
    return thing.resource_type == "MedicationRequest" and status in ("stopped", "cancelled")


def _begin(thing: Thing, patient: Thing) -> None:
    """Have a prescription of which nothing but its end is known begin as one of an unknown drug."""
    unknown = {"medicationCodeableConcept": {"extension": [dict(UNKNOWN)]}}
    subject = {"reference": patient.full_urls[0]}
    resource = {**thing.resource, "intent": "order", "subject": subject, **unknown}
    thing.converted = with_resource(thing.converted, resource)


def _is_of(thing: Thing, other: Thing) -> bool:
    """Say whether what ORC alone made of a number is of the one ORC that made another thing."""
    kinds = {"ServiceRequest"} if other.converted.mode != "change" else {other.resource_type}
    return other is not thing and other.resource_type in kinds


def _say(things: Iterable[Thing], changed: list[str]) -> None:
    """Say in the message's Provenance what it changed."""
    for thing in things if changed else ():
        if thing.resource_type == "Provenance" and thing.converted.segment == "MSH":
            targets = [*thing.resource["target"], *({"reference": one} for one in changed)]
            resource = {**thing.resource, "target": targets}
            thing.converted = thing.converted._replace(resource=resource)
