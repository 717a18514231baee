"""What a store promises for resources (for received messages: journal.py).

A store keeps bytes and index entries and knows nothing of FHIR's rules; the repository does.
There is one way to change data, `write`, and it is atomic and durable: when it returns, all of
it survives a crash; when it raises, nothing of it happened. Everything exactly-once in the
hub is built on its conditions: the expected version, the guard, and that references lead somewhere.

Every store passes the one contract suite in `tests/store/`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple, Protocol

from fhir_hub.search.entry import Entry, Kind
from fhir_hub.search.plan import And, Has, Is, Plan, Query

PARAMETERS = "SearchParameter"  # the type whose resources say what is indexed
Method = Literal["POST", "PUT", "PATCH", "DELETE"]
# `received` is not finished; `dead` was tried to the limit; `quarantined` has the control id of
# another content; `ignored` is not to be done; `replaced` has a corrected text in its stead.
State = Literal[
    "received", "done", "answered", "failed", "dead", "quarantined", "ignored", "replaced"
]


NOTHING: Mapping[str, str] = {}


class Key(NamedTuple):
    """Which resource."""

    resource_type: str
    logical_id: str


# `Key` of its two values, without a call of Python's own: a message makes some hundred
key_of: Callable[[tuple[str, str]], Key] = partial(tuple.__new__, Key)


class Stored(NamedTuple):
    """One version of a resource. `content` is its JSON, empty if this version is a deletion.

    `sequence` is its place in the one commit order of the store, from 1, without gaps.
    `last_updated` is in microseconds since 1970, UTC.
    """

    resource_type: str
    logical_id: str
    version_id: int
    sequence: int
    last_updated: int
    method: Method
    content: bytes

    @property
    def is_deleted(self) -> bool:
        """Say whether this version is a deletion."""
        return self.method == "DELETE"


# `Stored` of all its values, without a call of Python's own
stored_of: Callable[[tuple[str, str, int, int, int, Method, bytes]], Stored] = partial(
    tuple.__new__, Stored
)


class Change(NamedTuple):
    """One new version to store. `version_id` - 1 must be the current one (0: never existed).

    `content` already holds `id` and `meta`. A deletion has no content and no entries.
    """

    resource_type: str
    logical_id: str
    version_id: int
    last_updated: int
    method: Method
    content: bytes = b""
    entries: Iterable[Entry] = ()  # to be read as often as one likes


# as `key_of`
change_of: Callable[[tuple[str, str, int, int, Method, bytes, Iterable[Entry]]], Change] = partial(
    tuple.__new__, Change
)


class Guard(NamedTuple):
    """At commit the search must find exactly these logical ids (in any order), else `Conflict`.

    With none: nobody has created it meanwhile. This is what makes a conditional create,
    update or an HL7v2 match happen exactly once. `as_of` is that of the page that found them: a
    store that knows of nothing that was written since need not search again.
    """

    resource_type: str
    plan: Plan
    logical_ids: frozenset[str] = frozenset()
    as_of: int = 0


# as `key_of`
guard_of: Callable[[tuple[str, Plan, frozenset[str], int]], Guard] = partial(tuple.__new__, Guard)

# A part of a plan: its parameter, the kind of that, and each code with its system, as in `Is`.
Asked = tuple[str, Kind, Sequence[tuple[str | None, str | None]]]


class CodeGuard(Guard):
    """A guard whose parts ask for codes alone, as it comes from another process.

    Its plan is made when somebody asks: hardly ever, for mostly nothing was written since.
    """

    __slots__ = ()

    @property
    def asked(self) -> Sequence[Asked]:
        """Return the parts of the plan."""
        parts: Sequence[Asked] = self[1]  # type: ignore[assignment]  # in the plan's stead
        return parts

    @property
    def plan(self) -> Plan:
        """Return the plan."""
        parts = [
            Has(name, kind, tuple([Is(code, system) for code, system in tests]))
            for name, kind, tests in self.asked
        ]
        return parts[0] if len(parts) == 1 else And(tuple(parts))


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of a received message: its state, the acknowledgment to give again, what it wrote.

    `finished` is when (microseconds), `attempts` how often it was tried now, `maps` the version of
    the maps that converted it. With `is_again` a message that is done already ends once more.
    What has ended does not end again by itself: it is only set aside.
    """

    number: int
    state: State
    ack: bytes
    error: str = ""
    links: tuple[Key, ...] = ()
    finished: int = 0
    attempts: int = 1
    maps: str = ""
    is_again: bool = False

    @property
    def is_aside(self) -> bool:
        """Say whether it may follow another end, but that of a message that is done."""
        return self.state in ("ignored", "quarantined")


class Generation(NamedTuple):
    """At commit the last SearchParameter must have this sequence (0: there is none).

    Else `Conflict`: the changes may lack entries that a new parameter asks for.
    """

    number: int


@dataclass(frozen=True, slots=True)
class Indexed:
    """The entries that a resource has now, if its current version is still `version_id`."""

    key: Key
    version_id: int
    entries: tuple[Entry, ...]


