"""A profile's own invariants: FHIRPath, with the words of whoever wrote the profile.

Spec: https://hl7.org/fhir/R4/elementdefinition.html#ElementDefinition.constraint
"""

import re
from dataclasses import replace
from typing import Any

from fhir_hub.errors import Issue
from fhir_hub.r4.checks.issues import NONE, Issues, Scope
from fhir_hub.r4.checks.messages import issue
from fhir_hub.r4.checks.profiles.items import Item, ItemCheck
from fhir_hub.r4.expressions.evaluate import CannotCompile, Expressions, Wrong
from fhir_hub.r4.snapshots import CANONICAL, Part

_BEST_PRACTICE = CANONICAL + "elementdefinition-bestpractice"
_HAN = re.compile("[\u4e00-\u9fff]")
_BROKEN = (Wrong, AttributeError, TypeError, KeyError, ValueError)


def constraint_checks(part: Part, profile: str, expressions: Expressions) -> list[ItemCheck]:
    """Return the checks of the constraints that profiles lay on the element of a part."""
    declared = {each.key for each in part.element.invariants} if part.element else set()
    rows = {str(row.get("key")): row for row in part.constraints if not _is_of_r4(row)}
    return [
        _check(part, key, row, profile, expressions)
        for key, row in rows.items()
        if key not in declared and isinstance(row.get("expression"), str)
    ]


def _is_of_r4(row: dict[str, Any]) -> bool:
    """Return whether a snapshot repeats an invariant of R4, which is checked already."""
    source = row.get("source", "")
    return isinstance(source, str) and source.removeprefix(CANONICAL).isalpha()


def _check(
    part: Part, key: str, row: dict[str, Any], profile: str, expressions: Expressions
) -> ItemCheck:
    severity = "warning" if row.get("severity") == "warning" else "error"
    if any(each.get("url") == _BEST_PRACTICE for each in row.get("extension", [])):
        severity = "information"
    human = str(row.get("human") or row["expression"]).rstrip(".")
    broken = [_told(key, severity, human)]
    unsure = [issue("processing", "constraint-open", "", "information", rule=key, profile=profile)]
    try:
        compiled = expressions.compile(row["expression"])
    except CannotCompile:
        return lambda item, scope: unsure
    tree, where = expressions.tree, part.where

    def check(item: Item, scope: Scope) -> Issues:
        node = tree.node(item.value, item.type, where, item.more)
        try:
            resource, root = tree.root(scope.resource), tree.root(scope.root)
            return NONE if expressions.holds(compiled, node, resource, root) else broken
        except _BROKEN:
            return unsure

    return check


def _told(key: str, severity: str, human: str) -> Issue:
    """Return the issue of a broken rule; `human` may be in two languages: English / Chinese."""
    english, _, chinese = human.rpartition(" / ")
    if not _HAN.match(chinese):
        return issue("invariant", "constraint", "", severity, rule=key, human=human)
    told = issue("invariant", "constraint", "", severity, rule=key, human=english)
    return replace(told, chinese=f"{chinese} ({key})")
