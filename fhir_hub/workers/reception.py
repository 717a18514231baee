"""The hub's ports: every connection is accepted here and handed to a worker.

MLLP connections are few and live long: the worker with the fewest gets the next. Those of HTTP
may be many and short, and that one has ended is heard a little late: they go round, but past a
worker that has far more than another. While no worker takes any, callers wait in the kernel, and
so they do while the system has no descriptor for one more.
"""

import asyncio
import errno
import os
import socket
from collections import Counter
from collections.abc import Callable, Mapping

from fhir_hub.hl7v2.wire.seldom import seldom
from fhir_hub.telemetry import Log
from fhir_hub.workers.doorway import HTTP, hand_over

_AT_ONCE = 64
_UNEVEN = 8
_AGAIN_S = 0.005
_SHORT_S = 0.1  # before connections are accepted again where the system had no room for one
_SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Door:
    """The supervisor's side of one worker's doorway, and how many connections it has."""

    def __init__(self, own: socket.socket, other: socket.socket) -> None:
        own.setblocking(False)
        self.own, self.other = own, other
        self.open: Counter[bytes] = Counter()

    @property
    def mllp_connections(self) -> int:
        """Return how many MLLP connections it has, of all ports."""
        return self.open.total() - self.open[HTTP]


class Reception:
    """Takes connections on listening sockets, by kind, while a door is open.

    `most` says of the kinds that are MLLP their channel and how many connections each may have.
    """

    def __init__(
        self,
        listening: Mapping[bytes, socket.socket],
        most: Mapping[bytes, tuple[str, int]],
        log: Log,
    ) -> None:
        self._listening, self._most, self._log = listening, most, seldom(log)
        self._doors: list[Door] = []
        self._loop = asyncio.get_running_loop()
        self._is_taking = self._is_listening = self._is_short = False
        self._waiting: list[tuple[bytes, socket.socket]] = []  # no door had room for it

    @property
    def mllp_connections(self) -> int:
        """Return how many MLLP connections are open, in all workers."""
        return sum(door.mllp_connections for door in self._doors)

    def busy(self) -> set[bytes]:
        """Return the kinds that have connections, in any worker."""
        return {kind for door in self._doors for kind, count in door.open.items() if count > 0}

    def become(
        self, mllp: Mapping[bytes, socket.socket], most: Mapping[bytes, tuple[str, int]]
    ) -> None:
        """Listen on these for MLLP instead; what is listened on no more is closed."""
        was_taking = self._is_taking
        self._set(is_taking=False)
        listening = {HTTP: self._listening[HTTP], **mllp}
        for kind, one in self._listening.items():
            if listening.get(kind) is not one:
                one.close()
        self._listening, self._most = listening, most
        self._set(is_taking=was_taking)

    def open(self, door: Door) -> None:
        """Let connections go through a door too."""
        self._doors.append(door)
        self._loop.add_reader(door.own, self._ended, door)
        self._set(is_taking=True)

    def close(self, door: Door) -> None:
        """Let no more connections go through a door."""
        if door in self._doors:
            self._doors.remove(door)
            self._loop.remove_reader(door.own)
        self._set(is_taking=bool(self._doors))

    def shut(self) -> None:
        """Close the ports: who comes now is refused."""
        self._set(is_taking=False)
        for listening in self._listening.values():
            listening.close()
        for _, connection in self._waiting:
            connection.close()
        self._waiting.clear()
        for door in list(self._doors):
            self._doors.remove(door)
            self._loop.remove_reader(door.own)

    def _set(self, *, is_taking: bool) -> None:
        self._is_taking = is_taking
        self._listen()

    def _listen(self) -> None:
        """Accept, unless nobody takes any, one that was accepted still waits, or there is no room.

        A caller who waits makes the port ready: whoever asks at once again asks without end.
        """
        is_wanted = self._is_taking and not self._waiting and not self._is_short
        if is_wanted == self._is_listening:
            return
        self._is_listening = is_wanted
        for kind, listening in self._listening.items():
            if is_wanted:
                self._loop.add_reader(listening, self._accepter(kind, listening))
            else:
                self._loop.remove_reader(listening)

    def _accepter(self, kind: bytes, listening: socket.socket) -> Callable[[], None]:
        def accept() -> None:
            for _ in range(_AT_ONCE):
                try:
                    connection, _ = listening.accept()
                except OSError as fault:
                    if fault.errno in _SHORT:
                        self._rest(kind, fault)
                    return
                if not self._place(kind, connection):
                    self._waiting.append((kind, connection))
                    self._listen()
                    self._loop.call_later(_AGAIN_S, self._again)
                    return

        listening.setblocking(False)
        return accept

    def _rest(self, kind: bytes, fault: OSError) -> None:
        """Accept none for a moment; say why."""
        channel, _ = self._most.get(kind, ("", 0))
        of = {"channel": channel} if channel else {}
        reason = os.strerror(fault.errno or 0)
        is_http = kind == HTTP
        self._log("http_not_accepted" if is_http else "mllp_not_accepted", reason=reason, **of)
        self._is_short = True
        self._loop.call_later(_SHORT_S, self._rested)
        self._listen()

    def _rested(self) -> None:
        self._is_short = False
        self._listen()

    def _again(self) -> None:
        """Place those that wait: a burst fills the way to a worker until it has read it."""
        while self._waiting and self._place(*self._waiting[0]):
            del self._waiting[0]
        if self._waiting:
            self._loop.call_later(_AGAIN_S, self._again)
        self._listen()

    def _place(self, kind: bytes, connection: socket.socket) -> bool:
        """Give a connection to a worker, or refuse it; False if none has room for it now."""
        if kind != HTTP:
            connections = sum(door.open[kind] for door in self._doors)
            channel, most = self._most.get(kind, ("", 0))
            if connections >= most:
                self._log(
                    "mllp_connection_refused",
                    channel=channel,
                    connections=connections,
                    client_ip=_address(connection),
                )
                connection.close()
                return True
        for door in self._order(kind):
            if hand_over(door.own, kind, connection):
                door.open[kind] += 1
                self._doors.remove(door)  # it is the last to be asked next time
                self._doors.append(door)
                connection.close()
                return True
        return False

    def _order(self, kind: bytes) -> list[Door]:
        if kind != HTTP:
            return sorted(self._doors, key=lambda door: door.mllp_connections)
        most = 2 * min((door.open[kind] for door in self._doors), default=0) + _UNEVEN
        return sorted(self._doors, key=lambda door: door.open[kind] > most)

    def _ended(self, door: Door) -> None:
        try:
            kinds = door.own.recv(4096)
        except OSError:
            return
        if not kinds:
            self.close(door)
        door.open.subtract(kinds[at : at + 1] for at in range(len(kinds)))


def _address(connection: socket.socket) -> str:
    """Return the address of who has connected, empty if he is gone."""
    try:
        return str(connection.getpeername()[0])
    except OSError:
        return ""
