"""Questions and answers, both ways, between two processes of one hub.

A frame is its length (four bytes) and a tuple: a number, a kind, a value. A question has a
number above 0, its answer the same number below 0. What is sent while the loop is at one step
goes out in one write, so the answers of a commit group cost one system call. What a message writes
is large and goes out at once: a step may do several messages, and the process that writes would
wait for all of them. What comes is read into one buffer, which is used again: a message's question
is 40 KB, and no memory is asked for it.

The two ends are the same program on a private socket pair, so the interpreter's own `marshal`
is form enough, and an error that the asker is to raise is pickled.
"""

import asyncio
import marshal
import pickle
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast

from fhir_hub.errors import Fault, FhirError, Unavailable
from fhir_hub.hl7v2.maps.map_files import InvalidMapping
from fhir_hub.r4.package_files import InvalidPackage
from fhir_hub.settings import InvalidSettings
from fhir_hub.store.base import Broken, CannotOpen, Conflict
from fhir_hub.store.open import explained

Handle = Callable[[str, Any], Awaitable[Any]]
_TOLD = (Broken, Conflict, FhirError, CannotOpen, InvalidMapping, InvalidPackage, InvalidSettings)
_LENGTH = 4
_BUFFER_BYTES = 1 << 20
_LARGE_BYTES = 1 << 14  # a frame above this does not wait for the end of the step
_ROOM_BYTES = 1 << 18  # of what is read into, unless a frame is longer
_READ_BYTES = 1 << 16  # that is free, at least, when something is read


class Pipe(asyncio.BufferedProtocol):
    """One end. `handle` answers a question; `on_lost` is called when the other end is gone."""

    def __init__(self, handle: Handle, on_lost: Callable[[], None]) -> None:
        self._handle, self._on_lost = handle, on_lost
        self._transport: asyncio.Transport | None = None
        self._is_closing = False
        self._loop = asyncio.get_running_loop()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._last = 0
        self._room = memoryview(bytearray(_ROOM_BYTES))
        self._first = self._end = 0  # where what was received and not taken is in it
        self._unsent: list[bytes] = []
        self._answering: dict[int, asyncio.Task[None]] = {}

    async def ask(self, kind: str, value: Any = None) -> Any:
        """Return the answer to a question. Raises what the other end raised.

        Raises `Unavailable` if the other end is gone, `Fault` if it failed.
        """
        if self._transport is None:
            raise Unavailable("another process of the hub is gone")
        self._last = number = self._last + 1
        future = self._asked[number] = self._loop.create_future()
        self._send(number, kind, value)
        try:
            return await future
        finally:
            self._asked.pop(number, None)

    def close(self) -> None:
        """Send what waits and let go of the socket."""
        self._is_closing = True
        if self._transport is not None:
            self._flush()
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one but for its name
        self._transport.set_write_buffer_limits(0)  # else uvloop keeps all to the step's end

    def connection_lost(self, error: Exception | None) -> None:
        """Fail what was asked and not answered."""
        self._transport = None
        if not self._is_closing:
            self._on_lost()
        for future in self._asked.values():
            if not future.done():
                future.set_exception(Unavailable("another process of the hub is gone"))

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to read into."""
        self._make_room(self._end - self._first + _READ_BYTES)
        return self._room[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        """Take the frames that are whole."""
        room, start = self._room, self._first
        self._end = received = self._end + nbytes
        while received - start >= _LENGTH:
            begin = start + _LENGTH
            end = begin + int.from_bytes(room[start:begin])
            if received < end:
                self._first = start
                self._make_room(end - start)
                return
            start = end
            self._take(*marshal.loads(room[begin:end]))
        self._first = start
        if start == received:
            self._first = self._end = 0
            if len(room) > _ROOM_BYTES:
                self._room = memoryview(bytearray(_ROOM_BYTES))

    def _make_room(self, size: int) -> None:
        """Have `size` bytes, of which the first are there, stand one after the other."""
        first, end = self._first, self._end
        if first + size <= len(self._room):
            return
        rest = self._room[first:end]
        if size > len(self._room):
            self._room = memoryview(bytearray(size))
        self._room[: end - first] = rest
        self._first, self._end = 0, end - first

    def _take(self, number: int, kind: str, value: Any) -> None:
        if number > 0:
            answering = self._answer(number, kind, value)
            self._answering[number] = self._loop.create_task(answering)
            return
        future = self._asked.get(-number)
        if future is not None and not future.done():
            if kind:
                future.set_exception(pickle.loads(value))
            else:
                future.set_result(value)

    async def _answer(self, number: int, kind: str, value: Any) -> None:
        try:
            answer = await self._handle(kind, value)
        except Exception as error:
            told = error if isinstance(error, _TOLD) else Fault(explained(error))
            self._send(-number, "error", pickle.dumps(told))
        else:
            self._send(-number, "", answer)
        finally:
            del self._answering[number]

    def _send(self, number: int, kind: str, value: Any) -> None:
        content = marshal.dumps((number, kind, value))
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent += (len(content).to_bytes(_LENGTH), content)
        if len(content) > _LARGE_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._transport is not None and self._unsent:
            self._transport.write(b"".join(self._unsent))
        self._unsent.clear()


async def open_pipe(own: socket.socket, handle: Handle, on_lost: Callable[[], None]) -> Pipe:
    """Return the pipe on one end of a socket pair."""
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        own.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
    loop = asyncio.get_running_loop()
    _, pipe = await loop.create_unix_connection(lambda: Pipe(handle, on_lost), sock=own)
    return pipe
