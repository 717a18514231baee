"""One partner's messages, one after the other, in the order of the changes that they tell of.

The next goes only when he has answered the one before: AA, or refused it for good. A message is
noted with its bytes before it goes, so whatever happens it goes again, the same, under the same
control id: he gets each at least once and, by MSH-10, can do each once. AE is tried again with
growing pauses and given up after some attempts; AR is given up at once; given up means dead,
listed, and sent anew when somebody says so. Where nobody answers, nothing is given up but what
an operator skips. What is known is what is noted: a step that could not be noted is done again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from fhir_hub.clock import Clock, instant
from fhir_hub.errors import FhirError, Unavailable
from fhir_hub.hl7v2.deliver.breaker import Breaker
from fhir_hub.hl7v2.deliver.choose import RESULTS, Choice, candidates, choice_in, choice_of
from fhir_hub.hl7v2.deliver.desk import Desk
from fhir_hub.hl7v2.deliver.in_part import InPart
from fhir_hub.hl7v2.deliver.link import ACCEPTED, REFUSED, Answer, Link, NoAnswer
from fhir_hub.hl7v2.deliver.outbox import SKIPPED, Dead, Orders, Outbox, Pending, Progress
from fhir_hub.hl7v2.deliver.silence import Silences
from fhir_hub.hl7v2.deliver.turns import in_turn, told_of
from fhir_hub.hl7v2.emit.emit import Emitted
from fhir_hub.settings.partners import PartnerSettings
from fhir_hub.store.base import Key, Outdated, Stored
from fhir_hub.store.feed import Feed
from fhir_hub.store.news import News
from fhir_hub.telemetry import Log

_IDLE_S = 0.5
_UNSAVED = 500  # versions of which there was nothing to tell, looked at again after a crash
Write = Callable[[Choice, str], Emitted]
Told = Callable[[str, str], None]
Hear = Callable[[bytes], Awaitable[bytes | None]]
Delivered = Callable[[str, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Round:
    """What a courier works with: `write` makes a message, `told` counts what became of one.

    `delivered` is told of a message that was taken: its event, and what it was about. `hear` notes
    what became of an earlier one, and returns what that is answered.
    """

    name: str
    partner: PartnerSettings
    desk: Desk
    outbox: Outbox
    link: Link
    breaker: Breaker
    silences: Silences
    write: Write
    clock: Clock
    log: Log
    told: Told
    delivered: Delivered
    hear: Hear
    sleep: Callable[[float], Awaitable[None]]
    news: News


class Courier:
    """Delivers to one partner until it is cancelled."""

    def __init__(self, given: Round) -> None:
        self._given, self._in_part = given, InPart()
        self._progress: Progress | None = None
        self._feed = Feed(given.desk.store)
        self._unsaved = 0
        self._orders, self._asked_at = Orders(), 0.0
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
        self._asked_at = 0.0
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
        except Outdated:  # another process delivers to him, or did: as the notes say
            self._progress, self._unsaved, self.is_busy = None, 0, False
            return False
        except Exception as error:  # the store does not answer, or a fault of ours: go on later
            self.is_busy = False
            given.log("delivery_fault", partner=given.name, fault=error)
            return False

    async def step(self) -> bool:
        """Do the next thing that there is to do; return False if there is nothing."""
        progress = self._progress
        assert progress is not None
        orders = await self._ordered()
        if orders.is_paused:
            self._asked_at = 0.0
            return False
        if progress.pending is not None:
            await self._deliver(progress.pending)
            return True
        if orders.heard:
            await self._hear(*next(iter(orders.heard.items())))
            return True
        if orders.again is not None:
            self._asked_at = 0.0
            await self._again(orders.again)
            return True
        commit = await self._feed.commit(progress.sequence)
        if not commit:
            if self._unsaved:
                await self._note(progress)
            await self._given.link.look()
            await self._hear_late()
            self._asked_at = 0.0
            return False
        await self._tell_all(commit, progress)
        assert self._progress is not None
        last = commit[-1].sequence
        self._progress = replace(self._progress, sequence=last, done=0, is_as_written=False)
        self._unsaved += len(commit)
        # what was told is noted already: the next message notes the rest with it
        if self._unsaved >= _UNSAVED:
            await self._note(self._progress)
        return True

    async def _ordered(self) -> Orders:
        """Return what an operator wants; while there is much to do it is asked now and then."""
        now = asyncio.get_running_loop().time()
        if not self._asked_at or now - self._asked_at >= _IDLE_S:
            self._orders, self._asked_at = await self._given.outbox.orders(), now
        return self._orders

    async def _hear(self, control_id: str, said: Dead) -> None:
        """Note what he said later of a message that he had taken: what he refused is dead."""
        assert self._progress is not None
        dead = None if said.ack_code in ACCEPTED else said
        await self._note(self._progress, dead, heard=control_id)
        self._asked_at = 0.0
        if dead is not None:
            self._given.told(self._given.name, _outcome(dead))
            self._log_dead(control_id, dead)

    async def _note(self, progress: Progress, dead: Dead | None = None, **ended: str) -> None:
        """Note how far he is: only then it is so."""
        await self._given.outbox.save(progress, dead, **ended)
        self._progress, self._unsaved = progress, 0

    async def _tell_all(self, commit: list[Stored], progress: Progress) -> None:
        """Tell of a commit, in turn, what was not told yet; of the results of one report once."""
        wanted = candidates(commit, self._given.partner)
        numbers = {one.sequence for one in wanted}
        turns = in_turn(commit, progress.is_as_written)
        done = len(told_of(turns, progress.done))
        told: set[str] = set()
        for at, change in enumerate(turns):
            is_result = change.resource_type in RESULTS
            if change.sequence in numbers and (at >= done or is_result):
                await self._tell(change, wanted, told, is_done=at < done)

    async def _tell(
        self, change: Stored, wanted: list[Stored], told: set[str], *, is_done: bool
    ) -> None:
        """Make the message of a change, if there is one, note it, deliver it."""
        given, progress = self._given, self._progress
        assert progress is not None
        control_id = f"{progress.epoch}-{change.sequence}"
        try:
            choice = await choice_in(change, wanted, given.partner, given.desk)
            is_told = choice is None or (choice.results != "" and choice.results in told)
            if choice is not None:
                told.add(choice.results)
            pending = self._pending(choice, control_id) if choice and not is_told else None
        except Unavailable:
            raise
        except Exception as error:  # one change must not stop those behind it
            if not is_done:
                await self._not_made(change, control_id, error)
            return
        if pending is None or is_done:
            return
        await self._note(replace(progress, pending=pending))
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
        await self._note(replace(progress, done=change.sequence), dead)

    def _pending(self, choice: Choice, control_id: str, again_of: str = "") -> Pending:
        change = choice.change
        emitted = self._given.write(choice, control_id)
        if reason := self._in_part.reason(emitted):
            told = {"partner": self._given.name, "control_id": control_id}
            self._given.log("message_in_part", **told, reason=reason)
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
        if change is None:
            return await self._note(progress, taken=number)
        try:
            choice = await choice_of(change, given.partner, given.desk)
            pending = self._pending(choice, anew, number) if choice else None
        except Unavailable:
            raise
        except Exception as error:  # it stays dead
            given.log("message_not_made", partner=given.name, control_id=number, fault=error)
            return await self._note(progress, taken=number)
        if pending is None:  # he is not to be told of it any more
            return await self._note(progress, gone=number, taken=number)
        await self._note(replace(progress, pending=pending), taken=number)
        await self._deliver(pending)

    async def _deliver(self, pending: Pending) -> None:
        """Send a message until it is answered for good."""
        given = self._given
        while True:
            answer = await self._answer(pending)
            if answer.ack_code in ACCEPTED:
                return await self._done(pending, answer, None)
            is_final = answer.ack_code in REFUSED or await self._ended(pending) is not None
            if is_final or pending.attempts + 1 >= given.partner.attempts:
                return await self._done(pending, answer, self._dead(pending, answer))
            given.told(given.name, "again")
            said = f"{answer.ack_code} {answer.error_code}".rstrip()
            pending = replace(pending, attempts=pending.attempts + 1, refusal=said)
            assert self._progress is not None
            await self._note(replace(self._progress, pending=pending))
            self.is_busy = False
            pause_s = given.partner.pause_s * 2 ** (pending.attempts - 1)
            await self._rest(min(pause_s, given.partner.max_pause_s), pending)

    async def _ended(self, pending: Pending) -> Answer | None:
        """Return how a message ended without an answer: skipped, or he said so by a channel."""
        orders, number = await self._ordered(), pending.control_id
        if number in orders.skipped:
            return Answer(SKIPPED, number)
        said = orders.heard.get(number)
        return Answer(said.ack_code, number, said.error_code) if said else None

    async def _rest(self, pause_s: float, pending: Pending) -> None:
        """Wait, and while an operator pauses him; a message that has ended waits no longer."""
        while (await self._ordered()).is_paused or pause_s > 0:
            if await self._ended(pending):
                return
            await self._given.sleep(min(pause_s, _IDLE_S) if pause_s > 0 else _IDLE_S)
            pause_s -= _IDLE_S

    async def _answer(self, pending: Pending) -> Answer:
        """Return what he answers, however long nobody does, or how it ended without that."""
        given = self._given
        while True:
            await self._rest(given.breaker.wait_s, pending)
            if ended := await self._ended(pending):
                return ended
            if self._is_stopping:
                await asyncio.Event().wait()  # until it is cancelled
            self.is_busy = True
            try:
                answer = await given.link.exchange(pending.raw, pending.control_id)
            except NoAnswer as failure:
                self.is_busy, self._asked_at = False, 0.0
                given.breaker.fail()
                given.told(given.name, "no-answer")
                given.log("partner_silent", partner=given.name, reason=failure.reason)
                wait_s = given.breaker.wait_s
                pause_s = wait_s or given.partner.pause_s
                await given.silences.go_on(failure.reason, pause_s, is_left_alone=wait_s > 0)
                await self._hear_late()
                if given.breaker.wait_s == 0:
                    await self._rest(given.partner.pause_s, pending)
                continue
            given.breaker.succeed()
            await given.silences.end()
            await self._hear_late()
            return answer

    async def _hear_late(self) -> None:
        """Note what he says on the connection of earlier messages, then acknowledge that."""
        for raw in self._given.link.late():
            await self._persist(partial(self._heard, raw))
            self._asked_at = 0.0

    async def _heard(self, raw: bytes) -> None:
        if answer := await self._given.hear(raw):
            await self._given.link.commit(answer)

    async def _done(self, pending: Pending, answer: Answer, dead: Dead | None) -> None:
        """Note what became of a message that was answered; it does not go again meanwhile."""
        given, progress = self._given, self._progress
        assert progress is not None
        done = progress.done if pending.again_of else pending.sequence
        gone = pending.again_of if dead is None else ""
        if dead is None:
            await self._persist(partial(given.delivered, pending.event, pending.address))
        progress = replace(progress, pending=None, done=done)
        number = pending.control_id
        said = self._orders.heard.get(number)
        heard = number if said and said.ack_code == answer.ack_code else ""
        note = partial(self._note, progress, dead, gone=gone, heard=heard)
        await self._persist(note, is_needed=True)
        self._asked_at = 0.0 if heard else self._asked_at
        self.is_busy = False
        given.told(given.name, _outcome(dead))
        self._log_dead(number, dead)

    def _log_dead(self, control_id: str, dead: Dead | None) -> None:
        if dead is not None:
            said = {"ack_code": dead.ack_code, "reason": dead.error_code}
            name = self._given.name
            self._given.log("message_dead", partner=name, control_id=control_id, **said)

    async def _persist(
        self, work: Callable[[], Awaitable[None]], *, is_needed: bool = False
    ) -> None:
        """Write, as soon as the store takes it; what only our own fault hinders is passed over."""
        while True:
            try:
                return await work()
            except Outdated:
                raise
            except Exception as error:
                self._given.log("delivery_fault", partner=self._given.name, fault=error)
                if not is_needed and not isinstance(error, Unavailable):
                    return
                await self._given.sleep(_IDLE_S)

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


def _outcome(dead: Dead | None) -> str:
    if dead is None:
        return "delivered"
    return "skipped" if dead.is_skipped else "dead"
