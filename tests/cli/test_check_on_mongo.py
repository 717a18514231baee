"""`fhir-hub check` finds what disagrees in a database on MongoDB; `reindex` mends what it can."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from fhir_hub.app import build
from fhir_hub.rest import routes
from fhir_hub.rest.message import FhirRequest
from fhir_hub.settings import load_settings
from fhir_hub.store.open import open_backend
from fhir_hub.telemetry import Logs

EXAMPLES = Path(__file__).parents[2] / "examples"
OBSERVATION = {
    "resourceType": "Observation",
    "id": "o",
    "status": "final",
    "code": {"text": "x"},
    "effectivePeriod": {"start": "2025-01-01", "end": "2025-03-01"},
}


@pytest.fixture
def database(mongo_url) -> Iterator[Any]:
    """A database with messages and REST's writes, among them updates and a deletion."""
    settings = load_settings(None, {"store": mongo_url}, {})

    async def make() -> None:
        async with open_backend(settings.store) as backend:
            hub = build(settings, backend, Logs("error", "json"))

            async def ask(method, *path, **resource):
                request = FhirRequest(method, path, resource=resource or None)
                assert (await routes.dispatch(request, hub.service)).status < 300

            raw = (EXAMPLES / "messages" / "01_ADT_A04_chc_register.hl7").read_bytes()
            assert b"MSA|AA" in await hub.receiver.receive(raw.replace(b"\n", b"\r"))
            await hub.receiver.receive(b"MSH|^~\\&|A|B|C|D|||ADT^A99|1|P|2.5")
            basic = {"resourceType": "Basic", "id": "b", "code": {"text": "沈"}}
            await ask("PUT", "Basic", "b", **basic)
            await ask("PUT", "Basic", "b", **(basic | {"created": "2025"}))
            await ask("PUT", "Observation", "o", **OBSERVATION)
            await ask("PUT", "Basic", "gone", **(basic | {"id": "gone"}))
            await ask("DELETE", "Basic", "gone")

    asyncio.run(make())
    with MongoClient(mongo_url) as client:
        yield client.get_default_database()


def everything(database: Any) -> dict[str, list]:
    found = {}
    for name in ("resource", "version", "message", "message_raw", "under_way"):
        found[name] = sorted(database[name].find(), key=lambda one: repr(one["_id"]))
    order = database.hub.find_one("order")
    found["order"] = [{name: order[name] for name in ("s", "n", "g")}]
    found["counts"] = [{name: count for name, count in order["c"].items() if count}]
    for version in found["version"]:  # absent is the same as none
        version.setdefault("e", None)
    return found


def rules(ended) -> set[str]:
    return {json.loads(line)["rule"] for line in ended.out.splitlines()}


BASIC, GONE, FIRST = {"_id": "Basic/b"}, {"k": "Basic/gone"}, {"k": "Basic/b", "v": 1}
Damage = Callable[[Any], Any]
MENDABLE: dict[str, Damage] = {
    "not-the-last-version": lambda db: db.resource.update_one(BASIC, {"$set": {"v": 1}}),
    "version-of-nobody": lambda db: db.version.update_one(GONE, {"$set": {"t": "X"}}),
    "version-end": lambda db: db.version.update_one(FIRST, {"$unset": {"e": ""}}),
    "entries": lambda db: db.resource.update_one({"_id": "Observation/o"}, {"$unset": {"x": ""}}),
    "width": lambda db: db.hub.update_one({"_id": "spreads"}, {"$set": {"rows": []}}),
    "count": lambda db: db.hub.update_one({"_id": "order"}, {"$set": {"c.Basic": 7}}),
    "counter": lambda db: db.hub.update_one({"_id": "order"}, {"$set": {"n": 0}}),
    "generation": lambda db: db.hub.update_one({"_id": "order"}, {"$set": {"g": 1}}),
    "index-missing": lambda db: [db.resource.drop_index("t_1_x_1_n_1")],
    "turn-of-nobody": lambda db: [db.under_way.insert_one({"_id": 77, "turn": 1, "words": []})],
}  # fmt: skip


def test_what_can_be_mended_is_found_and_mended_to_what_it_was(run, mongo_url, database):
    sound = run("check", "--store", mongo_url)
    assert (sound.code, sound.out) == (0, ""), sound.out
    assert "everything agrees" in sound.err
    assert run("check", "--quick", "--store", mongo_url).code == 0
    before = everything(database)
    for damage in MENDABLE.values():
        damage(database)

    found = run("check", "--store", mongo_url, "--json")
    assert found.code == 1
    assert rules(found) == set(MENDABLE)
    assert "沈" not in found.out + found.err
    assert "fhir-hub reindex mends it" in found.err

    ended = run("reindex", "--store", mongo_url)
    assert ended.code == 0, ended.err
    assert "mended" in ended.err
    ended = run("check", "--store", mongo_url)
    assert (ended.code, ended.out) == (0, "")
    assert everything(database) == before


LOST: dict[str, Damage] = {
    "sequence-gap": lambda db: db.version.delete_one(FIRST),
    "version-chain": lambda db: None,
    "content": lambda db: db.version.update_one({"k": "Observation/o"}, {"$set": {"c": b"{}"}}),
    "no-version": lambda db: db.version.delete_many({"k": "Basic/gone"}),
    "place": lambda db: db.resource.update_many({}, {"$set": {"n": 1}}),
    "message-size": lambda db: db.message_raw.update_one({"_id": 1}, {"$set": {"raw": b"0"}}),
    "bytes-of-nobody": lambda db: db.message_raw.insert_one({"_id": 99, "raw": b"0"}),
    "message-state": lambda db: db.message.update_one({"_id": 1}, {"$set": {"ack": b""}}),
    "link-to-nothing": lambda db: db.message.update_one({"_id": 1}, {"$push": {"links": "Basic/"}}),
    "message-without-bytes": lambda db: db.message_raw.delete_one({"_id": 2}),
    "not-under-way": lambda db: db.message.update_one({"_id": 2}, {"$set": {"state": "received"}}),
}  # fmt: skip


@pytest.mark.skipif(
    "mongo" not in os.environ.get("FHIR_HUB_TEST_STORES", ""), reason="slow: make test-mongo"
)
def test_what_is_lost_is_told_by_who_and_not_mended(run, mongo_url, database):
    for damage in LOST.values():
        damage(database)
    done = database.message.find_one({"_id": 1})
    database.message.insert_one(done | {"_id": 3, "is_kept": False})
    gone = {"state": "replaced", "replaced_by": 88, "is_kept": False}
    database.message.insert_one(done | {"_id": 4} | gone)

    found = run("check", "--store", mongo_url, "--json")
    assert found.code == 1
    assert rules(found) >= set(LOST) | {"done-twice", "replaced-by-nothing", "counter"}
    lines = [json.loads(line) for line in found.out.splitlines()]
    assert "Basic/b" in {line["where"] for line in lines if line["rule"] == "version-chain"}
    assert "a backup has it, or nobody" in found.err

    assert run("reindex", "--store", mongo_url).code == 0
    again = rules(run("check", "--store", mongo_url, "--json"))
    assert again >= set(LOST) - {"not-under-way"}
    assert not again & {"not-under-way", "counter"}
    assert database.hub.find_one("journal")["n"] == 4
