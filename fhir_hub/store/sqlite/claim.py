"""One hub on a database file: a lock beside it, which the system lets go of when the process ends.

The lock (`locking.py`) is on a file of its own, for to close the database's takes SQLite's locks.
Commands that read or write beside a hub do not ask for it.

Spec: https://www.sqlite.org/howtocorrupt.html
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from fhir_hub.locking import take_lock
from fhir_hub.store.base import CannotOpen

_END = ".lock"
_WAIT_S = 3.0  # a hub that was just asked to stop, or killed, has ended by then
_PAUSE_S = 0.1


@contextlib.asynccontextmanager
async def claimed(path: Path) -> AsyncIterator[None]:
    """Be the one hub on the database at `path`; raises `CannotOpen` if another is.

    Where files cannot be locked (Windows, some file servers) nothing is claimed.
    """
    descriptor = _opened(path.resolve())
    if descriptor is None:  # who opens the database says why
        yield
        return
    try:
        for _ in range(round(_WAIT_S / _PAUSE_S)):
            if _take(descriptor):
                break
            await asyncio.sleep(_PAUSE_S)
        else:
            process = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            raise CannotOpen(
                f"another hub works on this file (process {process}): stop it, or give this one a"
                f" file of its own / 另一个平台正在使用该文件(进程 {process}):请先停止它,"
                "或为本平台另设文件"
            )
        yield
    finally:
        os.close(descriptor)


def _opened(database: Path) -> int | None:
    with contextlib.suppress(OSError):
        database.parent.mkdir(parents=True, exist_ok=True)
        if not database.is_dir():
            lock = database.with_name(f"{database.name}{_END}")
            return os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    return None


def _take(descriptor: int) -> bool:
    """Take the lock, say in the file whose it is, and return whether it is ours."""
    if not take_lock(descriptor):
        return False
    with contextlib.suppress(OSError):  # a full disk: then it is not said
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return True
