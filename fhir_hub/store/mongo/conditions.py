"""Plan to filter: what documents of `resource` meet a plan.

A chain is followed from its far end: the few resources there are found first, and the condition
names them. If they are many, each candidate is joined to its far end instead (`$lookup`), after
all other conditions; such a plan needs stages beside the filter.

Spec: https://hl7.org/fhir/R4/search.html#chaining
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import (
    URL,
    VERSION,
    And,
    Compare,
    Except,
    Has,
    Is,
    LinkedBy,
    Links,
    Near,
    Not,
    Or,
    Plan,
    Range,
    Test,
    Text,
    Together,
    conditions_of,
)
from fhir_hub.search.predicate import passes_any
from fhir_hub.store.mongo import canonicals
from fhir_hub.store.mongo.documents import (
    ANY_VERSION,
    BETWEEN,
    CODED,
    code_in,
    escaped,
    interval_name,
    is_of,
    named,
)
from fhir_hub.store.mongo.driver import Document
from fhir_hub.store.mongo.patterns import (
    NEVER,
    either,
    inside,
    is_near,
    joined,
    literal,
    negated,
    of_fields,
    patterns,
    regex,
)
from fhir_hub.store.mongo.schema import RESOURCE
from fhir_hub.store.mongo.spreads import Spreads

FEW = 1_000  # far ends of a chain that a condition names
Run = Callable[[list[Document]], Awaitable[list[Document]]]


@dataclass(slots=True)
class Asked:
    """A filter; if it speaks of joined documents, `stages` join them to what meets `first`."""

    where: Document
    first: Document = field(default_factory=dict)
    stages: list[Document] = field(default_factory=list)

    def pipeline(self) -> list[Document]:
        """Return the stages that yield what is asked for."""
        if not self.stages:
            return [{"$match": self.where}]
        return [{"$match": self.first}, *self.stages, {"$match": self.where}]


class Conditions:
    """Makes the filter of one query; `run` runs a pipeline over resources for far ends.

    `few` is for tests. With `types` None a plan is read for all types.
    """

    def __init__(self, run: Run, spreads: Spreads, few: int = FEW) -> None:
        self._run, self._spreads, self._few = run, spreads, few
        self._names = count()

    async def asked(self, plan: Plan, resource_types: Sequence[str]) -> Asked:
        """Return the filter of live resources of the types (of none: all) that meet a plan."""
        stages: list[Document] = []
        parts, first = [of_types(resource_types)], [of_types(resource_types)]
        for part in self._spreads.merged(list(conditions_of(plan)), resource_types):
            before = len(stages)
            condition = await self._meets(part, resource_types, stages)
            parts.append(condition)
            if len(stages) == before:
                first.append(condition)
        return Asked(joined(parts), joined(first), stages)

    async def _meets(self, plan: Plan, types: Sequence[str], stages: list[Document]) -> Document:
        match plan:
            case And(plans):
                return joined([await self._meets(part, types, stages) for part in plans])
            case Or(plans):
                return either([await self._meets(part, types, stages) for part in plans])
            case Not(inner):
                return negated(await self._meets(inner, types, stages))
            case Has():
                narrowed = self._spreads.narrowed(plan, types)
                return has(narrowed.parameter, narrowed.kind, narrowed.tests)
            case Together():
                return _together(plan)
            case Links():
                return await self._links(plan, stages)
            case LinkedBy():
                return await self._linked_by(plan, stages)

    async def _links(self, links: Links, stages: list[Document]) -> Document:
        far = await self.asked(links.plan, links.resource_types)
        if far.where == NEVER:
            return NEVER
        if links.is_canonical:
            named_so = canonicals.tests(await self._run([*far.pipeline(), *canonicals.names()]))
            return has(links.parameter, "reference", named_so) if named_so else NEVER
        found = await self._ends(far, [{"$project": {"_id": 1}}])
        start = named(links.parameter, "reference")
        if found is not None:
            ends = [start + escaped(one["_id"]) for one in found]
            return _some([*(e + BETWEEN for e in ends), *(ANY_VERSION + e for e in ends)])
        refers, joins = f"r{next(self._names)}", f"j{next(self._names)}"
        stages += [
            {"$set": {refers: _referred(start)}},
            _lookup(refers, "_id", far, joins),
        ]
        return {joins: {"$ne": []}}

    async def _linked_by(self, linked: LinkedBy, stages: list[Document]) -> Document:
        far = await self.asked(linked.plan, (linked.resource_type,))
        if far.where == NEVER:
            return NEVER
        start = named(linked.parameter, "reference")
        if linked.is_canonical:
            said = await self._run([*far.pipeline(), *canonicals.referred(start)])
            return either([_called(*canonicals.parts(one["_id"])) for one in said])
        refers = {"_id": 0, "r": _referred(start)}
        found = await self._ends(far, [{"$project": refers}])
        if found is not None:
            ends = dict.fromkeys(code for one in found for code in one["r"])
            return {"_id": {"$in": list(ends)}} if ends else NEVER
        own, joins = f"o{next(self._names)}", f"j{next(self._names)}"
        forms = [
            {"$concat": [start, "$_id", BETWEEN]},
            {"$concat": [ANY_VERSION, start, "$_id"]},
        ]
        stages += [{"$set": {own: forms}}, _lookup(own, "x", far, joins)]
        return {joins: {"$ne": []}}

    async def _ends(self, far: Asked, shown: list[Document]) -> list[Document] | None:
        """Return the far ends of a chain, None if they are not few."""
        limit = {"$limit": self._few + 1}
        found = await self._run([*far.pipeline(), limit, *shown])
        return found if len(found) <= self._few else None


def _called(url: str, version: str) -> Document:
    """Return the condition that a resource has the url, and the version if there is one."""
    by_url = has(URL, "uri", (Is(url),))
    return joined([by_url, has(VERSION, "token", (Is(version),))]) if version else by_url


def of_types(resource_types: Sequence[str]) -> Document:
    """Return the condition that a live resource is of one of the types; of none: any."""
    if not resource_types:
        return {"t": {"$exists": True}}
    unique = list(dict.fromkeys(resource_types))
    return {"t": unique[0] if len(unique) == 1 else {"$in": unique}}


def has(parameter: str, kind: str, tests: Sequence[Test]) -> Document:
    """Return the condition that some entry of a parameter passes one of the tests."""
    if parameter in ("_id", "_type", "_lastUpdated"):
        return _own(parameter, kind, tests)
    if kind in CODED:
        return _coded(parameter, kind, tests)
    if kind == "text":
        return either([_words(parameter, test) for test in tests]) if tests else _any(parameter)
    name = {"k": interval_name(parameter, kind)}
    if not tests:
        return {"d": {"$elemMatch": name}}
    found = []
    for test in tests:
        for part in _parts(test):
            said = of_fields(part)
            if said == NEVER:
                continue
            condition = {"d": {"$elemMatch": inside(name, said)}}
            near = [is_near(parameter, part)] if isinstance(part, Near) else []
            found.append(joined([condition, *near]))
    return either(found)


def _parts(test: Test) -> list[Test]:
    """Return the alternatives of a range, each a range: each is a walk of an index."""
    if type(test) is Range or isinstance(test, Range):
        return [Range((one,), test.system, test.code, test.unit) for one in test.any_of]
    return [test]


def _any(parameter: str, kind: str = "text") -> Document:
    return {"x": regex("^" + literal(named(parameter, kind)))}


def _coded(parameter: str, kind: str, tests: Sequence[Test]) -> Document:
    if not tests:
        return _any(parameter, kind)
    alternatives = []
    simple: list[Any] = []
    for test in tests:
        if isinstance(test, Except):
            none_of = [
                one for each in test.tests for one in patterns(parameter, kind, each, is_alone=True)
            ]
            start = regex("^" + literal(named(parameter, kind)))
            alternatives.append({"x": {"$elemMatch": {"$in": [start], "$nin": none_of}}})
        else:
            simple += patterns(parameter, kind, test)
    return either([_some(simple), *alternatives])


def _some(values: Sequence[Any]) -> Document:
    if not values:
        return NEVER
    return {"x": values[0] if len(values) == 1 else {"$in": list(values)}}


def _words(parameter: str, test: Test) -> Document:
    """Return the condition that a text has the words: an index finds each of them."""
    condition = {"w": {"$elemMatch": inside({"k": parameter}, of_fields(test))}}
    if not isinstance(test, Text) or test.mode != "words":
        return condition
    start = named(parameter, "text")
    words = [{"x": start + escaped(word)} for word in dict.fromkeys(test.value.split(" "))]
    return joined([*words, condition] if len(words) > 1 else words)


def _own(parameter: str, kind: str, tests: Sequence[Test]) -> Document:
    """Return the condition of what the store knows of a resource without any entry."""
    if kind != ("date" if parameter == "_lastUpdated" else "token"):
        return NEVER
    if not tests:
        return {}
    if parameter == "_lastUpdated":
        return either([_updated(test) for test in tests])
    column = "i" if parameter == "_id" else "t"
    return either([_own_code(column, test) for test in tests])


def _own_code(column: str, test: Test) -> Document:
    if isinstance(test, Is) and test.code is not None and not test.system:
        return {column: test.code}
    if isinstance(test, Except):
        return negated(either([_own_code(column, one) for one in test.tests]))
    if isinstance(test, Text) and test.mode == "exact":
        return {} if not test.value else NEVER  # it has a code, and no text
    return _renamed(of_fields(test), column)


def _renamed(condition: Document, column: str) -> Document:
    """Return a condition of an entry's fields as one of a column that is its code."""
    found = []
    for name, value in condition.items():
        if name in ("$and", "$or", "$nor"):
            found.append({name: [_renamed(one, column) for one in value]})
        elif name == "c":
            found.append({column: value})
        elif name == "_id":
            return NEVER
        else:
            found.append({} if value is None else NEVER)
    return joined(found)


