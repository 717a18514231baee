"""What a journal promises for received messages, from their bytes to their end.

A message is kept before anything is made of it, gets a number in the order of arrival, and
ends once, together with what it wrote. Its bytes are kept as they came; the text is decoded
when it is shown, because kept beside the bytes it would double the file. What tells that a
message came before outlives its bytes.

Every journal passes the one contract suite in `tests/store/`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from fhir_hub.store.base import Finish, Key, State

COUNTED: tuple[State, ...] = (  # not `done` and `answered`: of these there are millions
    *("received", "failed", "dead", "quarantined", "ignored", "replaced"),
)
FINAL = "Deadly: "  # so begins the reason of a dead message that sent again stays what it is
CORRECTABLE = ("failed", "dead", "quarantined", "ignored")  # ended, and nothing came of it


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it came: where and when (microseconds), its key for duplicates, its bytes.

    `key` is empty where the message has no control id: then only `digest` (SHA-256 of the
    bytes) tells that it was seen before. What its header says is there to find it by. `turns`
    are what orders it, such as patients' numbers, and are not kept. `replaces` is the number of
    the message whose corrected text this is. `owes`: its end is to be told to the sender later.
    `place` is when it came by the machine's clock that nobody sets (monotonic nanoseconds).
    """

    channel: str
    key: str
    digest: str
    received: int
    raw: bytes
    message_type: str = ""
    application: str = ""
    facility: str = ""
    control_id: str = ""
    direction: Literal["in", "out"] = "in"
    replaces: int = 0
    turns: tuple[str, ...] = field(default=(), compare=False)
    owes: bool = field(default=False, compare=False)
    place: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Entered:
    """A received message in the journal, by number in order of arrival.

    `attempts` counts all that were finished; `replaced_by` is the number of the corrected text;
    `size_bytes` is that of the message also where its bytes are not kept any more.
    """

    number: int
    message: Received
    state: State
    ack: bytes = b""
    error: str = ""
    links: tuple[Key, ...] = ()
    finished: int = 0
    attempts: int = 0
    maps: str = ""
    replaced_by: int = 0
    size_bytes: int = 0


TurnsOf = Callable[[Entered], tuple[str, ...]]  # what orders a message, told from its bytes


class Kept(NamedTuple):
    """What `keep` did: the message's place, or (`is_duplicate`) the place of the one before.

    A message is a duplicate if one with the same key and digest is `received`, `done` or was
    replaced by one that is, or is dead for a reason that is `FINAL`; another that failed may be
    sent again. `is_changed`: the same key came
    before with other bytes, and the message is `quarantined`. One that is does not hold the key
    itself: a sender who counts anew is taken when what he said first is forgotten. `is_free`:
    nothing that came before it and shares one of its turns is under way; else wait for its `turn`.
    One that comes again, or is `quarantined`, is not.
    """

    entered: Entered
    is_duplicate: bool = False
    is_changed: bool = False
    is_free: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """Which messages of the journal; what is empty selects all.

    `sender` is the application or the facility, of which `facility` is asked too if it is given;
    `message_type` a type (`ORU`), a trigger event (`R01`) or both (`ORU^R01`), `since` and `until`
    (not in it) when it came, microseconds.
    """

    states: tuple[str, ...] = ()
    sender: str = ""
    message_type: str = ""
    control_id: str = ""
    since: int = 0
    until: int = 0
    link: Key | None = None
    numbers: tuple[int, ...] = ()
    channel: str = ""
    facility: str = ""


class Pruned(NamedTuple):
    """Of how many messages the bytes were removed, and how many were forgotten altogether."""

    emptied: int
    forgotten: int


class Journal(Protocol):
    """Where received messages are kept, from before their acknowledgment on."""

    async def keep(self, message: Received, *, is_early: bool = False) -> Kept:
        """Store the message durably, unless it is a duplicate. Atomic: one of two is the first.

        With `is_early` it may return before a new message is durable. Its end, and whatever else
        is written from now on, becomes durable together with it or after it, or not at all.
        One that `replaces` another makes that one `replaced`, and is never `quarantined`. Raises
        `Conflict` if the other one may not be replaced.
        """

    async def turn(self, number: int) -> None:
        """Wait until what came before and shares a turn with the message is finished."""

    async def finish(self, finish: Finish) -> None:
        """Record the end of a message (one that wrote resources: by `Store.write` instead)."""

    async def note(self, number: int, reason: str) -> None:
        """Record durably, as its `error`, what is known of a message that has not ended."""

    async def elsewhere(self, number: int) -> None:
        """Wait until no other process does the message, or is to do it, any more."""

    async def reopen(self, number: int, turns: tuple[str, ...], *, again: bool = False) -> Kept:
        """Make an ended message `received`, after all that is under way; return it.

        A done one stays done, and only if `again` it is returned as if it were open. Raises
        `Conflict` for one that is unknown, without bytes, replaced, done, or done under another
        number.
        """

    async def owed(self) -> list[Entered]:
        """Return the messages that have ended and whose end is still to be told, oldest first."""

    async def settle(self, number: int) -> None:
        """Record that the end of a message was told, or will not be."""

    async def pending(self) -> list[Entered]:
        """Return the messages that were received and not finished, oldest first."""

    async def find(self, number: int) -> Entered | None:
        """Return one message."""

    async def recent(self, *, count: int = 20, before: int = 0, state: str = "") -> list[Entered]:
        """Return messages, newest first, with a number below `before` (0: from the newest)."""

    async def select(
        self,
        selection: Selection,
        *,
        count: int = 100,
        beyond: int = 0,
        is_oldest_first: bool = False,
        with_raw: bool = False,
    ) -> list[Entered]:
        """Return the first messages of a selection, newest first, beyond the number `beyond`.

        Without `with_raw` their bytes are left out.
        """

    async def prune(self, before: Mapping[str, int], forget: int, *, most: int = 500) -> Pruned:
        """Remove old messages, at most `most` of each kind; both zero: there are no more.

        `before` says for a state when its messages must have come to be kept whole; of others the
        bytes go. Who came before `forget` is no duplicate any more. What is not finished stays.
        """

    async def tally(self) -> dict[str, int]:
        """Return how many messages are in each state of which there are few: `COUNTED`."""

    async def shrink(self) -> int:
        """Give a little of the disk back that nothing stands on; how many bytes, 0: no more."""

    async def owing(self) -> frozenset[int]:
        """Return the numbers of the messages whose end is to be told, ended or not."""

    async def adopt(self, messages: Sequence[Entered], owing: Collection[int] = ()) -> None:
        """Put messages of another journal as they are there, under their own numbers.

        All or none, durably; what has their numbers here is replaced. Those still to be done have
        their `turns`. `owing` are the numbers of those whose end is still to be told. For
        `fhir-hub copy`, while nothing is received.
        """
