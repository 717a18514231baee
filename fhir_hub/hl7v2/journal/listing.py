"""What may be listed of messages: nothing of their text. It needs the journal and no more.

So a command that lists them reads no maps and no definitions.
"""

from dataclasses import dataclass
from typing import Any

from fhir_hub.clock import from_microseconds, instant
from fhir_hub.hl7v2.journal.nothing import why_nothing
from fhir_hub.hl7v2.journal.reasons import shown
from fhir_hub.store.journal import Entered, Journal, Selection

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, and the number beyond which the next page begins; 0: this is the last.

    `note` says, of no rows, which word of what was asked no message has.
    """

    rows: list[Row]
    beyond: int = 0
    note: str = ""


async def listed(journal: Journal, selection: Selection, count: int, beyond: int) -> Page:
    """Return a page of messages, newest first, without patient data."""
    found = await journal.select(selection, count=count + 1, beyond=beyond)
    rows = [row(one) for one in found[:count]]
    note = "" if found or beyond else await why_nothing(journal, selection)
    return Page(rows, found[count - 1].number if len(found) > count else 0, note)


def row(entered: Entered) -> Row:
    """Return what may be listed of a message: nothing of its text."""
    message = entered.message
    shown_row: Row = {
        "number": entered.number,
        "state": entered.state,
        "type": message.message_type,
        "application": message.application,
        "facility": message.facility,
        "controlId": message.control_id,
        "channel": message.channel,
        "direction": message.direction,
        "received": instant(from_microseconds(message.received)),
        "attempts": entered.attempts,
        "sizeBytes": entered.size_bytes,
        "hash": message.digest,
        "links": [f"{key.resource_type}/{key.logical_id}" for key in entered.links],
    }
    if entered.finished:
        shown_row["finished"] = instant(from_microseconds(entered.finished))
        shown_row["durationMs"] = max(0, entered.finished - message.received) // 1000
    more = {
        "maps": entered.maps,
        "reason": shown(entered.error),
        "replaces": message.replaces,
        "replacedBy": entered.replaced_by,
    }
    return shown_row | {name: value for name, value in more.items() if value}
