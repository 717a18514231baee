"""The circuit breaker of one partner: who does not answer is left alone for a while.

Closed: messages go. After some failures in a row it opens: nothing goes until a pause is over.
Then it is half open: one message goes, and closes it or opens it again for twice as long.
"""

from collections.abc import Callable

CLOSED, HALF_OPEN, OPEN = "closed", "half-open", "open"
STATES = (CLOSED, HALF_OPEN, OPEN)


class Breaker:
    """`time` returns seconds that only grow."""

    def __init__(
        self, failures: int, pause_s: float, max_pause_s: float, time: Callable[[], float]
    ) -> None:
        self._most, self._first_s, self._max_s, self._time = failures, pause_s, max_pause_s, time
        self._failures = 0
        self._pause_s = pause_s
        self._until = 0.0
        self._is_open = False

    @property
    def state(self) -> str:
        """Return `closed`, `half-open` or `open`."""
        if not self._is_open:
            return CLOSED
        return OPEN if self._time() < self._until else HALF_OPEN

    @property
    def wait_s(self) -> float:
        """Return how long nothing may go, 0 if a message may."""
        return max(0.0, self._until - self._time()) if self._is_open else 0.0

    def fail(self) -> None:
        """Take note that nobody answered."""
        self._failures += 1
        if self._is_open:
            self._pause_s = min(self._pause_s * 2, self._max_s)
        if self._is_open or self._failures >= self._most:
            self._is_open = True
            self._until = self._time() + self._pause_s

    def succeed(self) -> None:
        """Take note of an answer, whatever it says."""
        self._failures, self._pause_s, self._is_open = 0, self._first_s, False
