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
from collections.abc import Awaitable, Callable, Collection

from fhir_hub.store.mongo.driver import Connection, Document, Session
from fhir_hub.store.mongo.messages import NUMBERS, UNDER_WAY
from fhir_hub.store.mongo.schema import HUB
from fhir_hub.store.mongo.streams import LOOK_S, Stream

_POLL_S = 0.05
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
        self._stream = Stream(connection, UNDER_WAY, _ENDS, self.ended)

    async def wait(self, number: int) -> None:
        """Return when nothing that came before the message and shares a word is under way."""
        own = await self._connection.find_one(UNDER_WAY, {"_id": number})
        if own is None:
            return
        before = {"words": {"$in": own["words"]}, "turn": {"$lt": own["turn"]}}
        await self._until(lambda: self._is_turn(number, before))

    async def wait_while(self, where: Document) -> None:
        """Return when no message under way is as `where` says."""
        await self._until(lambda: self._is_none(where))

    async def _until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        self._stream.start()
        while True:
            awaited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._awaited.add(awaited)  # before the question: what ends meanwhile is heard of
            try:
                if await holds():
                    return
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S if self._stream.is_open else _POLL_S):
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
        await self._stream.close()

    async def _is_turn(self, number: int, before: Document) -> bool:
        return await self._is_none(before) or await self._is_none({"_id": number})

    async def _is_none(self, where: Document) -> bool:
        return await self._connection.find_one(UNDER_WAY, where, fields=["_id"]) is None
