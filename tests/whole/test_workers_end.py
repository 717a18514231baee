"""Of `fhir-hub serve --workers 2` one may end, or both: nothing that was answered is lost.

DESIGN §5, promise 1.
"""

import asyncio
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from itertools import count
from pathlib import Path

import apsw
import httpx
import parts
import pytest
from whole.running import END, START, RunningHub
from whole.test_durability import oru
from whole.workers import BASIC, figures, large, pids, processes, until

from fhir_hub.store.base import Key
from fhir_hub.store.open import open_backend

STARTS = count(1000, 100_000)  # of control ids


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("workers") / "hub.sqlite"


@pytest.fixture(scope="module")
def options(path):
    """What belongs to a patient waits for what a killed worker had: until another has begun.

    On a busy machine that takes longer than `message_answer_s`, then the answer is AE.
    """
    config = path.with_name("hub.toml")
    config.write_text(f"message_answer_s = {parts.PATIENCE_S}\n")
    return ("--workers", "2", "--config", str(config))


@pytest.fixture(scope="module")
def hub(path, options):
    with RunningHub(f"sqlite:{path}", *options, is_measured=True) as hub:
        yield hub


def test_another_hub_on_the_same_file_is_refused_in_both_languages(hub, path):
    ports = ("--port", "0", "--mllp-port", "0", "--workers", "1")
    ended = subprocess.run(
        [sys.executable, "-m", "fhir_hub", "serve", "--store", f"sqlite:{path}", *ports],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )

    told, pid = ended.stderr.decode(), hub.ready["pid"]
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert f"{path}: another hub works on this file (process {pid}): stop it" in told
    assert f"另一个平台正在使用该文件(进程 {pid}):请先停止它" in told
    with hub.client() as client:
        assert client.post("Basic", json=BASIC).status_code == 201


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_start_on_a_damaged_file_says_so_whichever_process_finds_it(tmp_path, workers):
    path = tmp_path / "hub.sqlite"
    asyncio.run(open_backend(f"sqlite:{path}").close())
    reading = apsw.Connection(str(path))
    pages = "SELECT rootpage FROM sqlite_schema WHERE name = 'note'"
    ((page,),) = reading.execute(pages).fetchall()
    reading.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)

    with pytest.raises(AssertionError) as ended:  # it is not ready
        RunningHub(f"sqlite:{path}", "--workers", workers)

    told = str(ended.value)
    assert "internal error: CorruptError at " in told
    assert "the file is damaged; fhir-hub check says where" in told
    assert "Traceback" not in told


class Sender(threading.Thread, ABC):
    """Writes until its connection breaks or it is told to stop; remembers what was answered."""

    def __init__(self, hub: RunningHub, number: int) -> None:
        super().__init__()
        self.hub, self.number = hub, number
        self.answered: list[str] = []
        self.has_begun, self.is_enough = threading.Event(), threading.Event()
        self.broke = False

    def run(self) -> None:
        try:
            self.work()
        except (httpx.TransportError, ConnectionError):
            self.broke = True

    @abstractmethod
    def work(self) -> None:
        """Send until it is enough."""

    def note(self, what: str) -> None:
        self.answered.append(what)
        if len(self.answered) == 5:
            self.has_begun.set()
        self.is_enough.wait(0.03)  # eight without a pause are a load for the tests beside this one


class Creator(Sender):
    def work(self) -> None:
        with self.hub.client() as client:
            while not self.is_enough.is_set():
                answer = client.post("Basic", json=BASIC)
                assert answer.status_code == 201
                self.note(answer.json()["id"])


class Reporter(Sender):
    def work(self) -> None:
        with self.hub.mllp() as mllp:
            while not self.is_enough.is_set():
                self.number += 4
                assert f"MSA|AA|K{self.number}".encode() in mllp.send(oru(self.number))
                self.note(str(self.number))


def under_load(hub: RunningHub) -> list[Sender]:
    """Return four Creators and four Reporters at work, half of each kind in each worker."""
    until(lambda: len(processes(figures(hub))) == 3)
    first = next(STARTS)
    senders = [kind(hub, first + n) for kind in (Creator, Reporter) for n in range(4)]
    for sender in senders:
        sender.start()
        assert sender.has_begun.wait(parts.PATIENCE_S)
    return senders


def test_a_worker_that_is_killed_under_load_loses_nothing_and_the_other_goes_on(hub):
    senders = under_load(hub)
    os.kill(pids(hub)[0], signal.SIGKILL)
    known = {sender: len(sender.answered) for sender in senders}
    until(lambda: sum(not sender.is_alive() for sender in senders[4:]) >= 2)
    until(lambda: all(len(s.answered) > known[s] + 5 for s in senders if s.is_alive()))
    for sender in senders:
        sender.is_enough.set()
        sender.join(parts.PATIENCE_S)

    # each worker had half of the connections of each kind; a client of HTTP opens another one
    assert [s.broke for s in senders[:4]].count(True) <= 2
    assert [s.broke for s in senders[4:]].count(True) == 2
    until(lambda: processes(figures(hub)) == {"supervisor", "worker-1", "worker-2"})
    until(lambda: figures(hub)["fhir_hub_journal_pending"] == 0)
    with hub.client() as client:
        for sender in senders[:4]:
            for logical_id in sender.answered:
                assert client.get(f"Basic/{logical_id}").status_code == 200
        for sender in senders[4:]:
            for number in sender.answered:
                found = client.get(f"DiagnosticReport?identifier=F{number}").json()
                assert found["total"] == 1, number
        health = client.get("../health/ready")
        assert health.json()["status"] == "ready"


