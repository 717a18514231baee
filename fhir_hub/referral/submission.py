"""What a submitted referral must be: complete, by a route, with consent, and not a second one.

Each check returns what is wrong. A command is refused for the first of them; of a copy of what
happened elsewhere they are warnings.

Spec: DOMAIN 2.5, 2.5a, 2.5b
"""

from collections.abc import AsyncIterator

from fhir_hub.errors import Duplicate, FhirError, Issue, NotInThisState, RuleBroken
from fhir_hub.referral.consents import no_consent
from fhir_hub.referral.content import DIRECTION, missing_content
from fhir_hub.referral.finding import find, read
from fhir_hub.referral.institutions import institution_of, resource_at
from fhir_hub.referral.reading import at, codings, each, extension, key_of, moment
from fhir_hub.referral.routes import no_route, not_open, recipient_of
from fhir_hub.referral.states import is_referral, state_of
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.search.plan import Is
from fhir_hub.settings.referral import ReferralSettings
from fhir_hub.store.base import Key

_WAITING = ("requested", "received", "accepted", "in-progress")
_PLANS = ("CarePlan", "Appointment")
_GIVES_BACK = ("completed", "seen")


async def faults(
    unit: Unit, key: Key, task: Resource, settings: ReferralSettings
) -> AsyncIterator[tuple[FhirError, bool]]:
    """Yield what is against submitting a referral, and whether it is only to be warned of."""
    if issues := await missing_content(unit, task):
        yield RuleBroken(issues[0].diagnostics, *issues), False
    order = await resource_at(unit, key_of(task.get("focus")))
    if order is None or order["resourceType"] != "ServiceRequest":
        return
    patient = key_of(task.get("for")) or key_of(order.get("subject"))
    if (fault := await _of_deadline(unit, task)) is not None:
        yield fault, False
    if (fault := await not_open(unit, task, order)) is not None:
        yield fault, settings.routes == "flag"
    if settings.routes != "off" and (fault := await no_route(unit, task, patient)) is not None:
        yield fault, settings.routes == "flag"
    if (fault := await _of_way_down(unit, task, order)) is not None:
        yield fault, False
    fault = None
    if settings.consent != "off":
        fault = await no_consent(unit, task, order, patient)
    if fault is not None:
        yield fault, settings.consent == "flag"
    if (fault := await _of_number(unit, key, task)) is not None:
        yield fault, False
    if (fault := await _of_second(unit, key, task, order, patient)) is not None:
        yield fault, settings.second_referral == "flag"


async def _of_deadline(unit: Unit, task: Resource) -> FhirError | None:
    end = moment(at(task, "restriction", "period", "end"))
    text = "the referral's deadline has passed already"
    issue = Issue("expired", text, "Task.restriction.period", chinese="转诊申请已过有效期")
    return RuleBroken(text, issue) if end is not None and end < unit.now else None


async def _of_way_down(unit: Unit, task: Resource, order: Resource) -> FhirError | None:
    """Return what a referral back down lacks: a first one that was seen, a plan, a follow-up."""
    codes = {code for _, code in codings(extension(order, DIRECTION))}
    if "DOWN" not in codes:
        return None
    for reference in each(task, "partOf"):
        first = await resource_at(unit, key_of(reference))
        if first is None or not is_referral(first):
            continue
        state = state_of(first)
        if state is None or state.name not in _GIVES_BACK:
            name = state.name if state else "unclear"
            text = f"the referral that this one gives back is {name}: not yet seen or completed"
            return NotInThisState(text, expression="Task.partOf")
    linked = [key_of(one) for one in each(order, "supportingInfo")]
    is_planned = any(one.resource_type in _PLANS for one in linked if one is not None)
    if not is_planned and not any(one.startswith("occurrence") for one in order):
        text = "a referral back down says when to follow up"
        issue = Issue(
            "business-rule", text, "ServiceRequest.occurrence", chinese="下转需写明随访日期"
        )
        return RuleBroken(text, issue)
    return None


async def _of_number(unit: Unit, key: Key, task: Resource) -> FhirError | None:
    """Return that another referral has the number of this one."""
    for number in each(task, "identifier"):
        value, system = number.get("value"), number.get("system")
        if not isinstance(value, str) or not isinstance(system, str):
            continue
        for stored in await find(unit, "Task", identifier=Is(value, system)):
            if stored.logical_id != key.logical_id and is_referral(read(stored)):
                return Duplicate(
                    "a referral with this number is there already", expression="Task.identifier"
                )
    return None


async def _of_second(
    unit: Unit, key: Key, task: Resource, order: Resource, patient: Key | None
) -> FhirError | None:
    """Return that the patient has an open referral to the same specialty.

    Who wants a second one says why (`Task.reasonCode`), or that it `replaces` the first order.
    """
    replaced = {key_of(one) for one in each(order, "replaces")}
    if patient is None or task.get("reasonCode"):
        return None
    mine = await _specialty(unit, task, order)
    for stored in await find(unit, "Task", patient=patient, status=_WAITING):
        other = read(stored)
        state = state_of(other) if is_referral(other) else None
        if state is None or state.name == "seen" or stored.logical_id == key.logical_id:
            continue
        focus = key_of(other.get("focus"))
        if focus in replaced or _is_kin(task, other, key, stored.logical_id):
            continue
        theirs = await resource_at(unit, focus)
        if theirs is not None and mine & await _specialty(unit, other, theirs):
            text = (
                f"the patient has an open referral to the same specialty (Task/{other['id']}):"
                " say in Task.reasonCode why there is to be a second one"
            )
            chinese = "患者已有同一专科未完成的转诊；如仍需转诊，请在 Task.reasonCode 写明理由"
            return NotInThisState(text, Issue("conflict", text, "Task.for", chinese=chinese))
    return None


def _is_kin(task: Resource, other: Resource, key: Key, other_id: str) -> bool:
    """Say whether one of two Tasks is a part of the other."""
    mine = {key_of(one) for one in each(task, "partOf")}
    theirs = {key_of(one) for one in each(other, "partOf")}
    return Key("Task", other_id) in mine or key in theirs


async def _specialty(unit: Unit, task: Resource, order: Resource) -> set[object]:
    """Return the specialties of an order; where it names none, what is asked of the institution."""
    if said := order.get("performerType"):
        text = at(said, "text")
        return {*codings(said), *([text] if text else [])}
    institution = await institution_of(unit, recipient_of(task))
    return {(institution, *one) for one in codings(order.get("code"))} or {institution}
