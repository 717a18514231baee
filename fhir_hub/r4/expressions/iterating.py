"""FHIRPath's functions that evaluate an expression for each item, or by what it says.

Spec: http://hl7.org/fhirpath/N1/#filtering-and-projection
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cmp_to_key
from typing import Any

from fhir_hub.r4.expressions.moments import read_moment
from fhir_hub.r4.expressions.nodes import Node, Tree
from fhir_hub.r4.expressions.scope import MOST_STEPS, Evaluate, Scope
from fhir_hub.r4.expressions.typing import info
from fhir_hub.r4.expressions.values import Items, Wrong, contains, one, order, system, truth

Make = Callable[..., Evaluate]


def _each(items: Items, scope: Scope, expression: Evaluate) -> Iterator[tuple[Any, Items]]:
    """Yield each item and what `expression` says of it; `$this` and `$index` are the item's."""
    this, index = scope.this, scope.index
    scope.steps += len(items)
    if scope.steps > MOST_STEPS:
        raise Wrong("the expression takes too long")
    try:
        for at, item in enumerate(items):
            scope.this, scope.index = [item], at
            answer = expression([item], scope)
            scope.this, scope.index = this, index
            yield item, answer
    finally:
        scope.this, scope.index = this, index


def _where(tree: Tree, condition: Evaluate) -> Evaluate:
    return lambda items, scope: [
        item for item, answer in _each(items, scope, condition) if truth(answer)
    ]


def _select(tree: Tree, projection: Evaluate) -> Evaluate:
    return lambda items, scope: [
        each for _, answer in _each(items, scope, projection) for each in answer
    ]


def _all(tree: Tree, condition: Evaluate) -> Evaluate:
    return lambda items, scope: [all(truth(answer) for _, answer in _each(items, scope, condition))]


def _exists(tree: Tree, condition: Evaluate | None = None) -> Evaluate:
    if condition is None:
        return lambda items, scope: [bool(items)]
    holds = condition
    return lambda items, scope: [any(truth(answer) for _, answer in _each(items, scope, holds))]


def _repeat(tree: Tree, projection: Evaluate) -> Evaluate:
    def repeat(items: Items, scope: Scope) -> Items:
        found: Items = []
        layer = items
        while layer:
            more = [each for _, answer in _each(layer, scope, projection) for each in answer]
            layer = []
            for item in more:
                if not contains(found, item):
                    found.append(item)
                    layer.append(item)
        return found

    return repeat


def _aggregate(tree: Tree, step: Evaluate, start: Evaluate | None = None) -> Evaluate:
    def aggregate(items: Items, scope: Scope) -> Items:
        before = scope.total
        scope.total = start(items, scope) if start else []
        for _, answer in _each(items, scope, step):
            scope.total = answer
        found, scope.total = scope.total, before
        return found

    return aggregate


def _iif(
    tree: Tree, condition: Evaluate, then: Evaluate, otherwise: Evaluate | None = None
) -> Evaluate:
    def choose(items: Items, scope: Scope) -> Items:
        if len(items) > 1:
            raise Wrong("iif() needs a single item")
        this = scope.this
        scope.this = items or this
        try:
            answer = condition(items, scope)
            if answer and type(system(answer[0])) is not bool:
                raise Wrong("iif() needs a boolean")
            if truth(answer):
                return then(items, scope)
            return otherwise(items, scope) if otherwise else []
        finally:
            scope.this = this

    return choose


def _compared(left: tuple[Any, Any], right: tuple[Any, Any]) -> int:
    return order(left[0], right[0]) or 0


def _sort(tree: Tree, *keys: Evaluate) -> Evaluate:
    def arrange(items: Items, scope: Scope) -> Items:
        found = list(items)
        for key in reversed(keys or (lambda items, scope: items,)):
            told = [(one(answer), item) for item, answer in _each(found, scope, key)]
            empty = [item for value, item in told if value is None]
            rest = sorted((pair for pair in told if pair[0] is not None), key=cmp_to_key(_compared))
            found = [*empty, *(item for _, item in rest)]
        return found

    return arrange


def _trace(tree: Tree, name: Evaluate, projection: Evaluate | None = None) -> Evaluate:
    return lambda items, scope: items  # what is traced may be a patient's, so nothing is shown


def _children(tree: Tree) -> Evaluate:
    return lambda items, scope: [
        child for item in items if type(item) is Node for child in tree.children(item)
    ]


def _descendants(tree: Tree) -> Evaluate:
    def descend(items: Items, scope: Scope) -> Items:
        found: Items = []
        layer = [item for item in items if type(item) is Node]
        while layer:
            layer = [child for item in layer for child in tree.children(item)]
            found += layer
            scope.steps += len(layer)
            if scope.steps > MOST_STEPS:
                raise Wrong("the expression takes too long")
        return found

    return descend


def _extension(tree: Tree, url: Evaluate) -> Evaluate:
    def extensions(items: Items, scope: Scope) -> Items:
        wanted = one(url([*scope.this], scope))
        nodes = [item for item in items if type(item) is Node]
        return [
            extension
            for node in nodes
            for extension in tree.named(node, "extension")
            if extension.value.get("url") == wanted
        ]

    return extensions


def _clock(kind: str) -> Make:
    def make(tree: Tree) -> Evaluate:
        def tell(items: Items, scope: Scope) -> Items:
            day, _, time = scope.now.partition("T")
            text = {"Date": day, "Time": time[:12]}.get(kind, scope.now)
            return [read_moment(text, kind)]

        return tell

    return make


ITERATING: Mapping[str, tuple[int, int, Make]] = {
    "where": (1, 1, _where),
    "select": (1, 1, _select),
    "all": (1, 1, _all),
    "exists": (0, 1, _exists),
    "repeat": (1, 1, _repeat),
    "aggregate": (1, 2, _aggregate),
    "iif": (2, 3, _iif),
    "sort": (0, 9, _sort),
    "trace": (1, 2, _trace),
    "children": (0, 0, _children),
    "descendants": (0, 0, _descendants),
    "extension": (1, 1, _extension),
    "today": (0, 0, _clock("Date")),
    "now": (0, 0, _clock("DateTime")),
    "timeOfDay": (0, 0, _clock("Time")),
    "type": (0, 0, lambda tree: lambda items, scope: info(items)),
    "checkModifiers": (0, 99, lambda tree, *urls: lambda items, scope: items),
}
