"""Two records of one person become one, and two again: the one implementation of both.

The prior record says that it is replaced by the surviving one, which says that it replaces it.
Both stay readable; the prior one is no longer active, and what referred to it refers to the
survivor from then on, tagged with the record that it came from, so that it can go back. What comes
later by the prior one's number is tagged too, and goes back with it; so does what was told of a
visit that goes back. Who was meant when something was recorded (Provenance, AuditEvent) does not
change. All is staged in one unit.

Spec: https://hl7.org/fhir/R4/patient.html#merge; HL7v2 chapter 3, A37 and A40
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.clock import instant
from fhir_hub.errors import NotFound, NotInThisState, RuleBroken
from fhir_hub.identity import match, review_tasks, systems
from fhir_hub.r4.references import find_references
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.search.parameters import Parameters
from fhir_hub.search.plan import Has, Is, Or
from fhir_hub.store.base import Key

# Tags: the code is the logical id of the record that was merged away, or that something left.
RE_POINTED = f"{systems.BASE}/CodeSystem/re-pointed-from"
ROUTED = f"{systems.BASE}/CodeSystem/came-by-merged"
MOVED = f"{systems.BASE}/CodeSystem/moved-from"
# The code is the logical id of the survivor, of whom what was re-pointed was told again since.
TOLD_OF = f"{systems.BASE}/CodeSystem/told-of"
_LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
# Who was meant when something was written or read does not change afterwards.
_RECORDS = ("Patient", "Provenance", "AuditEvent")
_AT_ONCE = 500  # addresses in one search


def referrers(parameters: Parameters, target: str = "Patient") -> dict[str, list[str]]:
    """Return each resource type that may refer to a `target`, and by which index entries."""
    found: dict[str, list[str]] = {}
    for resource_type in sorted(parameters.definitions.resource_types):
        if resource_type in _RECORDS:
            continue
        indexes = {
            index
            for parameter in parameters.of(resource_type).values()
            if parameter.kind == "reference" and target in parameter.targets
            for index in parameter.indexes
        }
        if indexes:
            found[resource_type] = sorted(indexes)
    return found


async def patient(unit: Unit, logical_id: str, role: str) -> Resource:
    """Return a Patient that is there; raises `NotFound` that says in which `role` it is not."""
    stored = await unit.current(Key("Patient", logical_id))
    if stored is None or stored.is_deleted:
        raise NotFound(f"the {role} patient does not exist")
    resource: Resource = fhirjson.loads(stored.content)
    return resource


def require(prior: Resource, survivor: Resource) -> None:
    """Raise unless the prior record may go into the survivor.

    Raises `RuleBroken` for one and the same and for two persons, `NotInThisState` for a record
    that was merged away before.
    """
    if prior["id"] == survivor["id"]:
        raise RuleBroken("a patient cannot be merged into itself", expression="Patient.link")
    for resource, role in ((survivor, "target"), (prior, "source")):
        if other := match.survivor_id(resource):
            raise NotInThisState(
                f"the {role} patient was merged into Patient/{other} already: merge with that one, "
                "or undo it first by $unmerge",
                expression="Patient.link",
            )
    if not match.same_person(prior, survivor):
        raise RuleBroken(
            "the two have different valid resident IDs, so they are two persons; correct the "
            "wrong number first",
            expression="Patient.identifier",
        )


async def merge(unit: Unit, prior: Resource, survivor_id: str, parameters: Parameters) -> int:
    """Stage that the stored `prior` record goes into the survivor; return how many were re-pointed.

    Whether it may is the caller's affair (`require`).
    """
    await link(unit, survivor_id, "replaces", prior["id"])
    resource = linked({**prior, "active": False}, "replaced-by", survivor_id)
    await unit.update(resource, prior["id"])
    moved = 0
    for resource_type, indexes in referrers(parameters).items():
        moved += await _lead_on(unit, resource_type, indexes, prior["id"], survivor_id)
    await review_tasks.settle(unit, prior["id"], survivor_id, is_one=True)
    return moved


def record(unit: Unit, activity: str, prior_id: str, survivor_id: str) -> None:
    """Stage the Provenance of a `merge` or `unmerge` that came over FHIR.

    Spec: http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle
    """
    coding = {"system": _LIFECYCLE, "code": activity}
    unit.create(
        {
            "resourceType": "Provenance",
            "target": [{"reference": f"Patient/{one}"} for one in (prior_id, survivor_id)],
            "recorded": instant(unit.now),
            "activity": {"coding": [coding]},
            "agent": [{"who": {"display": f"Patient/${activity}"}}],
        }
    )


async def link(unit: Unit, logical_id: str, kind: str, other_id: str) -> None:
    """Stage a link of a Patient to another."""
    stored = await unit.current(Key("Patient", logical_id))
    assert stored is not None
    await unit.update(linked(fhirjson.loads(stored.content), kind, other_id), logical_id)


def linked(resource: Resource, kind: str, other_id: str) -> Resource:
    """Return the Patient with a link of a kind to another, once."""
    address = f"Patient/{other_id}"
    links = [
        one
        for one in resource.get("link", ())
        if (one.get("other", {}).get("reference"), one.get("type")) != (address, kind)
    ]
    return {**resource, "link": [*links, {"other": {"reference": address}, "type": kind}]}


async def _lead_on(
    unit: Unit, resource_type: str, indexes: Sequence[str], old_id: str, new_id: str
) -> int:
    count = 0
    plan = Or(tuple(Has(index, "reference", (Is(f"Patient/{old_id}"),)) for index in indexes))
    for stored in await unit.find(resource_type, plan):
        resource = fhirjson.loads(stored.content)
        if review_tasks.is_review(resource):
            continue
        resource = _re_pointed(resource, old_id, new_id)
        await unit.update(tagged(resource, RE_POINTED, old_id), stored.logical_id)
        count += 1
    return count


def _re_pointed(resource: Resource, old_id: str, new_id: str) -> Resource:
    """Have what a resource says of one Patient said of another; return the resource."""
    for reference, _ in find_references(resource):
        if reference["reference"] == f"Patient/{old_id}":
            reference["reference"] = f"Patient/{new_id}"
    return resource


def tagged(resource: Resource, system: str, logical_id: str) -> Resource:
    """Return the resource with a tag that names a record merged away."""
    meta = resource.get("meta", {})
    tag = {"system": system, "code": logical_id}
    tags = [one for one in meta.get("tag", ()) if one != tag]
    return {**resource, "meta": {**meta, "tag": [*tags, tag]}}


def is_led_on(before: Resource, after: Resource, old_id: str, new_id: str) -> bool:
    """Say whether a merge, its undoing or a move (A43) has what was of one record be another's."""
    return _has_left(after, old_id) or _has_left(before, new_id)


