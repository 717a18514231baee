"""A map's row as one function, or a word on what is wrong with it before any message comes.

Spec: DESIGN 2a; https://build.fhir.org/ig/HL7/v2-to-fhir/mapping_guidelines.html
"""

from collections.abc import Mapping
from typing import NamedTuple

from fhir_hub.hl7v2 import conditions, structure
from fhir_hub.hl7v2.calls import CALLS
from fhir_hub.hl7v2.elements import target
from fhir_hub.hl7v2.row_acts import Act, by_type, calling, constant, linking, reading
from fhir_hub.hl7v2.row_values import converter, putter, type_of
from fhir_hub.hl7v2.rows import Row, Scope
from fhir_hub.hl7v2.setters import decorator, setter


class Compiled(NamedTuple):
    """A row ready to run; `phase` 0: with its segment, 1: with all resources, 2: last.

    Without `field` of its segment it has nothing to do; 0: it may always have.
    """

    row: Row
    act: Act
    phase: int = 0
    field: int = 0


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
    if row.links:
        return Compiled(row, linking(row, goal, test), 2 if row.links == "*" else 1)
    if row.call:
        return Compiled(row, calling(row, goal, test))
    if row.value is not None:
        put = decorator(goal) if decorates else setter(goal, type_of(row.value, goal))
        return Compiled(row, constant(row, goal, put, test), 1 if decorates else 0)
    source = row.sources[0]
    field = source.field if source.segment == segment else 0
    if isinstance(row.kind, Mapping):
        return Compiled(row, by_type(row, goal, test, scope), 0, field)
    convert, fhir_type = converter(row.kind, row, scope)
    act = reading(row, goal, test, putter(goal, fhir_type), convert)
    return Compiled(row, act, 0, field)


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
