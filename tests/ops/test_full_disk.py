"""A disk without room: the hub says so, promises nothing, and goes on by itself when there is room.

Spec: docs/operations.md, health
"""

import asyncio
import os
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

PATIENT = {"resourceType": "Patient"}
SMALL_DISK = 'mount -t tmpfs -o size=16m none "$1" && exec "$2" "$3" "$1"'
IN_A_NAMESPACE = ("unshare", "--map-root-user", "--mount", "sh", "-c")


@contextmanager
def full():
    """Let no file take more than a byte."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_hub_that_cannot_write_is_not_ready_and_says_why(start, tmp_path, waited):
    async with start(store=f"sqlite:{tmp_path}/hub.sqlite") as hub, hub.client() as client:
        assert (await client.get("/health/ready")).status_code == 200
        with full():
            assert (await client.get("/health/ready")).status_code == 200  # asked a moment ago
            waited(6)
            refused = await client.post("/fhir/Patient", json=PATIENT)
            assert refused.status_code == 503
            answer = await client.get("/health/ready")
            assert (answer.status_code, answer.json()["store"]) == (
                503,
                "not writable (the database cannot be written now: the disk takes no more)",
            )
            assert (await client.get("/health/live")).status_code == 200
            assert (await client.get("/fhir/Patient")).status_code == 200
        waited(6)
        assert (await client.get("/health/ready")).json()["store"] == "ok"


def may_mount() -> bool:
    """Say whether a disk of one's own may be had here: a sandbox may forbid it."""
    asked = [*IN_A_NAMESPACE, "mount -t tmpfs none /mnt"]
    return (
        bool(shutil.which("unshare")) and not subprocess.run(asked, capture_output=True).returncode
    )


def test_a_disk_without_room_is_told_although_a_note_still_fits_into_the_log(tmp_path):
    if not may_mount():
        pytest.skip("no disk of one's own may be mounted here")
    arguments = (SMALL_DISK, "sh", str(tmp_path), sys.executable, __file__)
    path = os.pathsep.join(filter(None, sys.path))
    ended = subprocess.run(
        [*IN_A_NAMESPACE, *arguments],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stdout) == (0, "200 503 503 200 201 200\n"), ended.stderr


async def on_a_small_disk(folder: Path) -> None:
    """Fill the disk of a hub, then empty it again; tell what it answers."""
    from ops.conftest import running

    large = PATIENT | {"name": [{"family": "x" * 1_000_000}]}
    async with running(store=f"sqlite:{folder}/hub.sqlite") as hub, hub.client() as client:
        told = [await client.get("/health/ready")]
        with (folder / "fill").open("wb", buffering=0) as fill, suppress(OSError):
            while True:
                fill.write(bytes(1 << 12))
        told.append(await client.post("/fhir/Patient", json=large))
        told.append(await client.get("/health/ready"))
        told.append(await client.get("/fhir/Patient"))
        (folder / "fill").unlink()
        told.append(await client.post("/fhir/Patient", json=large))
        told.append(await client.get("/health/ready"))
    print(*(answer.status_code for answer in told))


if __name__ == "__main__":
    asyncio.run(on_a_small_disk(Path(sys.argv[1])))
