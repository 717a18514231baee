"""A map's row as one function, or a word on what is wrong with it before any message comes.

Spec: DESIGN 2a; https://build.fhir.org/ig/HL7/v2-to-fhir/mapping_guidelines.html
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from fhir_hub.hl7v2.calls.table import CALLS, FURTHER, OF_CODES, UNCONDITIONAL
from fhir_hub.hl7v2.parsing import structure
from fhir_hub.hl7v2.parsing.path import Path
from fhir_hub.hl7v2.rows import conditions
from fhir_hub.hl7v2.rows.acts import Act, Acts, by_type, calling, constant, reading, supporting
from fhir_hub.hl7v2.rows.constants import require_elements
from fhir_hub.hl7v2.rows.elements import Target, target
from fhir_hub.hl7v2.rows.links import Link, link_of, linking, together
from fhir_hub.hl7v2.rows.row import Row, Scope
from fhir_hub.hl7v2.rows.setters import decorator, setter
from fhir_hub.hl7v2.rows.shapes import Asked, Shape, asked
from fhir_hub.hl7v2.rows.values import converter, is_of_codes, putter, type_of
from fhir_hub.nearest import did_you_mean


class Compiled(NamedTuple):
    """A row ready to run; `phase` 0: with its segment, 1: with all resources, 2: last.

    It has nothing to do unless one of the fields that it `needs` is filled (none: it needs none),
    nor where the resource has the element `alone`. It asks `when` and `unless`; `free` does not ask
    again, for where what is filled decides that already. It `goes` to an element of the resource (a
    choice: `is_choice`). What it makes of a new one follows from the texts of its fields and from
    the elements in `follows`; None: from more than those, or from what is no code.
    """

    row: Row
    act: Act
    phase: int = 0
    needs: tuple[Path, ...] = ()
    alone: str = ""
    when: Asked = ()
    unless: Asked = ()
    test: conditions.Condition | None = None
    free: Act | None = None
    goes: str = ""
    is_choice: bool = False
    follows: tuple[str, ...] | None = None
    link: Link | None = None

    def act_in(self, shape: Shape) -> Act | None:
        """Return what the row does where this is filled, None if that is nothing."""
        if self.needs and all(map(shape.is_empty, self.needs)):
            return None
        holds = shape.decides(self.when, self.unless) if self.test else None
        if holds is False:
            return None
        return self.free if holds and self.free else self.act

    def asks(self, segment: str) -> Iterator[Path]:
        """Yield the paths of which it matters whether they are filled, where it is `segment`'s."""
        if not {segment, "MSH"} & {path.segment for path in self.needs}:
            yield from self.needs
        yield from (path for path, _ in (*self.when, *self.unless))


def planned(rows: Iterable[Compiled], shape: Shape) -> Acts:
    """Return what rows do where this is filled, in their order."""
    acts = ((one.alone, one.act_in(shape)) for one in rows)
    return tuple((alone, act) for alone, act in acts if act is not None)


def planned_together(rows: Iterable[Compiled], shape: Shape) -> Acts:
    """Return what rows do at the end; those that link one behind the other do it together."""
    acts: list[tuple[str, Act]] = []
    for is_link, run in groupby(rows, lambda one: one.link is not None and not one.test):
        held = tuple(run)
        done = planned(held, shape)
        if is_link:
            done = together([one.link for one in held if one.link], done)
        acts += done
    return tuple(acts)


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
    made, phase, needs = _acting(row, goal, segment, scope, decorates=decorates)
    return Compiled(
        row,
        made(test),
        phase,
        needs,
        _alone(row, goal),
        asked(row.when),
        asked(row.unless),
        test,
        made(None) if test else None,
        (*goal.parents, goal.last)[0].name,
        goal.choice and not goal.parents,
        None if phase or goal.parents or goal.choice else _follows(row),
        link_of(row, goal),
    )


Acting = Callable[[conditions.Condition | None], Act]


def _acting(
    row: Row, goal: Target, segment: str, scope: Scope, *, decorates: bool
) -> tuple[Acting, int, tuple[Path, ...]]:
    """Return what makes a row's function for a condition, its phase, and the fields it needs."""
    if row.links:
        return lambda test: linking(row, goal, test), 2 if row.links == "*" else 1, ()
    if row.call:
        return lambda test: calling(row, goal, test), 0, _needs(row, segment)
    if row.is_resource:
        require_elements(scope.definitions, str(row.value["resourceType"]), row.value)
        return lambda test: supporting(row, goal, test), 0, ()
    if row.value is not None:
        if isinstance(row.value, str) and goal.codes and row.value not in goal.codes:
            listed = ", ".join(sorted(goal.codes))
            raise ValueError(f"{row.value!r} is no code of {row.to}; write one of {listed}")
        kind = type_of(row.value, goal)
        require_elements(scope.definitions, kind, row.value)
        put = decorator(goal) if decorates else setter(goal, kind)
        return lambda test: constant(row, put, test), int(decorates), ()
    if isinstance(row.kind, Mapping):
        return lambda test: by_type(row, goal, test, scope), 0, row.sources
    convert, fhir_type = converter(row.kind, row, scope)
    put = putter(goal, fhir_type)
    return lambda test: reading(row, goal, test, put, convert), 0, row.sources


def _alone(row: Row, goal: Target) -> str:
    """Return the element at the top that one value fills, `""` where a row may add to others'."""
    is_added = row.links or row.call or row.is_resource
    is_list = goal.last.is_list or bool(goal.parents)
    return "" if is_added or is_list or goal.choice else goal.last.name


def _follows(row: Row) -> tuple[str, ...] | None:
    """Return the elements that decide beside the texts of codes what a row makes, None if more."""
    if row.call:
        return OF_CODES.get(row.call)
    is_constant = row.value is not None and not row.is_resource
    return () if is_constant or is_of_codes(row) else None


def _needs(row: Row, segment: str) -> tuple[Path, ...]:
    """Return the fields of which a call needs one; none where it reads others, or needs none."""
    is_near = all(path.segment == segment for path in row.sources)
    is_open = row.call in UNCONDITIONAL or (row.call in FURTHER and not is_near)
    return () if is_open else row.sources


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
        raise ValueError(f"there is no table {row.table}{did_you_mean(row.table, scope.tables)}")
    if row.call and row.call not in CALLS:
        near = did_you_mean(row.call, CALLS)
        raise ValueError(f"there is no function {row.call} to call{near}")
