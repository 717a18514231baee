"""Works that wait are written as one group; while that is made durable the next gathers.

To be durable costs a sync of the disk, or round trips to a majority, and as much for many works
as for one. Nobody is answered before the group that he is in is durable. A work that is refused
(`Conflict`, `Broken`, a `FhirError`) is so before it has changed anything, so its neighbours do
not notice; how a group is written, and what becomes of it after any other error, is the store's.

A work from which another follows (a message is kept, then ends) may be early: it is done before all
that waits, and who brought it goes on meanwhile. What follows comes into the same group or a later
one, so it is never durable without it. If the disk does not take it, what is early behind it fails
too: all of it comes again in its order, and nothing has overtaken it. And where nobody of a group
is in a hurry, it waits some milliseconds for those who went on, to be made durable together with
what they bring.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Any, Generic, TypeVar

from fhir_hub.errors import Closing, Unavailable

W = TypeVar("W")

GROUP_SIZE = 256  # changes in one group
COMPANY_S = 0.02  # so long a group waits that is in no hurry


class Job(Generic[W]):
    """A work that waits: `size` is how much it writes, `keys` are which resources, if known.

    `is_early`: it takes no time, and others follow from it; `is_patient`: it may wait for company.
    """

    __slots__ = ("error", "future", "is_early", "is_patient", "keys", "result", "size", "work")

    def __init__(
        self,
        work: W,
        size: int,
        keys: Collection[tuple[str, str]],
        future: asyncio.Future[Any],
        *,
        is_early: bool = False,
        is_patient: bool = False,
    ) -> None:
        self.work, self.size, self.keys, self.future = work, size, keys, future
        self.is_early, self.is_patient = is_early, is_patient
        self.result: Any = None
        self.error: Exception | None = None

    def answer(self) -> None:
        """Resolve the future; one that was cancelled meanwhile stays so."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


def unkept(jobs: Iterable[Job[Any]]) -> Exception | None:
    """Return why something early could not be written now, None if all of it was."""
    early = (job.error for job in jobs if job.is_early)
    return next((error for error in early if isinstance(error, Unavailable)), None)


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

    async def run(self, work: W, size: int, keys: Collection[tuple[str, str]] = ()) -> Any:
        """Return the result of a work when it is durable, or raise its error.

        Raises `Closing` after `close`.
        """
        return await self.bring(work, size, keys)

    def bring(
        self,
        work: W,
        size: int,
        keys: Collection[tuple[str, str]] = (),
        *,
        is_early: bool = False,
        is_patient: bool = False,
    ) -> asyncio.Future[Any]:
        """Return what has the result of a work when it is durable, or its error.

        What is early is done before all that waits, and in the order in which it is brought. Raises
        `Closing` after `close`.
        """
        if self._closed:
            raise Closing("the store is closed")
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        job = Job(work, size, keys, future, is_early=is_early, is_patient=is_patient)
        (self._early if is_early else self._waiting).append(job)
        if self._serving is None:
            self._serving = loop.create_task(self._serve())
        elif self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(True)
        return future

    async def company(self, group: list[Job[W]], until: float) -> list[Job[W]]:
        """Add who joins a group that is done, up to the loop's time `until`; return them.

        Nobody joins one that is to be made durable now.
        """
        while True:
            room = self._most - sum(job.size for job in group if not job.is_early)
            is_complete = self._is_complete(group)
            joined = self._take_early()
            if not is_complete:
                joined += self._take(self._waiting, len(self._waiting), room)
            if joined:
                group += joined
                self._last += sum(not job.is_early for job in joined)
                return joined
            if is_complete or self._waiting or not await self._comes(until):
                return []

    def _is_complete(self, group: list[Job[W]]) -> bool:
        """Say whether somebody is in a hurry, or as many are there as are about to come."""
        if not all(job.is_patient for job in group):
            return True
        brought = sum(not job.is_early for job in group)
        return brought >= self._expected() + len(self._waiting)

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
                for job in (*group, *self._held_up(group)):
                    job.answer()
        finally:
            self._serving = None

    def _held_up(self, group: Sequence[Job[W]]) -> list[Job[W]]:
        """Return what is early and waits, to fail: what was early of the group is not written."""
        fault = unkept(group)
        if fault is None:
            return []
        held_up = self._take_early()
        for job in held_up:
            job.error = fault
        return held_up

    def _next(self) -> list[Job[W]]:
        """Return the next group: half of those who write at present, so that two halves alternate.

        If all that wait were taken, those who were answered last would be alone in the next
        group, and while the many are made durable nobody would be at work. What is early takes no
        time and is not counted.
        """
        half = (len(self._waiting) + self._last + 1) // 2
        group = self._take(self._waiting, half, self._most, is_first=True)
        self._last = len(group)
        return self._take_early() + group

    def _take_early(self) -> list[Job[W]]:
        """Return all that is early: what follows from any of it must not be done before it."""
        taken = [job for job in self._early if not job.future.done()]
        self._early.clear()
        return taken

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
