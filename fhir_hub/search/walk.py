"""Many paths woven into one walk over a resource, so that only what is there costs time.

An Observation has 50 search parameters and perhaps 15 elements; to try each parameter's path
would look for most of them in vain. The paths share a tree by their keys, and the walk follows
the resource's keys down that tree.
"""

from collections.abc import Callable, Sequence
from typing import Any

from fhir_hub.r4.fhirpath import Condition, Filter, Path, Position, Step, select
from fhir_hub.search.entry import Entry

Add = Callable[[Any, int, list[Entry]], None]
Resource = dict[str, Any]


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
        for add in self.adds:
            add(item, 0, out)
        if self.children and type(item) is dict:
            children = self.children
            for key, inner in item.items():
                node = children.get(key)
                if node is not None:
                    if type(inner) is not list:
                        inner = (inner,)
                    for one in inner:
                        node.visit(one, resource, out)
                    if node.positions:
                        node._visit_positions(inner, resource, out)
        if self.filters:
            for passes, node in self.filters.values():
                if passes(item, resource):
                    node.visit(item, resource, out)
        if self.computed:
            for condition, node in self.computed.values():
                node.visit(condition(item, resource), resource, out)

    def _visit_positions(self, items: Sequence[Any], resource: Resource, out: list[Entry]) -> None:
        for number, node in self.positions.items():
            if number < len(items):
                node.visit(items[number], resource, out)


def collector(
    paths: Sequence[tuple[Path, Add]],
) -> Callable[[Any, Resource, int, list[Entry]], None]:
    """Return what adds the entries of `paths` from one item, under one group."""

    def collect(item: Any, resource: Resource, group: int, out: list[Entry]) -> None:
        for path, add in paths:
            for value in select(path, item, resource):
                add(value, group, out)

    return collect
