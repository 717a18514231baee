"""Search parameters of a site's own, kept in step with the store: read, built, watched.

Which parameters there are is what the SearchParameter resources say, so nothing can be out of
step with them. Every write is conditional on the *generation* by which it was indexed, the
sequence of the last SearchParameter: whoever did not know of a new one is refused, reads them
anew and does his work again. So after a parameter was stored, everything written is indexed by
it; what was there before is indexed by a pass over the types that it is of, in small batches,
each as durable as a write and refused for a resource that has changed meanwhile. A parameter may
be searched by when the passes over its types are done. A note by type in the store says
what is built and how far a pass is, so a pass that a crash ends goes on where it was.

Spec: https://hl7.org/fhir/R4/searchparameter.html
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from fhir_hub import fhirjson
from fhir_hub.errors import FhirError
from fhir_hub.search.entry import Entry
from fhir_hub.search.extract import Extractor
from fhir_hub.search.own import OwnParameter, is_active, read_row
from fhir_hub.search.parameters import EVERY_TYPE, Parameters
from fhir_hub.search.plan import And, Query
from fhir_hub.store.base import PARAMETERS, Conflict, Indexed, Key, Store, Stored
from fhir_hub.store.news import News, NoNews

_BATCH = 100
_PAGE = 500
_NOTE = "index/"
_WATCH_S = 1.0
Log = Callable[..., None]


def no_log(event: str, **fields: object) -> None:
    """Log nothing."""


Marks = dict[str, str]


class Note(NamedTuple):
    """What is known of a type's index: the parameters that it is built for, and a pass under way.

    A pass indexes what was written up to `until` for the parameters `wanted`; `cursor` is where
    it goes on. Without a pass `until` is 0.
    """

    built: Marks
    wanted: Marks
    until: int = 0
    cursor: str = ""
    done: int = 0
    total: int = 0

    @property
    def percent(self) -> int:
        """How far the pass is."""
        return min(99, self.done * 100 // self.total) if self.total else 0


class Indexing:
    """Keeps `Parameters` in step with the store, and does the passes where it is told to."""

    def __init__(
        self,
        store: Store,
        parameters: Parameters,
        extractor: Extractor,
        log: Log = no_log,
        news: News | None = None,
    ) -> None:
        self._log, self._news = log, news or NoNews()
        self._is_leading = False
        self._store, self._parameters, self._extractor = store, parameters, extractor
        self._refreshing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._notes: dict[str, Note] = {}
        self._own: dict[str, OwnParameter] = {}

    @property
    def left(self) -> int:
        """Return how many resources are still to be indexed by the passes that are due."""
        return sum(max(0, note.total - note.done) for note in self._notes.values() if note.until)

    @property
    def unfinished(self) -> list[str]:
        """Return the types that a pass is due over, `*` for every type."""
        return self._due()

    async def is_current(self) -> bool:
        """Return whether the parameters are those of the store."""
        return await self._store.generation() == self._parameters.generation

    async def refresh(self) -> None:
        """Read what the store says now of parameters and passes."""
        async with self._refreshing:
            generation = await self._store.generation()
            while generation != self._parameters.generation:
                await self._read(self._parameters.generation)
                before, generation = generation, await self._store.generation()
                if before == generation:
                    own = sorted(self._own.values(), key=lambda one: one.since)
                    self._parameters.set_own(own, generation)
            self._notes = {
                name.removeprefix(_NOTE): Note(**json.loads(text))
                for name, text in (await self._store.notes()).items()
                if name.startswith(_NOTE)
            }
            self._show()
            self._wake.set()

    def lead(self) -> None:
        """Let this process do the passes: one of several does."""
        self._is_leading = True
        self._wake.set()

    async def rest(self) -> None:
        """Let another process do them; a pass under way goes on, each batch written or refused."""
        self._is_leading = False

    async def watch(self) -> None:
        """Follow what other processes do, and do the passes if this one leads. Endless."""
        self._news.hear(self._wake.set, of_parameters=True)
        while True:
            try:
                await self.refresh()
                self._wake.clear()
                if self._is_leading:
                    await self.work()
            except Conflict:  # somebody else wrote meanwhile
                await asyncio.sleep(0)
                continue
            except FhirError:  # the store does not answer now: again in a while, not at once
                self._wake.clear()
            except Exception as error:
                self._wake.clear()
                self._log("indexing_fault", fault=error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_WATCH_S):
                    await self._wake.wait()

    async def work(self) -> None:
        """Do the passes that are due, a batch at a time, and rest as long as each took."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        while await self.step():
            await asyncio.sleep(min(0.1, loop.time() - started))
            started = loop.time()

    async def step(self) -> bool:
        """Do the next batch that is due; return False if nothing is."""
        due = self._due()
        if due:
            try:
                await self._step(due[0])
            except Conflict:  # a parameter is new, or has changed
                await self.refresh()
        return bool(due)

    async def rebuild(self, resource_types: Iterable[str]) -> None:
        """Let passes index everything of the types anew. Searches go on meanwhile."""
        await self.refresh()
        for resource_type in resource_types:
            note = self._notes.get(resource_type, Note({}, {}))
            await self._begin(resource_type, note)
        self._wake.set()

    def _due(self) -> list[str]:
        """Return the types whose index is not what the parameters ask for."""
        wanted = {name: self._parameters.marks(name) for name in self._parameters.own_types}
        names = sorted({*wanted, *self._notes})
        return [
            name
            for name in names
            for note in [self._notes.get(name, Note({}, {}))]
            if note.until or note.built != wanted.get(name, {})
        ]

    async def _step(self, resource_type: str) -> None:
        """Begin a pass over a type, or do its next batch."""
        wanted = self._parameters.marks(resource_type)
        note = self._notes.get(resource_type, Note({}, {}))
        if not note.until or note.wanted != wanted:
            await self._begin(resource_type, note)
            return
        generation = self._parameters.generation
        types = (resource_type,) if resource_type != EVERY_TYPE else ()
        query = Query(types, And(()), count=_BATCH, after=note.cursor)
        page = await self._store.search(query)
        old = [stored for stored in page.matches if stored.sequence <= note.until]
        # they come in the order of creation: after one that is new, all are
        is_last = not page.cursor or any(
            stored.version_id == 1 and stored.sequence > note.until for stored in page.matches
        )
        if is_last:
            note = Note(wanted, {})
        else:
            note = note._replace(cursor=page.cursor, done=note.done + len(page.matches))
        await self._write(resource_type, note, [*self.indexed(old)], generation)

    async def _begin(self, resource_type: str, note: Note) -> None:
        status = await self._store.status()
        wanted = self._parameters.marks(resource_type)
        built = {code: mark for code, mark in note.built.items() if wanted.get(code) == mark}
        total = status.resources.get(resource_type, 0)
        if resource_type == EVERY_TYPE:
            total = sum(status.resources.values())
        fresh = Note(built, wanted, max(1, status.sequence), total=total)
        await self._write(resource_type, fresh, [], self._parameters.generation)

    async def _write(
        self, resource_type: str, note: Note, items: list[Indexed], generation: int
    ) -> None:
        is_over = note == Note({}, {})
        text = "" if is_over else json.dumps(note._asdict())
        await self._store.reindex(items, {f"{_NOTE}{resource_type}": text}, generation)
        if is_over:
            self._notes.pop(resource_type, None)
        else:
            self._notes[resource_type] = note
        self._show()

    def indexed(self, stored: Iterable[Stored]) -> Iterable[Indexed]:
        """Yield the entries that resources have by the parameters of now."""
        for one in stored:
            resource = fhirjson.loads(one.content)
            with contextlib.suppress(FhirError):  # as unchecked data may be: it stays as it was
                entries = tuple(self._extractor.entries(resource))
                yield Indexed(Key(one.resource_type, one.logical_id), one.version_id, entries)

    def entries_of(self, stored: Stored) -> tuple[Entry, ...]:
        """Return what a resource is found by; nothing for one that no check ever saw."""
        return next((one.entries for one in self.indexed([stored])), ())

    def _show(self) -> None:
        self._parameters.set_built(
            {name: note.built for name, note in self._notes.items()},
            {name: note.percent for name, note in self._notes.items() if note.until},
        )

    async def _read(self, known: int) -> None:
        """Read the parameters that were written after the sequence `known`."""
        changed: dict[str, None] = {}
        before = 0
        while True:
            page = await self._store.history(PARAMETERS, count=_PAGE, before=before)
            new = [stored for stored in page.matches if stored.sequence > known]
            changed.update(dict.fromkeys(stored.logical_id for stored in new))
            if not page.cursor or len(new) < len(page.matches):
                break
            before = int(page.cursor)
        for logical_id in changed:
            self._own.pop(logical_id, None)
            stored = await self._store.read(Key(PARAMETERS, logical_id))
            assert stored is not None
            resource = {} if stored.is_deleted else fhirjson.loads(stored.content)
            if is_active(resource) and not self._parameters.is_of_r4(resource):
                with contextlib.suppress(FhirError):  # as a hub that knew more may have stored it
                    self._own[logical_id] = await self._since(stored, resource)

    async def _since(self, stored: Stored, resource: dict[str, Any]) -> OwnParameter:
        """Return the parameter, with the sequence from which on it has been as it is now."""
        row, since, before = read_row(resource), stored.sequence, 0
        while True:
            page = await self._store.history(PARAMETERS, stored.logical_id, count=20, before=before)
            for version in page.matches:
                earlier = fhirjson.loads(version.content) if version.content else {}
                if not is_active(earlier) or _row_of(earlier) != row:
                    return OwnParameter(stored.logical_id, row, since)
                since = version.sequence
            if not page.cursor:
                return OwnParameter(stored.logical_id, row, since)
            before = int(page.cursor)


def portable(notes: Mapping[str, str]) -> dict[str, str]:
    """Return a store's notes as another one may go on by them: a pass there begins anew.

    Where a pass is at is said by a cursor, which is of one store alone.
    """
    found = dict(notes)
    for name, text in notes.items():
        if name.startswith(_NOTE):
            found[name] = json.dumps(Note(**json.loads(text))._replace(cursor="", done=0)._asdict())
    return found


def _row_of(resource: dict[str, Any]) -> Any:
    try:
        return read_row(resource)
    except FhirError:
        return None
