"""The invariants that no shortcut does: FHIRPath, compiled when the element is first met.

Spec: https://hl7.org/fhir/R4/elementdefinition.html#ElementDefinition.constraint
"""

from collections.abc import Iterable, Mapping
from typing import Any

from fhir_hub.errors import Issue
from fhir_hub.r4.checks.issues import NONE, Check, Issues, Scope
from fhir_hub.r4.checks.objects import Rule, Shortcut
from fhir_hub.r4.definitions import Element, Invariant
from fhir_hub.r4.expressions.evaluate import Expressions, Wrong

Shortcuts = Mapping[str, tuple[Shortcut, ...]]

# Checked where the shape is: empty elements, references, contained resources, narratives.
_BY_SHAPE = frozenset(("ele-1", "ref-1", "dom-2", "dom-3", "dom-4", "dom-5", "txt-1", "txt-2"))
# What R4 wrote and did not mean: `Boolean` is a type of FHIRPath and of no element, and a
# comparison with nothing is neither true nor false.
ERRATA: Mapping[str, str] = {
    "eld-3": "$this = '*' or iif(toInteger() >= 0, true, false)",
    "md-1": "max = '*' or iif(max.toInteger() > 0, true, false)",
    "que-7": "operator = 'exists' implies (answer is boolean)",
    "que-13": "initial.count() <= 1 or iif(repeats = true, true, false)",
    "vsd-9": "code.exists() or iif(abstract = true, true, false)",
}
# four patterns that R4 publishes (event, request …) have no base and are not abstract
_ONLY_WARNING = frozenset(("sdf-4",))


class Interpreted:
    """Makes rules of the invariants of elements, but for those that `shortcuts` do."""

    def __init__(self, expressions: Expressions, shortcuts: Shortcuts) -> None:
        self._expressions = expressions
        self._shortcuts = frozenset(
            (path.partition(".")[0], key)
            for path, rules in shortcuts.items()
            for each in rules
            for key in each.keys
        )

    def left(self, element: Element) -> list[Invariant]:
        """Return the invariants declared at an element that nothing else checks."""
        type_name = element.path.partition(".")[0]
        return [
            invariant
            for invariant in element.invariants
            if invariant.key not in _BY_SHAPE
            and not invariant.is_best_practice
            and (type_name, invariant.key) not in self._shortcuts
        ]

    def rules(self, elements: Iterable[Element]) -> tuple[Rule, ...]:
        """Return the rules of the objects that `elements` are about."""
        return tuple(
            self._rule(
                invariant, "BackboneElement" if "." in element.path else element.path, element
            )
            for element in elements
            for invariant in self.left(element)
        )

    def advice(self, elements: Iterable[Element]) -> tuple[Rule, ...]:
        """Return the rules of what is best practice about the objects that `elements` are about."""
        return tuple(
            self._rule(each, element.path, element)
            for element in elements
            for each in element.invariants
            if each.is_best_practice
        )

    def narrowed(self, check: Check, element: Element, type_name: str) -> Check:
        """Return `check`, of values of a type, narrowed by the invariants at `element`."""
        rules = [self._rule(each, type_name, element) for each in self.left(element)]
        if not rules:
            return check

        def both(value: Any, scope: Scope) -> Issues:
            issues = check(value, scope)
            return issues or [issue for rule in rules for issue in rule(value, scope)]

        return both

    def _rule(self, invariant: Invariant, type_name: str, element: Element) -> Rule:
        expression = ERRATA.get(invariant.key, invariant.expression)
        compiled = self._expressions.compile(expression)
        tree, path = self._expressions.tree, element.path
        advice = f"keep the rule {invariant.key}: {invariant.expression}"
        severity = "warning" if invariant.key in _ONLY_WARNING else invariant.severity
        severity = "information" if invariant.is_best_practice else severity
        issues = [Issue("invariant", advice, "", severity)]

        def rule(value: Any, scope: Scope) -> Issues:
            node = tree.node(value, type_name, path)
            try:
                holds = self._expressions.holds(
                    compiled, node, tree.root(scope.resource), tree.root(scope.root)
                )
            except Wrong:  # it asks what is not at hand: nothing is known to be wrong
                return NONE
            return NONE if holds else issues

        return rule
