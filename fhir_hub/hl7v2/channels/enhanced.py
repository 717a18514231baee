"""Enhanced mode: a commit acknowledgment at once, the application's when it is known.

A message is answered CA as soon as the journal keeps it; what became of it (AA, AE, AR) follows
on the same connection as a message of its own, if MSH-16 asks for it. That it is owed stands in
the journal from the moment of keeping until it is told. So if the connection is gone, or the hub
was, the debts tell it: `Debts.pay` goes over them and delivers each to the channel's `ack_to`.

Spec: HL7v2 chapter 2, 2.9.3 and table 0155
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from fhir_hub.errors import Unavailable
from fhir_hub.hl7v2 import ack, charset, sender
from fhir_hub.hl7v2.channels.channel import Channel
from fhir_hub.hl7v2.journal.course import OnKept
from fhir_hub.hl7v2.listener import Caller, Log
from fhir_hub.hl7v2.mllp import Block
from fhir_hub.settings.channels import ADDRESS
from fhir_hub.store.journal import Entered

Take = Callable[[Block, Channel, OnKept], Awaitable[bytes]]
Observe = Callable[[str, bytes], None]
_ANSWER_S = 30.0


class Owing(Protocol):
    """The journal, as far as it knows what is still to be told."""

    async def owed(self) -> list[Entered]:
        """Return the messages whose end is still to be told."""

    async def settle(self, number: int) -> None:
        """Record that the end of a message was told, or will not be."""


class Enhanced:
    """Enhanced mode on one connection. `debts` hears of what could not be told on it."""

    def __init__(
        self, channel: Channel, caller: Caller, take: Take, debts: "Debts", observe: Observe
    ) -> None:
        self._channel, self._caller, self._take = channel, caller, take
        self._debts, self._observe = debts, observe
        self._slots = asyncio.Semaphore(channel.under_way)

    async def answer(self, block: Block, header: ack.Header) -> bytes:
        """Return the commit acknowledgment of a message, nothing if its sender wants none."""
        await self._slots.acquire()
        kept: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()

        def on_kept(number: int, committed: bytes) -> None:
            kept.set_result((number, committed))

        work = asyncio.ensure_future(self._take(block, self._channel, on_kept))
        await asyncio.wait((work, kept), return_when=asyncio.FIRST_COMPLETED)
        if not kept.done():  # it was refused, or is no message that is kept
            self._slots.release()
            refused = work.result()
            if _code(refused) in ("AA", ""):
                return refused
            committed, is_good = _as_commit(refused), False
        else:
            number, committed = kept.result()
            is_good = True
            later = asyncio.create_task(self._follow(number, header, work))
            self._caller.later.add(later)
            later.add_done_callback(self._caller.later.discard)
        self._observe(self._channel.name, committed)
        return committed if ack.is_wanted(header.field(15), is_good=is_good) else b""

    async def _follow(self, number: int, header: ack.Header, work: "asyncio.Future[bytes]") -> None:
        """Tell how the message ended, if that is wanted and the connection is still there."""
        try:
            answer = await work
        finally:
            self._slots.release()
        self._observe(self._channel.name, answer)
        if not _is_due(header, answer) or await self._caller.tell(answer):
            await self._debts.settle(number)
        else:
            self._debts.due.set()


class Debts:
    """What senders are still to be told; one process of the hub pays them."""

    def __init__(
        self, journal: Owing, channels: Mapping[str, Channel], log: Log, poll_s: float = 5.0
    ) -> None:
        self._journal, self._channels, self._log = journal, channels, log
        self._poll_s = poll_s
        self._pauses: dict[int, int] = {}
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
        """Deliver what has been owed since the last round: what is newer has a connection yet."""
        owed = await self._journal.owed()
        numbers = {entered.number for entered in owed}
        ripe = numbers if self._before is None else numbers & self._before
        self._before = numbers
        for number in set(self._pauses) - numbers:
            del self._pauses[number]
        for entered in owed:
            if entered.number in ripe:
                await self._pay(entered)

    async def _pay(self, entered: Entered) -> None:
        number = entered.number
        channel = self._channels.get(entered.message.channel)
        header = ack.read_header(charset.first_line(entered.message.raw))
        if channel is None or not channel.ack_to or not _is_due(header, entered.ack):
            if _is_due(header, entered.ack):
                self._log("answer_undeliverable", number=number)
            await self.settle(number)
            return
        tried = self._pauses.get(number, 0)
        self._pauses[number] = tried + 1
        if tried & (tried - 1) and tried % 64:  # after 1, 2, 4, 8 … rounds, then every 64th
            return
        if await _deliver(entered.ack, channel.ack_to):
            await self.settle(number)
        else:
            self._log("answer_not_delivered", number=number, channel=channel.name)


async def _deliver(raw: bytes, to: str) -> bool:
    """Say whether the receiver at `to` took an acknowledgment: it answers CA or AA."""
    match = ADDRESS.fullmatch(to)
    assert match is not None
    try:
        async for result in sender.send(
            [raw], match[1].strip("[]"), int(match[2]), timeout_s=_ANSWER_S
        ):
            return result.is_accepted
    except Unavailable:
        return False
    return False


def _is_due(header: ack.Header, answer: bytes) -> bool:
    return ack.is_wanted(header.field(16), is_good=_code(answer) == "AA")


def _code(answer: bytes) -> str:
    """Return MSA-1, empty if there is none."""
    at = answer.find(b"\rMSA")
    return answer[at + 5 : at + 7].decode("ascii", "replace") if at >= 0 else ""


def _as_commit(answer: bytes) -> bytes:
    """Return an acknowledgment as a commit acknowledgment: CE or CR, which nobody answers."""
    head, _, rest = answer.partition(b"\rMSA")
    fields = head.split(head[3:4])
    fields[14:16] = [b""] * len(fields[14:16])
    while not fields[-1]:
        del fields[-1]
    return head[3:4].join(fields) + b"\rMSA" + rest[:1] + b"C" + rest[2:]
