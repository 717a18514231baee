"""A database that an older hub wrote on MongoDB is opened, and nothing of it is lost.

One small file a schema, made by the program of then (`tools/old_database.py`).
"""

import asyncio
import lzma
from pathlib import Path

import pytest
from bson import json_util
from pymongo import MongoClient

from fhir_hub import fhirjson
from fhir_hub.app import build
from fhir_hub.rest import routes
from fhir_hub.rest.message import FhirRequest
from fhir_hub.settings import load_settings
from fhir_hub.store.base import CannotOpen, Key
from fhir_hub.store.checking import findings, mend_before
from fhir_hub.store.mongo.schema import SCHEMA
from fhir_hub.store.open import open_backend
from fhir_hub.telemetry import Logs

FOLDER = Path(__file__).with_name("upgrades")


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""


@pytest.fixture
def old(request, mongo_url) -> str:
    """The address of a database with the documents of a schema."""
    raw = (FOLDER / f"mongo-{request.param}.json.xz").read_bytes()
    with MongoClient(mongo_url) as client:
        for name, documents in json_util.loads(lzma.decompress(raw)).items():
            if documents:
                client.get_default_database()[name].insert_many(documents)
    return mongo_url


@pytest.mark.parametrize("old", range(1, SCHEMA + 1), indirect=True)
def test_what_an_older_hub_stored_on_mongodb_is_there_and_found(old):
    settings = load_settings(None, {"store": old}, {})

    async def look() -> None:
        async with open_backend(settings.store) as backend:
            with MongoClient(old) as client:
                database = client.get_default_database()
                assert database.hub.find_one({"_id": "schema"})["version"] == SCHEMA
                kept = database.message.index_information()["state_1__id_1"]
            assert kept["partialFilterExpression"] == {"is_kept": True}
            hub = build(settings, backend, Logs("error", "json"))
            await hub.prepare(None)
            assert (await backend.store.vread(Key("Patient", "p1"), 1)).method == "PUT"
            assert (await backend.store.read(Key("Patient", "p2"))).is_deleted
            entered = await backend.journal.recent(count=10)
            assert [(one.number, one.state) for one in entered] == [
                (3, "failed"), (2, "done"), (1, "done"),
            ]  # fmt: skip
            assert await hub.receiver.receive(entered[-1].message.raw) == entered[-1].ack
            await mend_before(old, silent, hub.receiver.turns_of)
            await hub.indexing.rebuild((await backend.store.status()).resources)
            while await hub.indexing.step():
                pass
            assert [one async for one in findings(old, hub.indexing.entries_of, silent)] == []
            query = (("code", "http://loinc.org|14771-0"), ("patient.name", "沈"))
            answer = await routes.dispatch(FhirRequest("GET", ("Observation",), query), hub.service)
            assert fhirjson.loads(answer.content)["total"] == 2
            written = await routes.dispatch(
                FhirRequest("POST", ("Patient",), resource={"resourceType": "Patient"}), hub.service
            )
            assert written.status == 201

    asyncio.run(look())


def test_a_database_of_a_newer_hub_on_mongodb_is_refused(mongo_url):
    with MongoClient(mongo_url) as client:
        newer = {"_id": "schema", "version": SCHEMA + 1}
        client.get_default_database().hub.insert_one(newer)

    with pytest.raises(CannotOpen, match="newer version"):
        open_backend(mongo_url)
