"""`kill -9` at a random moment under load: what was answered is there, once, and nothing is half.

On each store, by one process and by two. The short versions are `test_durability.py`,
`test_workers_end.py` and `test_workers_on_mongo.py` in `tests/whole/`.
"""

import random
import subprocess
import sys
import threading

import pytest
from faults.load import Load, require_everything
from faults.rounds import SECONDS, rounds
from whole.running import RunningHub

pytestmark = [
    pytest.mark.no_cover,
    pytest.mark.skipif(not SECONDS, reason="for make test-faults; tests/whole has it in short"),
]
MOST = {"sqlite": 120, "mongo": 30}  # answers before a kill: the stand-in is slow


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kind", ["sqlite", "mongo"])
def test_a_kill_loses_nothing_that_was_answered_and_leaves_nothing_half(address, kind, workers):
    rng = random.Random(workers)
    options = () if workers == 1 else ("--workers", str(workers))
    loads = []
    for number in rounds(1):
        with RunningHub(address, *options) as hub:
            moment, reached = rng.randint(10, MOST[kind]), threading.Event()
            load = Load(hub, str(number + 1), lambda n, m=moment, r=reached: n >= m and r.set())
            load.start()
            assert reached.wait(120)
            hub.kill()
            load.join()
            loads.append(load)
    with RunningHub(address, *options) as hub:
        for load in loads:
            require_everything(load, hub)
    command = [sys.executable, "-m", "fhir_hub", "check", "--store", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
