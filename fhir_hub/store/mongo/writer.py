"""The one writer of a process: what waits is written as one transaction, durable for all at once.

A transaction costs several round trips to a majority of the replica set, however much is in it;
so while one is under way the next gathers. A work that is refused (`Conflict`, `Broken`, a
`FhirError`) is so before it has changed anything, so its neighbours do not notice. After any
other error the works are run again one by one, so that only the one at fault fails.
"""

from collections.abc import Awaitable, Callable, Collection
from typing import Any, TypeVar

from fhir_hub.errors import FhirError, TooLarge, Unavailable
from fhir_hub.store.base import Broken, Conflict
from fhir_hub.store.groups import Groups, Job
from fhir_hub.store.mongo.commits import Commit
from fhir_hub.store.mongo.driver import Connection, Session
from fhir_hub.store.mongo.searches import Searches

T = TypeVar("T")
Work = Callable[[Commit], Awaitable[Any]]


class _NothingWritten(Exception):
    """All works of a group were refused: no majority has to be waited for."""


class Writer:
    """Runs works, each all or nothing, and answers when they are durable."""

    def __init__(self, connection: Connection, searches: Searches) -> None:
        self._connection, self._searches = connection, searches
        self._groups = Groups(self._write)

    async def run(
        self, work: Callable[[Commit], Awaitable[T]], size: int, keys: Collection[tuple[str, str]]
    ) -> T:
        """Run `work` in a transaction and return what it returns, once that is durable.

        `work` may be run several times. It raises `Conflict`, `Broken` or a `FhirError` only
        before it has changed anything. `size` is how many resources it writes, `keys` are which.
        Raises `Unavailable` if the database cannot be written or is closed.
        """
        result: T = await self._groups.run(work, size, keys)
        return result

    async def close(self) -> None:
        """Write what waits."""
        await self._groups.close()

    async def _write(self, group: list[Job[Work]]) -> None:
        """Write a group; whatever fails is the error of the jobs that it fails for."""
        if not group:
            return

        async def work(session: Session) -> None:
            commit = Commit(self._connection, self._searches, session)
            await commit.begin()
            await commit.know(key for job in group for key in job.keys)
            for job in group:
                await _do(job, commit)
            if all(job.error is not None for job in group):
                raise _NothingWritten
            await commit.end()

        try:
            await self._connection.transaction(work)
        except _NothingWritten:
            return
        except Unavailable as error:
            for job in group:
                job.error = error
        except Exception as error:  # a fault of ours must not leave callers waiting
            if len(group) > 1:
                for job in group:
                    await self._write([job])
            else:
                group[0].error = error


async def _do(job: Job[Work], commit: Commit) -> None:
    job.error = None
    try:
        job.result = await job.work(commit)
    except (Unavailable, TooLarge):
        raise  # of the database itself: nothing can follow in this transaction
    except (Broken, Conflict, FhirError) as error:
        job.error = error
