"""The review list: one Task for each pair of Patients who may be one person.

A pair has one Task for ever, found by its identifier, so nobody is asked twice. `for` is the
record that was there first, `focus` the one that came later. Its inputs tell score, grade and what
each field said, nothing of the people. `completed` is "one person, merged", `rejected` "two".

Spec: https://hl7.org/fhir/R4/task.html; docs/identity.md
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.clock import instant
from fhir_hub.identity import systems
from fhir_hub.identity.score import Score
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.search.plan import Has, Is

PAIR = f"{systems.BASE}/sid/possible-duplicate"
CODES = f"{systems.BASE}/CodeSystem/identity-review"
MERGED, NOT_ONE = ("merged", "Merged / 已合并"), ("not-a-duplicate", "Two persons / 非同一人")
_CODE = {
    "coding": [{"system": CODES, "code": "possible-duplicate", "display": "Possible duplicate"}],
    "text": "Possible duplicate / 疑似重复患者",
}


def is_review(resource: Resource) -> bool:
    """Say whether a resource is a Task of the review list."""
    if resource.get("resourceType") != "Task":
        return False
    return any(one.get("system") == PAIR for one in resource.get("identifier", ()))


def pair_of(one: str, other: str) -> str:
    """Return what identifies a pair of Patients, whichever comes first."""
    return ":".join(sorted((one, other)))


def patients_of(task: Resource) -> tuple[str, str]:
    """Return the logical ids of the later and of the earlier record of a Task."""
    later, earlier = (task.get(name, {}).get("reference", "") for name in ("focus", "for"))
    return later.rpartition("/")[2], earlier.rpartition("/")[2]


async def of_pairs(unit: Unit, pairs: Iterable[str]) -> dict[str, Resource]:
    """Return the Tasks that there are for pairs; the commit holds only if that stays so."""
    tests = tuple(Is(pair, PAIR) for pair in pairs)
    if not tests:
        return {}
    found: dict[str, Resource] = {}
    for stored in await unit.find("Task", Has("identifier", "token", tests)):
        task: Resource = fhirjson.loads(stored.content)
        found[pair_of(*patients_of(task))] = task
    return found


async def of_patient(unit: Unit, logical_id: str) -> list[Resource]:
    """Return the Tasks of the review list that a Patient stands in."""
    tests = (Is(f"Patient/{logical_id}"),)
    found = [
        fhirjson.loads(stored.content)
        for index in ("focus", "subject")
        for stored in await unit.find("Task", Has(index, "reference", tests))
    ]
    return [one for one in found if is_review(one)]


def ask(unit: Unit, later: str, earlier: str, score: Score) -> None:
    """Stage the Task that asks whether two Patients are one person."""
    inputs = [
        _input("score", "valueDecimal", Decimal(f"{score.score:.4f}")),
        _input("grade", "valueCode", score.grade),
        *(
            _input("field", "valueString", f"{part.field}: {part.level} {part.bits:+.1f}")
            for part in score.parts
        ),
    ]
    unit.create(_task(unit, later, earlier, "requested") | {"input": inputs})


def _task(unit: Unit, later: str, earlier: str, status: str) -> Resource:
    return {
        "resourceType": "Task",
        "identifier": [{"system": PAIR, "value": pair_of(later, earlier)}],
        "status": status,
        "intent": "proposal",
        "code": _CODE,
        "focus": {"reference": f"Patient/{later}"},
        "for": {"reference": f"Patient/{earlier}"},
        "authoredOn": instant(unit.now),
    }


def _input(code: str, element: str, value: Any) -> dict[str, Any]:
    return {"type": {"coding": [{"system": CODES, "code": code}]}, element: value}


async def settle(unit: Unit, one: str, other: str, *, is_one: bool) -> None:
    """Stage what was decided of a pair: one person, merged; or two, so that nobody asks again."""
    known = (await of_pairs(unit, [pair_of(one, other)])).get(pair_of(one, other))
    status, (code, text) = ("completed", MERGED) if is_one else ("rejected", NOT_ONE)
    if known is None:
        if is_one:
            return
        known = _task(unit, one, other, status)
    why = {"coding": [{"system": CODES, "code": code}], "text": text}
    decided = known | {"status": status, "businessStatus": why, "lastModified": instant(unit.now)}
    if "id" not in known:
        unit.create(decided)
    elif known.get("status") != status or known.get("businessStatus") != why:
        await unit.update(decided, known["id"])
