"""Channels over a real receiver and journal in memory: only what a message becomes is by hand."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import parts
from apply_parts import conversion, identifier, patient

from fhir_hub.errors import InvalidMessage
from fhir_hub.hl7v2.channels.channel import Channel, configured
from fhir_hub.hl7v2.channels.intake import Intake
from fhir_hub.hl7v2.receive import Receiver
from fhir_hub.settings import load_settings
from fhir_hub.store.open import Backend, open_backend
from fhir_hub.telemetry import FIELDS, Metrics

SERVER = "hub.hospital.example"


def adt(control_id: str = "C1", **fields: str) -> bytes:
    """Return a message; `msh_3="LIS"` sets a field of MSH."""
    given = {"msh_3": "HIS", "msh_4": "SHTH01", "msh_9": "ADT^A08", "msh_11": "P", **fields}
    header = ["MSH", "^~\\&", *[""] * 16]
    header[9], header[11] = control_id, "2.5.1"
    for name, value in given.items():
        header[int(name[4:]) - 1] = value
    return ("|".join(header).rstrip("|") + "\rPID|1||T1||沈桂芳\r").encode()


def held_until(gate: asyncio.Event) -> Any:
    """Return what is put around a channel's way in: each message is done, and answered later."""

    def around(take: Any) -> Any:
        async def held(*way: Any) -> bytes:
            answer = await take(*way)
            await gate.wait()
            return answer

        return held

    return around


@dataclass
class Seen:
    """What came of messages: their zone, and the log."""

    zones: list[Any] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    lines: list[dict[str, object]] = field(default_factory=list)
    fault: BaseException | None = None
    before: Any = lambda message: None
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def log(self, event: str, **fields: object) -> None:
        assert fields.keys() <= FIELDS, "the log would drop it"
        self.events.append(event)
        self.lines.append({"event": event, **fields})

    def convert(self, message, received, zone):
        self.before(message)
        self.zones.append(zone)
        self.came.set()
        if self.fault is not None:
            raise self.fault
        if message.header.value(9) == "BAD":
            raise InvalidMessage("no good", location="MSH-9")
        number = message.first("PID").value(3)
        return conversion(patient(identifier(number)))


class Client:
    """One MLLP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send_only(self, raw: bytes) -> None:
        self.writer.write(b"\x0b" + raw + b"\x1c\r")
        await self.writer.drain()

    async def send(self, raw: bytes) -> bytes:
        await self.send_only(raw)
        return await self.answer()

    async def answer(self) -> bytes:
        raw = await asyncio.wait_for(self.reader.readuntil(b"\x1c\r"), parts.PATIENCE_S)
        return raw[1:-2]

    async def is_closed(self) -> bool:
        try:
            return await asyncio.wait_for(self.reader.read(), parts.PATIENCE_S) == b""
        except (ConnectionError, ssl.SSLError):
            return True


class Ways:
    """The ways in of a hub, started."""

    def __init__(
        self, backend: Backend, seen: Seen, options: dict[str, Any], around: Any = lambda take: take
    ) -> None:
        self.backend, self.seen = backend, seen
        settings = load_settings(None, {"mllp_port": 0, "drain_s": 5, **options}, {})
        channels = configured(settings)
        ids = parts.ids()
        self.receiver = Receiver(
            parts.repository(backend.store, parts.SetClock(), ids),
            backend.journal,
            seen.convert,
            parameters=parts.parameters(),
            channel=Channel("mllp", settings.zone),
            channels=[one.channel for one in channels],
            clock=parts.SetClock(),
            new_id=ids,
            log=seen.log,
        )
        metrics = Metrics("1")
        self.registry = metrics.registry
        self.intake = Intake(
            channels,
            settings,
            around(self.receiver.take),
            self.receiver.refuse,
            backend,
            metrics,
            seen.log,
        )
        self.clients: list[Client] = []

    async def connect(self, channel: str = "mllp", tls: ssl.SSLContext | None = None) -> Client:
        port = self.intake.ports()[channel]
        name = SERVER if tls else None
        streams = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
        self.clients.append(Client(*streams))
        return self.clients[-1]

    async def send(self, raw: bytes, channel: str = "mllp") -> bytes:
        return await (await self.connect(channel)).send(raw)

    async def kept(self) -> list[tuple[str, str]]:
        """Return the channel and state of each message of the journal, oldest first."""
        found = await self.backend.journal.recent(count=1000)
        return [(one.message.channel, one.state) for one in reversed(found)]


@asynccontextmanager
async def started(
    url: str = "memory:", around: Any = lambda take: take, **options: Any
) -> AsyncIterator[Ways]:
    """Ways in on a store; `around` may stand before the receiver."""
    async with open_backend(url) as backend:
        ways = Ways(backend, Seen(), options, around)
        await ways.intake.start()
        try:
            yield ways
        finally:
            await ways.intake.close()
            await ways.receiver.close()
            for client in ways.clients:
                client.writer.transport.abort()
            await asyncio.sleep(0)
