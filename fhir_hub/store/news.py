"""That something was written, by whatever process: who waits for that need not ask all the time.

Where a store can tell (MongoDB, by change streams) who listens is woken; where it cannot, he asks
again after his pause, as he also does while the telling is interrupted.
"""

from collections.abc import Callable
from typing import Protocol

Heard = Callable[[], None]


class News(Protocol):
    """What a store tells of commits."""

    def hear(self, heard: Heard, *, of_parameters: bool = False) -> None:
        """Call `heard` after each commit, or after those that change search parameters."""

    def pause_s(self, poll_s: float) -> float:
        """Return how long to wait for being woken before asking: `poll_s` if nobody wakes."""


class NoNews:
    """Of a store that does not tell."""

    def hear(self, heard: Heard, *, of_parameters: bool = False) -> None:
        """Call nobody."""

    def pause_s(self, poll_s: float) -> float:
        """Return the pause of who has to ask."""
        return poll_s
