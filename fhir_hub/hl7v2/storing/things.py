"""What a message is about: each thing once, however often the message names it.

A doctor who attends, orders and signs stands in three places of a message and is one resource.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir/mapping_guidelines.html
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_hub.hl7v2.conversion.convert import Converted, with_resource
from fhir_hub.hl7v2.conversion.matches import pairs_of_type
from fhir_hub.hl7v2.storing.merge import Resource, unite
from fhir_hub.identity import match, systems
from fhir_hub.identity.match import Number, number_of
from fhir_hub.store.base import Key, key_of

LINKING = ("A24", "A37")  # the events that tell of two records which may be one person's
_OF = ("subject", "patient", "beneficiary", "for", "individual")
_WHERE = ("Patient/", "urn:")


@dataclass(slots=True)
class Thing:
    """One thing that the message is about: what it says, and the resource that is stored of it.

    `full_urls` are the places of the message that stand for it. With `is_left` what is stored
    stays as it is, with `is_replaced` nothing of it does. `through` is the logical id of a record
    merged away by which it was found. What is found by identifiers or keys is so by its `numbers`;
    with `is_anothers` another patient's resource has one of them, and this one is new. It begins
    with what is `inherited`.
    """

    converted: Converted
    resource_type: str
    full_urls: list[str]
    logical_id: str = ""
    stored: Resource | None = None
    is_left: bool = False
    through: str = ""
    is_replaced: bool = False
    numbers: Sequence[Number] = ()
    is_anothers: bool = False
    inherited: Resource | None = None

    @property
    def resource(self) -> Resource:
        """What the message says."""
        return self.converted.resource

    @property
    def key(self) -> Key:
        """Which resource it is; known when everything is found."""
        return key_of((self.resource_type, self.logical_id))

    @property
    def address(self) -> str:
        """How others refer to it."""
        return f"{self.resource_type}/{self.logical_id}"

    def found(self, stored: Resource) -> None:
        """Set what is stored of it."""
        self.stored, self.logical_id = stored, stored["id"]
        self.is_left = self.is_left or self.converted.mode == "create"

    def say(self, resource: Resource) -> None:
        """Have the message say this of it."""
        self.converted = with_resource(self.converted, resource)

    def leave_out(self, *elements: str) -> None:
        """Have the message say nothing of these elements."""
        self.say({name: part for name, part in self.resource.items() if name not in elements})

    def refer_to(self, addresses: Sequence[str]) -> None:
        """Have the message's record say that it is about these too."""
        more = [{"reference": one} for one in addresses]
        self.say({**self.resource, "target": [*self.resource["target"], *more]})


def joined(resources: Iterable[Converted], event: str = "") -> list[Thing]:
    """Return the things of a message: two resources that share an identifier are one thing.

    A national number alone does not make one record of the two patients of an event that links.
    """
    things: list[Thing] = []
    known: dict[str, dict[Number, Thing]] = {}
    for converted in resources:
        resource, pairs = converted.resource, converted.match
        resource_type = resource["resourceType"]
        own = numbers_of(pairs) if pairs else []
        numbers = own
        if resource_type == "Patient" and replacement(resource):
            numbers = []
        elif event in LINKING and resource_type == "Patient":
            numbers = list(match.own(own))
        of_type = known.get(resource_type)
        if of_type is None:
            of_type = known[resource_type] = {}
        thing = None
        for number in numbers:
            thing = of_type.get(number)
            if thing and converted.mode == "change" and are_two(thing.resource, resource):
                thing = None
            if thing and not _is_of_another(thing, resource, known.get("Patient", {}).values()):
                break
            thing = None
        if thing is None:
            thing = Thing(converted, resource_type, [converted.full_url], numbers=own)
            things.append(thing)
        else:
            thing.full_urls.append(converted.full_url)
            thing.converted = _united(thing.converted, converted)
            thing.numbers = tuple(dict.fromkeys((*thing.numbers, *own)))
        for number in numbers:
            of_type.setdefault(number, thing)
    return things


def are_two(one: Resource, other: Resource) -> bool:
    """Say whether two orders have different numbers of the filler."""
    filled = [{value for _, value in pairs_of_type(each, "FILL")} for each in (one, other)]
    return all(filled) and filled[0].isdisjoint(filled[1])


def _is_of_another(thing: Thing, resource: Resource, patients: Iterable[Thing]) -> bool:
    """Say whether a resource is about another patient of the message than a thing is."""
    if not is_anothers(thing.resource, resource):
        return False
    urls = {url: one for one in patients for url in one.full_urls}
    one, two = (
        {id(urls[url]) for url in patients_of(resource) if url in urls}
        for resource in (thing.resource, resource)
    )
    return one.isdisjoint(two)


def _united(first: Converted, second: Converted) -> Converted:
    return first._replace(
        resource=unite(first.resource, second.resource),
        match=tuple(dict.fromkeys((*first.match, *second.match))),
        earlier=tuple(dict.fromkeys((*first.earlier, *second.earlier))),
        mode=first.mode if first.mode == second.mode else "update",
        nulls=tuple(dict.fromkeys((*first.nulls, *second.nulls))),
        unsaid=first.unsaid + second.unsaid,
        removes={
            element: [*first.removes.get(element, ()), *second.removes.get(element, ())]
            for element in (*first.removes, *second.removes)
        },
    )


def numbers_of(pairs: Iterable[tuple[str, str]]) -> list[Number]:
    """Return the pairs of system and value as numbers that can be compared."""
    return [number_of((systems.canonical(system), value)) for system, value in pairs]


def patients_of(resource: Mapping[str, Any]) -> list[str]:
    """Return the addresses of the Patients that a resource is about, or in a message their urls.

    >>> patients_of({"resourceType": "Encounter", "subject": {"reference": "Patient/1"}})
    ['Patient/1']
    """
    found: list[str] = []
    for name in _OF:
        value = resource.get(name)
        if type(value) is dict:
            found.append(value.get("reference", ""))
        elif type(value) is list:
            found += [one.get("reference", "") for one in value]
    if not found and "participant" in resource:
        actors = [one["actor"] for one in resource["participant"] if "actor" in one]
        found = [one.get("reference", "") for one in actors]
    if len(found) < 2:  # as of nearly all
        return found if found and found[0].startswith(_WHERE) else []
    return [one for one in found if one.startswith(_WHERE)]


def is_anothers(stored: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Say whether two stored resources are of different patients."""
    one, two = patients_of(stored), patients_of(other)
    return bool(one and two) and set(one).isdisjoint(two)


def replacement(resource: Resource) -> str:
    """Return the reference of a Patient to the one that replaces it, `""` if there is none."""
    if resource["resourceType"] != "Patient":
        return ""
    links = (link for link in resource.get("link", ()) if link.get("type") == "replaced-by")
    return next((str(link["other"]["reference"]) for link in links), "")
