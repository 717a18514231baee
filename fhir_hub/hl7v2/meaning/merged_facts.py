"""What a merge brought along, or came by the number given up, is known again under the one in use.

What has no number of its own is found by a key that the patient's number is part of. So under the
survivor's number nothing would be found of what was told under the other one: each allergy, cover
and diagnosis would be there twice, the one of before as over. Here it is found by what it is of.
Where the merge is undone both have it (`identity/merging.py`); a diagnosis goes with its visit.

Spec: https://hl7.org/fhir/R4/patient.html#merge; HL7v2 chapter 2, 2.10.4
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.hl7v2.conversion.convert import with_resource
from fhir_hub.hl7v2.meaning.teller import Teller, institution_of, stamps_of
from fhir_hub.hl7v2.storing.alike import are_alike, share_a_name
from fhir_hub.hl7v2.storing.merge import Resource
from fhir_hub.hl7v2.storing.rewriting import Rewriting
from fhir_hub.hl7v2.storing.things import Thing, patients_of
from fhir_hub.identity import merging
from fhir_hub.repository.unit import Unit
from fhir_hub.search.plan import Has, Is
from fhir_hub.store.base import Key

_KINDS = ("AllergyIntolerance", "Condition", "Coverage", "RelatedPerson")


async def find(unit: Unit, things: Sequence[Thing], teller: Teller) -> None:
    """Have what no key finds found among what a merge brought and the same institution told."""
    owners = {
        one.address: prior
        for one in things
        if one.resource_type == "Patient" and one.stored and (prior := _merged(one.stored))
    }
    if not owners:  # as nearly always
        return
    rewriting = Rewriting(
        {url: one.address for one in things for url in one.full_urls if one.stored}
    )
    taken = {one.key for one in things if one.stored}
    known: dict[tuple[str, str], list[Resource]] = {}
    for thing in things:
        kind = thing.resource_type
        if kind not in _KINDS or thing.is_anothers or thing.converted.mode == "create":
            continue
        told = rewriting.of(thing.resource)
        for owner in patients_of(told):
            if owner not in owners:
                continue
            if thing.stored:  # by a number of its own
                if not set(owners[owner]).isdisjoint(_tags(thing.stored)):
                    _say(thing, owner)
                break
            if (kind, owner) not in known:
                known[kind, owner] = await _brought(unit, kind, owner, owners[owner], teller)
            for one in known[kind, owner]:
                if Key(kind, one["id"]) not in taken and _are_one(one, told):
                    taken.add(Key(kind, one["id"]))
                    thing.found(one)
                    _say(thing, owner)
                    break


def _merged(patient: Resource) -> tuple[Is, ...]:
    """Return the tags of what came from records that a Patient replaces, or by their numbers."""
    links = (one for one in patient.get("link", ()) if one.get("type") == "replaces")
    ids = (str(one["other"].get("reference", "")).rpartition("/")[2] for one in links)
    kinds = (merging.RE_POINTED, merging.ROUTED)
    return tuple(Is(one, kind) for one in ids if one for kind in kinds)


def _tags(resource: Resource) -> set[Is]:
    tags = resource.get("meta", {}).get("tag", ())
    return {Is(str(one.get("code")), str(one.get("system"))) for one in tags}


async def _brought(
    unit: Unit, kind: str, owner: str, tags: tuple[Is, ...], teller: Teller
) -> list[Resource]:
    found = await unit.find(kind, Has("_tag", "token", tags))
    held: list[Resource] = [fhirjson.loads(one.content) for one in found]
    return [
        one
        for one in held
        if owner in patients_of(one)
        and {institution_of(stamp) for stamp in stamps_of(one)} == {teller.system}
    ]


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
        resource = merging.tagged(thing.resource, merging.TOLD_OF, logical_id)
        thing.converted = with_resource(thing.converted, resource)
