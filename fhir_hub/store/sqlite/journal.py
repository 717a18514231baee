"""Received messages in table `message`; written through the one writer, like everything.

Their bytes are in a table of their own, so that a listing reads short rows, the end of a
message writes one, and old bytes go without what tells that the message came before. The pages
that they leave hold the next messages, or are given back (`shrink`).

Spec: HL7v2 chapter 2, message control id (MSH-10) and acknowledgments
"""

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

import apsw

from fhir_hub import fhirjson
from fhir_hub.store.base import Conflict, Finish, Key, State
from fhir_hub.store.journal import CORRECTABLE, COUNTED, Entered, Kept, Pruned, Received, Selection
from fhir_hub.store.sqlite.adopting import adopt
from fhir_hub.store.sqlite.compacting import free_pages
from fhir_hub.store.sqlite.duplicates import number_before
from fhir_hub.store.sqlite.early import Early
from fhir_hub.store.sqlite.readers import Readers
from fhir_hub.store.sqlite.reads import Reader
from fhir_hub.store.sqlite.selections import condition, first_since, latest
from fhir_hub.store.sqlite.sql import Bound
from fhir_hub.store.sqlite.writer import ALONE, Writer
from fhir_hub.store.turns import Turns

_OF_MESSAGE = "channel, key, digest, received, type, application, facility, control_id, direction"
_COLUMNS = (
    f"message.number, {_OF_MESSAGE}, replaces, state, ack, error, links,"
    " finished, attempts, maps, replaced_by, size"
)
_SOURCE = "message LEFT JOIN message_raw USING (number)"
_OF_KEY = "SELECT 1 FROM message WHERE key = ? LIMIT 1"  # of nearly every message there is none
_IS_NEW = f"SELECT (SELECT max(number) FROM message), EXISTS ({_OF_KEY})"
_OTHER_OF_KEY = (
    "SELECT 1 FROM message WHERE key = ? AND digest <> ? AND state <> 'quarantined' LIMIT 1"
)
_ENTER = (
    f"INSERT INTO message (number, {_OF_MESSAGE}, replaces, state, size)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_FINISH = (
    "UPDATE message SET state = ?, ack = ?, error = ?, links = ?, finished = ?,"
    " attempts = attempts + ?, maps = ? WHERE number = ?"
    " AND (state = 'received' OR (? AND state <> 'done') OR ?)"
)


