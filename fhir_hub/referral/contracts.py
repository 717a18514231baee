"""1+1+1 contracts: who is signed with whom, and that nobody is signed twice.

A contract is a CareTeam of the category one-plus-one-plus-one: a community centre, a district and
a municipal institution and a family doctor, for a term. It holds on a day if it is active and the
day is within its period, so what ends with it ends by itself.

Spec: https://hl7.org/fhir/R4/careteam.html; DOMAIN 2.1, 2.2
"""

from calendar import monthrange
from datetime import date

from fhir_hub.errors import Issue, RuleBroken
from fhir_hub.identity.systems import BASE
from fhir_hub.referral import contract_merges
from fhir_hub.referral.contract_ends import begin_again, end_with, last_day
from fhir_hub.referral.finding import Followed, find_again, plan_for, read
from fhir_hub.referral.reading import at, each, has_code, key_of
from fhir_hub.repository.unit import Resource, Unit, Warned
from fhir_hub.search.plan import Is, Plan
from fhir_hub.store.base import Key

CATEGORY = "one-plus-one-plus-one"
CATEGORIES = f"{BASE}/CodeSystem/careteam-category"
TIERS = f"{BASE}/CodeSystem/tier"
INSTITUTIONS = ("community", "district", "municipal")
_TITLES = {
    "community": ("one community centre", "一家社区卫生服务中心"),
    "district": ("one district institution", "一家区级医疗机构"),
    "municipal": ("one municipal institution", "一家市级医疗机构"),
    "family-doctor": ("one family doctor", "一名家庭医生"),
}


def is_contract(care_team: Resource) -> bool:
    """Say whether a CareTeam is a 1+1+1 contract."""
    return any(has_code(one, CATEGORY, CATEGORIES) for one in each(care_team, "category"))


def is_signed(care_team: Resource | None) -> bool:
    """Say whether a CareTeam is a contract that was signed, or is to be, and was not ended."""
    is_live = care_team is not None and care_team.get("status") in ("active", "proposed")
    return is_live and care_team is not None and is_contract(care_team)


def holds(contract: Resource, day: date) -> bool:
    """Say whether a contract holds on a day: active, and within its period, ends included."""
    return contract.get("status") == "active" and overlaps(contract, day, day)


def overlaps(contract: Resource, first: date, last: date) -> bool:
    """Say whether a contract's period has a day in common with another one."""
    start, end = period_of(contract)
    return start <= last and first <= end


def period_of(contract: Resource) -> tuple[date, date]:
    """Return the first and the last day; open ends reach as far as dates do."""
    start = _day(at(contract, "period", "start"), date.min, is_end=False)
    return start, _day(at(contract, "period", "end"), date.max, is_end=True)


def _day(text: object, otherwise: date, *, is_end: bool) -> date:
    parts = str(text)[:10].split("-") if text else []
    try:
        numbers = [int(part) for part in parts]
        if len(numbers) == 3:
            return date(*numbers)
        if len(numbers) == 2:
            year, month = numbers
            return date(year, month, monthrange(year, month)[1] if is_end else 1)
        return date(numbers[0], 12, 31) if is_end else date(numbers[0], 1, 1)
    except (ValueError, IndexError, TypeError):
        return otherwise


def members(contract: Resource, tier: str) -> list[Key]:
    """Return who takes a part in the contract: `community`, `district`, `municipal`, …"""
    found = (
        key_of(one.get("member"))
        for one in each(contract, "participant")
        if any(has_code(role, tier, TIERS) for role in each(one, "role"))
    )
    return [key for key in found if key is not None]


