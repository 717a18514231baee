"""A few connections with a thread each, for what may take long: the loop goes on meanwhile."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fhir_hub.store.sqlite.reads import Reader

T = TypeVar("T")


class Readers:
    """Lends a reader to one work at a time."""

    def __init__(self, readers: list[Reader]) -> None:
        self._readers, self._idle = readers, list(readers)
        self._free = asyncio.Semaphore(len(readers))
        self._threads = ThreadPoolExecutor(len(readers), thread_name_prefix="fhir-hub-search")

    async def run(self, work: Callable[[Reader], T]) -> T:
        """Return `work(reader)`, run in a thread. If the caller is cancelled, SQLite stops."""
        await self._free.acquire()
        reader = self._idle.pop()
        future = asyncio.get_running_loop().run_in_executor(self._threads, work, reader)
        future.add_done_callback(lambda done: self._give_back(reader, done))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            reader.connection.interrupt()
            raise

    async def close(self) -> None:
        """Wait for what runs and close the connections."""
        await asyncio.to_thread(self._threads.shutdown)
        for reader in self._readers:
            reader.connection.close()

    def _give_back(self, reader: Reader, done: "asyncio.Future[T]") -> None:
        if not done.cancelled():
            done.exception()  # looked at, since a cancelled caller does not
        self._idle.append(reader)
        self._free.release()
