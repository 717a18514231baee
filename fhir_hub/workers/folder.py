"""The folder in which the processes of a hub count for its metrics: new for each start.

A supervisor that is killed leaves its folder behind; the next start of any hub removes it. Whose it
is says a lock on a file in it, so the folder of a hub that runs is left.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fhir_hub.locking import take_lock

_PREFIX, _OWNER = "fhir-hub-", "owner"


@contextlib.contextmanager
def metrics_folder() -> Iterator[str]:
    """Have a folder, and remove it at the end; first remove those of hubs that were killed."""
    _remove_left()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    locked = folder / f"{_OWNER}.new"
    descriptor = os.open(locked, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        take_lock(descriptor)
        locked.rename(folder / _OWNER)  # who sees it there sees it locked
        yield str(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _remove_left() -> None:
    """Remove the folders that nobody uses any more, of this user."""
    for owner in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_OWNER}"):
        with contextlib.suppress(OSError):  # another user's, or another start removes it
            descriptor = os.open(owner, os.O_RDWR)
            try:
                if take_lock(descriptor):
                    shutil.rmtree(owner.parent, ignore_errors=True)
            finally:
                os.close(descriptor)
