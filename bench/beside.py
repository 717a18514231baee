"""MongoDB beside SQLite in one table: the same works, records and clients on both.

    python -m bench.beside --store "mongodb://db1,db2,db3/bench?replicaSet=rs0" --prefill 100000 \\
        --clients 32
    python -m bench.beside --keep          # starts SecantusDB by itself

The store that `--store` names must be empty; it is filled, and left as it is at the end. Without
it SecantusDB is started, a server of MongoDB's protocol for tests, written in Python: what the
table then says of MongoDB is that everything works on it and what the hub's own processes spend;
how fast MongoDB is it does not say.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from pymongo import MongoClient

from bench.__main__ import measure
from bench.fill import fill_store
from bench.hub import Hub, machine
from bench.table import Row, keep
from fhir_hub.settings.types import shown_address
from fhir_hub.store.open import open_backend

HEAD = (
    "| work | clients | SQLite: per second | p50 ms | hub CPU µs | MongoDB: per second | p50 ms "
    "| hub CPU µs | failed |\n|---|---|---|---|---|---|---|---|---|"
)
_STAND_IN = (
    "**Not MongoDB's figures**: the server was SecantusDB {version}, a stand-in for tests in one "
    "Python process on the same machine. The hub's CPU is what the driver and the hub spend; the "
    "times are the stand-in's."
)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.beside", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--store", default="", help="an empty database: mongodb://HOST/NAME")
    parser.add_argument("--prefill", type=int, default=1_000, help="resources stored before")
    parser.add_argument("--clients", type=int, default=1, help="at most so many at once")
    parser.add_argument("--seconds", type=float, default=3, help="how long each work is done")
    parser.add_argument("--runs", type=int, default=1, help="runs of each work; medians are shown")
    parser.add_argument("--workers", type=int, default=1, help="processes of the hub")
    parser.add_argument("--only", default="", help="works whose names have one of these in them")
    parser.add_argument("--keep", action="store_true", help="write to bench/results/")
    return parser.parse_args()


@contextmanager
def stand_in(folder: Path) -> Iterator[str]:
    """Yield the address of SecantusDB on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "secantus", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--storage-path", str(folder / "mongo"), "--sync-on-commit"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            address = f"mongodb://127.0.0.1:{port}/bench"
            with MongoClient[dict[str, object]](address) as client:
                client.admin.command("ping")  # waits until it is there
            yield address
        finally:
            server.terminate()


def measured(store: str, asked: argparse.Namespace) -> list[Row]:
    """Return the figures of a hub on a store that is filled first."""
    fill_store(store, asked.prefill, group=500, is_quiet=True)
    hub = Hub(store, asked.workers)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            people = runner.run(_people(store))
            return runner.run(measure(hub, people, asked))
    finally:
        hub.stop()


async def _people(store: str) -> int:
    async with open_backend(store) as backend:
        return (await backend.store.status()).resources["Patient"]


def beside(one: Row, other: Row) -> str:
    """Return a line of the table."""
    rates = [f"{row.per_second:,.{0 if row.per_second >= 10 else 1}f}" for row in (one, other)]
    figures = [
        f"{rate} | {row.p50_ms:.1f} | {row.cpu_us:,.0f}"
        for rate, row in zip(rates, (one, other), strict=True)
    ]
    failed = one.failed + other.failed
    return f"| {one.work.name} | {one.work.clients} | {' | '.join(figures)} | {failed} |"


def main() -> None:
    asked = options()
    asked.hours = 0
    os.environ["FHIR_HUB_MESSAGE_ANSWER_S"] = "600"  # the stand-in takes a minute for an ORU
    with tempfile.TemporaryDirectory(prefix="fhir-hub-bench-") as folder:
        files = measured(f"sqlite:{folder}/hub.sqlite", asked)
        if asked.store:
            others, about = measured(asked.store, asked), f"MongoDB at {shown_address(asked.store)}"
        else:
            with stand_in(Path(folder)) as store:
                others = measured(store, asked)
            from secantus import __version__

            about = _STAND_IN.format(version=__version__)
    told = (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M UTC} · {machine()} · load generator on the same machine"
        f" · {asked.workers} process(es) · at most {asked.clients} client(s) ·"
        f" {asked.prefill:,} resources stored before · {asked.seconds:g} s, median of"
        f" {asked.runs} run(s)"
    )
    lines = [HEAD, *map(beside, files, others), "", about]
    print("\n" + "\n".join([*lines, told]))
    if asked.keep:
        keep("stores", "\n".join([f"# {told}", "", *lines, ""]))


if __name__ == "__main__":
    main()
