"""Query text to a request: what to search, in which order, how much, and what to add.

Strict handling is the default: whatever is not understood is an error that names the nearest
valid thing. Lenient handling leaves it out and says so.

Spec: https://hl7.org/fhir/R4/search.html#errors and #return
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from types import MappingProxyType
from typing import Literal, TypeVar, get_args
from urllib.parse import parse_qsl

from fhir_hub.errors import FhirError, InvalidParameter, Issue, UnknownParameter
from fhir_hub.nearest import did_you_mean
from fhir_hub.search.advice import no_type
from fhir_hub.search.asked_codes import AskedCodes
from fhir_hub.search.condition import HAS, LIST, MOST_VALUES, Conditions
from fhir_hub.search.context import Context, Terms
from fhir_hub.search.filter import FILTER, filter_plan
from fhir_hub.search.include import Include, parse_include, parse_reverse_include
from fhir_hub.search.kinds import special
from fhir_hub.search.parameter import Parameter
from fhir_hub.search.parameters import Parameters
from fhir_hub.search.plan import And, Has, Is, Or, Plan, Query, SortKey
from fhir_hub.search.request import SearchRequest, Total

Pair = tuple[str, str]
T = TypeVar("T", bound=str)
Summary = Literal["true", "false", "text", "data", "count"]

SUMMARIES: tuple[str, ...] = get_args(Summary)
TOTALS: tuple[Total, ...] = get_args(Total)
# read by the HTTP side; they choose a format and no resource
_ELSEWHERE = ("_format", "_pretty")
_ORDERED = {"_type": 0, "_elements": 2, "_summary": 2}
CONTAINED = "_contained"
_NO_ALIASES: Mapping[str, str] = MappingProxyType({})
_MOST_PAIRS = 200


def parse_search(
    resource_types: tuple[str, ...],
    pairs: Sequence[Pair],
    *,
    parameters: Parameters,
    zone: tzinfo,
    base: str,
    aliases: Mapping[str, str] = _NO_ALIASES,
    terms: Terms | None = None,
    lenient: bool = False,
    page_size: int = 20,
    max_page_size: int = 1000,
) -> SearchRequest:
    """Return what the decoded `pairs` of a query ask; no `resource_types` means all of them.

    A date without an offset is read in `zone`, a reference below `base` is a relative one, a
    system in `aliases` the one that it stands for; `terms` know value sets. Raises
    `UnknownParameter` and `InvalidParameter`; with `lenient` such a pair is an issue instead.
    """
    context = Context(zone, aliases, base.rstrip("/"), terms)
    reading = _Reading(parameters, context, resource_types, page_size, max_page_size)
    if len(pairs) > _MOST_PAIRS:
        raise InvalidParameter(f"a search has at most {_MOST_PAIRS} parameters")
    # the types say what the other parameters mean
    is_mixed = any(name in _ORDERED for name, _ in pairs)
    listed = sorted(enumerate(pairs), key=_place) if is_mixed else enumerate(pairs)
    for place, (name, value) in listed:
        try:
            reading.take(name, value)
        except (UnknownParameter, InvalidParameter) as error:
            # R4 search.html#query: an unknown query SHALL be refused
            if not lenient or name.partition(":")[0] == "_query":
                raise
            reading.ignored.append(place)
            reading.issues.append(_ignored(error))
    ignored = reading.ignored
    kept = [pair for place, pair in enumerate(pairs) if place not in ignored] if ignored else pairs
    return reading.request(tuple(kept))


def criteria_plan(
    resource_type: str,
    query_text: str,
    *,
    parameters: Parameters,
    zone: tzinfo,
    base: str,
    aliases: Mapping[str, str] = _NO_ALIASES,
    terms: Terms | None = None,
) -> Plan:
    """Return what the criteria of a conditional interaction ask (`identifier=system|value`).

    Raises `UnknownParameter`, and `InvalidParameter` also for criteria that ask nothing: they
    would mean every resource.

    Spec: https://hl7.org/fhir/R4/http.html#ccreate
    """
    try:
        pairs = parse_qsl(
            query_text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_PAIRS
        )
    except ValueError:
        raise InvalidParameter("the criteria are no query in UTF-8") from None
    conditions = Conditions(parameters, Context(zone, aliases, base.rstrip("/"), terms))
    plans = [
        _plan(conditions, resource_type, name, value)
        for name, value in pairs
        if name not in _ELSEWHERE
    ]
    if not plans:
        raise InvalidParameter("the criteria name no parameter")
    return plans[0] if len(plans) == 1 else And(tuple(plans))


def _plan(conditions: Conditions, resource_type: str, name: str, value: str) -> Plan:
    if name == FILTER:
        _filled(name, value)
        return filter_plan(conditions, resource_type, value)
    return conditions.plan(resource_type, name, value)


def _place(item: tuple[int, Pair]) -> int:
    """Return when a pair is read: the types first, and last what the includes matter to."""
    return _ORDERED.get(item[1][0], 1)


def _of_types(types: Sequence[str]) -> Has:
    return Has("_type", "token", tuple(Is(one) for one in types))


def _ignored(error: FhirError) -> Issue:
    return Issue(error.code, f"ignored: {error}", severity="warning")


@dataclass(slots=True)
class _Reading:
    """One query as far as it has been read."""

    parameters: Parameters
    context: Context
    resource_types: tuple[str, ...]
    count: int
    max_page_size: int
    plans: list[Plan] = field(default_factory=list)
    tests: int = 0
    sort: tuple[SortKey, ...] = ()
    includes: list[Include] = field(default_factory=list)
    revincludes: list[Include] = field(default_factory=list)
    total: Total = "none"
    summary: str = ""
    elements: tuple[str, ...] = ()
    ignored: list[int] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    is_explained: bool = False
    once: set[str] = field(default_factory=set)

    def take(self, name: str, value: str) -> None:
        """Read one pair; raises `UnknownParameter`, `InvalidParameter`."""
        code = name.partition(":")[0]
        if code in _INCLUDES:
            _filled(name, value)
            _INCLUDES[code](self, value, name[len(code) + 1 :])
        elif name in _CONTROLS:
            _filled(name, value)
            if name in self.once:
                raise InvalidParameter(f"{name} may stand once")
            _CONTROLS[name](self, value)
            if name not in _REPEATED:
                self.once.add(name)
        elif code in _CONTROLS:
            raise UnknownParameter(f"{code} has no modifiers")
        elif name not in _ELSEWHERE:
            self.plans.append(self._condition(name, value))

    def request(self, used: tuple[Pair, ...]) -> SearchRequest:
        """Return what has been read."""
        is_count = self.summary == "count" or not self.count
        query = Query(
            resource_types=self.resource_types,
            plan=self.plans[0] if len(self.plans) == 1 else And(tuple(self.plans)),
            sort=self.sort,
            count=0 if is_count else self.count,
            with_total=is_count or self.total != "none",
        )
        return SearchRequest(
            resource_types=self.resource_types,
            query=query,
            includes=tuple(dict.fromkeys(self.includes)) if self.includes else (),
            revincludes=tuple(dict.fromkeys(self.revincludes)) if self.revincludes else (),
            total=self.total,
            summary=self.summary,
            elements=self.elements,
            used=used,
            issues=tuple(self.issues),
            is_explained=self.is_explained,
        )

    def set_types(self, value: str) -> None:
        if self.resource_types:
            raise UnknownParameter("_type is for searches of the whole system")
        types = tuple(dict.fromkeys(value.split(",")))
        known = self.parameters.definitions.resource_types
        for one in types:
            if one not in known:
                raise InvalidParameter(no_type("_type", one, known))
        self.resource_types = types

    def set_count(self, value: str) -> None:
        if not (value.isascii() and value.isdigit() and len(value) < 10):
            raise InvalidParameter("_count is a number from 0")
        self.count = min(int(value), self.max_page_size)

    def set_total(self, value: str) -> None:
        self.total = _one_of("_total", value, TOTALS)

    def set_summary(self, value: str) -> None:
        summary = _one_of("_summary", value, SUMMARIES)
        if summary == "text" and (self.includes or self.revincludes):  # R4 search.html#summary
            raise InvalidParameter("_summary=text cannot be mixed with _include or _revinclude")
        self.summary = summary

    def set_explain(self, value: str) -> None:
        self.is_explained = _one_of("_explain", value, ("true", "false")) == "true"

    def set_contained(self, value: str) -> None:
        if _one_of(CONTAINED, value, ("false", "true", "both")) != "false":
            raise UnknownParameter(
                f"{CONTAINED} is not supported but as false: {special.PARAMETERS[CONTAINED]}"
            )

    def set_elements(self, value: str) -> None:
        names = tuple(dict.fromkeys(value.split(",")))
        if not all(name.isalnum() for name in names):
            raise InvalidParameter(
                "_elements: write names of elements of the top level, joined by commas"
            )
        is_known = self.resource_types and not (self.includes or self.revincludes)
        known = self._elements() if is_known else frozenset(names)
        for name in names:
            if name not in known:
                near = did_you_mean(name, known)
                raise UnknownParameter(f"_elements: there is no element {name[:60]!r}{near}")
        self.elements += names

    def _elements(self) -> frozenset[str]:
        """Return the names of the top elements of the types; of a choice `value` and each."""
        known = set()
        for one in self.resource_types:
            structure = self.parameters.definitions.structure(one)
            assert structure is not None
            for path, element in structure.elements.items():
                if path.count(".") == 1:
                    name = path.split(".")[1].removesuffix("[x]")
                    known.add(name)
                    if path.endswith("[x]"):
                        known.update(
                            f"{name}{t.code[:1].upper()}{t.code[1:]}" for t in element.types
                        )
        return frozenset(known)

    def set_sort(self, value: str) -> None:
        keys = (self._sort_key(part) for part in value.split(","))
        self.sort += tuple(keys)

    def include(self, value: str, modifier: str) -> None:
        self.includes += parse_include(value, modifier, self.parameters)

    def reverse_include(self, value: str, modifier: str) -> None:
        self.revincludes += parse_reverse_include(
            value, modifier, self.resource_types, self.parameters
        )

    def _condition(self, name: str, value: str) -> Plan:
        if len(self.resource_types) < 2:
            conditions = Conditions(self.parameters, self.context, _ADVICE)
            plan = _plan(conditions, (*self.resource_types, "Resource")[0], name, value)
            self._add_tests(conditions.tests)
            return plan
        plans: dict[Plan, list[str]] = {}
        codes = AskedCodes()
        with codes.of_several():
            for one in self.resource_types:
                conditions = Conditions(self.parameters, self.context, _ADVICE, codes)
                plan = _plan(conditions, one, name, value)
                if plan not in plans:
                    self._add_tests(conditions.tests)
                plans.setdefault(plan, []).append(one)
        if len(plans) == 1:
            return next(iter(plans))
        # what a name means in one type is not asked of another
        return Or(tuple(And((_of_types(types), plan)) for plan, types in plans.items()))

    def _add_tests(self, tests: int) -> None:
        self.tests += tests
        if self.tests > MOST_VALUES:
            raise InvalidParameter(f"a search has at most {MOST_VALUES} values")

    def _sort_key(self, text: str) -> SortKey:
        code = text.removeprefix("-")
        conditions = Conditions(self.parameters, self.context)
        types = self.resource_types or ("Resource",)
        found = [conditions.parameter(one, code) for one in types]
        first, *more = dict.fromkeys(p.kind for p in found)
        if first == "composite" or first == "special" or first == "text":
            raise InvalidParameter(f"_sort: results have no order by {code}, a {first} parameter")
        names = tuple(dict.fromkeys(index for p in found for index in p.indexes))
        if more or any(map(self._is_of_another, found, types, [names] * len(found))):
            raise InvalidParameter(f"_sort: {code} means different things in these types")
        return SortKey(names[0], first, text.startswith("-"), names[1:])

    def _is_of_another(
        self, parameter: Parameter, resource_type: str, names: Sequence[str]
    ) -> bool:
        """Say whether one of `names` is an index of the type, and not of this parameter."""
        known = self.parameters.of(resource_type)
        others = set(names) - set(parameter.indexes)
        return any(name in known and known[name].is_stored for name in others)


_CONTROLS: Mapping[str, Callable[[_Reading, str], None]] = {
    "_type": _Reading.set_types,
    "_count": _Reading.set_count,
    "_sort": _Reading.set_sort,
    "_total": _Reading.set_total,
    "_summary": _Reading.set_summary,
    "_elements": _Reading.set_elements,
    "_explain": _Reading.set_explain,
    CONTAINED: _Reading.set_contained,
}
_INCLUDES: Mapping[str, Callable[[_Reading, str, str], None]] = {
    "_include": _Reading.include,
    "_revinclude": _Reading.reverse_include,
}

_ADVICE = (*_CONTROLS, *_INCLUDES, HAS, LIST, FILTER)


# what adds up; of the others the last would silently win
_REPEATED = ("_sort", "_elements")


def _filled(name: str, value: str) -> None:
    if not value:
        raise InvalidParameter(f"{name} has no value")


def _one_of(name: str, value: str, known: Sequence[T]) -> T:
    for one in known:
        if one == value:
            return one
    raise InvalidParameter(f"{name} is one of {', '.join(known)}{did_you_mean(value, known)}")
