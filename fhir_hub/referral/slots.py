"""Slots: an Appointment takes places and gives them back; pools keep theirs for whom they are.

A Slot has as many places as its extension `slot-capacity` says it can still take (one if it says
nothing and is free). The Appointment and its Slots are written together, so of many bookers at
once as many succeed as there are places. What a pool keeps, and when it returns it, is worked out
at the moment of the booking: nothing has to run on time.

Spec: https://hl7.org/fhir/R4/slot.html and appointment.html; DOMAIN 2.6
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from fhir_hub.errors import Issue, NotAllowed, NotInThisState
from fhir_hub.identity.systems import BASE
from fhir_hub.referral.contracts import contract_on
from fhir_hub.referral.finding import Followed, read
from fhir_hub.referral.reading import codings, each, extension, key_of
from fhir_hub.referral.tasks import is_referral_order
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.store.base import Key

CAPACITY = f"{BASE}/StructureDefinition/slot-capacity"
POOL = f"{BASE}/StructureDefinition/slot-pool"
POOLS = f"{BASE}/CodeSystem/slot-pool"
_HOLDING = frozenset(("pending", "booked", "arrived", "checked-in", "fulfilled", "noshow"))
_URGENT = ("urgent", "asap", "stat")


class Policy(NamedTuple):
    """When a pool's slots may be booked, in days and hours before their time.

    The public from `public_days` before, community centres `lead_days` earlier; what they have not
    taken `return_hours` before its time is the public's. An urgent referral may take what is left
    for communities within `urgent_days`.
    """

    public_days: int = 14
    lead_days: int = 5
    return_hours: int = 24
    urgent_days: int = 3


async def follow(unit: Unit, followed: Followed, *, policy: Policy, is_strict: bool) -> None:
    """Take and give back the places of a staged Appointment.

    With `is_strict` (a command) there must be a place, and the pool must let the booker in; a copy
    of what was booked elsewhere is only followed. Raises `NotInThisState`, `NotAllowed`.
    """
    old, new = _held(followed.before), _held(followed.after)
    for slot in sorted(new - old):
        assert followed.after is not None
        await _take(unit, slot, followed.after, policy, is_strict=is_strict)
    for slot in sorted(old - new):
        await _give_back(unit, slot, policy)


def _held(appointment: Resource | None) -> set[Key]:
    """Return the Slots of which an Appointment holds a place."""
    if appointment is None or appointment.get("status") not in _HOLDING:
        return set()
    keys = (key_of(one) for one in each(appointment, "slot"))
    return {key for key in keys if key is not None and key.resource_type == "Slot"}


def places(slot: Resource) -> int:
    """Return how many places a Slot still has."""
    if slot.get("status") != "free":
        return 0
    said = extension(slot, CAPACITY)
    return said if isinstance(said, int) else 1


def pool_of(slot: Resource) -> str:
    """Return the pool of a Slot: COMMUNITY, PUBLIC, INTERNAL or SPECIAL; empty if it has none."""
    return next((code for _, code in codings(extension(slot, POOL))), "")


async def _take(
    unit: Unit, key: Key, appointment: Resource, policy: Policy, *, is_strict: bool
) -> None:
    stored = await unit.current(key)
    if stored is None or stored.is_deleted or (not is_strict and key in unit.changes):
        return  # a feed says itself what its slots are
    slot = read(stored)
    left = places(slot)
    if is_strict:
        if left < 1:
            raise _refused("the slot is taken", "该号源已被占用", "conflict")
        await _require_pool(unit, slot, appointment, policy)
    await unit.update(_with_places(slot, max(0, left - 1)), key.logical_id)


async def _give_back(unit: Unit, key: Key, policy: Policy) -> None:
    stored = await unit.current(key)
    if stored is None or stored.is_deleted:
        return
    slot = read(stored)
    if slot.get("status") not in ("free", "busy", "busy-tentative"):
        return
    slot = _with_places(slot, places(slot) + 1)
    if pool_of(slot) == "COMMUNITY" and is_returned(slot, policy, unit.now):
        slot = _in_pool(slot, "PUBLIC", "公众号源")
    await unit.update(slot, key.logical_id)


def is_returned(slot: Resource, policy: Policy, now: datetime) -> bool:
    """Say whether what communities have not taken of a Slot is the public's by now."""
    start = _start(slot)
    return start is not None and now >= start - timedelta(hours=policy.return_hours)


def _start(slot: Resource) -> datetime | None:
    try:
        return datetime.fromisoformat(str(slot.get("start")))
    except ValueError:
        return None


def _with_places(slot: Resource, left: int) -> Resource:
    changed = slot | {"status": "free" if left else "busy"}
    if extension(slot, CAPACITY) is not None:
        changed["extension"] = _replaced(slot, CAPACITY, {"valueUnsignedInt": left})
    return changed


def _in_pool(slot: Resource, code: str, display: str) -> Resource:
    coding = {"system": POOLS, "code": code, "display": display}
    value = {"valueCodeableConcept": {"coding": [coding]}}
    return slot | {"extension": _replaced(slot, POOL, value)}


def _replaced(slot: Resource, url: str, value: Resource) -> list[Resource]:
    return [
        {"url": url} | value if one.get("url") == url else one for one in each(slot, "extension")
    ]


async def _require_pool(unit: Unit, slot: Resource, appointment: Resource, policy: Policy) -> None:
    """Raise unless the pool of a slot lets this booker in now."""
    start = _start(slot)
    if start is None:
        return
    pool, now = pool_of(slot), unit.now
    opens = start - timedelta(days=policy.public_days)
    if pool == "PUBLIC" and now < opens:
        raise _refused(f"the slot opens {opens.date()}", f"该号源 {opens.date()} 起可约")
    if pool != "COMMUNITY" or is_returned(slot, policy, now):
        return
    orders = [one for one in [await _order(unit, r) for r in each(appointment, "basedOn")] if one]
    if not orders:
        back = start - timedelta(hours=policy.return_hours)
        raise _refused(
            f"the slot is kept for referrals of community centres until {back.isoformat()}",
            f"该号源为社区优先号源，{back:%Y-%m-%d %H:%M} 后转为公众号源",
        )
    await _require_basis(unit, orders)
    is_urgent = any(one.get("priority") in _URGENT for one in orders)
    is_soon = start - now <= timedelta(days=policy.urgent_days + 1)
    first = opens - timedelta(days=policy.lead_days)
    if now < first and not (is_urgent and is_soon):
        raise _refused(f"the slot opens {first.date()}", f"该号源 {first.date()} 起可约")


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


async def _order(unit: Unit, reference: Resource) -> Resource | None:
    key = key_of(reference)
    stored = await unit.current(key) if key is not None else None
    if stored is None or stored.is_deleted or stored.resource_type != "ServiceRequest":
        return None
    order = read(stored)
    return order if is_referral_order(order) else None


def _refused(english: str, chinese: str, code: str = "business-rule") -> NotInThisState:
    return NotInThisState(english, Issue(code, english, "Appointment.slot", chinese=chinese))
