"""`Patient/$merge` and `$unmerge`: two records of one person become one, and two again.

The parameters are those of the operation that HL7 has drafted for later versions: source (it goes
into the other) and target (it stays), each by reference or by identifiers, a `result-patient` to be
stored as the target, and `preview`, which does all but the write. The work is that of
`identity/merging.py`, which HL7v2 A40 and A37 do too; all of it is one atomic write.

Spec: https://build.fhir.org/patient-operation-merge.html; https://hl7.org/fhir/R4/patient.html#merge
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from fhir_hub import fhirjson
from fhir_hub.errors import (
    InvalidParameter,
    NotFound,
    NotInThisState,
    PreconditionFailed,
    outcome_of,
)
from fhir_hub.identity import match, merging
from fhir_hub.repository.unit import Resource, Unit, Warned
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer
from fhir_hub.rest.operations.inputs import Inputs, only_on, read_inputs, returned
from fhir_hub.rest.service import Service

ON = ("Patient",)
_ROLES = ("source-patient", "target-patient")
_BOTH = tuple(f"{role}{kind}" for role in _ROLES for kind in ("", "-identifier"))


class _Done(NamedTuple):
    """What was staged: what to tell people, and the target as it is after it."""

    said: str
    result: Resource


Work = Callable[[Unit], Awaitable[_Done]]


async def merge(request: FhirRequest, service: Service) -> FhirResponse:
    """Merge the source into the target: 200, Parameters with `outcome` and the target, `result`.

    Raises `InvalidParameter`, `NotFound`, `NotInThisState` if one was merged before, `RuleBroken`
    for two persons or one record.
    """
    only_on(request, service, *ON)
    inputs = read_inputs(request, "$merge", (*_BOTH, "result-patient", "preview"))
    given = _result(inputs, service)

    async def work(unit: Unit) -> _Done:
        source, target = [await _patient(unit, inputs, role) for role in _ROLES]
        merging.require(source, target)
        if given is not None:
            await _replace(unit, given, target)
        moved = await merging.merge(unit, source, target["id"], service.parameters)
        merging.record(unit, "merge", source["id"], target["id"])
        said = f"{moved} resources of Patient/{source['id']} refer to Patient/{target['id']} now"
        return _Done(said, await merging.patient(unit, target["id"], "target"))

    return await _answered(inputs, work, service)


async def unmerge(request: FhirRequest, service: Service) -> FhirResponse:
    """Undo the merge of the source: 200, Parameters with `outcome` and the source, `result`.

    What was re-pointed goes back. Raises `NotInThisState` if it was not merged (into the target),
    `InvalidParameter`, `NotFound`.
    """
    only_on(request, service, *ON)
    inputs = read_inputs(request, "$unmerge", (*_BOTH, "preview"))

    async def work(unit: Unit) -> _Done:
        source = await _patient(unit, inputs, "source-patient")
        into = match.survivor_id(source)
        if not into:
            raise NotInThisState("the source patient is not merged", expression="Patient.link")
        if any(inputs.values(name) for name in _BOTH[2:]):
            target = await _patient(unit, inputs, "target-patient")
            if target["id"] != into:
                raise NotInThisState(
                    f"the source patient was merged into Patient/{into}", expression="Patient.link"
                )
        survivor = await merging.patient(unit, into, "target")
        back = await merging.unmerge(unit, source["id"], survivor, service.parameters)
        merging.record(unit, "unmerge", source["id"], into)
        said = merging.told(back, source["id"])
        return _Done(said, await merging.patient(unit, source["id"], "source"))

    return await _answered(inputs, work, service)


async def _answered(inputs: Inputs, work: Work, service: Service) -> FhirResponse:
    is_preview = inputs.flag("preview")
    warnings: list[Warned] = []

    async def tried(unit: Unit) -> _Done:
        nonlocal warnings
        done, warnings = await work(unit), unit.warnings
        if is_preview:
            unit.changes.clear()
        return done

    done = await service.repository.commit(tried)
    said = f"preview, nothing was changed: {done.said}" if is_preview else done.said
    chinese = "预览，未更改" if is_preview else "已完成"
    issue = {
        "severity": "information",
        "code": "informational",
        "diagnostics": said,
        "details": {"text": f"{'Preview' if is_preview else 'Done'} / {chinese}"},
    }
    issues = [issue, *outcome_of(warned.issue for warned in warnings)["issue"]]
    outcome = {"resourceType": "OperationOutcome", "issue": issues}
    rows = (("outcome", "resource", outcome), ("result", "resource", done.result))
    return answer(200, returned(*rows))


def _result(inputs: Inputs, service: Service) -> Resource | None:
    given = inputs.resource("result-patient")
    if given is not None:
        if given.get("resourceType") != "Patient":
            raise InvalidParameter("$merge: result-patient must be a Patient")
        service.checks.require(given)
    return given


async def _replace(unit: Unit, given: Resource, target: Resource) -> None:
    """Stage the target as the client wants it to be; its links are not the client's affair."""
    if given.get("id", target["id"]) != target["id"]:
        raise InvalidParameter("$merge: result-patient has another id than the target")
    if not match.same_person(given, target):
        raise InvalidParameter("$merge: result-patient has another resident ID than the target")
    plain = {name: value for name, value in given.items() if name != "link"}
    links = {"link": target["link"]} if "link" in target else {}
    await unit.update({**plain, **links}, target["id"])


async def _patient(unit: Unit, inputs: Inputs, role: str) -> Resource:
    """Return the Patient that a role names by reference, by identifiers, or by both."""
    short = role.partition("-")[0]
    reference, identifiers = inputs.value(role), inputs.values(f"{role}-identifier")
    if reference is None and not identifiers:
        raise InvalidParameter(f"name the {short} by {role} or {role}-identifier")
    found = None if reference is None else await _referred(unit, reference, role)
    if not identifiers:
        assert found is not None
        return found
    held = await _holders(unit, identifiers, role)
    if found is not None:
        if all(one["id"] != found["id"] for one in held):
            raise NotFound(f"the {short} patient does not have all these identifiers")
        return found
    alive = [one for one in held if not match.survivor_id(one)] or held
    if len(alive) > 1:
        raise PreconditionFailed(f"{len(alive)} patients have the identifiers of the {short}")
    if not alive:
        raise NotFound(f"no patient has the identifiers of the {short}")
    return alive[0]


async def _referred(unit: Unit, reference: Any, role: str) -> Resource:
    address = reference.get("reference") if isinstance(reference, dict) else reference
    if not isinstance(address, str) or not address:
        raise InvalidParameter(f"{role} must be a Reference with a literal reference")
    head, _, logical_id = address.rpartition("/")
    if head and head.rpartition("/")[2] != "Patient":
        raise InvalidParameter(f"{role} must refer to a Patient of this server")
    return await merging.patient(unit, logical_id, role.partition("-")[0])


async def _holders(unit: Unit, identifiers: list[Any], role: str) -> list[Resource]:
    numbers = match.numbers([one for one in identifiers if isinstance(one, dict)])
    if len(numbers) != len(identifiers):
        raise InvalidParameter(
            f"{role}-identifier needs system and value, and a number that is valid"
        )
    found: list[Resource] = [
        fhirjson.loads(stored.content)
        for stored in await unit.find("Patient", match.plan_of(numbers))
    ]
    return [one for one in found if set(numbers) <= set(match.numbers(one.get("identifier", ())))]
