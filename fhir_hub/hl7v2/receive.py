"""A message from its bytes to its acknowledgment, exactly once.

The bytes are kept before anything is made of them, and what they make is written together with
the acknowledgment in one atomic step. So after a crash a message was either finished, and is
answered as before, or was not, and is done again: `replay` at the start does that. A message
that was seen before gets the acknowledgment that it got then, and has no second effect. What is
about one patient is done in the order in which it came, over all connections and processes.

Nothing of a message is logged but its number in the journal and the kind of a fault.

Spec: HL7v2 chapter 2, 2.9.2 (original mode); DESIGN 3
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import Any, TypeVar

from fhir_hub.clock import Clock, IdMaker, from_microseconds, instant, microseconds
from fhir_hub.errors import (
    Ack,
    FhirError,
    InvalidResource,
    TooLarge,
    ack_for,
)
from fhir_hub.hl7v2 import ack, er7
from fhir_hub.hl7v2.apply import apply, telling_of
from fhir_hub.hl7v2.channels.channel import Channel
from fhir_hub.hl7v2.convert import Conversion
from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.journal.course import (
    Course,
    OnKept,
    Read,
    changed,
    day_of,
    held_up,
    interrupted,
    late,
    read_message,
    received,
)
from fhir_hub.hl7v2.journal.order import patient_numbers
from fhir_hub.hl7v2.journal.patience import Patience, is_transient, until_done
from fhir_hub.hl7v2.journal.reasons import reason
from fhir_hub.hl7v2.listener import Log, no_log
from fhir_hub.hl7v2.meaning.retold import Retold
from fhir_hub.hl7v2.meaning.telling import counted
from fhir_hub.hl7v2.mllp import Block
from fhir_hub.hl7v2.reports import origin
from fhir_hub.hl7v2.settings import Settings
from fhir_hub.repository.repository import Repository
from fhir_hub.repository.unit import Unit, Warned
from fhir_hub.search.parameters import Parameters
from fhir_hub.store.base import Conflict, Finish, Key, State
from fhir_hub.store.journal import Entered, Journal, Kept, Received

SOURCE = "hl7v2"
Convert = Callable[[er7.Message, str, tzinfo], Conversion]
T = TypeVar("T")


def _nobody(message: er7.Message) -> tuple[str, ...]:
    return ()


class Receiver:
    """Takes the messages of all channels. Any number may be under way at once.

    `channels` are known by name; `channel` is that of a message of which nothing else is known.
    `convert` gets the message, the instant at which it came, and the zone of its channel;
    `settings_of` gets its header alone and says how its sender is to be read; `senders_of` says
    which senders' files hold for a message, whose rules it obeys; `maps` is the version of the
    maps now; `patience` says how long a sender waits. `on_invalid` hears of a message whose
    resources break a rule; the message is kept as failed.
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
    ) -> None:
        self._repository, self._journal, self._convert = repository, journal, convert
        self._parameters, self._channel = parameters, channel
        self._channels = {one.name: one for one in channels}
        self._clock, self._new_id, self._log = clock, new_id, log
        self._settings_of, self._senders_of = settings_of, senders_of
        self._maps, self._on_invalid = maps, on_invalid
        self._patience = patience or Patience()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._under_way: dict[int, asyncio.Future[bytes]] = {}

    async def take(
        self, block: Block, channel: Channel | None = None, on_kept: OnKept | None = None
    ) -> bytes:
        """Return the acknowledgment of a block; never raises for what a message holds."""
        way = channel or self._channel
        if block.is_cut or len(block.raw) > way.size_bytes:
            return self.refuse(block.raw, TooLarge("the message is over the size limit"), way)
        return await self.receive(block.raw, way, on_kept)

    def refuse(self, raw: bytes, error: FhirError, channel: Channel) -> bytes:
        """Return the acknowledgment of a message that is not kept, for the reason `error`."""
        return self._answer(self._read(raw, channel), ack_for(error))

    async def receive(
        self, raw: bytes, channel: Channel | None = None, on_kept: OnKept | None = None
    ) -> bytes:
        """Keep the message, do what it says, return its acknowledgment.

        That goes on if the sender does not wait for it. Who has waited long enough is told to
        send again, and that the message was late stands in the journal with its end.
        """
        course = Course(self._read(raw, channel or self._channel), self._patience.tries())
        course.on_kept = on_kept
        work = self._start(self._receive(raw, course))
        answer_s = self._patience.answer_s if on_kept is None else None
        finished, _ = await asyncio.wait((work,), timeout=answer_s)
        if finished:
            return work.result()
        course.is_late = True
        self._log("message_late", number=course.number)
        return self._answer(course.read, ack_for(late()))

    async def _receive(self, raw: bytes, course: Course) -> bytes:
        message = self._received(course.read, raw, owes=course.on_kept is not None)
        try:
            kept = await self._keep(message, course)
            course.entered = kept.entered
            if kept.is_changed:
                return await self._fail(course, changed(course.read.is_strict), "quarantined")
            if course.on_kept is not None and course.read.fault is None:
                course.on_kept(course.number, self._answer(course.read, ack.COMMITTED))
            if kept.is_duplicate and kept.entered.state == "done":
                return kept.entered.ack
            course.is_again, course.is_free = kept.is_duplicate, kept.is_free
            return await self._once(course)
        except Exception as error:  # the journal itself failed: nothing is promised
            self._log("message_not_kept", fault=error)
            return self._answer(course.read, ack_for(error))

    async def _keep(self, message: Received, course: Course) -> Kept:
        while True:
            try:
                return await self._journal.keep(message)
            except Exception as error:
                if not is_transient(error) or not await course.tries.again():
                    raise

    async def again(self, number: int, *, though_done: bool = False) -> Entered:
        """Do a message again that ended; return it as it ended now.

        Raises `Conflict` for what may not be done again, such as a done one unless `though_done`.
        """
        before = await self._journal.find(number)
        if before is None:
            raise Conflict("the message is unknown")
        read = self._read(before.message.raw, self._way(before))
        turns = patient_numbers(read.text, read.header)
        kept = await self._journal.reopen(number, turns, again=though_done)
        course = Course(read, self._patience.tries(), kept.entered, is_free=kept.is_free)
        course.is_redone = kept.entered.state == "done"
        await self._once(course)
        return await self._found(number)

    async def correct(self, number: int, raw: bytes) -> Entered:
        """Do a corrected text in the stead of a message that failed; return how it ended.

        Raises `Conflict` if the message may not be replaced.
        """
        old = await self._journal.find(number)
        if old is None:
            raise Conflict("the message is unknown")
        read = self._read(raw, self._way(old))
        message = replace(self._received(read, raw), replaces=number, channel=old.message.channel)
        course = Course(read, self._patience.tries())
        kept = await self._keep(message, course)
        if not kept.is_duplicate:
            course.entered, course.is_free = kept.entered, kept.is_free
            await self._once(course)
        return await self._found(kept.entered.number)

    def text_of(self, entered: Entered) -> str:
        """Return a message's decoded text; what cannot be decoded, byte for byte as Latin-1."""
        raw = entered.message.raw
        return self._read(raw, self._way(entered)).text or raw.decode("latin-1")

    async def close(self) -> None:
        """Let go of what is under way: the next start finishes it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _found(self, number: int) -> Entered:
        entered = await self._journal.find(number)
        assert entered is not None
        return entered

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def replay(self, numbers: Sequence[int] | None = None) -> int:
        """Finish the messages that a crash interrupted, oldest first; return how many.

        Of several processes one does so for all, or for the `numbers` that another had kept, in
        their order.
        """
        pending = await self._journal.pending()
        if numbers is not None:
            by_number = {entered.number: entered for entered in pending}
            pending = [by_number[number] for number in numbers if number in by_number]
        for entered in pending:
            read = self._read(entered.message.raw, self._way(entered))
            await self._once(Course(read, self._patience.tries(), entered, is_again=True))
        return len(pending)

    def _way(self, entered: Entered) -> Channel:
        """Return the channel by which a message came, if it is still there."""
        return self._channels.get(entered.message.channel, self._channel)

    def _received(self, read: Read, raw: bytes, *, owes: bool = False) -> Received:
        return received(read, raw, microseconds(self._clock()), owes=owes)

    async def _once(self, course: Course) -> bytes:
        """Process the message when its turn comes, or wait for who already does."""
        number = course.number
        if number in self._under_way:
            return await asyncio.shield(self._under_way[number])
        result: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._under_way[number] = result
        try:
            answer = await self._process(course)
        except BaseException as error:
            result.set_exception(interrupted(error))
            result.exception()  # nobody need wait for it
            raise
        else:
            result.set_result(answer)
            return answer
        finally:
            del self._under_way[number]

    async def _done(self, number: int) -> bytes:
        """Return the acknowledgment of a message that was finished meanwhile."""
        entered = await self._journal.find(number)
        return entered.ack if entered is not None and entered.state != "received" else b""

    async def _process(self, course: Course) -> bytes:
        if not course.is_free:
            try:
                async with asyncio.timeout(course.tries.left_s):
                    await self._journal.turn(course.number)
            except TimeoutError:
                return await self._fail(course, held_up(), "dead")
        if course.is_again and (answer := await self._done(course.number)):
            return answer
        while True:
            course.attempts += 1
            try:
                return await self._attempt(course)
            except Exception as error:
                if is_transient(error):
                    self._log("message_tried", number=course.number, fault=error)
                    if not course.is_late and await course.tries.again():
                        continue
                    return await self._fail(course, error, "dead")
                if not isinstance(error, FhirError):
                    self._log("message_fault", number=course.number, fault=error)
                elif isinstance(error, InvalidResource):
                    self._tell_invalid(course.number, error)
                return await self._fail(course, error)

    async def _attempt(self, course: Course) -> bytes:
        read, received = course.read, from_microseconds(course.entered.message.received)
        if course.is_late:
            raise late()
        if read.fault is not None:
            raise read.fault
        message = er7.parse(read.text, read.charset, read.issues)
        conversion = self._convert(message, instant(received), read.channel.zone)
        origin.mark(conversion, course.number)
        answer = self._answer(read, ack.ACCEPTED)
        repository = self._repository.of(SOURCE, *self._senders_of(message))
        return await self._commit(repository, course, conversion, answer)

    def _tell_invalid(self, number: int, error: InvalidResource) -> None:
        """Say that what a message was made into breaks a rule: a fault of ours, or of a map."""
        self._on_invalid()
        issue = error.issues[0]
        self._log("conversion_invalid", number=number, reason=f"{issue.code} {issue.expression}")

    async def _commit(
        self, repository: Repository, course: Course, conversion: Conversion, answer: bytes
    ) -> bytes:
        attempts, warnings = 0, list[Warned]()
        day = day_of(course.read, self._clock())
        context = Context("", course.read.channel.zone)
        retold = Retold(self._journal, course.entered, self._message, context)
        telling = telling_of(conversion, day, self._parameters, retold)

        async def work(unit: Unit) -> bytes:
            nonlocal attempts, warnings
            attempts += 1
            warnings = unit.warnings
            telling.notes.clear()
            # another process may have finished it: then its finish is what conflicts, for ever
            if attempts > 1 and not course.is_redone and (done := await self._done(course.number)):
                return done
            links = await apply(
                unit,
                conversion,
                telling,
                new_id=self._new_id,
                parameters=self._parameters,
                made=course.entered.links if course.is_redone else (),
            )
            error = "" if not course.is_late else reason(late())
            unit.finish = self._finish(course, "done", answer, error, links)
            return answer

        result = await repository.commit(work)
        if warnings:
            places = " ".join(warned.issue.expression for warned in warnings)
            self._log("references_to_nothing", number=course.number, expressions=places)
        for why, resources in counted(telling.notes):
            self._log(f"message_{why}", number=course.number, resources=resources)
        if course.is_late:
            self._log("message_done_late", number=course.number)
        return result

    def _finish(
        self,
        course: Course,
        state: State,
        answer: bytes,
        error: str = "",
        links: tuple[Key, ...] = (),
    ) -> Finish:
        return Finish(
            course.number,
            state,
            answer,
            error,
            links,
            microseconds(self._clock()),
            max(1, course.attempts),
            self._maps(),
            course.is_redone,
        )

    async def _fail(self, course: Course, error: Exception, state: State = "failed") -> bytes:
        """Record that the message failed; what was done once stays done, with the reason."""
        answer, entered = self._answer(course.read, ack_for(error)), course.entered
        finish = self._finish(course, state, answer, reason(error))
        if course.is_redone:
            finish = replace(finish, state="done", ack=entered.ack, links=entered.links)
        try:
            await self._journal.finish(finish)
        except Conflict:  # another process has done it
            return await self._done(course.number) or answer
        except Exception as fault:  # after a crash it would be tried again at the next start
            self._log("message_not_finished", number=course.number, fault=fault)
            self._start(until_done(lambda: self._journal.finish(finish), self._patience))
        return answer

    def _message(self, entered: Entered) -> er7.Message | None:
        read = self._read(entered.message.raw, self._way(entered))
        return None if read.fault else er7.parse(read.text, read.charset)

    def _read(self, raw: bytes, channel: Channel) -> Read:
        return read_message(raw, channel, self._settings_of)

    def _answer(self, read: Read, verdict: Ack) -> bytes:
        return ack.acknowledge(
            read.header,
            read.charset,
            verdict,
            moment=self._clock(),
            control_id=self._new_id(),
            zone=read.channel.zone,
            conditions=ack.own_conditions(read.header, verdict, read.channel.ack_mode),
        )
