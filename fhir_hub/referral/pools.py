"""Pools of slots: for whom a slot is kept, from when, until when, and how many of a day.

A slot's pool and what it still takes stand in its extensions. What a pool keeps, and when it
returns it, is worked out at the moment of the booking: nothing has to run on time. How a day is
divided is asked when slots are written: of the places of one schedule and day.

Spec: https://hl7.org/fhir/R4/slot.html; DOMAIN 2.6
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from fhir_hub.errors import Issue, NotAllowed, NotInThisState, RuleBroken
from fhir_hub.identity.systems import BASE
from fhir_hub.referral.contracts import contract_on
from fhir_hub.referral.finding import Followed, plan_between, read
from fhir_hub.referral.places import place_of_slot, resource_at
from fhir_hub.referral.reading import codings, each, extension, key_of
from fhir_hub.referral.tasks import is_referral_order
from fhir_hub.repository.unit import Resource, Unit, Warned
from fhir_hub.settings.care import PoolSettings, is_by_place, rules_at
from fhir_hub.store.base import Guard

CAPACITY = f"{BASE}/StructureDefinition/slot-capacity"
POOL = f"{BASE}/StructureDefinition/slot-pool"
KIND = f"{BASE}/StructureDefinition/slot-kind"
ISSUED = f"{BASE}/StructureDefinition/slot-issued"
RETURNED = f"{BASE}/StructureDefinition/slot-returned"
POOLS = f"{BASE}/CodeSystem/slot-pool"
_URGENT = ("urgent", "asap", "stat")
_COUNTED = ("COMMUNITY", "PUBLIC", "SPECIAL")
_TOLERANCE, _FEWEST = 0.1, 10  # of fewer places a mix says nothing
Tables = Mapping[str, PoolSettings]


def places(slot: Resource) -> int:
    """Return how many places a Slot still has."""
    if slot.get("status") != "free":
        return 0
    said = extension(slot, CAPACITY)
    return said if isinstance(said, int) else 1


def pool_of(slot: Resource) -> str:
    """Return the pool of a Slot: COMMUNITY, PUBLIC, INTERNAL or SPECIAL; empty if it has none."""
    return next((code for _, code in codings(extension(slot, POOL))), "")


def kind_of(slot: Resource) -> str:
    """Return the kind of a Slot: ORDINARY, EXPERT, DISEASE or SPECIAL-NEED; empty for none."""
    return next((code for _, code in codings(extension(slot, KIND))), "")


def start_of(slot: Resource) -> datetime | None:
    """Return when a Slot or Appointment begins, None if it does not say so with an offset."""
    try:
        moment = datetime.fromisoformat(str(slot.get("start")))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def is_returned(slot: Resource, policy: PoolSettings, now: datetime) -> bool:
    """Say whether what communities have not taken of a Slot is the public's by now."""
    start = start_of(slot)
    return start is not None and now >= start - timedelta(hours=policy.return_hours)


async def policy_of(unit: Unit, slot: Resource, tables: Tables) -> PoolSettings:
    """Return what the settings say of the hospital and department of a Slot."""
    if not is_by_place(tables):
        return rules_at(PoolSettings(), tables, ())
    return rules_at(PoolSettings(), tables, (await place_of_slot(unit.current, slot)).codes)


def refused(english: str, chinese: str, code: str = "business-rule") -> NotInThisState:
    """Return the refusal of a booking."""
    return NotInThisState(english, Issue(code, english, "Appointment.slot", chinese=chinese))


async def require_open(
    unit: Unit, slot: Resource, appointment: Resource, policy: PoolSettings
) -> None:
    """Raise `NotInThisState` or `NotAllowed` unless the pool of a slot lets this booker in now."""
    start = start_of(slot)
    if start is None:
        return
    pool, now = pool_of(slot), unit.now
    opens = start - timedelta(days=policy.public_window_days)
    if pool == "PUBLIC" and now < opens:
        raise refused(f"the slot opens {opens.date()}", f"该号源 {opens.date()} 起可约")
    if pool != "COMMUNITY" or is_returned(slot, policy, now):
        return
    orders = await orders_of(unit, appointment)
    if not orders:
        back = start - timedelta(hours=policy.return_hours)
        raise refused(
            f"the slot is kept for referrals of community centres until {back.isoformat()}",
            f"该号源为社区优先号源，{back:%Y-%m-%d %H:%M} 后转为公众号源",
        )
    await _require_basis(unit, orders)
    is_urgent = any(one.get("priority") in _URGENT for one in orders)
    is_soon = start - now <= timedelta(days=policy.urgent_days + 1)
    first = opens - timedelta(days=policy.community_lead_days)
    if now < first and not (is_urgent and is_soon):
        raise refused(f"the slot opens {first.date()}", f"该号源 {first.date()} 起可约")


async def orders_of(unit: Unit, appointment: Resource) -> list[Resource]:
    """Return the referrals that an Appointment is based on, by their ids."""
    keys = [key_of(one) for one in each(appointment, "basedOn")]
    found = [
        await resource_at(unit.current, key)
        for key in keys
        if key is not None and key.resource_type == "ServiceRequest"
    ]
    return [order for order in found if order is not None and is_referral_order(order)]


