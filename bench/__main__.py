"""`make bench`: drive a running hub from another process and print targets beside figures.

The hub runs as hospital IT would run it: `fhir-hub serve` on a SQLite file, durable settings. The
file is filled before with generated records (or is a copy of `--database`, filled once by
`python -m bench.fill FILE 1000000`). `--keep` writes the table to `bench/results/`.

    python -m bench --prefill 1000000 --runs 3 --keep
    python -m bench --seconds 2 --only search
    python -m bench --hours 1 --only mixed      # memory after an hour of load
"""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from bench import budgets, data
from bench.fill import fill, last_person, note_file
from bench.hub import Hub, machine
from bench.load import drive, exchange, http
from bench.table import HEAD, Row, keep, middle, row
from bench.works import Work, works

_SOAK = "mixed"  # the work of a long run


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=8, help="how long each work is done")
    parser.add_argument("--runs", type=int, default=1, help="runs of each work; medians are shown")
    parser.add_argument("--prefill", type=int, default=20_000, help="resources stored before")
    parser.add_argument("--database", type=Path, help="a filled file to start from, as a copy")
    parser.add_argument("--workers", type=int, default=1, help="processes of the hub")
    parser.add_argument("--clients", type=int, default=1000, help="at most so many at once")
    parser.add_argument("--only", default="", help="works whose names have one of these in them")
    parser.add_argument("--hours", type=float, default=0, help="then mixed load for so long")
    parser.add_argument("--budgets", action="store_true", help="fail if 30 %% over a CPU budget")
    parser.add_argument("--keep", action="store_true", help="write to bench/results/")
    return parser.parse_args()


async def measure(hub: Hub, people: int, asked: argparse.Namespace) -> list[Row]:
    body = data.dumps(data.large_patient(1))
    _, head, _ = await exchange("127.0.0.1", hub.port, http("POST", "/fhir/Patient", body))
    location = head.decode().split("ocation: ")[1].split("\r\n")[0]
    large = location.split("/Patient/")[1].split("/")[0]
    rows = []
    first = 0
    for work in works(people, large):
        if asked.only and not any(part in work.name for part in asked.only.split(",")):
            continue
        wanted = replace(work, clients=min(work.clients, asked.clients))
        measured = []
        for _ in range(asked.runs):
            # each run goes on where the one before ended: what it creates is new
            first += 1_000_000
            measured.append(await run(hub, wanted.for_workers(asked.workers), asked.seconds, first))
        rows.append(middle(measured))
        print(rows[-1], flush=True)
    if asked.hours:
        soak = next(work for work in works(people, large) if work.name.startswith(_SOAK))
        rows.append(await run(hub, soak, asked.hours * 3600, first + 1_000_000))
        print(f"after {asked.hours} h: {rows[-1]}", flush=True)
    return rows


async def run(hub: Hub, work: Work, seconds: float, first: int) -> Row:
    port = hub.mllp_port if work.is_mllp else hub.port
    before = hub.cpu_s()
    result = await drive(
        "127.0.0.1",
        port,
        work.make,
        clients=work.clients,
        seconds=seconds,
        is_mllp=work.is_mllp,
        first=first,
    )
    return row(work, result, hub.cpu_s() - before, hub.memory_mb())


def sync(file: Path) -> None:
    """Have what was copied reach the disk: else the hub's first checkpoint waits for all of it."""
    with file.open("rb") as copied:
        os.fsync(copied.fileno())


def main() -> None:
    asked = options()
    with tempfile.TemporaryDirectory(prefix="fhir-hub-bench-") as folder:
        database = Path(folder) / "hub.sqlite"
        if asked.database:
            shutil.copyfile(asked.database, database)
            note_file(database)
        else:
            fill(database, asked.prefill, is_quiet=True)
        sync(database)
        stored, people = last_person(database)
        hub = Hub(database, asked.workers)
        try:
            start_mb = hub.memory_mb()
            print(HEAD)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                rows = runner.run(measure(hub, people, asked))
        finally:
            hub.stop()
    own = [] if asked.only else list(budgets.measured())
    lines = list(report(stored, start_mb, hub.start_s, own, asked))
    print("\n" + "\n".join(lines))
    if asked.keep:
        keep("bench", "\n".join([f"# {lines[-1]}", "", HEAD, *map(str, rows), "", *lines[:-1], ""]))
    over = [one.work.name for one in rows if one.is_over] + [b.name for b in own if b.is_over]
    if asked.budgets and over:
        sys.exit(f"more than 30 % over the CPU budget: {', '.join(over)}")


def report(
    stored: int,
    start_mb: float,
    start_s: float,
    own: list[budgets.Budget],
    asked: argparse.Namespace,
) -> Iterator[str]:
    """Yield what stands below the table; the last line says how it was measured."""
    if own:
        yield from (budgets.HEAD, *map(str, own), "")
    yield (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M UTC} · {machine()} · load generator on the same machine"
        f" · SQLite, synchronous=FULL · {asked.workers} process(es) · {stored:,} resources stored"
        f" before · start {start_s:.2f} s, {start_mb:.0f} MB · {asked.seconds:g} s, median of"
        f" {asked.runs} run(s) · `{' '.join(['python -m bench', *sys.argv[1:]])}`"
    )


if __name__ == "__main__":
    main()
