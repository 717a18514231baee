"""The reference meaning of a store: dictionaries, brute force, and nothing clever.

Every other store must answer as this one does. It is also the store for trying things out.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_hub.errors import Unavailable
from fhir_hub.r4.references import ENVELOPES, RECORDS
from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import Query, SortKey
from fhir_hub.search.predicate import meets, passes_any
from fhir_hub.store.base import (
    NOTHING,
    PARAMETERS,
    Broken,
    Change,
    Conflict,
    Finish,
    Generation,
    Guard,
    Indexed,
    Key,
    Page,
    Referrer,
    Referrers,
    Status,
    Stored,
    Target,
    version_number,
)
from fhir_hub.store.cursor import Value, read_cursor, write_cursor
from fhir_hub.store.memory.journal import MemoryJournal
from fhir_hub.store.notes import require_notes

_CODED = ("token", "string", "reference", "uri")


@dataclass(slots=True)
class _Resource:
    """A resource: its number in the order of creation, its versions, its present entries."""

    rid: int
    versions: list[Stored]
    entries: Iterable[Entry]

    @property
    def current(self) -> Stored:
        return self.versions[-1]


class _Facts:
    """A current resource as a plan asks about it."""

    def __init__(self, resource: _Resource, everyone: Iterable[_Resource]) -> None:
        current = resource.current
        self.resource_type, self.logical_id = current.resource_type, current.logical_id
        self.last_updated, self.entries = current.last_updated, resource.entries
        self._everyone = everyone

    def others(self, resource_types: tuple[str, ...]) -> Iterator["_Facts"]:
        """Yield all current resources of the types (of no types: all)."""
        for other in self._everyone:
            current = other.current
            if not current.is_deleted and current.resource_type in (
                resource_types or (current.resource_type,)
            ):
                yield _Facts(other, self._everyone)


class MemoryStore:
    """Resources that live as long as the process."""

    def __init__(self, journal: MemoryJournal) -> None:
        self._journal = journal
        self._resources: dict[Key, _Resource] = {}
        self._log: list[Stored] = []
        self._notes: dict[str, str] = {}
        self._generation = 0
        self._is_open = True

    async def read(self, key: Key) -> Stored | None:
        """Return the current version, a deletion too, or None if there never was one."""
        resource = self._all().get(key)
        return resource.current if resource else None

    async def vread(self, key: Key, version_id: int) -> Stored | None:
        """Return that version, or None."""
        resource = self._all().get(key)
        if resource is None or not 0 < version_id <= len(resource.versions):
            return None
        return resource.versions[version_id - 1]

    async def read_many(self, keys: Iterable[Key]) -> list[Stored]:
        """Return the current versions that exist and are not deleted, in the order of `keys`."""
        found = [await self.read(key) for key in keys]
        return [stored for stored in found if stored and not stored.is_deleted]

    async def write(
        self,
        changes: Sequence[Change],
        guards: Sequence[Guard | Generation] = (),
        finish: Finish | None = None,
        targets: Collection[Target] | None = None,
    ) -> list[Stored]:
        """Store all `changes` and `finish`, or nothing; return them as stored.

        Raises `Conflict` if a version or a guard is not as expected, `Broken` if `targets` are
        given and a reference would point to nothing.
        """
        resources = self._all()
        if len({(change.resource_type, change.logical_id) for change in changes}) < len(changes):
            raise ValueError("a resource stands in the changes twice")
        for change in changes:
            resource = resources.get(Key(change.resource_type, change.logical_id))
            if change.version_id != (resource.current.version_id if resource else 0) + 1:
                raise Conflict(f"the version of a {change.resource_type} is not as expected")
        for guard in guards:
            if isinstance(guard, Generation):
                self._require(guard.number)
                continue
            found = self._find(Query((guard.resource_type,), guard.plan))
            if {resource.current.logical_id for resource in found} != guard.logical_ids:
                raise Conflict(f"the matches of a guard on {guard.resource_type} have changed")
        if targets is not None:
            self._check_references(changes, targets)
        if finish is not None:
            self._journal.check(finish)
            self._journal.apply(finish)
        return [self._apply(change) for change in changes]

    async def reindex(
        self,
        items: Sequence[Indexed],
        notes: Mapping[str, str],
        generation: int,
        expected: Mapping[str, str] = NOTHING,
    ) -> None:
        """Replace the entries of resources and set `notes`."""
        self._require(generation)
        require_notes(expected, self._notes)
        for item in items:
            resource = self._resources[item.key]
            if not resource.current.is_deleted and resource.current.version_id == item.version_id:
                resource.entries = item.entries
        self._notes = {name: text for name, text in {**self._notes, **notes}.items() if text}

    async def notes(self) -> dict[str, str]:
        """Return the notes, by name."""
        return dict(self._notes)

    async def generation(self) -> int:
        """Return the sequence of the last version of a SearchParameter, 0 if there is none."""
        self._all()
        return self._generation

    def _require(self, generation: int) -> None:
        if self._generation != generation:
            raise Conflict("the search parameters have changed")

    async def referrers(self, key: Key, *, most: int, without: Collection[Key] = ()) -> Referrers:
        """Return who refers to a resource, without some and without records."""
        address, found = "/".join(key), []
        for other, resource in self._all().items():
            if other in without or other.resource_type in (*RECORDS, *ENVELOPES):
                continue
            for entry in resource.entries:
                if (entry.kind, entry.code) == ("reference", address):
                    found.append(Referrer(*other, entry.parameter))
                    break
        return Referrers(found[:most], len(found))

    def _check_references(self, changes: Sequence[Change], targets: Iterable[Target]) -> None:
        keys = {Key(change.resource_type, change.logical_id) for change in changes}
        deleted = (c for c in changes if c.method == "DELETE")
        gone = {f"{change.resource_type}/{change.logical_id}" for change in deleted}
        referred = {
            entry.code
            for key, resource in (self._resources.items() if gone else ())
            if key not in keys and key.resource_type not in (*RECORDS, *ENVELOPES)
            for entry in resource.entries
            if entry.kind == "reference"
        }
        missing = [
            target
            for target in targets
            if not self._is_there(target)
            or ("/".join(target[:2]) in gone and not target.may_be_deleted)
        ]
        held = [Key(*address.split("/")) for address in sorted(gone & referred)]
        if missing or held:
            raise Broken(missing, held)

    def _is_there(self, target: Target) -> bool:
        resource = self._resources.get(Key(*target[:2]))
        if resource is None or (resource.current.is_deleted and not target.may_be_deleted):
            return False
        if not target.version_id:
            return True
        version = version_number(target.version_id)
        return 0 < version <= len(resource.versions) and not (
            resource.versions[version - 1].is_deleted
        )

    async def search(self, query: Query) -> Page:
        """Return a page of current, not deleted resources that meet the query."""
        after = read_cursor(query) if query.after else ()
        found = self._find(query)
        total = len(found) if query.with_total else None
        found.sort(key=lambda resource: _order(query.sort, _values(query.sort, resource)))
        if after:
            found = [
                resource
                for resource in found
                if _order(query.sort, _values(query.sort, resource)) > _order(query.sort, after)
            ]
        page = found[: max(query.count, 0)]
        cursor = ""
        if page and len(found) > len(page):
            cursor = write_cursor(query, _values(query.sort, page[-1]))
        return Page([resource.current for resource in page], cursor, total)

    async def search_all(self, queries: Sequence[Query]) -> list[Page]:
        """Return what `search` does of each query."""
        return [await self.search(query) for query in queries]

    async def explain(self, query: Query) -> list[str]:
        """Return how it would search."""
        return ["every resource is asked whether it meets the plan, then the results are sorted"]

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
        """Return versions, newest first, of one resource, one type, or all."""
        self._all()
        found = [
            stored
            for stored in reversed(self._log)
            if resource_type in ("", stored.resource_type)
            and logical_id in ("", stored.logical_id)
            and (not since or stored.last_updated >= since)
            and (not at or self._was_current(stored, *at))
        ]
        total = len(found) if with_total else None
        if before:
            found = [stored for stored in found if stored.sequence < before]
        page = found[:count]
        cursor = str(page[-1].sequence) if page and len(found) > len(page) else ""
        return Page(page, cursor, total)

    async def status(self) -> Status:
        """Return how much is stored; bytes are those of contents."""
        counts: dict[str, int] = {}
        for key, resource in sorted(self._all().items()):
            if not resource.current.is_deleted:
                counts[key.resource_type] = counts.get(key.resource_type, 0) + 1
        return Status(counts, len(self._log), sum(len(stored.content) for stored in self._log))

    async def close(self) -> None:
        """Refuse everything from now on."""
        self._is_open = False

    def _all(self) -> dict[Key, _Resource]:
        if not self._is_open:
            raise Unavailable("the store is closed")
        return self._resources

    def _find(self, query: Query) -> list[_Resource]:
        current = [
            (resource, _Facts(resource, self._resources.values()))
            for resource in self._all().values()
            if not resource.current.is_deleted
        ]
        types = query.resource_types
        return [
            resource
            for resource, facts in current
            if (not types or facts.resource_type in types) and meets(query.plan, facts)
        ]

    def _apply(self, change: Change) -> Stored:
        stored = Stored(
            change.resource_type,
            change.logical_id,
            change.version_id,
            len(self._log) + 1,
            change.last_updated,
            change.method,
            change.content,
        )
        self._log.append(stored)
        key = Key(change.resource_type, change.logical_id)
        rid = len(self._resources) + 1
        resource = self._resources.setdefault(key, _Resource(rid, [], ()))
        resource.versions.append(stored)
        resource.entries = change.entries
        if change.resource_type == PARAMETERS:
            self._generation = stored.sequence
        return stored

    def _was_current(self, stored: Stored, first: int, last: int) -> bool:
        versions = self._resources[Key(stored.resource_type, stored.logical_id)].versions
        later = versions[stored.version_id :]
        is_replaced = any(version.last_updated <= first for version in later)
        return stored.last_updated <= last and not is_replaced


def open_memory() -> tuple[MemoryStore, MemoryJournal]:
    """Return an empty store and its journal."""
    journal = MemoryJournal()
    return MemoryStore(journal), journal


def _values(sort: Sequence[SortKey], resource: _Resource) -> tuple[Any, ...]:
    """Return the resource's value for each sort key (None: it has none), and its number."""
    return (*(_value(key, resource) for key in sort), resource.rid)


