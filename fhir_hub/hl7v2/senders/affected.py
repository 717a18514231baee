"""The messages in which a local code stood: what is to be done again once it is mapped.

The file of codes says between which instants it came, from whom and in which field; the journal
has the messages of that time and sender, and the field tells.

Spec: docs/senders.md
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from fhir_hub.clock import microseconds
from fhir_hub.hl7v2.parsing.er7 import Message
from fhir_hub.hl7v2.parsing.path import Path, parse_path
from fhir_hub.store.journal import Entered, Journal, Selection
from fhir_hub.store.terminology.codes_seen import Seen

_PAGE = 200


async def affected(
    journal: Journal, read: Callable[[Entered], Message | None], seen: Seen
) -> list[int]:
    """Return the numbers of the messages that a code of a sender stands in, oldest first.

    `read` reads a message as its channel and its sender's file have it.
    """
    application, _, facility = seen.sender.partition("@")
    since, until = (microseconds(datetime.fromisoformat(text)) for text in (seen.first, seen.last))
    selection = Selection(sender=facility or application, since=since, until=until + 1_000_000)
    paths = [parse_path(field) for field in seen.field.split()]
    numbers: list[int] = []
    beyond = 0
    while True:
        page = await journal.select(
            selection, count=_PAGE, beyond=beyond, is_oldest_first=True, with_raw=True
        )
        numbers += [one.number for one in page if _holds(read(one), seen, application, paths)]
        if len(page) < _PAGE:
            return numbers
        beyond = page[-1].number


def _holds(message: Message | None, seen: Seen, application: str, paths: Sequence[Path]) -> bool:
    if message is None or message.header.value(3) != application:
        return False
    if not paths:
        return any(seen.code in segment.text for segment in message.segments)
    return any(
        seen.code in [value.text(number) for number in range(1, len(value.components) + 1)]
        for path in paths
        for segment in message.all(path.segment)
        for value in segment.repetitions(path.field)
    )
