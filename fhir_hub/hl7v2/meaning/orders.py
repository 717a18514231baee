"""An order of which a message has no more than ORC: it changes the stored one of its number.

Of what kind that is ORC does not say, so the map has one of each (`mode = "change"`), and what is
stored decides. A cancel (CA, DC, OC …), a hold (HD), a release (RL) or another state (ORC-5) of a
prescription so needs no RXO. What the map made of the ORC as a service is then no order of its own;
where nothing is known by the number that alone is stored.

Spec: HL7v2 chapter 4, ORC-1
"""

from collections.abc import Iterable

from fhir_hub.hl7v2.meaning.telling import Note
from fhir_hub.hl7v2.things import Thing


def settle(things: list[Thing], notes: list[Note]) -> None:
    """Leave out what would only change what is not stored, and the services that others are."""
    changes = [one for one in things if one.converted.mode == "change"]
    for thing in changes:
        alike = [one for one in things if _is_of(thing, one)]
        if thing.stored is None:
            things.remove(thing)
            if not alike:  # the last of the kinds that it might be
                notes.append(Note("order_not_known", thing.resource_type))
            continue
        for service in alike:
            if service.converted.mode != "change" and service.stored is None:
                things.remove(service)
                thing.full_urls += service.full_urls
    _say(things, [one.address for one in changes if one.stored])


def _is_of(thing: Thing, other: Thing) -> bool:
    """Say whether two things are made of one ORC: it alone made both, and they have its number."""
    kinds = {"ServiceRequest"} if other.converted.mode != "change" else {other.resource_type}
    is_alone = other.converted.segment == "ORC" and other.resource_type in kinds
    return is_alone and other is not thing and not set(thing.numbers).isdisjoint(other.numbers)


def _say(things: Iterable[Thing], changed: list[str]) -> None:
    """Say in the message's Provenance what it changed."""
    for thing in things if changed else ():
        if thing.resource_type == "Provenance" and thing.converted.segment == "MSH":
            targets = [*thing.resource["target"], *({"reference": one} for one in changed)]
            resource = {**thing.resource, "target": targets}
            thing.converted = thing.converted._replace(resource=resource)
