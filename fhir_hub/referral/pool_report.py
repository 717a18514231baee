"""What became of the places of a month: offered, used, returned; by hospital, kind and centre.

Places are counted from the Slots of the period and the Appointments that hold a place of them,
page by page, so a report costs as much as it counts and keeps only the sums. A place is the
communities' that was in the pool COMMUNITY, also if it was returned since; it is used by them if a
referral's Appointment holds it.

Spec: https://hl7.org/fhir/R4/measurereport.html; DOMAIN 2.6, 5.3
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from fhir_hub.identity.systems import BASE
from fhir_hub.referral.finding import plan_for, read
from fhir_hub.referral.places import (
    Place,
    authority,
    place_of_request,
    place_of_slot,
    resource_at,
)
from fhir_hub.referral.pools import (
    CAPACITY,
    RETURNED,
    Tables,
    is_returned,
    kind_of,
    pool_of,
)
from fhir_hub.referral.reading import at, each, extension, key_of
from fhir_hub.referral.tasks import is_referral_order
from fhir_hub.repository.unit import Resource
from fhir_hub.search.plan import Query
from fhir_hub.settings.care import PoolSettings, rules_at
from fhir_hub.store.base import Key, Store, Stored

COUNTS = f"{BASE}/CodeSystem/pool-report"
MEASURE = f"{BASE}/Measure/slot-pools"
_HOLDING = ("pending", "booked", "arrived", "checked-in", "fulfilled", "noshow")
_AT_ONCE = 500
_OFFERED = ("COMMUNITY", "PUBLIC", "SPECIAL")
_UNKNOWN = "unknown"
_NAMES = ("places", "taken", "no-show", "community", "used", "returned", "returned-used")


class PoolReport:
    """Counts places, slot by slot; `hospitals`, `kinds` and `centres` hold the sums by name."""

    def __init__(self, store: Store, tables: Tables, now: datetime) -> None:
        self.hospitals: dict[str, Counter[str]] = {}
        self.kinds: dict[str, Counter[str]] = {}
        self.centres: dict[str, Counter[str]] = {}
        self.slots = 0
        self._store, self._tables, self._now = store, tables, now
        self._known: dict[Key, Stored | None] = {}
        self._places: dict[Key | None, Place] = {}
        self._centre_of: dict[Key, str] = {}

    @property
    def total(self) -> Counter[str]:
        """Return the sums of all hospitals."""
        total = _row()
        for row in self.hospitals.values():
            total.update(row)
        return total

    async def count(self, slots: Iterable[Resource], hospital: str = "") -> None:
        """Add a page of Slots, those of a `hospital` (its id or code) if one is named."""
        chosen = []
        for slot in slots:
            place = await self._place(slot)
            if pool_of(slot) in _OFFERED and (not hospital or hospital in place.codes):
                chosen.append((slot, place))
        held = await self._held([slot["id"] for slot, _ in chosen])
        for slot, place in chosen:
            self.slots += 1
            await self._add(slot, place, held.get(slot["id"], []))
        self._known.clear()  # what was read for a page; the sums stay

    async def _add(self, slot: Resource, place: Place, holders: list[Resource]) -> None:
        hospital = "/".join(place.hospital) if place.hospital else authority(slot) or _UNKNOWN
        row = self.hospitals.setdefault(hospital, _row())
        left = extension(slot, CAPACITY)
        offered = left + len(holders) if isinstance(left, int) else max(1, len(holders))
        centres = [await self._centre(one) for one in holders]
        row["places"] += offered
        row["taken"] += len(holders)
        row["no-show"] += sum(one["status"] == "noshow" for one in holders)
        if pool_of(slot) != "COMMUNITY" and extension(slot, RETURNED) is None:
            return
        used = sum(centre is not None for centre in centres)
        row["community"] += offered
        row["used"] += used
        self.kinds.setdefault(kind_of(slot) or _UNKNOWN, Counter())["community"] += offered
        for centre in filter(None, centres):
            self.centres.setdefault(centre, Counter())["used"] += 1
        policy = rules_at(PoolSettings(), self._tables, place.codes)
        if is_returned(slot, policy, self._now) or extension(slot, RETURNED) is not None:
            row["returned"] += offered - used
            row["returned-used"] += len(holders) - used

    async def _held(self, slot_ids: list[str]) -> dict[str, list[Resource]]:
        """Return the Appointments that hold a place, by Slot."""
        found: dict[str, list[Resource]] = {}
        if not slot_ids:
            return found
        slots = tuple(Key("Slot", one) for one in slot_ids)
        plan, cursor = plan_for("Appointment", status=_HOLDING, slot=slots), ""
        while True:
            query = Query(("Appointment",), plan, count=_AT_ONCE, after=cursor)
            page = await self._store.search(query)
            for appointment in map(read, page.matches):
                for key in {key_of(one) for one in each(appointment, "slot")} - {None}:
                    found.setdefault(str(key and key.logical_id), []).append(appointment)
            cursor = page.cursor
            if not cursor:
                return found

    async def _get(self, key: Key) -> Stored | None:
        if key not in self._known:
            self._known[key] = await self._store.read(key)
        return self._known[key]

    async def _place(self, slot: Resource) -> Place:
        schedule = key_of(slot.get("schedule"))
        if schedule not in self._places:
            self._places[schedule] = await place_of_slot(self._get, slot)
        return self._places[schedule]

    async def _centre(self, appointment: Resource) -> str | None:
        """Return the centre whose referral an Appointment is for, None if it is for none."""
        for reference in each(appointment, "basedOn"):
            key = key_of(reference)
            if key is None or key.resource_type != "ServiceRequest":
                continue
            if key not in self._centre_of:
                self._centre_of[key] = await self._sender(key)
            if self._centre_of[key]:
                return self._centre_of[key]
        return None

    async def _sender(self, key: Key) -> str:
        order = await resource_at(self._get, key)
        if order is None or not is_referral_order(order):
            return ""
        page = await self._store.search(Query(("Task",), plan_for("Task", focus=key), count=1))
        for task in map(read, page.matches):
            if (sender := key_of(task.get("requester"))) and sender[0] == "Organization":
                return "/".join(sender)
        place = await place_of_request(self._get, order)
        return "/".join(place.hospital) if place.hospital else _UNKNOWN


def _row() -> "Counter[str]":
    return Counter(dict.fromkeys(_NAMES, 0))


def measure_report(
    report: PoolReport, period: Resource, now: str, names: dict[str, str]
) -> Resource:
    """Return a report as a MeasureReport; `names` are those of `Organization/ID`."""
    total = report.total
    return {
        "resourceType": "MeasureReport",
        "status": "complete",
        "type": "summary",
        "measure": MEASURE,
        "date": now,
        "period": period,
        "group": [
            {
                "code": _code("places"),
                "population": _populations(total),
                **_share(total),
                "stratifier": [
                    _stratifier("hospital", report.hospitals, names),
                    _stratifier("centre", report.centres, names),
                    _stratifier("kind", report.kinds, names),
                ],
            }
        ],
    }


def _stratifier(name: str, rows: dict[str, Counter[str]], names: dict[str, str]) -> Resource:
    strata = []
    for value, counts in sorted(rows.items()):
        concept: Resource = {"text": names.get(value, value)}
        if "/" in value:
            concept["coding"] = [{"system": f"{BASE}/Organization", "code": value.split("/")[1]}]
        strata.append({"value": concept, "population": _populations(counts), **_share(counts)})
    return {"code": [_code(name)], **({"stratum": strata} if strata else {})}


def _populations(counts: Counter[str]) -> list[Resource]:
    return [{"code": _code(name), "count": counts[name]} for name in _NAMES if name in counts]


def _share(counts: Counter[str]) -> Resource:
    """Return the part of the places that was offered to communities, if there were any."""
    if not counts["places"]:
        return {}
    share = Decimal(counts["community"]) / counts["places"]
    return {"measureScore": {"value": share.quantize(Decimal("0.0001"))}}


def _code(code: str) -> Resource:
    return {"coding": [{"system": COUNTS, "code": code}]}


def names_wanted(report: PoolReport) -> set[Key]:
    """Return the Organizations that a report names."""
    values = {*report.hospitals, *report.centres}
    return {Key(*value.split("/", 1)) for value in values if "/" in value}


def name_of(organization: Resource | None, otherwise: str) -> str:
    """Return the name of an Organization."""
    name = at(organization, "name")
    return name if isinstance(name, str) else otherwise
