"""Received messages in table `message`; written through the one writer, like everything.

Spec: HL7v2 chapter 2, message control id (MSH-10) and acknowledgments
"""

import json
from collections.abc import Sequence

import apsw

from fhir_hub.store.base import Conflict, Entered, Finish, Kept, Key, Received
from fhir_hub.store.sqlite.reads import Reader
from fhir_hub.store.sqlite.sql import Bound
from fhir_hub.store.sqlite.writer import Writer

_COLUMNS = "number, channel, key, digest, received, raw, state, ack, error, links"


class SqliteJournal:
    """The journal of a database."""

    def __init__(self, connection: apsw.Connection, writer: Writer, reader: Reader) -> None:
        self._connection, self._writer, self._reader = connection, writer, reader

    async def keep(self, message: Received) -> Kept:
        """Store the message durably, unless it is a duplicate. Atomic: one of two is the first."""
        return await self._writer.run(lambda: self._keep(message))

    async def finish(self, finish: Finish) -> None:
        """Record the end of a message. Raises `Conflict` if it is done already, or unknown."""

        def work() -> None:
            check_finish(self._connection, finish)
            apply_finish(self._connection, finish)

        await self._writer.run(work)

    async def pending(self) -> list[Entered]:
        """Return the messages that were received and not finished, oldest first."""
        return self._find("state = 'received' ORDER BY number", ())

    async def find(self, number: int) -> Entered | None:
        """Return one message."""
        found = self._find("number = ?", (number,))
        return found[0] if found else None

    async def recent(self, *, count: int = 20, before: int = 0, state: str = "") -> list[Entered]:
        """Return messages, newest first, with a number below `before` (0: from the newest)."""
        where, values = ["1"], list[Bound]()
        if before:
            where.append("number < ?")
            values.append(before)
        if state:
            where.append("state = ?")
            values.append(state)
        return self._find(f"{' AND '.join(where)} ORDER BY number DESC LIMIT ?", (*values, count))

    def _find(self, where: str, values: Sequence[Bound]) -> list[Entered]:
        return _select(self._reader.connection, where, values)

    def _keep(self, message: Received) -> Kept:
        key = (message.key, message.digest)
        before = _select(
            self._connection,
            "key = ? AND digest = ? AND state <> 'failed' ORDER BY number LIMIT 1",
            key,
        )
        if before:
            return Kept(before[0], is_duplicate=True)
        is_changed = bool(message.key) and bool(
            self._connection.execute(
                "SELECT 1 FROM message WHERE key = ? AND digest <> ? LIMIT 1", key
            ).fetchall()
        )
        self._connection.execute(
            "INSERT INTO message (channel, key, digest, received, raw, state, ack, error, links)"
            " VALUES (?, ?, ?, ?, ?, 'received', x'', '', '[]')",
            (message.channel, message.key, message.digest, message.received, message.raw),
        )
        number = self._connection.last_insert_rowid()
        return Kept(Entered(number, message, "received"), is_changed=is_changed)


def check_finish(connection: apsw.Connection, finish: Finish) -> None:
    """Raise `Conflict` unless there is such a message and it is not done."""
    row = connection.execute(
        "SELECT state FROM message WHERE number = ?", (finish.number,)
    ).fetchone()
    if row is None or row[0] == "done":
        raise Conflict("the message is done already, or unknown")


def apply_finish(connection: apsw.Connection, finish: Finish) -> None:
    """Write the end of a message in the present transaction."""
    links = json.dumps(finish.links, separators=(",", ":"))
    connection.execute(
        "UPDATE message SET state = ?, ack = ?, error = ?, links = ? WHERE number = ?",
        (finish.state, finish.ack, finish.error, links, finish.number),
    )


def _select(connection: apsw.Connection, where: str, values: Sequence[Bound]) -> list[Entered]:
    rows = connection.execute(f"SELECT {_COLUMNS} FROM message WHERE {where}", values)
    return [
        Entered(number, Received(*message), state, ack, error, tuple(_keys(links)))
        for number, *message, state, ack, error, links in rows
    ]


def _keys(links: str) -> list[Key]:
    return [Key(*link) for link in json.loads(links)]
