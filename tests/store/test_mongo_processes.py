"""Several processes on one MongoDB: one winner, one sequence without gaps, no update lost."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import parts
import pytest

from fhir_hub.search.plan import Has, Is, Query
from fhir_hub.store.base import Key
from fhir_hub.store.open import open_backend

PROGRAM = Path(__file__).parent / "mongo_clients.py"
MADE = Query(("Patient",), Has("identifier", "token", (Is("1", "urn:sid"),)), with_total=True)


class Clients:
    """A process of clients."""

    def __init__(self, url: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@pytest.fixture
def processes(mongo_url) -> Iterator[list[Clients]]:
    started = [Clients(mongo_url), Clients(f"{mongo_url}?driver=pymongo")]
    assert [clients.answer() for clients in started] == ["ready\n"] * 2
    yield started
    for clients in started:
        clients.process.communicate(timeout=parts.PATIENCE_S)
        assert clients.process.returncode == 0


def both(processes: list[Clients], line: str) -> list[list[int]]:
    """Give both processes work at the same time; return the sequences that each got."""
    for clients in processes:
        clients.ask(line)
    return [json.loads(clients.answer()) for clients in processes]


async def test_200_guarded_creates_on_two_processes_make_one(processes, mongo_url):
    first, second = both(processes, "creates 100")

    assert sorted(first + second) == list(range(1, 202))  # 200 devices and one patient
    assert first
    assert second
    async with open_backend(mongo_url) as backend:
        assert (await backend.store.search(MADE)).total == 1
        assert (await backend.store.status())[:2] == ({"Device": 200, "Patient": 1}, 201)
        page = await backend.store.history(count=300)
        assert [one.sequence for one in page.matches] == list(range(201, 0, -1))


async def test_no_update_of_two_processes_is_lost(processes, mongo_url):
    first, second = both(processes, "updates 15")

    assert sorted(first + second) == list(range(1, 31))
    async with open_backend(mongo_url) as backend:
        stored = await backend.store.read(Key("Basic", "counter"))
        assert (stored.version_id, stored.content) == (30, b"30")
