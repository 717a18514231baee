"""What a sender no longer lists is ended: its own facts only, and nothing is deleted.

An allergy or diagnosis becomes inactive, a relative and an insurance get their end, a booked
doctor or room leaves the Appointment. What is listed again is in force again. What another segment
than the list's told is not of the list: a mother (PID-21), who answers for the bill (GT1), a
problem (PRB).

Spec: HL7v2 chapter 2, 2.10.4
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.hl7v2.making.rules import who
from fhir_hub.hl7v2.meaning import merged_facts
from fhir_hub.hl7v2.meaning.teller import (
    Teller,
    is_copy,
    is_told_by_another,
    stamped,
    tellers_of,
    told_at,
)
from fhir_hub.hl7v2.meaning.telling import Telling, revived
from fhir_hub.hl7v2.meaning.withdrawals import BOOKED, kind_of
from fhir_hub.hl7v2.storing.merge import Resource
from fhir_hub.hl7v2.storing.things import Thing
from fhir_hub.identity import merging, systems
from fhir_hub.repository.unit import Unit
from fhir_hub.search.parameters import Parameters
from fhir_hub.search.plan import Has, Is
from fhir_hub.store.base import Key

_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
# By segment: what it makes, and the search parameter by which that belongs to something.
_LISTED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "AL1": ("AllergyIntolerance", "patient"),
        "IAM": ("AllergyIntolerance", "patient"),
        "DG1": ("Condition", "encounter"),
        "NK1": ("RelatedPerson", "patient"),
        "IN1": ("Coverage", "beneficiary"),
    }
)
# Tag of a relative whom another segment than NK1 told; the code is that segment.
TOLD_IN = f"{systems.BASE}/CodeSystem/told-in"


async def end_unlisted(
    unit: Unit,
    things: Sequence[Thing],
    groups: Iterable[str],
    telling: Telling,
    parameters: Parameters,
) -> None:
    """Stage the end of what the teller told before and a snapshot of the message lacks.

    The message's Provenance names it; it is staged behind this.
    """
    teller, day = telling.teller, telling.day
    found: list[str] = []
    for group in sorted(set(groups) & set(_LISTED)):
        resource_type, parameter = _LISTED[group]
        owner_type = _owner_of(group)
        owners = [one for one in things if one.key[0] == owner_type and one.stored]
        if not owners or await _is_listed_later(owners[0], group, telling):
            continue
        named = {one.logical_id for one in things if one.key[0] == resource_type}
        of_both = merged_facts.listed(things, resource_type)
        indexes = parameters.of(resource_type)[parameter].indexes
        plan = Has(indexes[0], "reference", (Is(owners[0].address),))
        for stored in await unit.find(resource_type, plan):
            resource = fhirjson.loads(stored.content)
            if stored.logical_id in named or not is_to_end(resource, teller):
                continue
            if merged_facts.is_listed(resource, of_both):
                continue
            if not (await telling.later.told(Key(resource_type, stored.logical_id))).is_told:
                await unit.update(stamped(_ended(resource, day), teller), stored.logical_id)
                found.append(f"{resource_type}/{stored.logical_id}")
    _name_ended(things, found)


def _name_ended(things: Sequence[Thing], ended: Sequence[str]) -> None:
    """Name in the message's Provenance what it ended, also when it was done before."""
    kinds = tuple(f"{resource_type}/" for resource_type, _ in _LISTED.values())
    told = {one.address for one in things}
    for thing in things:
        if thing.resource_type == "Provenance":
            before = [one.get("reference", "") for one in (thing.stored or {}).get("target", ())]
            again = [one for one in before if one.startswith(kinds) and one not in told]
            if more := [*dict.fromkeys((*ended, *again))]:
                thing.refer_to(more)


async def _is_listed_later(owner: Thing, group: str, telling: Telling) -> bool:
    """Say whether a newer message of the teller had the whole list, or nobody knows any more."""
    later = await telling.later.told(owner.key)
    is_older = told_at(owner.stored or {}, telling.teller) > telling.teller.time
    return group in later.lists or (is_older and not later.is_told)


async def compare(things: Sequence[Thing], groups: Iterable[str], telling: Telling) -> None:
    """Compare the message's lists with what is stored and with what was told later.

    What an older message tells first begins as ended, if a newer list lacks it, and what was
    ended stays so; an Appointment loses those of its doctors, rooms and devices that are not
    listed.
    """
    await _end_what_is_over(things, telling)
    _mark_unlisted(things)
    _take_out_unlisted(things, groups)
    _list_diagnoses(things, groups, telling.teller)


def _mark_unlisted(things: Sequence[Thing]) -> None:
    """Tag relatives whom another segment than NK1 tells: no list ends them, nor did one before."""
    for thing in things:
        told = thing.converted
        if thing.key[0] != "RelatedPerson" or told.mode == "create" or told.segment == "NK1":
            continue
        thing.say(merging.tagged(told.resource, TOLD_IN, told.segment))
        if thing.stored and is_of_list(thing.stored):
            thing.stored = revived(thing.stored)


