"""The HTTP server: uvicorn on a socket of ours, FHIR on its fast path, the rest to FastAPI.

FHIR requests go to the raw ASGI application of `rest/http.py`; everything else (health, metrics,
pages) to FastAPI, which costs more than a read does. Whoever runs the server says when it stops:
it takes no signals.

Spec: https://asgi.readthedocs.io/en/latest/specs/www.html
"""

import asyncio
import contextlib
import math
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import uvicorn

from fhir_hub import fhirjson
from fhir_hub.connections import Adopted, Connection
from fhir_hub.errors import Unavailable, outcome
from fhir_hub.hl7v2.channels.ports import why_not
from fhir_hub.rest.http import Exchange, FhirApp, Receive, Scope, Send, is_fault
from fhir_hub.settings import Settings
from fhir_hub.telemetry import Metrics

PREFIX = "/fhir"
_LENIENCE = 1.5


class CannotListen(OSError):
    """An address or port cannot be listened on; the text is for the person who starts the hub."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running hub is: the address of the FHIR API, the ports of MLLP.

    `mllp` is the port of the channel that is always there, 0 if it is turned off; `channels` has
    the port of each by name; `workers` are process ids, where there are several.
    """

    fhir: str
    mllp: int
    workers: tuple[int, ...] = ()
    channels: Mapping[str, int] = field(default_factory=dict)


class Attendance(Protocol):
    """Connections come from elsewhere; `close` ends that."""

    async def close(self) -> None:
        """Serve what came until now, and take no more."""


class Front:
    """The ASGI application: what is below `/fhir` to FHIR, the rest to the operator's pages."""

    def __init__(
        self, fhir: FhirApp, pages: Any, timeout_s: float, observe: Callable[[Exchange], None]
    ) -> None:
        self._fhir, self._pages = fhir, pages
        self._timeout_s, self._observe = timeout_s, observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; one that takes too long with 503."""
        path = scope["path"]
        if not (path.startswith(PREFIX) and path[len(PREFIX) : len(PREFIX) + 1] in ("", "/")):
            if scope.get("method") == "POST":  # who sends a message follows no redirection
                scope = {**scope, "path": path.rstrip("/") or "/"}
            await self._pages(scope, receive, send)
            return
        task, is_late = asyncio.current_task(), False
        assert task is not None

        def cut() -> None:
            nonlocal is_late
            is_late = True
            task.cancel()

        # what asyncio.timeout does, for a third of its cost
        timer = asyncio.get_running_loop().call_later(self._timeout_s, cut)
        try:
            await self._fhir(scope, receive, send)
        except asyncio.CancelledError:
            if not is_late or task.uncancel() > 0:
                raise
            error = TimeoutError()
            status, resource = outcome(Unavailable("the request took too long; ask for less"))
            self._observe(Exchange("", "", status, self._timeout_s, "", error))
            body = fhirjson.dumps(resource)
            headers = [
                (b"content-type", b"application/fhir+json; charset=utf-8"),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
            ]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})
        finally:
            timer.cancel()


def observer(metrics: Metrics, log: Any, *, is_debug: bool) -> Callable[[Exchange], None]:
    """Return what counts a request, and logs it if it is a fault of ours or `is_debug`."""

    def observe(exchange: Exchange) -> None:
        metrics.observe_request(exchange.interaction, exchange.status, exchange.seconds)
        is_ours = is_fault(exchange.error)
        if is_ours or is_debug:
            about = {
                "request_id": exchange.request_id,
                "interaction": exchange.interaction,
                "resource_type": exchange.resource_type,
                "status": exchange.status,
                "milliseconds": round(exchange.seconds * 1000, 1),
            }
            if is_ours:
                log.error("request_fault", fault=exchange.error, **about)
            else:
                log.debug("request", **about)

    return observe


class Server(uvicorn.Server):
    """uvicorn without its signal handling; `ready` is set when it takes requests."""

    def __init__(self, application: Front, settings: Settings) -> None:
        # who takes too long over a body hears so from the application before
        self._limit_s = _LENIENCE * settings.request_timeout_s
        super().__init__(
            uvicorn.Config(
                application,
                http=partial(Connection, limit_s=self._limit_s),  # type: ignore[arg-type]  # makes one
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=math.ceil(settings.drain_s),
            )
        )
        self._ready = asyncio.Event()

    async def serve_until(
        self, stop: asyncio.Event, listening: list[socket.socket], on_ready: Callable[[], None]
    ) -> None:
        """Serve on the sockets until `stop` is set, then answer what is under way and return.

        Calls `on_ready` once requests are taken.
        """
        serving = asyncio.create_task(self.serve(listening))
        try:
            await _either(self._ready, serving)
            if not serving.done():
                on_ready()
                await _either(stop, serving)
        finally:
            self.should_exit = True
            await serving

    async def adopt(self, connection: socket.socket, on_end: Callable[[], None]) -> None:
        """Serve a connection that was accepted elsewhere; `on_end` is called when it ends."""

        def protocol() -> Adopted:
            limit_s = self._limit_s
            adopted = Adopted(self.config, self.server_state, self.lifespan.state, limit_s=limit_s)
            adopted.on_end = on_end
            return adopted

        await asyncio.get_running_loop().connect_accepted_socket(protocol, connection)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: whoever runs the hub says when it is to stop."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self._ready.set()


async def _either(event: asyncio.Event, task: asyncio.Task[None]) -> None:
    """Wait for the event, or for the task that should outlive it."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait((waiting, task), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


def open_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens, on a free port if `port` is 0; raises `CannotListen`."""
    try:
        return listening_socket(host, port)
    except OSError as error:
        raise not_listening(host, port, error) from None


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens, on a free port if `port` is 0; raises `OSError`."""
    family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return socket.create_server((host, port), family=family, backlog=2048)


def not_listening(host: str, port: int, error: OSError) -> CannotListen:
    """Return the error for an address that `error` says cannot be listened on."""
    return CannotListen(f"cannot listen on {host} port {port}: {why_not(error)}")


def address(host: str, port: int) -> str:
    """Return the address of the FHIR API as a client on this machine writes it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{PREFIX}"


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new loop: uvloop's where there is one."""
    try:
        import uvloop
    except ImportError:  # not made for Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def allow_connections() -> None:
    """Let the process, and those that it starts, have as many connections as the system lets it.

    A shell often gives 1,024 files, which is fewer than an MLLP port may have connections.
    """
    try:
        import resource
    except ImportError:  # not made for Windows
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # a system may not mean the limit that it names
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
