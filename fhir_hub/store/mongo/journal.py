"""Received messages on MongoDB, for any number of processes on any number of machines.

What tells two processes apart is in the database alone: the last number, who holds what, whose
turn it is. So each process may keep, do and finish messages by itself, and if it dies another
finds what it held (`crew.py`).

Spec: HL7v2 chapter 2, message control id (MSH-10) and acknowledgments
"""

from collections.abc import Collection, Mapping, Sequence

from fhir_hub.store.base import Conflict, Finish
from fhir_hub.store.journal import CORRECTABLE, COUNTED, Entered, Kept, Pruned, Received, Selection
from fhir_hub.store.mongo.crew import MongoCrew
from fhir_hub.store.mongo.driver import Connection, Document, Session, told
from fhir_hub.store.mongo.finishing import finish_in
from fhir_hub.store.mongo.keeping import Keeper
from fhir_hub.store.mongo.messages import (
    MESSAGE,
    NUMBERS,
    RAW,
    UNDER_WAY,
    WITH_BYTES,
    condition,
    counts,
    document,
    entered,
    left_over,
    pieces,
    remove_bytes,
    with_bytes,
)
from fhir_hub.store.mongo.schema import HUB
from fhir_hub.store.mongo.waiting import Waiting, awaited_words, touch

_MOST_REPLACED = 1000


