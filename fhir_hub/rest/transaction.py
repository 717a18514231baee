"""The transaction: all entries or none, in R4's order, references between them resolved.

First every entry that writes gets its logical id: the one in its address, the one that its
criteria find, or a new one. Then full urls (`urn:uuid`) are replaced by these, and everything is
staged in one unit of work; what has conditional references last, because they may mean what
another entry makes. Searches, reads and operations that write nothing
run after the commit, on what it left.

Spec: https://hl7.org/fhir/R4/http.html#trules
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from fhir_hub.errors import (
    InvalidResource,
    NotFound,
    NotSupported,
    PreconditionFailed,
)
from fhir_hub.r4.references import ID
from fhir_hub.repository.unit import Unit, Warned
from fhir_hub.rest import create, delete, patch, references, update
from fhir_hub.rest.attempt import attempt
from fhir_hub.rest.conditional import Referred, Waiting
from fhir_hub.rest.criteria import criteria, if_none_exist, query_text
from fhir_hub.rest.entries import METHODS, Entry, named, naming, response_entry
from fhir_hub.rest.message import FhirRequest, FhirResponse
from fhir_hub.rest.operations import meta
from fhir_hub.rest.service import Service
from fhir_hub.rest.written import written
from fhir_hub.store.base import Key

_ON_INSTANCES = ("PUT", "PATCH", "DELETE")
_RESTFUL = re.compile(rf"(.*/)?([A-Z][A-Za-z]+)/({ID})")


async def process(entries: list[Entry], service: Service) -> list[dict[str, Any]]:
    """Run the entries as one transaction; return the entries of the answer, in their order."""
    writes = sorted(
        (entry for entry in entries if _writes(entry.request, service)),
        key=lambda entry: METHODS.index(entry.request.method),
    )

    async def work(unit: Unit) -> _Done:
        transaction = _Transaction(service, unit)
        return _Done(await transaction.run(writes), unit, transaction.entries)

    done = await service.repository.commit(work) if writes else _Done({}, None, {})
    warnings: dict[int, list[Warned]] = {}
    for warned in done.unit.warnings if done.unit else ():
        # what follows from an entry is no entry: the first one tells of it
        index = done.entries.get(warned.key, min(done.entries.values(), default=0))
        warnings.setdefault(index, []).append(warned)
    keys = {index: key for key, index in done.entries.items()}
    shown = []
    for entry in entries:
        answer = done.answers.get(entry.index)
        if answer is None:
            answer = await attempt(entry.request, service)
        elif key := keys.get(entry.index):
            answer = _in_the_end(entry.request, answer, done.unit, key)
        shown.append(response_entry(entry.request, answer, warnings.get(entry.index, ())))
    return shown


def _writes(request: FhirRequest, service: Service) -> bool:
    """Say whether an entry changes resources; a search or an operation by POST need not."""
    last = request.path[-1] if request.path else ""
    if last.startswith("$"):
        return any(one.affects_state for one in service.operations if one.name == last)
    return request.method not in ("GET", "HEAD") and last != "_search"


class _Done(NamedTuple):
    """The answers by entry, the unit of work if any, and the entry of each resource written."""

    answers: dict[int, FhirResponse]
    unit: Unit | None
    entries: Mapping[Key, int]


def _in_the_end(
    request: FhirRequest, answer: FhirResponse, unit: Unit | None, key: Key
) -> FhirResponse:
    """Return an answer with what was written: what follows from a write may add to it."""
    change = unit.changes.get(key) if unit else None
    is_shown = "Location" in answer.headers and request.prefer("return") == "representation"
    if change is None or not is_shown:
        return answer
    return replace(answer, content=change.content)


class _Transaction:
    """One attempt at a transaction, on one unit of work."""

    def __init__(self, service: Service, unit: Unit) -> None:
        self._service = service
        self._unit = unit
        self._found: dict[tuple[str, str], Key | None] = {}  # what criteria found or will make
        self._existing: set[int] = set()  # conditional creates whose resource is there already
        self._twins: set[int] = set()  # creates of what has a number that is there already
        self._doomed: dict[int, list[Key]] = {}  # what conditional deletes found
        self._deleted: set[Key] = set()
        self._waiting: list[Waiting] = []
        self.entries: dict[Key, int] = {}  # which entry writes a resource

    async def run(self, writes: list[Entry]) -> dict[int, FhirResponse]:
        keys: dict[int, Key] = {}
        for entry in writes:
            with naming(entry):
                if entry.request.method == "DELETE" and entry.request.query:
                    doomed = self._doomed[entry.index] = await self._doom(entry)
                    self._deleted.update(doomed)
                    continue
                key = keys[entry.index] = await self._key(entry)
                if entry.request.method == "DELETE":
                    self._deleted.add(key)
        self._assign(writes, keys)
        replacements = _replacements(writes, keys)
        answers = {}
        for entry in writes:
            with naming(entry):
                if answer := await self._answer(entry, keys, replacements):
                    answers[entry.index] = answer
        return answers | await self._resolve() if self._waiting else answers

    async def _resolve(self) -> dict[int, FhirResponse]:
        """Stage what has conditional references, as they are when all the rest is written."""
        asked = {query.partition("?")[0] for one in self._waiting for query in one.queries}
        for one in self._waiting:
            if one.entry.request.method == "POST" and one.key.resource_type in asked:
                with naming(one.entry):  # so that others find it
                    self._unit.create(one.resource, one.key.logical_id)
        referred = Referred(self._service, self._unit, self._found)
        found: dict[str, str] = {}
        for one in self._waiting:
            with naming(one.entry):
                for query in one.queries:
                    if query not in found:
                        found[query] = "/".join(await referred.key(query, one.entry.request.base))
        answers = {}
        for one in self._waiting:
            with naming(one.entry):
                resource = references.replaced(one.resource, found)
                answers[one.entry.index] = await self._write(one.entry.request, resource, one.key)
        return answers

    async def _key(self, entry: Entry) -> Key:
        """Return which resource the entry writes."""
        request = entry.request
        path = request.path
        if not path or path[0] not in self._service.definitions.resource_types:
            raise InvalidResource("the url of an entry names a resource type of R4")
        if request.method in _ON_INSTANCES and len(path) == 2 and not request.query:
            return Key(*path)
        if request.method == "POST" and len(path) == 3 and path[2] in meta.CHANGES:
            return Key(*path[:2])
        is_put, is_patch = request.method == "PUT", request.method == "PATCH"
        if request.method == "POST" and len(path) == 1:
            request.require_no_query()
            query = if_none_exist(request)
        elif (is_put or is_patch) and len(path) == 1 and request.query:
            query = query_text(request)
        else:
            raise NotSupported(
                "a transaction takes POST Type; PUT, PATCH, DELETE Type/id or Type?criteria; GET;"
                " operations that write nothing, $meta-add and $meta-delete"
            )
        if not query:
            twin = await self._twin(entry) if request.method == "POST" else None
            made_up = self._unit.made_up(path[0], self._service.repository.new_id())
            return twin or Key(path[0], made_up)
        known = (path[0], query) in self._found
        found = await self._match(path[0], query, entry)
        if request.method == "POST" and found in self._deleted:
            found = None  # http.html#trules: what is deleted goes first, and is there no more
        if found is None and is_patch:
            raise NotFound("the criteria match nothing to patch")
        if found is None:
            chosen = update.chosen_id(create.typed_body(request, path[0]), []) if is_put else ""
            if chosen:
                await update.require_none(self._unit, Key(path[0], chosen))
            found = Key(path[0], chosen or self._service.repository.new_id())
            self._found[path[0], query] = found
        elif request.method == "POST" or known:
            self._existing.add(entry.index)
        return found

    async def _twin(self, entry: Entry) -> Key | None:
        """Return what is there under the number of the record that an entry creates."""
        body = entry.request.resource
        twin = await self._unit.twin(body) if isinstance(body, dict) else None
        if twin is None:
            return None
        self._existing.add(entry.index)
        self._twins.add(entry.index)
        return Key(twin.resource_type, twin.logical_id)

    async def _doom(self, entry: Entry) -> list[Key]:
        """Return what a conditional delete deletes."""
        path = entry.request.path
        if len(path) != 1:
            raise NotSupported("a conditional delete is DELETE Type?criteria")
        resource_type = self._service.known_type(path[0])
        query = query_text(entry.request)
        plan = criteria(resource_type, query, entry.request.base, self._service)
        return await delete.doomed(entry.request, self._unit, resource_type, plan)

    async def _match(self, resource_type: str, query: str, entry: Entry) -> Key | None:
        """Return the one resource that the criteria find; raises `PreconditionFailed` for more."""
        if (resource_type, query) not in self._found:
            plan = criteria(resource_type, query, entry.request.base, self._service)
            found = await self._unit.find(resource_type, plan)
            if len(found) > 1:
                raise PreconditionFailed(f"the criteria match {len(found)} resources")
            key = Key(resource_type, found[0].logical_id) if found else None
            self._found[resource_type, query] = key
        return self._found[resource_type, query]

    def _assign(self, writes: list[Entry], keys: Mapping[int, Key]) -> None:
        """Note which entry writes which resource; raise `InvalidResource` if two write one."""
        seen: set[Key] = set()
        for entry in writes:
            if entry.index in self._existing and entry.request.method == "POST":
                continue
            doomed = self._doomed.get(entry.index)
            for key in [keys[entry.index]] if doomed is None else doomed:
                if key in seen:
                    # http.html#trules: two entries for one resource fail the transaction
                    message = "another entry of the transaction writes the same resource"
                    raise named(InvalidResource(message), entry)
                seen.add(key)
                tail = "" if entry.request.method == "DELETE" else ".resource"
                self._unit.places[key] = entry.place + tail
                self.entries[key] = entry.index

    async def _answer(
        self, entry: Entry, keys: Mapping[int, Key], replacements: Mapping[str, str]
    ) -> FhirResponse | None:
        """Stage an entry and return its answer; None if it waits for the others."""
        request, unit = entry.request, self._unit
        if entry.index in self._doomed:
            version_id = await delete.stage_all(request, unit, self._doomed[entry.index])
            return delete.deleted(version_id)
        if request.method == "PATCH":
            document = _referring(patch.patch_in(request), replacements)
            stored = await patch.stage(request, self._service, unit, keys[entry.index], document)
            return written(request, stored, 200)
        return await self._stage(entry, keys[entry.index], replacements)

    async def _stage(
        self, entry: Entry, key: Key, replacements: Mapping[str, str]
    ) -> FhirResponse | None:
        request, unit = entry.request, self._unit
        if request.method == "DELETE":
            return delete.deleted(await delete.stage(request, unit))
        if request.path[-1] in meta.CHANGES:
            return await meta.stage(request, unit, self._service)
        if entry.index in self._existing and request.method == "POST":
            stored = await unit.current(key)
            assert stored is not None
            if entry.index in self._twins:
                sent = references.replaced(request.body(), replacements)
                await unit.require_same(stored, sent)
            return written(request, stored, 200)
        resource = create.typed_body(request, key.resource_type)
        queries: set[str] = set()
        resource = references.replaced(resource, replacements, queries)
        if request.method == "PUT" and (not request.query or "id" in resource):
            update.require_id(resource, key)
        if queries:
            self._waiting.append(Waiting(entry, key, resource, sorted(queries)))
            return None
        return await self._write(request, resource, key)

    async def _write(
        self, request: FhirRequest, resource: dict[str, Any], key: Key
    ) -> FhirResponse:
        unit = self._unit
        if request.method == "POST":
            unit.create(resource, key.logical_id)
            stored, status = await unit.current(key), 201
        else:
            stored, status = await update.stage_as(request, unit, resource, key)
        assert stored is not None
        return written(request, stored, status)


def _referring(document: Any, replacements: Mapping[str, str]) -> Any:
    """Return a patch that refers to what the full urls in it stand for."""
    if isinstance(document, dict):
        return references.replaced(document, replacements)
    try:
        return references.replaced({"data": document}, replacements)["data"]
    except InvalidResource as error:
        raise InvalidResource(str(error), expression="Binary.data") from None


def _replacements(writes: list[Entry], keys: Mapping[int, Key]) -> dict[str, str]:
    """Return what each full url of the bundle stands for: `Type/id`."""
    found: dict[str, str] = {}
    for entry in writes:
        is_whole = entry.request.method in ("POST", "PUT") and entry.request.path[-1][:1] != "$"
        if not entry.full_url or not is_whole:
            continue
        target = "/".join(keys[entry.index])
        found[entry.full_url] = target
        # bundle.html#references: a relative reference is one below the full url's own base
        if match := _RESTFUL.fullmatch(entry.full_url):
            found.setdefault(f"{match[2]}/{match[3]}", target)
    return {old: new for old, new in found.items() if old != new}
