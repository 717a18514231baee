"""Chains that end inside the resource: what a contained resource says, under names of its own.

R4 evaluates a chained condition inside contained resources too. What a reference `#m1` leads to
has no row of its own in a store, so the resource around it says what it says: the entries of the
contained Medication stand under `medication#Medication.code`, and `medication#Medication` tells
its id. A chain `medication.code=abc` asks for either. What a contained resource refers to inside
the same resource is reached in the same way, one link further; after that it ends.

Spec: https://hl7.org/fhir/R4/search.html#contained
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from fhir_hub.search.entry import Entry, is_part_name
from fhir_hub.search.plan import And, Has, LinkedBy, Links, Not, Or, Plan, Together

Resource = dict[str, Any]

MOST_TYPES = 40  # of a reference to more, such as List.item, a chain names the type
_DEEPEST = 2
_GROUPS = 10_000  # what is in one contained resource is no group with what is in another
_NOTHING = Or()


def name_of(parameter: str, resource_type: str) -> str:
    """Return under what stands the id of a contained resource that a parameter refers to.

    >>> name_of("subject", "Patient")
    'subject#Patient'
    """
    return f"{parameter}#{resource_type}"


def within_entries(
    resource: Resource, said: Sequence[Entry], entries_of: Callable[[Resource], Iterable[Entry]]
) -> list[Entry]:
    """Return what the contained resources say that `said`, the resource's own entries, refer to."""
    known = _by_reference(resource.get("contained"))
    inner: dict[str, list[Entry]] = {}
    seen: set[tuple[str, str]] = set()
    out: list[Entry] = []
    todo = [(entry.parameter, entry.code) for entry in said if _leads_inside(entry, known)]
    for _ in range(_DEEPEST):
        further = []
        for parameter, code in todo:
            one = known[code]
            name = name_of(parameter, str(one.get("resourceType")))
            if (name, code) in seen:
                continue
            seen.add((name, code))
            if code not in inner:
                inner[code] = list(entries_of(one))
            out.append(Entry(name, "token", code[1:]))
            first = len(seen) * _GROUPS
            for entry in inner[code]:
                group = entry.group and entry.group + first
                named = entry._replace(parameter=f"{name}.{entry.parameter}", group=group)
                out.append(named)
                if _leads_inside(entry, known):
                    further.append((named.parameter, entry.code))
        todo = further
    return out


def _by_reference(contained: Any) -> dict[str, Resource]:
    listed = contained if type(contained) is list else []
    return {
        f"#{one['id']}": one for one in listed if type(one) is dict and type(one.get("id")) is str
    }


def _leads_inside(entry: Entry, known: dict[str, Resource]) -> bool:
    is_reference = entry.kind == "reference" and entry.code in known
    return is_reference and not is_part_name(entry.parameter)


def contained_plans(parameters: Iterable[str], plans: Mapping[Plan, Collection[str]]) -> list[Plan]:
    """Return what asks for a contained resource to which one of `parameters` refers.

    It meets one of `plans`, and is of one of the types that the plan is for.
    """
    pairs = [(plan, one) for plan, types in plans.items() for one in types]
    if len(pairs) > MOST_TYPES:
        return []
    return [_plan(parameter, one, plan) for parameter in parameters for plan, one in pairs]


def _plan(parameter: str, resource_type: str, plan: Plan) -> Plan:
    name = name_of(parameter, resource_type)
    asked = _within(plan, name)
    return And((Has(name, "token"), asked)) if _denies(plan) else asked


def _within(plan: Plan, name: str) -> Plan:
    match plan:
        case And(plans):
            return And(tuple(_within(part, name) for part in plans))
        case Or(plans):
            return Or(tuple(_within(part, name) for part in plans))
        case Not(inner):
            return Not(_within(inner, name))
        case Has("_id", kind, tests):
            return Has(name, kind, tests)
        case Has(parameter, kind, tests):
            return Has(f"{name}.{parameter}", kind, tests) if kind != "text" else _NOTHING
        case Together(parameter, parts):
            return Together(f"{name}.{parameter}", parts)
        case Links(parameter, types, inner, is_canonical):
            return Links(f"{name}.{parameter}", types, inner, is_canonical)
        case LinkedBy():  # nobody outside refers to what is inside
            return _NOTHING


def _denies(plan: Plan) -> bool:
    """Say whether a plan may be met by what is not there."""
    match plan:
        case And(plans) | Or(plans):
            return not plans or any(map(_denies, plans))
        case Not():
            return True
        case _:
            return False
