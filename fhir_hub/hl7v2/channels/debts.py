"""What senders are still to be told whose connection is gone: delivered to `ack_to` of the channel.

The journal has what is owed, so it outlives the hub. Each acknowledgment is the one that was
made when the message ended, with the same control id (MSH-10) however often it is sent: if the
hub dies between telling and noting so, the receiver hears it twice and can know that.

Spec: HL7v2 chapter 2, 2.9.3
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from fhir_hub.errors import Unavailable
from fhir_hub.hl7v2 import ack
from fhir_hub.hl7v2.channels.channel import AckTo, Channel
from fhir_hub.hl7v2.channels.enhanced import is_due
from fhir_hub.hl7v2.wire import charset, sender
from fhir_hub.hl7v2.wire.certificates import Certificates, fault_of
from fhir_hub.hl7v2.wire.listener import Log
from fhir_hub.settings.channels import ADDRESS
from fhir_hub.store.journal import Entered

_ANSWER_S = 30.0
_MOST_REFUSALS = 8


class Owing(Protocol):
    """The journal, as far as it knows what is still to be told."""

    async def owed(self) -> list[Entered]:
        """Return the messages whose end is still to be told."""

    async def settle(self, number: int) -> None:
        """Record that the end of a message was told, or will not be."""


class Debts:
    """What senders are still to be told; one process of the hub pays them."""

    def __init__(
        self, journal: Owing, channels: Mapping[str, Channel], log: Log, poll_s: float = 5.0
    ) -> None:
        self._journal, self.channels, self._log = journal, channels, log
        self._poll_s = poll_s
        self._pauses: dict[AckTo, int] = {}
        self._refusals: dict[int, int] = {}
        self._certificates: dict[AckTo, Certificates] = {}
        self._before: set[int] | None = None
        self.due = asyncio.Event()

    async def settle(self, number: int) -> None:
        """Record that a debt is paid; if that fails it may be paid twice."""
        try:
            await self._journal.settle(number)
        except Exception as error:
            self._log("answer_not_settled", number=number, fault=error)

    async def run(self, stop: asyncio.Event) -> None:
        """Pay what is left from before, then now and then what a connection did not take."""
        while not stop.is_set():
            try:
                await self.pay()
            except Exception as error:  # the store does not answer: the next round does
                self._log("answers_fault", fault=error)
            self.due.clear()
            waits = [asyncio.create_task(one.wait()) for one in (stop, self.due)]
            await asyncio.wait(waits, timeout=self._poll_s, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()

    async def pay(self) -> None:
        """Deliver what has been owed since the last round: what is newer has a connection yet.

        What goes to one address goes in the order of the messages, each after the one before.
        """
        owed = await self._journal.owed()
        numbers = {entered.number for entered in owed}
        ripe = numbers if self._before is None else numbers & self._before
        self._before = numbers
        for number in set(self._refusals) - numbers:
            del self._refusals[number]
        queues: dict[AckTo, list[Entered]] = {}
        for entered in owed:
            if entered.number not in ripe:
                continue
            channel = self.channels.get(entered.message.channel)
            header = ack.read_header(charset.first_line(entered.message.raw))
            if channel is not None and channel.ack_to and is_due(header, entered.ack):
                queues.setdefault(channel.ack_to, []).append(entered)
                continue
            if is_due(header, entered.ack):
                self._log("answer_undeliverable", number=entered.number)
            await self.settle(entered.number)
        for to in set(self._pauses) - set(queues):
            del self._pauses[to]
            self._certificates.pop(to, None)
        await asyncio.gather(*(self._pay(to, queue) for to, queue in queues.items()))

    async def _pay(self, to: AckTo, queue: Sequence[Entered]) -> None:
        """Deliver to one address until it does not answer; then pause for ever more rounds."""
        tried = self._pauses.get(to, 0)
        self._pauses[to] = tried + 1
        if tried & (tried - 1) and tried % 64:  # after 1, 2, 4, 8 … rounds, then every 64th
            return
        match = ADDRESS.fullmatch(to.address)
        assert match is not None
        host, port = match[1].strip("[]"), int(match[2])
        left = iter(queue)
        try:
            tls = self._certificates.setdefault(to, Certificates(to)).context()
        except OSError as error:
            fault = Unavailable(f"TLS files cannot be used: {fault_of(error)}")
            self._log("answer_not_delivered", number=queue[0].number, fault=fault)
            return
        answers = sender.send((one.ack for one in queue), host, port, timeout_s=_ANSWER_S, tls=tls)
        try:
            async for result in answers:
                entered = next(left)
                if not result.is_accepted and not self._is_refused(entered, result.ack_code):
                    self._log("answer_not_delivered", number=entered.number)
                    return
                await self.settle(entered.number)
                self._pauses[to] = 0
        except Unavailable as error:
            self._log("answer_not_delivered", number=queue[0].number, fault=error)
        finally:
            await answers.aclose()

    def _is_refused(self, entered: Entered, ack_code: str) -> bool:
        """Say whether the receiver refuses it for good: at once, or whenever it is asked."""
        number = entered.number
        self._refusals[number] = self._refusals.get(number, 0) + bool(ack_code)
        is_final = ack_code in ("AR", "CR") or self._refusals[number] >= _MOST_REFUSALS
        if is_final:
            self._log("answer_refused", number=number, ack_code=ack_code)
        return is_final
