"""A worker that answers nothing any more, though it lives, is killed and replaced."""

import os
import signal

from whole.running import RunningHub
from whole.workers import PATIENT, figures, pids, processes, until


def test_a_worker_that_hangs_is_replaced(tmp_path):
    config = tmp_path / "hub.toml"
    config.write_text("worker_timeout_s = 3\n")
    options = ("--workers", "2", "--config", str(config))
    with RunningHub(f"sqlite:{tmp_path}/hub.sqlite", *options) as hub:
        first, second = pids(hub)
        os.kill(first, signal.SIGSTOP)

        until(lambda: first not in pids(hub) and len(pids(hub)) == 2)
        assert second in pids(hub)
        until(lambda: len(processes(figures(hub))) == 3)
        with hub.client() as client:
            assert client.post("Patient", json=PATIENT).status_code == 201
