"""A message from its bytes to its acknowledgment, exactly once.

The bytes are kept before anything is made of them, and what they make is written together with
the acknowledgment in one atomic step. Nobody is answered before both are durable. So after a crash
a message was either finished, and is answered as before, or was not, and is done again: `replay`
at the start does that, and the sender, if he is not answered. A message
that was seen before gets the acknowledgment that it got then, and has no second effect. What is
about one patient is done in the order in which it came, over all connections and processes.

Nothing of a message is logged but its number in the journal and the kind of a fault.

Spec: HL7v2 chapter 2, 2.9.2 (original mode); DESIGN 3
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from fhir_hub.clock import Clock, IdMaker, microseconds
from fhir_hub.errors import FhirError, TooLarge, ack_for
from fhir_hub.hl7v2 import ack
from fhir_hub.hl7v2.channels.channel import Channel
from fhir_hub.hl7v2.journal.course import (
    QUERIES,
    Course,
    NotKept,
    OnKept,
    Read,
    changed,
    interrupted,
    is_promised,
    late,
    received,
)
from fhir_hub.hl7v2.journal.line import Line
from fhir_hub.hl7v2.journal.order import patient_numbers
from fhir_hub.hl7v2.journal.patience import Patience
from fhir_hub.hl7v2.journal.reading import Reading
from fhir_hub.hl7v2.journal.suspects import (
    MOST,
    deadly,
    innocent_first,
    noted,
    pause_s,
    times_noted,
)
from fhir_hub.hl7v2.parsing import er7
from fhir_hub.hl7v2.processing import Convert, OnDone, Processing, Said, Standing
from fhir_hub.hl7v2.senders.settings import Settings
from fhir_hub.hl7v2.wire.listener import Log, no_log
from fhir_hub.hl7v2.wire.mllp import Block
from fhir_hub.repository.repository import Repository
from fhir_hub.search.parameters import Parameters
from fhir_hub.store.base import Conflict, Key
from fhir_hub.store.ending import end_tasks
from fhir_hub.store.journal import Entered, Journal, Kept, Received, Selection

T = TypeVar("T")
_AT_ONCE = 500  # messages that are asked for by number
_SET_BACK_US = 2 * 3_600_000_000  # a clock that goes back further was wrong before


def _nobody(message: er7.Message) -> tuple[str, ...]:
    return ()


async def _untold(read: Read, links: Sequence[Key]) -> Said:
    """Tell nothing of how a referral stands."""
    return (), ()


def _unheard(*told: object, **more: object) -> None:
    """Hear nothing of what is done."""


class Receiver:
    """Takes the messages of all channels. Any number may be under way at once.

    `channels` are known by name; `channel` is that of a message of which nothing else is known.
    `convert` gets the message, the instant at which it came, and the zone of its channel;
    `settings_of` gets its header alone and says how its sender is to be read; `senders_of` says
    which senders' files hold for a message, whose rules it obeys; `maps` is the version of the
    maps now; `patience` says how long a sender waits. `on_invalid` hears of a message whose
    resources break a rule; the message is kept as failed; `on_retry` of one that is tried again,
    `on_done` of each that is done. `standing` says how a referral stands to who asks.
    """

    def __init__(
        self,
        repository: Repository,
        journal: Journal,
        convert: Convert,
        *,
        parameters: Parameters,
        channel: Channel,
        channels: Iterable[Channel] = (),
        clock: Clock,
        new_id: IdMaker,
        settings_of: Callable[[er7.Message], Settings] = lambda header: Settings(),
        senders_of: Callable[[er7.Message], Sequence[str]] = _nobody,
        maps: Callable[[], str] = lambda: "",
        patience: Patience | None = None,
        log: Log = no_log,
        on_invalid: Callable[[], None] = lambda: None,
        on_retry: Callable[[], None] = lambda: None,
        on_done: OnDone = _unheard,
        standing: Standing = _untold,
    ) -> None:
        self._journal, self._clock, self._log = journal, clock, log
        self._patience = patience or Patience()
        self.reading = Reading(channel, channels, settings_of, clock, new_id)
        self.processing = Processing(
            repository,
            journal,
            self.reading,
            convert,
            parameters,
            clock,
            new_id,
            senders_of,
            maps,
            self._patience,
            log,
            on_invalid,
            on_retry,
            on_done,
            self._start,
            standing,
        )
        self._tasks: set[asyncio.Task[Any]] = set()
        self._under_way: dict[int, asyncio.Future[bytes]] = {}
        self._line = Line()
        self._latest = 0  # when the last message came; microseconds

    async def take(
        self, block: Block, channel: Channel | None = None, on_kept: OnKept | None = None
    ) -> bytes:
        """Return the acknowledgment of a block; never raises for what a message holds."""
        way = channel or self.reading.channel
        cut = TooLarge("the message is over the size limit / 消息超过大小限制")
        if error := cut if block.is_cut else way.excess(block.raw):
            limit = str(error).partition(" / ")[0]
            self._log(
                "message_too_large", channel=way.name, size_bytes=len(block.raw), reason=limit
            )
            return self.refuse(block.raw, error, way)
        return await self.receive(block.raw, way, on_kept)

    def refuse(self, raw: bytes, error: FhirError, channel: Channel) -> bytes:
        """Return the acknowledgment of a message that is not kept, for the reason `error`."""
        return self.reading.answer(self.reading.read(raw, channel), ack_for(error))

    def commit(self, raw: bytes, channel: Channel | None = None) -> bytes:
        """Return the commit acknowledgment (CA) of a message."""
        read = self.reading.read(raw, channel or self.reading.channel)
        return self.reading.answer(read, ack.COMMITTED)

    async def receive(
        self, raw: bytes, channel: Channel | None = None, on_kept: OnKept | None = None
    ) -> bytes:
        """Keep the message, do what it says, return its acknowledgment.

        That goes on if the sender does not wait for it. Who has waited long enough is told to
        send again, and that the message was late stands in the journal with its end.
        """
        course = Course(
            self.reading.read(raw, channel or self.reading.channel), self._patience.tries()
        )
        course.on_kept = on_kept
        work = self._start(self._receive(raw, course))
        answer_s = self._patience.answer_s if on_kept is None else None
        finished, _ = await asyncio.wait((work,), timeout=answer_s)
        if finished:
            return work.result()
        course.is_late = True
        self._log("message_late", **course.names)
        return self.reading.answer(course.read, ack_for(late()))

    async def _receive(self, raw: bytes, course: Course) -> bytes:
        message = self._received(course.read, raw, owes=course.on_kept is not None)
        try:
            try:  # who is answered when it has ended need not know earlier that it is durable
                return await self._do(message, course, is_early=course.on_kept is None)
            except NotKept:
                self._log("message_not_taken", number=course.number)
                return await self._do(message, course)
        except Exception as error:  # the journal itself failed: nothing is promised
            self._log("message_not_kept", fault=error)
            return self.reading.answer(course.read, ack_for(error))

    async def _do(self, message: Received, course: Course, *, is_early: bool = False) -> bytes:
        """Keep the message and do what it says. Raises `NotKept` of one that `is_early`."""
        kept = await self._keep(message, course, is_early=is_early)
        course.entered = kept.entered
        if kept.is_changed:
            self._log("message_quarantined", **course.names)
            return await self.processing.fail(course, changed(course.read.is_strict), "quarantined")
        if course.on_kept is not None and course.read.fault is None:
            course.on_kept(course.number, self.reading.answer(course.read, ack.COMMITTED))
            course.is_promised = True
        if kept.is_duplicate:
            if kept.entered.state != "received":
                return kept.entered.ack
            await self._journal.elsewhere(course.number)
            course.tries = self._patience.tries()
        # what came before one that comes again may be under way, or left, as that one was
        course.is_again = kept.is_duplicate
        course.is_free = kept.is_free
        return await self._once(course)

    async def _keep(self, message: Received, course: Course, *, is_early: bool = False) -> Kept:
        keep = partial(self._journal.keep, message, is_early=is_early)
        return await self._line.keep(message.place, keep, course.tries)

    async def again(self, number: int, *, though_done: bool = False) -> Entered:
        """Do a message again that ended; return it as it ended now.

        Raises `Conflict` for what may not be done again, such as a done one unless `though_done`.
        """
        before = await self._journal.find(number)
        if before is None:
            raise Conflict("the message is unknown")
        read = self.reading.kept(before)
        kept = await self._journal.reopen(number, self.turns_of(before), again=though_done)
        course = Course(read, self._patience.tries(), kept.entered, is_free=kept.is_free)
        course.is_redone = kept.entered.state == "done"
        await self._once(course)
        return await self._found(number)

    async def correct(self, number: int, raw: bytes) -> Entered:
        """Do a corrected text in the stead of a message that failed; return how it ended.

        Raises `Conflict` if the message may not be replaced, or the text came as another before.
        """
        old = await self._journal.find(number)
        if old is None:
            raise Conflict("the message is unknown")
        read = self.reading.read(raw, self.reading.way(old))
        message = replace(self._received(read, raw), replaces=number, channel=old.message.channel)
        course = Course(read, self._patience.tries())
        kept = await self._keep(message, course)
        if kept.is_duplicate:
            raise Conflict(
                f"this text came before, as message {kept.entered.number}, which is"
                f" {kept.entered.state}: it does not take the place of message {number}"
            )
        course.entered, course.is_free = kept.entered, kept.is_free
        await self._once(course)
        return await self._found(kept.entered.number)

    async def stop(self, entered: Entered) -> None:
        """Have a message be dead that is not finished: its patient's others go on.

        Raises `Conflict` if it has ended, or came so lately that its sender may wait for it.
        """
        age_s = (microseconds(self._clock()) - entered.message.received) / 1e6
        if age_s < self._patience.answer_s:
            wait_s = f"{self._patience.answer_s:g}"
            raise Conflict(f"the message is under way; that may be ended {wait_s} s after it came")
        read = self.reading.kept(entered)
        await self.processing.stop(Course(read, self._patience.tries(), entered))

    def turns_of(self, entered: Entered) -> tuple[str, ...]:
        """Return what orders a message of the journal, which does not keep it."""
        read = self.reading.kept(entered)
        return patient_numbers(read.text, read.header)

    def text_of(self, entered: Entered) -> str:
        """Return a message's decoded text; what cannot be decoded, byte for byte as Latin-1."""
        return self.reading.kept(entered).text or entered.message.raw.decode("latin-1")

    async def close(self) -> None:
        """Let go of what is under way: the next start finishes it."""
        tasks = list(self._tasks)
        await end_tasks(*tasks)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _found(self, number: int) -> Entered:
        entered = await self._journal.find(number)
        assert entered is not None
        return entered

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def replay(self, numbers: Sequence[int] | None = None, *, is_alone: bool = False) -> int:
        """Finish the messages that a crash interrupted, oldest first; return how many.

        Of several processes one does so for all, or for the `numbers` that another had kept, in
        their order. `is_alone`: this one does nothing else, so what ends it is the message that it
        does then; one that did so too often is a dead letter.
        """
        pending = await (self._journal.pending() if numbers is None else self._left(numbers))
        for entered in innocent_first(pending, self.turns_of):
            if entered.message.message_type.partition("^")[0] in QUERIES:
                await self.processing.give_up(entered.number)
                continue
            work = self._begin(entered) if is_alone else self._replay(entered)
            try:
                await self._start(work)
            except Exception as fault:  # the next start does it; those behind it are done now
                self._log("message_not_replayed", number=entered.number, fault=fault)
        return len(pending)

    async def _left(self, numbers: Sequence[int]) -> list[Entered]:
        """Return those of the messages that were not finished, in the order of `numbers`."""
        found: dict[int, Entered] = {}
        for at in range(0, len(numbers), _AT_ONCE):
            asked = Selection(("received",), numbers=tuple(numbers[at : at + _AT_ONCE]))
            entered = await self._journal.select(asked, count=len(asked.numbers), with_raw=True)
            found |= {one.number: one for one in entered}
        return [found[number] for number in numbers if number in found]

    async def _replay(self, entered: Entered) -> None:
        course = Course(self.reading.kept(entered), self._patience.tries(), entered)
        course.is_again, course.is_promised = True, is_promised(course.read)
        if not course.is_promised:
            await self._once(course)
            return
        work = self._start(self._once(course))
        outlasts = self._start(course.outlasts.wait())
        # who is behind it need not wait as long as it does
        await asyncio.wait((work, outlasts), return_when=asyncio.FIRST_COMPLETED)
        outlasts.cancel()
        if work.done():
            await work
        else:
            work.add_done_callback(partial(self._tell_not_replayed, entered.number))

    def _tell_not_replayed(self, number: int, work: asyncio.Task[bytes]) -> None:
        if not work.cancelled() and (fault := work.exception()):
            self._log("message_not_replayed", number=number, fault=fault)

    async def _begin(self, entered: Entered) -> None:
        """Do a message while nothing else is done here; who finds the note later knows that."""
        number, times = entered.number, times_noted(entered.error)
        if times >= MOST:
            self._log("message_deadly", number=number)
            course = Course(self.reading.kept(entered), self._patience.tries(), entered)
            await self.processing.fail(course, deadly(), "dead")
            return
        if times:
            await self._patience.pause(pause_s(times))
        with contextlib.suppress(Exception):  # a full disk: it is done all the same
            await self._journal.note(number, noted(times + 1))
        try:
            await self._replay(entered)
        finally:  # it did not end this process; if it has not ended either, that says no more
            with contextlib.suppress(Exception):
                await self._journal.note(number, entered.error)

    async def begin(self) -> None:
        """Read when the last message came: before the first one comes, as that keeps its place."""
        with contextlib.suppress(Exception):  # then no message can be kept either
            for last in await self._journal.select(Selection(), count=1):
                self._latest = max(self._latest, last.message.received)

    def _received(self, read: Read, raw: bytes, *, owes: bool = False) -> Received:
        now = microseconds(self._clock())
        # a clock that was set back: what is told now is newer than what was told before, and
        # nobody tells anything later than it came
        if not 0 < self._latest - now <= _SET_BACK_US:
            self._latest = now
        return received(read, raw, self._latest, owes=owes)

    async def _once(self, course: Course) -> bytes:
        """Process the message when its turn comes, or wait for who already does."""
        number = course.number
        if number in self._under_way:
            return await asyncio.shield(self._under_way[number])
        result: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._under_way[number] = result
        try:
            answer = await self.processing.process(course)
        except BaseException as error:
            result.set_exception(interrupted(error))
            result.exception()  # nobody need wait for it
            raise
        else:
            result.set_result(answer)
            return answer
        finally:
            del self._under_way[number]
