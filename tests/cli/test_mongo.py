"""The commands of a store in a file, asked to work on MongoDB: they do, or say that they do not."""

import asyncio

from fhir_hub import fhirjson
from fhir_hub.search.plan import Compare, Has, Query, Range
from fhir_hub.store.base import Change
from fhir_hub.store.open import open_backend

BORN = Has("birthdate", "date", (Range(((Compare("high", "<", 0.0),),)),))


def test_reindex_finds_again_what_is_stored(run, mongo_url):
    async def made() -> None:
        async with open_backend(mongo_url) as backend:
            for number in range(3):
                name = f"p{number}"
                patient = {"resourceType": "Patient", "id": name, "birthDate": "1953-04-12"}
                content = fhirjson.dumps(patient)
                await backend.store.write([Change("Patient", name, 1, 1, "POST", content)])

    async def found() -> int:
        async with open_backend(mongo_url) as backend:
            return len((await backend.store.search(Query(("Patient",), BORN))).matches)

    asyncio.run(made())
    assert asyncio.run(found()) == 0

    ended = run("reindex", "--store", mongo_url)

    assert (ended.code, ended.out) == (0, "3 resources indexed\n"), ended.err
    assert asyncio.run(found()) == 3


def test_backup_says_that_it_is_for_files(run, mongo_url, tmp_path):
    ended = run("backup", "--store", mongo_url.replace("://", "://user:secret@"), tmp_path / "b")

    assert ended.code == 2
    assert "only a store in a file" in ended.err
    assert "fhir-hub copy" in ended.err
    assert "secret" not in ended.err
