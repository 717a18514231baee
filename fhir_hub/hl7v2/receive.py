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
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from fhir_hub.clock import Clock, IdMaker, from_microseconds, instant, microseconds
from fhir_hub.errors import (
    Ack,
    FhirError,
    InvalidMessage,
    InvalidResource,
    TooLarge,
    Unavailable,
    ack_for,
)
from fhir_hub.hl7v2 import ack, charset, er7
from fhir_hub.hl7v2.apply import apply
from fhir_hub.hl7v2.convert import Conversion
from fhir_hub.hl7v2.journal.order import patient_numbers
from fhir_hub.hl7v2.journal.reasons import reason
from fhir_hub.hl7v2.listener import Log, no_log
from fhir_hub.hl7v2.mllp import Block
from fhir_hub.repository.repository import Repository
from fhir_hub.repository.unit import Unit, Warned
from fhir_hub.search.parameters import Parameters
from fhir_hub.store.base import Finish, State
from fhir_hub.store.journal import Entered, Journal, Received

SOURCE = "hl7v2"
Convert = Callable[[er7.Message, str], Conversion]
_LINE_ENDS = re.compile(r"[\r\n]+")


@dataclass(frozen=True, slots=True)
class Channel:
    """How one connection's messages are read: its name, a forced character set, the zone."""

    name: str
    zone: tzinfo
    charset: str = ""


@dataclass(frozen=True, slots=True)
class _Read:
    """A message as far as it can be read: its header always, and the text or why not."""

    header: ack.Header
    charset: str
    text: str = ""
    fault: FhirError | None = None
    issues: er7.Issues = ()


def _unknown(message: er7.Message) -> str:
    return ""


def _nobody(message: er7.Message) -> tuple[str, ...]:
    return ()


