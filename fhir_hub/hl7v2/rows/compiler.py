"""A map's row as one function, or a word on what is wrong with it before any message comes.

Spec: DESIGN 2a; https://build.fhir.org/ig/HL7/v2-to-fhir/mapping_guidelines.html
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fhir_hub.hl7v2 import structure
from fhir_hub.hl7v2.calls.table import CALLS, UNCONDITIONAL
from fhir_hub.hl7v2.path import parse_path
from fhir_hub.hl7v2.rows import conditions
from fhir_hub.hl7v2.rows.acts import Act, by_type, calling, constant, linking, reading, supporting
from fhir_hub.hl7v2.rows.elements import Target, target
from fhir_hub.hl7v2.rows.row import Row, Scope
from fhir_hub.hl7v2.rows.setters import decorator, setter
from fhir_hub.hl7v2.rows.values import converter, putter, type_of


class Compiled(NamedTuple):
    """A row ready to run; `phase` 0: with its segment, 1: with all resources, 2: last.

    It has nothing to do unless one of the fields of its segment in `any_of` is filled, and each
    in `all_of`: bit n is field n, 0 asks for none; and nothing where the resource has the element
    `alone`.
    """

    row: Row
    act: Act
    phase: int = 0
    any_of: int = 0
    all_of: int = 0
    alone: str = ""
    # what it does where none of these fields is filled, which is all that its condition asks
    empties: int = 0
    free: Act | None = None
    test: conditions.Condition | None = None


def compile_row(
    row: Row, resource_type: str, segment: str, scope: Scope, *, decorates: bool = False
) -> Compiled:
    """Return the row as a function; raises `ValueError` that says what is wrong with it.

    `segment` is the one that runs it. With `decorates` a constant goes only into items that other
    rows have made.
    """
    goal = target(scope.definitions, resource_type, row.to)
    _check(row, scope)
    test = conditions.condition(row.when, row.unless)
    demanded = _demanded(row, segment)
    if row.links:
        return Compiled(row, linking(row, goal, test), 2 if row.links == "*" else 1, test=test)
    if row.call:
        empties = _empties(row, segment)
        free = calling(row, goal, None) if empties else None
        filled, act = _sources(row, segment), calling(row, goal, test)
        return Compiled(row, act, 0, filled, demanded, "", empties, free, test)
    if isinstance(row.value, Mapping) and "resourceType" in row.value:
        return Compiled(row, supporting(row, goal, test), 0, 0, demanded, test=test)
    if row.value is not None:
        put = decorator(goal) if decorates else setter(goal, type_of(row.value, goal))
        act = constant(row, put, test)
        return Compiled(row, act, int(decorates), 0, demanded, _alone(goal), test=test)
    filled = _sources(row, segment)
    if isinstance(row.kind, Mapping):
        act = by_type(row, goal, test, scope)
        return Compiled(row, act, 0, filled, demanded, _alone(goal), test=test)
    convert, fhir_type = converter(row.kind, row, scope)
    act = reading(row, goal, test, putter(goal, fhir_type), convert)
    return Compiled(row, act, 0, filled, demanded, _alone(goal), test=test)


def _alone(goal: Target) -> str:
    """Return the element at the top that one value fills, `""` where a row may add to others'."""
    is_list = goal.last.is_list or bool(goal.parents)
    return "" if is_list or goal.choice else goal.last.name


def _sources(row: Row, segment: str) -> int:
    """Return the fields of which a row needs one; 0 where it reads others, or may need none."""
    if row.call in UNCONDITIONAL or any(path.segment != segment for path in row.sources):
        return 0
    return sum({1 << path.field for path in row.sources})


def _demanded(row: Row, segment: str) -> int:
    """Return the fields that the condition of a row demands."""
    when = {row.when: True} if isinstance(row.when, str) else row.when or {}
    paths = [parse_path(key) for key, wanted in when.items() if not _may_be_empty(wanted)]
    return sum({1 << path.field for path in paths if path.segment == segment})


def _may_be_empty(wanted: Any) -> bool:
    """Say whether an empty field can be what a condition wants."""
    return wanted is False or (wanted is not True and "" in _listed(wanted))


def _listed(wanted: Any) -> Sequence[str]:
    return [wanted] if isinstance(wanted, str) else wanted


def _empties(row: Row, segment: str) -> int:
    """Return the fields that are empty if the condition of a row holds, where it asks no more."""
    when = row.when if isinstance(row.when, Mapping) and not row.unless else {}
    paths = [parse_path(key) for key, wanted in when.items() if wanted is False]
    is_all = len(paths) == len(when)
    if not is_all or any(path.segment != segment or path.component for path in paths):
        return 0
    return sum({1 << path.field for path in paths})


def _check(row: Row, scope: Scope) -> None:
    ways = [row.value is not None, bool(row.links), bool(row.call), bool(row.kind or row.table)]
    if sum(ways) != 1:
        raise ValueError("write one of `as`/`table`, `value`, `links`, `call`")
    if (row.kind or row.table) and len(row.sources) != 1:
        raise ValueError("`as` and `table` need one path in `from`")
    read = [*row.sources, *conditions.paths(row.when), *conditions.paths(row.unless)]
    for path in read:
        if problem := structure.problem(path):
            raise ValueError(f"no such path as {path}: {problem}")
    if row.table and row.table not in scope.tables:
        raise ValueError(f"there is no table {row.table}")
    if row.call and row.call not in CALLS:
        raise ValueError(f"there is no function {row.call} to call")
