"""A worker that does not work is replaced: it answers nothing any more, or cannot begin."""

import os
import signal

import apsw
import pytest
from whole.running import RunningHub
from whole.workers import PATIENT, figures, pids, processes, until


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("hanging") / "hub.sqlite"


@pytest.fixture(scope="module")
def hub(path):
    config = path.with_name("hub.toml")
    config.write_text("worker_timeout_s = 8\n")
    with RunningHub(f"sqlite:{path}", "--workers", "2", "--config", str(config)) as hub:
        yield hub


def test_a_worker_that_cannot_begin_is_started_again_until_it_can(hub, path):
    before, database = set(pids(hub)), apsw.Connection(str(path))
    database.setbusytimeout(60_000)
    database.execute("ALTER TABLE note RENAME TO other")
    os.kill(min(before), signal.SIGKILL)

    until(lambda: "worker_not_started" in hub.logged())
    database.execute("ALTER TABLE other RENAME TO note")
    database.close()

    until(lambda: len(processes(figures(hub))) == 3)
    assert min(before) not in pids(hub)


def test_a_worker_that_hangs_is_replaced(hub):
    first, second = pids(hub)
    os.kill(first, signal.SIGSTOP)

    until(lambda: first not in pids(hub) and len(pids(hub)) == 2)
    assert second in pids(hub)
    until(lambda: len(processes(figures(hub))) == 3)
    with hub.client() as client:
        assert client.post("Patient", json=PATIENT).status_code == 201
