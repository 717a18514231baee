"""A file system that is full (ENOSPC): what was answered is there, nothing else is promised.

The hub's file is on a small `tmpfs`, filled up by a file beside it. It takes the right to mount.

Spec: docs/operations.md, health
"""

import os
import subprocess
from pathlib import Path

import apsw
import pytest
from whole.running import RunningHub
from whole.test_durability import oru
from whole.workers import until

SIZE_BYTES = 8 << 20


@pytest.fixture
def small(tmp_path):
    """Return a folder with room for 8 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "none", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        done = False
    if not done:
        pytest.skip("nothing can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave no room for a page; return what takes it."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        while os.statvfs(folder).f_bavail:
            file.write(bytes(4096))
    return ballast


def test_a_full_file_system_loses_nothing_answered_and_the_hub_goes_on_when_there_is_room(
    small, patience
):
    path = small / "hub.sqlite"
    answered, refused = [], []

    def create(client):
        basic = {"resourceType": "Basic", "code": {"text": "x" * 3000}}
        answer = client.post("Basic", json=basic)
        if answer.status_code == 201:
            answered.append(answer.json()["id"])
        return answer

    options = ("--config", str(patience))
    with RunningHub(f"sqlite:{path}", *options) as hub, hub.client() as client, hub.mllp() as mllp:
        # a busy machine is slower than the hub's patience: who is told to try again does so
        until(lambda: create(client).status_code == 201)
        until(lambda: b"MSA|AA|K4" in mllp.send(oru(4)))
        ballast = fill(small)
        until(lambda: create(client).text.count(": the disk is full"))  # its log has a little room
        assert client.get(f"Basic/{answered[-1]}").status_code == 200
        for number in (8, 12):
            acknowledged = mllp.send(oru(number))
            (answered if b"MSA|AA" in acknowledged else refused).append(number)
        assert 12 in refused

        ballast.unlink()
        until(lambda: create(client).status_code == 201)
        for number in (8, 12, 16):  # who was refused sends again
            until(lambda number=number: f"MSA|AA|K{number}".encode() in mllp.send(oru(number)))
        fill(small)
        until(lambda: create(client).text.count(": the disk is full"))
        hub.kill()
    ballast.unlink()

    with RunningHub(f"sqlite:{path}") as hub, hub.client() as client:
        for one in answered:
            if isinstance(one, str):
                assert client.get(f"Basic/{one}").status_code == 200
        for number in (4, 8, 12, 16):
            found = client.get(f"DiagnosticReport?identifier=F{number}&_count=0").json()
            assert found["total"] == 1, number
        assert hub.stop() == 0
    database = apsw.Connection(os.fspath(path))
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()
