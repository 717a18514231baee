"""Works that wait are written as one group; while that is made durable the next gathers.

To be durable costs a sync of the disk, or round trips to a majority, and as much for many works
as for one. Nobody is answered before the group that he is in is durable. A work that is refused
(`Conflict`, `Broken`, a `FhirError`) is so before it has changed anything, so its neighbours do
not notice; how a group is written, and what becomes of it after any other error, is the store's.

A work from which another follows (a message is kept, then ends) may be early: who brought it goes
on when it is done, before it is durable. What follows comes into the same group or a later one, so
it is never durable without it. And where nobody of a group is in a hurry, it waits some
milliseconds for those who went on, to be made durable together with what they bring.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Generic, Protocol, TypeVar

from fhir_hub.errors import Closing

W = TypeVar("W")

GROUP_SIZE = 256  # changes in one group
COMPANY_S = 0.01  # so long a group waits that is in no hurry
_SHARE = 3  # a third of those who are about to come is company enough


class Early(Protocol):
    """What becomes of an early work, told on the loop's thread."""

    def goes_on(self, result: Any) -> bool:
        """Hear that it is done; say whether who brought it goes on before it is durable."""

    def is_lost(self, result: Any) -> None:
        """Hear that who brought it went on, and that it did not become durable."""


class Job(Generic[W]):
    """A work that waits: `size` is how much it writes, `keys` are which resources, if known.

    `is_patient`: it may wait for company.
    """

    __slots__ = ("early", "error", "future", "is_patient", "keys", "result", "size", "work")

    def __init__(
        self,
        work: W,
        size: int,
        keys: Collection[tuple[str, str]],
        future: asyncio.Future[Any],
        early: Early | None = None,
        *,
        is_patient: bool = False,
    ) -> None:
        self.work, self.size, self.keys, self.future = work, size, keys, future
        self.early, self.is_patient = early, is_patient
        self.result: Any = None
        self.error: Exception | None = None

    def go_on(self) -> None:
        """Let who brought an early work go on, now that it is done."""
        if self.early is None or self.error is not None or self.future.done():
            return  # one that went on already, before its group was rolled back, does not again
        if self.early.goes_on(self.result):
            self.future.set_result(self.result)

    def answer(self) -> None:
        """Resolve the future; one that was cancelled meanwhile stays so."""
        if self.early is not None and self.error is not None and self.result is not None:
            self.early.is_lost(self.result)
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Groups(Generic[W]):
    """Has `write` write one group after the other, each job with its result or its error.

    The sizes of a group are at most `most` together, in whatever the caller measures. `expected`
    says how many who went on early are about to come.
    """

    def __init__(
        self,
        write: Callable[[list[Job[W]]], Awaitable[None]],
        most: int = GROUP_SIZE,
        expected: Callable[[], int] = lambda: 0,
    ) -> None:
        self._write, self._most, self._expected = write, most, expected
        self._waiting: deque[Job[W]] = deque()
        self._early: deque[Job[W]] = deque()
        self._arrival: asyncio.Future[bool] | None = None
        self._last = 0  # how many works were in the group before, without those that are early
        self._serving: asyncio.Task[None] | None = None
        self._closed = False

    async def run(
        self,
        work: W,
        size: int,
        keys: Collection[tuple[str, str]] = (),
        early: Early | None = None,
        *,
        is_patient: bool = False,
    ) -> Any:
        """Return the result of a work when it is durable, or raise its error.

        One that is early may return when it is done. Raises `Closing` after `close`.
        """
        if self._closed:
            raise Closing("the store is closed")
        loop = asyncio.get_running_loop()
        job = Job(work, size, keys, loop.create_future(), early, is_patient=is_patient)
        (self._waiting if early is None else self._early).append(job)
        if self._serving is None:
            self._serving = loop.create_task(self._serve())
        elif self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(True)
        return await job.future

    async def company(self, group: list[Job[W]], until: float) -> list[Job[W]]:
        """Add who joins a group that is done, up to the loop's time `until`; return them.

        Nobody joins one that is to be made durable now.
        """
        while True:
            room = self._most - sum(job.size for job in group)
            is_complete = self._is_complete(group)
            joined = self._take(self._early, len(self._early), room)
            if not is_complete:
                joined += self._take(self._waiting, len(self._waiting), room - len(joined))
            if joined:
                group += joined
                self._last += sum(job.early is None for job in joined)
                return joined
            if is_complete or self._waiting or not await self._comes(until):
                return []

    def _is_complete(self, group: list[Job[W]]) -> bool:
        """Say whether somebody is in a hurry, or there is company enough."""
        if not all(job.is_patient for job in group):
            return True
        brought = sum(job.early is None for job in group)
        return _SHARE * brought >= self._expected() + len(self._waiting)

    async def _comes(self, until: float) -> bool:
        """Wait for who comes next, up to `until`."""
        loop = asyncio.get_running_loop()
        arrival: asyncio.Future[bool] = loop.create_future()

        def is_late() -> None:
            if not arrival.done():
                arrival.set_result(False)

        self._arrival, limit = arrival, loop.call_at(until, is_late)
        try:
            return await arrival
        finally:
            limit.cancel()
            self._arrival = None

    async def close(self) -> None:
        """Take nothing more, and return when what waits is written."""
        self._closed = True
        if self._serving is not None:
            await asyncio.wait([self._serving])

    async def _serve(self) -> None:
        try:
            while self._waiting or self._early:
                group = self._next()
                if not group:  # all who waited were cancelled
                    break
                try:
                    await self._write(group)
                except Exception as error:  # a fault of ours must not leave callers waiting
                    for job in group:
                        job.error = error
                for job in group:
                    job.answer()
        finally:
            self._serving = None

    def _next(self) -> list[Job[W]]:
        """Return the next group: half of those who write at present, so that two halves alternate.

        If all that wait were taken, those who were answered last would be alone in the next
        group, and while the many are made durable nobody would be at work. What is early takes no
        time and is not counted.
        """
        half = (len(self._waiting) + self._last + 1) // 2
        group = self._take(self._waiting, half, self._most, is_first=True)
        self._last = len(group)
        room = self._most - sum(job.size for job in group)
        return group + self._take(self._early, len(self._early), room, is_first=not group)

    def _take(
        self, waiting: deque[Job[W]], most: int, room: int, *, is_first: bool = False
    ) -> list[Job[W]]:
        """Return the first `most` of those who wait, as far as there is room; the first anyhow."""
        taken: list[Job[W]] = []
        while len(taken) < most and waiting:
            if waiting[0].size > room and (taken or not is_first):
                break
            job = waiting.popleft()
            if not job.future.done():  # else it was cancelled
                taken.append(job)
                room -= job.size
        return taken
