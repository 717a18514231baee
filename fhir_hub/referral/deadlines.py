"""What the hub's own clock does: referrals not taken up in time, places held too long, terms.

One process looks every minute. A referral whose deadline (`restriction.period.end`) has passed
becomes expired, as any other step of it: the order is revoked, both sides are told. An Appointment
that only holds a place (`pending`) until a moment is cancelled after it, and the place is free. Who
waits gets a place that his pool lets him have only now, or is told that it was in vain. A
contract whose term has ended becomes inactive, and what ends with it ends. Who is overdue in a
programme is put on his centre's list.
What is due is asked of the store anew each time, so a stop or a jump of the clock loses nothing.

Spec: DOMAIN 2.5, 2.6
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date, datetime, timedelta

from fhir_hub.clock import Clock, Rounds, microseconds
from fhir_hub.errors import FhirError
from fhir_hub.identity.systems import BASE
from fhir_hub.referral.completing import PAUSED
from fhir_hub.referral.conduct import OwnRules
from fhir_hub.referral.contracts import is_signed, period_of, plan_of_active
from fhir_hub.referral.finding import ended_between, plan_between, plan_for, read
from fhir_hub.referral.follow_up import is_overdue, require_task
from fhir_hub.referral.reading import at, extension, moment
from fhir_hub.referral.screening import TASKS
from fhir_hub.referral.special import escalate
from fhir_hub.referral.states import is_referral, state_of, step
from fhir_hub.referral.tasks import advance
from fhir_hub.referral.waiting import WAITS, look_again
from fhir_hub.repository.repository import Repository
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.search.plan import And, Is, Not, Plan, Query
from fhir_hub.store.base import Key, Stored

HOLD_UNTIL = f"{BASE}/StructureDefinition/hold-until"
_EVERY_S = 60.0
_AT_ONCE = 500
_LOOKS_BACK = timedelta(days=31)  # older ends were seen, or told by who knew of them
_LATE = timedelta(minutes=15)  # what is later than that was looked at before
_WAITING = ("requested", "received", "accepted")
Log = Callable[..., None]


class Deadlines:
    """Does what is due: `expire` once, `rounds` again and again where this process leads."""

    def __init__(
        self, repository: Repository, clock: Clock, log: Log, own: OwnRules | None = None
    ) -> None:
        self._repository, self._clock, self._log = repository, clock, log
        self._own = own or OwnRules()
        self.rounds = Rounds(
            self.expire, _EVERY_S, lambda fault: log("deadlines_not_done", fault=fault)
        )

    async def expire(self) -> int:
        """Expire the referrals and release the places that are due now; return how many."""
        now, done = self._clock(), 0
        # the hub's own work lists are no referrals, and may be long
        others = Not(plan_for("Task", code=Is(None, TASKS)))
        async for stored in self._found("Task", And((plan_for("Task", status=_WAITING), others))):
            if self._is_overdue(read(stored), now) and await self._was_there_in_time(stored):
                done += await self._do(stored, self._expired)
        async for stored in self._found("Appointment", plan_for("Appointment", status="pending")):
            if _is_past(extension(read(stored), HOLD_UNTIL), now):
                done += await self._do(stored, _released(now))
        async for stored in self._found("Appointment", plan_for("Appointment", status=WAITS)):
            done += await self._do(stored, self._wait)
        minutes = timedelta(minutes=self._own.referral.escalate_minutes)
        first, end = now - minutes - _LATE, now - minutes
        missed = plan_between("Appointment", "date", first, end, status="booked")
        async for stored in self._found("Appointment", missed):
            done += await self._do(stored, self._escalate)
        ended = And((plan_of_active(), ended_between("CareTeam", now - _LOOKS_BACK, now)))
        async for stored in self._found("CareTeam", ended):
            done += await self._do(stored, _ended)
        due = ended_between("CarePlan", now - _LOOKS_BACK, now, "activity-date")
        plan = And((plan_for("CarePlan", status="active"), due))
        async for stored in self._found("CarePlan", plan):
            if is_overdue(read(stored), date.max):  # the day itself is that of the write
                done += await self._do(stored, _asked_for)
        return done

    async def _escalate(self, unit: Unit, stored: Stored) -> None:
        if (appointment := read(stored)).get("status") == "booked":
            key = Key("Appointment", stored.logical_id)
            await escalate(unit, key, appointment, self._own.referral.escalate_minutes)

    async def _wait(self, unit: Unit, stored: Stored) -> None:
        if (appointment := read(stored)).get("status") == WAITS:
            await look_again(unit, appointment, self._own.pools)

    def _is_overdue(self, task: Resource, now: datetime) -> bool:
        state = state_of(task) if is_referral(task) else None
        if state is None or step(state.name, "expired") is None:
            return False
        since = moment(extension(task, PAUSED)) if state.name == "info-requested" else None
        if since is not None:
            return since + timedelta(days=self._own.referral.supplement_days) < now
        return _is_past(at(task, "restriction", "period", "end"), now)

    async def _was_there_in_time(self, stored: Stored) -> bool:
        """Say whether a referral came before its deadline: one that came after is a report."""
        end = moment(at(read(stored), "restriction", "period", "end"))
        first = await self._repository.store.vread(Key("Task", stored.logical_id), 1)
        return end is None or first is None or first.last_updated <= microseconds(end)

    async def _expired(self, unit: Unit, stored: Stored) -> None:
        if self._is_overdue(read(stored), unit.now):
            await advance(unit, stored, "expired")

    async def _found(self, resource_type: str, plan: Plan) -> AsyncIterator[Stored]:
        cursor = ""
        while True:
            query = Query((resource_type,), plan, count=_AT_ONCE, after=cursor)
            page = await self._repository.store.search(query)
            for stored in page.matches:
                yield stored
            cursor = page.cursor
            if not cursor:
                return

    async def _do(self, stored: Stored, act: Callable[[Unit, Stored], Awaitable[None]]) -> int:
        async def work(unit: Unit) -> int:
            current = await unit.current(Key(stored.resource_type, stored.logical_id))
            if current is not None and not current.is_deleted:
                await act(unit, current)
            return int(bool(unit.changes))

        try:
            return await self._repository.commit(work)
        except FhirError as error:  # one that cannot be done stops no other
            self._log("deadline_not_done", resource_type=stored.resource_type, fault=error)
            return 0


def _is_past(text: object, now: datetime) -> bool:
    """Say whether a moment is past; what names no time of an offset never is."""
    found = moment(text)
    return found is not None and found < now


async def _asked_for(unit: Unit, stored: Stored) -> None:
    await require_task(unit, read(stored))


async def _ended(unit: Unit, stored: Stored) -> None:
    contract = read(stored)
    if is_signed(contract) and period_of(contract)[1] < unit.today:
        await unit.update(contract | {"status": "inactive"}, stored.logical_id)


def _released(now: datetime) -> Callable[[Unit, Stored], Awaitable[None]]:
    async def act(unit: Unit, stored: Stored) -> None:
        appointment = read(stored)
        if appointment.get("status") == "pending" and _is_past(
            extension(appointment, HOLD_UNTIL), now
        ):
            reason = {"text": "hold expired / 占号超时"}
            changed = appointment | {"status": "cancelled", "cancelationReason": reason}
            await unit.update(changed, stored.logical_id)

    return act
