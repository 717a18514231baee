"""Set right what disagrees in a database on MongoDB and what is there can tell.

Each resource, and the counters, in a transaction of its own that begins as every commit does, by
changing the document `order`: it comes between commits, and looks again before it writes. May be
stopped, and begun again. Entries and what is known of intervals are no part of it: a pass over
the contents makes them anew.
"""

from dataclasses import replace

import pymongo

from fhir_hub.search.parameters import EVERY_TYPE
from fhir_hub.store.base import PARAMETERS
from fhir_hub.store.findings import Finding, Progress
from fhir_hub.store.journal import TurnsOf
from fhir_hub.store.mongo.agreement import (
    COUNTER,
    COUNTS,
    END,
    GENERATION,
    INDEX,
    NOT_LAST,
    OF_NOBODY,
    as_last,
    ends_of,
    version_of,
)
from fhir_hub.store.mongo.checking import Checking, last_sequence
from fhir_hub.store.mongo.documents import of_version
from fhir_hub.store.mongo.driver import Connection, Document, Session, told
from fhir_hub.store.mongo.journal_checking import NOT_UNDER_WAY, TURN_OF_NOBODY
from fhir_hub.store.mongo.messages import MESSAGE, NUMBERS, UNDER_WAY, left_over, with_bytes
from fhir_hub.store.mongo.schema import HUB, INDEXES, ORDER, RESOURCE, VERSION
from fhir_hub.store.mongo.tally import Tally, order_now, tallied
from fhir_hub.store.mongo.waiting import touch

_BUILD_S = 7 * 86_400  # an index of very many resources


async def mend(connection: Connection, progress: Progress, turns_of: TurnsOf) -> int:
    """Set right what can be; return how much it was. Then a pass over the contents is due.

    `turns_of` says what orders a message that is still to be done.
    """
    checking = Checking(connection, lambda stored: (), progress, {EVERY_TYPE})
    found = [one async for one in checking.findings() if one.can_be_mended]
    keys = dict.fromkeys([await _key(connection, one) for one in found])
    mended = 0
    for key in filter(None, keys):
        mended += await connection.transaction(_Resource(connection, key).mend)
    rules = {one.rule for one in found}
    if mended or rules & {COUNTS.name, COUNTER.name, GENERATION.name}:
        tally = await tallied(connection)
        await tally.advance(connection, (await order_now(connection))["s"])
        mended += await connection.transaction(_Counters(connection, tally).mend)
    if INDEX.name in rules:
        for collection, indexes in INDEXES.items():
            if indexes:
                with told(), pymongo.timeout(_BUILD_S):
                    await connection[collection].create_indexes(indexes)
        mended += sum(one.rule == INDEX.name for one in found)
    for one in found:
        if one.rule in (NOT_UNDER_WAY.name, TURN_OF_NOBODY.name):
            number = int(one.where.removeprefix("message "))
            mended += await connection.transaction(_Turn(connection, number, turns_of).mend)
    return mended


async def _key(connection: Connection, finding: Finding) -> str:
    """Return which resource a finding is about, empty if it is about none."""
    if finding.rule in (NOT_LAST.name, END.name):
        return finding.where
    if finding.rule != OF_NOBODY.name:
        return ""
    sequence = int(finding.where.removeprefix("sequence "))
    version = await connection.find_one(VERSION, {"_id": sequence}, fields=["k"])
    return str(version["k"]) if version else ""


async def _begin(connection: Connection, session: Session) -> Document:
    """Take the place in the order of commits; return the counters."""
    with told():
        order: Document = await connection[HUB].find_one_and_update(
            {"_id": ORDER}, {"$inc": {"l": 1}}, session=session
        )
    return order


class _Resource:
    """The current document of a resource, and the ends of its versions."""

    def __init__(self, connection: Connection, key: str) -> None:
        self._connection, self._key = connection, key

    async def mend(self, session: Session) -> int:
        """Make them what the versions say; return 1 if they were not."""
        connection, key = self._connection, self._key
        order = await _begin(connection, session)
        found = await connection.find(VERSION, {"k": key}, sort=[("v", 1)], session=session)
        if not found:
            return 0
        mended = 0
        for one, ends in zip(found, ends_of([version_of(v) for v in found]), strict=True):
            own = {"t": key.partition("/")[0], "e": ends}
            if own != {"t": one["t"], "e": one.get("e")}:
                with told():
                    await connection[VERSION].update_one(
                        {"_id": one["_id"], "k": key}, {"$set": own}, session=session
                    )
                mended = 1
        document = await connection.find_one(RESOURCE, {"_id": key}, session=session)
        made = as_last(document, of_version(found[-1]), order["n"] + 1)
        if document == made:
            return mended
        with told():
            await connection[RESOURCE].replace_one({"_id": key}, made, upsert=True, session=session)
            if document is None:
                await connection[HUB].update_one(
                    {"_id": ORDER}, {"$inc": {"n": 1}}, session=session
                )
        return 1


class _Counters:
    """The counters of commits and of messages, by a tally of a moment ago."""

    def __init__(self, connection: Connection, tally: Tally) -> None:
        self._connection, self._tally = connection, tally

    async def mend(self, session: Session) -> int:
        """Make them what they count; never less, for a number is given once. Return 1 or 0."""
        connection, tally = self._connection, self._tally.copy()  # this may be done again
        order = await _begin(connection, session)
        sequence = await last_sequence(connection, {}, session)
        await tally.advance(connection, sequence, session)
        mended = {"s": max(order["s"], sequence), "n": max(order["n"], tally.place)}
        mended["g"] = await last_sequence(connection, {"t": PARAMETERS}, session)
        last, _ = await touch(connection, session)
        newest = await connection.find(
            MESSAGE, {}, fields=["_id"], sort=[("_id", -1)], limit=1, session=session
        )
        number = max(last, newest[0]["_id"] if newest else 0)
        counts = {name: count for name, count in order["c"].items() if count}
        is_sound = mended == {name: order[name] for name in mended} and number == last
        if is_sound and counts == tally.counts():
            return 0
        mended |= {"c": tally.counts()}
        with told():
            await connection[HUB].update_one({"_id": ORDER}, {"$set": mended}, session=session)
            await connection[HUB].update_one(
                {"_id": NUMBERS}, {"$set": {"n": number}}, session=session
            )
        return 1


class _Turn:
    """The turn of a message that is to be done, or of none."""

    def __init__(self, connection: Connection, number: int, turns_of: TurnsOf) -> None:
        self._connection, self._number, self._turns_of = connection, number, turns_of

    async def mend(self, session: Session) -> int:
        """Give a message that is to be done a turn, the last; take it from what is no message."""
        connection, number = self._connection, self._number
        _, turn = await touch(connection, session)
        message = await connection.find_one(MESSAGE, {"_id": number}, session=session)
        there = await connection.find_one(UNDER_WAY, {"_id": number}, session=session)
        is_open = message is not None and message["state"] == "received"
        if is_open == (there is not None):
            return 0
        with told():
            if message is None:
                await connection[UNDER_WAY].delete_one({"_id": number}, session=session)
                return 1
            (whole,) = await with_bytes(connection, [message], session)
            ordered = replace(whole.message, turns=self._turns_of(whole))
            own = left_over(replace(whole, message=ordered), turn + 1)
            await connection[UNDER_WAY].insert_one(own, session=session)
            await connection[HUB].update_one(
                {"_id": NUMBERS}, {"$set": {"t": turn + 1}}, session=session
            )
        return 1