class SqliteJournal:
    """The journal of a database. `turns` hears of ends from the store that writes them."""

    def __init__(
        self,
        connection: apsw.Connection,
        writer: Writer,
        reader: Reader,
        readers: Readers,
        turns: Turns,
        early: Early,
    ) -> None:
        self._connection, self._writer = connection, writer
        self._reader, self._readers, self._turns = reader, readers, turns
        self._early = early
        self._given = 0  # the last number that a message got, if it became durable or not
        self._unseen: set[str] = set()  # keys of messages that are not durable yet
        self._latest = 0  # when the latest message came
        self._asked = 0  # how many wait to hear from the writer whether they came before

    async def keep(self, message: Received, *, is_early: bool = False) -> Kept:
        """Store the message durably, unless it is a duplicate. Atomic: one of two is the first."""
        if not self._is_surely_new(message):
            return await self._ask(message)
        number = self._given = self._given + 1
        is_free = self._turns.enter(number, message.turns)
        self._unseen.add(message.key)
        durable = self._writer.bring(lambda: self._enter_new(message, number), is_patient=is_early)
        durable.add_done_callback(partial(self._seen, number, message.key))
        if not is_early:
            await durable
        elif is_free:
            self._early.coming.add(number)
        return Kept(
            Entered(number, message, "received", size_bytes=len(message.raw)), is_free=is_free
        )

    def _is_surely_new(self, message: Received) -> bool:
        """Say whether nothing has the message's key, so that its number can be given at once.

        What comes while it is asked of another must not overtake that.
        """
        key = message.key
        if not key or message.replaces or self._asked or key in self._unseen:
            return False
        try:
            row: Any = self._reader.connection.execute(_IS_NEW, (key,)).fetchone()
        except apsw.Error:  # the writer tells
            return False
        self._given = max(self._given, row[0] or 0)
        return not row[1]

    async def _ask(self, message: Received) -> Kept:
        """Keep a message of which only the writer can say what it is."""
        self._asked += 1
        try:
            kept = await self._writer.bring(lambda: self._keep(message))
        finally:
            self._asked -= 1
        if kept.is_duplicate or kept.is_changed:
            return kept
        return kept._replace(is_free=self._turns.enter(kept.entered.number, message.turns))

    def _enter_new(self, message: Received, number: int) -> None:
        self._early.lost.add(number)
        if self._finds(_OF_KEY, message.key):
            raise Conflict("the message came to another process meanwhile")
        self._enter(message, number, "received")
        self._early.lost.discard(number)

    def _seen(self, number: int, key: str, durable: "asyncio.Future[None]") -> None:
        """Forget of a message that it is not durable yet; of one that is lost, that it came."""
        self._unseen.discard(key)
        if durable.cancelled() or durable.exception() is not None:
            self._turns.end(number)
            self._early.coming.discard(number)
            self._early.lost.add(number)

    def _next_number(self) -> int:
        """Return a number that no message has, nor had one that was given up with its group."""
        row: Any = self._connection.execute("SELECT max(number) FROM message").fetchone()
        self._given = max(self._given, row[0] or 0) + 1
        return self._given

    async def turn(self, number: int) -> None:
        """Wait until what came before and shares a turn with the message is finished."""
        await self._turns.wait(number)
        if number in self._turns:  # else it has ended meanwhile
            self._early.coming.add(number)

    async def finish(self, finish: Finish) -> None:
        """Record the end of a message. Raises `Conflict` if it has ended, or is unknown."""
        self._early.coming.discard(finish.number)
        work = partial(apply_finish, self._connection, finish, self._early)
        await self._writer.run(work, is_patient=True)
        self._turns.end(finish.number)

    async def note(self, number: int, reason: str) -> None:
        """Record durably what is known of a message that has not ended."""
        text = "UPDATE message SET error = ? WHERE number = ? AND state = 'received'"
        await self._writer.run(lambda: self._connection.execute(text, (reason, number)).fetchall())

    async def elsewhere(self, number: int) -> None:
        """Return at once: what another process does its supervisor knows."""

    async def reopen(self, number: int, turns: tuple[str, ...], *, again: bool = False) -> Kept:
        """Make an ended message `received`, after all that is under way; return it."""
        entered = await self._writer.run(lambda: self._reopen(number, again))
        return Kept(entered, is_free=self._turns.enter(number, turns))

    async def owed(self) -> list[Entered]:
        """Return the messages that have ended and whose end is still to be told, oldest first."""
        where = "message.number IN (SELECT number FROM owed_answer) AND state <> 'received'"
        return self._find(f"{where} ORDER BY message.number", ())

    async def settle(self, number: int) -> None:
        """Record that the end of a message was told, or will not be."""
        text = "DELETE FROM owed_answer WHERE number = ?"
        await self._writer.run(lambda: self._connection.execute(text, (number,)).fetchall())

    async def tally(self) -> dict[str, int]:
        """Return how many messages are in each state of which there are few."""
        marks = ", ".join("?" * len(COUNTED))
        text = f"SELECT state, count(*) FROM message WHERE state IN ({marks}) GROUP BY state"
        rows: list[Any] = self._reader.connection.execute(text, COUNTED).fetchall()
        return {str(state): 0 for state in COUNTED} | dict(rows)

    async def shrink(self) -> int:
        """Give a little of the file's free pages back; return how many bytes, 0: no more."""
        freed = await self._writer.run(lambda: free_pages(self._connection), ALONE)
        if not freed:
            await self._writer.write_back()  # a file is cut when its log goes back into it
        return freed

    async def owing(self) -> frozenset[int]:
        """Return the numbers of the messages whose end is to be told, ended or not."""
        rows: list[Any] = self._reader.connection.execute(
            "SELECT number FROM owed_answer"
        ).fetchall()
        return frozenset(number for (number,) in rows)

    async def adopt(self, messages: Sequence[Entered], owing: Collection[int] = ()) -> None:
        """Put messages of another journal as they are there, under their own numbers."""
        await self._writer.run(lambda: adopt(self._connection, messages, owing), len(messages))

    async def pending(self) -> list[Entered]:
        """Return the messages that were received and not finished, oldest first."""
        return self._find("state = 'received' ORDER BY number", ())

    async def find(self, number: int) -> Entered | None:
        """Return one message."""
        found = self._find("message.number = ?", (number,))
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

        def work(reader: Reader) -> list[Entered]:
            where, values = condition(reader.connection, selection)
            if beyond:
                where.append(f"message.number {'>' if is_oldest_first else '<'} ?")
                values.append(beyond)
            order = f"ORDER BY message.number {'ASC' if is_oldest_first else 'DESC'} LIMIT ?"
            text = f"{' AND '.join(where) or '1'} {order}"
            return _select(reader.connection, text, (*values, count), with_raw=with_raw)

        is_quick = selection == Selection(states=selection.states, numbers=selection.numbers)
        return work(self._reader) if is_quick else await self._readers.run(work)

    async def prune(self, before: Mapping[str, int], forget: int, *, most: int = 500) -> Pruned:
        """Remove old messages, at most `most` of each kind; both zero: there are no more."""

        def work() -> Pruned:
            emptied = 0
            for state, moment in before.items():
                if state != "received":
                    emptied += self._empty(state, moment, most - emptied)
            self._connection.execute(
                "DELETE FROM message WHERE number IN (SELECT m.number FROM message m"
                " LEFT JOIN message_raw r USING (number) WHERE m.number < ? AND m.received < ?"
                " AND state <> 'received' AND r.number IS NULL"
                " AND m.number < (SELECT max(number) FROM message) ORDER BY m.number LIMIT ?)",
                (first_since(self._connection, forget), forget, most),
            )
            return Pruned(emptied, self._connection.changes())

        return await self._writer.run(work)

    def _empty(self, state: str, moment: int, most: int) -> int:
        self._connection.execute(
            "DELETE FROM message_raw WHERE number IN (SELECT r.number FROM message_raw r"
            " CROSS JOIN message m USING (number) WHERE r.number < ? AND m.received < ?"
            " AND m.state = ? ORDER BY r.number LIMIT ?)",
            (first_since(self._connection, moment), moment, state, most),
        )
        return self._connection.changes()

    def _find(self, where: str, values: Sequence[Bound]) -> list[Entered]:
        return _select(self._reader.connection, where, values)

    def _keep(self, message: Received) -> Kept:
        if message.replaces:
            old = self._one(message.replaces)
            if old is None or old.state not in CORRECTABLE:
                raise Conflict("only a message that is not done may be replaced")
        is_changed = False
        if not message.key or self._finds(_OF_KEY, message.key):
            if before := self._one(number_before(self._connection, message)):
                return Kept(before, is_duplicate=True)
            if message.key and not message.replaces:
                is_changed = self._finds(_OTHER_OF_KEY, message.key, message.digest)
        state: State = "quarantined" if is_changed else "received"
        entered = self._enter(message, self._next_number(), state)
        if message.replaces:
            self._connection.execute(
                "UPDATE message SET state = 'replaced', replaced_by = ? WHERE number = ?",
                (entered.number, message.replaces),
            )
        return Kept(entered, is_changed=is_changed)

    def _enter(self, message: Received, number: int, state: State) -> Entered:
        self._latest = latest(self._connection, message.received, self._latest)
        self._connection.execute(
            _ENTER,
            (
                number,
                message.channel,
                message.key,
                message.digest,
                message.received,
                message.message_type,
                message.application,
                message.facility,
                message.control_id,
                message.direction,
                message.replaces,
                state,
                len(message.raw),
            ),
        )
        self._connection.execute("INSERT INTO message_raw VALUES (?, ?)", (number, message.raw))
        if message.owes and state == "received":
            self._connection.execute("INSERT INTO owed_answer VALUES (?)", (number,))
        return Entered(number, message, state, size_bytes=len(message.raw))

    def _reopen(self, number: int, again: bool) -> Entered:
        entered = self._one(number)
        if entered is None or (entered.size_bytes and not entered.message.raw):
            raise Conflict("the message is unknown, or its bytes are not kept any more")
        if entered.state == "done":
            if not again:
                raise Conflict("the message is done")
            return entered
        if entered.state not in CORRECTABLE:
            raise Conflict(f"the message is {entered.state}")
        if number_before(self._connection, entered.message) not in (0, number):
            raise Conflict("the same message is done under another number")
        self._connection.execute(
            "UPDATE message SET state = 'received' WHERE number = ?", (number,)
        )
        again_open = self._one(number)
        assert again_open is not None
        return again_open

    def _finds(self, text: str, *values: str) -> bool:
        return self._connection.execute(text, values).fetchone() is not None

    def _one(self, number: int) -> Entered | None:
        found = _select(self._connection, "message.number = ?", (number,))
        return found[0] if found else None


