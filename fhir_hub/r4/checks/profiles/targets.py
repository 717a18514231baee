"""References in a profile: the types and profiles of targets, and how they may be given.

Whether a target keeps a profile is told of what is at hand: contained resources. Of others the
reference tells the type.

Spec: https://hl7.org/fhir/R4/elementdefinition.html#ElementDefinition.type.targetProfile
"""

from collections.abc import Callable
from typing import Any

from fhir_hub.r4.checks.issues import NONE, Check, Issues, Scope
from fhir_hub.r4.checks.messages import issue
from fhir_hub.r4.checks.profiles.items import Item, ItemCheck
from fhir_hub.r4.checks.references import named_type
from fhir_hub.r4.snapshots import CANONICAL

Json = dict[str, Any]


def target_checks(
    row: Json, profile: str, type_of: Callable[[str], str], check_of: Callable[[str], Check | None]
) -> list[ItemCheck]:
    """Return the checks of a Reference or canonical by a `type` of an ElementDefinition."""
    found: list[ItemCheck] = []
    wanted = [each for each in row.get("targetProfile", []) if isinstance(each, str)]
    types = {type_of(each) for each in wanted}
    if wanted and "" not in types and "Resource" not in types and row["code"] == "Reference":
        found.append(_typed(frozenset(types), profile))
        named = [each for each in wanted if each.removeprefix(CANONICAL) not in types]
        if len(named) == len(wanted):
            found.append(_keeping(wanted, check_of))
    modes = set(row.get("aggregation", []))
    if modes and row["code"] == "Reference":
        found.append(_aggregated(modes, profile))
    return found


def _typed(types: frozenset[str], profile: str) -> ItemCheck:
    text = ", ".join(sorted(types))
    issues = [issue("value", "target-type", ".reference", types=text, profile=profile)]

    def check(item: Item, scope: Scope) -> Issues:
        value = item.value if isinstance(item.value, dict) else {}
        text, stated = value.get("reference"), value.get("type")
        if not isinstance(text, str):
            is_other = isinstance(stated, str) and ":" not in stated and stated not in types
            return issues if is_other else NONE
        if text.startswith("#"):
            found: str | None = scope.contained.get(text[1:], "") if text != "#" else ""
        else:
            found = named_type(text)
        if not found and isinstance(stated, str):
            found = stated
        return issues if found and found[:1].isupper() and found not in types else NONE

    return check


def _keeping(wanted: list[str], check_of: Callable[[str], Check | None]) -> ItemCheck:
    names = ", ".join(wanted)
    issues = [issue("value", "target-profile", ".reference", profiles=names)]

    def check(item: Item, scope: Scope) -> Issues:
        text = item.value.get("reference") if isinstance(item.value, dict) else None
        if not isinstance(text, str) or not text.startswith("#") or len(text) < 2:
            return NONE
        contained = scope.root.get("contained")
        for each in contained if isinstance(contained, list) else ():
            if isinstance(each, dict) and each.get("id") == text[1:]:
                return NONE if _keeps_one(each, scope) else issues
        return NONE

    def _keeps_one(resource: Json, scope: Scope) -> bool:
        inside = scope._replace(resource=resource)
        for each in wanted:
            keeps = check_of(each)
            if keeps is None:
                return True  # a profile that nobody knows is no fault of the resource
            if not any(i.severity == "error" for i in keeps(resource, inside)):
                return True
        return False

    return check


def _aggregated(modes: set[str], profile: str) -> ItemCheck:
    only = "contained" if modes == {"contained"} else "" if "contained" in modes else "referenced"
    issues = [issue("value", f"aggregation-{only or 'contained'}", ".reference", profile=profile)]

    def check(item: Item, scope: Scope) -> Issues:
        text = item.value.get("reference") if isinstance(item.value, dict) else None
        if not isinstance(text, str) or not only:
            return NONE
        return NONE if text.startswith("#") == (only == "contained") else issues

    return check
