"""Search parameters of a site's own, kept in step with the store: read, built, watched.

Which parameters there are is what the SearchParameter resources say, so nothing can be out of
step with them. Every write is conditional on the *generation* by which it was indexed, the
sequence of the last SearchParameter: whoever did not know of a new one is refused, reads them
anew and does his work again. So after a parameter was stored, everything written is indexed by
it; what was there before is indexed by a pass over the types that it is of, in small batches,
each as durable as a write and refused for a resource that has changed meanwhile. A parameter may
be searched by when the passes over its types are done. A note by type in the store says
what is built and how far a pass is, so a pass that a crash ends goes on where it was.

That of all types says by which extraction (`search/extraction.py`) the entries were made. If it
is not this hub's, an older one or one with other settings made them, and a pass over everything
makes them anew; searches go on meanwhile, and say that they may lack something. While processes
of several extractions write (a rolling upgrade) none makes them anew, or each would undo what the
other did: what is said of the store is taken away, and who is left at the end makes all anew.

Spec: https://hl7.org/fhir/R4/searchparameter.html
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
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
_EXTRACTION = "extraction"
Log = Callable[..., None]
Others = Callable[[], Awaitable[Collection[str]]]


def no_log(event: str, **fields: object) -> None:
    """Log nothing."""


async def nobody() -> Collection[str]:
    """Return the extractions of the other processes that write: there are none."""
    return ()


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
        extraction: str = "",
        others: Others = nobody,
    ) -> None:
        """Keep `extraction` in the store, and index what is there anew where it was another.

        `others` says those of the other processes that write, empty for one that does not say.
        """
        self._others, self._is_mixed = others, False
        self._log, self._news = log, news or NoNews()
        self._extraction = extraction
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
        """Return the types that a pass is due over, an empty name for every type."""
        return self._due()

    @property
    def under_way(self) -> list[str]:
        """Return the types over which a pass has begun and not ended."""
        return [name for name in self._due() if self._note(name).until]

    @property
    def is_outdated(self) -> bool:
        """Return whether entries of another extraction than this hub's may be stored."""
        built = self._note(EVERY_TYPE).built
        return bool(self._extraction) and built.get(_EXTRACTION) != self._extraction

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
            await self._look_at_others()
            if self.is_outdated and not self._is_mixed and EVERY_TYPE not in self._notes:
                await self._begin_store()
            self._show()
            self._wake.set()

    async def _begin_store(self) -> None:
        """Note the extraction of a store that has nothing yet."""
        if not (await self._store.status()).sequence:
            note = Note(self._wanted(EVERY_TYPE), {})
            with contextlib.suppress(Conflict):  # somebody writes just now: then it is looked at
                await self._write(EVERY_TYPE, note, [], self._parameters.generation)

    async def _look_at_others(self) -> None:
        """See whether processes of several extractions write, and then say none of the store."""
        others = await self._others() if self._extraction else ()
        was_mixed = self._is_mixed
        self._is_mixed = any(one != self._extraction for one in others)
        if self._is_mixed and not was_mixed:
            self._log("index_mixed", reason="other processes index by another extraction")
        note = self._note(EVERY_TYPE)
        # one that does not say knows nothing of this, and would make all anew by itself
        if self._is_mixed and "" not in others and _EXTRACTION in {**note.built, **note.wanted}:
            built = {code: mark for code, mark in note.built.items() if code != _EXTRACTION}
            with contextlib.suppress(Conflict):  # at the next look
                await self._write(EVERY_TYPE, Note(built, {}), [], self._parameters.generation)

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

    async def step(self, among: Collection[str] = ()) -> bool:
        """Do the next batch that is due, of the types `among` if any; False if nothing is."""
        due = [name for name in self._due() if not among or name in among]
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
            await self._begin(resource_type, self._note(resource_type))
        self._wake.set()

    def _due(self) -> list[str]:
        """Return the types whose index is not what the parameters ask for; all at once last."""
        names = {*self._parameters.own_types, EVERY_TYPE, *self._notes}
        return [
            name
            for name in sorted(names, key=lambda name: (name == EVERY_TYPE, name))
            if self._note(name).until or self._note(name).built != self._wanted(name)
        ]

    def _note(self, resource_type: str) -> Note:
        return self._notes.get(resource_type, Note({}, {}))

    def _wanted(self, resource_type: str) -> Marks:
        """Return what the index of a type is to be built for."""
        wanted = self._parameters.marks(resource_type)
        if resource_type == EVERY_TYPE and self._extraction:
            built = self._note(EVERY_TYPE).built.get(_EXTRACTION, "")
            if mark := built if self._is_mixed else self._extraction:
                wanted[_EXTRACTION] = mark
        return wanted

    async def _step(self, resource_type: str) -> None:
        """Begin a pass over a type, or do its next batch."""
        wanted, note = self._wanted(resource_type), self._note(resource_type)
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
            if self.is_outdated and resource_type == EVERY_TYPE:
                self._log("index_made_anew", resources=note.total)
            note = Note(wanted, {})
        else:
            note = note._replace(cursor=page.cursor, done=note.done + len(page.matches))
        await self._write(resource_type, note, [*self.indexed(old)], generation)

    async def _begin(self, resource_type: str, note: Note) -> None:
        status = await self._store.status()
        wanted = self._wanted(resource_type)
        built = {code: mark for code, mark in note.built.items() if wanted.get(code) == mark}
        total = status.resources.get(resource_type, 0)
        if resource_type == EVERY_TYPE:
            total = sum(status.resources.values())
            if self.is_outdated:
                was = note.built.get(_EXTRACTION, "unknown")
                reason = f"it was made by {was}, this hub is {self._extraction}"
                self._log("index_outdated", resources=total, reason=reason)
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

    def portable(self, notes: Mapping[str, str]) -> dict[str, str]:
        """Return a store's notes as another one may go on by them that this hub has filled.

        A pass begins anew there: where it is at is said by a cursor, which is of one store alone.
        What all resources are indexed by is built there: every entry was made here.
        """
        found = dict(notes)
        for name, text in notes.items():
            if name.startswith(_NOTE):
                note = Note(**json.loads(text))._replace(cursor="", done=0)
                found[name] = json.dumps(note._asdict())
        made = Note(self._wanted(EVERY_TYPE), {})
        return found | {f"{_NOTE}{EVERY_TYPE}": json.dumps(made._asdict())}

    def _show(self) -> None:
        self._parameters.set_built(
            {name: note.built for name, note in self._notes.items()},
            {name: note.percent for name, note in self._notes.items() if note.until},
            self._note(EVERY_TYPE).percent if self.is_outdated or self._is_mixed else None,
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


def _row_of(resource: dict[str, Any]) -> Any:
    try:
        return read_row(resource)
    except FhirError:
        return None
