"""Two records of one patient become one: A18, A34, A36 and A40.

The message's prior Patient (of MRG) says that it is replaced by the surviving one (of PID). Which
stored records these are is found here; the merge itself is that of `identity/merging.py`. A
survivor whom nobody knows begins as the prior record was, but for the numbers. One that was merged
away before, and is named by its number alone as what the one in use goes into, is taken back first.

Spec: https://hl7.org/fhir/R4/patient.html#merge; HL7v2 chapter 3, A40 and MRG
"""

from collections.abc import Iterable, Mapping, Sequence

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidMessage, VersionConflict
from fhir_hub.hl7v2.meaning import entitled
from fhir_hub.hl7v2.meaning.telling import Telling
from fhir_hub.hl7v2.meaning.unlinks import MERGES
from fhir_hub.hl7v2.storing.merge import Resource
from fhir_hub.hl7v2.storing.things import Thing, replacement
from fhir_hub.identity import match, merging
from fhir_hub.identity.match import Number
from fhir_hub.repository.unit import Unit
from fhir_hub.search.parameters import Parameters
from fhir_hub.store.base import Key

_OWN = ("id", "identifier", "link", "meta")
_OF_BOTH = ("extension", "profile", "security", "source")


async def survivors(unit: Unit, candidates: Iterable[Resource]) -> list[Resource]:
    """Return the Patients to which those of `candidates` lead that were merged away."""
    found: dict[str, Resource] = {str(one["id"]): one for one in candidates}
    known = set(found)
    waiting = list(found.values())
    while waiting:
        logical_id = match.survivor_id(waiting.pop())
        if logical_id and logical_id not in found:
            stored = await unit.current(Key("Patient", logical_id))
            if stored is not None and not stored.is_deleted:
                found[logical_id] = fhirjson.loads(stored.content)
                waiting.append(found[logical_id])
    return [one for logical_id, one in found.items() if logical_id not in known]


def is_itself(prior: Thing, by_url: Mapping[str, Thing]) -> bool:
    """Say whether a survivor whom nobody knows is called the prior record too: then it is both."""
    survivor = by_url[replacement(prior.resource)]
    own, given_up = (
        set(match.numbers(one.resource.get("identifier", ()))) for one in (survivor, prior)
    )
    if survivor.stored or not given_up or not given_up <= own:
        return False
    _unlink(survivor, prior.full_urls)
    survivor.full_urls += prior.full_urls
    prior.is_left = True
    return True


async def find(
    unit: Unit,
    prior: Thing,
    by_url: Mapping[str, Thing],
    named: Mapping[str, Sequence[Number]],
    telling: Telling,
) -> None:
    """Find which stored Patient the message calls the prior one; `named` has its numbers by url.

    Where the survivor itself holds the number there is nothing to merge: `prior` becomes it,
    unless the message names a record by its own number that was merged into that one before.
    Raises `VersionConflict` if the two are two persons, or the prior one was merged elsewhere, or
    the teller may not say so.
    """
    survivor = by_url[replacement(prior.resource)]
    _unlink(survivor, prior.full_urls)
    numbers = match.numbers(prior.resource.get("identifier", ()))
    if not numbers:
        raise InvalidMessage(
            "no prior patient number to merge / 缺少被合并的患者号码",
            error_code="101",
            location="MRG-1",
        )
    holders: list[Resource] = [
        fhirjson.loads(stored.content)
        for stored in await unit.find("Patient", match.plan_of(numbers))
    ]
    others = [one for one in holders if one["id"] != survivor.logical_id]
    alive = [one for one in others if not match.survivor_id(one)]
    if survivor.stored and not alive and await _is_done(unit, holders, survivor):
        prior.found(holders[0])
        of_pid = [one for url in survivor.full_urls for one in named.get(url, ())]
        live = survivor.stored
        back = await _back(unit, live, [one["id"] for one in holders], numbers, of_pid)
        if back is None or await telling.has_since(MERGES, prior.key):
            return
        survivor.is_left, survivor.through = False, ""
        survivor.found(back)
        alive = [live]
    elif len(alive) > 1 or (others and not alive):
        raise VersionConflict(
            "the prior number leads to another merged record or to several"
            " / 被合并号码对应另一已合并记录或多个患者",
            expression="Patient.identifier",
        )
    _require_one_person((prior.resource, *alive), survivor)
    entitled.require_merge(alive, survivor, telling)
    if alive:
        prior.found(alive[0])
        await _begin(prior, survivor, telling)


