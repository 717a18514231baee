"""Enhanced mode: a commit acknowledgment at once, the application's when it is known.

A message is answered CA as soon as the journal keeps it; what became of it (AA, AE, AR) follows
on the same connection as a message of its own, in the order of the messages, if MSH-16 asks for
it. That it is owed stands in the journal from the moment of keeping until it is told: until its
sender acknowledges it, if that is one who does, else until it is written to a connection that
did not break. If the connection is gone, or the hub was, `debts.py` tells it.

Spec: HL7v2 chapter 2, 2.9.3 and table 0155
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from fhir_hub.hl7v2 import ack
from fhir_hub.hl7v2.channels.channel import Channel
from fhir_hub.hl7v2.journal.course import OnKept
from fhir_hub.hl7v2.wire.listener import Caller
from fhir_hub.hl7v2.wire.mllp import Block

Take = Callable[[Block, Channel, OnKept], Awaitable[bytes]]
Observe = Callable[[str, bytes], None]
_COMMIT_S = 5.0


class Owed(Protocol):
    """Who tells what a connection did not take; `due` wakes him."""

    due: asyncio.Event

    async def settle(self, number: int) -> None:
        """Record that the end of a message was told."""


class Enhanced:
    """Enhanced mode on one connection. `debts` hears of what could not be told on it."""

    def __init__(
        self, channel: Channel, caller: Caller, take: Take, debts: Owed, observe: Observe
    ) -> None:
        self.channel, self._caller, self._take = channel, caller, take
        self._debts, self._observe = debts, observe
        self._slots = asyncio.Semaphore(channel.under_way)
        self._written: asyncio.Event | None = None  # the last acknowledgment was
        self._told: dict[str, asyncio.Event] = {}
        self._does_acknowledge: bool | None = None

    async def answer(self, block: Block, header: ack.Header) -> bytes:
        """Return the commit acknowledgment of a message, nothing if its sender wants none."""
        await self._slots.acquire()
        kept: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()

        def on_kept(number: int, committed: bytes) -> None:
            kept.set_result((number, committed))

        work = asyncio.ensure_future(self._take(block, self.channel, on_kept))
        await asyncio.wait((work, kept), return_when=asyncio.FIRST_COMPLETED)
        if not kept.done():  # it was refused, or is no message that is kept
            self._slots.release()
            refused = work.result()
            if ack.code(refused) in ("AA", ""):
                return refused
            self._observe(self.channel.name, _as_commit(refused))
            return refusal(header, refused)
        number, committed = kept.result()
        before, self._written = self._written, asyncio.Event()
        turn = (before, self._written)
        later = asyncio.create_task(self._follow(number, header, work, turn))
        self._caller.later.add(later)
        later.add_done_callback(self._caller.later.discard)
        self._observe(self.channel.name, committed)
        return committed if ack.is_wanted(header.field(15), is_good=True) else b""

    def acknowledged(self, raw: bytes) -> bool:
        """Take the sender's acknowledgment of what it was told; say whether it is one."""
        told = self._told.get(_named(raw))
        if told is None:
            return False
        self._does_acknowledge = True
        told.set()
        return True

    async def _follow(
        self,
        number: int,
        header: ack.Header,
        work: "asyncio.Future[bytes]",
        turn: tuple[asyncio.Event | None, asyncio.Event],
    ) -> None:
        """Tell how the message ended, if that is wanted and the connection is still there."""
        before, written = turn
        try:
            try:
                answer = await work
            finally:
                self._slots.release()
            self._observe(self.channel.name, answer)
            if not is_due(header, answer):
                await self._debts.settle(number)
                return
            if before is not None:
                await before.wait()
            acknowledged = self._told.setdefault(ack.control_id(answer), asyncio.Event())
            is_told = await self._caller.tell(answer)
        finally:
            written.set()
        if is_told and await self._is_heard(acknowledged):
            await self._debts.settle(number)
        else:
            self._debts.due.set()
        self._told.pop(ack.control_id(answer), None)

    async def _is_heard(self, acknowledged: asyncio.Event) -> bool:
        """Say whether what was written was heard, as far as one can know."""
        ended = self._caller.ended
        if self._does_acknowledge is False and not ended.done():
            return True
        waiting = asyncio.ensure_future(acknowledged.wait())
        await asyncio.wait((waiting, ended), timeout=_COMMIT_S, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if acknowledged.is_set():
            return True
        if ended.done():  # rather told twice, and known as the same, than not at all
            return not ended.result() and not self.channel.ack_to
        if self._does_acknowledge:
            return False
        self._does_acknowledge = False  # it does not: nobody waits for that again
        return True


def refusal(header: ack.Header, refused: bytes) -> bytes:
    """Return what the sender of a message that is not kept hears, `refused` being its AE or AR.

    It is the commit acknowledgment, or the application's if only that is asked for: else nobody
    would hear of it.
    """
    if ack.is_wanted(header.field(15), is_good=False):
        return _as_commit(refused)
    return refused if ack.is_wanted(header.field(16), is_good=False) else b""


def is_due(header: ack.Header, answer: bytes) -> bool:
    """Say whether MSH-16 asks to be told how a message ended."""
    return ack.is_wanted(header.field(16), is_good=ack.code(answer) == "AA")


def _as_commit(answer: bytes) -> bytes:
    """Return an acknowledgment as a commit acknowledgment: CE or CR, which nobody answers."""
    head, _, rest = answer.partition(b"\rMSA")
    fields = head.split(head[3:4])
    fields[14:16] = [b""] * len(fields[14:16])
    while not fields[-1]:
        del fields[-1]
    return head[3:4].join(fields) + b"\rMSA" + rest[:1] + b"C" + rest[2:]


def _named(raw: bytes) -> str:
    """Return MSA-2, empty if there is none."""
    _, found, rest = raw.replace(b"\n", b"\r").partition(b"\rMSA")
    fields = rest.partition(b"\r")[0].split(rest[:1]) if found else []
    return fields[2].decode("utf-8", "replace").strip() if len(fields) > 2 else ""
