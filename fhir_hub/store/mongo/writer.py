"""The one writer of a process: what waits is written as one transaction, durable for all at once.

A transaction costs several round trips to a majority of the replica set, however much is in it;
so while one is under way the next gathers. A work that is refused (`Conflict`, `Broken`, a
`FhirError`) is so before it has changed anything, so its neighbours do not notice. After any
other error the works are run again one by one, so that only the one at fault fails.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from typing import Any, TypeVar

from fhir_hub.errors import Closing, FhirError, TooLarge, Unavailable
from fhir_hub.store.base import Broken, Conflict
from fhir_hub.store.mongo.commits import Commit
from fhir_hub.store.mongo.driver import Connection, Session
from fhir_hub.store.mongo.searches import Searches

T = TypeVar("T")
Work = Callable[[Commit], Awaitable[Any]]
_GROUP_SIZE = 256  # changes in one transaction


class _Job:
    __slots__ = ("error", "future", "keys", "result", "size", "work")

    def __init__(
        self, work: Work, size: int, keys: Collection[tuple[str, str]], future: asyncio.Future[Any]
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


class Writer:
    """Runs works, each all or nothing, and answers when they are durable."""

    def __init__(self, connection: Connection, searches: Searches) -> None:
        self._connection, self._searches = connection, searches
        self._waiting: deque[_Job] = deque()
        self._serving: asyncio.Task[None] | None = None
        self._closed = False

    async def run(
        self, work: Callable[[Commit], Awaitable[T]], size: int, keys: Collection[tuple[str, str]]
    ) -> T:
        """Run `work` in a transaction and return what it returns, once that is durable.

        `work` may be run several times. It raises `Conflict`, `Broken` or a `FhirError` only
        before it has changed anything. `size` is how many resources it writes, `keys` are which.
        Raises `Unavailable` if the database cannot be written or is closed.
        """
        if self._closed:
            raise Closing("the store is closed")
        loop = asyncio.get_running_loop()
        job = _Job(work, size, keys, loop.create_future())
        self._waiting.append(job)
        if self._serving is None:
            self._serving = loop.create_task(self._serve())
        result: T = await job.future
        return result

    async def close(self) -> None:
        """Write what waits."""
        self._closed = True
        if self._serving is not None:
            await asyncio.wait([self._serving])

    async def _serve(self) -> None:
        try:
            while self._waiting:
                group = self._take()
                await self._write(group)
                for job in group:
                    job.answer()
        finally:
            self._serving = None

    def _take(self) -> list[_Job]:
        group: list[_Job] = []
        size = 0
        while self._waiting and (not group or size + self._waiting[0].size <= _GROUP_SIZE):
            job = self._waiting.popleft()
            if not job.future.done():
                group.append(job)
                size += job.size
        return group

    async def _write(self, group: list[_Job]) -> None:
        """Write a group; whatever fails is the error of the jobs that it fails for."""
        if not group:
            return

        async def work(session: Session) -> None:
            commit = Commit(self._connection, self._searches, session)
            await commit.begin()
            await commit.know(key for job in group for key in job.keys)
            for job in group:
                await _do(job, commit)
            await commit.end()

        try:
            await self._connection.transaction(work)
        except Unavailable as error:
            for job in group:
                job.error = error
        except Exception as error:  # a fault of ours must not leave callers waiting
            if len(group) > 1:
                for job in group:
                    await self._write([job])
            else:
                group[0].error = error


async def _do(job: _Job, commit: Commit) -> None:
    job.error = None
    try:
        job.result = await job.work(commit)
    except (Unavailable, TooLarge):
        raise  # of the database itself: nothing can follow in this transaction
    except (Broken, Conflict, FhirError) as error:
        job.error = error
