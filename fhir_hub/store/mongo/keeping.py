"""Messages that come at once are kept in one transaction, each with the next number.

The transaction begins by changing the document that holds the last number, so of two
transactions, of whatever processes, one comes after the other and sees what the first has kept:
numbers have no gaps, and of two equal messages one is the first. Those that gather while a
transaction is under way are the next one; that is what makes many a second possible.
"""

from collections.abc import Callable, Iterable
from functools import partial

from fhir_hub.errors import Unavailable
from fhir_hub.store.base import Conflict, State
from fhir_hub.store.groups import Groups, Job
from fhir_hub.store.journal import CORRECTABLE, Entered, Kept, Received
from fhir_hub.store.mongo.driver import Connection, Document, Session
from fhir_hub.store.mongo.messages import (
    MESSAGE,
    NUMBERS,
    RAW,
    UNDER_WAY,
    counts,
    document,
    pieces,
    with_bytes,
)
from fhir_hub.store.mongo.schema import HUB
from fhir_hub.store.mongo.waiting import awaited_words, touch

_GROUP_BYTES = 16 << 20
_LEAST_BYTES = 256 << 10  # what a small message counts for: so 64 are a group
_MOST_REPLACED = 1000  # a chain of corrected texts is short
_OF_BEFORE = ("key", "digest", "state", "replaced_by", "error")


class Keeper:
    """Keeps messages in groups; `holder_of` is who is at work on them."""

    def __init__(self, connection: Connection, holder_of: Callable[[], str]) -> None:
        self._connection, self._holder_of = connection, holder_of
        self._groups = Groups(self._write, _GROUP_BYTES)

    async def keep(self, message: Received) -> Kept:
        """Store the message durably, unless it is a duplicate."""
        kept: Kept = await self._groups.run(message, max(len(message.raw), _LEAST_BYTES))
        return kept

    async def close(self) -> None:
        """Keep what waits."""
        await self._groups.close()

    async def _write(self, group: list[Job[Received]]) -> None:
        """Keep a group; if MongoDB does not take it, one by one: only the one at fault fails."""
        try:
            await self._connection.transaction(partial(self._keep, group))
        except Unavailable:
            raise
        except Exception:
            if len(group) == 1:
                raise
            await self._write_apart(group)

    async def _write_apart(self, group: list[Job[Received]]) -> None:
        for place, job in enumerate(group):
            try:
                await self._write([job])
            except Unavailable as error:
                for later in group[place:]:  # none overtakes one that comes again
                    later.error = error
                return
            except Exception as error:
                job.error = error

    async def _keep(self, group: list[Job[Received]], session: Session) -> None:
        await _Group(self._connection, session, self._holder_of()).keep(group)


class _Group:
    """One transaction that keeps some messages."""

    def __init__(self, connection: Connection, session: Session, holder: str) -> None:
        self._connection, self._session, self._holder = connection, session, holder
        self._known: dict[int, Document] = {}  # those with the keys of the group
        self._new: list[Entered] = []
        self._under_way: list[Document] = []

    async def keep(self, group: list[Job[Received]]) -> None:
        """Give every job its result."""
        number, turn = await touch(self._connection, self._session)
        await self._read([job.work for job in group])
        words = {word for job in group for word in job.work.turns}
        awaited = await awaited_words(self._connection, words, self._session)
        for job in group:
            job.result = job.error = None  # a transaction may be done again
            try:
                job.result = await self._kept(job.work, number + 1, turn + 1, awaited)
            except Conflict as error:
                job.error = error
                continue
            if not job.result.is_duplicate:
                number += 1
                turn += 1
        await self._insert(group, number, turn)

    async def _kept(self, message: Received, number: int, turn: int, awaited: set[str]) -> Kept:
        if message.replaces:
            old = await self._one(message.replaces)
            if old is None or old["state"] not in CORRECTABLE:
                raise Conflict("only a message that is not done may be replaced")
        before = await self._before(message)
        if before is not None:
            return Kept(await self._whole(before), is_duplicate=True)
        is_changed = (
            bool(message.key)
            and not message.replaces
            and any(
                one["key"] == message.key and one["digest"] != message.digest
                for one in self._known.values()
                if one["state"] != "quarantined"
            )
        )
        state: State = "quarantined" if is_changed else "received"
        entered = Entered(number, message, state, size_bytes=len(message.raw))
        self._new.append(entered)
        self._known[number] = {
            "_id": number,
            "key": message.key,
            "digest": message.digest,
            "state": state,
            "replaced_by": 0,
            "error": "",
        }
        if message.replaces:
            became = {"state": "replaced", "replaced_by": number}
            self._known[message.replaces] = {**(old or {}), **became}
            await self._connection[MESSAGE].update_one(
                {"_id": message.replaces}, {"$set": became}, session=self._session
            )
        if is_changed:
            return Kept(entered, is_changed=True)
        words = list(dict.fromkeys(message.turns))
        self._under_way.append(
            {"_id": number, "turn": turn, "words": words, "holder": self._holder}
        )
        is_free = not awaited.intersection(words)
        awaited.update(words)
        return Kept(entered, is_free=is_free)

    async def _insert(self, group: list[Job[Received]], number: int, turn: int) -> None:
        connection, session = self._connection, self._session
        if not self._new:
            return
        owing = {
            job.result.entered.number
            for job in group
            if isinstance(job.result, Kept) and job.work.owes
            if not job.result.is_duplicate and not job.result.is_changed
        }
        raws = [piece for one in self._new for piece in pieces(one.number, one.message.raw)]
        entered = [document(one, owes=one.number in owing) for one in self._new]
        await connection[MESSAGE].insert_many(entered, session=session)
        if raws:
            await connection[RAW].insert_many(raws, session=session)
        if self._under_way:
            await connection[UNDER_WAY].insert_many(self._under_way, session=session)
        await connection[HUB].update_one(
            {"_id": NUMBERS}, {"$set": {"n": number, "t": turn}}, session=session
        )

    async def _read(self, messages: Iterable[Received]) -> None:
        keys = sorted({one.key for one in messages if one.key})
        digests = sorted({one.digest for one in messages if not one.key})
        alike: list[Document] = []
        if keys:
            alike.append({"key": {"$in": keys}})
        if digests:
            alike.append({"key": "", "digest": {"$in": digests}})
        found = await self._connection.find(
            MESSAGE, {"$or": alike}, fields=_OF_BEFORE, session=self._session
        )
        self._known = {one["_id"]: one for one in found}

    async def _one(self, number: int) -> Document | None:
        return self._known.get(number) or await self._connection.find_one(
            MESSAGE, {"_id": number}, fields=_OF_BEFORE, session=self._session
        )

    async def _before(self, message: Received) -> int | None:
        """Return the number of the message that came before and is the same, if one counts."""
        for number in sorted(self._known):
            one: Document | None = self._known[number]
            assert one is not None
            if (one["key"], one["digest"]) != (message.key, message.digest):
                continue
            for _ in range(_MOST_REPLACED):
                if one is None or one["state"] != "replaced":
                    break
                one = await self._one(one["replaced_by"])
            if one is not None and counts(one):
                return int(one["_id"])
        return None

    async def _whole(self, number: int) -> Entered:
        own = next((one for one in self._new if one.number == number), None)
        if own is not None:
            return own
        found = await self._connection.find(MESSAGE, {"_id": number}, session=self._session)
        return (await with_bytes(self._connection, found, self._session))[0]
