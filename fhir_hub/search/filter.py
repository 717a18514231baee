"""`_filter`: a tree of comparisons to the plan that other parameters make too.

An operator is a row of a table: which parameter types it is for, and what it asks. Each asks
for an item that compares so, hence `ne` finds a patient with two names by either of them; `not`
asks for none.

Spec: https://hl7.org/fhir/R4/search_filter.html
"""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from fhir_hub.errors import InvalidParameter, InvalidResource, UnknownParameter
from fhir_hub.search.absence import missing
from fhir_hub.search.condition import Ask, Conditions
from fhir_hub.search.filter_text import Comparison, Joined, Negated, Node, read_filter
from fhir_hub.search.kinds import string
from fhir_hub.search.kinds.date import overlaps
from fhir_hub.search.kinds.modifier import Modifier, Reader
from fhir_hub.search.kinds.table import KINDS
from fhir_hub.search.kinds.values import PREFIXES, escape
from fhir_hub.search.parameter import Parameter
from fhir_hub.search.plan import And, Except, Is, Not, Or, Plan, Test, Text

FILTER = "_filter"
_ROW = Modifier(lambda text, meaning: ())
_LONGEST = 10_000


def filter_plan(conditions: Conditions, resource_type: str, text: str) -> Plan:
    """Return what the filter `text` asks of a resource of the type (`Resource`: of any).

    Raises `InvalidParameter` with the place of the fault, `UnknownParameter` with the names or
    operators that there are.
    """
    if len(text) > _LONGEST:
        raise InvalidParameter(f"{FILTER} has at most {_LONGEST} characters")
    return _Plans(conditions).plan(resource_type, read_filter(text), 0)


class _Plans:
    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions

    def plan(self, resource_type: str, node: Node, depth: int) -> Plan:
        match node:
            case Joined(by, nodes):
                plans = tuple(self.plan(resource_type, one, depth) for one in nodes)
                return And(plans) if by == "and" else Or(plans)
            case Negated(inner):
                return Not(self.plan(resource_type, inner, depth))
            case Comparison():
                return self._compared(resource_type, node, depth)

    def _compared(self, resource_type: str, node: Comparison, depth: int) -> Plan:
        first, *rest = node.path
        if first.within is None and all(step.within is None for step in rest):
            name = ".".join(step.name for step in node.path)
            return self._conditions.named(resource_type, name, self._ask(node), depth)
        if not rest:
            raise InvalidParameter(f"{FILTER}: after the brackets a path goes on, as in a[b].c")
        after = Comparison(tuple(rest), node.operator, node.value)

        def met(target: str) -> Plan:
            plan = self._compared(target, after, depth + 1)
            if first.within is None:
                return plan
            return And((self.plan(target, first.within, depth + 1), plan))

        return self._conditions.through(resource_type, first.name, rest[0].name, met)

    def _ask(self, node: Comparison) -> Ask:
        row = OPERATORS.get(node.operator)
        if row is None:
            known = ", ".join(OPERATORS)
            raise UnknownParameter(
                f"{FILTER}: the operator {node.operator[:20]!r} is not known; there are {known}"
            )

        def read(parameter: Parameter, modifier: str) -> Plan:
            if modifier:
                raise UnknownParameter(f"in {FILTER} an operator takes the place of a modifier")
            if row.kinds and parameter.kind not in row.kinds:
                raise UnknownParameter(_not_for(node.operator, parameter))
            return row.plan(self._conditions, parameter, node)

        return Ask(node.value, read)


class Operator(NamedTuple):
    """An operator: the parameter types that it is for (none: all), and what it asks."""

    kinds: Collection[str]
    plan: Callable[[Conditions, Parameter, Comparison], Plan]


def _not_for(operator: str, parameter: Parameter) -> str:
    known = [
        name for name, row in OPERATORS.items() if not row.kinds or parameter.kind in row.kinds
    ]
    return f"{operator} is not for a {parameter.kind}; there are {', '.join(known)}"


