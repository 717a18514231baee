"""How a connection gets from the port to a worker: accepted once, handed over as it is.

The supervisor accepts every connection and shares them out (`reception.py`). A kernel that
balances by itself does it by chance: ten long-lived connections may all come to one worker.
The descriptor travels over a socket pair beside one byte, its kind; when the connection ends the
worker sends that byte back, so the supervisor knows who has how many.

Spec: unix(7), SCM_RIGHTS
"""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Awaitable, Callable, Mapping

from fhir_hub.hl7v2.wire.seldom import seldom
from fhir_hub.telemetry import Log

HTTP = b"h"
_MLLP = 128
MOST_PORTS = 256 - _MLLP
Adopt = Callable[[socket.socket, Callable[[], None]], Awaitable[None]]


def mllp_kind(number: int) -> bytes:
    """Return the kind of the connections of the MLLP port with that number."""
    return bytes((_MLLP + number,))


class Doorway:
    """The worker's side: `adopt` says by kind who serves a connection."""

    def __init__(self, own: socket.socket, adopt: Mapping[bytes, Adopt], log: Log) -> None:
        own.setblocking(False)
        self._own, self._adopt, self._log = own, adopt, seldom(log)
        self._loop = asyncio.get_running_loop()
        self._adopting: set[asyncio.Task[None]] = set()
        self._unsaid, self._is_waiting = bytearray(), False
        self._loop.add_reader(own, self._take)

    def become(self, adopt: Mapping[bytes, Adopt]) -> None:
        """Have these serve the connections that come from now on."""
        self._adopt = adopt

    async def close(self) -> None:
        """Serve what was handed over until now, and take no more."""
        self._take()
        self._loop.remove_reader(self._own)
        if self._adopting:
            await asyncio.wait(self._adopting)

    def _take(self) -> None:
        while True:
            try:
                kind, descriptors, _, _ = socket.recv_fds(self._own, 1, 1)
            except OSError:
                return
            if not kind:
                self._loop.remove_reader(self._own)
                return
            if not descriptors:  # the process has no room for it, so the system closed it
                self._say_ended(kind)
                self._log("connections_closed", reason=os.strerror(errno.EMFILE))
            for descriptor in descriptors:
                connection = socket.socket(fileno=descriptor)
                connection.setblocking(False)
                task = self._loop.create_task(self._serve(kind, connection))
                self._adopting.add(task)
                task.add_done_callback(self._adopting.discard)

    def _say_ended(self, kind: bytes) -> None:
        self._unsaid += kind
        self._say()

    def _say(self) -> None:
        """Say which have ended; when the way is full, as soon as it is not."""
        was_waiting, said = self._is_waiting, 0
        try:
            said = self._own.send(self._unsaid)
        except BlockingIOError:
            pass
        except OSError:  # the supervisor is gone, and asks no more
            said = len(self._unsaid)
        del self._unsaid[:said]
        self._is_waiting = bool(self._unsaid)
        if self._is_waiting and not was_waiting:
            self._loop.add_writer(self._own, self._say)
        elif was_waiting and not self._is_waiting:
            self._loop.remove_writer(self._own)

    async def _serve(self, kind: bytes, connection: socket.socket) -> None:
        def ended() -> None:
            self._say_ended(kind)

        adopt = self._adopt.get(kind)
        if adopt is None:  # its port was closed while it came here
            connection.close()
            ended()
            return
        try:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await adopt(connection, ended)
        except OSError:  # it was closed before it came here
            connection.close()
            ended()


def hand_over(door: socket.socket, kind: bytes, connection: socket.socket) -> bool:
    """Give a connection to the worker at the other side of `door`; False if it takes none."""
    try:
        socket.send_fds(door, [kind], [connection.fileno()])
    except OSError:
        return False
    return True
