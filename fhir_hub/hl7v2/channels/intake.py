"""All ways in, as one part of a hub: what is opened at the start and closed at the end.

An `Intake` holds a listener for each port and knows which channel a message belongs to; what is
done with it is the receiver's. Connections may come from the ports themselves (`start`), or,
where several processes share them, one by one (`adopt`, by the place of the port in the list).

Spec: DOMAIN 5.1 (interface registry)
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from fhir_hub.errors import FhirError, NotAllowed, NotSupported
from fhir_hub.hl7v2 import ack, charset
from fhir_hub.hl7v2.batches import MESSAGE, is_batch, parts_of
from fhir_hub.hl7v2.channels.channel import Channel, Configured, choose
from fhir_hub.hl7v2.channels.debts import Debts
from fhir_hub.hl7v2.channels.enhanced import Enhanced
from fhir_hub.hl7v2.channels.folder import Folder
from fhir_hub.hl7v2.channels.pace import Pace
from fhir_hub.hl7v2.channels.ports import PortPlan, by_channel, names_in, ports_of, tls_of
from fhir_hub.hl7v2.listener import Caller, Handle, Listener, Log
from fhir_hub.hl7v2.mllp import Block
from fhir_hub.settings import Settings
from fhir_hub.store.open import Backend
from fhir_hub.telemetry import Metrics, stopwatch

Take = Callable[..., Awaitable[bytes]]
Refuse = Callable[[bytes, FhirError, Channel], bytes]
Adopt = Callable[[socket.socket, Callable[[], None]], Awaitable[None]]


class PortTaken(Exception):
    """A port cannot be listened on: `args` are the host, the port and why."""


class Intake:
    """The ways in of one hub.

    `take` returns the answer to a block of a channel, and tells before that it is kept; `refuse`
    that to a message which is not kept, for a reason; the journal of `backend` knows what is owed.
    `posted` are the channels whose messages come by HTTP.
    """

    def __init__(
        self,
        channels: Sequence[Configured],
        settings: Settings,
        take: Take,
        refuse: Refuse,
        backend: Backend,
        metrics: Metrics,
        log: Log,
    ) -> None:
        """Raise `InvalidSettings` if a certificate cannot be read."""
        self._take, self._refuse, self._metrics, self._log = take, refuse, metrics.channels, log
        self.plans = ports_of(channels, settings.mllp_port)
        self._listeners = [
            Listener(
                partial(self._meet, plan),
                plan.limits(settings.drain_s),
                log,
                tls_of(plan),
                partial(metrics.channels.observe_connection, plan.channels[0].name),
            )
            for plan in self.plans
        ]
        self.posted = [one.channel for one in channels if one.settings.transport == "http"]
        self._folders = [self._folder(one) for one in channels if one.settings.folder is not None]
        self._drain_s, self._stop = settings.drain_s, asyncio.Event()
        by_name = {one.channel.name: one.channel for one in channels}
        self._debts = Debts(backend.journal, by_name, log)
        self._leading: list[asyncio.Task[None]] = []
        self._paces = {one.channel.name: Pace(one.channel.messages_per_minute) for one in channels}

    async def start(self) -> None:
        """Listen on every port; raises `PortTaken` if one cannot be."""
        for plan, listener in zip(self.plans, self._listeners, strict=True):
            try:
                await listener.start(plan.host, plan.number)
            except OSError as error:
                raise PortTaken(plan.host, plan.number, error) from None

    def ports(self) -> dict[str, int]:
        """Return the port that is listened on, by channel."""
        return by_channel(self.plans, [listener.port for listener in self._listeners])

    def adopters(self) -> list[Adopt]:
        """Return who serves connections that were accepted elsewhere, in the order of `plans`."""
        return [listener.adopt for listener in self._listeners]

    @property
    def connections(self) -> int:
        """Return how many connections are open."""
        return sum(listener.connections for listener in self._listeners)

    def lead(self) -> None:
        """Do what one process of the hub does for all: watch the folders, pay the debts."""
        if not self._leading:
            works = [folder.watch(self._stop) for folder in self._folders]
            works.append(self._debts.run(self._stop))
            self._leading = [asyncio.create_task(work) for work in works]

    async def rest(self) -> None:
        """Let another process do it; a file that was being taken is taken there again."""
        leading, self._leading = self._leading, []
        for task in leading:
            task.cancel()
        if leading:
            await asyncio.wait(leading)

    async def pay(self) -> None:
        """Tell senders what was still to be told in the last round too."""
        await self._debts.pay()

    async def close(self) -> None:
        """Take no more; let what is under way finish and be answered; then close."""
        self._stop.set()
        await asyncio.gather(*(listener.close() for listener in self._listeners))
        if self._leading:
            _, late = await asyncio.wait(self._leading, timeout=self._drain_s)
            for task in late:
                task.cancel()

    async def take(
        self,
        channels: Sequence[Channel],
        caller: Caller | None,
        block: Block,
        enhanced: dict[str, Enhanced] | None = None,
    ) -> bytes:
        """Return the answer to a block that came over one of `channels`, from a client of MLLP.

        `enhanced` is what its connection has of channels in enhanced mode.
        """
        elapsed = stopwatch()
        header: ack.Header | None = None

        def read() -> ack.Header:
            nonlocal header
            header = header or _header(block.raw)
            return header

        channel = choose(channels, read)
        if channel is None:
            self._log("message_of_no_channel", channel=channels[0].name)
            unknown = NotSupported("no channel takes this message here")
            return self._refuse(block.raw, unknown, channels[0])
        await self._paces[channel.name].wait()
        names = names_in(caller.certificate) if caller and channel.senders else ()
        if channel.senders and not all(channel.knows(names, one) for one in _headers(block.raw)):
            error = NotAllowed("the client's certificate does not stand for MSH-3 and MSH-4")
            answer = self._refuse(block.raw, error, channel)
        elif caller and enhanced is not None and _is_enhanced(channel, block, read):
            if channel.name not in enhanced:
                one = Enhanced(channel, caller, self._take, self._debts, self._count)
                enhanced[channel.name] = one
            if read().component(9, 1) == "ACK":
                enhanced[channel.name].acknowledged(block.raw)
                return b""  # nobody acknowledges an acknowledgment
            return await enhanced[channel.name].answer(block, read())
        else:
            answer = await self._take(block, channel)
        self._metrics.observe_message(channel.name, _code(answer), elapsed())
        return answer

    def _folder(self, one: Configured) -> Folder:
        assert one.settings.folder is not None
        take = partial(self.take, [one.channel], None)
        return Folder(one.channel.name, one.settings.folder, one.settings.poll_s, take, self._log)

    def _meet(self, plan: PortPlan, caller: Caller) -> Handle | None:
        channels = [one for one in plan.channels if one.allows(caller.address)]
        if not channels:
            self._log("mllp_address_refused", channel=plan.channels[0].name)
            return None
        return partial(self.take, channels, caller, enhanced={})

    def _count(self, channel: str, answer: bytes) -> None:
        self._metrics.observe_message(channel, _code(answer), 0.0)


def _code(answer: bytes) -> str:
    at = answer.find(b"\rMSA") + 5
    return answer[at : at + 2].decode("ascii", "replace")


def _is_enhanced(channel: Channel, block: Block, read: Callable[[], ack.Header]) -> bool:
    """Say whether a message is answered twice: none of a batch is."""
    if channel.ack_mode != "enhanced" or is_batch(block.raw):
        return False
    return ack.is_enhanced(read()) or read().component(9, 1) == "ACK"


def _headers(raw: bytes) -> list[ack.Header]:
    """Return the header of each message of a block, which may be a batch."""
    return [_header(part.raw) for part in parts_of(raw) if part.kind == MESSAGE] or [_header(raw)]


def _header(raw: bytes) -> ack.Header:
    """Return the header of a message, names in it as UTF-8 or GB 18030."""
    lines = raw[:4096].lstrip(b"\xef\xbb\xbf\x0b\r\n \t").replace(b"\n", b"\r").split(b"\r")
    line = next((one for one in lines if one.startswith(b"MSH")), lines[0])  # a batch has it later
    try:
        return ack.read_header(charset.decode(line).text)
    except FhirError:
        return ack.read_header(line.decode("latin-1"))
