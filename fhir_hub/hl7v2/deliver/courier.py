"""One partner's messages, one after the other, in the order of the changes that they tell of.

The next goes only when he has answered the one before: AA, or refused it for good. A message is
noted with its bytes before it goes, so whatever happens it goes again, the same, under the same
control id: he gets each at least once and, by MSH-10, can do each once. AE is tried again with
growing pauses and given up after some attempts; AR is given up at once; given up means dead,
listed, and sent anew when somebody says so. Where nobody answers, nothing is given up.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from fhir_hub.clock import Clock, instant
from fhir_hub.errors import FhirError, Unavailable
from fhir_hub.hl7v2.deliver.breaker import Breaker
from fhir_hub.hl7v2.deliver.choose import Choice, candidates, choice_in, choice_of
from fhir_hub.hl7v2.deliver.desk import Desk
from fhir_hub.hl7v2.deliver.link import Answer, Link, NoAnswer
from fhir_hub.hl7v2.deliver.outbox import Dead, Outbox, Pending, Progress
from fhir_hub.hl7v2.emit.emit import Emitted
from fhir_hub.settings.partners import PartnerSettings
from fhir_hub.store.base import Key, Stored
from fhir_hub.store.feed import Feed
from fhir_hub.store.news import News
from fhir_hub.telemetry import Log

ACCEPTED, REFUSED = ("AA", "CA"), ("AR", "CR")
_IDLE_S = 0.5
_UNSAVED = 500  # versions of which there was nothing to tell, looked at again after a crash
Write = Callable[[Choice, str], Emitted]
Told = Callable[[str, str], None]
Delivered = Callable[[str, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Round:
    """What a courier works with: `write` makes a message, `told` counts what became of one.

    `delivered` is told of a message that was taken: its event, and what it was about.
    """

    name: str
    partner: PartnerSettings
    desk: Desk
    outbox: Outbox
    link: Link
    breaker: Breaker
    write: Write
    clock: Clock
    log: Log
    told: Told
    delivered: Delivered
    sleep: Callable[[float], Awaitable[None]]
    news: News


class Courier:
    """Delivers to one partner until it is cancelled."""

    def __init__(self, given: Round) -> None:
        self._given = given
        self._progress: Progress | None = None
        self._feed = Feed(given.desk.store)
        self._unsaved = 0
        self.is_busy = False
        self._is_stopping = False
        self.is_open, self._woken = asyncio.Event(), asyncio.Event()

    def wake(self) -> None:
        """Look at what was written."""
        self._woken.set()

    def stop(self) -> None:
        """Send nothing more; what is on its way is still answered."""
        self._is_stopping = True

    @property
    def waiting(self) -> int:
        """Return how many versions were stored that are still to be looked at for him."""
        return max(0, self._feed.last - self._progress.sequence) if self._progress else 0

    async def look(self) -> None:
        """Look how much has come meanwhile, while he does not take what is on its way."""
        if self._progress and self._progress.pending:
            with suppress(FhirError):  # the store does not answer: as it was
                await self._feed.look()

    async def run(self) -> None:
        """Deliver what there is and what comes. Endless."""
        self._progress, self._unsaved, self.is_busy = None, 0, False  # as the notes say
        try:
            while True:
                self._woken.clear()
                if not await self._tried():
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._given.news.pause_s(_IDLE_S)):
                            await self._woken.wait()
        finally:
            await self._given.link.close()

    async def _tried(self) -> bool:
        """Do the next thing; return False if there is nothing, or it cannot be done now."""
        given = self._given
        try:
            if self._progress is None:
                self._progress = await given.outbox.open()
                self.is_open.set()
            return await self.step()
        except Exception as error:  # the store does not answer, or a fault of ours: go on later
            self.is_busy = False
            given.log("delivery_fault", partner=given.name, fault=error)
            return False

    async def step(self) -> bool:
        """Do the next thing that there is to do; return False if there is nothing."""
        given, progress = self._given, self._progress
        assert progress is not None
        if progress.pending is not None:
            await self._deliver(progress.pending)
            return True
        if (dead := await given.outbox.again()) is not None:
            await self._again(dead)
            return True
        commit = await self._feed.commit(progress.sequence)
        if not commit:
            await self._save(at_least=1)
            return False
        for change in candidates(commit, given.partner):
            if change.sequence > progress.done:
                await self._tell(change, commit)
        assert self._progress is not None
        self._progress = replace(self._progress, sequence=commit[-1].sequence, done=0)
        self._unsaved += len(commit)
        # what was told is noted already: the next message notes the rest with it
        await self._save(at_least=_UNSAVED)
        return True

    async def _save(self, *, at_least: int) -> None:
        """Note how far he is, if there is so much that is not noted."""
        if self._unsaved >= at_least and self._progress is not None:
            await self._given.outbox.save(self._progress)
            self._unsaved = 0

    async def _tell(self, change: Stored, commit: list[Stored]) -> None:
        """Make the message of a change, if there is one, note it, deliver it."""
        given, progress = self._given, self._progress
        assert progress is not None
        control_id = f"{progress.epoch}-{change.sequence}"
        try:
            choice = await choice_in(change, commit, given.partner, given.desk)
            pending = self._pending(choice, control_id) if choice else None
        except Unavailable:
            raise
        except Exception as error:  # one change must not stop those behind it
            await self._not_made(change, control_id, error)
            return
        if pending is None:
            return
        self._progress = replace(progress, pending=pending)
        await given.outbox.save(self._progress)
        await self._deliver(pending)

    async def _not_made(self, change: Stored, control_id: str, error: Exception) -> None:
        """Note a change of which no message can be made, as dead."""
        given, progress = self._given, self._progress
        assert progress is not None
        given.log("message_not_made", partner=given.name, control_id=control_id, fault=error)
        given.told(given.name, "not-made")
        address = f"{change.resource_type}/{change.logical_id}"
        numbers = (address, change.version_id, change.sequence)
        kind = "not-made" if isinstance(error, FhirError) else "fault"
        dead = Dead(control_id, "", *numbers, kind, "", instant(given.clock()))
        self._progress = replace(progress, done=change.sequence)
        await given.outbox.save(self._progress, dead)

    def _pending(self, choice: Choice, control_id: str, again_of: str = "") -> Pending:
        change = choice.change
        emitted = self._given.write(choice, control_id)
        address = f"{change.resource_type}/{change.logical_id}"
        numbers = (address, change.version_id, change.sequence)
        return Pending(control_id, choice.event, *numbers, emitted.raw, again_of=again_of)

    async def _again(self, dead: Dead) -> None:
        """Make a dead message anew, of the change that it told of, and deliver it."""
        given, progress = self._given, self._progress
        assert progress is not None
        key = Key(*dead.address.split("/"))
        change = await given.desk.store.vread(key, dead.version_id)
        # another id: what he refused may say something else now, and he may remember the first
        number, anew = dead.control_id, f"{dead.control_id}-R{dead.retries + 1}"
        await given.outbox.taken(number)
        if change is None:
            return
        try:
            choice = await choice_of(change, given.partner, given.desk)
            pending = self._pending(choice, anew, number) if choice else None
        except Unavailable:
            raise
        except Exception as error:  # it stays dead
            given.log("message_not_made", partner=given.name, control_id=number, fault=error)
            return
        if pending is None:  # he is not to be told of it any more
            await given.outbox.save(progress, gone=number)
            return
        self._progress = replace(progress, pending=pending)
        await given.outbox.save(self._progress)
        await self._deliver(pending)

    async def _deliver(self, pending: Pending) -> None:
        """Send a message until it is answered for good."""
        given = self._given
        while True:
            answer = await self._answer(pending)
            is_refused = answer.ack_code in REFUSED
            if answer.ack_code in ACCEPTED:
                return await self._done(pending, answer, None)
            if is_refused or pending.attempts + 1 >= given.partner.attempts:
                return await self._done(pending, answer, self._dead(pending, answer))
            given.told(given.name, "again")
            pending = replace(pending, attempts=pending.attempts + 1)
            assert self._progress is not None
            self._progress = replace(self._progress, pending=pending)
            await given.outbox.save(self._progress)
            self.is_busy = False
            pause_s = given.partner.pause_s * 2 ** (pending.attempts - 1)
            await given.sleep(min(pause_s, given.partner.max_pause_s))

    async def _answer(self, pending: Pending) -> Answer:
        """Return what he answers, however long nobody does."""
        given = self._given
        while True:
            if (wait_s := given.breaker.wait_s) > 0:
                await given.sleep(wait_s)
            if self._is_stopping:
                await asyncio.Event().wait()  # until it is cancelled
            self.is_busy = True
            try:
                answer = await given.link.exchange(pending.raw, pending.control_id)
            except NoAnswer as failure:
                self.is_busy = False
                given.breaker.fail()
                given.told(given.name, "no-answer")
                given.log("partner_silent", partner=given.name, reason=failure.reason)
                if given.breaker.wait_s == 0:
                    await given.sleep(given.partner.pause_s)
                continue
            given.breaker.succeed()
            return answer

    async def _done(self, pending: Pending, answer: Answer, dead: Dead | None) -> None:
        given, progress = self._given, self._progress
        assert progress is not None
        if dead is None:
            await given.delivered(pending.event, pending.address)
        done = progress.done if pending.again_of else pending.sequence
        self._progress = replace(progress, pending=None, done=done)
        gone = pending.again_of if dead is None else ""
        await given.outbox.save(self._progress, dead, gone)
        self.is_busy = False
        given.told(given.name, "dead" if dead else "delivered")
        if dead is not None:
            number = pending.control_id
            given.log(
                "message_dead", partner=given.name, control_id=number, ack_code=answer.ack_code
            )

    def _dead(self, pending: Pending, answer: Answer) -> Dead:
        retries = pending.control_id.rpartition("-R")[2] if pending.again_of else "0"
        return Dead(
            pending.again_of or pending.control_id,
            pending.event,
            pending.address,
            pending.version_id,
            pending.sequence,
            answer.ack_code,
            answer.error_code,
            instant(self._given.clock()),
            int(retries),
        )
