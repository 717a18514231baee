"""Messages that could not be kept, in the order in which they came: the first tries for all.

While nothing can be written (a full disk) every message that comes waits here behind those that
came before it, and only the first is tried again. When that is kept the others are, one after the
other begun in their order; so what comes by several connections about one patient is done in the
order in which it came, however long that took. Where one process writes for several it keeps the
line for all of them (`workers/keeping.py`), else each keeps its own.

Spec: HL7v2 chapter 2, 2.9.2
"""

import asyncio
from bisect import insort
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from fhir_hub.errors import OutOfTime
from fhir_hub.hl7v2.journal.patience import Tries, is_transient
from fhir_hub.store.ending import end_tasks

T = TypeVar("T")


class _Waiter:
    """One who waits: its place in the order; `is_sent`: who came before it has begun."""

    __slots__ = ("is_sent", "place", "woken")

    def __init__(self, place: int) -> None:
        self.place, self.woken, self.is_sent = place, asyncio.Event(), False


class Line:
    """Those who wait. While everything can be kept nobody does."""

    def __init__(self) -> None:
        self._waiting: list[_Waiter] = []

    async def keep(self, place: int, keep: Callable[[], Awaitable[T]], tries: Tries) -> T:
        """Return what `keep` returns, at once or in turn; raise `OutOfTime` when time is up."""
        fault: Exception | None = None
        if not self._waiting:
            try:
                return await keep()
            except Exception as error:
                if not is_transient(error):
                    raise
                fault = error
        own = _Waiter(place)
        insort(self._waiting, own, key=lambda one: one.place)
        try:
            while await self._turn(own, tries, is_tired=fault is not None):
                try:
                    kept = await keep()
                except Exception as error:
                    if not is_transient(error):
                        raise
                    fault = error
                else:
                    self._send_next(own)
                    return kept
        finally:
            self._leave(own)
        raise OutOfTime(str(fault or "earlier messages could not be kept; send it again"))

    async def _turn(self, own: _Waiter, tries: Tries, *, is_tired: bool) -> bool:
        """Wait until this one is to be tried; False if time is up first."""
        while not own.is_sent and (is_tired or self._waiting[0] is not own):
            is_first = self._waiting[0] is own
            timer = tries.again() if is_first else asyncio.sleep(tries.left_s, result=False)
            if not await _woken(own, timer):
                return False
            is_tired = is_tired and not is_first
        if own.is_sent:
            own.is_sent = False
            self._send_next(own)
        return True

    def _send_next(self, own: _Waiter) -> None:
        """Let who stands behind this one begin too."""
        behind = self._waiting.index(own) + 1
        if behind < len(self._waiting):
            self._waiting[behind].is_sent = True
            self._waiting[behind].woken.set()

    def _leave(self, own: _Waiter) -> None:
        self._waiting.remove(own)
        if self._waiting:
            self._waiting[0].woken.set()


async def _woken(own: _Waiter, timer: Coroutine[Any, Any, bool]) -> bool:
    """Return True if somebody wakes this one, else what the timer returns."""
    tasks = [asyncio.create_task(own.woken.wait()), asyncio.create_task(timer)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return any(task.result() for task in done)
    finally:
        own.woken.clear()
        await end_tasks(*tasks)