def _value(key: SortKey, resource: _Resource) -> Value:
    if (key.parameter, key.kind) == ("_id", "token"):
        return resource.current.logical_id
    if (key.parameter, key.kind) == ("_lastUpdated", "date"):
        return resource.current.last_updated
    wanted = (key.parameter, *key.others)
    mine = [e for e in resource.entries if e.parameter in wanted and e.kind == key.kind]
    if key.tests:
        mine = [entry for entry in mine if passes_any(key.tests, entry)]
    choose = max if key.descending else min
    if not mine:
        return None
    if key.kind in _CODED:
        return choose(entry.code for entry in mine)
    if key.descending:
        return max(float("inf") if entry.high is None else entry.high for entry in mine)
    return min(float("-inf") if entry.low is None else entry.low for entry in mine)


class _Descending:
    """Compares the other way round."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: "_Descending") -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and bool(self.value == other.value)


def _order(sort: Sequence[SortKey], values: Sequence[Any]) -> tuple[Any, ...]:
    """Return what sorts as the values should: absent ones last, then by creation."""
    keys: list[Any] = []
    for key, value in zip(sort, values, strict=False):
        keys.append(value is None)
        if value is not None:
            keys.append(_Descending(value) if key.descending else value)
        else:
            keys.append(0)
    return (*keys, values[-1])
