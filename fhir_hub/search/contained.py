"""Chains that end inside the resource: what a contained resource says, under names of its own.

R4 evaluates a chained condition inside contained resources too. What a reference `#m1` leads to
has no row of its own in a store, so the resource around it says what it says: the entries of the
contained Medication stand under `medication#Medication.code`, and `medication#Medication` tells
its id. A chain `medication.code=abc` asks for either. What a contained resource refers to inside
the same resource is reached in the same way, one link further; after that it ends.

Where one parameter leads to several of a type, each also stands under a number of its own
(`performer#Practitioner~2`): who asks for more than one thing asks it of one of them.

Spec: https://hl7.org/fhir/R4/search.html#contained
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from fhir_hub.search.entry import Entry, is_part_name
from fhir_hub.search.plan import And, Apart, Has, LinkedBy, Links, Not, Or, Plan, Together

Resource = dict[str, Any]
_Inner = Mapping[str, Sequence[Entry]]

MOST_TYPES = 40  # of a reference to more, such as List.item, a chain names the type
_DEEPEST = 2
_MOST_ALIKE = 8
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
    inner = {code: list(entries_of(one)) for code, one in known.items()}
    return _inside(said, known, inner, _DEEPEST)


def _inside(
    said: Iterable[Entry], known: Mapping[str, Resource], inner: _Inner, depth: int
) -> list[Entry]:
    found: dict[str, dict[str, None]] = {}
    for entry in said:
        if entry.kind == "reference" and entry.code in known and not is_part_name(entry.parameter):
            name = name_of(entry.parameter, str(known[entry.code].get("resourceType")))
            found.setdefault(name, {})[entry.code] = None
    out: list[Entry] = []
    for name, codes in found.items():
        places: list[tuple[str, Collection[str]]] = [(name, codes)]
        if len(codes) > 1:
            places += ((one, (code,)) for one, code in zip(_numbered(name), codes, strict=False))
        for place, some in places:
            out += [Entry(place, "token", code[1:]) for code in some]
            own = [
                entry._replace(group=entry.group and entry.group + number * _GROUPS)
                for number, code in enumerate(some, start=1)
                for entry in inner[code]
            ]
            own += _inside(own, known, inner, depth - 1) if depth > 1 else ()
            out += [entry._replace(parameter=f"{place}.{entry.parameter}") for entry in own]
    return out


def _numbered(name: str) -> list[str]:
    """Return the names under which one of several alike stands by itself."""
    return [f"{name}~{number}" for number in range(1, _MOST_ALIKE + 1)]


def _by_reference(contained: Any) -> dict[str, Resource]:
    listed = contained if type(contained) is list else []
    return {
        f"#{one['id']}": one for one in listed if type(one) is dict and type(one.get("id")) is str
    }


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
    if _is_one(plan):
        return _within(plan, name)
    several = _numbered(name)
    alone = And((Has(name, "token"), Not(Has(several[0], "token")), _within(plan, name)))
    return Or((alone, *(And((Has(one, "token"), _within(plan, one))) for one in several)))


def _within(plan: Plan, name: str) -> Plan:
    match plan:
        case Apart():
            return _within(plan.together, name)
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


def _is_one(plan: Plan) -> bool:
    """Say whether a plan is met by what one entry says, whatever else there is."""
    match plan:
        case Or(plans):
            return all(map(_is_one, plans))
        case Apart():
            return _is_one(plan.together)
        case And() | Not():
            return False
        case _:
            return True