async def follow(unit: Unit, followed: Followed, *, least_days: int, is_strict: bool) -> None:
    """Hold a staged contract to the rules; raises `RuleBroken`.

    Exactly one of each part, and no other active contract of the resident in the same term: of two
    that a merge brings together the survivor's holds. One that begins with a term below
    `least_days` is warned of. What ends with a contract ends.
    """
    contract = followed.after
    if contract is not None and await _is_settled(unit, followed, contract, is_strict):
        return
    if followed.before is not None and is_signed(followed.before) and not is_signed(contract):
        await end_with(unit, followed.before, contract)
    if contract is None or not is_signed(contract):
        return
    issues = [
        Issue(
            "business-rule",
            f"a 1+1+1 contract has {_TITLES[tier][0]}, not {len(found)}",
            "CareTeam.participant",
            chinese=f"1+1+1 签约应有{_TITLES[tier][1]}，现有 {len(found)}",
        )
        for tier in _TITLES
        if len(found := members(contract, tier)) != 1
    ]
    start, end = period_of(contract)
    if followed.before is None and (end == date.max or (end - start).days + 1 < least_days):
        text = f"a contract lasts {least_days} days at least, to a day that it names"
        chinese = f"签约期限应不少于 {least_days} 天，并写明终止日期"
        issue = Issue("business-rule", text, "CareTeam.period", "warning", chinese)
        unit.warnings.append(Warned(followed.key, issue))
    if start > end:
        issues.append(Issue("business-rule", "the term ends before it starts", "CareTeam.period"))
    if issues:
        raise RuleBroken(issues[0].diagnostics, *issues)
    await _require_only(unit, followed.key, contract)


async def _is_settled(unit: Unit, followed: Followed, contract: Resource, is_strict: bool) -> bool:
    """Say whether a merge, or its undoing, changed a contract further: what it is now follows."""
    is_kept = contract_merges.is_kept(contract)
    is_led_on = contract_merges.is_led_on(followed)
    if not is_contract(contract) or not (is_kept or is_led_on):
        return False
    changed = contract
    if is_kept and is_led_on and contract_merges.is_back(followed):
        before = contract_merges.as_before(contract, unit.today)
        other = await _rival(unit, followed.key, before)
        if other is None or contract_merges.has_come_along(other):  # that one ends then
            changed = before
            await begin_again(unit, contract)
    elif (other := await _rival(unit, followed.key, contract)) is not None:
        if is_led_on:
            last = last_day(contract, unit.today)
            changed = contract_merges.ended(unit, followed, other, period_of(other)[0], last)
        elif not is_strict and contract_merges.is_kept(followed.before):
            was = followed.before or {}
            changed = contract | {name: was[name] for name in ("status", "period") if name in was}
    elif (is_signed(contract) and not is_signed(followed.before)) or (
        not is_led_on and contract_merges.is_told_since(followed)
    ):
        changed = contract_merges.without(contract)
    if changed is contract:
        return False
    await unit.update(changed, followed.key.logical_id)
    return True


async def _rival(unit: Unit, key: Key, contract: Resource) -> Resource | None:
    """Return the first of the resident's other active contracts of the same term."""
    subject = key_of(contract.get("subject"))
    if subject is None or contract.get("status") != "active":
        return None
    start, end = period_of(contract)
    found = [one for one in await contracts_of(unit, subject) if one["id"] != key.logical_id]
    return min((one for one in found if overlaps(one, start, end)), key=period_of, default=None)


async def _require_only(unit: Unit, key: Key, contract: Resource) -> None:
    if (other := await _rival(unit, key, contract)) is not None:
        until = at(other, "period", "end") or "no end"
        text = (
            "the resident is already contracted for this term (until"
            f" {until}): end that contract the day before, or renew it"
        )
        chinese = "该居民在此期间已有有效签约：请先将原协议终止于前一日，或办理续签"
        issue = Issue("business-rule", text, "CareTeam.subject", chinese=chinese)
        raise RuleBroken(text, issue)


def plan_of_active() -> Plan:
    """Return the plan of all active contracts."""
    return plan_for("CareTeam", status="active", category=Is(CATEGORY, CATEGORIES))


async def contracts_of(unit: Unit, patient: Key) -> list[Resource]:
    """Return the active contracts of a patient, of whatever term."""
    category = Is(CATEGORY, CATEGORIES)
    found = await find_again(unit, "CareTeam", patient=patient, status="active", category=category)
    return [read(one) for one in found]


async def contract_on(unit: Unit, patient: Key, day: date) -> Resource | None:
    """Return the contract that a patient has on a day, None if there is none."""
    return next((one for one in await contracts_of(unit, patient) if holds(one, day)), None)
