"""A merge undone (A37), and two records linked without being one (A24).

What a merge re-points is tagged with the record that it referred to, so that it can go back.
What came later under the old number is tagged too, but stays with the survivor: a human decides,
and finds it by the tag. Both records are then as their numbers say.

Spec: HL7v2 chapter 3, A24 and A37; https://hl7.org/fhir/R4/patient.html#merge
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.errors import VersionConflict
from fhir_hub.hl7v2.meaning.telling import Note, Telling
from fhir_hub.hl7v2.merge import Resource
from fhir_hub.hl7v2.things import Thing
from fhir_hub.identity import match, systems
from fhir_hub.r4.references import find_references
from fhir_hub.repository.unit import Unit
from fhir_hub.search.plan import Has, Is
from fhir_hub.store.base import Key

# Tags: the code is the logical id of the record that was merged away.
RE_POINTED = f"{systems.BASE}/CodeSystem/re-pointed-from"
ROUTED = f"{systems.BASE}/CodeSystem/came-by-merged"
EVENTS = ("A24", "A37")


def tagged(resource: Resource, system: str, logical_id: str) -> Resource:
    """Return the resource with a tag that names a record merged away."""
    meta = resource.get("meta", {})
    tag = {"system": system, "code": logical_id}
    tags = [one for one in meta.get("tag", ()) if one != tag]
    return {**resource, "meta": {**meta, "tag": [*tags, tag]}}


def _untagged(resource: Resource, gone: Sequence[str]) -> Resource:
    meta = {**resource["meta"]}
    tags = [
        tag
        for tag in meta.pop("tag", ())
        if not (tag.get("system") == RE_POINTED and tag.get("code") in gone)
    ]
    return {**resource, "meta": {**meta, "tag": tags} if tags else meta}


async def find(unit: Unit, patients: Sequence[Thing]) -> None:
    """Find each record of the message by its own numbers, also one that was merged away.

    Raises `VersionConflict` where numbers lead to several that are in use.
    """
    for thing in patients:
        numbers = match.numbers(thing.resource.get("identifier", ()))
        held: list[Resource] = [
            fhirjson.loads(stored.content)
            for stored in (await unit.find("Patient", match.plan_of(numbers)) if numbers else ())
        ]
        alive = [one for one in held if not match.survivor_id(one)]
        if len(alive) > 1:
            raise VersionConflict("the number leads to several", expression="Patient.identifier")
        if chosen := (alive or held):
            thing.found(chosen[0])
            thing.is_left = thing.is_left or bool(match.survivor_id(chosen[0]))


async def stage(
    unit: Unit, patients: Sequence[Thing], telling: Telling, resource_types: Sequence[str]
) -> str:
    """Link (A24) or unlink (A37) the two records of a message; return what people should know.

    Where they were merged that is undone: what was re-pointed goes back. Where there is nothing
    to undo nothing is done, and noted.
    """
    if len(patients) < 2:
        telling.notes.append(Note("names_one_record", "Patient"))
        return ""
    first, second = patients[:2]
    if telling.teller.event == "A24":
        for one, other in ((first, second), (second, first)):
            await _change_links(unit, one.logical_id, add=(other.address, "seealso"))
        return ""
    for prior, survivor in ((first, second), (second, first)):
        stored = prior.stored or {}
        if match.survivor_id(stored) == survivor.logical_id:
            return await _unmerge(unit, prior, survivor, telling, resource_types)
    for one, other in ((first, second), (second, first)):
        await _change_links(unit, one.logical_id, drop=other.address)
    return ""


async def _unmerge(
    unit: Unit,
    prior: Thing,
    survivor: Thing,
    telling: Telling,
    resource_types: Sequence[str],
) -> str:
    last = await _last(unit, survivor)
    later = [survivor.logical_id, *last[:-1]]
    await _change_links(unit, survivor.logical_id, drop=prior.address)
    await _change_links(unit, prior.logical_id, drop=survivor.address, active=True)
    back = stay = 0
    for resource_type in resource_types:
        for stored in await unit.find(resource_type, _tag(RE_POINTED, prior.logical_id)):
            resource = fhirjson.loads(stored.content)
            for reference, _ in find_references(resource):
                if reference["reference"] == f"Patient/{last[-1]}":
                    reference["reference"] = prior.address
            resource = _untagged(resource, [prior.logical_id, *later])
            await unit.update(resource, stored.logical_id)
            back += 1
        for stored in await unit.find(resource_type, _tag(ROUTED, prior.logical_id)):
            telling.notes.append(Note("kept_after_unlink", resource_type, stored.logical_id))
            stay += 1
    if not stay:
        return f"{back} resources went back to {prior.address}"
    return (
        f"{back} resources went back to {prior.address}; {stay} that came after the merge stay "
        f"with Patient/{last[-1]}: find them by _tag={ROUTED}|{prior.logical_id}"
    )


async def _last(unit: Unit, survivor: Thing) -> list[str]:
    """Return the records on the way from a survivor to the one in use, that one last."""
    way, resource = [survivor.logical_id], survivor.stored or {}
    while (following := match.survivor_id(resource)) and following not in way:
        way.append(following)
        stored = await unit.current(Key("Patient", following))
        resource = fhirjson.loads(stored.content) if stored and stored.content else {}
    return way


def _tag(system: str, logical_id: str) -> Has:
    return Has("_tag", "token", (Is(logical_id, system),))


async def _change_links(
    unit: Unit,
    logical_id: str,
    *,
    add: tuple[str, str] = ("", ""),
    drop: str = "",
    active: bool | None = None,
) -> None:
    stored = await unit.current(Key("Patient", logical_id))
    if stored is None or stored.is_deleted:
        return
    resource: dict[str, Any] = fhirjson.loads(stored.content)
    links = [link for link in resource.pop("link", ()) if _other(link) not in (drop, add[0])]
    if add[0]:
        links.append({"other": {"reference": add[0]}, "type": add[1]})
    changed = {**resource, "link": links} if links else resource
    await unit.update(changed if active is None else {**changed, "active": active}, logical_id)


def _other(link: Mapping[str, Any]) -> str:
    return str(link.get("other", {}).get("reference", ""))


def explain(records: Sequence[Thing], text: str) -> None:
    """Say in the message's Provenance what went back and what stays where it is."""
    for thing in records if text else ():
        if thing.resource["resourceType"] == "Provenance":
            reasons = [*thing.resource.get("reason", ()), {"text": text}]
            resource = {**thing.resource, "reason": reasons}
            thing.converted = replace(thing.converted, resource=resource)