def _prefixed(conditions: Conditions, parameter: Parameter, node: Comparison) -> Plan:
    text = node.operator + node.value
    return _asked(conditions, parameter, KINDS[parameter.kind].modifiers[""].read, text)  # type: ignore[index]  # no composite


def _equal(conditions: Conditions, parameter: Parameter, node: Comparison) -> Plan:
    if parameter.kind in _MEASURED:
        return _prefixed(conditions, parameter, node)
    if parameter.kind == "string":
        tests = [Is(code) for code in string.ways(escape(node.value))]
        return conditions.tested(parameter, tests, _ROW)
    if parameter.kind == "composite" or parameter.kind == "text":
        return conditions.condition(parameter, "", node.value)
    return _asked(conditions, parameter, KINDS[parameter.kind].modifiers[""].read, node.value)


def _unequal(conditions: Conditions, parameter: Parameter, node: Comparison) -> Plan:
    if parameter.kind in _MEASURED:
        return _prefixed(conditions, parameter, node)
    tests: tuple[Test, ...]
    if parameter.kind == "string":
        # an entry without a text is pinyin, and no item
        equal = (Is(code) for code in string.ways(escape(node.value)))
        tests = (*equal, Text("", "exact"))
    else:
        read = KINDS[parameter.kind].modifiers[""].read  # type: ignore[index]  # no composite
        tests = read(node.value, conditions.meaning(parameter))
    return conditions.tested(parameter, [Except(tests)], _ROW)


def _within_text(mode: str) -> Callable[[Conditions, Parameter, Comparison], Plan]:
    def plan(conditions: Conditions, parameter: Parameter, node: Comparison) -> Plan:
        value = node.value
        ways = string.ways(escape(value)) if parameter.kind == "string" else (value,)
        tests = [Text(way, mode) for way in ways]  # type: ignore[arg-type]  # one of the rows below
        return conditions.tested(parameter, tests, _ROW)

    return plan


def _present(_: Conditions, parameter: Parameter, node: Comparison) -> Plan:
    if node.value not in ("true", "false"):
        raise InvalidResource("pr is followed by true or false")
    return missing(parameter, "false" if node.value == "true" else "true")


def _overlapping(conditions: Conditions, parameter: Parameter, node: Comparison) -> Plan:
    return _asked(conditions, parameter, overlaps, node.value)


def _by_modifier(modifier: str) -> Callable[[Conditions, Parameter, Comparison], Plan]:
    def plan(conditions: Conditions, parameter: Parameter, node: Comparison) -> Plan:
        return conditions.condition(parameter, modifier, escape(node.value, ","))

    return plan


def _asked(conditions: Conditions, parameter: Parameter, read: Reader, text: str) -> Plan:
    return conditions.tested(parameter, read(text, conditions.meaning(parameter)), _ROW)


_MEASURED = ("date", "number", "quantity")
_CODED = ("string", "token", "uri")
_ORDERED = {name: Operator(_MEASURED, _prefixed) for name in PREFIXES if name not in ("eq", "ne")}
OPERATORS: Mapping[str, Operator] = {
    "eq": Operator((), _equal),
    "ne": Operator((*_MEASURED, *_CODED, "reference"), _unequal),
    "co": Operator(_CODED, _within_text("contains")),
    "sw": Operator(_CODED, _within_text("starts")),
    "ew": Operator(_CODED, _within_text("ends")),
    **_ORDERED,
    "pr": Operator((), _present),
    "po": Operator(("date",), _overlapping),
    "ss": Operator(("token",), _by_modifier("below")),
    "sb": Operator(("token",), _by_modifier("above")),
    "in": Operator(("token",), _by_modifier("in")),
    "ni": Operator(("token",), _by_modifier("not-in")),
    "re": Operator(("reference",), _equal),
}
