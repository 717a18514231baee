"""From a converted message to staged changes: find what is stored, merge, refer, stage.

Everything is decided inside one unit of work, by searches that the commit holds true. So of
fifty messages about one unknown patient that come at once, one creates her and the others,
done again from fresh reads, find her. Nothing here changes the conversion.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir/mapping_guidelines.html
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.clock import IdMaker, Stretch
from fhir_hub.errors import VersionConflict
from fhir_hub.hl7v2.conversion.convert import Conversion, Converted
from fhir_hub.hl7v2.meaning import (
    answered,
    answered_first,
    answers,
    asked,
    bookings,
    clients,
    conclusions,
    diagnoses,
    documents,
    entitled,
    filled,
    merged_facts,
    merged_visits,
    moves,
    named,
    numbers_moved,
    numbers_take_along,
    orders,
    snapshots,
    unlinks,
    visits,
)
from fhir_hub.hl7v2.meaning.patients import trust_in
from fhir_hub.hl7v2.meaning.repeats import Repeats
from fhir_hub.hl7v2.meaning.retold import Later
from fhir_hub.hl7v2.meaning.teller import Teller
from fhir_hub.hl7v2.meaning.telling import Telling
from fhir_hub.hl7v2.storing import merged_patients, others
from fhir_hub.hl7v2.storing.merge import Resource, choices_of
from fhir_hub.hl7v2.storing.rewriting import Rewriting, without_numbers
from fhir_hub.hl7v2.storing.things import LINKING, Thing, joined, replacement
from fhir_hub.identity import doubles, match, merging
from fhir_hub.identity.match import Number
from fhir_hub.r4.placeholders import is_placeholder
from fhir_hub.r4.references import RECORDS, find_references
from fhir_hub.repository.unit import Unit
from fhir_hub.search.parameters import Parameters
from fhir_hub.search.plan import And, Has, Is
from fhir_hub.store.base import Key, Stored

_REUSED = (
    "the number is another person's: neither name nor birth date agree"
    " / 该号码属于他人：姓名与出生日期均不符"
)


async def apply(
    unit: Unit,
    conversion: Conversion,
    telling: Telling,
    *,
    new_id: IdMaker,
    parameters: Parameters,
    made: Sequence[Key] = (),
) -> tuple[Key, ...]:
    """Stage what the message says; return the resources that it is about.

    `telling` says who tells it, and takes notes; `parameters` tell who may refer to a merged
    Patient, `made` is what it was about when it was done before.
    Raises a `FhirError` where what is stored and the message cannot be brought together.
    """
    said = conversion.resources
    things = joined(said, conversion.teller.event)
    patients = [thing for thing in things if thing.resource_type == "Patient"]
    priors = {id(thing) for thing in patients if replacement(thing.resource)}
    is_linking = conversion.teller.event in LINKING
    await _find(unit, things, patients, telling, made)
    if asked.is_asking(conversion.teller):
        return await asked.find(unit, things, telling)
    orders.settle(things, telling)
    await _require(unit, things, telling)
    await _find_priors(unit, things, [one for one in patients if id(one) in priors], said, telling)
    await _find_made(unit, things, made, new_id, parameters, telling.teller)
    await orders.take_over(unit, things)
    rewriting = Rewriting({url: thing.address for thing in things for url in thing.full_urls})
    led = await _led(unit, things, rewriting)
    routes = {one.address: one.through for one in patients if one.through}
    await snapshots.compare(things, conversion.snapshots, telling)
    await _keep(things, conversion.teller.event, telling)
    records = [thing for thing in things if thing.resource_type in RECORDS]
    numbers_take_along.name_numbers(records, patients)
    facts = [t for t in things if id(t) not in priors and t.resource_type not in RECORDS]
    await _stage_all(unit, facts, led, telling, routes)
    if not made:  # a message that is done again, by other maps, may say it in another way
        answers.require_same_order(unit, things, conversion.teller)
    await _follow(unit, things, rewriting.addresses, conversion.teller.event, parameters)
    await snapshots.end_unlisted(unit, things, conversion.snapshots, telling, parameters)
    if is_linking:
        told = await unlinks.stage(unit, patients, telling, parameters)
        unlinks.explain(records, told)
        parted = await unlinks.parted(unit, patients)
        await _stage_all(unit, parted, rewriting, telling, routes)
    await _stage_all(unit, records, rewriting, telling, routes)
    for prior in (one for one in patients if id(one) in priors):
        await merged_patients.stage(unit, prior, rewriting.addresses, parameters)
    return tuple(dict.fromkeys([thing.key for thing in things]))


async def _find(
    unit: Unit, things: list[Thing], patients: list[Thing], telling: Telling, made: Sequence[Key]
) -> None:
    """Find the patients, then what else is stored of that which the message is about."""
    if telling.teller.event in LINKING:
        await unlinks.find(unit, patients)
    else:
        await _find_patients(unit, [one for one in patients if not replacement(one.resource)])
    await others.find(unit, things, telling.teller.event, made, telling.notes)
    await filled.find(unit, things, telling.teller)


async def _require(unit: Unit, things: Sequence[Thing], telling: Telling) -> None:
    """Raise where nobody knows what is answered, or the teller may not take a number (A43)."""
    entitled.require_move(things, telling)
    await answered.find(unit, things, telling.teller)
    await answered_first.find(unit, things, telling)
    await answers.require(unit, things, telling)


async def _find_priors(
    unit: Unit,
    things: list[Thing],
    priors: Sequence[Thing],
    said: Sequence[Converted],
    telling: Telling,
) -> None:
    """Find the prior records of a merge; `said` is what the message says, all numbers in it."""
    if not priors:
        return
    by_url = {url: thing for thing in things for url in thing.full_urls}
    named = {
        one.full_url: match.numbers(one.resource.get("identifier", ()))
        for one in said
        if one.resource["resourceType"] == "Patient"
    }
    for prior in priors:
        if merged_patients.is_itself(prior, by_url):
            things.remove(prior)
        else:
            await merged_patients.find(unit, prior, by_url, named, telling)


async def _led(unit: Unit, things: Sequence[Thing], rewriting: Rewriting) -> Rewriting:
    """Return where what refers to a visit that was merged into another one goes."""
    into = await merged_visits.merged_into(unit, things)
    return Rewriting({**rewriting.addresses, **into}) if into else rewriting


async def _keep(things: Sequence[Thing], event: str, telling: Telling) -> None:
    """Leave what is stored as it is where the event says nothing of it, though the message does."""
    visits.keep_class(things, event)
    await moves.mark(things, event, telling)
    bookings.keep_over(things, event)


async def _follow(
    unit: Unit, things: Sequence[Thing], addresses: dict[str, str], event: str, known: Parameters
) -> None:
    """Stage what follows from what is staged now, for what the message itself does not tell."""
    await bookings.free_slots(unit, things)
    await conclusions.restate(unit, things, addresses)
    await documents.supersede(unit, things)
    await merged_visits.follow(unit, things, addresses, event, known)
    await moves.follow(unit, things, addresses, event, known)


def telling_of(
    conversion: Conversion,
    day: str,
    parameters: Parameters,
    later: Later,
    repeats: Repeats | None = None,
) -> Telling:
    """Return how the message tells: `day` is its date, `later` knows what was told since.

    `repeats` are what changed nothing when others told it.
    """
    choices, trust = choices_of(parameters.definitions), trust_in(conversion.trusted)
    return Telling(conversion.teller, day, choices, [], trust, later, repeats or Repeats())


async def _find_patients(unit: Unit, patients: Sequence[Thing]) -> None:
    wanted = {
        number
        for thing in patients
        for number in match.numbers(thing.resource.get("identifier", ()))
    }
    known: list[Resource] = []
    if wanted:
        question = others.asked_again("Patient", sorted(wanted))
        known = [_loaded(s) for s in await unit.answer(question, familiar="whole")]
    survivors = await merged_patients.survivors(unit, known)
    by_number: dict[Number, list[Resource]] = {}
    for one in known:
        for number in match.numbers(one.get("identifier", ())):
            by_number.setdefault(number, []).append(one)
    by_id = {str(one["id"]): one for one in (*known, *survivors)}
    stretch = Stretch()
    for thing in sorted(patients, key=lambda one: not numbers_moved.is_losing(one)):
        await stretch.give_way()
        resource, moved = thing.resource, set[Number]()
        if not numbers_moved.is_losing(thing) and (moved := numbers_moved.moving(patients)):
            resource = without_numbers(thing.converted, moved).resource
        near = _near(resource, by_number, by_id) if len(known) > 1 else known
        candidates = [one for one in near if not doubles.shows_anothers_card(resource, one)]
        decision = match.decide(resource, candidates, survivors)
        if decision.patient is None:
            await _find_described(unit, thing, resource)
            numbers_moved.find_holder(thing, resource, patients)
            continue
        patient = dict(decision.patient)
        merged = [one for one in candidates if one["id"] in decision.merged]
        holder = next((o for o in (patient, *merged) if decision.by in _held_by([o])), patient)
        if doubles.has_anothers_number(resource, holder):
            raise VersionConflict(_REUSED, expression="Patient.identifier")
        theirs = _held_by(merged)
        if merged and _held_by([patient]).isdisjoint(match.numbers(resource.get("identifier", ()))):
            # Found only by a number that was merged away: who still uses it knows less.
            thing.is_left = True
            thing.through = next(
                (str(one["id"]) for one in merged if decision.by in _held_by([one])), ""
            )
        if decision.others and not any(map(match.resident_ids, (patient, thing.resource))):
            # Held by two of whom neither has a resident ID, a number would lead to nobody.
            theirs |= _held_by([one for one in candidates if one["id"] in decision.others])
        theirs -= moved
        if theirs:
            thing.converted = without_numbers(thing.converted, theirs - _held_by([patient]))
        thing.found(patient)
        if patient.get("active") is not False:
            _hold_active(unit, patient["id"])


def _near(
    resource: Resource, by_number: Mapping[Number, list[Resource]], by_id: Mapping[str, Resource]
) -> list[Resource]:
    """Return those who hold a number of a patient, and to whom these were merged, over chains."""
    numbers = match.numbers(resource.get("identifier", ()))
    found = {str(one["id"]): one for number in numbers for one in by_number.get(number, ())}
    for one in tuple(found.values()):
        following = match.survivor_id(one)
        while following in by_id and following not in found:
            found[following] = by_id[following]
            following = match.survivor_id(found[following])
    return list(found.values())


async def _find_described(unit: Unit, thing: Thing, resource: Resource) -> None:
    """Find who certainly is the patient that no number but her id here leads to; else it is new.

    `resource` is what the message says of her, without the numbers that go to her (A43).
    """
    if await clients.find_patient(unit, thing):
        _hold_active(unit, thing.logical_id)
        return
    if is_placeholder(resource):
        return
    double = await doubles.the_one(resource, doubles.OfUnit(unit))
    if double is not None:
        thing.found(double.patient)
        _hold_active(unit, double.stored.logical_id)


def _held_by(patients: Iterable[Mapping[str, Any]]) -> set[Number]:
    return {n for one in patients for n in match.numbers(one.get("identifier", ()))}


def _hold_active(unit: Unit, logical_id: str) -> None:
    """Make the commit fail, and be done again, if the Patient is merged away meanwhile."""
    is_gone = And((Has("_id", "token", (Is(logical_id),)), Has("active", "token", (Is("false"),))))
    unit.require_none("Patient", is_gone)


async def _find_made(
    unit: Unit,
    things: Sequence[Thing],
    made: Sequence[Key],
    new_id: IdMaker,
    parameters: Parameters,
    teller: Teller,
) -> None:
    """Find again what cannot be found by a number, such as a record; the rest is new."""
    await merged_facts.find(unit, things, parameters, teller)
    await clients.find(unit, things, parameters, teller)
    await diagnoses.find(unit, things, parameters, teller)
    found = {thing.key for thing in things if thing.logical_id} if made else ()
    left = [key for key in made if key not in found]
    for thing in things if left else ():
        if thing.logical_id or thing.converted.match:
            continue
        key = next((one for one in left if one.resource_type == thing.key.resource_type), None)
        stored = await unit.current(key) if key else None
        if key and stored is not None and not stored.is_deleted:
            left.remove(key)
            thing.found(_loaded(stored))
            thing.is_replaced = True
    for thing in things:
        if not thing.logical_id:
            thing.logical_id = unit.made_up(thing.resource_type, new_id())


async def _stage_all(
    unit: Unit,
    things: Sequence[Thing],
    rewriting: Rewriting,
    telling: Telling,
    routes: Mapping[str, str],
) -> None:
    stretch = Stretch()
    for thing in things:
        await stretch.give_way()
        await _stage(unit, thing, rewriting, telling, routes)


async def _stage(
    unit: Unit,
    thing: Thing,
    rewriting: Rewriting,
    telling: Telling,
    routes: Mapping[str, str],
) -> None:
    if thing.is_left and not numbers_moved.is_losing(thing):
        if named.is_named_first(thing):
            await named.name(unit, thing, rewriting)
        return
    converted = rewriting.converted(thing.converted)
    if thing.inherited:
        begun = {**thing.inherited, "id": thing.logical_id}
        merged = await telling.laid_over(begun, converted)
        unit.create(begun if merged is None else merged, thing.logical_id)
    elif thing.stored is None:
        unit.create(_routed(telling.told(converted), routes), thing.logical_id)
    elif thing.is_replaced or is_placeholder(thing.stored):
        await unit.update(telling.told(converted), thing.logical_id)
    elif (merged := await telling.laid_over(thing.stored, converted)) is not None:
        await unit.update(merging.settled(merged), thing.logical_id)


def _routed(resource: Resource, routes: Mapping[str, str]) -> Resource:
    """Return the resource, tagged where it came by the number of a record merged away."""
    if routes and resource["resourceType"] not in RECORDS:
        for reference, _ in find_references(resource):
            if prior := routes.get(reference["reference"]):
                return merging.tagged(resource, merging.ROUTED, prior)
    return resource


def _loaded(stored: Stored) -> Resource:
    resource: Resource = fhirjson.reread(stored.content)
    return resource
