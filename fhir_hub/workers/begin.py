"""A worker that begins by itself: its process, and the ends of what it is told and handed over.

Spec: fork(2), execve(2)
"""

import asyncio
import socket
import sys
from typing import NamedTuple, Protocol

from fhir_hub.workers.reception import Door


class Process(Protocol):
    """A worker's process, as the supervisor handles it."""

    @property
    def pid(self) -> int:
        """Its number."""

    async def wait(self) -> int:
        """Wait until it has ended; return its status, or the signal that ended it, negative."""

    def send_signal(self, signal: int) -> None:
        """Send it a signal; raises `ProcessLookupError` if it has ended."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it at once."""


class Begun(NamedTuple):
    """A worker that waits to be told what to do over `pipe`, and for connections at `door`."""

    process: Process
    pipe: socket.socket
    door: Door


async def begin(folder: str) -> Begun:
    """Return a worker that has begun; `folder` is for its metrics."""
    own, other = socket.socketpair()
    door = Door(*socket.socketpair())
    descriptors = (other.fileno(), door.other.fileno())
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "fhir_hub.workers.worker", *map(str, descriptors), folder),
        pass_fds=descriptors,
        stdin=asyncio.subprocess.DEVNULL,
    )
    other.close()
    door.other.close()
    return Begun(process, own, door)