class Receiver:
    """Takes the messages of one channel. Any number may be under way at once.

    `convert` gets the message and the instant at which it came; `charset_of` gets its header
    alone and says in which character set its sender is configured to write; `senders_of` says
    which senders' files hold for a message, whose rules it then obeys; `maps` is the version of
    the maps now. `on_invalid` hears of a message whose resources break a rule; the message is
    kept as failed.
    """

    def __init__(
        self,
        repository: Repository,
        journal: Journal,
        convert: Convert,
        *,
        parameters: Parameters,
        channel: Channel,
        clock: Clock,
        new_id: IdMaker,
        charset_of: Callable[[er7.Message], str] = _unknown,
        senders_of: Callable[[er7.Message], Sequence[str]] = _nobody,
        maps: Callable[[], str] = lambda: "",
        log: Log = no_log,
        on_invalid: Callable[[], None] = lambda: None,
    ) -> None:
        self._repository, self._journal, self._convert = repository, journal, convert
        self._parameters, self._channel = parameters, channel
        self._clock, self._new_id, self._log = clock, new_id, log
        self._charset_of, self._senders_of = charset_of, senders_of
        self._maps, self._on_invalid = maps, on_invalid
        self._under_way: dict[int, asyncio.Future[bytes]] = {}

    async def take(self, block: Block) -> bytes:
        """Return the acknowledgment of a block; never raises for what a message holds."""
        if block.is_cut:
            read = self._read(block.raw)
            return self._answer(read, ack_for(TooLarge("the message is over the size limit")))
        return await self.receive(block.raw)

    async def receive(self, raw: bytes) -> bytes:
        """Keep the message, do what it says, return its acknowledgment."""
        read = self._read(raw)
        try:
            kept = await self._journal.keep(self._received(read, raw))
            if kept.is_changed:
                return await self._fail(kept.entered.number, read, _changed(), "quarantined")
            if kept.is_duplicate and kept.entered.state == "done":
                return kept.entered.ack
            return await self._once(
                kept.entered, read, is_again=kept.is_duplicate, is_free=kept.is_free
            )
        except Exception as error:  # the journal itself failed: nothing is promised
            self._log("message_not_kept", fault=error)
            return self._answer(read, ack_for(error))

    async def replay(self, numbers: Sequence[int] | None = None) -> int:
        """Finish the messages that a crash interrupted, oldest first; return how many.

        Of several processes one does so for all, or for the `numbers` that another had kept.
        """
        pending = await self._journal.pending()
        if numbers is not None:
            pending = [entered for entered in pending if entered.number in numbers]
        for entered in pending:
            await self._once(entered, self._read(entered.message.raw), is_again=True)
        return len(pending)

    def _received(self, read: _Read, raw: bytes) -> Received:
        header = read.header
        return Received(
            self._channel.name,
            header.key,
            _digest(read, raw),
            microseconds(self._clock()),
            raw,
            "^".join(filter(None, (header.component(9, 1), header.component(9, 2)))),
            header.field(3),
            header.field(4),
            header.field(10),
            turns=patient_numbers(read.text, header),
        )

    async def _once(
        self, entered: Entered, read: _Read, *, is_again: bool, is_free: bool = False
    ) -> bytes:
        """Process the message when its turn comes, or wait for who already does."""
        number = entered.number
        if number in self._under_way:
            return await asyncio.shield(self._under_way[number])
        result: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._under_way[number] = result
        try:
            if not is_free:
                await self._journal.turn(number)
            answer = await self._done(number) if is_again else b""
            answer = answer or await self._process(entered, read)
        except BaseException as error:
            result.set_exception(_interrupted(error))
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

    async def _process(self, entered: Entered, read: _Read) -> bytes:
        number, received = entered.number, from_microseconds(entered.message.received)
        try:
            if read.fault is not None:
                raise read.fault
            message = er7.parse(read.text, read.charset, read.issues)
            conversion = self._convert(message, instant(received))
            answer = self._answer(read, ack.ACCEPTED)
            repository = self._repository.of(SOURCE, *self._senders_of(message))
            return await self._commit(repository, number, read, conversion, answer)
        except Exception as error:
            if not isinstance(error, FhirError):
                self._log("message_fault", number=number, fault=error)
            elif isinstance(error, InvalidResource):
                self._tell_invalid(number, error)
            return await self._fail(number, read, error)

    def _tell_invalid(self, number: int, error: InvalidResource) -> None:
        """Say that what a message was made into breaks a rule: a fault of ours, or of a map."""
        self._on_invalid()
        issue = error.issues[0]
        self._log("conversion_invalid", number=number, reason=f"{issue.code} {issue.expression}")

    async def _commit(
        self,
        repository: Repository,
        number: int,
        read: _Read,
        conversion: Conversion,
        answer: bytes,
    ) -> bytes:
        attempts, warnings = 0, list[Warned]()
        day = _day(read.header.field(7), self._clock().astimezone(self._channel.zone))

        async def work(unit: Unit) -> bytes:
            nonlocal attempts, warnings
            attempts += 1
            warnings = unit.warnings
            # another process may have finished it: then its finish is what conflicts, for ever
            if attempts > 1 and (done := await self._done(number)):
                return done
            links = await apply(
                unit,
                conversion,
                new_id=self._new_id,
                parameters=self._parameters,
                day=day,
            )
            unit.finish = Finish(
                number,
                "done",
                answer,
                links=links,
                finished=microseconds(self._clock()),
                maps=self._maps(),
            )
            return answer

        result = await repository.commit(work)
        if warnings:
            places = " ".join(warned.issue.expression for warned in warnings)
            self._log("references_to_nothing", number=number, expressions=places)
        return result

    async def _fail(
        self, number: int, read: _Read, error: Exception, state: State = "failed"
    ) -> bytes:
        answer = self._answer(read, ack_for(error))
        finish = Finish(
            number,
            state,
            answer,
            reason(error),
            finished=microseconds(self._clock()),
            maps=self._maps(),
        )
        try:
            await self._journal.finish(finish)
        except Exception as fault:  # it stays pending and is tried again at the next start
            self._log("message_not_finished", number=number, fault=fault)
        return answer

    def _read(self, raw: bytes) -> _Read:
        try:
            decoded = charset.decode(raw, self._channel.charset or self._configured(raw))
        except FhirError as error:
            # as Latin-1 every byte stands for itself: what is echoed comes back as it was sent
            return _Read(ack.read_header(raw.decode("latin-1")), "latin-1", fault=error)
        header = ack.read_header(decoded.text)
        return _Read(header, decoded.charset, decoded.text, issues=decoded.issues)

    def _configured(self, raw: bytes) -> str:
        try:
            return self._charset_of(er7.parse(charset.first_line(raw)))
        except FhirError:
            return ""  # there is no header: `decode` and `parse` say so better

    def _answer(self, read: _Read, verdict: Ack) -> bytes:
        return ack.acknowledge(
            read.header,
            read.charset,
            verdict,
            moment=self._clock(),
            control_id=self._new_id(),
            zone=self._channel.zone,
        )


def _digest(read: _Read, raw: bytes) -> str:
    """Return what tells whether a message says the same: its text, whatever its line ends."""
    if read.fault is None:
        raw = _LINE_ENDS.sub("\r", read.text).strip().encode("utf-8", "surrogatepass")
    return hashlib.sha256(raw).hexdigest()


def _interrupted(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else Unavailable("the hub is closing")


def _changed() -> FhirError:
    return InvalidMessage(
        "duplicate key identifier with different content", error_code="205", location="MSH-10"
    )


def _day(written: str, now: datetime) -> str:
    """Return the date of MSH-7 as FHIR writes it; today if it is none."""
    digits = "".join(letter for letter in written[:10] if letter.isdigit() and letter.isascii())[:8]
    try:
        day = datetime(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return now.date().isoformat()
    return day.date().isoformat()
