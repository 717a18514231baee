"""How the process of a worker begins: as a copy of the hub's, or by itself.

The first workers are copies (`fork`) of the process that becomes the supervisor. They are made
when that has read what every worker needs, and has no loop, thread or open file yet: so it is read
once, and stands in memory once but for what one of them changes. A worker that takes the place of
one that died begins by itself, and so do all where a copy cannot be waited for (not Linux).

Spec: fork(2), pidfd_open(2)
"""

import asyncio
import contextlib
import os
import signal
import socket
import traceback
from collections.abc import Iterator

from fhir_hub.app import Known, read
from fhir_hub.collector import calm_collector
from fhir_hub.settings import Settings
from fhir_hub.workers.begin import Begun, begin
from fhir_hub.workers.folder import metrics_folder
from fhir_hub.workers.reception import Door
from fhir_hub.workers.worker import HELD, hear, work


class Copy:
    """A process that was made by `fork`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.status: int | None = None
        self._file = os.pidfd_open(pid)
        self._ended: asyncio.Future[int] | None = None

    async def wait(self) -> int:
        """Wait until it has ended; return its status, or the signal that ended it, negative."""
        if self._ended is None:
            loop = asyncio.get_running_loop()
            self._ended = loop.create_future()
            loop.add_reader(self._file, self._reap)
        return await asyncio.shield(self._ended)

    def send_signal(self, signal: int) -> None:
        """Send it a signal; raises `ProcessLookupError` if it has ended."""
        if self.status is not None:
            raise ProcessLookupError
        os.kill(self.pid, signal)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def _reap(self) -> None:
        assert self._ended is not None
        asyncio.get_running_loop().remove_reader(self._file)
        self._ended.set_result(self.end())

    def end(self) -> int:
        """Wait for its end without a loop; return its status."""
        if self.status is None:
            _, status = os.waitpid(self.pid, 0)
            self.status = os.waitstatus_to_exitcode(status)
            os.close(self._file)
        return self.status


class Launch:
    """Begins workers: those that were copied first, then others.

    There are to be `workers` of them; `folder` is for metrics.
    """

    def __init__(self, workers: int, folder: str) -> None:
        self.workers, self.folder = workers, folder
        self._known: Known | None = None  # kept: to let go of it would be to change it
        self._copies: list[Copy] = []
        self._begun: list[Begun] = []

    def copy(self, settings: Settings) -> None:
        """Read what the workers need, and make them; raises what `read` raises."""
        self._known = known = read(settings)
        calm_collector()
        sides: list[tuple[socket.socket, Door]] = []
        for _ in range(self.workers):
            own, other = socket.socketpair()
            door = Door(*socket.socketpair())
            sides.append((own, door))
            if not (pid := os.fork()):
                for pipe, one in sides:  # else who has them open would not hear of our end
                    pipe.close()
                    one.own.close()
                _be(other, door.other, self.folder, known)
            other.close()
            door.other.close()
            copy = Copy(pid)
            self._copies.append(copy)
            self._begun.append(Begun(copy, own, door))

    async def begin(self) -> Begun:
        """Return a worker that has begun."""
        if self._begun:
            return self._begun.pop(0)
        return await begin(self.folder)

    def close(self) -> None:
        """End the copies that were not ended."""
        for copy in self._copies:
            with contextlib.suppress(ProcessLookupError):
                copy.kill()
            copy.end()


@contextlib.contextmanager
def launching(settings: Settings, workers: int) -> Iterator[Launch]:
    """Have workers to begin with; raises what `read` raises.

    Signals to stop are held back until someone will `hear` them: so nothing is left behind.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    try:
        with metrics_folder() as folder:
            launch = Launch(workers, folder)
            try:
                if _can_be_copied():
                    launch.copy(settings)
                yield launch
            finally:
                launch.close()
    finally:
        hear()


def _can_be_copied() -> bool:
    """Return whether the end of a copy can be waited for: Linux 5.3, unless a sandbox forbids."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


def _be(pipe: socket.socket, door: socket.socket, folder: str, known: Known) -> None:
    """Be a worker in a copy of the process, and end with it."""
    status = 1
    try:
        with open(os.devnull) as nothing:
            os.dup2(nothing.fileno(), 0)
        work(pipe, door, folder, known)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)  # what the process would do at its end is the supervisor's
