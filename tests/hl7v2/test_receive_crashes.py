"""`kill -9` between any two steps: after the next start each message is applied exactly once.

DESIGN §5, promises 1 and 2. `FHIR_HUB_TEST_KILLS` above 3 tries every turn of every step.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("crashing_receiver.py")
STEPS = {
    "start": 1,
    "before keep": 5,
    "after keep": 5,
    "before convert": 4,
    "after convert": 3,
    "before search": 3,
    "before write": 3,
    "after write": 3,
    "commit": 4,
    "before finish": 2,
    "after finish": 2,
    "answer": 5,
    "end": 1,
}
IS_LONG = int(os.environ.get("FHIR_HUB_TEST_KILLS", "3")) > 3


def turns() -> list[str]:
    """Return the steps to die at: of each the first and last turn, or all of them."""
    return [
        f"{name}:{turn}"
        for name, last in STEPS.items()
        for turn in (range(1, last + 1) if IS_LONG else sorted({1, last}))
    ]


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crashes")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), *turns()],
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_hub_died_at_every_step(lines):
    assert [line["step"] for line in lines] == turns()
    assert [one["step"] for one in lines if not one["died"]] == []


def test_each_message_is_applied_exactly_once_wherever_it_died(lines):
    for line in lines:
        step = line["step"]
        assert line["answers"] == ["AA", "AA", "AA", "AE", "AE"], step
        assert line["done"] == {"C1": 1, "C2": 1, "C3": 1}, step
        assert line["pending"] == 0, step
        assert line["observations"] == 6, step  # three by number, three that have none
        assert line["versions"] == {"Patient": 2, "Observation": 6}, step
        assert set(line["states"]) == {"done", "failed", "quarantined"}, step
