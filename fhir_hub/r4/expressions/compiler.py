"""From the tree of an expression to one function: every step is a closure over the next ones.

Nothing of the text is looked at when an expression is evaluated. Which elements a name stands for
is found in the tables of the `Tree`, by the type of each item, so an expression is compiled once
for all types.

Spec: http://hl7.org/fhirpath/N1/ and https://hl7.org/fhir/R4/fhirpath.html
"""

from collections.abc import Mapping
from decimal import Decimal

from fhir_hub.r4.expressions.collecting import COLLECTING
from fhir_hub.r4.expressions.iterating import ITERATING, Make
from fhir_hub.r4.expressions.moments import read_moment
from fhir_hub.r4.expressions.nodes import Node, Tree
from fhir_hub.r4.expressions.numbers import NUMBERS
from fhir_hub.r4.expressions.operators import OPERATORS
from fhir_hub.r4.expressions.scope import MOST_STEPS, Evaluate, Function, Scope
from fhir_hub.r4.expressions.texts import TEXTS
from fhir_hub.r4.expressions.typing import (
    SYSTEM_TYPES,
    TypeName,
    as_type,
    is_type,
    named_type,
    of_type,
)
from fhir_hub.r4.expressions.values import Amount, Items, TypeInfo, Wrong, is_number, one
from fhir_hub.r4.expressions.written import CONVERSIONS
from fhir_hub.r4.fhirpath_text import (
    At,
    Binary,
    Call,
    CannotCompile,
    Constant,
    Index,
    MomentText,
    Name,
    Nothing,
    QuantityText,
    Steps,
    Unary,
    Variable,
)
from fhir_hub.r4.fhirpath_text import Node as Syntax

FUNCTIONS: Mapping[str, Function] = {**COLLECTING, **TEXTS, **NUMBERS, **CONVERSIONS}
_CONSTANTS = {
    "ucum": "http://unitsofmeasure.org",
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
}
_FHIR = "http://hl7.org/fhir/"


class Compiler:
    """Compiles expressions over one `tree`; `more` are functions as in `ITERATING`, of FHIR."""

    def __init__(self, tree: Tree, more: Mapping[str, tuple[int, int, Make]]) -> None:
        self._tree = tree
        self._iterating = {**ITERATING, **more}

    def compile(self, node: Syntax) -> Evaluate:
        """Return the function of an expression; raises `CannotCompile`."""
        match node:
            case Steps(steps):
                return _chain([self._step(step, at) for at, step in enumerate(steps)])
            case Binary("is" | "as" as operator, left, right):
                return self._typed(operator, self.compile(left), right)
            case Binary(operator, left, right):
                return _binary(operator, self.compile(left), self.compile(right))
            case Unary(operator, operand):
                return _signed(operator, self.compile(operand))
            case _:
                return self._step(node, 0)

    def _step(self, node: Syntax, at: int) -> Evaluate:
        match node:
            case Name(name):
                return self._named(name, is_first=at == 0)
            case Call(name, arguments):
                return self._call(name, arguments)
            case At(at_number):
                return lambda items, scope: items[at_number : at_number + 1]
            case Index(number):
                return _indexed(self.compile(number))
            case Variable(name):
                return _variable(name)
            case Constant() | MomentText() | QuantityText() | Nothing():
                constant = _literal(node)
                return lambda items, scope: constant
            case _:
                return self.compile(node)

    def _named(self, name: str, *, is_first: bool) -> Evaluate:
        tree, may_be_type = self._tree, is_first and name[:1].isupper()

        def children(items: Items, scope: Scope) -> Items:
            if len(items) == 1 and type(items[0]) is Node and not may_be_type:
                return tree.named(items[0], name)
            scope.steps += len(items)
            if scope.steps > MOST_STEPS:
                raise Wrong("the expression takes too long")
            found: Items = []
            for item in items:
                if type(item) is TypeInfo:
                    found += [getattr(item, name)] if name in item._fields else []
                elif type(item) is Node:
                    is_type = may_be_type and name in tree.family(item.type)
                    found += [item] if is_type else tree.named(item, name)
            return found

        return children

    def _typed(self, operator: str, left: Evaluate, right: Syntax) -> Evaluate:
        name, tree = self._type(right), self._tree
        act = is_type if operator == "is" else as_type
        return lambda items, scope: act(tree, left(items, scope), name)

    def _type(self, node: Syntax) -> TypeName:
        found = named_type(node)
        is_system = found.namespace == "System" or found.name in SYSTEM_TYPES
        if not is_system and not self._tree.is_type(found.name):
            raise CannotCompile(f"no type is called {found.name[:30]}")
        return found

    def _call(self, name: str, arguments: tuple[Syntax, ...]) -> Evaluate:
        tree = self._tree
        if name in ("is", "as", "ofType"):
            if len(arguments) != 1:
                raise CannotCompile(f"{name}() takes a type")
            act = {"is": is_type, "as": as_type, "ofType": of_type}[name]
            wanted = self._type(arguments[0])
            return lambda items, scope: act(tree, items, wanted)
        compiled = tuple(map(self.compile, arguments))
        if name in self._iterating:
            least, most, make = self._iterating[name]
            _count(name, compiled, least, most)
            return make(tree, *compiled)
        function = FUNCTIONS.get(name)
        if function is None:
            raise CannotCompile(f"the function {name[:30]} is not known")
        return _applied(name, function, compiled)


