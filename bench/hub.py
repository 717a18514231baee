"""A hub in processes of its own, as hospital IT would run it, and what it uses of the machine."""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path


class Hub:
    """`fhir-hub serve` on a SQLite file or another store, durable, on free ports."""

    def __init__(self, database: Path | str, workers: int = 1) -> None:
        command = [sys.executable, "-m", "fhir_hub", "serve", "--port", "0", "--mllp-port", "0"]
        store = f"sqlite:{database}" if isinstance(database, Path) else database
        command += ["--store", store, "--ready-json"]
        command += ["--workers", str(workers)]
        started = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        ready = json.loads(self.process.stdout.readline())
        self.start_s = time.perf_counter() - started
        self.pids: list[int] = [ready["pid"], *ready.get("workers", ())]
        self.mllp_port = ready["mllp"]
        self.port = int(ready["fhir"].split(":")[2].split("/")[0])

    def memory_mb(self) -> float:
        """Return the resident memory of the largest of its processes."""
        return max(self._resident_kib(pid) for pid in self.pids) / 1024

    def cpu_s(self) -> float:
        """Return the seconds of processor time that its processes have used."""
        ticks = 0
        for pid in self.pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def _resident_kib(self, pid: int) -> int:
        return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])


def machine() -> str:
    """Return the machine's shape."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    model = next(named, platform.processor())
    return f"{os.cpu_count()} × {model}, Python {platform.python_version()}"
