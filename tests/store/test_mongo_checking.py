"""A look at a database on MongoDB comes in pieces, and is right while others write to it."""

import asyncio
import os
import random

import pytest

from fhir_hub.clock import from_microseconds, instant
from fhir_hub.store.base import Change, Key
from fhir_hub.store.mongo.agreement import NOT_LAST, OF_NOBODY
from fhir_hub.store.mongo.checking import Checking, opened
from fhir_hub.store.mongo.mending import mend
from fhir_hub.store.mongo.opening import open_mongo
from fhir_hub.store.mongo.tally import Tally, order_now, tallied

# the stand-in has no snapshot outside a transaction: a batch is torn by what is written meanwhile
TORN = set() if "FHIR_HUB_TEST_MONGODB" in os.environ else {NOT_LAST.name, OF_NOBODY.name}
TYPES = ("Basic", "Device", "Patient")


def silent(*told: object) -> None:
    pass


def content(resource_type: str, logical_id: str, version_id: int) -> bytes:
    meta = f'{{"versionId":"{version_id}","lastUpdated":"{instant(from_microseconds(1))}"}}'
    return f'{{"resourceType":"{resource_type}","id":"{logical_id}","meta":{meta}}}'.encode()


class Writer:
    """Creates, updates, deletes and creates again, at random."""

    def __init__(self, store) -> None:
        self._store, self._chance = store, random.Random(7)

    async def write(self) -> None:
        key = Key(self._chance.choice(TYPES), f"r{self._chance.randrange(20)}")
        before = await self._store.read(key)
        version_id = before.version_id + 1 if before else 1
        if before and not before.is_deleted and self._chance.random() < 0.5:
            change = Change(*key, version_id, 1, "DELETE")
        else:
            change = Change(*key, version_id, 1, "PUT", content(*key, version_id))
        await self._store.write([change])


@pytest.fixture
async def writer(mongo_url):
    store, *_ = open_mongo(mongo_url)
    made = Writer(store)
    for _ in range(40):
        await made.write()
    yield made
    await store.close()


async def test_nothing_disagrees_while_others_write(mongo_url, writer):
    async with opened(mongo_url) as connection:
        checking = Checking(connection, lambda stored: (), silent, batch=3)
        written = 0

        async def look() -> set[str]:
            found = set()
            while written < 20:
                found |= {one.rule async for one in checking.findings()}
            return found

        async def write() -> None:
            nonlocal written
            while written < 20:
                await writer.write()
                written += 1

        found, _ = await asyncio.gather(look(), write())
        order = await order_now(connection)

    assert found <= TORN
    assert order["s"] == 60


async def test_a_tally_of_then_is_led_to_now(mongo_url, writer):
    async with opened(mongo_url) as connection:
        before = await tallied(connection)
        order = await order_now(connection)
        assert (before.sequence, before.counts()) == (40, _counts(order))
        old = Tally(0)
        for _ in range(20):
            await writer.write()
        order = await order_now(connection)
        for tally in (before, old):
            await tally.advance(connection, order["s"])

            assert tally.counts() == _counts(order)
        assert await mend(connection, silent, lambda entered: ()) == 0


def _counts(order) -> dict[str, int]:
    return {name: count for name, count in order["c"].items() if count}
