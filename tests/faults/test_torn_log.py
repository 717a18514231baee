"""A write-ahead log whose end is torn off or spoilt: what is whole stays, to the last commit.

Spec: https://www.sqlite.org/walformat.html
"""

import asyncio
import random
import shutil
from pathlib import Path

import pytest
from faults.rounds import rounds

from fhir_hub.search.entry import Entry
from fhir_hub.store.base import Change, Key
from fhir_hub.store.journal import Received
from fhir_hub.store.open import open_backend
from fhir_hub.store.sqlite.checking import Checking
from fhir_hub.store.sqlite.files import damages

pytestmark = pytest.mark.no_cover
COMMITS = 30


def entry(number: int) -> tuple[Entry, ...]:
    return (Entry("identifier", "token", str(number), "urn:torn"),)


def content(name: str, version_id: int) -> bytes:
    meta = f'{{"versionId":"{version_id}","lastUpdated":"1970-01-01T00:00:00Z"}}'
    return f'{{"resourceType":"Patient","id":"{name}","meta":{meta}}}'.encode()


@pytest.fixture(scope="module")
def torn(tmp_path_factory):
    """Return the files of a hub that died, and what was answered at each size of the log."""
    folder = tmp_path_factory.mktemp("torn")
    path = folder / "live" / "hub.sqlite"
    answered: list[tuple[int, int, int]] = []  # size of the log, last sequence, last message

    async def live() -> None:
        async with open_backend(f"sqlite:{path}") as backend:
            for number in range(COMMITS):
                names = [f"{number}-{place}" for place in range(3)]
                changes = [
                    Change("Patient", name, 1, 0, "POST", content(name, 1), entry(number))
                    for name in names
                ]
                stored = await backend.store.write(changes)
                raw = b"MSH|%d" % number
                kept = await backend.journal.keep(Received("c", f"k{number}", "d", 1, raw))
                size = path.with_name("hub.sqlite-wal").stat().st_size
                answered.append((size, stored[-1].sequence, kept.entered.number))
            (folder / "dead").mkdir()
            for name in ("hub.sqlite", "hub.sqlite-wal"):
                shutil.copy(path.with_name(name), folder / "dead")

    asyncio.run(live())
    return folder / "dead", answered


def spoil(log: Path, rng: random.Random) -> int:
    """Tear the log, or write nonsense into it; return how many bytes are as they were."""
    size = log.stat().st_size
    place = rng.randrange(size)
    with log.open("r+b") as opened:
        if rng.random() < 0.5:
            opened.truncate(place)
        else:
            opened.seek(place)
            old = opened.read(1)
            opened.seek(place)
            opened.write(bytes([old[0] ^ 0xFF]) + rng.randbytes(rng.randrange(5000)))
    return place


def test_what_was_answered_and_is_whole_stays_and_nothing_is_half(torn, tmp_path):
    dead, answered = torn
    rng = random.Random(7)
    for number in rounds(8):
        folder = tmp_path / str(number)
        shutil.copytree(dead, folder)
        path = folder / "hub.sqlite"
        whole = spoil(path.with_name("hub.sqlite-wal"), rng)
        least = max((one for one in answered if one[0] <= whole), default=(0, 0, 0))

        async def look(path: Path = path, least: tuple[int, int, int] = least) -> None:
            async with open_backend(f"sqlite:{path}") as backend:
                page = await backend.store.history(count=1000)
                sequences = [one.sequence for one in page.matches]
                assert sequences == [*range(len(sequences), 0, -1)]
                assert len(sequences) >= least[1]
                assert len(sequences) % 3 == 0  # three a commit: all or none
                messages = await backend.journal.recent(count=1000)
                assert [one.number for one in messages] == [*range(len(messages), 0, -1)]
                assert len(messages) >= least[2]
                assert (len(sequences) // 3 - len(messages)) in (0, 1)
                name = "new"
                change = Change("Patient", name, 1, 0, "POST", content(name, 1), entry(99))
                (stored,) = await backend.store.write([change])
                assert stored.sequence == len(sequences) + 1
                assert await backend.store.read(Key("Patient", name)) == stored

        asyncio.run(look())
        assert damages(path) == []
        checking = Checking(path, lambda one: entry(_number(one.logical_id)), lambda *_: None)
        assert list(checking.findings()) == []
        checking.close()
        shutil.rmtree(folder)


def _number(name: str) -> int:
    return 99 if name == "new" else int(name.partition("-")[0])
