"""Disk that is not needed goes back to the system, while a hub works, whatever is interrupted.

Spec: https://www.sqlite.org/pragma.html#pragma_incremental_vacuum
"""

import asyncio
import os
import signal
import subprocess
import sys

import apsw
import parts
import pytest

from fhir_hub.store.base import Finish
from fhir_hub.store.journal import Received
from fhir_hub.store.open import open_backend
from fhir_hub.store.sqlite.compacting import keeps_track, rewrite
from fhir_hub.store.sqlite.files import damages

OLD, SIZE = 300, 20_000


def large(number: int) -> Received:
    return Received("mllp", f"K{number}", f"d{number}", number, bytes([number % 251]) * SIZE)


def small(number: int) -> Received:
    return Received("mllp", f"S{number}", f"s{number}", OLD, b"small")


async def fill(journal) -> None:
    for number in range(1, OLD + 1):
        await journal.keep(large(number))
        await journal.finish(Finish(number, "done", b"ACK"))


async def empty(journal) -> None:
    """Remove the bytes of all but the last few messages."""
    while any(await journal.prune({"done": OLD - 20}, 0)):
        pass


@pytest.fixture
async def path(tmp_path):
    """A database of which most is free."""
    path = tmp_path / "hub.sqlite"
    async with open_backend(f"sqlite:{path}") as backend:
        await fill(backend.journal)
        await empty(backend.journal)
    assert path.stat().st_size > OLD * SIZE
    return path


async def require_whole(path) -> None:
    assert damages(path) == []
    async with open_backend(f"sqlite:{path}") as backend:
        kept = await backend.journal.find(OLD)
        assert kept.message.raw == large(OLD).raw


async def test_the_file_shrinks_while_others_write_and_read(path):
    async with open_backend(f"sqlite:{path}") as backend:
        freed, journal = 0, backend.journal
        while some := await journal.shrink():
            freed += some
            kept, found = await asyncio.gather(journal.keep(small(freed)), journal.find(OLD))
            assert kept.is_free
            assert found.message.raw == large(OLD).raw
        assert freed > 0.8 * OLD * SIZE
        assert path.stat().st_size < 0.3 * OLD * SIZE  # now, and not when the hub ends
    await require_whole(path)


KILLED = """
import asyncio, os, signal, sys
from fhir_hub.store.open import open_backend
async def run():
    backend = open_backend("sqlite:" + sys.argv[1])
    for _ in range(int(sys.argv[2])):
        await backend.journal.shrink()
    connection = backend.journal._connection
    connection.set_progress_handler(lambda: os.kill(os.getpid(), signal.SIGKILL), int(sys.argv[3]))
    await backend.journal.shrink()
asyncio.run(run())
"""


@pytest.mark.parametrize(("steps", "instructions"), [(0, 40), (2, 1)])
async def test_killed_in_the_middle_it_is_whole_and_goes_on(path, steps, instructions):
    command = [sys.executable, "-c", KILLED, str(path), str(steps), str(instructions)]
    ended = subprocess.run(command, env=os.environ, timeout=parts.PATIENCE_S, check=False)
    assert ended.returncode == -signal.SIGKILL

    await require_whole(path)
    async with open_backend(f"sqlite:{path}") as backend:
        while await backend.journal.shrink():
            pass
    assert path.stat().st_size < 0.3 * OLD * SIZE
    await require_whole(path)


async def test_a_file_of_an_older_hub_is_rewritten_once(path):
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA auto_vacuum = NONE")
    connection.execute("VACUUM")
    connection.close()
    async with open_backend(f"sqlite:{path}") as backend:
        assert await backend.journal.shrink() == 0
    assert not keeps_track(path)

    rewrite(path)
    assert keeps_track(path)
    await require_whole(path)
