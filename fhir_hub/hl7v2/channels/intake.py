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
from fhir_hub.hl7v2 import ack
from fhir_hub.hl7v2.channels.channel import Channel, Configured, choose
from fhir_hub.hl7v2.channels.debts import Debts
from fhir_hub.hl7v2.channels.enhanced import Enhanced, refusal
from fhir_hub.hl7v2.channels.folder import Folders
from fhir_hub.hl7v2.channels.pace import Pace
from fhir_hub.hl7v2.channels.ports import (
    PortPlan,
    by_channel,
    files_of,
    is_secured_anew,
    names_in,
    ports_of,
    require_same_hosts,
    tls_of,
)
from fhir_hub.hl7v2.wire import charset
from fhir_hub.hl7v2.wire.batches import MESSAGE, is_batch, parts_of
from fhir_hub.hl7v2.wire.listener import Caller, Handle, Listener, Log
from fhir_hub.hl7v2.wire.mllp import Block
from fhir_hub.hl7v2.wire.seldom import seldom
from fhir_hub.hl7v2.wire.unfinished import Unfinished
from fhir_hub.settings import Settings
from fhir_hub.store.ending import end_tasks
from fhir_hub.store.open import Backend
from fhir_hub.telemetry import Metrics, stopwatch

Take = Callable[..., Awaitable[bytes]]
Refuse = Callable[[bytes, FhirError, Channel], bytes]
Hear = Callable[..., Awaitable[bytes | None]]
Adopt = Callable[[socket.socket, Callable[[], None]], Awaitable[None]]
_ACK, _HEAD = b"ACK", 400  # bytes in which MSH-9 stands
_NOT_HIS = (
    "the client's certificate does not stand for MSH-3 and MSH-4 / 客户端证书与 MSH-3、MSH-4 不符"
)


async def _nobody(raw: bytes, channel: Channel) -> None:
    """Wait for no acknowledgment."""


class PortTaken(Exception):
    """A port cannot be listened on: `args` are the host, the port and why."""


class _Port:
    """A port: what it is for now, who listens, and what the files of its TLS held."""

    __slots__ = ("files", "listener", "plan")

    def __init__(self, plan: PortPlan, listener: Listener) -> None:
        self.plan, self.listener, self.files = plan, listener, files_of(plan)


