"""Works that wait are written as one group; while that is made durable the next gathers.

To be durable costs a sync of the disk, or round trips to a majority, and as much for many works
as for one. Nobody is answered before the group that he is in is durable. A work that is refused
(`Conflict`, `Broken`, a `FhirError`) is so before it has changed anything, so its neighbours do
not notice; how a group is written, and what becomes of it after any other error, is the store's.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Generic, TypeVar

from fhir_hub.errors import Closing

W = TypeVar("W")

GROUP_SIZE = 256  # changes in one group


class Job(Generic[W]):
    """A work that waits: `size` is how much it writes, `keys` are which resources, if known."""

    __slots__ = ("error", "future", "keys", "result", "size", "work")

    def __init__(
        self, work: W, size: int, keys: Collection[tuple[str, str]], future: asyncio.Future[Any]
    ) -> None:
        self.work, self.size, self.keys, self.future = work, size, keys, future
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


class Groups(Generic[W]):
    """Has `write` write one group after the other, each job with its result or its error.

    The sizes of a group are at most `most` together, in whatever the caller measures.
    """

    def __init__(
        self, write: Callable[[list[Job[W]]], Awaitable[None]], most: int = GROUP_SIZE
    ) -> None:
        self._write, self._most = write, most
        self._waiting: deque[Job[W]] = deque()
        self._last = 0  # how many works were in the group before
        self._serving: asyncio.Task[None] | None = None
        self._closed = False

    async def run(self, work: W, size: int, keys: Collection[tuple[str, str]] = ()) -> Any:
        """Return the result of a work when it is durable, or raise its error.

        Raises `Closing` after `close`.
        """
        if self._closed:
            raise Closing("the store is closed")
        loop = asyncio.get_running_loop()
        job = Job(work, size, keys, loop.create_future())
        self._waiting.append(job)
        if self._serving is None:
            self._serving = loop.create_task(self._serve())
        return await job.future

    async def close(self) -> None:
        """Take nothing more, and return when what waits is written."""
        self._closed = True
        if self._serving is not None:
            await asyncio.wait([self._serving])

    async def _serve(self) -> None:
        try:
            while self._waiting:
                group = self._take()
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

    def _take(self) -> list[Job[W]]:
        """Return the next group: half of those who write at present, so that two halves alternate.

        If all that wait were taken, those who were answered last would be alone in the next
        group, and while the many are made durable nobody would be at work.
        """
        group: list[Job[W]] = []
        size = 0
        half = (len(self._waiting) + self._last + 1) // 2
        while len(group) < half and self._waiting:
            if group and size + self._waiting[0].size > self._most:
                break
            job = self._waiting.popleft()
            if not job.future.done():
                group.append(job)
                size += job.size
        self._last = len(group)
        return group
