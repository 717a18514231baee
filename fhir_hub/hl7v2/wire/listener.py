"""The MLLP server: many connections, each answered message by message, in order.

A connection is read only after its last message is answered, so a sender that is faster than
the store waits in its own socket and not in our memory. Closing lets the message under way
finish and be answered; what was not yet begun is for the sender to send again.

Nothing of a message is logged, only sizes, the client's address and the type of a fault.

Spec: HL7 Minimal Lower Layer Protocol, release 1
"""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self

from fhir_hub.hl7v2.wire.mllp import Block, Framer, frame, other_protocol
from fhir_hub.hl7v2.wire.unfinished import Unfinished

Handle = Callable[[Block], Awaitable[bytes]]
# What a client is told apart by comes in; who handles its blocks goes out, None if nobody will.
Meet = Callable[["Caller"], Handle | None]
# Takes an event and fields; of a `fault` it shows the type and the place, never the text.
Log = Callable[..., None]
_READ_BYTES = 1 << 16
_BACKLOG = 1024
_AGAIN_S = 0.1  # before connections are accepted again where that could not be
_FAREWELL_S = 1.0  # how long TLS waits for a client to say that it has heard the end
_UNFINISHED_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a message may be, how long a connection may be silent, how many there may be.

    `drain_s` is how long closing waits for the messages under way, `handshake_s` how long a client
    of TLS may take until it can send.
    """

    size_bytes: int = 64 * 1024 * 1024
    idle_s: float = 600.0
    connections: int = 500
    drain_s: float = 20.0
    handshake_s: float = 10.0


def no_log(event: str, **fields: object) -> None:
    """Log nothing."""


class Caller:
    """A client that is connected: its IP address, its certificate, and a way to tell it more.

    What it is still to be told is under way in `later`; its connection is held open for that.
    `ended` has whether the connection broke, once nothing more is read of it.
    """

    __slots__ = ("_drain_s", "_writer", "address", "certificate", "ended", "later")

    def __init__(self, writer: asyncio.StreamWriter, drain_s: float) -> None:
        self._writer, self._drain_s = writer, drain_s
        peer = writer.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) and peer else ""
        self.certificate: object = writer.get_extra_info("peercert")
        self.later: set[asyncio.Task[None]] = set()
        self.ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def tell(self, raw: bytes) -> bool:
        """Send a block that answers none of this moment; False if the connection is gone."""
        if self._writer.is_closing():
            return False
        self._writer.write(frame(raw))
        try:
            async with asyncio.timeout(self._drain_s):
                await self._writer.drain()
        except (OSError, TimeoutError):
            return False
        return not self._writer.is_closing()


def everyone(handle: Handle) -> Meet:
    """Return what lets every client in and has its blocks handled by `handle`."""
    return lambda caller: handle


class Listener:
    """An MLLP server. `meet` says who handles the blocks of a client; that should not raise.

    The handler returns what to answer, which is nothing if it is empty. `on_change` hears of each
    connection that begins (1) or ends (-1). What has begun and not ended is in `unfinished`, which
    several may share.
    """

    def __init__(
        self,
        meet: Meet,
        limits: Limits | None = None,
        log: Log = no_log,
        tls: ssl.SSLContext | None = None,
        on_change: Callable[[int], None] = lambda change: None,
        unfinished: Unfinished | None = None,
    ) -> None:
        self._meet = meet
        self._limits = limits or Limits()
        self._log = log
        self._tls, self._on_change = _logged(tls, log), on_change
        self._unfinished = unfinished or Unfinished(_UNFINISHED_BYTES)
        self._listening: socket.socket | None = None
        self._accepting: set[asyncio.Task[None]] = set()
        self._connections: dict[asyncio.Task[None], _Connection] = {}
        self._is_closing = False

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen on `port`, or on a free one if it is 0; raises `OSError` if that cannot be."""
        loop = asyncio.get_running_loop()
        family, *_ = (await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))[0]
        self._listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        self._listening.setblocking(False)
        self._run(self._accept(self._listening))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)

    async def _accept(self, listening: socket.socket) -> None:
        """Serve every connection that comes, until cancelled."""
        loop = asyncio.get_running_loop()
        is_told = False
        while True:
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError as fault:  # who came is gone, or as many files are open as may be
                if not is_told:
                    self._log(
                        "mllp_not_accepted", fault=fault, reason=os.strerror(fault.errno or 0)
                    )
                is_told = True
                await asyncio.sleep(_AGAIN_S)
            else:
                is_told = False
                self._run(self._take(connection))

    async def _take(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self.adopt(connection, lambda: None)
        except OSError:  # it is gone, or not one of TLS
            connection.close()

    def become(self, limits: Limits) -> None:
        """Take other limits for the connections that begin from now on."""
        self._limits = limits

    def secure(self, tls: ssl.SSLContext | None) -> None:
        """Speak TLS so (None: not) on the connections that begin from now on; none is refused."""
        self._tls = _logged(tls, self._log)

    async def adopt(self, connection: socket.socket, on_end: Callable[[], None]) -> None:
        """Serve a connection that was accepted; `on_end` is called when it ends.

        Raises `OSError` for one that is gone, or whose client does not come to speak TLS.
        """
        loop = asyncio.get_running_loop()
        peer = connection.getpeername()

        def protocol() -> _Adopted:
            adopted = _Adopted(asyncio.StreamReader(loop=loop), self._serve, loop=loop)
            adopted.on_end = on_end
            return adopted

        handshake_s = self._limits.handshake_s if self._tls else None
        try:
            await loop.connect_accepted_socket(
                protocol,
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=handshake_s,
                ssl_shutdown_timeout=_FAREWELL_S if self._tls else None,
            )
        except ConnectionAbortedError:  # who hangs up is told by ConnectionResetError
            address = str(peer[0]) if isinstance(peer, tuple) else ""
            self._log("mllp_tls_refused", reason=f"no end in {handshake_s} s", client_ip=address)
            raise

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        assert self._listening is not None
        return int(self._listening.getsockname()[1])

    @property
    def connections(self) -> int:
        """Return how many connections are open."""
        return len(self._connections)

    async def close(self) -> None:
        """Take no more; let the messages under way finish and be answered; then close."""
        self._is_closing = True
        for accepting in self._accepting:  # so who has not begun to speak TLS holds up nobody
            accepting.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        if self._listening is not None:
            self._listening.close()
        for connection in self._connections.values():
            if connection.caller.later:
                connection.reader.feed_eof()  # nothing more is read; what is due is still told
            elif not connection.is_busy:
                connection.writer.close()
        if self._connections:
            _, late = await asyncio.wait(list(self._connections), timeout=self._limits.drain_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def __aenter__(self) -> Self:
        """Return the listener itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it, whatever happened."""
        await self.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caller = Caller(writer, self._limits.idle_s)
        log = partial(self._log, client_ip=caller.address)
        if self._is_closing or len(self._connections) >= self._limits.connections:
            log("mllp_connection_refused", connections=len(self._connections))
            writer.close()
            return
        handle = self._meet(caller)
        if handle is None:
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None
        connection = _Connection(reader, writer, Framer(self._limits.size_bytes), handle, caller)
        self._on_change(1)
        self._connections[task] = connection
        is_broken = True
        try:
            await self._converse(connection)
            is_broken = False
        except TimeoutError:
            if not self._is_closing:  # else it is TLS whose end the client did not say
                inside = connection.framer.is_inside
                log("mllp_idle", seconds=self._limits.idle_s, inside=inside)
            writer.transport.abort()  # it may have answers that nobody reads
        except (ConnectionError, ssl.SSLError):
            log("mllp_connection_lost")
        except asyncio.CancelledError:  # the last of this task, and streams.py logs what it raises
            log("mllp_cut_off")
            writer.transport.abort()
        except Exception as error:
            log("mllp_fault", fault=error)
        finally:
            self._unfinished.release(connection)
            caller.ended.set_result(is_broken)
            if later := caller.later:
                with contextlib.suppress(asyncio.CancelledError):  # as above
                    await asyncio.wait(later, timeout=self._limits.drain_s)
            del self._connections[task]
            self._on_change(-1)
            if connection.framer.junk:
                log("mllp_junk", size_bytes=connection.framer.junk)
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), self._limits.drain_s)

    async def _converse(self, connection: "_Connection") -> None:
        """Answer one block after the other until the sender or we have had enough."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._limits.idle_s
        is_first = True
        while not self._is_closing:
            async with asyncio.timeout_at(deadline):
                data = await connection.reader.read(_READ_BYTES)
            if not data or self._is_closing:  # closed behind it, so nobody could be answered
                return
            if is_first and (other := other_protocol(data)):
                address = connection.caller.address
                self._log("mllp_other_protocol", reason=other, client_ip=address)
                return
            is_first, connection.is_busy = False, True
            was_inside = connection.framer.is_inside
            blocks = connection.framer.feed(data)
            if was_inside and blocks:
                self._unfinished.release(connection)
            for block in blocks:
                if answer := await connection.handle(block):
                    if connection.writer.is_closing():  # uvloop takes a write then for a fault
                        raise ConnectionResetError
                    connection.writer.write(frame(answer))
                    async with asyncio.timeout(self._limits.idle_s):
                        await connection.writer.drain()
                if self._is_closing:
                    return
            # not before: what is begun behind a message that is being answered cannot grow, nor end
            if connection.framer.is_inside:
                held = connection.framer.held_bytes
                self._unfinished.hold(connection, held, partial(self._cut_off, connection))
            connection.is_busy = False
            # a message that comes byte by byte may not hold its connection for ever
            if blocks or not (was_inside and connection.framer.is_inside):
                deadline = loop.time() + self._limits.idle_s

    def _cut_off(self, connection: "_Connection") -> None:
        size_bytes, address = connection.framer.held_bytes, connection.caller.address
        self._log("mllp_unfinished", size_bytes=size_bytes, client_ip=address)
        connection.framer.forget()
        connection.writer.transport.abort()


def _logged(tls: ssl.SSLContext | None, log: Log) -> ssl.SSLContext | None:
    """Have it told why a client gets no connection: `asyncio` closes it and says nothing."""

    class Handshake(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as error:
                log("mllp_tls_refused", reason=getattr(error, "verify_message", error.reason))
                raise

    if tls is not None:
        tls.sslobject_class = Handshake
    return tls


class _Adopted(asyncio.StreamReaderProtocol):
    """A connection that was accepted."""

    on_end: Callable[[], None]

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so."""
        super().connection_lost(exc)
        self.on_end()


class _Connection:
    """One connection; `is_busy` while a message of it is under way."""

    __slots__ = ("caller", "framer", "handle", "is_busy", "reader", "writer")

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        framer: Framer,
        handle: Handle,
        caller: Caller,
    ) -> None:
        self.reader, self.writer, self.framer = reader, writer, framer
        self.handle, self.caller = handle, caller
        self.is_busy = False