def test_what_killed_workers_had_kept_one_does_alone_that_begins_and_another_one_after_it(
    hub, path
):
    journal = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)

    def pending() -> list[str]:
        return [
            error
            for (error,) in journal.execute("SELECT error FROM message WHERE state = 'received'")
        ]

    hub.logged()
    with hub.mllp() as mllp:
        mllp.socket.sendall(START + large(5000) + END)
        until(lambda: pending() == [""])
        for pid in pids(hub):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(ConnectionError):
            mllp.receive()
    until(lambda: ", time 1;" in "".join(pending()))
    with hub.mllp() as mllp:  # the other worker takes it, and does not do it too
        mllp.socket.sendall(START + large(5000) + END)
        started: list[int] = []
        until(lambda: started.extend(_started(hub)) or started)
        for alone in set(pids(hub)) - set(started):  # none if it was very fast
            os.kill(alone, signal.SIGKILL)
        assert b"MSA|AA|K5000" in mllp.receive()

    with hub.client() as client:
        assert client.get("DiagnosticReport?identifier=F5000").json()["total"] == 1
    journal.close()
    until(lambda: len(processes(figures(hub))) == 3)


def test_what_was_committed_is_done_though_a_killed_worker_holds_it_up(tmp_path):
    """What comes behind the killed one waits longer than the sender of an `AA` would."""
    config, path = tmp_path / "hub.toml", tmp_path / "hub.sqlite"
    config.write_text('message_answer_s = 0.3\n[channels.mllp]\nack_mode = "enhanced"\n')

    def enhanced(raw: bytes) -> bytes:
        return raw.replace(b"|P|2.4||||||", b"|P|2.4|||AL|NE||")

    with RunningHub(f"sqlite:{path}", "--workers", "2", "--config", str(config)) as hub:
        with hub.mllp() as first, hub.mllp() as second:  # one in each worker, about one patient
            for number, mllp in ((1, first), (4, second)):
                assert b"MSA|CA|K" in mllp.send(enhanced(large(number)))
            os.kill(pids(hub)[0], signal.SIGKILL)
            ended, _, _ = select.select([first.socket, second.socket], [], [], parts.PATIENCE_S)
            alive = second if first.socket in ended else first
            assert b"MSA|CA|K7" in alive.send(enhanced(oru(7)))
        journal = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)

        def states() -> list[str]:
            return [state for (state,) in journal.execute("SELECT state FROM message")]

        until(lambda: "received" not in states())
        assert states() == ["done"] * 3
        journal.close()


def _started(hub: RunningHub) -> list[int]:
    """Return the workers of which the log says that they take connections."""
    lines = [json.loads(line) for line in hub.logged().splitlines() if "worker_started" in line]
    return [line["pid"] for line in lines]


def is_over(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def stored(path: Path, senders: list[Sender]) -> tuple[set[str], int]:
    """Return which answered creates are missing, and how many messages are not finished."""

    async def ask() -> tuple[set[str], int]:
        async with open_backend(f"sqlite:{path}") as backend:
            wanted = {one for sender in senders[:4] for one in sender.answered}
            found = await backend.store.read_many(Key("Basic", one) for one in wanted)
            missing = wanted - {one.logical_id for one in found}
            return missing, len(await backend.journal.pending())

    return asyncio.run(ask())


def test_one_worker_that_is_asked_to_stop_drains_and_another_takes_its_place(hub):
    old = pids(hub)
    senders = under_load(hub)
    os.kill(old[0], signal.SIGTERM)
    until(lambda: len(set(pids(hub)) - set(old)) == 1 and is_over(old[0]))
    for sender in senders:
        sender.is_enough.set()
        sender.join(parts.PATIENCE_S)
    until(lambda: len(processes(figures(hub))) == 3)

    assert figures(hub)["fhir_hub_journal_pending"] == 0
    assert [sender.broke for sender in senders[4:]].count(True) == 2
    # a client of HTTP opens another connection; a request on its way to the old one may be lost
    assert [sender.broke for sender in senders[:4]].count(True) <= 2


def test_workers_end_with_their_supervisor_and_nothing_answered_is_lost(tmp_path, options):
    path = tmp_path / "hub.sqlite"
    with RunningHub(f"sqlite:{path}", *options) as hub:
        senders = under_load(hub)
        workers = pids(hub)
        hub.kill()
        for sender in senders:
            sender.join(parts.PATIENCE_S)
        until(lambda: all(map(is_over, workers)))
        missing, _ = stored(path, senders)
        assert missing == set()


def test_workers_that_are_asked_to_stop_answer_what_is_under_way_and_exit_0(hub, path):
    senders = under_load(hub)
    assert hub.stop() == 0
    for sender in senders:
        sender.join(parts.PATIENCE_S)
        assert sender.broke
    assert stored(path, senders) == (set(), 0)


def test_a_start_that_fails_leaves_no_worker_and_no_file_and_removes_what_a_killed_one_left(
    tmp_path,
):
    for name in ("fhir-hub-left", "fhir-hub-used"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "owner").touch()
    with (
        (tmp_path / "fhir-hub-used" / "owner").open("w") as used,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        fcntl.lockf(used, fcntl.LOCK_EX)
        taken = ["--port", str(other.getsockname()[1]), "--mllp-port", "0", "--workers", "2"]
        ended = subprocess.run(
            [sys.executable, "-m", "fhir_hub", "serve", "--store", f"sqlite:{tmp_path}/x", *taken],
            stdin=subprocess.DEVNULL,
            capture_output=True,  # whose end is that of every process that has it
            env=os.environ | {"TMPDIR": str(tmp_path)},
            timeout=120,
            check=False,
        )

    assert ended.returncode == 1
    assert "cannot listen on 127.0.0.1" in ended.stderr.decode()
    assert list(tmp_path.glob("fhir-hub-*")) == [tmp_path / "fhir-hub-used"]
