"""`fhir-hub reindex`: what is stored is found again as the settings say now."""

import asyncio
import json

import apsw
import pytest

from fhir_hub import fhirjson
from fhir_hub.search.plan import Compare, Has, Query, Range
from fhir_hub.store.base import Change
from fhir_hub.store.open import open_backend


@pytest.fixture
def database(tmp_path):
    """Patients whose entries are missing, as if an older hub had stored them."""
    path = tmp_path / "hub.sqlite"

    async def make() -> None:
        async with open_backend(f"sqlite:{path}") as backend:
            for number in range(150):
                patient = {
                    "resourceType": "Patient",
                    "id": f"p{number}",
                    "birthDate": "1953-04-12",
                }
                await backend.store.write(
                    [Change("Patient", f"p{number}", 1, 1, "POST", fhirjson.dumps(patient))]
                )

    asyncio.run(make())
    return path


def found(path) -> int:
    after = Has("birthdate", "date", (Range(((Compare("low", ">", 0.0),),)),))
    before = Has("birthdate", "date", (Range(((Compare("high", "<", 0.0),),)),))

    async def ask() -> int:
        async with open_backend(f"sqlite:{path}") as backend:
            return sum(
                [
                    len((await backend.store.search(Query(("Patient",), plan, count=500))).matches)
                    for plan in (after, before)
                ]
            )

    return asyncio.run(ask())


def test_everything_stored_is_indexed_and_nothing_else_changes(run, database):
    assert found(database) == 0
    ended = run("reindex", "--store", f"sqlite:{database}", "--type", "Observation")
    assert (ended.code, ended.out) == (0, "0 resources indexed\n")
    assert found(database) == 0

    ended = run("reindex", "--store", f"sqlite:{database}")
    assert (ended.code, ended.out) == (0, "150 resources indexed\n")
    assert found(database) == 150
    connection = apsw.Connection(str(database))
    assert connection.execute("SELECT count(*), max(version_id) FROM version").fetchall() == [
        (150, 1)
    ]
    ((name, note),) = connection.execute("SELECT * FROM note").fetchall()
    assert (name, json.loads(note)["until"]) == ("index/", 0)  # by whom all is indexed; no pass
    connection.close()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--store", "sqlite:none.db"], 1, "there is no such database"),
        (["--type", "Patients"], 2, "Patients is no resource type of R4; did you mean Patient?"),
        (["--store", "mongo"], 2, "--store: write sqlite:PATH"),
    ],
)
def test_what_it_cannot_do_is_told(run, database, arguments, code, told):
    ended = run("reindex", "--store", f"sqlite:{database}", *arguments)

    assert (ended.code, ended.out) == (code, "")
    assert told in ended.err
