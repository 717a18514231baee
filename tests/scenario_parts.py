"""A whole hub for an acceptance scenario: real sockets, and a clock that the scenario sets.

The hub runs on a thread of its own in the test's process, so a scenario is plain synchronous
steps that share one hub, and starting one costs a twentieth of a second. What a step does, it
does by HTTP (`hub.get`, `post`, `put`, `delete`; addresses are below the FHIR base) or by MLLP
(`hub.send`). The clock begins on the morning of the story's first message.
"""

import asyncio
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import parts
from mongo_server import store_asked_for

from fhir_hub.app import build, read
from fhir_hub.hub import Hub
from fhir_hub.server import Addresses
from fhir_hub.settings import load_settings
from fhir_hub.store.open import open_backend
from fhir_hub.telemetry import Logs

EXAMPLES = Path(__file__).parents[1] / "examples"
INSTITUTIONS = EXAMPLES / "institutions.json"
MORNING = datetime(2025, 3, 10, 0, 30, tzinfo=UTC)  # 08:30 of the first message, at +08:00
LOINC = "http://loinc.org"
RESIDENT_ID = "urn:oid:2.16.156.10011.1.3"
SHEN = f"{RESIDENT_ID}|310229195304129989"  # the resident of the story, 沈桂芳

Resource = dict[str, Any]


class StoryClock:
    """The hub's time: a scenario sets it; each look at it is ten milliseconds later."""

    def __init__(self, moment: datetime = MORNING) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        self.moment += timedelta(milliseconds=10)
        return self.moment

    def set(self, text: str) -> None:
        """Go to a moment: `2025-03-14T08:30+08:00`."""
        self.moment = datetime.fromisoformat(text)

    def reach(self, message: bytes) -> None:
        """Go on to when a message was made (MSH-7), if that is later than now."""
        if made := re.match(rb"MSH.(?:[^|]*\|){5}(\d{14})", message):
            moment = datetime.strptime(made[1].decode() + "+0800", "%Y%m%d%H%M%S%z")
            self.moment = max(self.moment, moment)


class ScenarioHub:
    """A hub that runs; `clock` is its time, `client` an HTTP client of its FHIR base."""

    def __init__(self, hub: Hub, addresses: Addresses, clock: StoryClock, loop: Any) -> None:
        self.addresses, self.clock = addresses, clock
        self._hub, self._loop = hub, loop
        self.client = httpx.Client(
            base_url=f"{addresses.fhir}/", verify=False, timeout=parts.PATIENCE_S
        )
        self._mllp = MllpClient(addresses.mllp)

    def send(self, message: bytes | str) -> bytes:
        """Send a message, or the one of `examples/messages` with this number; return its ACK.

        The hub's clock goes on to the message's own time, so that nothing comes from the future.
        """
        if isinstance(message, str):
            (path,) = (EXAMPLES / "messages").glob(f"{message}_*.hl7")
            message = path.read_bytes()
        self.clock.reach(message)
        return self._mllp.send(message.replace(b"\r\n", b"\r").replace(b"\n", b"\r"))

    def tell(self, *messages: bytes | str) -> None:
        """Send messages that are to be accepted (AA)."""
        for message in messages:
            answer = self.send(message)
            assert b"\rMSA|AA|" in answer, (message, answer.decode("utf-8", "replace"))

    def get(self, address: str, status: int = 200, **more: Any) -> Resource:
        return self._ask("GET", address, status, **more)

    def post(self, address: str, body: Resource, status: int = 201, **more: Any) -> Resource:
        return self._ask("POST", address, status, json=body, **more)

    def put(self, address: str, body: Resource, status: int = 200, **more: Any) -> Resource:
        return self._ask("PUT", address, status, json=body, **more)

    def found(self, query: str) -> list[Resource]:
        """Return what a search matches (at most 200 a page; the first page)."""
        sign = "&" if "?" in query else "?"
        query = query if "_count=" in query else f"{query}{sign}_count=200"
        entries = self.get(query).get("entry", [])
        return [one["resource"] for one in entries if one["search"]["mode"] == "match"]

    def one(self, query: str) -> Resource:
        """Return the one match of a search."""
        resources = self.found(query)
        assert len(resources) == 1, (query, [one["id"] for one in resources])
        return resources[0]

    def history(self, address: str) -> list[Resource]:
        """Return the versions of a resource, oldest first."""
        entries = self.get(f"{address}/_history?_count=200")["entry"]
        return [one["resource"] for one in reversed(entries) if "resource" in one]

    def pass_time(self, moment: str) -> None:
        """Go to a moment and do what the hub's clock does every minute."""
        self.clock.set(moment)
        deadlines = self._hub.deadlines.expire()
        asyncio.run_coroutine_threadsafe(deadlines, self._loop).result(parts.PATIENCE_S)

    @property
    def is_taking(self) -> bool:
        """Say whether it takes requests: it does not any more when it stops."""
        return self._hub.is_taking

    def close(self) -> None:
        self.client.close()
        self._mllp.close()

    def _ask(self, method: str, address: str, status: int, **more: Any) -> Resource:
        answer = self.client.request(method, address, **more)
        assert answer.status_code == status, (address, answer.status_code, answer.text)
        content: Resource = answer.json() if answer.content else {}
        return content


class MllpClient:
    """One MLLP connection, made when it is first needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def send(self, message: bytes) -> bytes:
        if self._socket is None:
            self._socket = socket.create_connection(
                ("127.0.0.1", self._port), timeout=parts.PATIENCE_S
            )
        self._socket.sendall(b"\x0b" + message + b"\x1c\r")
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            part = self._socket.recv(65536)
            assert part, "the hub closed the connection"
            answer += part
        return answer[1:-2]

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


@contextmanager
def scenario_hub(load: Path | None = INSTITUTIONS, **options: Any) -> Iterator[ScenarioHub]:
    """Run a hub with the demonstration's institutions and the settings `options`."""
    with ExitStack() as stack:
        if "store" not in options:
            options["store"] = stack.enter_context(store_asked_for())
        yield stack.enter_context(_running(load, options))


@contextmanager
def _running(load: Path | None, options: Mapping[str, Any]) -> Iterator[ScenarioHub]:
    started: Future[ScenarioHub] = Future()
    clock = StoryClock()
    stopping: list[Any] = []

    async def run() -> None:
        given = {"port": 0, "mllp_port": 0, "drain_s": 5, **options}
        settings = load_settings(None, given, {})
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        stopping.append(lambda: loop.call_soon_threadsafe(stop.set))
        async with open_backend(settings.store) as backend:
            logs = Logs(settings.log_level, "json", StringIO())
            known = read(settings, parts.definitions())
            hub = build(settings, backend, logs, clock=clock, known=known)

            def ready(addresses: Addresses) -> None:
                started.set_result(ScenarioHub(hub, addresses, clock, loop))

            await hub.run(stop, ready, load)

    def work() -> None:
        try:
            asyncio.run(run())
        except BaseException as fault:
            if started.done():
                raise
            started.set_exception(fault)

    thread = threading.Thread(target=work, name="hub", daemon=True)
    thread.start()
    hub = started.result(parts.PATIENCE_S)
    try:
        yield hub
    finally:
        hub.close()
        stopping[0]()
        thread.join(parts.PATIENCE_S)
        parts.forget_pages()