class MongoJournal:
    """The journal of a database. `ended` is called when a message's end is durable."""

    def __init__(self, connection: Connection, crew: MongoCrew) -> None:
        self._connection, self._crew = connection, crew
        self._keeper = Keeper(connection, lambda: crew.name)
        self._waiting = Waiting(connection)

    async def keep(self, message: Received, *, is_early: bool = False) -> Kept:
        """Store the message durably, unless it is a duplicate. Atomic: one of two is the first."""
        await self._crew.join()
        return await self._keeper.keep(message)

    async def turn(self, number: int) -> None:
        """Wait until what came before, in any process, and shares a turn is finished."""
        await self._waiting.wait(number)

    async def finish(self, finish: Finish) -> None:
        """Record the end of a message. Raises `Conflict` if it has ended, or is unknown."""
        await self._connection.transaction(
            lambda session: finish_in(self._connection, session, finish)
        )
        self.ended(finish.number)

    async def finish_in(self, session: Session, finish: Finish) -> None:
        """Write the end of a message in the transaction of `session`; then call `ended`."""
        await finish_in(self._connection, session, finish)

    def ended(self, number: int) -> None:
        """Let those go on who wait for a message: its end was written with its resources."""
        self._waiting.ended()

    async def note(self, number: int, reason: str) -> None:
        """Record durably what is known of a message that has not ended."""
        where = {"_id": number, "state": "received"}
        with told():
            await self._connection[MESSAGE].update_one(where, {"$set": {"error": reason}})

    async def elsewhere(self, number: int) -> None:
        """Wait until no other process holds the message, which one that is gone may have left."""
        await self._waiting.wait_while({"_id": number, "holder": {"$ne": self._crew.name}})

    async def reopen(self, number: int, turns: tuple[str, ...], *, again: bool = False) -> Kept:
        """Make an ended message `received`, after all that is under way; return it."""
        await self._crew.join()
        return await self._connection.transaction(
            lambda session: self._reopen(session, number, turns, again)
        )

    async def owed(self) -> list[Entered]:
        """Return the messages that have ended and whose end is still to be told, oldest first."""
        return await self._find({"owes": True, "state": {"$ne": "received"}})

    async def settle(self, number: int) -> None:
        """Record that the end of a message was told, or will not be."""
        with told():
            await self._connection[MESSAGE].update_one({"_id": number}, {"$unset": {"owes": ""}})

    async def pending(self) -> list[Entered]:
        """Return the messages that were received and not finished, oldest first."""
        return await self._find({"state": "received"})

    async def find(self, number: int) -> Entered | None:
        """Return one message."""
        found = await self._find({"_id": number})
        return found[0] if found else None

    async def recent(self, *, count: int = 20, before: int = 0, state: str = "") -> list[Entered]:
        """Return messages, newest first, with a number below `before` (0: from the newest)."""
        selection = Selection((state,) if state else ())
        return await self.select(selection, count=count, beyond=before, with_raw=True)

    async def select(
        self,
        selection: Selection,
        *,
        count: int = 100,
        beyond: int = 0,
        is_oldest_first: bool = False,
        with_raw: bool = False,
    ) -> list[Entered]:
        """Return the first messages of a selection, newest first, beyond the number `beyond`."""
        where = condition(selection)
        if beyond:
            where = {"$and": [where, {"_id": {"$gt" if is_oldest_first else "$lt": beyond}}]}
        order = [("_id", 1 if is_oldest_first else -1)]
        found = await self._connection.find(MESSAGE, where, sort=order, limit=count)
        if with_raw:
            return await with_bytes(self._connection, found)
        return [entered(one) for one in found]

    async def prune(self, before: Mapping[str, int], forget: int, *, most: int = 500) -> Pruned:
        """Remove old messages, at most `most` of each kind; both zero: there are no more."""
        return await self._connection.transaction(
            lambda session: self._prune(session, before, forget, most)
        )

    async def tally(self) -> dict[str, int]:
        """Return how many messages are in each state of which there are few."""
        with told():
            return {
                state: await self._connection[MESSAGE].count_documents({"state": state})
                for state in COUNTED
            }

    async def shrink(self) -> int:
        """Give nothing back: MongoDB uses the space for what comes, or `compact` gives it back."""
        return 0

    async def owing(self) -> frozenset[int]:
        """Return the numbers of the messages whose end is to be told, ended or not."""
        found = await self._connection.find(MESSAGE, {"owes": True}, fields=["_id"])
        return frozenset(one["_id"] for one in found)

    async def adopt(self, messages: Sequence[Entered], owing: Collection[int] = ()) -> None:
        """Put messages of another journal as they are there, under their own numbers."""
        numbers = [one.number for one in messages]
        made = [document(one, owes=one.number in owing) for one in messages]
        raws = [piece for one in messages for piece in pieces(one.number, one.message.raw)]

        open_ones = [one for one in messages if one.state == "received"]

        async def work(session: Session) -> None:
            connection = self._connection
            last, turn = await touch(connection, session)
            await remove_bytes(connection, numbers, session)
            await connection[MESSAGE].delete_many({"_id": {"$in": numbers}}, session=session)
            await connection[MESSAGE].insert_many(made, session=session)
            if raws:
                await connection[RAW].insert_many(raws, session=session)
            await connection[UNDER_WAY].delete_many({"_id": {"$in": numbers}}, session=session)
            if open_ones:  # held by nobody: who leads does them
                left = [left_over(one, at) for at, one in enumerate(open_ones, turn + 1)]
                await connection[UNDER_WAY].insert_many(left, session=session)
            now = {"n": max(last, *numbers), "t": turn + len(open_ones)}
            await connection[HUB].update_one({"_id": NUMBERS}, {"$set": now}, session=session)

        if messages:
            await self._connection.transaction(work)

    async def close(self) -> None:
        """Keep what waits to be kept, and watch no more."""
        await self._keeper.close()
        await self._waiting.close()

    async def _find(self, where: Document) -> list[Entered]:
        found = await self._connection.find(MESSAGE, where, sort=[("_id", 1)])
        return await with_bytes(self._connection, found)

    async def _prune(
        self, session: Session, before: Mapping[str, int], forget: int, most: int
    ) -> Pruned:
        connection, order = self._connection, [("_id", 1)]
        emptied: list[int] = []
        for state, moment in before.items():
            if state == "received" or not (left := most - len(emptied)):
                continue
            old = {"state": state, "received": {"$lt": moment}, **WITH_BYTES}
            found = await connection.find(
                MESSAGE, old, fields=["_id"], sort=order, limit=left, session=session
            )
            emptied += [one["_id"] for one in found]
        if emptied:
            await connection[MESSAGE].update_many(
                {"_id": {"$in": emptied}}, {"$set": {"is_kept": False}}, session=session
            )
            await remove_bytes(connection, emptied, session)
        numbers = await connection.find_one(HUB, {"_id": NUMBERS}, session=session)
        assert numbers is not None
        gone = {
            "received": {"$lt": forget},
            "is_kept": False,
            "state": {"$ne": "received"},
            "_id": {"$lt": numbers["n"]},
        }
        found = await connection.find(
            MESSAGE, gone, fields=["_id"], sort=order, limit=most, session=session
        )
        forgotten = [one["_id"] for one in found]
        if forgotten:
            await connection[MESSAGE].delete_many({"_id": {"$in": forgotten}}, session=session)
        return Pruned(len(emptied), len(forgotten))

    async def _reopen(
        self, session: Session, number: int, turns: tuple[str, ...], again: bool
    ) -> Kept:
        connection = self._connection
        _, turn = await touch(connection, session)
        found = await connection.find(MESSAGE, {"_id": number}, session=session)
        if not found or (found[0]["size_bytes"] and not found[0]["is_kept"]):
            raise Conflict("the message is unknown, or its bytes are not kept any more")
        state = found[0]["state"]
        if state != "done":
            if state not in CORRECTABLE:
                raise Conflict(f"the message is {state}")
            if await self._is_elsewhere(session, found[0]):
                raise Conflict("the same message is done under another number")
            found[0]["state"] = "received"
            await connection[MESSAGE].update_one(
                {"_id": number}, {"$set": {"state": "received"}}, session=session
            )
        elif not again:
            raise Conflict("the message is done")
        is_free = await self._enter(session, number, turn + 1, turns)
        whole = await with_bytes(connection, found, session)
        return Kept(whole[0], is_free=is_free)

    async def _enter(
        self, session: Session, number: int, turn: int, turns: tuple[str, ...]
    ) -> bool:
        """Put a message after all that is under way; return whether it need not wait."""
        connection = self._connection
        there = await connection.find_one(UNDER_WAY, {"_id": number}, session=session)
        words = list(dict.fromkeys(turns)) if there is None else there["words"]
        if there is None:
            awaited = await awaited_words(connection, words, session)
            entry = {"_id": number, "turn": turn, "words": words, "holder": self._crew.name}
            await connection[UNDER_WAY].insert_one(entry, session=session)
            await connection[HUB].update_one(
                {"_id": NUMBERS}, {"$set": {"t": turn}}, session=session
            )
            return not awaited.intersection(words)
        before = {"words": {"$in": words}, "turn": {"$lt": there["turn"]}}
        return await connection.find_one(UNDER_WAY, before, session=session) is None

    async def _is_elsewhere(self, session: Session, message: Document) -> bool:
        """Return whether a message that says the same counts, or one in the stead of such a one."""
        alike = {"key": message["key"], "digest": message["digest"], "_id": {"$ne": message["_id"]}}
        for one in await self._connection.find(MESSAGE, alike, session=session):
            found: Document | None = one
            for _ in range(_MOST_REPLACED):
                if found is None or found["state"] != "replaced":
                    break
                where = {"_id": found["replaced_by"]}
                found = await self._connection.find_one(MESSAGE, where, session=session)
            if found is not None and counts(found):
                return True
        return False
