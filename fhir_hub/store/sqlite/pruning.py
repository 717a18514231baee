"""A plan without the alternatives that nothing stored can meet, and with many codes as one value.

A chain asks for what a contained resource says too, and where no resource of the type has
contained any there is no such name. What is left is the plan that an index is best walked for: of
one code that is a range of its own, of hundreds these would be too many, and each row would be
asked for each.

Spec: https://hl7.org/fhir/R4/search.html#contained
"""

from collections.abc import Sequence
from dataclasses import replace

from fhir_hub.search.entry import Entry
from fhir_hub.search.plan import Among, And, Has, Is, LinkedBy, Links, Not, Or, Plan, Test
from fhir_hub.search.predicate import passes_any
from fhir_hub.store.sqlite.conditions import Conditions, Scope

MANY_CODES = 100  # from here on they are one value


def pruned(plan: Plan, scopes: Sequence[Scope], conditions: Conditions) -> Plan:
    """Return what finds the same as the plan does in the scopes, by the names that there are."""
    match plan:
        case And(plans):
            return And(tuple(pruned(part, scopes, conditions) for part in plans))
        case Or(plans):
            known = [part for part in plans if _may_be_met(part, scopes, conditions)]
            kept = tuple(pruned(part, scopes, conditions) for part in known)
            return kept[0] if len(kept) == 1 else Or(kept)
        case Not(inner):
            return Not(pruned(inner, scopes, conditions))
        case Links(_, types, inner):
            return replace(plan, plan=pruned(inner, conditions.scopes(types), conditions))
        case LinkedBy(resource_type, _, inner):
            far = conditions.scopes((resource_type,))
            return replace(plan, plan=pruned(inner, far, conditions))
        case Has():
            return plan if len(plan.tests) < MANY_CODES else _gathered(plan)
        case _:
            return plan


def _gathered(has: Has) -> Has:
    """Return what asks for the same with the codes of a system as one test."""
    of_system: dict[str | None, set[str]] = {}
    others: list[Test] = []
    for test in has.tests:
        if isinstance(test, Is) and test.code is not None:
            of_system.setdefault(test.system, set()).add(test.code)
        else:
            others.append(test)
    among = [Among(frozenset(codes), system) for system, codes in of_system.items()]
    return replace(has, tests=(*others, *among))


def _may_be_met(plan: Plan, scopes: Sequence[Scope], conditions: Conditions) -> bool:
    match plan:
        case And(plans):
            return all(_may_be_met(part, scopes, conditions) for part in plans)
        case Or(plans):
            return any(_may_be_met(part, scopes, conditions) for part in plans)
        case Has(parameter, kind):
            if parameter == "_type":
                names = [Entry("_type", "token", scope.name) for scope in scopes]
                return not plan.tests or any(passes_any(plan.tests, name) for name in names)
            is_own = conditions.own_columns(plan, "") is not None
            return is_own or _is_named(parameter, kind, scopes, conditions)
        case Links(parameter):
            return _is_named(parameter, "reference", scopes, conditions)
        case _:
            return True


def _is_named(parameter: str, kind: str, scopes: Sequence[Scope], conditions: Conditions) -> bool:
    known = conditions.names.parameter
    return any(known(scope.number, parameter, kind) is not None for scope in scopes)
