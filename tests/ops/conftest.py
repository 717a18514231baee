"""A whole hub in the test's own process, on free ports."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import parts
import pytest

from fhir_hub.app import build, read
from fhir_hub.clock import Clock, now
from fhir_hub.hub import Hub
from fhir_hub.server import Addresses
from fhir_hub.settings import load_settings
from fhir_hub.store.open import open_backend
from fhir_hub.telemetry import Logs


@dataclass
class Running:
    """A hub that takes requests; `stop` asks it to drain."""

    hub: Hub
    addresses: Addresses
    stop: asyncio.Event
    ended: asyncio.Task[None]
    logged: StringIO

    @property
    def home(self) -> str:
        return self.addresses.fhir.removesuffix("/fhir")

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.home, verify=False, timeout=parts.PATIENCE_S)

    async def send(self, message: bytes) -> bytes:
        """Send one HL7v2 message; return the acknowledgment without its frame."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.addresses.mllp)
        writer.write(b"\x0b" + message + b"\x1c\r")
        answer = await reader.readuntil(b"\x1c\r")
        writer.close()
        await writer.wait_closed()
        return answer[1:-2]


@asynccontextmanager
async def running(
    *, load: Path | None = None, clock: Clock = now, **options: Any
) -> AsyncIterator[Running]:
    """A hub with the settings `options`, on a store in memory unless they say otherwise."""
    given = {"port": 0, "mllp_port": 0, "store": "memory:", "drain_s": 5, **options}
    settings = load_settings(None, given, {})
    logged = StringIO()
    stop = asyncio.Event()
    ready: asyncio.Future[Addresses] = asyncio.get_running_loop().create_future()
    async with open_backend(settings.store) as backend:
        known = read(settings, parts.definitions())
        logs = Logs(settings.log_level, "json", logged)
        hub = build(settings, backend, logs, clock=clock, known=known)
        ended = asyncio.create_task(hub.run(stop, ready.set_result, load))
        await asyncio.wait((ready, ended), return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            await ended
        try:
            yield Running(hub, ready.result(), stop, ended, logged)
        finally:
            stop.set()
            await ended
            parts.forget_pages()


@pytest.fixture(scope="session")
def start():
    return running
