"""What a plan means, resource by resource (until `search/predicate.py` says it)."""

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import (
    And,
    Compare,
    Has,
    Is,
    LinkedBy,
    Links,
    Not,
    Or,
    Plan,
    Range,
    Test,
    Text,
    Together,
)

OPS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq}
INF = float("inf")


@dataclass(frozen=True, slots=True)
class Facts:
    """One current resource."""

    resource_type: str
    logical_id: str
    entries: tuple[Entry, ...]


def meets(plan: Plan, facts: Facts, everyone: Callable[[], Iterable[Facts]]) -> bool:
    match plan:
        case And(plans):
            return all(meets(p, facts, everyone) for p in plans)
        case Or(plans):
            return any(meets(p, facts, everyone) for p in plans)
        case Not(p):
            return not meets(p, facts, everyone)
        case Has(parameter, kind, tests):
            return any(
                e.parameter == parameter
                and e.kind == kind
                and (not tests or any(passes(t, e) for t in tests))
                for e in facts.entries
            )
        case Together(parameter, parts):
            groups = None
            for n, (kind, test) in enumerate(parts):
                found = {
                    e.group
                    for e in facts.entries
                    if e.parameter == f"{parameter}.{n}" and e.kind == kind and passes(test, e)
                }
                groups = found if groups is None else groups & found
            return bool(groups)
        case Links(parameter, types, p):
            codes = {
                e.code for e in facts.entries if e.parameter == parameter and e.kind == "reference"
            }
            return any(
                (not types or o.resource_type in types)
                and f"{o.resource_type}/{o.logical_id}" in codes
                and meets(p, o, everyone)
                for o in everyone()
            )
        case LinkedBy(resource_type, parameter, p):
            own = f"{facts.resource_type}/{facts.logical_id}"
            return any(
                o.resource_type == resource_type
                and any(
                    e.parameter == parameter and e.kind == "reference" and e.code == own
                    for e in o.entries
                )
                and meets(p, o, everyone)
                for o in everyone()
            )


def passes(test: Test, e: Entry) -> bool:
    match test:
        case Is(code, system):
            return code in (None, e.code) and system in (None, e.system)
        case Text(value, mode):
            if mode in ("starts", "below"):
                return e.code.startswith(value)
            if mode == "contains":
                return value in e.code
            if mode == "exact":
                return e.text == value
            return value.startswith(e.code)
        case Range():
            return (
                any(all(compare(c, e) for c in cs) for cs in test.any_of)
                and test.system in (None, e.system)
                and test.code in (None, e.code)
                and test.unit in (None, e.code, e.text)
            )


def compare(c: Compare, e: Entry) -> bool:
    low = -INF if e.low is None else e.low
    high = INF if e.high is None else e.high
    return bool(OPS[c.operator](low if c.bound == "low" else high, c.value))
