"""Searches of a simple shape, compiled once: what most clients ask, all day long.

"This patient, this code, from this date on" differs from patient to patient in its values
alone. Such a query (one type; all parts plain codes, references and ranges) is compiled with
slots in place of its values, and the statement is kept by the query's shape. To answer the next
one is to look how long the leading index range is, fill the slots, and run the statement.

A recipe is only made when every name in the query has a number, for numbers never change. A query
with a part that asks for a name without one finds `NOTHING`, until a resource brings it. What
is not simple, or whose leading range is long, goes the general way (`pages.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

from fhir_hub.search.plan import (
    Compare,
    Has,
    Is,
    Plan,
    Query,
    Range,
    SortKey,
    conditions_of,
)
from fhir_hub.store.cursor import read_cursor
from fhir_hub.store.sqlite.beside import PATIENT, asks_codes, asks_date, is_markless
from fhir_hub.store.sqlite.conditions import CODED, Conditions, Scope, is_walked
from fhir_hub.store.sqlite.indexes import Indexes
from fhir_hub.store.sqlite.names import Names
from fhir_hub.store.sqlite.pages import by_creation, collected, with_content
from fhir_hub.store.sqlite.pruning import MANY_CODES
from fhir_hub.store.sqlite.sql import FALSE, Arm, Bound, Slot, Sql

_KEPT = 500
_OWN = ("_id", "_lastUpdated", "_type")
_LEADING = ("reference", "uri", "token", "string")

# of each part its name, kind, the systems or comparisons of its tests, and whether it asks for a
# Patient: all but the values
_PartShape = tuple[str, str, tuple[Any, ...], bool]


class Shape(NamedTuple):
    """What two queries have in common that differ in values alone."""

    resource_type: str
    parts: tuple[_PartShape, ...]
    sort: tuple[SortKey, ...]
    is_later_page: bool


class Statement(NamedTuple):
    """SQL text, what it binds (numbers of names, and slots), and where among that the slots are."""

    text: str
    bound: tuple[Any, ...]
    slots: tuple[tuple[int, Slot], ...]

    def values(self, given: Sequence[Bound], limit: int) -> list[Any]:
        """Return what to bind: the given values in their slots, and the LIMIT or OFFSET."""
        filled = [*self.bound, limit]
        for at, slot in self.slots:
            filled[at] = slot.filled(given[slot.place])
        return filled


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to answer a query of one shape.

    `probe` finds a row of the leading range beyond so many, None if that need not be known: every
    row of it is a match, in the order wanted. `is_long`: it may be long, for no other part could
    lead, or its rows say themselves whether they match.
    """

    probe: Statement | None
    page: Statement
    is_long: bool


# of a query that nothing can meet now: some part asks for what no resource ever had
NOTHING = Recipe(None, Statement("", (), ()), is_long=False)