def has_come_along(resource: Resource, logical_id: str) -> bool:
    """Say whether a merge or a move had a record have what was of another one."""
    return any(one != logical_id for one in _left(resource))


def _has_left(resource: Resource, logical_id: str) -> bool:
    return logical_id in _left(resource)


def _left(resource: Resource) -> list[str]:
    """Return the logical ids of the records that a resource was of."""
    tags = resource.get("meta", {}).get("tag", ())
    ways = (RE_POINTED, ROUTED, MOVED)
    return [str(one.get("code")) for one in tags if one.get("system") in ways]


def settled(resource: Resource) -> Resource:
    """Return the resource without tags of a record that it is about again: it came back there."""
    tags = resource.get("meta", {}).get("tag", ())
    left = [(tag["code"], tag["system"]) for tag in tags if tag.get("system") in (ROUTED, MOVED)]
    if not left:
        return resource
    there = {reference["reference"] for reference, _ in find_references(resource)}
    for code, system in left:
        if f"Patient/{code}" in there:
            resource = _untagged(resource, [code], system)
    return resource


def _untagged(resource: Resource, gone: Sequence[str], system: str = RE_POINTED) -> Resource:
    meta = {**resource["meta"]}
    tags = [
        tag
        for tag in meta.pop("tag", ())
        if not (tag.get("system") == system and tag.get("code") in gone)
    ]
    return {**resource, "meta": {**meta, "tag": tags} if tags else meta}


async def unmerge(unit: Unit, prior_id: str, survivor: Resource, parameters: Parameters) -> int:
    """Stage that a record that was merged into `survivor` is one of its own again.

    What was re-pointed goes back, and what came later by its number, or of a visit that goes back;
    return how many resources do. What came under the survivor's own number stays there.
    """
    back = await _part(unit, prior_id, survivor, parameters, is_of_both=True)
    await review_tasks.settle(unit, prior_id, survivor["id"], is_one=False)
    return back


async def take_back(unit: Unit, prior: Resource, parameters: Parameters) -> None:
    """Stage that a record merged away is in use beside the one to which it led."""
    survivor = await patient(unit, match.survivor_id(prior), "target")
    await _part(unit, prior["id"], survivor, parameters)


