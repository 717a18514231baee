"""From the tree of a snapshot to a tree of checks: what a profile changes, and nothing else.

The structure of R4 is checked by whoever checks R4; here every element that a profile has not
touched costs nothing. A check is tolerant of a shape that is wrong: that is told elsewhere.

Spec: https://hl7.org/fhir/R4/profiling.html
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from fhir_hub.errors import Issue
from fhir_hub.r4.checks.issues import NONE, Check, Issues, Scope, within
from fhir_hub.r4.checks.messages import issue
from fhir_hub.r4.checks.profiles.bindings import binding_check
from fhir_hub.r4.checks.profiles.items import Item, ItemCheck, ObjectCheck, forms, items_of
from fhir_hub.r4.checks.profiles.rules import constraint_checks
from fhir_hub.r4.checks.profiles.targets import target_checks
from fhir_hub.r4.checks.profiles.values import value_checks
from fhir_hub.r4.expressions.evaluate import Expressions
from fhir_hub.r4.snapshots import CANONICAL, Part, Snapshots
from fhir_hub.r4.terminology.membership import Membership

Slice = Callable[[list[Item], Scope], list[Issue]]


class Tools(NamedTuple):
    """What checks are made with.

    `check_of` is the check of a canonical, None if it is not known; `slicing_check` that of the
    slices of a part, None if it has none.
    """

    snapshots: Snapshots
    expressions: Expressions
    membership: Membership
    check_of: Callable[[str], Check | None]
    slicing_check: "Callable[[Part, str, Tools], Slice | None]"


def object_check(part: Part, profile: str, tools: Tools) -> ObjectCheck | None:
    """Return the check of the elements in an object; None if the profile asks for nothing there."""
    found = [
        check
        for child in part.children.values()
        if (check := _field(part, child, profile, tools)) is not None
    ]
    if not found:
        return None

    def check_all(node: dict[str, Any], scope: Scope) -> Issues:
        issues: list[Issue] = []
        for check in found:
            issues += check(node, scope)
        return issues

    return check_all


def item_check(part: Part, profile: str, tools: Tools) -> ItemCheck | None:
    """Return the check of one value of the element of a part; None if nothing is asked."""
    checks = [
        *_type_checks(part, profile, tools),
        *value_checks(part, profile),
        *constraint_checks(part, profile, tools.expressions),
    ]
    if binding := part.facts.get("binding"):
        check = binding_check(binding, tools.membership)
        checks += [check] if check else []
    inside = object_check(part, profile, tools)
    if inside is not None:
        checks.append(_inside(inside))
    if not checks:
        return None
    if len(checks) == 1:
        return checks[0]

    def check_all(item: Item, scope: Scope) -> Issues:
        issues: list[Issue] = []
        for check in checks:
            issues += check(item, scope)
        return issues

    return check_all


def _inside(check: ObjectCheck) -> ItemCheck:
    def check_inside(item: Item, scope: Scope) -> Issues:
        # what is in a primitive stands beside it
        node = item.value if type(item.value) is dict else item.more
        if type(node) is not dict:
            node = {} if item.value is not None else None
        return check(node, scope) if node is not None else NONE

    return check_inside


def _field(parent: Part, part: Part, profile: str, tools: Tools) -> ObjectCheck | None:
    """Return the check of all values of an element in an object; None if nothing is asked."""
    names, label = forms(part), part.name.removesuffix("[x]")
    step = "." + label
    each = item_check(part, profile, tools)
    slices = tools.slicing_check(part, profile, tools)
    counts = _counts(part, profile, label)
    if each is None and slices is None and counts is None:
        return None

    def check(node: dict[str, Any], scope: Scope) -> Issues:
        items = items_of(node, names, step)
        issues: list[Issue] = []
        if counts:
            issues += counts(len(items), step)
        if each:
            for item in items:
                if found := each(item, scope):
                    issues += within(item.step, found)
        if slices:
            issues += slices(items, scope)
        return issues

    return check


def _counts(part: Part, profile: str, label: str) -> Callable[[int, str], list[Issue]] | None:
    """Return the check of how many values there are, where the profile asks for more than R4."""
    element = part.element
    least = part.min if element is None or part.min > element.min else 0
    is_narrower = element is None or part.max != element.max
    most = int(part.max) if is_narrower and part.max.isdecimal() else None
    if not least and most is None:
        return None
    too_few = issue("required", "min", element=label, least=least, profile=profile)
    too_many = issue("structure", "max", element=label, most=most, profile=profile)
    if most == 0:
        too_many = issue("structure", "absent", element=label, profile=profile)

    def check(count: int, step: str) -> list[Issue]:
        if count < least:
            return within(step, [too_few])
        return within(step, [too_many]) if most is not None and count > most else []

    return check


def _type_checks(part: Part, profile: str, tools: Tools) -> list[ItemCheck]:
    element = part.element
    if element is None or not element.types:
        return []
    found: list[ItemCheck] = []
    allowed = [row["code"] for row in part.types]
    if part.is_choice and not part.slice_name and len(allowed) < len(element.types):
        text = ", ".join(allowed)
        label = part.name.removesuffix("[x]")
        told = issue("structure", "type", types=text, profile=profile, element=label)
        found.append(_of_types(frozenset(allowed), told))
    before = {each.code: each for each in element.types}
    for row in part.types:
        old = before.get(row["code"])
        profiles = [each.removeprefix(CANONICAL) for each in row.get("profile", [])]
        if old is None or profiles != list(old.profiles):
            found += _profiled(row, tools)
        targets = [each.removeprefix(CANONICAL) for each in row.get("targetProfile", [])]
        if old is None or targets != list(old.targets) or "aggregation" in row:
            checks = target_checks(row, profile, tools.snapshots.type_of, tools.check_of)
            found += [_for_type(row["code"], check) for check in checks]
    return found


def _of_types(allowed: frozenset[str], told: Issue) -> ItemCheck:
    issues = [told]
    return lambda item, scope: NONE if item.type in allowed else issues


def _for_type(code: str, check: ItemCheck) -> ItemCheck:
    return lambda item, scope: check(item, scope) if item.type == code else NONE


def _profiled(row: dict[str, Any], tools: Tools) -> list[ItemCheck]:
    """Return the check that values of a type keep one of the profiles that it names."""
    wanted = [each for each in row.get("profile", []) if isinstance(each, str)]
    if not wanted:
        return []
    code, of_any = row["code"], issue("structure", "profile-any", profiles=", ".join(wanted))

    def check(item: Item, scope: Scope) -> Issues:
        if type(item.value) is not dict or (item.type != code and code not in _ANY):
            return NONE
        first: Issues | None = None
        for each in wanted:
            keeps = tools.check_of(each)
            issues = keeps(item.value, scope) if keeps else NONE
            if not any(found.severity == "error" for found in issues):
                return issues
            first = issues if first is None else first
        return first if first is not None and len(wanted) == 1 else [of_any]

    return [check]


_ANY = ("Resource", "DomainResource")