def _count(name: str, arguments: tuple[Evaluate, ...], least: int, most: int) -> None:
    if not least <= len(arguments) <= most:
        raise CannotCompile(f"{name}() does not take {len(arguments)} arguments")


def _applied(name: str, function: Function, arguments: tuple[Evaluate, ...]) -> Evaluate:
    # the arguments are about what the whole expression is about, not about the items
    match arguments:
        case ():

            def apply(items: Items, scope: Scope) -> Items:
                return function(items)
        case (only,):

            def apply(items: Items, scope: Scope) -> Items:
                return function(items, only([*scope.this], scope))
        case _:

            def apply(items: Items, scope: Scope) -> Items:
                return function(items, *(each([*scope.this], scope) for each in arguments))

    def checked(items: Items, scope: Scope) -> Items:
        try:
            return apply(items, scope)
        except TypeError:
            raise Wrong(f"{name}() is not used as it is defined") from None

    return checked


def _chain(steps: list[Evaluate]) -> Evaluate:
    if len(steps) == 2:
        first, second = steps
        return lambda items, scope: second(first(items, scope), scope)

    def follow(items: Items, scope: Scope) -> Items:
        for step in steps:
            items = step(items, scope)
        return items

    return follow


def _binary(operator: str, left: Evaluate, right: Evaluate) -> Evaluate:
    act = OPERATORS[operator]
    decided = {"or": [True], "and": [False], "implies": [False]}.get(operator)
    if decided is None:
        return lambda items, scope: act(left(items, scope), right(items, scope))

    def lazily(items: Items, scope: Scope) -> Items:
        first = left(items, scope)
        if first == decided and type(first[0]) is bool:
            return [True] if operator == "implies" else first
        return act(first, right(items, scope))

    return lazily


def _signed(operator: str, operand: Evaluate) -> Evaluate:
    def apply(items: Items, scope: Scope) -> Items:
        value = one(operand(items, scope))
        if value is None:
            return []
        if isinstance(value, Amount):
            return [value._replace(value=-value.value)] if operator == "-" else [value]
        if not is_number(value):
            raise Wrong("a sign stands before a number only")
        return [-value if operator == "-" else value]

    return apply


def _indexed(number: Evaluate) -> Evaluate:
    def take(items: Items, scope: Scope) -> Items:
        at = one(number([*scope.this], scope))
        if at is not None and type(at) is not int:
            raise Wrong("an index must be a whole number")
        return items[at : at + 1] if at is not None and at >= 0 else []

    return take


def _variable(name: str) -> Evaluate:
    match name:
        case "$this":
            return lambda items, scope: scope.this
        case "$index":
            return lambda items, scope: [scope.index]
        case "$total":
            return lambda items, scope: scope.total
        case "resource":
            return lambda items, scope: [scope.resource]
        case "rootResource":
            return lambda items, scope: [scope.root]
        case "context":
            return lambda items, scope: scope.context
    text = _CONSTANTS.get(name)
    if name.startswith("vs-"):
        text = f"{_FHIR}ValueSet/{name[3:]}"
    elif name.startswith("ext-"):
        text = f"{_FHIR}StructureDefinition/{name[4:]}"
    if text is None:
        raise CannotCompile(f"%{name[:30]} is not known")
    return lambda items, scope: [text]


def _literal(node: Syntax) -> Items:
    match node:
        case Constant(value):
            return [value]
        case QuantityText(value, unit, is_calendar):
            return [Amount(Decimal(value), unit, is_calendar)]
        case MomentText(text):
            moment = read_moment(text)
            if moment is None:
                raise CannotCompile("no such date or time")
            return [moment]
        case _:
            return []
