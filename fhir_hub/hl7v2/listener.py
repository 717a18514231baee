"""The MLLP server: many connections, each answered message by message, in order.

A connection is read only after its last message is answered, so a sender that is faster than
the store waits in its own socket and not in our memory. Closing lets the message under way
finish and be answered; what was not yet begun is for the sender to send again.

Nothing of a message is logged, only sizes, addresses and the type of a fault.

Spec: HL7 Minimal Lower Layer Protocol, release 1
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from fhir_hub.hl7v2.mllp import Block, Framer, frame

Handle = Callable[[Block], Awaitable[bytes]]
# Takes an event and fields; of a `fault` it shows the type and the place, never the text.
Log = Callable[..., None]
_READ_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a message may be, how long a connection may be silent, how many there may be.

    `drain_s` is how long closing waits for the messages under way.
    """

    size_bytes: int = 64 * 1024 * 1024
    idle_s: float = 600.0
    connections: int = 500
    drain_s: float = 20.0


def no_log(event: str, **fields: object) -> None:
    """Log nothing."""


class Listener:
    """An MLLP server. `handle` takes a block and returns what to answer; it should not raise."""

    def __init__(self, handle: Handle, limits: Limits | None = None, log: Log = no_log) -> None:
        self._handle = handle
        self._limits = limits or Limits()
        self._log = log
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], _Connection] = {}
        self._is_closing = False

    async def start(
        self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        """Listen on `port`, or on a free one if it is 0; raises `OSError` if that cannot be."""
        self._server = await asyncio.start_server(self._serve, host, port, ssl=tls)

    async def adopt(self, connection: socket.socket, on_end: Callable[[], None]) -> None:
        """Serve a connection that was accepted elsewhere; `on_end` is called when it ends."""
        loop = asyncio.get_running_loop()

        def protocol() -> _Adopted:
            adopted = _Adopted(asyncio.StreamReader(loop=loop), self._serve, loop=loop)
            adopted.on_end = on_end
            return adopted

        await loop.connect_accepted_socket(protocol, connection)

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """Return how many connections are open."""
        return len(self._connections)

    async def close(self) -> None:
        """Take no more; let the messages under way finish and be answered; then close."""
        self._is_closing = True
        if self._server is not None:
            self._server.close()
        for connection in self._connections.values():
            if not connection.is_busy:
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
        if self._is_closing or len(self._connections) >= self._limits.connections:
            self._log("mllp_connection_refused", connections=len(self._connections))
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None
        connection = _Connection(reader, writer, Framer(self._limits.size_bytes))
        self._connections[task] = connection
        try:
            await self._converse(connection)
        except TimeoutError:
            self._log("mllp_idle", seconds=self._limits.idle_s, inside=connection.framer.is_inside)
            writer.transport.abort()  # it may have answers that nobody reads
        except (ConnectionError, ssl.SSLError):
            self._log("mllp_connection_lost")
        except asyncio.CancelledError:  # the last of this task, and streams.py logs what it raises
            self._log("mllp_cut_off")
            writer.transport.abort()
        except Exception as error:
            self._log("mllp_fault", fault=error)
        finally:
            del self._connections[task]
            if connection.framer.junk:
                self._log("mllp_junk", size_bytes=connection.framer.junk)
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), self._limits.drain_s)

    async def _converse(self, connection: "_Connection") -> None:
        """Answer one block after the other until the sender or we have had enough."""
        while not self._is_closing:
            async with asyncio.timeout(self._limits.idle_s):
                data = await connection.reader.read(_READ_BYTES)
            if not data:
                return
            connection.is_busy = True
            for block in connection.framer.feed(data):
                connection.writer.write(frame(await self._handle(block)))
                async with asyncio.timeout(self._limits.idle_s):
                    await connection.writer.drain()
                if self._is_closing:
                    return
            connection.is_busy = False


class _Adopted(asyncio.StreamReaderProtocol):
    """A connection that was accepted elsewhere."""

    on_end: Callable[[], None]

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so."""
        super().connection_lost(exc)
        self.on_end()


class _Connection:
    """One connection; `is_busy` while a message of it is under way."""

    __slots__ = ("framer", "is_busy", "reader", "writer")

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, framer: Framer
    ) -> None:
        self.reader, self.writer, self.framer = reader, writer, framer
        self.is_busy = False
