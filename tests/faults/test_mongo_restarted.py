"""MongoDB is killed and started again under load: writes are refused meanwhile, then go on.

What was answered is there, once, and nothing is half. On the stand-in of `mongo_server.py`, told
to write each commit to its log at once, as MongoDB does for a majority that journals.
"""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import parts
import pytest
from faults.load import Load, require_everything
from faults.rounds import rounds
from whole.running import RunningHub

pytestmark = pytest.mark.no_cover
SERVER = """
import sys
from secantus import SecantusDBServer
options = {"durable": True, "sync_on_commit": True}
with SecantusDBServer(port=int(sys.argv[1]), storage_path=sys.argv[2], **options):
    print("up", flush=True)
    sys.stdin.read()
"""


def start(port: int, folder: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", SERVER, str(port), str(folder)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert server.stdout.readline() == b"up\n"
    return server


def end(server: subprocess.Popen) -> None:
    server.kill()
    server.communicate()


@contextmanager
def restartable(folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield the address of a MongoDB, and what kills it and starts it again."""
    (port,) = parts.free_ports()
    servers = [start(port, folder)]

    def restart() -> None:
        end(servers.pop())
        servers.append(start(port, folder))

    try:
        yield f"mongodb://127.0.0.1:{port}/hub", restart
    finally:
        end(servers.pop())


class Watch:
    """Counts answers, before and after the restart."""

    def __init__(self) -> None:
        self.before, self.after = threading.Event(), threading.Event()
        self.is_again = False

    def __call__(self, count: int) -> None:
        if count >= 15:
            self.before.set()
        if self.is_again:
            self.after.set()


def test_a_restart_of_mongodb_loses_nothing_that_was_answered(tmp_path):
    config = tmp_path / "hub.toml"
    config.write_text("message_answer_s = 4\nrequest_timeout_s = 10\n")
    with (
        restartable(tmp_path / "mongo") as (url, restart),
        RunningHub(url, "--config", str(config)) as hub,
    ):
        for number in rounds(1):
            watch = Watch()
            load = Load(hub, str(number + 1), watch)
            load.start()
            assert watch.before.wait(120)
            restart()
            watch.is_again = True
            assert watch.after.wait(120), "nothing is answered after the restart"
            load.stop.set()
            load.join()
            require_everything(load, hub)