async def _begin(prior: Thing, survivor: Thing, telling: Telling) -> None:
    """Have a survivor whom nobody knows begin as the prior one; one unlinked since stays alone."""
    if survivor.stored is None:
        survivor.inherited = _inheritance(prior.stored or {})
    elif await telling.has_since(("A37",), prior.key, survivor.key):
        prior.is_left = True


async def _is_done(unit: Unit, holders: Sequence[Resource], survivor: Thing) -> bool:
    """Say whether all who hold the prior number are the survivor by now, over chains too."""
    ways = [await merging.way(unit, one) for one in holders]
    return {way[-1] for way in ways} == {survivor.logical_id}


def _require_one_person(priors: Iterable[Resource], survivor: Thing) -> None:
    for one in priors:
        for other in (survivor.resource, survivor.stored or survivor.resource):
            if not match.same_person(one, other):
                raise VersionConflict(match.DIFFERENT_PERSONS, expression="Patient.identifier")


async def _back(
    unit: Unit,
    live: Resource,
    priors: Sequence[str],
    given_up: Sequence[Number],
    of_pid: Sequence[Number],
) -> Resource | None:
    """Return the record that PID names as the one in use, if that is not the `live` one.

    It was merged into one of the `priors`, over chains too, or the live one was found by a card
    that it alone has. Numbers of the authorities whose number is given up tell it.
    """
    systems = {number.system for number in given_up}
    named = [number for number in of_pid if number.system in systems]
    if not named or not set(match.numbers(live.get("identifier", ()))).isdisjoint(named):
        return None
    held: list[Resource] = [
        fhirjson.loads(stored.content)
        for stored in await unit.find("Patient", match.plan_of(named))
    ]
    ways = [(one, await merging.way(unit, one)) for one in held]
    led = [one for one, way in ways if len(way) == 1 or not set(priors).isdisjoint(way[1:])]
    return led[0] if len(led) == 1 else None


def _inheritance(prior: Resource) -> Resource:
    """Return what a survivor whom nobody knows has of the prior record: all but the numbers."""
    rest = {name: part for name, part in prior.items() if name not in _OWN}
    meta = {name: part for name, part in prior.get("meta", {}).items() if name in _OF_BOTH}
    return {**rest, "meta": meta} if meta else rest


def _unlink(survivor: Thing, full_urls: Sequence[str]) -> None:
    """Take out the message's own link to the prior one: whether there is one is decided here."""
    links = [
        link
        for link in survivor.resource.get("link", ())
        if link.get("other", {}).get("reference") not in full_urls
    ]
    survivor.leave_out("link")
    if links:
        survivor.say({**survivor.resource, "link": links})


async def stage(
    unit: Unit, prior: Thing, addresses: Mapping[str, str], parameters: Parameters
) -> None:
    """Link the two Patients both ways, end the prior one, and lead its referrers on.

    What is done already stays as it is, and what was unlinked since. A survivor that was merged
    away itself is taken back first.
    """
    survivor = addresses[replacement(prior.resource)]
    is_done = prior.stored and match.survivor_id(prior.stored)
    if prior.address == survivor or is_done or prior.is_left:
        return
    survivor_id = survivor.partition("/")[2]
    in_use = await merging.patient(unit, survivor_id, "target")
    if match.survivor_id(in_use):
        await merging.take_back(unit, in_use, parameters)
    if prior.stored is None:
        await merging.link(unit, survivor_id, "replaces", prior.logical_id)
        resource = {**prior.resource, "active": False, "link": []}
        unit.create(merging.linked(resource, "replaced-by", survivor_id), prior.logical_id)
    else:
        known = await merging.patient(unit, prior.logical_id, "source")
        await merging.merge(unit, known, survivor_id, parameters)
