"""Both drivers of MongoDB through the one door: durable, all or nothing, no text in errors."""

import asyncio

import parts
import pytest
from mongo_faults import failing

from fhir_hub.app import build
from fhir_hub.errors import Closing, TooLarge, Unavailable
from fhir_hub.settings import load_settings
from fhir_hub.store.base import CannotOpen
from fhir_hub.store.journal import Received
from fhir_hub.store.mongo import streams
from fhir_hub.store.mongo.driver import Refused, connect, told
from fhir_hub.store.mongo.schema import ORDER, SCHEMA, prepare, read_address
from fhir_hub.store.open import open_backend
from fhir_hub.telemetry import Logs


@pytest.fixture(params=["motor", "pymongo"])
async def connection(request, mongo_url):
    url, name, driver = read_address(f"{mongo_url}?driver={request.param}")
    prepare(url, name)
    opened = connect(url, name, driver)
    yield opened
    await opened.close()


async def test_a_transaction_is_seen_when_it_is_done_and_not_before(connection):
    async def work(session):
        await connection["resource"].insert_one({"_id": "Patient/a", "n": 1}, session=session)
        inside = await connection.find_one("resource", {"n": 1}, session=session)
        return inside, await connection.find_one("resource", {"n": 1})

    inside, outside = await connection.transaction(work)

    assert (inside, outside) == ({"_id": "Patient/a", "n": 1}, None)
    assert await connection.find("resource", {}) == [inside]
    assert await connection.aggregate("resource", [{"$count": "found"}]) == [{"found": 1}]


async def test_what_a_transaction_wrote_goes_if_it_raises(connection):
    async def work(session):
        await connection["resource"].insert_one({"_id": "Patient/a"}, session=session)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await connection.transaction(work)

    assert await connection.find("resource", {}) == []


async def test_transactions_in_each_other_s_way_are_run_again(connection):
    async def work(session):
        hub = connection["hub"]
        before = await hub.find_one_and_update({"_id": ORDER}, {"$inc": {"s": 1}}, session=session)
        await asyncio.sleep(0)
        return before["s"]

    found = await asyncio.gather(*(connection.transaction(work) for _ in range(12)))

    assert sorted(found) == list(range(12))


@pytest.mark.parametrize("command", ["insert", "find", "commitTransaction"])
async def test_a_transaction_whose_session_another_process_ended_is_done_once(
    connection, mongodb, command
):
    async def work(session):
        before = await connection.find("resource", {}, session=session)
        with told():
            await connection["resource"].insert_one({"_id": "Patient/a"}, session=session)
        return before

    with failing(mongodb, command, 11601, times=1):
        assert await connection.transaction(work) == []

    assert await connection.find("resource", {}) == [{"_id": "Patient/a"}]


@pytest.mark.parametrize("code", [6, 43, 134, 175, 237, 371, 11601, 14031])
async def test_a_passing_fault_of_the_servers_is_unavailable(connection, mongodb, code):
    with failing(mongodb, "find", code), pytest.raises(Unavailable, match=r"cannot .* now$"):
        await connection.find("resource", {})

    assert await connection.find("resource", {}) == []


async def test_a_change_stream_that_was_refused_is_asked_for_again(
    connection, mongodb, monkeypatch
):
    monkeypatch.setattr(streams, "_REFUSED_S", 0.01)
    heard = asyncio.Event()
    stream = streams.Stream(connection, "hub", [], heard.set)
    with failing(mongodb, "aggregate", 40573, times=1):
        stream.start()
        await asyncio.wait_for(heard.wait(), parts.PATIENCE_S)
    assert stream.is_open
    await stream.close()


async def test_more_keys_than_an_index_takes_of_a_document_are_too_large(connection, mongodb):
    with failing(mongodb, "insert", 201), pytest.raises(TooLarge, match="100,000"), told():
        await connection["resource"].insert_one({"_id": "Patient/a"})


async def test_a_question_of_more_than_16_mb_is_too_large(connection):
    with pytest.raises(TooLarge, match="16 MB"):
        await connection.find("resource", {"x": "y" * 17_000_000})


async def test_a_refusal_tells_its_number_and_no_value(connection):
    await connection["resource"].insert_one({"_id": "Shen Guofang"})

    with pytest.raises(Refused, match=r"code 2$") as refused:
        await connection.find("resource", {"$and": "Shen Guofang"})

    assert refused.value.__suppress_context__


async def test_a_closed_connection_says_so(connection):
    await connection.close()

    with pytest.raises(Closing):
        await connection.find("resource", {})


async def test_a_server_that_is_not_there_is_unavailable():
    address = "mongodb://127.0.0.1:1/x?serverSelectionTimeoutMS=10&directConnection=true"
    url, name, driver = read_address(address)
    opened = connect(url, name, driver)

    with pytest.raises(Unavailable):
        await opened.find("resource", {})
    with pytest.raises(CannotOpen, match="cannot open the database x of MongoDB"):
        prepare(url, name)
    await opened.close()


def test_opening_twice_changes_nothing(mongo_url):
    url, name, _ = read_address(mongo_url)
    prepare(url, name)
    prepare(url, name)


async def test_a_database_of_a_newer_version_is_refused(connection, mongo_url):
    await connection["hub"].update_one({"_id": "schema"}, {"$set": {"version": SCHEMA + 1}})

    with pytest.raises(CannotOpen, match="newer version"):
        prepare(*read_address(mongo_url)[:2])


@pytest.mark.parametrize(
    "address",
    [
        "mongodb://user:secret@",
        "mongodb://user:secret@host:x/hub",
        "mongodb://user:secret@host/hub?driver=mongo",
        "mongodb://user:sec:ret@host/hub",
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(address):
    with pytest.raises(CannotOpen, match=r"/ .*[\u4e00-\u9fff]") as refused:
        read_address(address)

    assert "sec" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_an_address_tells_its_database_and_driver():
    assert read_address("mongodb://a,b:2/x?replicaSet=r&driver=pymongo") == (
        "mongodb://a,b:2/x?replicaSet=r",
        "x",
        "pymongo",
    )
    assert read_address("mongodb://a")[1:] == ("fhir_hub", "motor")


async def test_who_finishes_what_was_left_says_that_an_end_was_refused(mongodb, mongo_url):
    raw = b"MSH|^~\\&|LIS|X|||20250314||ZZZ^Z99|C1|P|2.5\r"
    async with open_backend(mongo_url) as backend:
        await backend.journal.keep(Received("mllp", "k", "d", 1, raw))

    settings = load_settings(None, {"store": mongo_url}, {})
    async with open_backend(mongo_url) as backend:
        hub = build(settings, backend, Logs("critical", "json"))
        with failing(mongodb, "commitTransaction", 8000), pytest.raises(Unavailable):
            await hub.finish_left()
        await hub.receiver.close()
        (entered,) = await backend.journal.pending()
        assert entered.error == ""  # not taken for the end of a process
