"""The log goes back into the database beside the writing, not in between.

To write back 8,000 pages and sync them takes a tenth of a second, in which no COMMIT would
return. So a thread with a connection of its own does it while commits go on. What they add
meanwhile is written back in a second and third round, each much shorter than the one before; the
few pages that are left then are the committing thread's: once all is written back, the log starts
at its beginning again, and so stays small.

Spec: https://www.sqlite.org/wal.html#ckpt
"""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import apsw

_ROUNDS, _FEW = 4, 300  # rounds of the thread; after so few pages it is not worth another
_LARGEST = 4  # times as many pages as wanted: then commits wait; a slow disk takes its time


class Checkpoints:
    """Keeps the log of one database at about `pages`."""

    def __init__(self, path: Path, pages: int) -> None:
        self._path, self._pages = path, pages
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fhir-hub-checkpoint")
        self._running: Future[None] | None = None

    def watch(self, writer: apsw.Connection) -> None:
        """Write back what `writer` commits, from now on."""
        writer.set_wal_hook(self._committed)

    def begin(self) -> Future[None]:
        """Write back what is in the log now, in the thread."""
        return self._thread.submit(self._write_back)

    def close(self) -> None:
        """Wait for what runs."""
        self._thread.shutdown()

    def _committed(self, writer: apsw.Connection, database: str, pages: int) -> int:
        """Called in the committing thread: `pages` are in the log."""
        running = self._running
        if running is None:
            if pages >= self._pages:
                self._running = self._thread.submit(self._write_back)
        elif running.done() or pages >= _LARGEST * self._pages:
            self._running = None
            with suppress(apsw.Error):  # the next time will do
                running.result()
                writer.wal_checkpoint(database)
        return apsw.SQLITE_OK

    def _write_back(self) -> None:
        connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            before = 0
            for _ in range(_ROUNDS):
                _, done = connection.wal_checkpoint()
                if done - before < _FEW:
                    break
                before = done
        finally:
            connection.close()
