"""Which stored fact is meant where several have its number: the one of its code and of its time.

A message that told only one of them stored it under the number alone. It is the one of its code
that comes with others of the number later; where no time fits, and it alone can be meant, its time
was corrected.

Spec: HL7v2 chapter 6, DG1-20 and PR1-19
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from fhir_hub.hl7v2.calls.orders import PART
from fhir_hub.hl7v2.conversion.facts import are_one, may_be_one, moment_of
from fhir_hub.hl7v2.meaning.teller import stamps_of, time_of
from fhir_hub.hl7v2.storing.merge import Resource
from fhir_hub.hl7v2.storing.things import Thing, numbers_of
from fhir_hub.identity.match import Number

Holders = Mapping[Number, Mapping[str, Resource]]


def meant(fact: Resource, held: Iterable[Resource]) -> Resource | None:
    """Return which of the stored facts of its number a fact is: that of its time, or the only one.

    That in error is none as long as there is another.
    """
    alike = [one for one in held if may_be_one(one, fact)]
    of_time = [one for one in alike if are_one(one, fact)]
    found = of_time or (alike if len(alike) == 1 else [])
    return max(found, key=lambda one: _rank(one, fact), default=None)


def choose(of_type: Sequence[Thing], theirs: Callable[[Thing], Holders]) -> None:
    """Have facts found that share a number with others of the message: of their time first."""
    left = [one for one in of_type if one.converted.earlier and not one.logical_id]
    taken = {one.logical_id for one in of_type if one.logical_id} if left else set()
    for is_of_time in (True, False):
        for thing in [one for one in left if not one.logical_id]:
            held = _held(thing, theirs(thing), taken)
            if is_of_time:
                held = [one for one in held if are_one(one, thing.resource)]
            found = meant(thing.resource, held)
            if found is None or (not is_of_time and any(_are_rivals(thing, one) for one in left)):
                continue
            taken.add(found["id"])
            thing.found(found)
            _keep_key(thing, found)


def _held(thing: Thing, holders: Holders, taken: set[str]) -> list[Resource]:
    """Return what may be a thing: what has its number, or has none and was told under its key."""
    own = {one.get("value") for one in thing.resource.get("identifier", ())}
    held = {
        logical_id: one
        for number in numbers_of(thing.converted.earlier)
        for logical_id, one in holders.get(number, {}).items()
        if logical_id not in taken
    }
    values = [(one, {i.get("value") for i in one.get("identifier", ())}) for one in held.values()]
    return [one for one, theirs in values if not theirs or not theirs.isdisjoint(own)]


def _are_rivals(thing: Thing, other: Thing) -> bool:
    if other is thing or other.logical_id:
        return False
    shared = set(thing.converted.earlier) & set(other.converted.earlier)
    return bool(shared) and may_be_one(thing.resource, other.resource)


def _rank(stored: Resource, fact: Resource) -> tuple[bool, bool, bool, int]:
    is_alike = stored.get("status") == fact.get("status")  # a charge, or what takes it back
    in_force = stored.get("status") != "entered-in-error"
    told = max(map(time_of, stamps_of(stored)), default=0)
    return moment_of(stored) == moment_of(fact), is_alike, in_force, told


def _keep_key(thing: Thing, stored: Resource) -> None:
    """Leave what has a key of its number that: by another one it would be two facts."""
    tags = stored.get("meta", {}).get("tag", ())
    if any(one.get("system") == PART for one in tags):
        meta = thing.resource.get("meta", {})
        kept = [one for one in meta.get("tag", ()) if one.get("system") != PART]
        thing.say({**thing.resource, "meta": {**meta, "tag": kept}})
