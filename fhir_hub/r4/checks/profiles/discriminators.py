"""Discriminators: whether a value belongs to a slice.

Spec: https://hl7.org/fhir/R4/profiling.html#discriminator
"""

from collections.abc import Callable
from typing import Any

from fhir_hub.r4.checks.issues import Scope
from fhir_hub.r4.checks.profiles.items import Item, ItemCheck
from fhir_hub.r4.checks.profiles.tree import Tools, item_check
from fhir_hub.r4.expressions.evaluate import CannotCompile, Expressions, Node, Wrong
from fhir_hub.r4.expressions.scope import Scope as PathScope
from fhir_hub.r4.fhirpath_text import Call, Constant, Name, Steps, Variable, parse_expression
from fhir_hub.r4.fhirpath_text import Node as Syntax
from fhir_hub.r4.snapshots import CANONICAL, BrokenProfile, Part, UnknownProfile

Matcher = Callable[[Item, Scope], bool]
_BROKEN = (Wrong, AttributeError, TypeError, KeyError, ValueError)


def matcher(part: Part, slicing: dict[str, Any], profile: str, tools: Tools) -> Matcher:
    """Return whether a value belongs to the slice `part`, by the discriminators of its slicing."""
    rows = [each for each in slicing.get("discriminator", []) if isinstance(each, dict)]
    if not rows:  # no discriminator: a value belongs to the slice if it keeps all of it
        check = item_check(part, profile, tools)
        return lambda item, scope: check is None or _keeps(check, item, scope)
    matchers = [_Discriminator(part, profile, tools).matcher(row) for row in rows]
    if len(matchers) == 1:
        return matchers[0]
    return lambda item, scope: all(meets(item, scope) for meets in matchers)


def _keeps(check: ItemCheck, item: Item, scope: Scope) -> bool:
    return not any(found.severity == "error" for found in check(item, scope))


def _never(item: Item, scope: Scope) -> bool:
    return False


class _Discriminator:
    def __init__(self, part: Part, profile: str, tools: Tools) -> None:
        self._part, self._profile, self._tools = part, profile, tools

    def matcher(self, row: dict[str, Any]) -> Matcher:
        kind, path = row.get("type"), row.get("path", "$this")
        if kind in ("value", "pattern") and path == "url" and (url := self._url()):
            return lambda item, scope: type(item.value) is dict and item.value.get("url") == url
        try:
            steps = _steps(parse_expression(path))
            values = _values(path, self._part, self._tools.expressions)
        except CannotCompile:
            return _never
        if kind == "profile":
            return self._by_profile(steps, values)
        target = self._target(steps)
        if target is None:
            return _never
        if kind == "exists":
            return _by_existence(target, values)
        if kind == "type":
            return self._by_type(target, values)
        return self._by_value(target, values)

    def _url(self) -> str:
        """Return the url of the extensions of the slice."""
        child = self._part.children.get("url")
        if child is not None and isinstance(child.value("fixed"), str):
            return str(child.value("fixed"))
        profiles = [p for row in self._part.types for p in row.get("profile", [])]
        return (
            profiles[0].partition("|")[0]
            if self._part.name.endswith("xtension") and profiles
            else ""
        )

    def _target(self, steps: list[Syntax]) -> Part | None:
        """Return the part that a path leads to from the slice."""
        part: Part | None = self._part
        for step in steps:
            if part is None:
                return None
            match step:
                case Variable("$this"):
                    continue
                case Name(name):
                    part = self._child(part, name)
                case Call("extension", (Constant(str(url)),)):
                    part = self._extension(part, url)
                case Call("ofType" | "as", (Name(code),)):
                    name = f"{part.name.removesuffix('[x]')}{code[0].upper()}{code[1:]}"
                    part = part.slices.get(name, part)
                case _:
                    return None
        return part

    def _child(self, part: Part, name: str) -> Part | None:
        found = part.children.get(name) or part.children.get(f"{name}[x]")
        if found is not None and _is_touched(found):
            return found
        for row in part.types:  # what the slice does not say, the profile of its type may
            for each in row.get("profile", []):
                if each.removeprefix(CANONICAL).isalpha():
                    continue
                try:
                    root = self._tools.snapshots.snapshot(each).root
                except (UnknownProfile, BrokenProfile):
                    continue
                inner = root.children.get(name) or root.children.get(f"{name}[x]")
                if inner is not None:
                    return inner
        return (
            found
            or self._tools.snapshots.child(part, name)
            or self._tools.snapshots.child(part, f"{name}[x]")
        )

    def _extension(self, part: Part, url: str) -> Part | None:
        extensions = part.children.get("extension")
        for each in extensions.slices.values() if extensions else ():
            if _Discriminator(each, self._profile, self._tools)._url() == url:
                return each
        return None

    def _by_value(self, target: Part, values: "_Values") -> Matcher:
        check = item_check(target, self._profile, self._tools)
        if check is None:
            return _never
        return lambda item, scope: any(_keeps(check, each, scope) for each in values(item, scope))

    def _by_type(self, target: Part, values: "_Values") -> Matcher:
        codes = frozenset(row["code"] for row in target.types)
        family = self._tools.expressions.tree.family
        return lambda item, scope: any(
            not codes.isdisjoint(family(each.type)) for each in values(item, scope)
        )

    def _by_profile(self, steps: list[Syntax], values: "_Values") -> Matcher:
        resolves = bool(steps) and steps[-1] == Call("resolve", ())
        target = self._target(steps[:-1] if resolves else steps)
        rows = target.types if target else []
        key = "targetProfile" if resolves else "profile"
        wanted = [each for row in rows for each in row.get(key, [])]
        check_of, type_of = self._tools.check_of, self._tools.snapshots.type_of

        def keeps_one(item: Item, scope: Scope) -> bool:
            for each in wanted:
                keeps = check_of(each)
                if type_of(each) not in ("", item.type):
                    continue
                if item.value is None or keeps is None:  # not at hand: its type has to do
                    return True
                inside = scope._replace(resource=item.value) if resolves else scope
                if not any(found.severity == "error" for found in keeps(item.value, inside)):
                    return True
            return False

        return lambda item, scope: any(keeps_one(each, scope) for each in values(item, scope))


_Values = Callable[[Item, Scope], list[Item]]


def _by_existence(target: Part, values: _Values) -> Matcher:
    if target.max == "0":
        return lambda item, scope: not values(item, scope)
    return lambda item, scope: bool(values(item, scope)) or not target.min


def _steps(node: Syntax) -> list[Syntax]:
    return list(node.steps) if isinstance(node, Steps) else [node]


def _is_touched(part: Part) -> bool:
    return bool(part.facts or part.children or part.slices or part.constraints)


def _values(path: str, part: Part, expressions: Expressions) -> _Values:
    """Return what finds the values at a path in a value of the element of a part."""
    if path == "$this":
        return lambda item, scope: [item]
    compiled, tree, where = expressions.compile(path), expressions.tree, part.where

    def find(item: Item, scope: Scope) -> list[Item]:
        node = tree.node(item.value, item.type, where, item.more)
        inner = PathScope([node], tree.root(scope.resource), tree.root(scope.root), "")
        try:
            found = compiled.evaluate([node], inner)
        except _BROKEN:
            return []
        return [Item(n.value, n.more, n.type, "") for n in found if isinstance(n, Node)]

    return find
