"""A message that ends each worker that does it is a dead letter, and the hub starts all the same.

The test is what ends the worker, when the journal tells that it has begun the message.
"""

import asyncio
import os
import signal
import threading
from pathlib import Path

import apsw
import mongo_server
import parts
import pytest
from hl7v2.deadly_receiver import Lives, die, receiving, replay
from whole.running import END, START, Mllp, RunningHub
from whole.test_durability import oru
from whole.workers import figures, large, until

from fhir_hub.store.open import open_backend


def children(pid: int) -> list[int]:
    """Return the processes that a process began, oldest first."""
    return [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def test_a_message_that_ends_a_third_worker_is_dead_and_the_hub_starts(tmp_path):
    path, message = tmp_path / "hub.sqlite", large(0)
    lives = Lives(f"sqlite:{path}")
    work = (receiving(message), replay, replay)
    assert [lives.dies(one, on_convert=lambda _: die()) for one in work] == [True] * 3
    journal = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    own, before = os.getpid(), set(children(os.getpid()))

    def told() -> list[tuple[str, str, str]]:
        text = "SELECT control_id, state, error FROM message ORDER BY number"
        return journal.execute(text).fetchall()

    def kill() -> None:
        until(lambda: ", time 3;" in told()[0][2])
        (supervisor,) = set(children(own)) - before
        os.kill(children(supervisor)[0], signal.SIGKILL)  # the first worker does it

    assert ", time 2;" in told()[0][2]
    killer = threading.Thread(target=kill)
    killer.start()
    with RunningHub(f"sqlite:{path}", "--workers", "2", as_installed=True) as hub:
        killer.join()
        ((control_id, state, error),) = told()
        assert (control_id, state, error.partition(":")[0]) == ("K0", "dead", "Deadly")
        assert hub.logged().count("worker_lost") == 1
        with hub.mllp() as one, hub.mllp() as other:
            for mllp in (one, other):  # they go to one worker each
                assert b"MSA|AE|K0" in mllp.send(message)
                assert b"MSA|AA|K3" in mllp.send(oru(3))
        assert [row[:2] for row in told()] == [("K0", "dead"), ("K3", "done")]


@pytest.mark.skipif("mongo" not in mongo_server.KINDS, reason="make test-mongo")
def test_on_mongodb_one_apart_dies_of_it_and_the_hub_serves_meanwhile(mongodb):
    with mongo_server.fresh(mongodb) as url:
        lives, message = Lives(url), large(0)
        work = (receiving(message), replay, replay)
        assert [lives.dies(one, on_convert=lambda _: die()) for one in work] == [True] * 3

        def told() -> list[tuple[str, str, str]]:
            async def look() -> list[tuple[str, str, str]]:
                async with open_backend(url) as backend:
                    found = reversed(await backend.journal.recent())
                    return [(one.message.control_id, one.state, one.error) for one in found]

            return asyncio.run(look())

        assert ", time 2;" in told()[0][2]
        with RunningHub(url) as hub, hub.mllp() as mllp:
            server = hub.ready["pid"]
            until(lambda: ", time 3;" in told()[0][2])
            (apart,) = children(server)
            os.kill(apart, signal.SIGKILL)
            assert b"MSA|AA|K4" in mllp.send(oru(4))
            until(lambda: told()[0][1] == "dead")
            assert told()[0][2].startswith("Deadly: ")
            assert "message_deadly" in hub.logged()
            assert b"MSA|AE|K0" in mllp.send(message)
            assert b"MSA|AA|K3" in mllp.send(oru(3))
            until(lambda: not children(server))
            assert [row[:2] for row in told()] == [("K0", "dead"), ("K4", "done"), ("K3", "done")]


@pytest.mark.skipif("mongo" not in mongo_server.KINDS, reason="make test-mongo")
def test_on_mongodb_one_apart_reads_what_was_left_by_the_channels_and_maps_that_hold(
    mongodb, tmp_path
):
    """Another machine's hub dies; the channel came after the start, the maps are wrong since."""
    port, config, maps = *parts.free_ports(), tmp_path / "hub.toml", tmp_path / "maps"
    basic = f"lease_s = 1\nmappings_watch_s = 0\nmappings_folder = '{maps}'\n"
    lab = "[channels.lab]\nport = {}\ntimezone = '+09:00'\n"

    def change(hub: RunningHub, file: Path, text: str, outcome: str) -> None:
        file.write_text(text)
        os.kill(hub.ready["pid"], signal.SIGHUP)
        until(lambda: outcome in hub.logged())

    maps.mkdir()
    config.write_text(basic)
    other = tmp_path / "other.toml"
    other.write_text(basic + lab.format(port))
    with mongo_server.fresh(mongodb) as url, RunningHub(url, "--config", str(config)) as leader:
        change(leader, config, basic + lab.format(0), "channels_taken")
        with RunningHub(url, "--config", str(other)) as dying, Mllp(port) as mllp:
            change(leader, maps / "version.toml", "version = 9\n", "maps_refused")
            mllp.socket.sendall(START + large(0).replace(b"LIS|SHTH01", b"X|Y", 1) + END)
            until(lambda: figures(leader)["fhir_hub_journal_pending"] == 1)
            dying.kill()
        with leader.client() as client:
            until(lambda: client.get("DiagnosticReport?_summary=count").json()["total"] == 1)
            [found] = client.get("DiagnosticReport").json()["entry"]
        assert found["resource"]["effectiveDateTime"] == "2025-03-14T08:10:00+09:00"
        assert "messages_replayed" in leader.logged()