async def _part(
    unit: Unit,
    prior_id: str,
    survivor: Resource,
    parameters: Parameters,
    *,
    is_of_both: bool = False,
) -> int:
    """Part two records; what was told of both since stays with both, if that `is_of_both`."""
    on = await way(unit, survivor)
    behind = await _behind(unit, prior_id)
    await change_links(unit, survivor["id"], drop=f"Patient/{prior_id}")
    await change_links(unit, prior_id, drop=f"Patient/{survivor['id']}", active=True)
    plan = Or((_tag(RE_POINTED, prior_id), *(_tag(ROUTED, one) for one in behind)))
    back, visits = 0, list[str]()
    for resource_type in referrers(parameters):
        for stored in await unit.find(resource_type, plan):
            resource = fhirjson.loads(stored.content)
            if is_of_both and not _told_of(resource).isdisjoint(on):
                unit.create(_stays(fhirjson.loads(stored.content), on))
            resource = _re_pointed(_untagged(resource, on, TOLD_OF), on[-1], prior_id)
            resource = settled(_untagged(resource, [prior_id, *on[:-1]]))
            await unit.update(resource, stored.logical_id)
            back += 1
            if resource_type == "Encounter":
                visits.append(f"Encounter/{stored.logical_id}")
    return back + await _lead_back(unit, visits, on[-1], prior_id, parameters)


async def _behind(unit: Unit, logical_id: str) -> list[str]:
    """Return the logical id of a record, and those of all that were merged into it."""
    ids = [logical_id]
    for one in ids:
        stored = await unit.current(Key("Patient", one))
        resource = fhirjson.loads(stored.content) if stored and stored.content else {}
        links = [link for link in resource.get("link", ()) if link.get("type") == "replaces"]
        found = [_other(link).rpartition("/")[2] for link in links]
        ids += [each for each in found if each not in ids]
    return ids


async def _lead_back(
    unit: Unit, visits: Sequence[str], old_id: str, new_id: str, parameters: Parameters
) -> int:
    """Stage what was told of visits that go back, and of no other one, as of their patient."""
    count = 0
    for resource_type, indexes in referrers(parameters, "Encounter").items() if visits else ():
        for at in range(0, len(visits), _AT_ONCE):
            tests = tuple(Is(one) for one in visits[at : at + _AT_ONCE])
            plan = Or(tuple(Has(index, "reference", tests) for index in indexes))
            for stored in await unit.find(resource_type, plan):
                resource = fhirjson.loads(stored.content)
                named = {one["reference"] for one, _ in find_references(resource)}
                others = {one for one in named if one.startswith("Encounter/")}.difference(visits)
                if f"Patient/{old_id}" in named and not others:
                    resource = _re_pointed(resource, old_id, new_id)
                    await unit.update(resource, stored.logical_id)
                    count += 1
    return count


def _told_of(resource: Resource) -> set[str]:
    tags = resource.get("meta", {}).get("tag", ())
    return {str(tag.get("code")) for tag in tags if tag.get("system") == TOLD_OF}


def _stays(resource: Resource, on: Sequence[str]) -> Resource:
    """Return what stays with the survivors `on` of what goes back: the same, as they were told."""
    meta = {name: part for name, part in resource["meta"].items() if name != "versionId"}
    meta["tag"] = [
        tag
        for tag in meta.get("tag", ())
        if tag.get("system") not in (RE_POINTED, ROUTED) or tag.get("code") in on
    ]
    rest = {name: part for name, part in resource.items() if name != "id"}
    return {**rest, "meta": meta}


async def way(unit: Unit, record: Resource) -> list[str]:
    """Return the logical ids on the way from a record to the one in use, that one last."""
    ids, resource = [record["id"]], record
    while (following := match.survivor_id(resource)) and following not in ids:
        ids.append(following)
        stored = await unit.current(Key("Patient", following))
        resource = fhirjson.loads(stored.content) if stored and stored.content else {}
    return ids


def _tag(system: str, logical_id: str) -> Has:
    return Has("_tag", "token", (Is(logical_id, system),))


async def change_links(
    unit: Unit,
    logical_id: str,
    *,
    add: tuple[str, str] = ("", ""),
    drop: str = "",
    active: bool | None = None,
) -> None:
    """Stage a Patient with a link added (address, type) or taken out, if it is there."""
    stored = await unit.current(Key("Patient", logical_id))
    if stored is None or stored.is_deleted:
        return
    resource: dict[str, Any] = fhirjson.loads(stored.content)
    gone = {drop, add[0]} - {""}  # a link to somebody elsewhere has no address
    links = [one for one in resource.pop("link", ()) if _other(one) not in gone]
    if add[0]:
        links.append({"other": {"reference": add[0]}, "type": add[1]})
    changed = {**resource, "link": links} if links else resource
    await unit.update(changed if active is None else {**changed, "active": active}, logical_id)


def _other(one: Mapping[str, Any]) -> str:
    return str(one.get("other", {}).get("reference", ""))


def told(back: int, prior_id: str) -> str:
    """Return what people should know of an undone merge."""
    return f"{back} resources went back to Patient/{prior_id}"
