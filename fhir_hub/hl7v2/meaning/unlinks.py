"""A merge undone (A37), and two records linked without being one (A24).

What a merge re-pointed goes back; what came later under the old number is tagged too, but stays
with the survivor: a human decides, and finds it by the tag (`identity/merging.py` does both, for
FHIR's operations too). Both records are then as their numbers say.

Spec: HL7v2 chapter 3, A24 and A37; https://hl7.org/fhir/R4/patient.html#merge
"""

from collections.abc import Sequence

from fhir_hub import fhirjson
from fhir_hub.errors import VersionConflict
from fhir_hub.hl7v2.meaning.telling import Note, Telling
from fhir_hub.hl7v2.storing.merge import Resource
from fhir_hub.hl7v2.storing.things import Thing
from fhir_hub.identity import match, merging
from fhir_hub.repository.unit import Unit

EVENTS = ("A24", "A37")
MERGES = frozenset(["A18", "A30", "A34", "A36", "A39", "A40"])


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
            raise VersionConflict(
                "the number leads to several / 该号码对应多个患者", expression="Patient.identifier"
            )
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
    opposite = ("A37",) if telling.teller.event == "A24" else (*MERGES, "A24")
    if await telling.has_since(opposite, first.key, second.key):
        return ""
    if telling.teller.event == "A24":
        ways = [
            await merging.way(unit, one.stored or {"id": one.logical_id}) for one in patients[:2]
        ]
        if not set(ways[0]).isdisjoint(ways[1]):  # merged: they are one already
            telling.notes.append(Note("names_one_record", "Patient"))
            return ""
        for one, other in ((first, second), (second, first)):
            await merging.change_links(unit, one.logical_id, add=(other.address, "seealso"))
        return ""
    for prior, survivor in ((first, second), (second, first)):
        stored = prior.stored or {}
        if match.survivor_id(stored) == survivor.logical_id:
            return await _unmerge(unit, prior, survivor, telling, resource_types)
    for one, other in ((first, second), (second, first)):
        await merging.change_links(unit, one.logical_id, drop=other.address)
    return ""


async def _unmerge(
    unit: Unit,
    prior: Thing,
    survivor: Thing,
    telling: Telling,
    resource_types: Sequence[str],
) -> str:
    resource = survivor.stored or {"id": survivor.logical_id}
    undone = await merging.unmerge(unit, prior.logical_id, resource, resource_types)
    telling.notes.extend(Note("kept_after_unlink", *key) for key in undone.kept)
    return merging.told(undone, prior.logical_id)


def explain(records: Sequence[Thing], text: str) -> None:
    """Say in the message's Provenance what went back and what stays where it is."""
    for thing in records if text else ():
        if thing.resource["resourceType"] == "Provenance":
            reasons = [*thing.resource.get("reason", ()), {"text": text}]
            resource = {**thing.resource, "reason": reasons}
            thing.converted = thing.converted._replace(resource=resource)
