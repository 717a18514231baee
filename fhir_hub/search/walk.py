"""Many paths woven into one walk over a resource, so that only what is there costs time.

An Observation has 50 search parameters and perhaps 15 elements; to try each parameter's path
would look for most of them in vain. The paths share a tree by their keys, and the walk follows
the resource's keys down that tree.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from fhir_hub.r4.fhirpath import Condition, Filter, Path, Position, Step, select
from fhir_hub.r4.fhirpath_text import Variable
from fhir_hub.search.entry import Entry

Add = Callable[[Any, int, list[Entry]], None]
Resource = dict[str, Any]

_RESOURCE = repr(Variable("resource"))


class Node:
    """A place in resources: what to add for each value there, and which keys lead on."""

    __slots__ = ("adds", "children", "computed", "filters", "positions")

    def __init__(self) -> None:
        self.adds: list[Add] = []
        self.children: dict[str, Node] = {}
        self.filters: dict[str, tuple[Condition, Node]] = {}
        self.computed: dict[str, tuple[Condition, Node]] = {}
        self.positions: dict[int, Node] = {}

    def insert(self, steps: Sequence[Step], add: Add) -> None:
        """Add `add` to where `steps` lead."""
        if not steps:
            self.adds.append(add)
            return
        step, rest = steps[0], steps[1:]
        if isinstance(step, str):
            node = self.children.setdefault(step, Node())
        elif isinstance(step, Position):
            node = self.positions.setdefault(step.number, Node())
        elif isinstance(step, Filter):
            node = self.filters.setdefault(step.text, (step.passes, Node()))[1]
        else:
            node = self.computed.setdefault(step.text, (step.condition, Node()))[1]
        node.insert(rest, add)

    def visit(self, item: Any, resource: Resource, out: list[Entry]) -> None:
        """Add the entries of one item here and below."""
        self._visit((item,), resource, out)

    def visit_value(self, value: Any, resource: Resource, out: list[Entry]) -> None:
        """Add the entries of what stands under the key of this place: an item, or a list."""
        items = value if type(value) is list else (value,)
        self._visit(items, resource, out)
        if self.positions:
            self._visit_positions(items, resource, out)

    def visit_around(self, item: Any, resource: Resource, out: list[Entry]) -> None:
        """Add what an item has by what it is as a whole."""
        for passes, node in self.filters.values():
            if passes(item, resource):
                node.visit(item, resource, out)
        for condition, node in self.computed.values():
            node.visit(condition(item, resource), resource, out)

    def looks_around(self) -> bool:
        """Say whether what is added for an element may depend on the resource around it."""
        texts = [text for node in self.children.values() for text in node._conditions()]
        return bool(self.adds) or any(_RESOURCE in text for text in texts)

    def looks_at_whole(self) -> bool:
        """Say whether an item here may have something by what it is as a whole."""
        return bool(self.filters or self.computed)

    def is_plain(self) -> bool:
        """Say whether each element here can be looked at by itself."""
        return not (self.adds or self.filters or self.computed or self.positions)

    def _conditions(self) -> Iterator[str]:
        """Yield the text of each condition here and below."""
        yield from self.filters
        yield from self.computed
        below = [node for _, node in (*self.filters.values(), *self.computed.values())]
        for node in (*self.children.values(), *self.positions.values(), *below):
            yield from node._conditions()

    def _visit(self, items: Sequence[Any], resource: Resource, out: list[Entry]) -> None:
        adds, children = self.adds, self.children
        for item in items:
            for add in adds:
                add(item, 0, out)
            if children and type(item) is dict:
                for key, value in item.items():
                    node = children.get(key)
                    if node is not None:
                        node.visit_value(value, resource, out)
            if self.filters or self.computed:
                self.visit_around(item, resource, out)

    def _visit_positions(self, items: Sequence[Any], resource: Resource, out: list[Entry]) -> None:
        for number, node in self.positions.items():
            if number < len(items):
                node.visit(items[number], resource, out)


def collector(
    paths: Sequence[tuple[Path, Add]],
) -> Callable[[Any, Resource, int, list[Entry]], None]:
    """Return what adds the entries of `paths` from one item, under one group."""
    found = [(_values_of(path), add) for path, add in paths]

    def collect(item: Any, resource: Resource, group: int, out: list[Entry]) -> None:
        for values, add in found:
            for value in values(item, resource):
                add(value, group, out)

    return collect


def _values_of(path: Path) -> Callable[[Any, Resource], Sequence[Any]]:
    """Return what `select` does for one path; most are a key, and most keys are not there."""
    if path.from_root or len(path.steps) != 1 or not isinstance(key := path.steps[0], str):
        return partial(select, path)

    def values(item: Any, resource: Resource) -> Sequence[Any]:
        if type(item) is not dict or key not in item:
            return ()
        value = item[key]
        return value if type(value) is list else (value,)

    return values
