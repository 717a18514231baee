"""How long a sender waits, and how a fault that may pass is tried again meanwhile.

A full disk, a store that does not answer, too many who write the same resource, no memory beside a
large message: that passes or does not. It is tried again after pauses that double, with some
chance in them, for two thirds of the time that the sender is made to wait; the rest is for what is
under way then. What is promised (`CA`) has a sender who does not wait: it is tried for a day.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fhir_hub.errors import Closing, Contended, OutOfTime, Unavailable
from fhir_hub.store.base import Conflict

_FIRST_S, _LONGEST_S = 0.05, 2.0
_SHARE = 2 / 3
_PROMISED_S, _PROMISED_LONGEST_S = 86_400.0, 30.0


def is_transient(error: BaseException) -> bool:
    """Say whether what failed may succeed if it is tried again."""
    may = isinstance(error, Unavailable | Contended | OSError | MemoryError)
    return may and not isinstance(error, Closing | OutOfTime)


@dataclass(frozen=True, slots=True)
class Patience:
    """`answer_s` is when a sender is answered at the latest; `pause` waits that many seconds."""

    answer_s: float = 30.0
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    def tries(self, since_s: float | None = None) -> "Tries":
        """Return what counts the tries of one message, from now on or since a loop's time."""
        since_s = asyncio.get_running_loop().time() if since_s is None else since_s
        return Tries(self.pause, since_s + self.answer_s * _SHARE)

    def promised(self) -> "Tries":
        """Return what counts the further tries of a message that is promised to be done."""
        end_s = asyncio.get_running_loop().time() + _PROMISED_S
        return Tries(self.pause, end_s, _PROMISED_LONGEST_S)


class Tries:
    """The tries of one message, until a loop's time."""

    def __init__(
        self,
        pause: Callable[[float], Awaitable[None]],
        end_s: float,
        longest_s: float = _LONGEST_S,
    ) -> None:
        self._pause, self._end, self._longest_s = pause, end_s, longest_s
        self._next_s = _FIRST_S

    @property
    def left_s(self) -> float:
        """Return for how long it is still tried."""
        return max(0.0, self._end - asyncio.get_running_loop().time())

    async def again(self) -> bool:
        """Wait for the next try; return False at once if the time does not reach for one."""
        pause_s = self._next_s * random.uniform(0.5, 1.0)
        if pause_s >= self.left_s:
            return False
        self._next_s = min(2 * self._next_s, self._longest_s)
        await self._pause(pause_s)
        return True


async def until_done(work: Callable[[], Awaitable[None]], patience: Patience) -> None:
    """Do `work` as often as it takes, whatever is wrong, unless another has or the store closes."""
    pause_s = _FIRST_S
    while True:
        try:
            return await work()
        except (Closing, Conflict):
            return
        except Exception:
            pass  # who comes after it waits for its end, so to give up would be worse
        await patience.pause(pause_s)
        pause_s = min(2 * pause_s, 15 * _LONGEST_S)