class Target(NamedTuple):
    """What a stored resource refers to. `version_id` is as written, empty if it names none.

    `may_be_deleted`: it is enough that the resource once was (for records of what happened).
    """

    resource_type: str
    logical_id: str
    version_id: str = ""
    may_be_deleted: bool = False


# as `key_of`
target_of: Callable[[tuple[str, str, str, bool]], Target] = partial(tuple.__new__, Target)


def version_number(text: str) -> int:
    """Return the number of a version id as written, 0 if it can be none of ours."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


class Referrer(NamedTuple):
    """A resource that refers to another one, and one of the parameters under which it does."""

    resource_type: str
    logical_id: str
    parameter: str


class Referrers(NamedTuple):
    """The first of those who refer to a resource, in order of creation, and how many they are."""

    first: list[Referrer]
    total: int


class Broken(Exception):
    """References would point to nothing: `missing` is referred to, `held` was to be deleted."""

    def __init__(self, missing: Sequence[Target], held: Sequence[Key] = ()) -> None:
        super().__init__(missing, held)  # what it is made of, so that it goes to another process
        self.missing, self.held = tuple(missing), tuple(held)


class Conflict(Exception):
    """A version or a guard was not as expected; nothing was written."""


class Outdated(Conflict):
    """A note was not as expected: another process has set it; nothing was written."""


class CannotOpen(ValueError):
    """The store's address or what is there is no good; the text is for the person who starts us."""


class Page(NamedTuple):
    """One page of matches, the cursor of the next (empty: this is the last), the exact total.

    All that was written up to the sequence `as_of` was seen (0: that is not known; -1: the
    reader saw an older state).
    """

    matches: list[Stored]
    cursor: str = ""
    total: int | None = None
    as_of: int = 0


# as `key_of`
page_of: Callable[[tuple[list[Stored], str, int | None, int]], Page] = partial(tuple.__new__, Page)


class Status(NamedTuple):
    """How much is stored: current resources by type, the last sequence, bytes on disk.

    `free_bytes` is what that disk still takes, None where it is not known.
    """

    resources: dict[str, int]
    sequence: int
    size_bytes: int
    free_bytes: int | None = None


class Store(Protocol):
    """Where resources are kept."""

    async def read(self, key: Key) -> Stored | None:
        """Return the current version, a deletion too, or None if there never was one."""

    async def vread(self, key: Key, version_id: int) -> Stored | None:
        """Return that version, or None."""

    async def read_many(self, keys: Iterable[Key]) -> list[Stored]:
        """Return the current versions that exist and are not deleted, in the order of `keys`."""

    async def write(
        self,
        changes: Sequence[Change],
        guards: Sequence[Guard | Generation] = (),
        finish: Finish | None = None,
        targets: Collection[Target] | None = None,
    ) -> list[Stored]:
        """Store all `changes` and `finish` atomically and durably; return them as stored.

        Raises `Conflict` if a version or a guard is not as expected. A resource may stand in
        `changes` once. With `targets` references are kept whole: raises `Broken` if one of them
        is not stored or is deleted by `changes`, or if a resource that is not in `changes`, and
        no record, refers to one that `changes` delete.
        """

    async def reindex(
        self,
        items: Sequence[Indexed],
        notes: Mapping[str, str],
        generation: int,
        expected: Mapping[str, str] = NOTHING,
    ) -> None:
        """Replace the entries of resources and set `notes` (empty: remove), atomically, durably.

        A resource that has another version by now is passed over. Raises `Conflict` if
        `generation` is not the present one, `Outdated` if a note is not as `expected` (empty:
        there is none).
        """

    async def notes(self) -> dict[str, str]:
        """Return the notes, by name."""

    async def generation(self) -> int:
        """Return the sequence of the last version of a SearchParameter, 0 if there is none."""

    async def referrers(self, key: Key, *, most: int, without: Collection[Key] = ()) -> Referrers:
        """Return who refers to a resource, without some and without records."""

    async def search(self, query: Query) -> Page:
        """Return a page of current, not deleted resources that meet the query.

        Raises `InvalidParameter` for a cursor that is not this store's.
        """

    async def search_all(self, queries: Sequence[Query]) -> list[Page]:
        """Return what `search` does of each query: at one step, where the store can."""

    async def explain(self, query: Query) -> list[str]:
        """Return how it would search: each statement, then the steps that it takes. No values."""

    async def history(
        self,
        resource_type: str = "",
        logical_id: str = "",
        *,
        count: int = 20,
        before: int = 0,
        since: int = 0,
        at: tuple[int, int] | None = None,
        with_total: bool = False,
    ) -> Page:
        """Return versions, newest first, of one resource, one type, or all.

        `before`: only a sequence below it (0: from the newest). `since`: last updated at or
        after it, microseconds. `at`: only versions that were current at some moment from the
        first to the last of the two. The cursor is the `before` of the next page, as text.
        """

    async def status(self) -> Status:
        """Return how much is stored; raises if the store cannot be reached."""

    async def close(self) -> None:
        """Finish what is under way and let go of files and connections."""