def _updated(test: Test) -> Document:
    """Return the condition of the instant of the last update, which ends a microsecond later."""
    if not isinstance(test, Range) or any(
        part not in (None, "") for part in (test.system, test.code, test.unit)
    ):
        return {} if passes_any((test,), Entry("_lastUpdated", "date")) else NEVER
    alternatives = []
    for comparisons in test.any_of:
        asked = [Compare("low", c.operator, c.value - (c.bound == "high")) for c in comparisons]
        alternatives.append(_shown_as("u", of_fields(Range((tuple(asked),)))))
    return either(alternatives)


def _shown_as(column: str, condition: Document) -> Document:
    """Return a condition of the low bound as one of a column."""
    own = {column: condition["l"]} if "l" in condition else {}
    return joined([own, *(_shown_as(column, one) for one in condition.get("$and", ()))])


def _together(plan: Together) -> Document:
    """Return the condition that a group of a composite passes all; its first part is indexed."""
    if not plan.parts:
        return NEVER
    group: Document = {"k": plan.parameter}
    for place, (kind, test) in enumerate(plan.parts):
        condition = of_fields(test)
        if condition == NEVER:
            return NEVER
        group[f"p{place}"] = {"$elemMatch": inside({"k": kind}, condition)}
    kind, test = plan.parts[0]
    return joined([has(f"{plan.parameter}.0", kind, (test,)), {"g": {"$elemMatch": group}}])


def _referred(start: str) -> Document:
    """Return the expression of what a resource refers to by the parameter of `start`."""
    mine = {"$filter": {"input": {"$ifNull": ["$x", []]}, "as": "e", "cond": is_of("$$e", start)}}
    return {"$map": {"input": mine, "as": "e", "in": code_in("$$e")}}


def _lookup(local: str, foreign: str, far: Asked, name: str) -> Document:
    """Return the stage that joins one of the far ends as `name`."""
    one: list[Document] = [{"$limit": 1}, {"$project": {"_id": 1}}]
    return {
        "$lookup": {
            "from": RESOURCE,
            "localField": local,
            "foreignField": foreign,
            "pipeline": [*far.pipeline(), *one],
            "as": name,
        }
    }
