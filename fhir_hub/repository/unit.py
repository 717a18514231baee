"""A unit of work: what one request, bundle or message does, staged and then written at once.

A unit reads through to the store and remembers what it saw: the version of each resource that
it changes, the answer of each search that it decided by. Those become the conditions of the
one atomic write. If one of them no longer holds, nothing is written and the repository runs
the same work again from fresh reads, so that every decision is made on what is true at commit.

Spec: https://hl7.org/fhir/R4/http.html#concurrency
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, NamedTuple

from fhir_hub import fhirjson
from fhir_hub.clock import from_microseconds, instant_at, microseconds
from fhir_hub.errors import Duplicate, InvalidResource, Issue, PreconditionFailed
from fhir_hub.r4.references import Literal, is_id
from fhir_hub.repository.familiar import Asked, By, Familiar, asks_of
from fhir_hub.repository.rules import Rules
from fhir_hub.repository.staged import OfType, Staged, as_stored, same, stamp
from fhir_hub.search.plan import Plan, Query
from fhir_hub.search.predicate import meets
from fhir_hub.store.base import (
    PARAMETERS,
    Change,
    Finish,
    Generation,
    Guard,
    Key,
    Method,
    Store,
    Stored,
    Target,
    change_of,
    guard_of,
    key_of,
)

_AT_ONCE = 1000
_NOBODY = frozenset[str]()
_MOST_MATCHES = 20_000  # a merge re-points what refers to a patient; more is a mistake

Resource = dict[str, Any]
Condition = Callable[[Stored | None], None]  # raises unless the current version is as expected


class Warned(NamedTuple):
    """What the answer is to warn of, and which staged resource it is about."""

    key: Key
    issue: Issue


class Unit:
    """One unit of work. Build it up; `Repository.commit` writes it.

    `literals` are what the staged resources refer to on this server; `warnings` are there once
    the unit is written.
    """

    def __init__(self, store: Store, rules: Rules, familiar: Familiar | None = None) -> None:
        self.finish: Finish | None = None
        self.changes: dict[Key, Change] = {}
        self.guards: list[Guard | Generation] = []
        if rules.parameters is not None:
            self.guards.append(Generation(rules.parameters.generation))
        # what is wrong with a resource is told under its place in the request: its type or entry
        self.places: dict[Key, str] = {}
        self.warnings: list[Warned] = []
        self.literals: dict[Key, Collection[Literal]] = {}
        self._resources: dict[Key, Resource] = {}  # what the changes say
        self._staged: defaultdict[str, OfType] = defaultdict(OfType)
        self.given_up: set[Target] = set()  # what may be missing after all
        # what was worked out of what was found here, by those who may ask for it again
        self.worked_out: dict[Hashable, dict[Any, Any]] = {}
        self._store = store
        self._rules = rules
        self._seen: dict[Key, Stored | None] = {}
        self._asked: dict[Asked, Sequence[Stored]] = {}
        self._familiar = familiar
        self._recalled: list[tuple[Asked, Sequence[Stored]]] = []  # what is familiar, found here
        self._new: set[str] = set()  # addresses that were made up here: nobody refers to them yet
        # a millisecond is what `lastUpdated` can say, so the index says no more
        self._now = microseconds(rules.clock()) // 1000 * 1000
        self._instant = instant_at(self._now)

    async def current(self, key: Key) -> Stored | None:
        """Return the version that holds in this unit: staged here, or stored."""
        if change := self.changes.get(key):
            return as_stored(change)
        if key not in self._seen:
            self._seen[key] = await self._store.read(key)
        return self._seen[key]

    async def find(
        self,
        resource_type: str,
        plan: Plan,
        among: Collection[Key] | None = None,
        familiar: By = "",
    ) -> list[Stored]:
        """Return what meets `plan`, staged resources too; the commit holds only if that stays so.

        Of what is staged only `among` is looked at, if that is given. What is `familiar` is not
        searched for if it was found before: by its `name`, where what it says does not matter.

        Raises `PreconditionFailed` for more than 20,000 matches.
        """
        return await self.answer(Asked(resource_type, plan), among, familiar)

    async def answer(
        self,
        asked: Asked,
        among: Collection[Key] | None = None,
        familiar: By = "",
        most: int | None = None,
    ) -> list[Stored]:
        """Return what `find` does, of what was asked before: its hash is known.

        Of what is staged no more is looked at once it is over `most`.
        """
        resource_type, plan = asked.resource_type, asked.plan
        matches = self._asked.get(asked)  # rules ask the same of each of ten
        if matches is None and self._new and asks_of(plan, self._new):
            matches = self._asked[asked] = ()
        if matches is None:
            known, kept = None, self._familiar if familiar else None
            if kept is not None:
                known = await kept.again(asked, self._store, familiar)
            if known is None:
                known = await self._matches(Query((resource_type,), plan, count=_AT_ONCE))
            if kept is not None:
                self._recalled.append((asked, known[0]))
            matches = self._hold(asked, *known)
        found = []
        for stored in matches:
            key = key_of((resource_type, stored.logical_id))
            self._seen.setdefault(key, stored)
            if key not in self.changes:
                found.append(stored)
        staged = self._staged.get(resource_type)
        if staged is None:
            return found
        for key in staged.perhaps(plan) if among is None else among:
            change = staged.changes.get(key)
            if change is not None and meets(plan, Staged(change, self.changes)):
                found.append(as_stored(change))
                if most is not None and len(found) > most:
                    break
        return found

    async def ask_ahead(self, asked: Iterable[tuple[Asked, By]]) -> None:
        """Search for several answers at one step, of which none has been asked for so far.

        Each is kept for who asks for it with `answer`, and how familiar it is. One by which
        something was found before is left to that.
        """
        kept = self._familiar
        new = {one: by for one, by in asked if not (by and kept is not None and kept.knows(one))}
        queries = [Query((one.resource_type,), one.plan, count=_AT_ONCE) for one in new]
        pages = await self._store.search_all(queries) if len(new) > 1 else ()
        for (one, by), page in zip(new.items(), pages, strict=False):
            if page.cursor:  # there are more, page by page
                continue
            if by and kept is not None:
                self._recalled.append((one, page.matches))
            self._hold(one, page.matches, page.as_of)

    async def few(self, resource_type: str, plan: Plan, most: int) -> list[Stored] | None:
        """Return what `find` does, None if it is over `most`."""
        asked = Asked(resource_type, plan)
        matches = self._asked.get(asked)
        if matches is None:
            page = await self._store.search(Query((resource_type,), plan, count=most))
            if page.cursor:
                return None
            matches = self._hold(asked, page.matches, page.as_of)
        found = await self.answer(asked, most=most) if len(matches) <= most else None
        return found if found is not None and len(found) <= most else None

    def require_none(self, resource_type: str, plan: Plan) -> None:
        """Have the commit hold only if nothing meets a plan, as nothing that was read does."""
        as_of = min((one.as_of for one in self.guards if type(one) is Guard), default=-1)
        self.guards.append(Guard(resource_type, plan, as_of=as_of))

    def written(self, stored: Sequence[Stored]) -> None:
        """Take note that all is written: what is familiar was found again just before."""
        if self._familiar is None or not stored:
            return
        before, changed = stored[0].sequence - 1, {one.resource_type for one in stored}
        for asked, matches in self._recalled:
            if asked.resource_type in changed:  # it may be found from now on, or say something else
                self._familiar.forget(asked)
            else:
                self._familiar.keep(asked, matches, before)

    def refused(self) -> None:
        """Take note that something is not as it was found: it may be what seemed familiar."""
        if self._familiar is not None:
            for asked, _ in self._recalled:
                self._familiar.forget(asked)

    def _hold(self, asked: Asked, matches: Sequence[Stored], as_of: int) -> Sequence[Stored]:
        """Have the commit hold only if these stay the matches; return them."""
        ids = frozenset([stored.logical_id for stored in matches]) if matches else _NOBODY
        self.guards.append(guard_of((asked.resource_type, asked.plan, ids, as_of)))
        self._asked[asked] = matches
        return matches

    async def _matches(self, query: Query) -> tuple[list[Stored], int]:
        """Return what the store finds, and up to which sequence it saw all for sure."""
        matches: list[Stored] = []
        as_of: list[int] = []
        while True:
            page = await self._store.search(query)
            matches += page.matches
            as_of.append(page.as_of)
            if not page.cursor:
                return matches, min(as_of)
            if len(matches) >= _MOST_MATCHES:
                raise PreconditionFailed(f"more than {_MOST_MATCHES} resources match")
            query = replace(query, after=page.cursor)

    def asked(self, condition: Condition | None) -> Condition | None:
        """Return the condition of a client's write; without one, what the house has for him."""
        conduct = self._rules.conduct
        if condition is not None or conduct is None or not conduct.versioned:
            return condition

        def require(current: Stored | None) -> None:
            if current and not current.is_deleted and current.resource_type in conduct.versioned:
                conduct.require_version(fhirjson.loads(current.content))

        return require

    async def twin(self, resource: Resource) -> Stored | None:
        """Return what is there already under the number that a new record has, None if nothing."""
        conduct = self._rules.conduct
        if conduct is None or (plan := conduct.number_of(resource)) is None:
            return None
        found = await self.find(str(resource["resourceType"]), plan)
        return found[0] if len(found) == 1 else None

    async def require_same(self, twin: Stored, resource: Resource) -> None:
        """Raise `Duplicate` unless a record says what the one of its number first said."""
        key = Key(twin.resource_type, twin.logical_id)
        first = twin if key in self.changes else await self._store.vread(key, 1)
        known = fhirjson.loads((first or twin).content)
        own = ("id", "meta", "status", "text")
        said = {name: value for name, value in resource.items() if name not in own}
        there = {name: known.get(name) for name in said}
        if fhirjson.canonical(there) != fhirjson.canonical(said):
            raise Duplicate(
                "this number is another record's, which says something else",
                expression=f"{key.resource_type}.identifier",
            )

    def create(self, resource: Resource, logical_id: str = "") -> Key:
        """Stage a new resource under a new logical id, or under `logical_id`; return its key.

        Raises `InvalidResource` if it breaks a rule.
        """
        logical_id = logical_id or self.made_up(
            resource.get("resourceType", ""), self._rules.new_id()
        )
        return self._stage(self._completed(None, resource), logical_id, 1, "POST")

    def made_up(self, resource_type: str, logical_id: str) -> str:
        """Take note of a logical id that nobody can refer to yet: searches find nothing of it."""
        self._new.add(f"{resource_type}/{logical_id}")
        return logical_id

    async def update(
        self,
        resource: Resource,
        logical_id: str,
        *,
        condition: Condition | None = None,
        method: Method = "PUT",
    ) -> bool:
        """Stage `resource` as the next version of `logical_id`; return whether it is new.

        A content equal to the current one makes no version. Raises what `condition` raises,
        `InvalidResource` if a rule is broken.

        Spec: https://hl7.org/fhir/R4/http.html#update
        """
        resource_type = resource.get("resourceType", "")
        key = Key(resource_type if isinstance(resource_type, str) else "", logical_id)
        current = await self.current(key)
        if condition is not None:
            condition(current)
        is_new = current is None or current.is_deleted
        if is_new and not is_id(logical_id):
            raise InvalidResource(
                "a logical id has 1 to 64 of A-Z a-z 0-9 - .", expression=f"{key[0]}.id"
            )
        resource = self._completed(current, resource)
        if current is not None and not current.is_deleted and same(current, resource):
            return False
        staged = self.changes.get(key)
        version_id = (current.version_id if current else 0) + (0 if staged else 1)
        self._stage(resource, logical_id, version_id, method)
        return is_new

    async def delete(self, key: Key, *, condition: Condition | None = None) -> int:
        """Stage a deletion; return the version that says so, 0 if there never was a resource."""
        current = await self.current(key)
        if condition is not None:
            condition(current)
        if current is None or current.is_deleted:
            return current.version_id if current else 0
        is_staged = key in self.changes
        if is_staged and self._seen.get(key) is None:  # made in this unit: it never was
            del self.changes[key], self.literals[key], self._resources[key]
            del self._staged[key.resource_type].changes[key]
            return 0
        version_id = current.version_id + (0 if is_staged else 1)
        self.literals.pop(key, None)
        self._resources.pop(key, None)
        self._staged[key.resource_type].changes.pop(key, None)
        now = max(self._now, self._last(key))
        self.changes[key] = Change(*key, version_id, now, "DELETE")
        return version_id

    def before(self, key: Key) -> Stored | None:
        """Return the stored version that a staged change comes after, None if it is the first."""
        stored = self._seen.get(key)
        return None if stored is None or stored.is_deleted else stored

    def as_staged(self, stored: Stored) -> Stored:
        """Return what is staged of a resource by now: what follows from a write may add to it."""
        change = self.changes.get(Key(stored.resource_type, stored.logical_id))
        return stored if change is None else as_stored(change)

    def staged(self, key: Key) -> Resource | None:
        """Return what a staged change says, None for a deletion. It is not to be changed."""
        return self._resources.get(key)

    @property
    def now(self) -> datetime:
        """Return the moment of this unit."""
        return from_microseconds(self._now)

    @property
    def today(self) -> date:
        """Return the day that it is where the hub stands."""
        return self.now.astimezone(self._rules.zone).date()

    def _completed(self, current: Stored | None, resource: Resource) -> Resource:
        conduct, subscription = self._rules.conduct, self._rules.subscription
        resource_type = resource.get("resourceType")
        is_asked = subscription is not None and resource_type == "Subscription"
        if not is_asked and (conduct is None or resource_type not in conduct.types):
            return resource
        is_there = current is not None and not current.is_deleted
        before = fhirjson.loads(current.content) if current is not None and is_there else None
        if subscription is not None and is_asked:
            return subscription(before, resource)
        assert conduct is not None
        return conduct.complete(before, resource, self.now)

    def _stage(self, resource: Resource, logical_id: str, version_id: int, method: Method) -> Key:
        rules = self._rules
        known = rules.extractor.known(resource)
        is_right = rules.require(resource, known.unknown)
        resource_type = resource["resourceType"]
        key = key_of((resource_type, logical_id))
        now, told = self._now, self._instant
        if (last := self._last(key)) > now:
            now, told = last, instant_at(last)
        stamped = stamp(resource, logical_id, version_id, told)
        if resource_type == PARAMETERS and rules.parameters is not None:
            rules.parameters.require_own(stamped, self._staged_parameters(logical_id))
        content = fhirjson.dumps(stamped)
        literals, entries = rules.extractor.read(stamped, content, known, is_right=is_right)
        self.literals[key] = literals
        change = change_of((*key, version_id, now, method, content, entries))
        self.changes[key] = change
        self._staged[resource_type].put(key, change)
        self._resources[key] = stamped
        return key

    def _last(self, key: Key) -> int:
        """Return when a resource was last updated, 0 if it is new: no version is older than that.

        The clock may have been set back since.
        """
        stored = self._seen.get(key)
        return 0 if stored is None else stored.last_updated

    def _staged_parameters(self, logical_id: str) -> list[Resource]:
        return [
            fhirjson.loads(change.content)
            for key, change in self.changes.items()
            if key.resource_type == PARAMETERS and key.logical_id != logical_id and change.content
        ]