def apply_finish(connection: apsw.Connection, finish: Finish, early: Early) -> None:
    """Write the end of a message in the present transaction.

    Raises `Conflict` if there is no such message or it has ended, and then has changed nothing.
    """
    if finish.number in early.lost:
        raise Conflict("the message is not in the journal")
    connection.execute(
        _FINISH,
        (
            finish.state,
            finish.ack,
            finish.error,
            fhirjson.dumps(finish.links).decode(),
            finish.finished,
            finish.attempts,
            finish.maps,
            finish.number,
            finish.is_aside,
            finish.is_again,
        ),
    )
    if not connection.changes():
        raise Conflict("the message has ended already, or is unknown")


def _select(
    connection: apsw.Connection, where: str, values: Sequence[Bound], *, with_raw: bool = True
) -> list[Entered]:
    columns, source = (f"{_COLUMNS}, raw", _SOURCE) if with_raw else (f"{_COLUMNS}, x''", "message")
    rows = connection.execute(f"SELECT {columns} FROM {source} WHERE {where}", values)
    return [_entered(row) for row in rows]


def _entered(row: Sequence[Any]) -> Entered:
    number, channel, key, digest, received, *header = row[:11]
    state, ack, error, links, finished, attempts, maps, replaced_by, size, raw = row[11:]
    message = Received(channel, key, digest, received, raw or b"", *header)
    keys = tuple(Key(*link) for link in json.loads(links))
    return Entered(
        number, message, state, ack, error, keys, finished, attempts, maps, replaced_by, size
    )
