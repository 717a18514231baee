"""What every write of a Patient is asked: may this be somebody whom the hub knows already?

A Patient that is new, or whose numbers, name, birth date or phones change, is matched, and each
who may be the same person goes on the review list in the same write. A client answers by the
Task's status: `completed` merges the later record into the earlier one, `rejected` says that they
are two persons; neither is asked again. A Patient that is deleted takes its open questions along.

Spec: https://hl7.org/fhir/R4/task.html; docs/identity.md
"""

from functools import cache

from fhir_hub import fhirjson
from fhir_hub.errors import NotInThisState, RuleBroken
from fhir_hub.identity import blocks, doubles, match, merging, review_tasks
from fhir_hub.identity.traits import traits_of
from fhir_hub.r4.definitions import load_definitions
from fhir_hub.r4.placeholders import is_placeholder
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.search.parameters import Parameters
from fhir_hub.store.base import Key

_MOST = 10  # questions that one write may raise: more is a filler that nobody can answer


@cache
def _parameters() -> Parameters:
    return Parameters(load_definitions())


async def follow_patient(
    unit: Unit, key: Key, before: Resource | None, after: Resource | None
) -> None:
    """Stage the questions that a written Patient raises, or take back those of a deleted one."""
    if after is None:
        for task in await review_tasks.of_patient(unit, key.logical_id):
            await unit.delete(Key("Task", task["id"]))
        return
    if not _is_in_use(after) or is_placeholder(after):
        return
    if before is not None and _is_in_use(before) and _compared(before) == _compared(after):
        return
    found = await doubles.find(after, doubles.OfUnit(unit), without=key.logical_id)
    others = [one for one in found if _is_in_use(one.patient)][:_MOST]
    pairs = {review_tasks.pair_of(key.logical_id, one.stored.logical_id): one for one in others}
    known = await review_tasks.of_pairs(unit, pairs)
    for pair, one in pairs.items():
        if pair not in known:
            review_tasks.ask(unit, key.logical_id, one.stored.logical_id, one.score)


def _is_in_use(patient: Resource) -> bool:
    return patient.get("active") is not False and not match.survivor_id(patient)


def _compared(patient: Resource) -> tuple[object, ...]:
    traits = traits_of(patient)
    return blocks.keys(traits), traits.numbers, traits.claimed


async def follow_task(
    unit: Unit, key: Key, before: Resource | None, after: Resource | None
) -> None:
    """Do what an answer of the review list says.

    Raises `RuleBroken` for a question that is changed instead of answered, `NotInThisState` for
    an answer that must be taken back by `$unmerge`.
    """
    if after is None or not review_tasks.is_review(after):
        return
    was = before.get("status") if before else None
    if before is None:
        if after.get("status") == "completed":
            later, earlier = await _in_use(unit, after)
            if later["id"] != earlier["id"]:
                raise RuleBroken(
                    "a review is asked before it is answered", expression="Task.status"
                )
        return
    if any(before.get(name) != after.get(name) for name in ("identifier", "focus", "for")):
        raise RuleBroken("which two patients a review is about does not change", expression="Task")
    if was == after.get("status"):
        return
    later, earlier = await _in_use(unit, after)
    is_merged = later["id"] == earlier["id"]
    if after.get("status") == "completed" and not is_merged:
        merging.require(later, earlier)
        await merging.merge(unit, later, earlier["id"], _parameters())
        merging.record(unit, "merge", later["id"], earlier["id"])
        await review_tasks.settle(unit, *review_tasks.patients_of(after), is_one=True)
    elif was == "completed" and is_merged:
        raise NotInThisState(
            "the two are merged: undo that by Patient/$unmerge", expression="Task.status"
        )


async def _in_use(unit: Unit, task: Resource) -> tuple[Resource, Resource]:
    """Return the records in use to which the two of a Task lead."""
    later, earlier = review_tasks.patients_of(task)
    return await _survivor(unit, later, "later"), await _survivor(unit, earlier, "earlier")


async def _survivor(unit: Unit, logical_id: str, role: str) -> Resource:
    patient = await merging.patient(unit, logical_id, role)
    seen = {logical_id}
    while (following := match.survivor_id(patient)) and following not in seen:
        seen.add(following)
        stored = await unit.current(Key("Patient", following))
        if stored is None or stored.is_deleted:
            break
        patient = fhirjson.loads(stored.content)
    return patient
