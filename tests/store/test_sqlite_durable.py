"""What was answered is on the disk: after `kill -9`, a full disk, and beside another process."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from fhir_hub.errors import InvalidResource, Unavailable
from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import Has, Is, Query
from fhir_hub.store.base import Conflict, Guard, Key
from fhir_hub.store.journal import Received
from fhir_hub.store.open import open_backend

_WRITER = Path(__file__).with_name("endless_writer.py")
_KILLS = int(os.environ.get("FHIR_HUB_TEST_KILLS", "3"))


@pytest.fixture
def url(tmp_path):
    return f"sqlite:{tmp_path}/hub.db"


def identifier(value: str) -> Entry:
    return Entry("identifier", "token", value, "urn:a")


async def test_every_answered_write_survives_kill_9(url):
    answered: list[str] = []
    for round_number in range(_KILLS):
        writer = subprocess.Popen(
            [sys.executable, str(_WRITER), url, str(round_number)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        wanted = 200 + 137 * round_number
        for line in writer.stdout:
            answered.append(line.strip())
            if len(answered) % wanted == 0:
                break
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().splitlines(keepends=True)
        answered += [line.strip() for line in rest if line.endswith("\n")]
        writer.stdout.close()
        writer.wait()

    async with open_backend(url) as backend:
        assert len(answered) > 200
        for name in answered:
            if name.startswith("m"):
                kept = await backend.journal.find(int(name[1:]))
                assert kept is not None
            else:
                for place in range(3):
                    assert await backend.store.read(Key("Patient", f"{name}-{place}"))
        page = await backend.store.history(count=10**6)
        assert [stored.sequence for stored in page.matches] == list(range(len(page.matches), 0, -1))
        names = {stored.logical_id.rpartition("-")[0] for stored in page.matches}
        for name in names:  # three resources a write: all or none
            found = await backend.store.search(
                Query(
                    ("Patient",), Has("identifier", "token", (Is(name, "urn:a"),)), with_total=True
                )
            )
            assert found.total == 3
        count = (await backend.store.status()).resources["Patient"]
        assert count == len(page.matches) == 3 * len(names)
    check = apsw.Connection(url.partition(":")[2])
    assert check.pragma("integrity_check") == "ok"
    check.close()


async def test_two_stores_on_one_file_see_each_other_and_leave_no_gap(url, change, together):
    async with open_backend(url) as one, open_backend(url) as two:
        guard = Guard("Patient", Has("identifier", "token", (Is("1", "urn:a"),)))
        outcomes = await together(
            *(
                backend.store.write([change(f"{n}{who}", identifier("1"))], [guard])
                for n in range(30)
                for who, backend in (("a", one), ("b", two))
            )
        )
        assert sum(not isinstance(outcome, Conflict) for outcome in outcomes) == 1
        await together(
            *(
                backend.store.write([change(f"x{n}{who}", Entry("name", "string", f"{who}{n}"))])
                for n in range(30)
                for who, backend in (("a", one), ("b", two))
            )
        )
        for backend in (one, two):
            history = await backend.store.history(count=100)
            assert [stored.sequence for stored in history.matches] == list(range(61, 0, -1))
            page = await backend.store.search(Query(("Patient",), with_total=True, count=1))
            assert page.total == 61


async def test_what_was_stored_before_a_start_is_there_whatever_is_asked_first(url, change):
    before = open_backend(url)
    await before.store.write([change(one) for one in ("b", "d", "f")])
    await before.close()

    after = open_backend(url)
    for version_id in (2, 3):
        for one in ("d", "b", "f"):
            await after.store.write([change(one, version_id=version_id)])
    await after.store.write([change(one) for one in ("a", "c", "e", "g")])
    for one in "abcdefg":
        with pytest.raises(Conflict):
            await after.store.write([change(one)])
    await after.close()


async def test_a_writer_elsewhere_is_waited_for_without_stopping_reads(url, change):
    async with open_backend(url) as backend:
        await backend.store.write([change("a")])
        other = apsw.Connection(url.partition(":")[2])
        other.execute("BEGIN IMMEDIATE")
        write = asyncio.create_task(backend.store.write([change("b")]))
        for _ in range(20):
            await asyncio.sleep(0)
            assert await backend.store.read(Key("Patient", "a"))
        assert not write.done()
        other.execute("COMMIT")
        other.close()
        assert (await write)[0].sequence == 2


async def test_a_full_disk_refuses_and_the_store_goes_on_when_there_is_room(url, change, together):
    async with open_backend(url) as backend:
        await backend.store.write([change("a")])
        connection = backend.store._writer._connection
        pages = connection.pragma("page_count")
        connection.pragma("max_page_count", pages)
        big = b"x" * 100_000

        outcomes = await together(
            *(backend.store.write([change(f"n{n}", content=big)]) for n in range(5))
        )
        assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
        assert (await backend.store.status()).sequence == 1
        assert await backend.store.read(Key("Patient", "a"))

        connection.pragma("max_page_count", 10**9)
        (stored,) = await backend.store.write([change("n0", content=big)])
        assert stored.sequence == 2


async def test_a_commit_that_fails_fails_all_its_writes_and_only_those(url, change, together):
    async with open_backend(url) as backend:
        connection = backend.store._writer._connection
        connection.set_commit_hook(lambda: True)  # SQLite turns the COMMIT into a ROLLBACK
        outcomes = await together(
            *(backend.store.write([change(f"n{n}", identifier("1"))]) for n in range(5))
        )
        assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
        connection.set_commit_hook(None)

        (stored,) = await backend.store.write([change("n0", identifier("1"))])
        assert stored.sequence == 1
        assert (await backend.store.status()).resources == {"Patient": 1}


class Disk(apsw.VFS):
    """SQLite's way to the disk, which may fail to make durable what was written."""

    is_broken = False

    def __init__(self):
        super().__init__("disk", "unix", makedefault=True)

    def xOpen(self, name, flags):  # noqa: N802 - its name in SQLite
        return File(self, name, flags)


