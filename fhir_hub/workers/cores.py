"""Which core a worker stays on, where each can have its own.

Two workers on two cores are moved from one to the other, and wait for one core while the other is
free, whenever the one that writes or another program wakes up. Where there are fewer workers than
cores (others may want the same ones: a container sees all cores of its host) nobody is bound, and
the process that writes never is.

Spec: sched_setaffinity(2)
"""

import contextlib
import os


def bind(pid: int, place: int, workers: int) -> None:
    """Have a process that has one thread yet, the worker at `place` of `workers`, stay on a core.

    Nothing happens where there are not as many cores, or the system takes no such wish.
    """
    with contextlib.suppress(AttributeError, OSError):  # not Linux; a sandbox forbids; it is gone
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) == workers:
            os.sched_setaffinity(pid, {cores[place]})
