"""The one writer: what waits is written as one group and made durable by one COMMIT.

The INSERTs of a group run on the loop's thread, which is fast because no other thread holds
the interpreter. What SQLite does by itself runs in a thread: the indexes, and COMMIT with its sync
of the disk; meanwhile the next group gathers. Nobody is answered before the COMMIT of his group
has returned.

A work that is refused (`Conflict`, `Broken`, a `FhirError`) is so before it has changed
anything, so its neighbours do not notice. After any other error the group is rolled back, and
its works are run again one by one, so that only the one at fault fails.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import apsw

from fhir_hub.errors import FhirError, Unavailable
from fhir_hub.store.base import Broken, Conflict
from fhir_hub.store.groups import COMPANY_S, GROUP_SIZE, Groups, Job, unkept
from fhir_hub.store.sqlite.checkpoints import Checkpoints
from fhir_hub.store.sqlite.connection import reason_of

T = TypeVar("T")
Work = Callable[[], Any]

ALONE = GROUP_SIZE + 1  # the size of a work that is a group by itself, in the thread
_BUSY_MS = 10_000


class Book(Protocol):
    """What is kept between the works of a group and written with them."""

    def begin(self) -> None:
        """Start from what the database says, at the begin of a transaction."""

    def put(self) -> None:
        """Write what waits for the end of the group, row by row."""

    def end(self) -> None:
        """Write what follows from all of that, and what is about the whole group, before COMMIT."""

    def forget(self) -> None:
        """Drop what is kept: the transaction was rolled back."""


class Writer:
    """Runs works, each all or nothing, and answers when they are durable."""

    def __init__(
        self,
        connection: apsw.Connection,
        book: Book,
        checkpoints: Checkpoints,
        expected: Callable[[], int] = lambda: 0,
    ) -> None:
        self._connection, self._book, self._checkpoints = connection, book, checkpoints
        self._groups = Groups(self._write, expected=expected)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fhir-hub-commit")

    async def run(self, work: Callable[[], T], size: int = 1, *, is_patient: bool = False) -> T:
        """Run `work` in a write transaction and return what it returns, once that is durable.

        `work` raises `Conflict`, `Broken` or a `FhirError` only before it has changed anything; it
        may be run again, after all was rolled back. `size` is how many resources it writes;
        `is_patient` lets it wait for company. Raises `Unavailable` if the database cannot be
        written or is closed.
        """
        result: T = await self._groups.bring(work, size, is_patient=is_patient)
        return result

    def bring(self, work: Callable[[], T], *, is_patient: bool = False) -> "asyncio.Future[T]":
        """Have `work` done before all that waits; return what has its result when it is durable."""
        return self._groups.bring(work, 1, is_early=True, is_patient=is_patient)

    async def write_back(self) -> None:
        """Have the log go back into the database beside the writing."""
        await asyncio.wrap_future(self._checkpoints.begin())

    async def close(self) -> None:
        """Write what waits, then let go of the connection."""
        await self._groups.close()
        self._thread.shutdown()
        self._checkpoints.close()
        self._connection.close()

    async def _write(self, group: list[Job[Work]]) -> None:
        if not await self._write_together(group) and len(group) > 1:
            for at, job in enumerate(list(group)):
                fault = unkept(group[:at]) if job.is_early else None
                if fault is not None:  # what follows from this must not overtake what failed
                    job.error = fault
                else:
                    await self._write_together([job], is_open=False)

    async def _write_together(self, group: list[Job[Work]], *, is_open: bool = True) -> bool:
        """Write a group, and who joins it if it is open; False if one failed: none is written."""
        loop = asyncio.get_running_loop()
        # at most that many on the loop's thread
        if sum(job.size for job in group) <= GROUP_SIZE and not self._begin(wait_ms=0):
            joined, until = group, loop.time() + COMPANY_S
            while joined:
                if not self._fill(joined):
                    return False
                joined = await self._groups.company(group, until) if is_open else []
            if not self._put(group):
                return False
        elif not await loop.run_in_executor(self._thread, self._begin_and_fill, group):
            return False
        await loop.run_in_executor(self._thread, self._commit, group)
        return True

    def _begin(self, wait_ms: int) -> apsw.Error | None:
        """Begin a transaction; return why it cannot be: another process is writing, mostly."""
        self._connection.set_busy_timeout(wait_ms)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._book.begin()
        except apsw.Error as error:
            self._roll_back()
            return error
        return None

    def _begin_and_fill(self, group: list[Job[Work]]) -> bool:
        error = self._begin(_BUSY_MS)
        if error is None:
            return self._fill(group) and self._put(group)
        for job in group:
            job.error = _unavailable(error)
        return True

    def _fill(self, group: list[Job[Work]]) -> bool:
        """Run the works; False if one failed midway: it has its error, and nothing is written."""
        for job in group:
            job.error = None
            try:
                job.result = job.work()
            except (Broken, Conflict, FhirError) as error:
                job.error = error
            except Exception as error:
                self._fail(job, error)
                return False
        return True

    def _put(self, group: list[Job[Work]]) -> bool:
        """Write what waits for the end of the group; False if that failed."""
        try:
            self._book.put()
        except Exception as error:
            self._fail(group[-1], error)
            return False
        return True

    def _fail(self, job: Job[Work], error: Exception) -> None:
        self._roll_back()
        job.error = _unavailable(error) if isinstance(error, apsw.Error) else error

    def _commit(self, group: list[Job[Work]]) -> None:
        if not self._connection.in_transaction:
            return
        try:
            self._book.end()
            self._connection.execute("COMMIT")
        except apsw.Error as error:
            self._roll_back()
            for job in group:
                job.error = _unavailable(error)

    def _roll_back(self) -> None:
        self._book.forget()
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _unavailable(error: apsw.Error) -> Unavailable:
    why = reason_of(error)
    return Unavailable(f"the database cannot be written now{why and ': '}{why}")