class Intake:
    """The ways in of one hub.

    `take` returns the answer to a block of a channel, and tells before that it is kept; `refuse`
    that to a message which is not kept, for a reason; `hear` that to an acknowledgment of what the
    hub sent, None to another. The journal of `backend` knows what is owed. `posted` are the
    channels whose messages come by HTTP; `tables` is what the settings say of all, now.
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
        hear: Hear = _nobody,
    ) -> None:
        """Raise `InvalidSettings` if a certificate cannot be read."""
        self._take, self._refuse, self._metrics = take, refuse, metrics.channels
        self._log = seldom(log)
        self._mllp_port, self._drain_s = settings.mllp_port, settings.drain_s
        self._hear, self.tables = hear, settings.channels
        self._stop, self._is_listening = asyncio.Event(), False
        self._unfinished = Unfinished(settings.mllp_unfinished_bytes)
        self._ports = [self._port(plan) for plan in ports_of(channels, self._mllp_port)]
        self._folders = Folders(self._take_from, log)
        self._debts = Debts(backend.journal, {}, log)
        self._leading: list[asyncio.Task[None]] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._paces: dict[str, Pace] = {}
        self._folders.prepare(channels)
        self._have(channels)

    async def start(self) -> None:
        """Listen on every port; raises `PortTaken` if one cannot be."""
        self._is_listening = True
        for port in self._ports:
            await _listen(port)

    async def become(self, channels: Sequence[Configured]) -> None:
        """Take messages by these channels instead; connections of ports that stay stay open.

        Where the ports are another process's, none is opened here. Raises `InvalidSettings` or
        `PortTaken`, and then everything is as before.
        """
        plans = {plan.place: plan for plan in ports_of(channels, self._mllp_port)}
        before = {port.plan.place: port for port in self._ports}
        require_same_hosts({place: port.plan for place, port in before.items()}, plans)
        renewed = {
            place: tls_of(plan)
            for place, plan in plans.items()
            if place in before and is_secured_anew(before[place].plan, plan, before[place].files)
        }
        new = {place: self._port(plan) for place, plan in plans.items() if place not in before}
        self._folders.prepare(channels)
        begun: list[_Port] = []
        try:
            for port in new.values() if self._is_listening else ():
                await _listen(port)
                begun.append(port)
        except PortTaken:
            for port in begun:
                await port.listener.close()
            raise
        for place, port in before.items():
            if place in plans:
                port.plan = plans[place]
                port.listener.become(port.plan.limits(self._drain_s))
        for place, tls in renewed.items():
            before[place].files = files_of(plans[place])
            before[place].listener.secure(tls)
        self._ports = [before.get(place) or new[place] for place in plans]
        self._have(channels)
        for place in before.keys() - plans.keys():
            closing = asyncio.create_task(before[place].listener.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _have(self, channels: Sequence[Configured]) -> None:
        """Take messages by these channels from now on."""
        self._by_name = {one.channel.name: one.channel for one in channels}
        self._named = [one.channel.name for one in channels if one.is_named]
        self.posted = [one.channel for one in channels if one.settings.transport == "http"]
        self._debts.channels = self._by_name
        self._folders.become(channels)
        before, self._paces = self._paces, {}
        for name, channel in self._by_name.items():
            pace = before.get(name)
            is_same = pace and pace.messages_per_minute == channel.messages_per_minute
            self._paces[name] = pace if pace and is_same else Pace(channel.messages_per_minute)
        if self._leading:
            self._begin()

    def _begin(self) -> None:
        """Have it known since when a channel of the settings is silent: before its first message.

        Of the two that are always there nobody may use one.
        """
        for name in self._named:
            self._metrics.begin(name)

    def _port(self, plan: PortPlan) -> _Port:
        port: _Port

        def meet(caller: Caller) -> Handle | None:
            return self._meet(port, caller)

        def log(event: str, **fields: object) -> None:
            self._log(event, channel=port.plan.channels[0].name, **fields)

        # its file is made now: later there may be no room for it
        self._metrics.observe_connection(plan.channels[0].name, 0)
        listener = Listener(
            meet,
            plan.limits(self._drain_s),
            log,
            tls_of(plan),
            partial(self._metrics.observe_connection, plan.channels[0].name),
            self._unfinished,
        )
        port = _Port(plan, listener)
        return port

    def ports(self) -> dict[str, int]:
        """Return the port that is listened on, by channel."""
        plans = [port.plan for port in self._ports]
        return by_channel(plans, [port.listener.port for port in self._ports])

    def adopters(self) -> list[Adopt]:
        """Return who serves connections that were accepted elsewhere, in the order of the ports.

        That is the order of `ports_of`.
        """
        return [port.listener.adopt for port in self._ports]

    @property
    def connections(self) -> int:
        """Return how many connections are open."""
        return sum(port.listener.connections for port in self._ports)

    def lead(self) -> None:
        """Do what one process of the hub does for all: watch the folders, pay the debts."""
        if not self._leading:
            works = (self._folders.watch(self._stop), self._debts.run(self._stop))
            self._leading = [asyncio.create_task(work) for work in works]
            self._begin()

    async def rest(self) -> None:
        """Let another process do it; a file that was being taken is taken there again."""
        leading, self._leading = self._leading, []
        await end_tasks(*leading)

    async def pay(self) -> None:
        """Tell senders what was still to be told in the last round too."""
        await self._debts.pay()

    async def close(self) -> None:
        """Take no more; let what is under way finish and be answered; then close."""
        self._stop.set()
        await asyncio.gather(*(port.listener.close() for port in self._ports), *self._closing)
        if self._leading:
            _, late = await asyncio.wait(self._leading, timeout=self._drain_s)
            await end_tasks(*late)

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
        address = caller.address if caller else ""

        def read() -> ack.Header:
            nonlocal header
            header = header or _header(block.raw)
            return header

        channel = choose(channels, read)
        if channel is None:
            self._log_refused("message_of_no_channel", channels[0], address, read())
            unknown = NotSupported("no channel takes this message here / 此处没有通道接收该消息")
            return self._refused(channels[0], block, unknown, caller)
        await self._paces[channel.name].wait()
        names = names_in(caller.certificate) if caller and channel.senders else ()
        if channel.senders and not all(channel.knows(names, one) for one in _headers(block.raw)):
            self._log_refused("sender_refused", channel, address, read(), " ".join(names))
            answer = self._refused(channel, block, NotAllowed(_NOT_HIS), caller)
        elif caller and enhanced is not None and _is_enhanced(channel, block, read):
            if channel.name not in enhanced:
                one = Enhanced(channel, caller, self._take, self._debts, self._count)
                enhanced[channel.name] = one
            enhanced[channel.name].channel = channel
            if read().component(9, 1) != "ACK":
                return await enhanced[channel.name].answer(block, read())
            if enhanced[channel.name].acknowledged(block.raw):
                return b""  # nobody acknowledges an acknowledgment
            answer = await self._hear(block.raw, channel) or b""
        elif _ACK in block.raw[:_HEAD] and read().component(9, 1) == "ACK":
            heard = await self._hear(block.raw, channel)
            answer = await self._take(block, channel) if heard is None else heard
        else:
            answer = await self._take(block, channel)
        if answer:
            self._metrics.observe_message(channel.name, ack.code(answer), elapsed())
        return answer

    def _log_refused(
        self, event: str, channel: Channel, address: str, header: ack.Header, certificate: str = ""
    ) -> None:
        """Tell of what is not kept whose it said that it is: the journal cannot."""
        self._log(
            event,
            channel=channel.name,
            client_ip=address,
            sender=f"{header.field(3)}|{header.field(4)}",
            type=header.field(9),
            certificate=certificate,
        )

    def _refused(
        self, channel: Channel, block: Block, error: FhirError, caller: Caller | None
    ) -> bytes:
        """Return the answer to what a channel does not even keep, in its mode."""
        refused = self._refuse(block.raw, error, channel)
        header = _header(block.raw)
        if caller is None or not _is_enhanced(channel, block, lambda: header):
            return refused
        return refusal(header, refused)

    async def _take_from(self, channel: str, block: Block) -> bytes:
        """Return the answer to what a file of a folder holds."""
        return await self.take([self._by_name[channel]], None, block)

    def _meet(self, port: _Port, caller: Caller) -> Handle | None:
        def let_in() -> list[Channel]:
            return [one for one in port.plan.channels if one.allows(caller.address)]

        first, plan, channels = port.plan, port.plan, let_in()
        if not channels:
            self._log(
                "mllp_address_refused", channel=first.channels[0].name, client_ip=caller.address
            )
            return None
        enhanced: dict[str, Enhanced] = {}

        async def handle(block: Block) -> bytes:
            nonlocal plan, channels
            if port.plan is not plan:
                plan, channels = port.plan, let_in()
            if not channels:
                self._log(
                    "mllp_address_refused", channel=plan.channels[0].name, client_ip=caller.address
                )
                error = NotAllowed(
                    "messages from this address are not taken any more / 不再接收来自该地址的消息"
                )
                return self._refused(first.channels[0], block, error, caller)
            return await self.take(channels, caller, block, enhanced)

        return handle

    def _count(self, channel: str, answer: bytes) -> None:
        self._metrics.observe_message(channel, ack.code(answer), 0.0)


async def _listen(port: _Port) -> None:
    plan = port.plan
    try:
        await port.listener.start(plan.host, plan.number)
    except OSError as error:
        raise PortTaken(plan.host, plan.number, error) from None


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
