"""Extensions wherever they stand: each is held against its definition, if that is known.

Spec: https://hl7.org/fhir/R4/extensibility.html and structuredefinition.html (context)
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from fhir_hub.errors import Issue
from fhir_hub.r4.checks.issues import Check, Issues, Scope, within
from fhir_hub.r4.checks.messages import issue
from fhir_hub.r4.definitions import Definitions
from fhir_hub.r4.element_names import ElementNames
from fhir_hub.r4.expressions.nodes import Tree
from fhir_hub.r4.snapshots import CANONICAL, BrokenProfile, Snapshots, UnknownProfile

_NAMES = ("extension", "modifierExtension")
_RESOURCES = ("contained", "resource")
_MOST = 500

Key = tuple[str, int | None]


class _Met(NamedTuple):
    """An extension, and the keys that lead to the object that it is in."""

    extension: dict[str, Any]
    keys: tuple[Key, ...]
    name: str
    number: int
    outer: str


class _Host(NamedTuple):
    """What an extension is in: FHIRPath from the resource, path in the definitions, types."""

    expression: str
    paths: frozenset[str]


class Extensions:
    """Finds the extensions of a resource and checks them."""

    def __init__(
        self,
        definitions: Definitions,
        tree: Tree,
        snapshots: Snapshots,
        check_of: Callable[[str], Check | None],
    ) -> None:
        self._names, self._tree = ElementNames(definitions), tree
        self._snapshots, self._check_of = snapshots, check_of

    def issues(self, resource: dict[str, Any], scope: Scope) -> list[Issue]:
        """Return what is wrong with the extensions of a resource, but not of those in it."""
        met: list[_Met] = []
        _find(resource, (), "", met)
        found: list[Issue] = []
        for each in met[:_MOST]:
            issues = self._of(each, resource["resourceType"], scope)
            if issues:
                host = self._host(each, resource["resourceType"])
                found += within(f"{host.expression}.{each.name}[{each.number}]", issues)
        return found

    def _of(self, met: _Met, resource_type: str, scope: Scope) -> Issues:
        url = met.extension.get("url")
        if type(url) is not str or (met.outer and ":" not in url):
            return ()  # a part of a complex extension: its definition is the whole's
        check = self._check_of(url)
        if check is None:
            if met.name == "modifierExtension":
                return [issue("extension", "extension-unknown-modifier", ".url", "warning")]
            return ()
        issues = list(check(met.extension, scope))
        contexts = self._contexts(url)
        if contexts and not self._is_allowed(met, resource_type, contexts):
            text = ", ".join(str(each.get("expression")) for each in contexts)
            # R4's own examples break the contexts of R4's own extensions a thousand times
            severity = "warning" if url.startswith(CANONICAL) else "error"
            issues.append(issue("extension", "extension-context", "", severity, contexts=text))
        return issues

    def _contexts(self, url: str) -> list[dict[str, Any]]:
        try:
            return self._snapshots.snapshot(url).context
        except (UnknownProfile, BrokenProfile):
            return []

    def _is_allowed(self, met: _Met, resource_type: str, contexts: list[dict[str, Any]]) -> bool:
        host = self._host(met, resource_type)
        for each in contexts:
            kind, expression = each.get("type"), str(each.get("expression"))
            if kind == "fhirpath":
                return True
            if kind == "extension" and expression == met.outer:
                return True
            if kind == "element" and expression.replace("[x]", "") in host.paths:
                return True
        return False

    def _host(self, met: _Met, resource_type: str) -> _Host:
        where = path = resource_type
        expression, type_name = "", resource_type
        place = where
        for key, number in met.keys:
            named = self._names.of_key(where, key.removeprefix("_")) if where else None
            name = named.name if named else key.removeprefix("_")
            expression += f".{name}" + ("" if number is None else f"[{number}]")
            path = f"{path}.{name}"
            place = f"{where}.{name}"
            type_name = named.type if named else ""
            where = self._names.inside(named.element, named.type) if named else ""
            if not where and type_name:
                where = "Element"
        families = self._tree.family(type_name) if type_name else ()
        return _Host(expression, frozenset((path, place, where, "Element", *families)))


def _find(value: dict[str, Any], keys: tuple[Key, ...], outer: str, met: list[_Met]) -> None:
    for name, item in value.items():
        kind = type(item)
        if kind is dict:
            if name not in _RESOURCES or "resourceType" not in item:
                _find(item, (*keys, (name, None)), outer, met)
        elif kind is list and name != "contained":
            for at, each in enumerate(item):
                if type(each) is not dict:
                    continue
                if name in _NAMES:
                    met.append(_Met(each, keys, name, at, outer))
                    url = each.get("url")
                    inner = url if type(url) is str else ""
                    _find(each, (*keys, (name, at)), inner, met)
                else:
                    _find(each, (*keys, (name, at)), outer, met)
