"""`fhir-hub copy`: a store moved, with what a running hub would find it by."""

import asyncio
from pathlib import Path

import mongo_server
import pytest
from pymongo import MongoClient

from fhir_hub import fhirjson
from fhir_hub.clock import from_microseconds, instant
from fhir_hub.search.plan import Compare, Has, Query, Range
from fhir_hub.store.base import Change
from fhir_hub.store.journal import Received
from fhir_hub.store.open import open_backend

ADMITTED = Path(__file__).parents[2] / "examples" / "messages" / "01_ADT_A04_chc_register.hl7"


@pytest.fixture
def database(tmp_path) -> str:
    url = f"sqlite:{tmp_path / 'hub.sqlite'}"

    async def make() -> None:
        async with open_backend(url) as backend:
            for number in range(3):
                meta = {"versionId": "1", "lastUpdated": instant(from_microseconds(1))}
                patient = {"resourceType": "Patient", "id": f"p{number}", "birthDate": "1953-04-12"}
                patient["meta"] = meta
                content = fhirjson.dumps(patient)
                await backend.store.write([Change("Patient", f"p{number}", 1, 1, "POST", content)])
            await backend.journal.keep(Received("mllp", "k", "d", 1, b"MSH|"))

    asyncio.run(make())
    return url


def test_a_copy_is_compared_and_indexed_by_the_settings(run, database, tmp_path):
    target = f"sqlite:{tmp_path / 'copy.sqlite'}"
    ended = run("copy", "--from", database, "--to", target)

    assert ended.code == 0, ended.err
    told, versions, messages = ended.out.splitlines()
    assert told == "3 resources, 3 versions, 1 message are the same on both sides"
    assert (len(versions), len(messages)) == (80, 80)
    assert run("copy", "--from", database, "--to", target) == ended  # nothing is new

    async def found() -> int:
        before = Has("birthdate", "date", (Range(((Compare("high", "<", 0.0),),)),))
        async with open_backend(target) as backend:
            return len((await backend.store.search(Query(("Patient",), before))).matches)

    assert asyncio.run(found()) == 3
    ended = run("copy", "--from", target, "--to", database)
    assert (ended.code, ended.out) == (1, "")
    assert "the target is not empty" in ended.err


@pytest.mark.parametrize(
    ("source", "target", "code", "told"),
    [
        ("sqlite:none.db", "sqlite:other.db", 1, "there is no such database"),
        ("", "", 2, "--from and --to are the same"),
        ("", "memory:", 2, "memory: is gone at the end"),
        ("", "oracle:x", 2, "write sqlite:PATH"),
    ],
)
def test_what_it_cannot_copy_is_told(run, database, source, target, code, told):
    ended = run("copy", "--from", source or database, "--to", target or database)

    assert (ended.code, ended.out) == (code, "")
    assert told in ended.err


def test_a_message_that_is_copied_undone_holds_up_those_about_its_patient(run, tmp_path, mongo_url):
    source, raw = f"sqlite:{tmp_path / 'hub.sqlite'}", ADMITTED.read_bytes().replace(b"\n", b"\r")

    async def keep(url: str, number: int, turns: tuple[str, ...] = ()) -> bool:
        async with open_backend(url) as backend:
            message = Received("mllp", f"k{number}", "d", number, raw, turns=turns)
            return (await backend.journal.keep(message)).is_free

    assert asyncio.run(keep(source, 1))
    ended = run("copy", "--from", source, "--to", mongo_url)
    assert ended.code == 0, ended.err
    with MongoClient(mongo_url) as client:
        under_way = client.get_default_database().under_way
        copied = under_way.find_one()
        assert copied["words"]
        assert not asyncio.run(keep(mongo_url, 2, tuple(copied["words"])))
        assert asyncio.run(keep(mongo_url, 3, ("another",)))

        under_way.delete_many({})
        ended = run("reindex", "--store", mongo_url)
        assert ended.code == 0, ended.err
        assert [one["words"] for one in under_way.find()] == [copied["words"]] * 3


def test_mongodb_is_backed_up_as_a_file_and_restored_from_it(run, database, mongo_url, tmp_path):
    file, restored = (f"sqlite:{tmp_path / name}.sqlite" for name in ("copied", "restored"))
    with mongo_server.emptied(mongo_url):
        there = run("copy", "--from", database, "--to", mongo_url)
        back = run("copy", "--from", mongo_url, "--to", file)
    assert (there.code, back.code) == (0, 0), there.err + back.err
    assert there.out == back.out
    backup = run("backup", tmp_path / "backups", "--store", file)
    assert run("restore", backup.out.strip(), "--store", restored).code == 0

    assert run("copy", "--from", restored, "--to", mongo_url) == there
    checked = run("check", "--store", mongo_url)
    assert checked.code == 0, checked.out
    ended = run("copy", "--from", mongo_url, "--to", mongo_url.replace("//", "//hub:secret@"))
    assert ended.code == 1
    assert "secret" not in ended.err + ended.out
