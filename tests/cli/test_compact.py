"""`fhir-hub compact`: what nothing stands on goes back to the disk."""

import asyncio

import apsw
import pytest

from fhir_hub.store.base import Finish
from fhir_hub.store.journal import Received
from fhir_hub.store.open import open_backend

SIZE = 50_000


@pytest.fixture
def database(tmp_path):
    """A database of whose messages the bytes were removed."""
    path = tmp_path / "hub.sqlite"

    async def make() -> None:
        async with open_backend(f"sqlite:{path}") as backend:
            for number in range(1, 60):
                raw = b"x" * SIZE
                await backend.journal.keep(Received("mllp", f"K{number}", "d", number, raw))
                await backend.journal.finish(Finish(number, "done", b"ACK"))
            await backend.journal.prune({"done": 1000}, 0)

    asyncio.run(make())
    return path


@pytest.mark.parametrize("is_old", [False, True])
def test_the_file_is_smaller_and_a_hub_may_have_it_open(run, database, is_old):
    if is_old:  # made by a hub that could not give anything back
        connection = apsw.Connection(str(database))
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA auto_vacuum = NONE")
        connection.execute("VACUUM")
        with connection:
            connection.execute("CREATE TABLE filler AS SELECT zeroblob(2000000)")
            connection.execute("DROP TABLE filler")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
    before = database.stat().st_size
    other = apsw.Connection(str(database))
    other.execute("SELECT count(*) FROM message").fetchall()
    if is_old:
        assert run("compact", "--store", f"sqlite:{database}").code == 1
        other.close()

    ended = run("compact", "--store", f"sqlite:{database}")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.endswith(" MB now\n")
    assert database.stat().st_size < before / 3


def test_only_a_file_can_be_compacted(run, tmp_path):
    assert run("compact", "--store", "memory:").code == 1
    assert run("compact", "--store", f"sqlite:{tmp_path}/none").code == 1
