"""`make bench`: drive a running hub from another process and print one table.

The hub runs as hospital IT would run it: `fhir-hub serve` on a SQLite file, durable settings.
The figures go to `bench/results/` with the command and the machine's shape.

    python -m bench [--seconds 8] [--prefill 20000] [--only read,search] [--workers 2] [--keep]
"""

import argparse
import asyncio
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from bench import data
from bench.load import Result, drive, exchange, http

HERE = Path(__file__).parent
TARGETS = {
    "create Observation": "≥ 1,500",
    "read 2 KB": "≥ 5,000",
    "search patient+code+date": "",
    "transaction of 100": "",
    "ORU of 10 OBX over MLLP": "≥ 100",
}


class Hub:
    """A hub in a process of its own, on a new SQLite file."""

    def __init__(self, folder: str, workers: int = 1) -> None:
        command = [sys.executable, "-m", "fhir_hub", "serve", "--port", "0", "--mllp-port", "0"]
        command += ["--store", f"sqlite:{folder}/hub.sqlite", "--ready-json"]
        command += ["--workers", str(workers)]
        started = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        ready = json.loads(self.process.stdout.readline())
        self.start_s = time.perf_counter() - started
        self.pids = [ready["pid"], *ready.get("workers", ())]
        self.mllp_port = ready["mllp"]
        self.port = int(ready["fhir"].split(":")[2].split("/")[0])

    def memory_mb(self) -> float:
        """Return the memory of the largest process."""
        texts = [Path(f"/proc/{pid}/status").read_text() for pid in self.pids]
        return max(int(text.split("VmRSS:")[1].split()[0]) for text in texts) / 1024

    def cpu_s(self) -> float:
        """Return the CPU seconds of all processes."""
        texts = [Path(f"/proc/{pid}/stat").read_text() for pid in self.pids]
        fields = [text.rpartition(")")[2].split() for text in texts]
        return sum(int(one[11]) + int(one[12]) for one in fields) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


async def prefill(hub: Hub, resources: int) -> list[str]:
    """Store about that many resources; return the Patients' references."""
    patients: list[str] = []
    for number in range(1, max(2, resources // 100 + 1)):
        body = data.dumps(data.transaction(number))
        status, _, answer = await exchange("127.0.0.1", hub.port, http("POST", "/fhir", body))
        assert status == 200, answer[:500]
        location = json.loads(answer)["entry"][0]["response"]["location"]
        patients.append("/".join(location.split("/")[:2]))
    return patients


async def measure(hub: Hub, patients: list[str], options: argparse.Namespace) -> list[dict]:
    body = data.dumps(data.large_patient(1))
    _, head, _ = await exchange("127.0.0.1", hub.port, http("POST", "/fhir/Patient", body))
    location = head.decode().lower().split("location: ")[1].split("\r\n")[0]
    path = "/fhir/Patient/" + location.split("/patient/")[1].split("/")[0]
    offset = 10_000_000
    works = [
        ("read 2 KB", 32, lambda n: http("GET", path), False),
        (
            "create Observation",
            32,
            lambda n: http(
                "POST",
                "/fhir/Observation",
                data.dumps(data.observation(offset + n, patients[n % len(patients)])),
            ),
            False,
        ),
        (
            "search patient+code+date",
            32,
            lambda n: http(
                "GET",
                f"/fhir/Observation?patient={patients[n % len(patients)]}"
                f"&code=http://loinc.org|{data.LABS[n % 10][0]}&date=ge2025-03-01&_count=20",
            ),
            False,
        ),
        (
            "transaction of 100",
            8,
            lambda n: http("POST", "/fhir", data.dumps(data.transaction(1_000_000 + n))),
            False,
        ),
        ("ORU of 10 OBX over MLLP", 16, data.oru, True),
    ]
    rows = []
    for name, clients, make, is_mllp in works:
        if options.only and not any(part in name for part in options.only.split(",")):
            continue
        port = hub.mllp_port if is_mllp else hub.port
        cpu = hub.cpu_s()
        result = await drive(
            "127.0.0.1", port, make, clients=clients, seconds=options.seconds, is_mllp=is_mllp
        )
        rows.append(row(name, clients, result, hub, hub.cpu_s() - cpu))
        print(show(rows[-1]), flush=True)
    return rows


def row(name: str, clients: int, result: Result, hub: Hub, cpu_s: float) -> dict:
    if result.failed:
        print(f"{name}: {result.failed} failed, first: {result.first_failure}", file=sys.stderr)
    return {
        "work": name,
        "clients": clients,
        "per_second": round(result.done / result.elapsed, 1),
        "p50_ms": round(result.percentile(0.5) * 1000, 2),
        "p99_ms": round(result.percentile(0.99) * 1000, 2),
        "hub_cpu_us": round(cpu_s / max(1, result.done) * 1e6),
        "memory_mb": round(hub.memory_mb()),
        "failed": result.failed,
        "target": TARGETS[name],
    }


HEAD = (
    "| work | clients | per second | target | p50 ms | p99 ms | hub CPU µs | memory MB | failed |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def show(row: dict) -> str:
    return (
        f"| {row['work']} | {row['clients']} | {row['per_second']:,} | {row['target']} "
        f"| {row['p50_ms']} | {row['p99_ms']} | {row['hub_cpu_us']} | {row['memory_mb']} "
        f"| {row['failed']} |"
    )


def machine() -> str:
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return f"{os.cpu_count()} × {model}, Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--prefill", type=int, default=20_000)
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", action="store_true", help="write the table to bench/results/")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        hub = Hub(folder, options.workers)
        try:
            start_mb = hub.memory_mb()
            print(HEAD)

            async def run() -> list[dict]:
                return await measure(hub, await prefill(hub, options.prefill), options)

            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                rows = runner.run(run())
        finally:
            hub.stop()
    stamp = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    note = (
        f"{stamp} · {machine()} · load generator on the same machine · SQLite, synchronous=FULL"
        f" · {options.prefill:,} resources stored before · start {hub.start_s:.2f} s, "
        f"{start_mb:.0f} MB · `{' '.join(['python -m bench', *sys.argv[1:]])}`"
    )
    print("\n" + note)
    if options.keep:
        name = datetime.now(UTC).strftime("%Y-%m-%d-%H%M.md")
        table = "\n".join([f"# {note}", "", HEAD, *(show(row) for row in rows), ""])
        (HERE / "results" / name).write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
