"""What a document is made from: the store, read by the patient and by when it happened.

Spec: https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from uuid import NAMESPACE_URL, uuid5

from fhir_hub.clock import Clock, IdMaker, microseconds
from fhir_hub.errors import InvalidResource
from fhir_hub.identity import match
from fhir_hub.r4.dates import date_interval
from fhir_hub.referral.finding import read
from fhir_hub.referral.reading import at
from fhir_hub.repository.unit import Resource
from fhir_hub.search.parameters import Parameters
from fhir_hub.search.plan import (
    EVERYTHING,
    And,
    Compare,
    Has,
    Is,
    Not,
    Or,
    Plan,
    Query,
    Range,
    SortKey,
)
from fhir_hub.store.base import Key, Store

MOST = 5000  # resources of one type that go into a document: the newest
_PAGE = 500
_TARGETS = 50
# when it took place: the first of these that a type has
_WHEN = ("date", "authoredon", "authored", "effective", "period", "created")
_MOMENTS = (
    ("effectiveDateTime",),
    ("effectiveInstant",),
    ("effectivePeriod", "start"),
    ("performedDateTime",),
    ("performedPeriod", "start"),
    ("occurrenceDateTime",),
    ("occurrencePeriod", "start"),
    ("authoredOn",),
    ("onsetDateTime",),
    ("onsetPeriod", "start"),
    ("recordedDate",),
    ("timingDateTime",),
    ("timingPeriod", "start"),
    ("recordedOn",),
    ("period", "start"),
    ("dateAsserted",),
    ("dateTime",),
    ("date",),
    ("created",),
    ("issued",),
)


@dataclass(frozen=True, slots=True)
class Archive:
    """Where documents come from. `zone` is that of times without an offset, `base` this server.

    `organization` runs the hub, as an Organization; None: nobody says which.
    """

    store: Store
    parameters: Parameters
    zone: tzinfo
    base: str
    clock: Clock
    new_id: IdMaker
    organization: Resource | None = None

    def urn(self) -> str:
        """Return a new name for what is nowhere stored: `urn:uuid:…`."""
        return f"urn:uuid:{uuid5(NAMESPACE_URL, self.new_id())}"

    async def of_patients(
        self,
        resource_type: str,
        ids: Iterable[str],
        since: datetime | None = None,
        also: Plan = EVERYTHING,
    ) -> list[Resource]:
        """Return what is about these patients and meets `also`, newest first.

        With `since`: what is of then or later, or undated.
        """
        known = self.parameters.of(resource_type)
        about = known.get("patient") or known["subject"]
        tests = tuple(Is(f"Patient/{one}") for one in ids)
        plan: Plan = Or(tuple(Has(index, "reference", tests) for index in about.indexes))
        dated = next((known[name] for name in _WHEN if name in known), None)
        if since is not None and dated is not None:
            later = Range(((Compare("high", ">", microseconds(since)),),))
            either = (Has(dated.index, "date", (later,)), Not(Has(dated.index, "date")))
            plan = And((plan, Or(either)))
        if also != EVERYTHING:
            plan = And((plan, also))
        sort = () if dated is None else (SortKey(dated.index, "date", descending=True),)
        return await self._all(Query((resource_type,), plan, sort, count=_PAGE))

    async def records_of(self, keys: Iterable[Key]) -> list[Resource]:
        """Return the Provenance of these resources, newest first."""
        target = self.parameters.of("Provenance")["target"]
        addresses = ["/".join(key) for key in keys]
        found: dict[str, Resource] = {}
        for start in range(0, len(addresses), _TARGETS):
            tests = tuple(Is(one) for one in addresses[start : start + _TARGETS])
            plan = Has(target.index, "reference", tests)
            for one in await self._all(Query(("Provenance",), plan, count=_PAGE)):
                found[one["id"]] = one
        return sorted(found.values(), key=lambda one: str(one.get("recorded")), reverse=True)

    async def read_many(self, keys: Iterable[Key]) -> list[Resource]:
        """Return the resources that are there."""
        return [read(stored) for stored in await self.store.read_many(keys)]

    async def own_organization(self) -> Resource | None:
        """Return who runs the hub: as it is stored, if one has a number of his; else as told."""
        own = self.organization
        if own is None:
            return None
        plan = match.plan_of(match.numbers(own.get("identifier", ())))
        found = await self._all(Query(("Organization",), plan, count=2)) if plan != Or() else []
        return found[0] if len(found) == 1 else own

    def moment(self, resource: Resource) -> int | None:
        """Return when it took place or was written, microseconds since 1970; None: not told."""
        return self.moment_of(when(resource))

    def moment_of(self, text: str) -> int | None:
        """Return the start of a FHIR date or time, microseconds since 1970; None: it is none."""
        try:
            return date_interval(text, self.zone).start if text else None
        except InvalidResource:
            return None

    def end_of(self, text: str) -> int | None:
        """Return the last moment that a FHIR date or time covers; None: it is none."""
        try:
            return date_interval(text, self.zone).end - 1 if text else None
        except InvalidResource:
            return None

    async def _all(self, query: Query) -> list[Resource]:
        found: list[Resource] = []
        cursor = ""
        while len(found) < MOST:
            page = await self.store.search(
                Query(query.resource_types, query.plan, query.sort, query.count, cursor)
            )
            found += [read(stored) for stored in page.matches]
            cursor = page.cursor
            if not cursor:
                break
        return found[:MOST]


def when(resource: Resource) -> str:
    """Return when it took place or was written, as the resource tells it; empty: it does not."""
    for path in _MOMENTS:
        found = at(resource, *path)
        if isinstance(found, str):
            return found
    return ""
