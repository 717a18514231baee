"""A partner who listens on a real socket and can misbehave, and what delivers to him."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import emit_parts
import parts

from fhir_hub.hl7v2.deliver.deliveries import Deliveries
from fhir_hub.hl7v2.deliver.desk import Desk
from fhir_hub.hl7v2.deliver.outbox import dead_messages
from fhir_hub.hl7v2.wire.mllp import Framer, frame
from fhir_hub.hl7v2.wire.sender import control_id
from fhir_hub.identity.systems import ALIASES
from fhir_hub.settings.partners import PartnerSettings
from fhir_hub.store.base import Store
from fhir_hub.telemetry import Metrics


def ack(code: str, number: str, *more: str) -> bytes:
    lines = ["MSH|^~\\&|THEIRS|THERE|||20250315||ACK|9|P|2.4", f"MSA|{code}|{number}", *more]
    return frame("\r".join([*lines, ""]).encode())


def deferred(code: str, number: str) -> bytes:
    """Return an acknowledgment that wants a commit acknowledgment."""
    return ack(code, number).replace(b"|P|2.4", b"|P|2.4|||AL|NE")


class Peer:
    """Answers each message as the next of `answers` says, AA when there is none left.

    `silent`: not at all; `close`: ends the connection; `noise`: a block that is no message;
    `wrong`: AA for another message, then nothing; `astray`: that, and ends the connection;
    `late`: that and then its own AA; `once`: its AA, and then ends the connection;
    `foreign`: its AA with other delimiters and an undeclared character set, byte by byte;
    `both`: in one block the AA for another message, and its own;
    `nameless AR`: AR twice, of which neither names a message;
    `CA+AE`: both at once, of which the second wants a commit acknowledgment.
    """

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.received: list[bytes] = []
        self._server: asyncio.Server | None = None
        self._news = asyncio.Condition()
        self._writers: list[asyncio.StreamWriter] = []
        self.port = 0

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.close()
            await self._server.wait_closed()
            self._server = None

    def say(self, raw: bytes) -> None:
        """Say something of his own on the connection."""
        self._writers[-1].write(raw)

    async def until(self, is_enough: Callable[["Peer"], bool]) -> None:
        async with asyncio.timeout(parts.PATIENCE_S), self._news:
            await self._news.wait_for(lambda: is_enough(self))

    async def messages(self, count: int) -> list[str]:
        """Return the messages when there are so many, without those that came again."""
        await self.until(lambda peer: len(peer.distinct) >= count)
        return [raw.decode() for raw in self.distinct]

    async def connected(self, count: int) -> None:
        """Wait until there have been so many connections."""
        await self.until(lambda peer: len(peer._writers) >= count)

    @property
    def distinct(self) -> list[bytes]:
        return list({control_id(raw): raw for raw in self.received}.values())

    @property
    def events(self) -> list[str]:
        return [raw.decode().split("|")[8][:7] for raw in self.distinct]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._news:
            self._writers.append(writer)
            self._news.notify_all()
        framer = Framer(1 << 20)
        while data := await reader.read(1 << 16):
            for block in framer.feed(data):
                async with self._news:
                    self.received.append(block.raw)
                    self._news.notify_all()
                if b"\rMSA" not in block.raw:
                    self._answer(writer, control_id(block.raw))
        writer.close()

    def _answer(self, writer: asyncio.StreamWriter, number: str) -> None:
        kind = self.answers.pop(0) if self.answers else "AA"
        if kind == "close":
            writer.close()
        elif kind == "once":
            writer.write(ack("AA", number))
            writer.close()
        elif kind.startswith("nameless"):
            writer.write(ack(kind.split()[1], "") * 2)
        elif kind == "foreign":
            foreign = ack("AA", number, "ZZZ|déjà reçu").decode().replace("|", "#")
            for byte in foreign.encode("latin-1"):
                writer.write(bytes([byte]))
        elif kind == "both":
            two = (ack("AA", "OTHER") + ack("AA", number)).replace(b"\x1c\r\x0b", b"")
            writer.write(two)
        elif kind == "noise":
            writer.write(b"junk" + frame(b"no message"))
        elif "+" in kind:
            first, second = kind.split("+")
            writer.write(ack(first, number) + deferred(second, number))
        elif kind == "astray":
            writer.write(ack("AA", "OTHER"))
            writer.close()
        elif kind in ("wrong", "late"):
            writer.write(ack("AA", "OTHER") + (ack("AA", number) if kind == "late" else b""))
        elif kind != "silent":
            error = ("ERR|^^^207&Application internal error&HL70357",) if kind != "AA" else ()
            writer.write(ack(kind, number, *error))


def partner(peer: Peer, **given: Any) -> PartnerSettings:
    given = {"address": f"mllp://127.0.0.1:{peer.port}"} | given
    quick = {"timeout_s": 60, "pause_s": 0.01, "max_pause_s": 0.05, "sends": {"Patient": ""}}
    return PartnerSettings(**quick | given)


def deliveries(
    store: Store,
    metrics: Metrics,
    log: Callable[..., None] = lambda event, **fields: None,
    **partners: PartnerSettings,
) -> Deliveries:
    entries = parts.repository(store, parts.SetClock(), parts.ids()).entries
    desk = Desk(store, parts.parameters(), parts.ZONE, "http://hub.test/fhir", ALIASES, entries)
    made = Deliveries(
        partners,
        emit_parts.mappings(),
        desk,
        parts.SetClock(),
        parts.ids(),
        log,
        metrics,
    )

    return made


def patient(number: int, **more: Any) -> dict[str, Any]:
    system = "https://fhir-hub.example/sid/SHTH01/patient-id"
    named = {"identifier": [{"system": system, "value": f"T{number}"}]}
    return {"resourceType": "Patient", "id": f"p{number}", **named, **more}


async def put(client: Any, *resources: dict[str, Any]) -> None:
    for one in resources:
        answer = await client.put(f"{one['resourceType']}/{one['id']}", json=one)
        assert answer.status_code in (200, 201), answer.text


def numbers(peer: Peer) -> list[str]:
    return [raw.decode().split("PID|1||")[1].split("^")[0] for raw in peer.distinct]


async def until(store: Store, is_so: Callable[[Any], bool]) -> None:
    """Wait until the dead messages of a store are as said."""
    async with asyncio.timeout(parts.PATIENCE_S):
        while not is_so(await dead_messages(store)):
            await asyncio.sleep(0.01)
