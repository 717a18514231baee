"""Which stored order or report is the one of a number that several of a message share.

A message that told only one of them stored it with the number alone: the others of the number do
not take its place, the one of its code is it.

What a result only names (`create`) is the order of that number, whatever is asked for by it. Where
several orders of the number ask for the same, that is the one whose filler's number it has, or
which has a report of that, or the first one without any; where none is known, one is made.

Spec: HL7v2 chapter 4, ORC-2 and OBR-2; R4 http.html#cond-update
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter

from fhir_hub import fhirjson
from fhir_hub.hl7v2.calls.orders import PART
from fhir_hub.hl7v2.conversion.matches import code_of, pairs_of_type
from fhir_hub.hl7v2.making.drafts import keys_of
from fhir_hub.hl7v2.meaning.teller import stamps_of, time_of
from fhir_hub.hl7v2.storing.merge import Resource
from fhir_hub.hl7v2.storing.things import Thing, are_two, numbers_of
from fhir_hub.identity.match import Number
from fhir_hub.repository.unit import Unit
from fhir_hub.search.plan import Has, Is

_OF_RESULTS = ("Observation", "DiagnosticReport")
_ORDERS = ("ServiceRequest", "MedicationRequest")
_CORRECTED = ("corrected", "amended", "entered-in-error", "cancelled")
_OPEN = ("registered", "preliminary", "partial")
_SAID = ("value", "effective", "component")
Pair = tuple[str, str]
Holders = Mapping[Number, Mapping[str, Resource]]


def names_part(thing: Thing, holders: Holders) -> bool:
    """Say whether a thing is an order that a result names by a number of several orders."""
    return (
        thing.converted.mode == "create"
        and thing.resource["resourceType"] == "ServiceRequest"
        and (
            bool(thing.converted.earlier) or any(len(holders.get(n, ())) > 1 for n in thing.numbers)
        )
    )


def choose_part(
    thing: Thing, holders: Holders, of_type: Sequence[Thing], things: Sequence[Thing]
) -> None:
    """Have a thing found by a number that it shares: what has that alone, and the same code.

    A result is so found by a key of before or of its kind, and a report of its kind by its results:
    the newest that it goes on.
    """
    for number in numbers_of(thing.converted.earlier):
        found = _alike(thing, holders.get(number, {}).values())
        taken = {one.logical_id for one in of_type} if found else ()
        found = [one for one in found if one["id"] not in taken and not _is_part(one)]
        kind = _kind_of_number(thing)
        own = _results_of(thing, things) if found else set()
        found = [
            one
            for one in found
            if (not pairs_of_type(one, kind) if kind else _goes_on(one, thing, own))
        ]
        if found and (len(found) == 1 or thing.resource_type in _OF_RESULTS):
            thing.found(max(found, key=_last_told))
            _keep_keys(thing)
            return


def name_both(things: Sequence[Thing]) -> None:
    """Have a correction that comes before its result be found by it, if one has OBX-4 `1` alone.

    It has both keys, unless the message tells another result by the other one.
    """
    new = [one for one in things if one.converted.earlier and not one.logical_id]
    told = {number for thing in things for number in thing.numbers} if new else set()
    for thing in new:
        other, own = thing.converted.earlier[0], keys_of(thing.resource)
        is_correction = thing.resource.get("status") in _CORRECTED and len(own) == 1
        if not is_correction or not told.isdisjoint(numbers_of((other,))):
            continue
        shorter, longer = sorted((other[1], own[0][1]), key=len)
        if thing.resource_type == "Observation" and longer == f"{shorter}/1":
            meta = thing.resource["meta"]
            tags = [*meta["tag"], {"system": other[0], "code": other[1]}]
            thing.say({**thing.resource, "meta": {**meta, "tag": tags}})


def _results_of(thing: Thing, things: Iterable[Thing]) -> set[str]:
    said = {one["reference"] for one in thing.resource.get("result", ())}
    return {one.address for one in things if not said.isdisjoint(one.full_urls)} if said else set()


def _alike(thing: Thing, held: Iterable[Resource]) -> list[Resource]:
    """Return what has the code of a thing; an order of which ORC alone told has none yet."""
    asked, known = code_of(thing.resource), [(code_of(one), one) for one in held]
    found = [one for code, one in known if code == asked]
    if found or thing.resource_type not in _ORDERS:
        return found
    return [one for code, one in known if not (asked and code)]


def _kind_of_number(thing: Thing) -> str:
    """Return of what type the number is that tells a thing from others of its `earlier` ones.

    What was stored before that one was known (the placer's number first, the filler's later) is it.
    """
    match = set(thing.converted.match)
    kinds = (kind for kind in ("PLAC", "FILL") if pairs_of_type(thing.resource, kind) & match)
    return next(kinds, "")


async def choose_named(
    unit: Unit,
    named: Sequence[Thing],
    theirs: Callable[[Thing], Holders],
    *,
    has_results: bool,
) -> list[Thing]:
    """Have each order that a result names found; return those that another of them stands for.

    `theirs` gives what is stored that may be a thing. In an answer without results two numbers of
    the filler are two orders.
    """
    folded: list[Thing] = []
    taken: set[str] = set()
    new: dict[tuple[Pair, str], tuple[int, Thing]] = {}
    for at, thing in enumerate(named):
        numbers, holders = numbers_of(thing.converted.earlier) or thing.numbers, theirs(thing)
        held = {id_: one for number in numbers for id_, one in holders.get(number, {}).items()}
        asked = code_of(thing.resource)
        found = [one for one in held.values() if asked and code_of(one) == asked]
        if not found and len(held) == 1:
            found = [one for one in held.values() if not _is_part(one)]
        if len(found) > 1:
            found = await _own(unit, thing, found, taken)
        if found:
            thing.found(found[0])
        elif (first := _first_of(thing, asked, new)) and (
            has_results or not are_two(first.resource, thing.resource)
        ):
            first.full_urls += thing.full_urls
            folded.append(thing)
        elif not thing.logical_id:
            for pair in thing.converted.earlier:
                new.setdefault((pair, asked), (at, thing))
        taken.add(thing.logical_id)
    return folded


def _first_of(
    thing: Thing, asked: str, new: Mapping[tuple[Pair, str], tuple[int, Thing]]
) -> Thing | None:
    """Return the first of the new orders that has a number of a thing, and asks for the same."""
    same = [new[pair, asked] for pair in thing.converted.earlier if (pair, asked) in new]
    return min(same, key=itemgetter(0))[1] if same else None


async def _own(
    unit: Unit, thing: Thing, found: Iterable[Resource], taken: set[str]
) -> list[Resource]:
    """Return the order of several that a result is of: by its filler's number, or a free one.

    One without a number of the filler is else of the first that the filler did not refuse.
    """
    wanted = pairs_of_type(thing.resource, "FILL")
    free, answered = list[Resource](), list[Resource]()
    for order in sorted(found, key=_rank):
        plan = Has("based-on", "reference", (Is(f"ServiceRequest/{order['id']}"),))
        reports = [fhirjson.loads(one.content) for one in await unit.find("DiagnosticReport", plan)]
        filled = [pairs_of_type(one, "FILL") for one in (order, *reports)]
        if any(wanted & one for one in filled):
            return [order]
        if order["id"] not in taken and not any(filled):
            free.append(order)
        elif not wanted and order.get("status") != "revoked":
            answered.append(order)
    return (free or answered)[:1]


def _rank(order: Resource) -> tuple[int, str]:
    """Return the place of an order among those of its number and code, as its key has it."""
    keys = [tag["code"] for tag in order.get("meta", {}).get("tag", ()) if tag["system"] == PART]
    place = keys[0].rpartition("#")[2] if keys else ""
    return int(place) if place.isdecimal() else 1, str(order["id"])


def _is_part(resource: Resource) -> bool:
    return any(one.get("system") == PART for one in resource.get("meta", {}).get("tag", ()))


def _goes_on(stored: Resource, thing: Thing, own: set[str]) -> bool:
    """Say whether a message goes on with a result: corrects it, ends it, or says the same again.

    A report says the same if all of its results, `own`, are the stored one's.
    """
    resource = thing.resource
    if thing.resource_type not in _OF_RESULTS or _is_part(resource):
        return True
    if resource.get("status") in _CORRECTED or stored.get("status") in _OPEN:
        return True
    if thing.resource_type == "DiagnosticReport":
        return own <= {one.get("reference") for one in stored.get("result", ())}
    told = ({k: v for k, v in one.items() if k.startswith(_SAID)} for one in (stored, resource))
    return next(told) == next(told)


def _keep_keys(thing: Thing) -> None:
    """Leave what was found by its kind the keys that it has: nothing new is said by another."""
    meta = (thing.stored or {}).get("meta", {})
    if len(keys_of(thing.resource)) > 1 and "tag" in meta:
        own = {**thing.resource["meta"], "tag": meta["tag"]}
        thing.say({**thing.resource, "meta": own})


def _last_told(stored: Resource) -> int:
    return max(map(time_of, stamps_of(stored)), default=0)
