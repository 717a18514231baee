"""Expressions, compiled once, asked of resources: the door of this folder.

What needs more than the resource itself — whether an element keeps a profile, whether a code is
in a value set — is asked of functions that whoever builds `Expressions` gives.

Spec: https://hl7.org/fhir/R4/fhirpath.html#functions
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fhir_hub.r4.definitions import Definitions
from fhir_hub.r4.expressions.compiler import Compiler
from fhir_hub.r4.expressions.iterating import Make
from fhir_hub.r4.expressions.nodes import Node, Tree, Wrong
from fhir_hub.r4.expressions.scope import Evaluate, Scope
from fhir_hub.r4.expressions.targets import resolve
from fhir_hub.r4.expressions.values import Items, one, truth
from fhir_hub.r4.fhirpath_text import CannotCompile, parse_expression

_CANONICAL = "http://hl7.org/fhir/StructureDefinition/"
_MOST = 20_000
_LONGEST = 10_000  # a longer one, as a patch may have, is not kept

__all__ = ["CannotCompile", "Expression", "Expressions", "Node", "Wrong"]


class Expression(NamedTuple):
    """A compiled expression."""

    text: str
    evaluate: Evaluate


class Expressions:
    """Compiles expressions, each once, over the types of `definitions`.

    `conforms(node, url)` and `is_member(system, code, value_set)` answer None if they cannot tell.
    """

    def __init__(
        self,
        definitions: Definitions,
        *,
        conforms: Callable[[Node, str], bool | None] = lambda node, url: None,
        is_member: Callable[[str, str, str], bool | None] = lambda system, code, value_set: None,
        now: Callable[[], str] = lambda: "",
    ) -> None:
        self.tree = Tree(definitions)
        self._conforms, self._is_member, self._now = conforms, is_member, now
        self._compiler = Compiler(self.tree, self._functions())
        self._compiled: dict[str, Expression] = {}

    def compile(self, text: str) -> Expression:
        """Return the compiled expression `text`; raises `CannotCompile`."""
        found = self._compiled.get(text)
        if found is None:
            found = Expression(text, self._compiler.compile(parse_expression(text)))
            if len(self._compiled) < _MOST and len(text) < _LONGEST:
                self._compiled[text] = found
        return found

    def holds(self, expression: Expression, node: Node, resource: Node, root: Node) -> bool:
        """Return whether a rule about `node` in `resource`, which is in `root`, is not broken.

        Empty is not broken: a comparison that precision leaves open. Raises `Wrong`.
        """
        try:
            found = expression.evaluate([node], Scope([node], resource, root, self._now()))
        except RecursionError:
            raise Wrong("the expression nests too deeply") from None
        return truth(found) is not False

    def values(self, expression: Expression, resource: dict[str, Any]) -> Items:
        """Return what an expression finds in a resource; raises `Wrong`."""
        root = self.tree.root(resource)
        return expression.evaluate([root], Scope([root], root, root, self._now()))

    def _functions(self) -> Mapping[str, tuple[int, int, Make]]:
        def resolving(tree: Tree) -> Evaluate:
            return lambda items, scope: [
                found for item in items if (found := resolve(tree, item, scope)) is not None
            ]

        def conforming(tree: Tree, url: Evaluate) -> Evaluate:
            return lambda items, scope: self._keeps(items, one(url([*scope.this], scope)))

        def member(tree: Tree, value_set: Evaluate) -> Evaluate:
            return lambda items, scope: self._in(items, one(value_set([*scope.this], scope)))

        return {
            "resolve": (0, 0, resolving),
            "conformsTo": (1, 1, conforming),
            "memberOf": (1, 1, member),
            # txt-1 and txt-2: narratives are read by `checks/narrative.py`, always
            "htmlChecks": (0, 0, lambda tree: lambda items, scope: [True]),
        }

    def _keeps(self, items: Items, url: Any) -> Items:
        if len(items) != 1 or type(items[0]) is not Node or not isinstance(url, str):
            return []
        base = url.removeprefix(_CANONICAL)
        if self.tree.is_type(base):
            return [base in self.tree.family(items[0].type)]
        answer = self._conforms(items[0], url)
        if answer is None:
            raise Wrong("the profile is not known here")
        return [answer]

    def _in(self, items: Items, value_set: Any) -> Items:
        if len(items) != 1 or type(items[0]) is not Node or not isinstance(value_set, str):
            return []
        value = items[0].value
        codings = value.get("coding", [value]) if type(value) is dict else [{"code": value}]
        answers = [
            self._is_member(each.get("system", ""), each.get("code", ""), value_set)
            for each in codings
        ]
        if True in answers:
            return [True]
        return [] if None in answers else [False]
