"""Messages of another journal into the tables of this one, in the writer's transaction.

`fhir-hub copy` does so: numbers, states, acknowledgments and links stay what they are there.
"""

import json
from collections.abc import Collection, Sequence

import apsw

from fhir_hub.store.journal import Entered

_COLUMNS = (
    "number, channel, key, digest, received, type, application, facility, control_id, direction,"
    " replaces, state, ack, error, links, finished, attempts, maps, replaced_by, size"
)
_PUT = f"INSERT OR REPLACE INTO message ({_COLUMNS}) VALUES ({', '.join('?' * 20)})"


def adopt(connection: apsw.Connection, messages: Sequence[Entered], owing: Collection[int]) -> None:
    """Put the messages, in the place of those that have their numbers."""
    many = connection.executemany
    numbers = [(one.number,) for one in messages]
    many("DELETE FROM message_raw WHERE number = ?", numbers)
    many("DELETE FROM owed_answer WHERE number = ?", numbers)
    many(_PUT, [_row(one) for one in messages])
    many(
        "INSERT INTO message_raw VALUES (?, ?)",
        [
            (one.number, one.message.raw)
            for one in messages
            if one.message.raw or not one.size_bytes
        ],
    )
    many("INSERT OR IGNORE INTO owed_answer VALUES (?)", [(number,) for number in owing])


def _row(entered: Entered) -> tuple[int | str | bytes, ...]:
    message = entered.message
    return (
        entered.number,
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
        entered.state,
        entered.ack,
        entered.error,
        json.dumps(entered.links, separators=(",", ":"), ensure_ascii=False),
        entered.finished,
        entered.attempts,
        entered.maps,
        entered.replaced_by,
        entered.size_bytes,
    )