class Recipes:
    """The recipes of one connection, by shape."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._known: dict[Shape, Recipe] = {}
        # the same codes and days are asked of many: each such part is one object
        self._shapes: dict[int, tuple[Plan, _PartShape | None, list[Bound]]] = {}

    def find(self, query: Query) -> tuple[Recipe, list[Bound]] | None:
        """Return the recipe and the values of a query of a simple shape, None for any other.

        Raises `InvalidParameter` for a bad cursor.
        """
        if query.with_total or query.count < 1 or len(query.resource_types) != 1:
            return None
        if query.sort and query.after:
            return None
        values: list[Bound] = []
        shapes = []
        for part in conditions_of(query.plan):
            known = self._shapes.get(id(part))
            if known is None or known[0] is not part:
                known = self._shape_of(part)
            if known[1] is None:
                return None
            shapes.append(known[1])
            values += known[2]
        if query.after:
            values.append(read_cursor(query)[-1])
        key = Shape(query.resource_types[0], tuple(shapes), query.sort, bool(query.after))
        recipe = self._known.get(key) or self._make(key, len(values))
        return (recipe, values) if recipe else None

    def _shape_of(self, part: Plan) -> tuple[Plan, _PartShape | None, list[Bound]]:
        if len(self._shapes) >= _KEPT:
            self._shapes.clear()
        values: list[Bound] = []
        found = self._shapes[id(part)] = part, _shape(part, values), values
        return found

    def _make(self, shape: Shape, values: int) -> Recipe | None:
        number = self._names.type(shape.resource_type)
        if number is None or not self._is_possible(number, shape):
            return NOTHING
        leading = _leader(shape.parts)
        if leading is None or not self._are_known(number, shape):
            return None
        conditions = Conditions(self._names)
        scope = Scope(number, shape.resource_type)
        parts = _with_slots(shape.parts)
        walk = Indexes(conditions).has(parts[leading], scope)
        assert walk is not None
        (lead,) = walk.arms
        others = [part for part in parts if part != parts[leading]]
        rest = [conditions.meets(part, scope, lead.rid, lead.beside) for part in others]
        if FALSE in rest:
            return None
        after = (Slot(values - 1),) if shape.is_later_page else ()
        arm = lead.also(*rest)
        if shape.sort:
            page = collected(shape.sort, [scope], [arm], conditions, ())
        else:
            page = by_creation([arm], after)  # type: ignore[arg-type]  # a slot is bound, no more
        recipe = Recipe(
            _probing(lead) if rest or shape.sort else None,
            _statement(with_content(shape.sort, page)),
            is_long=all(lead.beside and (asks_codes(one) or asks_date(one)) for one in others),
        )
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[shape] = recipe
        return recipe

    def _is_possible(self, number: int, shape: Shape) -> bool:
        """Say whether for every part some resource had what it asks for, as far as names tell."""
        for name, kind, tests, _ in shape.parts:
            if self._names.parameter(number, name, kind) is None:
                return False
            if kind in CODED and not any(map(self._is_known, tests)):
                return False
        return True

    def _are_known(self, number: int, shape: Shape) -> bool:
        """Say whether every parameter and system has a number, so that none is left out."""
        for key in shape.sort:
            for name in (key.parameter, *key.others) if key.parameter not in _OWN else ():
                if self._names.parameter(number, name, key.kind) is None:
                    return False
        coded = (tests for _, kind, tests, _ in shape.parts if kind in CODED)
        return all(self._is_known(one) for tests in coded for one in tests)

    def _is_known(self, system: str | None) -> bool:
        return system is None or self._names.system(system) is not None


def _shape(part: Plan, values: list[Bound]) -> _PartShape | None:
    """Return the shape of a part and add its values, or None if it is not a simple one."""
    if type(part) is not Has or not 0 < len(part.tests) < MANY_CODES or part.parameter in _OWN:
        return None
    if not is_walked(part.parameter):
        return None
    if part.kind in CODED:
        systems = []
        for test in part.tests:
            if type(test) is not Is or test.code is None or not is_markless(test.code):
                return None
            systems.append(test.system)
            values.append(test.code)
        is_one = part.kind == "reference" and len(systems) == 1
        asks_person = is_one and str(values[-1]).startswith(PATIENT)
        return part.parameter, part.kind, tuple(systems), asks_person
    if len(part.tests) > 1:
        return None
    test = part.tests[0]
    if type(test) is not Range or (test.system, test.code, test.unit) != (None, None, None):
        return None
    comparisons = []
    for alternative in test.any_of:
        for compare in alternative:
            if not -(2**63) <= compare.value < 2**63:
                return None
            values.append(compare.value)
        comparisons.append(tuple((compare.bound, compare.operator) for compare in alternative))
    return part.parameter, part.kind, tuple(comparisons), False


def _leader(parts: Sequence[_PartShape]) -> int | None:
    """Return the place of the part that is rarest by nature among those of one code."""
    places = [n for n, (_, kind, tests, _) in enumerate(parts) if kind in CODED and len(tests) == 1]
    return min(places, key=lambda n: _LEADING.index(parts[n][1]), default=None)


def _with_slots(parts: Sequence[_PartShape]) -> list[Has]:
    """Return the parts with slots for their values, taken in the order of `_shape`."""
    places = count()
    made = []
    for name, kind, tests, is_person in parts:
        found: tuple[Any, ...]
        if kind in CODED:
            found = tuple(Is(_slot(places, is_person), system) for system in tests)
        else:
            found = (
                Range(
                    tuple(
                        tuple(Compare(bound, operator, _slot(places)) for bound, operator in one)
                        for one in tests
                    )
                ),
            )
        made.append(Has(name, kind, found))  # type: ignore[arg-type]  # a kind, as it came
    return made


def _slot(places: Iterator[int], is_person: bool = False) -> Any:
    return Slot(next(places), is_person=is_person)


def _probing(arm: Arm) -> Statement:
    text = f"SELECT 1 FROM {arm.tables} WHERE {arm.where.text} LIMIT 1 OFFSET ?"
    return _statement(Sql(text, arm.where.values))


def _statement(sql: Sql) -> Statement:
    bound: tuple[Any, ...] = sql.values
    slots = tuple((at, one) for at, one in enumerate(bound) if type(one) is Slot)
    return Statement(sql.text, bound, slots)