class File(apsw.VFSFile):
    def __init__(self, disk, name, flags):
        super().__init__("unix", name, flags)
        self.disk = disk

    def xSync(self, flags):  # noqa: N802 - its name in SQLite
        if self.disk.is_broken:
            raise apsw.IOError
        super().xSync(flags)


@pytest.fixture
def disk():
    disk = Disk()
    yield disk
    disk.unregister()


async def test_what_the_disk_does_not_make_durable_is_not_answered_and_never_comes_back(
    disk, url, change, tmp_path
):
    async with open_backend(url) as backend:
        await backend.store.write([change("a", identifier("1"))])
        disk.is_broken = True
        message = Received("c", "k", "d", 1, b"MSH|1")
        for work in (backend.store.write([change("b")]), backend.journal.keep(message)):
            with pytest.raises(Unavailable, match="the disk takes no more"):
                await work
        with pytest.raises(apsw.IOError):  # nor does the log go back
            await backend.store._writer.write_back()
        assert await backend.store.read(Key("Patient", "a"))
        assert await backend.store.read(Key("Patient", "b")) is None

        disk.is_broken = False
        (stored,) = await backend.store.write([change("c")])
        assert stored.sequence == 2
        assert not (await backend.journal.keep(message)).is_duplicate
        for name in ("hub.db", "hub.db-wal"):  # as a power cut leaves them
            shutil.copy(tmp_path / name, tmp_path / f"cut-{name}")

    async with open_backend(f"sqlite:{tmp_path}/cut-hub.db") as backend:
        page = await backend.store.history()
        assert [(one.sequence, one.logical_id) for one in page.matches] == [(2, "c"), (1, "a")]
        assert len(await backend.journal.pending()) == 1


async def test_a_damaged_file_is_told_and_nothing_is_written_into_it(url, change, tmp_path):
    async with open_backend(url) as backend:
        await backend.store.write([change("a")])
    file = tmp_path / "hub.db"
    connection = apsw.Connection(str(file))
    root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'version'").get
    connection.close()
    with file.open("r+b") as opened:
        opened.seek((root - 1) * 4096)
        opened.write(b"\xff" * 4096)

    async with open_backend(url) as backend:
        with pytest.raises(Unavailable, match="the file is damaged; fhir-hub check says where"):
            await backend.store.write([change("b")])
        assert await backend.store.read(Key("Patient", "b")) is None


async def test_what_cannot_be_stored_fails_alone_and_leaves_no_gap(url, change, together):
    async with open_backend(url) as backend:
        bad_text, bad_code = change("x", identifier("\ud800")), change("y", identifier(1j))
        writes = [change(f"n{n}", identifier(str(n))) for n in range(20)]
        writes[7], writes[11] = bad_text, bad_code

        outcomes = await together(*(backend.store.write([each]) for each in writes))

        assert [type(outcome) for outcome in outcomes] == (
            [list] * 7 + [InvalidResource] + [list] * 3 + [TypeError] + [list] * 8
        )
        stored = [outcome[0].sequence for outcome in outcomes if isinstance(outcome, list)]
        assert sorted(stored) == list(range(1, 19))
        page = await backend.store.search(
            Query(("Patient",), Has("identifier", "token"), with_total=True)
        )
        assert page.total == 18


async def test_a_caller_who_gives_up_harms_nobody(url, change, together):
    async with open_backend(url) as backend:
        writes = [asyncio.create_task(backend.store.write([change(f"p{n}")])) for n in range(30)]
        await asyncio.sleep(0)
        for write in writes[::3]:
            write.cancel()
        outcomes = await together(*writes)

        assert [isinstance(outcome, list) for outcome in outcomes] == [n % 3 > 0 for n in range(30)]
        history = await backend.store.history(count=100)
        sequences = [stored.sequence for stored in history.matches]
        assert sequences == list(range(len(sequences), 0, -1))


async def test_the_log_stays_small(url, change):
    async with open_backend(url) as backend:
        path = Path(url.partition(":")[2] + "-wal")
        written = 0
        for number in range(192):  # a busy machine writes the log back late
            many = [change(f"{number}-{n}", content=b"x" * 60_000) for n in range(100)]
            await backend.store.write(many)
            written += 100 * 60_000
            if written > path.stat().st_size + 48 * 2**20:
                break
        assert written > path.stat().st_size + 48 * 2**20  # it begins anew