async def _require_basis(unit: Unit, orders: Iterable[Resource]) -> None:
    """Raise `NotAllowed` unless each referral has a diagnosis, and its patient a contract."""
    for order in orders:
        patient = key_of(order.get("subject"))
        if patient is None or await contract_on(unit, patient, unit.today) is None:
            text = "the priority pool is for residents with an active 1+1+1 contract"
            raise NotAllowed(
                text, Issue("business-rule", text, chinese="优先号源仅供有效签约居民使用")
            )
        if not order.get("reasonReference") and not order.get("reasonCode"):
            text = "the priority pool asks for a diagnosis of the community centre"
            raise NotAllowed(text, Issue("business-rule", text, chinese="优先号源需有社区诊断"))


async def follow_release(
    unit: Unit, followed: Followed, *, tables: Tables, is_strict: bool
) -> None:
    """Ask how the day is divided of which a Slot was written, or taken away.

    With `is_strict` too few places for communities, or too many of special need, are refused; else
    warned of, as is another mix of kinds. Raises `RuleBroken`.
    """
    key, before, after = followed
    slot = after or before or {}
    start = start_of(slot)
    if start is None or not _counts(before, after):
        return
    policy = await policy_of(unit, slot, tables)
    if is_returned(slot, policy, unit.now):
        return
    first = start.replace(hour=0, minute=0, second=0, microsecond=0)
    days = {"schedule": schedule} if (schedule := key_of(slot.get("schedule"))) else {}
    plan = plan_between("Slot", "start", first, first + timedelta(days=1), **days)
    if any(isinstance(one, Guard) and one.plan == plan for one in unit.guards):
        return  # a slot of the same day was asked about already
    slots = [read(one) for one in await unit.find("Slot", plan)]
    broken = list(_broken(slots, policy))
    if broken and is_strict:
        raise RuleBroken(broken[0].diagnostics, *broken)
    found = [*(replace(one, severity="warning") for one in broken), *_unusual(slots, policy)]
    unit.warnings += [Warned(key, one) for one in found]


def _counts(before: Resource | None, after: Resource | None) -> bool:
    """Say whether a change of a Slot that is free changes how its day is divided."""
    old = None if before is None else (pool_of(before), kind_of(before))
    if after is None or pool_of(after) not in _COUNTED:
        return old is not None and old[0] == "COMMUNITY"
    return after.get("status") == "free" and old != (pool_of(after), kind_of(after))


def _offered(slot: Resource) -> int:
    """Return how many places a Slot has, taken ones too."""
    issued = extension(slot, ISSUED)
    if extension(slot, CAPACITY) is None:
        return 1
    return places(slot) + (issued if isinstance(issued, int) else 0)


def _kinds(slots: list[Resource]) -> dict[str, int]:
    """Return how many of the communities' places are of each kind."""
    found: dict[str, int] = {}
    for slot in slots:
        if pool_of(slot) == "COMMUNITY" and (kind := kind_of(slot)):
            found[kind] = found.get(kind, 0) + _offered(slot)
    return found


def _broken(slots: list[Resource], policy: PoolSettings) -> Iterator[Issue]:
    """Yield what is wrong with how a day is divided."""
    everything = sum(_offered(one) for one in slots if pool_of(one) in _COUNTED)
    community = sum(_offered(one) for one in slots if pool_of(one) == "COMMUNITY")
    least = math.ceil(policy.community_share * everything)
    if community < least:
        yield _issue(
            f"of {everything} places of the day at least {least} are for communities, not"
            f" {community}",
            f"当日 {everything} 个号源中社区优先号源不得少于 {least} 个，现为 {community} 个",
        )
    kinds = _kinds(slots)
    known, special = sum(kinds.values()), kinds.get("SPECIAL-NEED", 0)
    most = math.floor(policy.special_need_share * known)
    if special > most:
        yield _issue(
            f"of {known} places for communities at most {most} are SPECIAL-NEED, not {special}",
            f"{known} 个社区优先号源中特需号不得多于 {most} 个，现为 {special} 个",
        )


def _unusual(slots: list[Resource], policy: PoolSettings) -> Iterator[Issue]:
    """Yield which kinds there are more or fewer of than agreed."""
    kinds = _kinds(slots)
    known = sum(kinds.values())
    if known < _FEWEST:
        return
    expert, ordinary = kinds.get("EXPERT", 0) + kinds.get("DISEASE", 0), kinds.get("ORDINARY", 0)
    if expert < policy.expert_share * known:
        yield _mix("EXPERT and DISEASE", "专家号与专病号", expert, known, policy.expert_share)
    if abs(ordinary / known - policy.ordinary_share) > _TOLERANCE + 1e-9:
        yield _mix("ORDINARY", "普通号", ordinary, known, policy.ordinary_share)


def _mix(kinds: str, names: str, count: int, known: int, share: float) -> Issue:
    english = f"{kinds} are {count} of {known} places for communities, where {share:.0%} is agreed"
    chinese = f"{names}占 {count}/{known}，约定比例为 {share:.0%}"
    return replace(_issue(english, chinese), severity="warning")


def _issue(english: str, chinese: str) -> Issue:
    return Issue("business-rule", english, "Slot.extension", chinese=chinese)


def with_extension(resource: Resource, said: Resource) -> Resource:
    """Return the resource with an extension, in the place of the one of its url."""
    there = list(each(resource, "extension"))
    if all(one.get("url") != said["url"] for one in there):
        return resource | {"extension": [*there, said]}
    changed = [said if one.get("url") == said["url"] else one for one in there]
    return resource | {"extension": changed}
