"""Whose turn it is, over all processes: the documents of `under_way` say.

Each holds the words that order a message and its turn, a number that grows with every message
that is kept or opened again. A message waits while one with a word of its own and an earlier turn
is there; the end of a message removes its own, in the transaction that writes what it made.

Who waits looks again when a message has ended here, when the change stream tells of one that
ended elsewhere, and after a while whatever happens; where there are no change streams, that
while is short.

Spec: https://www.mongodb.com/docs/manual/changeStreams/
"""

import asyncio
import contextlib
from collections.abc import Collection

from pymongo.errors import PyMongoError

from fhir_hub.errors import Unavailable
from fhir_hub.store.mongo.driver import Connection, Refused, Session
from fhir_hub.store.mongo.messages import NUMBERS, UNDER_WAY
from fhir_hub.store.mongo.schema import HUB

_POLL_S, _LOOK_S = 0.05, 2.0
_AWAIT_MS = 1000
_ENDS = [{"$match": {"operationType": "delete"}}]


async def touch(connection: Connection, session: Session) -> tuple[int, int]:
    """Return the last number and the last turn; until this transaction ends no other gives one."""
    found = await connection[HUB].find_one_and_update(
        {"_id": NUMBERS}, {"$inc": {"w": 1}}, session=session
    )
    return found["n"], found["t"]


async def awaited_words(
    connection: Connection, words: Collection[str], session: Session
) -> set[str]:
    """Return those of `words`, and others, that a message under way has."""
    if not words:
        return set()
    found = await connection.find(
        UNDER_WAY, {"words": {"$in": list(words)}}, fields=["words"], session=session
    )
    return {word for one in found for word in one["words"]}


class Waiting:
    """Those who wait for their turn in this process."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._awaited: set[asyncio.Future[None]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._pause_s = _POLL_S

    async def wait(self, number: int) -> None:
        """Return when nothing that came before the message and shares a word is under way."""
        own = await self._connection.find_one(UNDER_WAY, {"_id": number})
        if own is None:
            return
        before = {"words": {"$in": own["words"]}, "turn": {"$lt": own["turn"]}}
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        while True:
            awaited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._awaited.add(awaited)  # before the question: what ends meanwhile is heard of
            try:
                first = await self._connection.find_one(UNDER_WAY, before, fields=["_id"])
                if first is None or not await self._is_there(number):
                    return
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause_s):
                        await awaited
            finally:
                self._awaited.discard(awaited)

    def ended(self) -> None:
        """Let all look again: a message has ended."""
        for awaited in self._awaited:
            if not awaited.done():
                awaited.set_result(None)

    async def close(self) -> None:
        """Watch no more."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])

    async def _is_there(self, number: int) -> bool:
        found = await self._connection.find_one(UNDER_WAY, {"_id": number}, fields=["_id"])
        return found is not None

    async def _watch(self) -> None:
        """Hear of what ends in other processes. Endless, unless there are no change streams."""
        while True:
            try:
                stream = await self._connection.watch(UNDER_WAY, _ENDS, max_await_time_ms=_AWAIT_MS)
                self._pause_s = _LOOK_S
                async with stream:
                    async for _ in stream:
                        self.ended()
            except Refused:  # there are none: looking again soon is all
                self._pause_s = _POLL_S
                return
            except (Unavailable, PyMongoError):
                self._pause_s = _POLL_S
            await asyncio.sleep(_LOOK_S)
