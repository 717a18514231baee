"""What the codes of a segment make is made at once: most results of a feed differ in their value.

Two segments of one shape whose codes are the same (what was observed, unit, range, flag, status)
become the same but for what is no code. From the third on a recipe is followed: one step puts all
that follows from the codes between two rows of which more must be asked, and rows that can make
nothing of such codes are passed over. What a recipe is known by and holds are codes, nothing of a
patient; it is watched, not thought out: the rows themselves make what it puts.

Spec: DESIGN 2a
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import count
from operator import itemgetter
from typing import Any

from fhir_hub.hl7v2.calls.results import NUMBER, kind_of
from fhir_hub.hl7v2.calls.table import CHANGES, IDLE, OF_NUMBERS
from fhir_hub.hl7v2.making.drafts import Draft, Place
from fhir_hub.hl7v2.making.memory import Memory, copied
from fhir_hub.hl7v2.parsing.path import Path
from fhir_hub.hl7v2.rows.acts import Act, Acts
from fhir_hub.hl7v2.rows.compiler import Compiled
from fhir_hub.hl7v2.rows.shapes import EVENT, Shape
from fhir_hub.hl7v2.rows.values import MOMENTS

Json = dict[str, Any]
OFTEN = 2
_FEWEST = 3  # rows of codes; with fewer nothing is saved
_MOST_IDLE = 2  # recipes in turn that save nothing; then the shape has none
_numbers = count()


class Recipes:
    """The recipes of the rows that a new resource has in one shape, by the texts of its codes."""

    __slots__ = (
        "_asked",
        "_idle",
        "_known",
        "_near",
        "_number",
        "_own",
        "_plain",
        "_rows",
        "_seen",
        "_segment",
        "_shape",
        "_value",
    )

    def __init__(self, segment: str, rows: Sequence[Compiled], shape: Shape, plain: Acts) -> None:
        self._rows, self._shape, self._plain = rows, shape, plain
        self._segment, self._seen, self._idle = segment, 0, 0

    def _prepare(self) -> None:
        """Find out what to ask of a segment: it is done for shapes that come again."""
        segment, rows, shape = self._segment, self._rows, self._shape
        self._number = next(_numbers)
        paths = dict.fromkeys(path for one in rows for path in _decisive(one))
        self._known = frozenset((path.segment, path.field) for path in paths)
        found: dict[str, list[int]] = {}
        for path in paths:
            if not shape.is_empty(path):
                found.setdefault(path.segment, []).append(path.field)
        own = sorted({*found.pop(segment, ())})
        self._own: Callable[[Any], Any] = itemgetter(*own) if own else lambda fields: ()
        # of what the shape knows each of these is filled
        self._asked = tuple(
            (name, itemgetter(*sorted({*held})))
            for name, held in found.items()
            if shape.filled.get(name)
        )
        self._near = tuple(
            (name, tuple(sorted({*held})))
            for name, held in found.items()
            if name not in shape.filled
        )
        values = {one.row.sources[0] for one in rows if _reads_value(one)}
        value = values.pop() if len(values) == 1 else None
        is_own = value is not None and value.segment == segment and not shape.is_empty(value)
        self._value = value.field if value is not None and is_own else 0

    def acts(self, place: Place, draft: Draft, around: dict["Recipes", tuple[Any, ...]]) -> Acts:
        """Return what is to do for a new resource, nothing where that is done already.

        `around` has what was read near the segment before, where that is the same for this one.
        """
        if self._idle > _MOST_IDLE:
            return self._plain
        if self._seen < OFTEN:
            if self._seen == OFTEN - 1:  # before it counts: another thread may look
                self._prepare()
            self._seen += 1
            return self._plain
        fields, memory = place.fields, place.run.memory
        near = around.get(self)
        if near is None:
            near = around[self] = self._around(place)
        value = kind_of(fields[self._value], place.segment.encoding) if self._value else ""
        key = (near, value, self._own(fields))
        found = memory.recipes.get(key, 0)
        if type(found) is tuple:
            return found
        if found < OFTEN:
            memory.note(key, found + 1)
            return self._plain
        watch = _Watch(place, draft, value, self._in(place))
        memory.note(key, watch.of(self._rows))
        self._idle = 0 if watch.count >= _FEWEST else self._idle + 1
        return ()

    def _around(self, place: Place) -> tuple[Any, ...]:
        """Return the number of the shape and the texts of other segments, by which it is known."""
        near: list[Any] = [self._number]
        for name, get in self._asked:
            other = place.node.nearest(name)
            near.append(get(other.fields) if other is not None else ())
        near += [_texts(place, name, numbers) for name, numbers in self._near]
        return tuple(near)

    def _in(self, place: Place) -> Shape:
        """Return the shape with what else is known where texts are the same as in a place."""
        known = self._known
        return self._shape._replace(
            text=place.text,
            is_valued=lambda path: place.is_valued(path) if path[:2] in known else None,
        )


def _decisive(one: Compiled) -> Iterable[Path]:
    """Return the paths of which the texts are codes that decide what a row makes."""
    of_number = one.row.call in OF_NUMBERS
    if one.follows is not None or of_number:
        yield from one.row.sources[1 if of_number else 0 :]
    for path, wanted in (*one.when, *one.unless):
        if not isinstance(wanted, bool) and path != EVENT:
            yield path


def _reads_value(one: Compiled) -> bool:
    return one.row.call in OF_NUMBERS or one.row.call in IDLE


def _texts(place: Place, name: str, numbers: tuple[int, ...]) -> tuple[str, ...]:
    near = place.node.nearest(name)
    return tuple([near.field(number) for number in numbers]) if near is not None else ()


class _Watch:
    """The rows at work on a new resource, watched: `acts` are what does the same again."""

    def __init__(self, place: Place, draft: Draft, value: str, shape: Shape) -> None:
        self._place, self._draft, self._value = place, draft, value
        self._shape = shape
        self._sure: set[str] = set()
        self._open: set[str] = set()  # elements that may be other the next time
        self._acts: list[tuple[str, Act]] = []
        self._put: Json = {}
        self._issues: list[Any] = []
        self.count = 0  # rows that the recipe spares

    def of(self, rows: Iterable[Compiled]) -> Acts:
        """Run the rows; return what does the same where the codes are the same."""
        for one in rows:
            act = one.act_in(self._shape)
            is_idle = act is None or self._value in IDLE.get(one.row.call, ())
            if act is None or is_idle or one.alone in self._sure:
                continue
            is_asked = one.test is not None and act is not one.free
            if one.follows is None or is_asked or any(map(self._is_open, (one.goes, *one.follows))):
                self._ask(one, act)
            else:
                self._take(one, act)
        self._close()
        return tuple(self._acts)

    def _is_open(self, name: str) -> bool:
        return any(name.startswith(one) for one in self._open)

    def _state(self) -> tuple[int, ...]:
        draft, kept = self._draft, self._place.run.untaken
        return len(draft.nulls), len(draft.items), len(draft.chosen), *kept.values()

    def _take(self, one: Compiled, act: Act) -> None:
        """Run a row that makes the same again, and take what it makes."""
        resource, issues, name = self._draft.resource, self._place.run.issues, one.goes
        before, state, noted = copied(resource.get(name)), self._state(), len(issues)
        if one.alone not in resource:
            act(self._place, self._draft)
        made = resource.get(name)
        is_changed = made != before
        if self._state() != state or (is_changed and before is not None and name not in self._put):
            self._keep(one.alone, act, name)
            return
        self._issues += issues[noted:]
        if is_changed:
            self.count += 1
            self._put[name] = copied(made)
            self._sure.add(name)

    def _ask(self, one: Compiled, act: Act) -> None:
        """Run a row of which more must be asked the next time."""
        draft, issues, noted = self._draft, self._place.run.issues, len(self._place.run.issues)
        self._close()
        if one.alone not in draft.resource:
            act(self._place, draft)
        elements = OF_NUMBERS.get(one.row.call)
        is_open = elements is None or any(map(self._is_open, (one.goes, *elements)))
        if self._value == NUMBER and not is_open and len(issues) == noted:
            field = one.row.sources[0].field
            made = _quantity(one.goes, draft.resource, self._place.fields[field], field)
            act = made or act
        elif self._is_moment(one, act):
            act = _moment(one.alone, str(one.row.kind), one.row.sources[0].field, act)
        self._keep(one.alone, act, one.goes)
        self._open.update(CHANGES.get(one.row.call, ()))

    def _is_moment(self, one: Compiled, act: Act) -> bool:
        """Say whether a row makes a time of a whole field of the segment itself."""
        kind, is_free = one.row.kind, one.test is None or act is one.free
        if not (one.alone and is_free and isinstance(kind, str) and kind in MOMENTS):
            return False
        source = one.row.sources[0]
        return source.segment == self._place.segment.name and not source.component

    def _keep(self, alone: str, act: Act, name: str) -> None:
        self._close()
        self._acts.append((alone, act))
        self._open.add(name)

    def _close(self) -> None:
        if self._put or self._issues:
            memory = self._place.run.memory
            self._acts.append(("", _putting(self._put, tuple(self._issues), memory)))
            self._put, self._issues = {}, []


def _putting(made: Json, issues: tuple[Any, ...], memory: Memory) -> Act:
    """Return the function that puts what was made of codes, and the issues that came with it."""
    make = memory.maker_of(made)

    def act(place: Place, draft: Draft) -> None:
        draft.resource.update(make())
        if issues:
            place.run.issues.extend(issues)

    return act


def _quantity(name: str, resource: Json, text: str, field: int) -> Act | None:
    """Return the function that puts the Quantity of a number, None if it is more than that."""
    element = f"{name}Quantity"
    made: Json = resource.get(element, {})
    rest = {part: value for part, value in made.items() if part != "value"}
    number = Decimal(text)
    if next(iter(made), "") != "value" or str(made["value"]) != str(number):
        return None
    if not all(type(value) is str for value in rest.values()):
        return None

    def act(place: Place, draft: Draft) -> None:
        resource = draft.resource
        draft.chosen += ((id(resource), name),)
        resource[element] = {"value": Decimal(place.fields[field]), **rest}

    return act


def _moment(name: str, kind: str, field: int, act: Act) -> Act:
    """Return the function that puts a time which the message has told before, else asks its row."""

    def again(place: Place, draft: Draft) -> None:
        made = place.run.moments.get((kind, place.fields[field]))
        if made is None:
            act(place, draft)
        else:
            draft.resource[name] = made

    return again


def recipes_of(segment: str, rows: Sequence[Compiled], shape: Shape, plain: Acts) -> Recipes | None:
    """Return the recipes for the rows that have something to do in a shape, None if few are sure.

    `plain` is what they do where there is no recipe yet.
    """
    of_codes = [one for one in rows if one.follows is not None and one.row.sources]
    return Recipes(segment, rows, shape, plain) if len(of_codes) >= _FEWEST else None
