"""Open a store by its address; reopen what was closed; refuse what is not ours."""

from pathlib import Path

import apsw
import pytest

from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import Has, Is, Query
from fhir_hub.store.base import CannotOpen, Finish, Key
from fhir_hub.store.journal import Received
from fhir_hub.store.open import open_backend
from fhir_hub.store.sqlite.migrations import MIGRATIONS


@pytest.mark.parametrize(
    "url", ["", "hub.db", "sqlite:", "memory:x", "postgres://localhost", "sqlite", "SQLITE:x"]
)
def test_an_address_that_is_none_is_refused_with_what_to_write(url):
    with pytest.raises(CannotOpen, match=r"/ .*[\u4e00-\u9fff]"):
        open_backend(url)


async def test_what_was_written_is_there_after_reopening(tmp_path, change):
    url = f"sqlite:{tmp_path}/new/folder/hub.db"
    entries = (Entry("identifier", "token", "1", "urn:a"), Entry("date", "date", low=1, high=2))
    async with open_backend(url) as backend:
        await backend.journal.keep(Received("c", "k", "d", 1, b"raw"))
        finish = Finish(1, "done", b"AA")
        await backend.store.write([change("a", *entries), change("b")], finish=finish)

    async with open_backend(url) as backend:
        page = await backend.store.search(
            Query(("Patient",), Has("identifier", "token", (Is("1", "urn:a"),)))
        )
        assert [stored.logical_id for stored in page.matches] == ["a"]
        (stored,) = await backend.store.write([change("a", *entries, version_id=2)])
        assert (stored.sequence, stored.version_id) == (3, 2)
        assert (await backend.journal.find(1)).ack == b"AA"
        assert (await backend.journal.keep(Received("c", "k", "d", 1, b"raw"))).is_duplicate
        assert (await backend.store.status()).resources == {"Patient": 2}


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells what is mapped")
@pytest.mark.parametrize(("mapped_mb", "is_mapped"), [(0, False), (64, True)])
async def test_a_file_is_read_as_memory_if_so_set(tmp_path, change, mapped_mb, is_mapped):
    path = tmp_path / "hub.db"
    async with open_backend(f"sqlite:{path}") as backend:
        await backend.store.write([change("a"), change("b")])

    async with open_backend(f"sqlite:{path}", mapped_mb) as backend:
        before = await backend.store.search(Query(("Patient",)))
        maps = Path("/proc/self/maps").read_text().splitlines()
        await backend.store.write([change("a", version_id=2), change("c")])
        after = await backend.store.search(Query(("Patient",)))

    assert [one.logical_id for one in before.matches] == ["a", "b"]
    assert [(one.logical_id, one.version_id) for one in after.matches] == [
        ("a", 2),
        ("b", 1),
        ("c", 1),
    ]
    assert any(line.endswith(f" {path}") for line in maps) == is_mapped


async def test_a_relative_path_is_from_the_working_folder(tmp_path, monkeypatch, change):
    monkeypatch.chdir(tmp_path)
    async with open_backend("sqlite:hub.db") as backend:
        await backend.store.write([change("a")])

    assert (tmp_path / "hub.db").exists()


async def test_close_leaves_one_file(tmp_path, change):
    async with open_backend(f"sqlite:{tmp_path}/hub.db") as backend:
        await backend.store.write([change("a")])

    assert [path.name for path in tmp_path.iterdir()] == ["hub.db"]


async def test_a_newer_database_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "hub.db"
    await open_backend(f"sqlite:{path}").close()
    connection = apsw.Connection(str(path))
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()

    with pytest.raises(CannotOpen, match="newer version"):
        open_backend(f"sqlite:{path}")


async def test_a_database_of_another_program_is_refused(tmp_path):
    path = tmp_path / "other.db"
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()

    with pytest.raises(CannotOpen, match="another program"):
        open_backend(f"sqlite:{path}")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        ("text", "it is no file of SQLite"),
        ("folder", "it is a folder, or there are no rights to it"),
        ("below a file", "File exists"),
    ],
)
def test_a_path_that_cannot_be_used_is_refused(tmp_path, make, why):
    path = tmp_path / "x"
    if make == "folder":
        path.mkdir()
    else:
        path.write_text("not a database, but longer than its header" * 100)

    with pytest.raises(CannotOpen, match=f"cannot open the database .*: {why} / "):
        open_backend(f"sqlite:{path / 'below' if make == 'below a file' else path}")


async def test_a_migration_that_fails_changes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "hub.db"
    url = f"sqlite:{path}"
    await open_backend(url).close()
    broken = (*MIGRATIONS, "CREATE TABLE more (x); SELECT nonsense")
    monkeypatch.setattr("fhir_hub.store.sqlite.migrations.MIGRATIONS", broken)
    with pytest.raises(apsw.SQLError):
        open_backend(url)

    added = (*MIGRATIONS, "CREATE TABLE more (x)")
    monkeypatch.setattr("fhir_hub.store.sqlite.migrations.MIGRATIONS", added)
    async with open_backend(url) as backend:
        assert await backend.store.read(Key("Patient", "a")) is None

    connection = apsw.Connection(str(path))
    assert connection.pragma("user_version") == len(added)
    assert connection.execute("SELECT count(*) FROM more").fetchall() == [(0,)]
    connection.close()