def _list_diagnoses(things: Sequence[Thing], groups: Iterable[str], teller: Teller) -> None:
    """Have a visit lose the diagnoses that are deleted, and those that its list lacks."""
    gone = [one for one in things if one.converted.segment == "DG1" and _is_deleted(one)]
    is_list = "DG1" in groups
    for thing in things if gone or is_list else ():
        if thing.resource_type != "Encounter":
            continue
        if is_list and thing.stored and not is_told_by_another(thing.stored, teller):
            whole = (*thing.converted.whole, "diagnosis")
            thing.converted = thing.converted._replace(whole=whole)
        if gone:
            items = [{"condition": {"reference": one.full_urls[0]}} for one in gone]
            removes = {**thing.converted.removes, "diagnosis": items}
            thing.converted = thing.converted._replace(removes=removes)


def _is_deleted(thing: Thing) -> bool:
    return thing.resource_type == "Condition" and thing.converted.action == "delete"


async def _end_what_is_over(things: Sequence[Thing], telling: Telling) -> None:
    owners: dict[str, Thing] = {}
    for thing in things:
        if thing.stored:
            owners.setdefault(thing.resource_type, thing)
    for thing in things if owners else ():
        group = thing.converted.segment
        if group not in _LISTED or thing.resource_type != _LISTED[group][0]:
            continue
        owner = owners.get(_owner_of(group))
        if owner is None or group not in (await telling.later.told(owner.key)).lists:
            continue
        if thing.stored is None:
            thing.say(_ended(thing.resource, telling.day))
        elif is_over(thing.stored) and not (await telling.later.told(thing.key)).is_told:
            thing.is_left = _is_error(thing.stored)
            ended = _ended(thing.resource, telling.day)
            thing.say(_as_ended(ended, thing.stored))


def _as_ended(resource: Resource, stored: Resource) -> Resource:
    """Return what is told of a fact that is over with the end that it has."""
    result = dict(resource)
    for name in ("clinicalStatus", "status", "active"):
        if name in stored:
            result[name] = stored[name]
    period = {**resource.get("period", {}), **stored.get("period", {})}
    return {**result, "period": period} if period else result


def _owner_of(group: str) -> str:
    return "Encounter" if _LISTED[group][1] == "encounter" else "Patient"


def is_to_end(resource: Resource, teller: Teller) -> bool:
    """Say whether it is a listed fact of the teller's institution alone, not ended, not newer."""
    if not is_of_list(resource) or is_copy(resource, teller):
        return False
    if tellers_of(resource) != {teller.system} or told_at(resource, teller) > teller.time:
        return False
    return not is_over(resource)


def is_of_list(resource: Resource) -> bool:
    """Say whether the segment of a list told it: of the diagnoses of a visit, of relatives."""
    if resource["resourceType"] == "Condition":
        return any(_code(one) == "encounter-diagnosis" for one in resource.get("category", ()))
    return all(tag.get("system") != TOLD_IN for tag in resource.get("meta", {}).get("tag", ()))


def is_over(resource: Resource) -> bool:
    """Say whether a fact is ended, or was never one."""
    status = _code(resource.get("clinicalStatus", {})) or resource.get("status")
    is_error = _is_error(resource)
    is_ended = status in ("inactive", "resolved", "cancelled", "entered-in-error")
    return is_ended or is_error or resource.get("active") is False


def _is_error(resource: Resource) -> bool:
    return _code(resource.get("verificationStatus", {})) == "entered-in-error"


def _code(concept: Mapping[str, Any]) -> str:
    return str((concept.get("coding") or [{}])[0].get("code", ""))


def _ended(resource: Resource, day: str) -> Resource:
    kind = resource["resourceType"]
    if kind in ("AllergyIntolerance", "Condition"):
        system = "allergyintolerance-clinical" if kind[0] == "A" else "condition-clinical"
        coding = {"system": f"{_TERMINOLOGY}/{system}", "code": "inactive", "display": "Inactive"}
        return {**resource, "clinicalStatus": {"coding": [coding]}}
    period = dict(resource.get("period", {}))
    if not period.get("end") and period.get("start", "")[:10] <= day:
        period["end"] = day
    state = {"status": "cancelled"} if kind == "Coverage" else {"active": False}
    return {**resource, **state, "period": period}


def _take_out_unlisted(things: Sequence[Thing], groups: Iterable[str]) -> None:
    kinds = [kind for group in groups for kind in BOOKED.get(group, ())]
    addresses = {url: one.address for one in things for url in one.full_urls} if kinds else {}
    for thing in things if kinds else ():
        if thing.resource["resourceType"] != "Appointment":
            continue
        told = [who(one) for one in thing.resource.get("participant", ())]
        listed_again = [addresses.get(one, one) for one in told if isinstance(one, str)]
        gone = [
            one
            for one in (thing.stored or {}).get("participant", ())
            if kind_of(one) in kinds and who(one) not in listed_again
        ]
        listed = thing.converted.removes.get("participant", ())
        removes = {**thing.converted.removes, "participant": [*listed, *gone]}
        thing.converted = thing.converted._replace(removes=removes)
