"""A database that an older hub wrote is opened and brought up to date, and nothing of it is lost.

One small file a schema, made by the program of then (`tools/old_database.py`).
"""

import asyncio
import lzma
import os
import signal
from pathlib import Path

import apsw
import pytest

from fhir_hub import fhirjson
from fhir_hub.app import build
from fhir_hub.rest import routes
from fhir_hub.rest.message import FhirRequest
from fhir_hub.settings import load_settings
from fhir_hub.store.base import CannotOpen, Key
from fhir_hub.store.open import open_backend
from fhir_hub.store.sqlite.agreement import AFTER_ENTRIES, BEFORE_ENTRIES
from fhir_hub.store.sqlite.checking import Checking, mend
from fhir_hub.store.sqlite.connection import open_writer
from fhir_hub.store.sqlite.migrations import MIGRATIONS, migrate
from fhir_hub.telemetry import Logs

FOLDER = Path(__file__).with_name("upgrades")
SCHEMAS = sorted(int(path.name[7:].partition(".")[0]) for path in FOLDER.glob("schema-*.xz"))


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""


@pytest.fixture
def old(request, tmp_path) -> Path:
    """The database of a schema."""
    path = tmp_path / "hub.sqlite"
    path.write_bytes(lzma.decompress((FOLDER / f"schema-{request.param}.sqlite.xz").read_bytes()))
    return path


def pragma(path: Path, name: str) -> object:
    connection = apsw.Connection(str(path))
    found = connection.pragma(name)
    connection.close()
    return found


def dump(path: Path) -> dict[str, list]:
    """Return every table's rows and how it was made."""
    connection = apsw.Connection(str(path))
    made = connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()
    names = [name for name, sql in made if sql and sql.startswith("CREATE TABLE")]
    found = {name: connection.execute(f"SELECT * FROM '{name}'").fetchall() for name in names}
    connection.close()
    return found | {"": made}


def test_every_schema_before_this_one_has_its_file():
    assert set(range(1, len(MIGRATIONS))) - set(SCHEMAS) == set()


@pytest.mark.parametrize("old", SCHEMAS, indirect=True)
def test_what_an_older_hub_stored_is_there_and_found(old):
    settings = load_settings(None, {"store": f"sqlite:{old}"}, {})

    async def look() -> None:
        async with open_backend(settings.store) as backend:
            hub = build(settings, backend, Logs("error", "json"))
            await hub.prepare(None)
            assert (await backend.store.vread(Key("Patient", "p1"), 1)).method == "PUT"
            assert (await backend.store.read(Key("Patient", "p2"))).is_deleted
            page = await backend.store.history(count=100)
            assert [one.sequence for one in page.matches] == [*range(len(page.matches), 0, -1)]
            entered = await backend.journal.recent(count=10)
            assert [(e.number, e.state, e.message.control_id) for e in entered] == [
                (3, "failed", "OLD-3"),
                (2, "done", "OLD-2"),
                (1, "done", "OLD-1"),
            ]
            again = await hub.receiver.receive(entered[-1].message.raw)
            assert again == entered[-1].ack  # it came before
            mend(old, BEFORE_ENTRIES, silent)
            await hub.indexing.rebuild((await backend.store.status()).resources)
            while await hub.indexing.step():
                pass
            mend(old, AFTER_ENTRIES, silent)
            checking = Checking(old, hub.indexing.entries_of, silent)
            assert list(checking.findings()) == []
            checking.close()
            for path, query in (
                (("Patient",), (("identifier", "urn:old|1"), ("name", "沈"))),
                (("Encounter",), (("date", "2025"), ("subject", "Patient/p1"))),
                (("Observation",), (("code", "http://loinc.org|14771-0"), ("patient.name", "沈"))),
            ):
                request = FhirRequest("GET", path, query)
                answer = await routes.dispatch(request, hub.service)
                assert fhirjson.loads(answer.content)["total"] > 0, path

    asyncio.run(look())
    assert pragma(old, "user_version") == len(MIGRATIONS)
    assert pragma(old, "integrity_check") == "ok"


def dying(step: int):
    """Return what kills this process when it is called so often."""
    calls = iter(range(step))

    def call() -> bool:
        if next(calls, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return False

    return call


@pytest.mark.parametrize("old", [1], indirect=True)
def test_a_crash_in_the_middle_of_a_migration_leaves_a_state_between_two(old, tmp_path):
    before = old.read_bytes()
    states = {1: dump(old)}
    for number in range(2, len(MIGRATIONS) + 1):  # what each step makes of it
        connection = apsw.Connection(str(old))
        connection.execute(MIGRATIONS[number - 1])
        connection.execute(f"PRAGMA user_version = {number}")
        connection.close()
        states[number] = dump(old)
    seen = set()
    for step in (1, 20, 60, 100, 200, 300, 420, 600):
        path = tmp_path / f"{step}.sqlite"
        path.write_bytes(before)
        pid = os.fork()
        if not pid:
            connection = open_writer(path)
            connection.set_progress_handler(dying(step), 5)
            migrate(connection)
            os._exit(0)
        os.waitpid(pid, 0)
        version = pragma(path, "user_version")
        seen.add(version)
        assert dump(path) == states[version], step
        connection = open_writer(path)
        migrate(connection)
        connection.close()
        assert dump(path) == states[len(MIGRATIONS)], step
    assert len(seen) > 2, seen


def test_a_database_of_a_newer_hub_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "hub.sqlite"
    asyncio.run(open_backend(f"sqlite:{path}").close())
    connection = apsw.Connection(str(path))
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    before = dump(path)

    with pytest.raises(CannotOpen, match="newer version"):
        open_backend(f"sqlite:{path}")
    assert dump(path) == before
