"""The repository: the one way to read and to change data.

REST and HL7v2 go through it, so a POST and an ORU obey the same rules and leave the same
trail. Every change is a unit of work that is written atomically; when another writer was
faster, the work is done again from fresh reads, first at once and then one at a time, so that
200 clients who want the same thing get it one after the other instead of all again.

Spec: https://hl7.org/fhir/R4/http.html
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from copy import copy
from typing import TypeVar

from fhir_hub import fhirjson
from fhir_hub.errors import Contended, Gone, Issue, NotFound
from fhir_hub.repository.familiar import Familiar
from fhir_hub.repository.indexing import Indexing
from fhir_hub.repository.integrity import deletion_issues, prepare, refusal
from fhir_hub.repository.links import Included, include
from fhir_hub.repository.rules import Rules
from fhir_hub.repository.stored_terminology import TYPES as TERMINOLOGY
from fhir_hub.repository.stored_terminology import StoredTerminology
from fhir_hub.repository.unit import Unit
from fhir_hub.search.entry import Entry
from fhir_hub.search.extract import Extractor
from fhir_hub.search.request import SearchRequest
from fhir_hub.settings import References
from fhir_hub.store.base import PARAMETERS, Broken, Conflict, Key, Page, Store, Stored

Result = TypeVar("Result")
_EAGER = 2  # attempts before a unit of work queues up behind the others that lost
_ATTEMPTS = 100


class Repository:
    """Reads and units of work over one store.

    `rules_of` says which rules hold for what comes from some sources; without it all are alike.
    `indexing` keeps the site's own search parameters in step with the store, `terminology` what
    is known of codes.
    """

    def __init__(
        self,
        store: Store,
        rules: Rules,
        extractor: Extractor,
        rules_of: Callable[..., Rules] | None = None,
        indexing: Indexing | None = None,
        terminology: StoredTerminology | None = None,
    ) -> None:
        self.store = store
        self.new_id = rules.new_id
        self.clock = rules.clock
        self._rules = rules
        self._extractor = extractor
        self._rules_of = rules_of or (lambda *sources: rules)
        self._others: dict[tuple[str, ...], Repository] = {}
        self._queue = asyncio.Lock()
        self._indexing = indexing
        self._terminology = terminology
        self._familiar = Familiar()

    def of(self, *sources: str) -> "Repository":
        """Return this repository, with the rules of what comes from `sources`.

        A later source says more exactly where it comes from (`hl7v2`, then the sender's file).
        """
        other = self._others.get(sources)
        if other is None:
            other = self._others[sources] = copy(self)
            other._rules = self._rules_of(*sources)
        return other

    @property
    def reference_policy(self) -> References:
        """What happens here to references that point to nothing."""
        return self._rules.references

    async def read(self, key: Key) -> Stored:
        """Return the current version; raises `NotFound` or `Gone`.

        Spec: https://hl7.org/fhir/R4/http.html#read
        """
        stored = await self.store.read(key)
        if stored is None:
            raise NotFound(f"{key.resource_type} has no resource with this id")
        if stored.is_deleted:
            raise Gone(f"this {key.resource_type} was deleted in version {stored.version_id}")
        return stored

    async def vread(self, key: Key, version_id: int) -> Stored:
        """Return one version; raises `NotFound`, or `Gone` for the version that deleted it.

        Spec: https://hl7.org/fhir/R4/http.html#vread
        """
        stored = await self.store.vread(key, version_id)
        if stored is None:
            raise NotFound(f"{key.resource_type} has no resource with this id and version")
        if stored.is_deleted:
            raise Gone(f"version {version_id} of this {key.resource_type} is its deletion")
        return stored

    async def search(self, request: SearchRequest) -> tuple[Page, Included]:
        """Return a page of matches and what `_include` and `_revinclude` add to it."""
        page = await self.store.search(request.query)
        return page, await self.included(request, page.matches)

    async def included(self, request: SearchRequest, matches: list[Stored]) -> Included:
        """Return what `_include` and `_revinclude` add to `matches`."""
        return await include(self.store, self._extractor, request, matches)

    def references(self, stored: Stored, parameters: Iterable[str]) -> set[str]:
        """Return where a resource points under these search parameters: `Type/id`, or absolute."""
        resource = fhirjson.loads(stored.content)
        return {
            address
            for parameter in parameters
            for address in self._extractor.references(resource, parameter)
        }

    def entries(self, stored: Stored) -> Sequence[Entry]:
        """Return what the search knows of a version, by its own content."""
        return self._extractor.entries(fhirjson.loads(stored.content))

    async def commit(self, work: Callable[[Unit], Awaitable[Result]]) -> Result:
        """Run `work` on a new unit and write what it staged, all or nothing; return its result.

        `work` runs again, on a new unit, when another writer was faster: it must have no effect
        but on its unit. Raises what `work` raises, and `Contended` after 100 attempts.
        """
        for _ in range(_EAGER):
            done, result = await self._attempt(work)
            if done:
                return result
        async with self._queue:
            for _ in range(_ATTEMPTS - _EAGER):
                done, result = await self._attempt(work)
                if done:
                    return result
        raise Contended("too many others write the same resource; try again")

    async def _attempt(self, work: Callable[[Unit], Awaitable[Result]]) -> tuple[bool, Result]:
        unit = Unit(self.store, self._rules, self._familiar)
        result = await work(unit)
        if not unit.changes and unit.finish is None:
            return True, result
        if self._rules.conduct is not None:
            await self._rules.conduct.follow(unit)
        targets = await prepare(self.store, self._rules, unit)
        changes = list(unit.changes.values())
        try:
            unit.written(await self.store.write(changes, unit.guards, unit.finish, targets))
        except Conflict:
            unit.refused()
            await self._look_again()
            return False, result
        except Broken as broken:
            # placeholders are made from fresh reads; a refusal is what was true at the write
            error = await refusal(self.store, self._rules, unit, broken)
            if error is None or self._rules.placeholder is not None:
                return False, result
            raise error from None
        changed = {change.resource_type for change in changes}
        if self._indexing and PARAMETERS in changed:
            await self._indexing.refresh()
        if self._terminology and not changed.isdisjoint(TERMINOLOGY):
            await self._terminology.refresh()
        return True, result

    async def deletion_issues(self, key: Key) -> list[Issue]:
        """Return what would be said if the resource were deleted now; empty: it may go."""
        return await deletion_issues(self.store, self._rules, key)

    async def rebuild(self, resource_types: Iterable[str]) -> None:
        """Have everything of the types indexed anew, in the background."""
        assert self._indexing is not None
        await self._indexing.rebuild(resource_types)

    async def _look_again(self) -> None:
        """Read the search parameters anew, if it is for them that a unit was refused."""
        if self._indexing and not await self._indexing.is_current():
            await self._indexing.refresh()
