"""What a profile says of a single value: fixed, pattern, bounds, length.

Spec: https://hl7.org/fhir/R4/elementdefinition.html#ElementDefinition.fixed[x]
"""

from typing import Any

from fhir_hub import fhirjson
from fhir_hub.errors import Issue
from fhir_hub.r4.checks.issues import NONE, Issues, Scope
from fhir_hub.r4.checks.messages import issue
from fhir_hub.r4.checks.profiles.items import Item, ItemCheck
from fhir_hub.r4.expressions.nodes import Node, Wrong
from fhir_hub.r4.expressions.values import order
from fhir_hub.r4.snapshots import Part

_SHOWN = 120
_CODES = ("code", "system", "url", "use", "status")


def value_checks(part: Part, profile: str) -> list[ItemCheck]:
    """Return the checks of one value that a part asks for."""
    element = part.name.removesuffix("[x]")
    found: list[ItemCheck] = []
    fixed, pattern = part.value("fixed"), part.value("pattern")
    if fixed is not None:
        told = issue("value", "fixed", profile=profile, element=element, shown=_shown(fixed))
        found.append(_fixed(fixed, told))
    if pattern is not None:
        told = issue("value", "pattern", profile=profile, element=element, shown=_shown(pattern))
        found.append(_pattern(pattern, told))
    for kind, key, sign in (("minValue", "min-value", -1), ("maxValue", "max-value", 1)):
        bound = part.value(kind)
        if bound is not None:
            told = issue("value", key, profile=profile, bound=_text(bound))
            found.append(_bounded(bound, sign, told))
    longest = part.facts.get("maxLength")
    if type(longest) is int:
        told = issue("too-long", "max-length", profile=profile, most=longest)
        found.append(_short(longest, told))
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else fhirjson.dumps(value).decode()


def _shown(value: Any) -> str:
    """Return what a definition writes, to be shown in a message; empty if it is long."""
    text = _text(value)
    return f": {text}" if len(text) <= _SHOWN else ""


def _fixed(wanted: Any, told: Issue) -> ItemCheck:
    issues = [told]
    return lambda item, scope: NONE if _same(item.value, wanted) else issues


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return (
            isinstance(value, dict)
            and value.keys() == wanted.keys()
            and all(_same(value[name], each) for name, each in wanted.items())
        )
    if isinstance(wanted, list):
        return (
            isinstance(value, list) and len(value) == len(wanted) and all(map(_same, value, wanted))
        )
    return _equal(value, wanted)


def _equal(value: Any, wanted: Any) -> bool:
    # to Python, true is 1
    return (type(value) is bool) == (type(wanted) is bool) and bool(value == wanted)


def _pattern(wanted: Any, told: Issue) -> ItemCheck:
    issues = [told]
    return lambda item, scope: NONE if holds(item.value, wanted) else issues


def holds(value: Any, wanted: Any) -> bool:
    """Return whether a value holds all that a pattern has: more elements and items may be there.

    >>> holds({"coding": [{"code": "a"}, {"code": "b"}], "text": "x"}, {"coding": [{"code": "b"}]})
    True
    """
    if isinstance(wanted, dict):
        return isinstance(value, dict) and all(
            name in value and holds(value[name], each) for name, each in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(value, list) and all(
            any(holds(one, each) for one in value) for each in wanted
        )
    return _equal(value, wanted)


def _bounded(bound: Any, sign: int, told: Issue) -> ItemCheck:
    issues = [told]

    def check(item: Item, scope: Scope) -> Issues:
        if item.value is None:
            return NONE
        inside = item.type if isinstance(item.value, dict) else ""
        node, limit = Node(item.value, item.type, inside), Node(bound, item.type, inside)
        try:
            found = order(node, limit)
        except (Wrong, TypeError, ValueError):
            return NONE
        return issues if found == sign else NONE

    return check


def _short(longest: int, told: Issue) -> ItemCheck:
    issues = [told]

    def check(item: Item, scope: Scope) -> Issues:
        return issues if isinstance(item.value, str) and len(item.value) > longest else NONE

    return check
