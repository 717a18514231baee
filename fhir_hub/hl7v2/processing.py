"""One kept message from its turn to its end: tried, applied, finished with its acknowledgment.

What it makes is written together with the acknowledgment in one atomic step. A fault that may
pass is tried again, for as long as its sender waits, and one who was told that it is kept does not
wait: it has its turn however late that comes. Of any other fault the message fails, with the
reason in the journal.

Nothing of a message is logged but its number in the journal and the kind of a fault.

Spec: HL7v2 chapter 2, 2.9.2 (original mode); DESIGN 3
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from functools import partial
from typing import Any, Protocol

from fhir_hub.clock import Clock, IdMaker, from_microseconds, instant, microseconds
from fhir_hub.errors import (
    FhirError,
    InvalidMessage,
    InvalidResource,
    Issue,
    Unavailable,
    ack_for,
)
from fhir_hub.hl7v2 import ack
from fhir_hub.hl7v2.conversion.convert import Conversion
from fhir_hub.hl7v2.conversion.nothing_made import require_made
from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.journal.course import (
    Course,
    Ended,
    NotKept,
    Read,
    day_of,
    held_up,
    interrupted,
    late,
    stopped,
)
from fhir_hub.hl7v2.journal.patience import Patience, is_transient, until_done
from fhir_hub.hl7v2.journal.reading import Reading
from fhir_hub.hl7v2.journal.reasons import named, reason
from fhir_hub.hl7v2.meaning.asked import is_asking
from fhir_hub.hl7v2.meaning.repeats import Repeats
from fhir_hub.hl7v2.meaning.retold import Retold
from fhir_hub.hl7v2.meaning.telling import counted
from fhir_hub.hl7v2.parsing import er7
from fhir_hub.hl7v2.reports import origin
from fhir_hub.hl7v2.storing.apply import apply, telling_of
from fhir_hub.hl7v2.wire.listener import Log
from fhir_hub.hl7v2.wire.size import MOST_PATIENTS, TOO_MANY
from fhir_hub.repository.repository import Repository
from fhir_hub.repository.unit import Unit, Warned
from fhir_hub.search.parameters import Parameters
from fhir_hub.store.base import Conflict, Finish, Key, State
from fhir_hub.store.journal import Entered, Journal

SOURCE = "hl7v2"
_SHORT = 64 * 1024  # characters; a longer message takes more than some 50 ms
Convert = Callable[[er7.Message, str, tzinfo], Conversion]


class OnDone(Protocol):
    """What hears of a message that is done."""

    def __call__(
        self, message: er7.Message, conversion: Conversion, received: str, *, is_redone: bool
    ) -> None:
        """Hear of it."""


# What is said of resources to who asks: MSH-9 in its parts, and segments as their fields.
Said = tuple[Sequence[str], Sequence[Sequence[str]]]
Standing = Callable[[Read, Sequence[Key]], Awaitable[Said]]
Start = Callable[[Coroutine[Any, Any, None]], object]


@dataclass(slots=True)
class Processing:
    """Processes messages, any number at once; `start` lets work go on by itself.

    `convert` gets the message, the instant at which it came, and the zone of its channel (a long
    message in another thread);
    `senders_of` says which senders' files hold for a message, whose rules it obeys; `maps` is the
    version of the maps now; `patience` says how long a sender waits. `on_invalid` hears of a
    message whose resources break a rule; the message is kept as failed; `on_retry` of one that
    is tried again; `on_done` of one that is done (`is_redone`: not for the first time), with what
    it made and the instant at which it came. `standing` writes how a referral stands, to who asks.
    `repeats` are what messages told that changed nothing.
    """

    repository: Repository
    journal: Journal
    reading: Reading
    convert: Convert
    parameters: Parameters
    clock: Clock
    new_id: IdMaker
    senders_of: Callable[[er7.Message], Sequence[str]]
    maps: Callable[[], str]
    patience: Patience
    log: Log
    on_invalid: Callable[[], None]
    on_retry: Callable[[], None]
    on_done: OnDone
    start: Start
    standing: Standing
    repeats: Repeats = field(default_factory=Repeats)
    _aside: ThreadPoolExecutor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Have one thread for long messages: so they need the memory of one of them."""
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="fhir-hub-convert")

    async def process(self, course: Course) -> bytes:
        """Do a kept message when its turn comes; return its acknowledgment.

        Raises `NotKept` if it was kept early and has got lost.
        """
        while True:
            try:
                if not await self._has_turn(course):
                    return await self.fail(course, held_up(), "dead")
                may_have_ended = course.is_again or course.outlasts.is_set()
                if may_have_ended and (answer := await self._done(course)):
                    return answer
                course.attempts += 1
                return await self._attempt(course)
            except NotKept:
                raise
            except Ended as ended:
                return ended.answer
            except Exception as error:
                if is_transient(error):
                    self.log("message_tried", **course.names, fault=error)
                    if not course.is_late and await self._has_time(course, error):
                        self.on_retry()
                        continue
                    return await self.fail(course, error, "dead")
                if not isinstance(error, FhirError):
                    self.log("message_fault", **course.names, fault=error)
                elif isinstance(error, InvalidResource):
                    self._tell_invalid(course, error)
                else:
                    self.log("message_refused", **course.names, reason=named(error))
                return await self.fail(course, error)

    async def _has_turn(self, course: Course) -> bool:
        """Wait for the message's turn; return whether it came before time was up."""
        if not course.is_free:
            try:
                async with asyncio.timeout(course.tries.left_s) as limit:
                    await self.journal.turn(course.number)
            except TimeoutError:
                if not limit.expired():
                    raise
                if not course.is_promised:
                    return False
                self._outlast(course)
                await self.journal.turn(course.number)
            course.is_free = True
        return True

    async def _has_time(self, course: Course, fault: Exception) -> bool:
        """Wait for the next try of a message; return False if there is none.

        Where memory is lacking it may be for this message, each time: that is not tried for long.
        """
        if await course.tries.again():
            return True
        is_over = not course.is_promised or course.outlasts.is_set()
        if is_over or isinstance(fault, MemoryError):
            return False
        self._outlast(course)
        return await course.tries.again()

    def _outlast(self, course: Course) -> None:
        """Give a promised message the time that it has beyond that of others."""
        self.log("message_holds_up" if course.is_free else "message_waits", **course.names)
        course.outlasts.set()
        course.tries = self.patience.promised()

    async def _attempt(self, course: Course) -> bytes:
        read, received = course.read, from_microseconds(course.entered.message.received)
        if course.is_late:
            raise late()
        if read.fault is not None:
            raise read.fault
        if len(read.text) <= _SHORT:
            message, conversion = self._converted(course, instant(received))
        else:  # others are answered meanwhile
            work = partial(self._converted, course, instant(received))
            running = asyncio.get_running_loop().run_in_executor(self._aside, work)
            message, conversion = await running
        _require_few_patients(conversion)
        require_made(message, conversion)
        origin.mark(conversion, course.number)
        answer = self.reading.answer(read, ack.ACCEPTED)
        repository = self.repository.of(SOURCE, *self.senders_of(message))
        answer = await self._commit(repository, course, conversion, answer)
        self.on_done(message, conversion, instant(received), is_redone=course.is_redone)
        return answer

    def _converted(self, course: Course, received: str) -> tuple[er7.Message, Conversion]:
        """Convert by one version of the maps, and note which; anew if they change meanwhile."""
        read = course.read
        while True:
            message = er7.parse(read.text, read.charset, read.issues)
            course.maps = self.maps()
            try:
                conversion = self.convert(message, received, read.channel.zone)
            except Exception:
                if course.maps == self.maps():
                    raise
            else:
                if course.maps == self.maps():
                    return message, conversion

    def _tell_invalid(self, course: Course, error: InvalidResource) -> None:
        """Say that what a message was made into breaks a rule: a fault of ours, or of a map."""
        self.on_invalid()
        issue = error.issues[0]
        why = f"{issue.code} {issue.expression}"
        self.log("conversion_invalid", **course.names, reason=why)

    async def _commit(
        self, repository: Repository, course: Course, conversion: Conversion, answer: bytes
    ) -> bytes:
        attempts, warnings = 0, list[Warned]()
        day = day_of(course.read, self.clock())
        later = self._later(course)
        telling = telling_of(conversion, day, self.parameters, later, self.repeats)

        async def work(unit: Unit) -> bytes:
            nonlocal attempts, warnings
            attempts += 1
            warnings = unit.warnings
            telling.notes.clear()
            later.clear()
            # another may have finished or ended it: then its finish is what conflicts, for ever
            if attempts > 1 and not course.is_redone and (done := await self._done(course)):
                raise Ended(done)
            links = await apply(
                unit,
                conversion,
                telling,
                new_id=self.new_id,
                parameters=self.parameters,
                made=course.entered.links if course.is_redone else (),
            )
            error = "" if not course.is_late else reason(late())
            said = answer
            if is_asking(conversion.teller):
                said = self.reading.answer(
                    course.read, ack.ACCEPTED, *await self.standing(course.read, links)
                )
            unit.finish = self._finish(course, "done", said, error, links)
            return said

        result = await repository.commit(work)
        self._warn(course, [warned.issue for warned in warnings])
        for why, resources in counted(telling.notes):
            self.log(f"message_{why}", number=course.number, resources=resources)
        if course.is_late:
            self.log("message_done_late", **course.names)
        return result

    def _warn(self, course: Course, warnings: Sequence[Issue]) -> None:
        """Log what was stored though it refers to nothing, or lacks what a rule asks for."""
        for event, is_lost in (("references_to_nothing", True), ("message_flagged", False)):
            told = [one for one in warnings if (one.code == "not-found") is is_lost]
            if told:
                places = " ".join(dict.fromkeys(one.expression for one in told))
                codes = " ".join(sorted({one.code for one in told}))
                self.log(event, number=course.number, expressions=places, reason=codes)

    def _later(self, course: Course) -> Retold:
        context, reading = Context("", course.read.channel.zone), self.reading
        numbers = partial(origin.numbers, self.repository.store)
        how = (reading.message, self._again, numbers, context, reading.settings_of)
        return Retold(self.journal, course.entered, *how)

    async def _again(self, entered: Entered) -> tuple[Conversion, str] | None:
        """Return what a message makes that was done before, and its date; None if it cannot."""
        if len(entered.message.raw) <= _SHORT:
            return self._converted_again(entered)
        work = partial(self._converted_again, entered)  # others are answered meanwhile
        return await asyncio.get_running_loop().run_in_executor(self._aside, work)

    def _converted_again(self, entered: Entered) -> tuple[Conversion, str] | None:
        if not entered.message.raw:  # it was kept long enough
            return None
        read, received = self.reading.kept(entered), from_microseconds(entered.message.received)
        if read.fault is not None:
            return None
        message = er7.parse(read.text, read.charset, read.issues)
        try:
            conversion = self.convert(message, instant(received), read.channel.zone)
        except FhirError:  # by the maps of now
            return None
        return conversion, day_of(read, received)

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
            microseconds(self.clock()),
            max(1, course.attempts),
            course.maps or self.maps(),
            course.is_redone,
        )

    async def fail(self, course: Course, error: Exception, state: State = "failed") -> bytes:
        """Record that the message failed; what was done once stays done, with the reason."""
        answer, entered = self.reading.answer(course.read, ack_for(error)), course.entered
        if state == "dead":
            self.log("message_dead", **course.names, reason=named(error))
        finish = self._finish(course, state, answer, reason(error))
        if course.is_redone:
            finish = replace(finish, state="done", ack=entered.ack, links=entered.links)
        try:
            await self._end(course.number, finish)
        except Conflict:  # another process has done it
            return await self._done(course) or answer
        except Exception:
            with contextlib.suppress(FhirError):
                await self.repository.store.write(())  # what was kept before is there, or lost
                await self._done(course)
        return answer

    async def _end(self, number: int, finish: Finish) -> None:
        """Record an end. Raises why it cannot be recorded now; that is tried on meanwhile."""
        try:
            await self.journal.finish(finish)
        except Conflict:
            raise
        except Exception as fault:  # after a crash it would be tried again at the next start
            self.log("message_not_finished", number=number, fault=fault)
            self.start(until_done(lambda: self.journal.finish(finish), self.patience))
            raise

    async def stop(self, course: Course) -> None:
        """Have a message be dead by hand; who still does it finds that, and what it made is lost.

        Raises `Conflict` if it has ended meanwhile.
        """
        answer = self.reading.answer(course.read, ack_for(stopped()))
        await self.journal.finish(self._finish(course, "dead", answer, reason(stopped())))

    async def give_up(self, number: int) -> None:
        """Record that a query was interrupted: nobody waits for its answer any more."""
        error = reason(
            interrupted(
                Unavailable("the hub ended before the query was answered / 查询未答复时平台已终止")
            )
        )
        now = microseconds(self.clock())
        finish = Finish(number, "answered", b"", error, (), now, 1, self.maps())
        with contextlib.suppress(Exception):
            await self._end(number, finish)

    async def _done(self, course: Course) -> bytes:
        """Return the acknowledgment of a message that was finished meanwhile.

        Ask when a write has failed: the group of the message is durable by then, or was lost.
        """
        entered = await self.journal.find(course.number)
        digest = course.entered.message.digest
        if entered is None or entered.message.digest != digest:  # its number is another's
            raise NotKept
        return entered.ack if entered.state != "received" else b""


def _require_few_patients(conversion: Conversion) -> None:
    """Raise `InvalidMessage` for a message about so many that each is compared with all others."""
    if len(conversion.resources) <= MOST_PATIENTS:
        return
    kinds = (one.resource["resourceType"] for one in conversion.resources)
    if sum(kind == "Patient" for kind in kinds) > MOST_PATIENTS:
        raise InvalidMessage(TOO_MANY, error_code="207", location="PID")
