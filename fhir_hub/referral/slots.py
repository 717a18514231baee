"""Slots: an Appointment takes places and gives them back.

A Slot has as many places as its extension `slot-capacity` says it can still take (one if it says
nothing and is free). The Appointment and its Slots are written together, so of many bookers at
once as many succeed as there are places. Each place that is taken of a capacity has the next
number, which is never given out again.

Spec: https://hl7.org/fhir/R4/slot.html and appointment.html; DOMAIN 2.6
"""

from datetime import datetime, timedelta

from fhir_hub.clock import instant
from fhir_hub.errors import NotAllowed, NotInThisState
from fhir_hub.identity.systems import BASE
from fhir_hub.referral.finding import Followed, plan_between, read
from fhir_hub.referral.pools import (
    CAPACITY,
    ISSUED,
    POOL,
    POOLS,
    RETURNED,
    Tables,
    is_returned,
    places,
    policy_of,
    pool_of,
    refused,
    require_open,
    start_of,
    with_extension,
)
from fhir_hub.referral.reading import at, extension, key_of
from fhir_hub.referral.waiting import WAITS, slots_of
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.settings.care import PoolSettings
from fhir_hub.store.base import Key

NUMBER = f"{BASE}/StructureDefinition/appointment-number"
SEQUENCE = f"{BASE}/StructureDefinition/slot-sequence-number"
_HOLDING = frozenset(("pending", "booked", "arrived", "checked-in", "fulfilled", "noshow"))
_LOOKED_AHEAD = timedelta(days=28)


async def follow(unit: Unit, followed: Followed, *, tables: Tables, is_strict: bool) -> None:
    """Take and give back the places of a staged Appointment.

    With `is_strict` (a command) there must be a place, and the pool must let the booker in; a copy
    of what was booked elsewhere is only followed. Raises `NotInThisState`, `NotAllowed`.
    """
    old, new = held(followed.before), held(followed.after)
    number = None
    for slot in sorted(new - old):
        assert followed.after is not None
        waited = at(followed.before, "status") == WAITS
        if is_strict or waited or slot not in unit.changes:  # a feed says what its slots are
            issued = await _take(unit, slot, followed.after, tables, is_strict=is_strict)
        else:
            issued = None
        number = number or issued
    for slot in sorted(old - new):
        await _give_back(unit, slot, tables)
    if number is not None and followed.after is not None:
        said = {"url": NUMBER, "valuePositiveInt": number}
        await unit.update(with_extension(followed.after, said), followed.key.logical_id)


def held(appointment: Resource | None) -> set[Key]:
    """Return the Slots of which an Appointment holds a place."""
    if appointment is None or appointment.get("status") not in _HOLDING:
        return set()
    return slots_of(appointment)


async def _take(
    unit: Unit, key: Key, appointment: Resource, tables: Tables, *, is_strict: bool
) -> int | None:
    """Take a place; return its number, None for a place without one."""
    stored = await unit.current(key)
    if stored is None or stored.is_deleted:
        return None
    slot = read(stored)
    left = places(slot)
    if is_strict:
        policy = await policy_of(unit, slot, tables)
        if left < 1:
            raise await _exhausted(unit, slot, appointment, policy)
        await require_open(unit, slot, appointment, policy)
    slot = _with_places(slot, max(0, left - 1))
    number = extension(slot, SEQUENCE)
    if extension(slot, CAPACITY) is not None:
        issued = extension(slot, ISSUED)
        number = (issued if isinstance(issued, int) else 0) + 1
        slot = with_extension(slot, {"url": ISSUED, "valueUnsignedInt": number})
    await unit.update(slot, key.logical_id)
    return number if isinstance(number, int) else None


async def _exhausted(
    unit: Unit, slot: Resource, appointment: Resource, policy: PoolSettings
) -> NotInThisState:
    """Return the refusal of a booking without a place: it names the next one that is open."""
    start, schedule = start_of(slot), key_of(slot.get("schedule"))
    free: list[tuple[datetime, Resource]] = []
    if start is not None and schedule is not None:
        since = max(start, unit.now)
        plan = plan_between(
            "Slot", "start", since, since + _LOOKED_AHEAD, schedule=schedule, status="free"
        )
        found = [read(one) for one in await unit.find("Slot", plan)]
        free = [(at, one) for one in found if places(one) and (at := start_of(one)) is not None]
    later: NotInThisState | NotAllowed | None = None
    for at, other in sorted(free, key=lambda pair: (pair[0], pair[1]["id"])):
        try:
            await require_open(unit, other, appointment, policy)
        except (NotInThisState, NotAllowed) as closed:
            later = later or closed
            continue
        return refused(
            f"the slot is taken; the next place is at {at.isoformat()} (Slot/{other['id']})",
            f"该号源已被占用；下一可约时间 {at:%Y-%m-%d %H:%M}",
            "conflict",
        )
    if later is not None:  # there are places, and the window for them is told
        why = later.issues[0]
        english = f"the slot is taken; of the next one: {why.diagnostics}"
        return refused(english, f"该号源已被占用；下一号源：{why.chinese}", "conflict")
    return refused(
        f"the slot is taken, and the schedule has no place within {_LOOKED_AHEAD.days} days after"
        " it; an Appointment that is waitlist waits for one",
        f"该号源已被占用，其后 {_LOOKED_AHEAD.days} 天内无号，可登记候补",
        "conflict",
    )


async def _give_back(unit: Unit, key: Key, tables: Tables) -> None:
    stored = await unit.current(key)
    if stored is None or stored.is_deleted:
        return
    slot = read(stored)
    if slot.get("status") not in ("free", "busy", "busy-tentative"):
        return
    slot = _with_places(slot, places(slot) + 1)
    policy = await policy_of(unit, slot, tables)
    if pool_of(slot) == "COMMUNITY" and is_returned(slot, policy, unit.now):
        slot = _in_pool(slot, "PUBLIC", "公众号源")
        slot = with_extension(slot, {"url": RETURNED, "valueDateTime": instant(unit.now)})
    await unit.update(slot, key.logical_id)


def _with_places(slot: Resource, left: int) -> Resource:
    changed = slot | {"status": "free" if left else "busy"}
    if extension(slot, CAPACITY) is not None:
        changed = with_extension(changed, {"url": CAPACITY, "valueUnsignedInt": left})
    return changed


def _in_pool(slot: Resource, code: str, display: str) -> Resource:
    coding = {"system": POOLS, "code": code, "display": display}
    said = {"url": POOL, "valueCodeableConcept": {"coding": [coding]}}
    return with_extension(slot, said)
