"""What a plan means, one resource at a time: the reference that every store must agree with.

Nothing here is clever. A resource is what it says in its entries; `_id` and `_lastUpdated` are
answered from what the store knows of it. Links and reverse links look at the other resources,
one after the other.

Spec: https://hl7.org/fhir/R4/search.html
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from fhir_hub.search.entry import Entry
from fhir_hub.search.kinds.position import half_chord
from fhir_hub.search.plan import (
    URL,
    VERSION,
    Among,
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
)

_INFINITY = float("inf")
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}


class Facts(Protocol):
    """What a plan asks of one current resource, and of those around it."""

    @property
    def resource_type(self) -> str:
        """The resource's type."""

    @property
    def logical_id(self) -> str:
        """The resource's logical id."""

    @property
    def last_updated(self) -> int:
        """When the current version was made: microseconds since 1970, UTC."""

    @property
    def entries(self) -> Iterable[Entry]:
        """What the resource says; nothing of `_id` and `_lastUpdated`."""

    def others(self, resource_types: tuple[str, ...]) -> Iterable["Facts"]:
        """Return all current resources of the types (of no types: all), this one too."""


def meets(plan: Plan, facts: Facts) -> bool:
    """Return whether the resource of `facts` meets `plan`."""
    match plan:
        case And(plans):
            return all(meets(part, facts) for part in plans)
        case Or(plans):
            return any(meets(part, facts) for part in plans)
        case Not(inner):
            return not meets(inner, facts)
        case Has(parameter, kind, tests):
            mine = _entries(facts, parameter)
            return any(e.kind == kind and (not tests or passes_any(tests, e)) for e in mine)
        case Together():
            return _together(plan, facts)
        case Links(parameter, resource_types, inner, True):
            said = {Is(e.code, e.system) for e in _entries(facts, parameter) if _is_reference(e)}
            return any(
                not _canonicals(other).isdisjoint(said) and meets(inner, other)
                for other in facts.others(resource_types)
            )
        case LinkedBy(resource_type, parameter, inner, True):
            names = tuple(_canonicals(facts))
            both = And((Has(parameter, "reference", names), inner))
            return names != () and any(
                meets(both, other) for other in facts.others((resource_type,))
            )
        case Links(parameter, resource_types, inner):
            codes = {e.code for e in _entries(facts, parameter) if _is_reference(e)}
            return any(
                f"{other.resource_type}/{other.logical_id}" in codes and meets(inner, other)
                for other in facts.others(resource_types)
            )
        case LinkedBy(resource_type, parameter, inner):
            link = Has(parameter, "reference", (Is(f"{facts.resource_type}/{facts.logical_id}"),))
            both = And((link, inner))
            return any(meets(both, other) for other in facts.others((resource_type,)))


def _is_reference(entry: Entry) -> bool:
    return entry.kind == "reference"


def _canonicals(facts: Facts) -> set[Is]:
    """Return what asks for a canonical that names a resource: its url, of a version of its or none.

    Spec: https://hl7.org/fhir/R4/references.html#canonical
    """
    urls = {e.code for e in _entries(facts, URL) if e.kind == "uri"}
    versions = {e.code for e in _entries(facts, VERSION) if e.kind == "token"}
    return {Is(url, version) for url in urls for version in ("", *versions)}


def passes(test: Test, entry: Entry) -> bool:
    """Return whether `entry` alone passes `test`."""
    match test:
        case Is(code, system):
            return code in (None, entry.code) and system in (None, entry.system)
        case Among(codes, system):
            return entry.code in codes and system in (None, entry.system)
        case Text(value, mode):
            return _TEXT[mode](entry, value)
        case Range(any_of, system, code, unit):
            return (
                any(all(_compares(c, entry) for c in comparisons) for comparisons in any_of)
                and system in (None, entry.system)
                and code in (None, entry.code)
                and unit in (None, entry.code, entry.text)
            )
        case Near():
            low, high = entry.low or 0.0, entry.high or 0.0
            return half_chord(test, low, high) <= test.half_chord
        case Except(tests):
            return not passes_any(tests, entry)


_TEXT: Mapping[str, Callable[[Entry, str], bool]] = {
    "starts": lambda entry, value: entry.code.startswith(value),
    "ends": lambda entry, value: entry.code.endswith(value),
    "contains": lambda entry, value: value in entry.code,
    "words": lambda entry, value: f" {value} " in f" {entry.code} ",
    "exact": lambda entry, value: entry.text == value,
    "below": lambda entry, value: entry.code.startswith(value),
    "above": lambda entry, value: value.startswith(entry.code),
    "version": lambda entry, value: _is_of_version(entry, *value.partition("|")[::2]),
}


def _is_of_version(entry: Entry, url: str, version: str) -> bool:
    return entry.code == url and f"{entry.system}.".startswith(f"{version}.")


def passes_any(tests: Iterable[Test], entry: Entry) -> bool:
    """Return whether `entry` passes one of `tests`."""
    return any(passes(test, entry) for test in tests)


def _compares(compare: Compare, entry: Entry) -> bool:
    if compare.bound == "low":
        bound = -_INFINITY if entry.low is None else entry.low
    else:
        bound = _INFINITY if entry.high is None else entry.high
    return _OPERATORS[compare.operator](bound, compare.value)


def _together(plan: Together, facts: Facts) -> bool:
    groups: set[int] | None = None
    for number, (kind, test) in enumerate(plan.parts):
        found = {
            entry.group
            for entry in _entries(facts, f"{plan.parameter}.{number}")
            if entry.kind == kind and passes(test, entry)
        }
        groups = found if groups is None else groups & found
    return bool(groups)


def _entries(facts: Facts, parameter: str) -> Iterator[Entry]:
    if parameter == "_id":
        yield Entry("_id", "token", facts.logical_id)
    elif parameter == "_type":
        yield Entry("_type", "token", facts.resource_type)
    elif parameter == "_lastUpdated":
        moment = facts.last_updated
        yield Entry("_lastUpdated", "date", low=moment, high=moment + 1)
    else:
        yield from (entry for entry in facts.entries if entry.parameter == parameter)
