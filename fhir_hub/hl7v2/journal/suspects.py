"""A message that ends each process that does it, and those that were only beside it.

What was under way when a process ended is done by one that does nothing else, a message at a time,
and that it begins is noted before. If it ends meanwhile the note is there, and tells of no other
message. Begun alone three times and never ended: then the message is a dead letter.

A process may be ended by others, too (`kill -9`, a limit of memory), at any moment. So a message
that was noted is done after those that were not, and after a pause: a process that dies anyhow
dies before it is begun, and the messages before it are done.
"""

import re
from collections.abc import Sequence

from fhir_hub.errors import Deadly, Interrupted
from fhir_hub.hl7v2.journal.reasons import reason
from fhir_hub.store.journal import Entered, TurnsOf

MOST = 3
_TEXT = (
    "a process of the hub does it alone, time {0}; if that ends meanwhile it is tried again"
    " / 由一个进程单独处理（第 {0} 次）；若其间终止则重试"
)
_NOTED = re.compile(r"Interrupted: \D+(\d+)")
_PAUSE_S = 1.0


def noted(times: int) -> str:
    """Return the note that a message is begun alone for that time.

    >>> times_noted(noted(2)), times_noted("")
    (2, 0)
    """
    return reason(Interrupted(_TEXT.format(times)))


def times_noted(note: str) -> int:
    """Return how often a message was begun alone, and not ended, as its note says."""
    match = _NOTED.match(note)
    return int(match[1]) if match else 0


def pause_s(times: int) -> float:
    """Return how long to wait before a message that was begun alone so often is again."""
    return _PAUSE_S * times


def deadly() -> Deadly:
    """Return why a message that was begun so often is a dead letter."""
    return Deadly(
        f"{MOST} processes ended, each while it did nothing but this message"
        f" / 已有 {MOST} 个进程在单独处理该消息时终止"
    )


def innocent_first(pending: Sequence[Entered], turns_of: TurnsOf) -> list[Entered]:
    """Return messages in their order, but behind the others those that are noted.

    What shares a turn with one of these stays behind it.
    """
    first, behind = list[Entered](), list[Entered]()
    awaited = set[str]()
    for entered in pending:
        if not times_noted(entered.error) and not (awaited and awaited & {*turns_of(entered)}):
            first.append(entered)
            continue
        awaited |= {*turns_of(entered)}
        behind.append(entered)
    return first + behind
