"""`make bench-scale`: the same searches over 10⁴, 10⁵, 10⁶ resources, and what they weigh on disk.

Each database is filled once (`--folder` keeps it for the next time), served by `fhir-hub serve`,
and asked by one client, so that a figure is the time of one search alone.

    python -m bench.scale --keep
    python -m bench.scale --sizes 10000,100000 --requests 40
"""

import argparse
import asyncio
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import uvloop

from bench.fill import fill, last_person
from bench.hub import Hub, machine
from bench.load import http
from bench.searches import EVERYTHING, SEARCHES, Search
from bench.table import keep

_WARM = 3
_MOST_BYTES = 2500


class Times(NamedTuple):
    """Milliseconds of one search alone, and how much it found."""

    p50_ms: float
    p99_ms: float
    found: int


class Size(NamedTuple):
    """The figures of one database."""

    stored: int
    bytes_each: float
    memory_mb: float
    times: dict[str, Times]


async def ask(port: int, search: Search, people: int, requests: int) -> Times:
    """Return the times of a search, asked by one client over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 26)
    times = []
    found = 0
    for n in range(-_WARM, requests):
        payload = http("GET", search.path(n + _WARM, people))
        started = time.perf_counter()
        writer.write(payload)
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        body = await reader.readexactly(size)
        if n >= 0:
            times.append((time.perf_counter() - started) * 1000)
            found += body.count(b'"mode":"match"')
        assert head[9:12] == b"200", body[:500]
    writer.close()
    times.sort()
    return Times(times[len(times) // 2], times[int(len(times) * 0.99)], found // requests)


def measure(folder: Path, wanted: int, requests: int) -> Size:
    """Return the figures of a database of `wanted` resources, which is made if it is not there."""
    path = folder / f"{wanted}.sqlite"
    if not path.exists():
        print(f"filling {path}", file=sys.stderr)
        made = path.with_suffix(".making")
        fill(made, wanted)
        made.rename(path)
    stored, people = last_person(path)
    hub = Hub(path)
    try:

        async def all_of_them() -> dict[str, Times]:
            searches = (*SEARCHES, EVERYTHING)
            return {one.name: await ask(hub.port, one, people, requests) for one in searches}

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            times = runner.run(all_of_them())
        return Size(stored, path.stat().st_size / stored, hub.memory_mb(), times)
    finally:
        hub.stop()


def table(sizes: list[Size]) -> str:
    """Return the table: a row a search, p50 / p99 in ms at each size, the target beside."""
    heads = "".join(f"| {one.stored:,} " for one in sizes)
    lines = [
        f"| search: p50 / p99 ms, found | target p50 {heads}| met |",
        f"|---|---|{'---|' * len(sizes)}---|",
    ]
    for search in (*SEARCHES, EVERYTHING):
        times = [one.times[search.name] for one in sizes]
        cells = "".join(f"| {t.p50_ms:.2f} / {t.p99_ms:.2f}, {t.found} " for t in times)
        met = "yes" if all(t.p50_ms < search.p50_ms for t in times) else "**no**"
        lines.append(f"| {search.name} | < {search.p50_ms:g} {cells}| {met} |")
    weights = "".join(f"| {one.bytes_each:,.0f} " for one in sizes)
    light = "yes" if all(one.bytes_each < _MOST_BYTES for one in sizes) else "**no**"
    lines.append(
        f"| bytes on disk a resource, indexes included | < {_MOST_BYTES} {weights}| {light} |"
    )
    memory = "".join(f"| {one.memory_mb:.0f} " for one in sizes)
    lines.append(f"| memory of the process, MB | < 250 {memory}| |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.scale", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--requests", type=int, default=100, help="of each search")
    parser.add_argument("--folder", type=Path, help="where filled databases are kept")
    parser.add_argument("--keep", action="store_true", help="write to bench/results/")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fhir-hub-scale-") as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        sizes = [measure(folder, int(size), asked.requests) for size in asked.sizes.split(",")]
    note = (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M UTC} · {machine()} · one client on the same machine,"
        f" one process · `{' '.join(['python -m bench.scale', *sys.argv[1:]])}`"
    )
    print(f"{table(sizes)}\n\n{note}")
    if asked.keep:
        keep("scale", f"# {note}\n\n{table(sizes)}\n")


if __name__ == "__main__":
    main()
