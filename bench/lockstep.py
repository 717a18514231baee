"""An ORU of 10 OBX in one process: what a worker does with it, then what the one who writes does.

While others use the machine the rates of two hubs in turns differ by a tenth for no reason, and so
does their processor time. The instructions that valgrind counts hardly do.

    python -m bench.fill /tmp/20000.sqlite 20000
    python -m bench.lockstep /tmp/20000.sqlite       # processor time, by whom
    valgrind --tool=callgrind --instr-atstart=no python -m bench.lockstep /tmp/20000.sqlite

The last takes some minutes and leaves `callgrind.out.*.1` for `callgrind_annotate`, with the
instructions of all ORUs in its summary. They are not time: one that misses the caches takes a
hundred others'.
"""

import argparse
import asyncio
import marshal
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

from bench import data
from fhir_hub.app import build
from fhir_hub.collector import calm_collector, collect_rarely
from fhir_hub.server import new_event_loop
from fhir_hub.settings import load_settings
from fhir_hub.store import forward
from fhir_hub.store.open import Backend, open_backend
from fhir_hub.telemetry import Logs

_PATIENTS = 100  # in turns: each is known to the worker before anything is measured
_KNOWN = 2 * _PATIENTS
_PATIENTS_OF_ALL = 500  # `data.oru` has so many


class Way:
    """The way from the worker to the one who writes, and what he took; seconds."""

    def __init__(self, far: Backend) -> None:
        self._far = far
        self.took_s = 0.0

    async def ask(self, kind: str, value: Any = None) -> Any:
        """Return the answer to a question, both sent as between processes."""
        sent = marshal.dumps((1, kind, value))
        begun_s = time.process_time()
        _, kind, value = marshal.loads(sent)
        answer = marshal.dumps(await forward.answer(self._far, kind, value))
        self.took_s += time.process_time() - begun_s
        return marshal.loads(answer)


def messages() -> Iterator[bytes]:
    """Yield ORUs without their frames, of a hundred patients in turns."""
    for number in count():
        again, who = divmod(number, _PATIENTS)
        yield data.oru(1_000_000 + again * _PATIENTS_OF_ALL + who)[1:-2]


async def measure(database: Path, many: int) -> None:
    """Print what each of so many ORUs takes."""
    url = f"sqlite:{database}"
    settings = load_settings(None, {"store": url, "workers": 2, "message_answer_s": 3600}, {})
    way = Way(open_backend(url))
    near = forward.forwarding(open_backend(url), way.ask)
    hub = build(settings, near, Logs(settings.log_level, settings.log_format))
    calm_collector()
    await hub.prepare(None)
    some = messages()

    async def take(how_many: int) -> None:
        for raw in islice(some, how_many):
            answer = await hub.receiver.receive(raw)
            assert b"|AA|" in answer, answer

    await take(_KNOWN)
    way.took_s, begun_s = 0.0, time.process_time()
    counting = "valgrind" in os.environ.get("LD_PRELOAD", "")
    if counting:
        _tell_valgrind("--instr=on")
    await take(many)
    if counting:
        _tell_valgrind("--dump")
        print(f"{many} ORUs: see the summary of callgrind.out.{os.getpid()}.1", flush=True)
    else:
        writer_us, all_us = (
            seconds / many * 1e6 for seconds in (way.took_s, time.process_time() - begun_s)
        )
        print(f"worker {all_us - writer_us:,.0f} µs, writer {writer_us:,.0f} µs an ORU", flush=True)


def _tell_valgrind(what: str) -> None:
    subprocess.run(["callgrind_control", what, str(os.getpid())], check=True, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.lockstep")
    parser.add_argument("database", type=Path, help="a file that `bench.fill` filled; it is copied")
    parser.add_argument("orus", type=int, nargs="?", default=_PATIENTS, help="how many are counted")
    asked = parser.parse_args()
    collect_rarely()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "hub.sqlite"
        shutil.copyfile(asked.database, copy)
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(measure(copy, asked.orus))


if __name__ == "__main__":
    main()
