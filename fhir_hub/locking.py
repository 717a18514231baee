"""A lock on an open file: the system lets go of it when the process ends, however it ends.

It is of the process (`fcntl`): nothing is left behind by `kill -9`, and a copy of the process
(`fork`) does not have it. It is lost when the process closes any descriptor of the file.

Spec: fcntl(2)
"""

import errno
from contextlib import suppress

with suppress(ImportError):  # Windows has none
    import fcntl

_HELD = (errno.EACCES, errno.EAGAIN)


def take_lock(descriptor: int) -> bool:
    """Lock the file, opened for writing; return whether it is ours: another process may have it.

    Where files cannot be locked (Windows, some file servers) each has it.
    """
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except NameError:
        return True
    except OSError as error:
        return error.errno not in _HELD
    return True
