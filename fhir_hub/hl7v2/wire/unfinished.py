"""What messages that have begun and not ended take of memory, over all connections of a process.

Each connection may hold one message of the largest size, so many that begin one and never end it
would take all there is. Beyond a bound the one whose message began first has to go: who sends in
earnest is done in seconds, who does not is there longest. One alone is let through: the largest
message has a limit of its own.

Spec: HL7 Minimal Lower Layer Protocol, release 1
"""

from collections.abc import Callable


class Unfinished:
    """The bytes of unfinished messages, by connection in the order in which they began."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.size_bytes = 0
        self._held: dict[int, tuple[int, Callable[[], None]]] = {}

    def hold(self, connection: object, size_bytes: int, cut_off: Callable[[], None]) -> None:
        """Note what a connection holds; those of the oldest messages are cut off for the bound."""
        before, _ = self._held.get(id(connection), (0, cut_off))
        self._held[id(connection)] = size_bytes, cut_off
        self.size_bytes += size_bytes - before
        while self.size_bytes > self.most_bytes and len(self._held) > 1:
            size, end = self._held.pop(next(iter(self._held)))
            self.size_bytes -= size
            end()

    def release(self, connection: object) -> None:
        """Note that a connection's message has ended, or the connection itself."""
        size, _ = self._held.pop(id(connection), (0, None))
        self.size_bytes -= size
