"""How many processes serve, where the settings leave it to the hub (`workers = "auto"`).

One for each core that the process may use: reads, checks and conversions are done by each alone.
What is written goes through one process on a SQLite file, which does a third of an ORU's work:
more than four workers would wait for it, and each takes memory (docs/performance.md).

Spec: sched_getaffinity(2); https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fhir_hub.settings import Settings, is_for_several

MOST = 4


class Count(NamedTuple):
    """How many processes serve, and why."""

    workers: int
    reason: str


def counted(settings: Settings, cores: int) -> Count:
    """Return how many processes serve on a machine where they may use so many cores."""
    if settings.workers != "auto":
        return Count(settings.workers, "as set / 按配置")
    if not is_for_several(settings.store):
        return Count(1, "this store or system takes one process / 此存储或系统只支持一个进程")
    if cores == 1:
        return Count(1, "one core / 单核")
    why = f"{cores} cores / {cores} 核"
    return Count(cores, why) if cores <= MOST else Count(MOST, f"{why}; at most / 最多 {MOST}")


def usable_cores(root: Path = Path("/")) -> int:
    """Return how many cores this process may use: by affinity and by quota, rounded up."""
    try:
        cores = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # not Linux
        cores = os.cpu_count() or 1
    return max(1, min((cores, *map(math.ceil, _quotas(root)))))


def _quotas(root: Path) -> Iterator[float]:
    """Yield how many cores each control group that the process is in may use, if it is said."""
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in groups:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / controllers
        own = top / path.lstrip("/")
        # in a container the path may be the host's, and the group's files be at the top
        for folder in {top, *(one for one in (own, *own.parents) if one.is_relative_to(top))}:
            yield from _quota(folder)


def _quota(folder: Path) -> Iterator[float]:
    try:
        if (file := folder / "cpu.max").exists():
            quota, period = file.read_text().split()
        else:
            quota, period = (
                (folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period")
            )
        if int(quota) > 0:
            yield int(quota) / int(period)
    except (OSError, ValueError):  # there is none, or "max"
        return
