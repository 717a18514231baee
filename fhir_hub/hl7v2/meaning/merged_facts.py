"""What a merge brought along, or came by the number given up, is known again under the one in use.

What has no number of its own is found by a key that the patient's number is part of. So under the
survivor's number nothing would be found of what was told under the other one: each allergy, cover
and diagnosis would be there twice, the one of before as over. Here it is found by what it is of.
What both records had stays twice, and both hold: each goes with its own where the merge is undone.
What was told since of the one that was brought both have then (`identity/merging.py`); a diagnosis
goes with its visit.

Spec: https://hl7.org/fhir/R4/patient.html#merge; HL7v2 chapter 2, 2.10.4
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.hl7v2.meaning.teller import Teller, tellers_of
from fhir_hub.hl7v2.storing.alike import are_alike, share_a_name
from fhir_hub.hl7v2.storing.merge import Resource
from fhir_hub.hl7v2.storing.rewriting import Rewriting
from fhir_hub.hl7v2.storing.things import Thing, patients_of
from fhir_hub.identity import merging
from fhir_hub.repository.unit import Unit
from fhir_hub.search.parameters import Parameters
from fhir_hub.search.plan import Has, Is
from fhir_hub.store.base import Key

# By which search parameter the facts of a patient are found.
_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "AllergyIntolerance": "patient",
        "Condition": "patient",
        "Coverage": "beneficiary",
        "RelatedPerson": "patient",
    }
)


async def find(unit: Unit, things: Sequence[Thing], parameters: Parameters, teller: Teller) -> None:
    """Have what no key finds found among what the same institution told of a merged patient."""
    owners = {one.address: one for one in things if _is_merged(one)}
    if not owners:  # as nearly always
        return
    taken = {one.key for one in things if one.stored}
    known: dict[tuple[str, str], list[Resource]] = {}
    for thing, told in _rewritten(things):
        kind = thing.resource_type
        if kind not in _KINDS or thing.is_anothers or thing.converted.mode == "create":
            continue
        owner = next((one for one in patients_of(told) if one in owners), "")
        if owner and not thing.stored:
            if (kind, owner) not in known:
                index = parameters.of(kind)[_KINDS[kind]].indexes[0]
                known[kind, owner] = await _told(unit, kind, index, owner, teller)
            for one in known[kind, owner]:
                if Key(kind, one["id"]) not in taken and _are_one(one, told):
                    taken.add(Key(kind, one["id"]))
                    thing.found(one)
                    break
        if owner and not owners[owner].through and _is_brought(thing.stored or {}):
            _say(thing, owner)


def listed(things: Sequence[Thing], kind: str) -> list[Resource]:
    """Return the facts of a kind that a message tells of merged patients: what is one holds too."""
    if not any(map(_is_merged, things)):  # as nearly always
        return []
    return [told for thing, told in _rewritten(things) if thing.resource_type == kind]


def is_listed(stored: Resource, told: Sequence[Resource]) -> bool:
    """Say whether a stored fact is one that is told, though it has another key."""
    return any(_are_one(stored, one) for one in told)


def _is_merged(thing: Thing) -> bool:
    """Say whether it is a Patient that replaces another."""
    if thing.resource_type != "Patient" or not thing.stored:
        return False
    return any(one.get("type") == "replaces" for one in thing.stored.get("link", ()))


def _rewritten(things: Sequence[Thing]) -> Iterator[tuple[Thing, Resource]]:
    """Yield each thing, and what the message says of it with the addresses of what is stored."""
    urls = {url: one.address for one in things for url in one.full_urls if one.stored}
    rewriting = Rewriting(urls)
    for thing in things:
        yield thing, rewriting.of(thing.resource)


def _is_brought(stored: Resource) -> bool:
    tags = stored.get("meta", {}).get("tag", ())
    return any(one.get("system") in (merging.RE_POINTED, merging.ROUTED) for one in tags)


async def _told(unit: Unit, kind: str, index: str, owner: str, teller: Teller) -> list[Resource]:
    """Return what the teller's institution alone told of a patient, first what a merge brought."""
    found = await unit.find(kind, Has(index, "reference", (Is(owner),)))
    held: list[Resource] = [fhirjson.loads(one.content) for one in found]
    own = [one for one in held if tellers_of(one) == {teller.system}]
    return sorted(own, key=_is_brought, reverse=True)


def _are_one(stored: Resource, told: Resource) -> bool:
    kind = told["resourceType"]
    if kind == "Condition":
        same_visit = stored.get("encounter") == told.get("encounter")
        return same_visit and not _codes(stored).isdisjoint(_codes(told))
    if kind == "Coverage" and not ("identifier" in stored or "identifier" in told):
        return all(stored.get(name) == told.get(name) for name in ("type", "payor"))
    return (share_a_name if kind == "RelatedPerson" else are_alike)(stored, told)


def _codes(condition: Mapping[str, Any]) -> set[tuple[str, str]]:
    code = condition.get("code", {})
    codings = {(one.get("system", ""), one.get("code", "")) for one in code.get("coding", ())}
    return codings or {("", code.get("text", ""))}


def _say(thing: Thing, owner: str) -> None:
    """Tag what is a person's own, and of no visit, with the record of whom it is told now."""
    if thing.resource_type != "Condition":
        logical_id = owner.rpartition("/")[2]
        thing.say(merging.tagged(thing.resource, merging.TOLD_OF, logical_id))
