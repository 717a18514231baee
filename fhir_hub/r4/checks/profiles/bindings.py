"""Bindings: whether a code is in the value set that an element is bound to.

A required binding must be kept; one that is extensible or preferred is advice. What the terminology
does not know is no fault of the resource.

Spec: https://hl7.org/fhir/R4/terminologies.html#strength
"""

from collections.abc import Mapping
from typing import Any

from fhir_hub.r4.checks.issues import NONE, Issues, Scope
from fhir_hub.r4.checks.messages import issue
from fhir_hub.r4.checks.profiles.items import Item, ItemCheck
from fhir_hub.r4.definitions import Definitions
from fhir_hub.r4.terminology.membership import Membership

_SEVERITIES = {"required": "error", "extensible": "warning", "preferred": "warning"}


class ListedCodes:
    """A `Membership` of the value sets that R4 lists for its own required bindings."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions

    def contains(self, value_set: str, system: str, code: str, *, version: str = "") -> bool | None:
        """Return whether the code is in the value set, None if the value set is not listed."""
        listed = self._definitions.codes(value_set.partition("|")[0])
        if listed is None:
            return None
        if not system:
            return any(code in codes for codes in listed.values())
        return code in listed.get(system, ())


def binding_check(binding: Mapping[str, Any], membership: Membership) -> ItemCheck | None:
    """Return the check of a binding as an ElementDefinition has it; None if it asks nothing."""
    strength, value_set = binding.get("strength"), binding.get("valueSet")
    severity = _SEVERITIES.get(str(strength))
    if severity is None or not isinstance(value_set, str):
        return None
    shown = value_set.partition("|")[0]
    told = issue("code-invalid", f"binding-{strength}", "", severity, value_set=shown)
    issues = [told]

    def check(item: Item, scope: Scope) -> Issues:
        codings = _codings(item)
        answers = [
            membership.contains(value_set, system, code, version=version)
            for system, code, version in codings
        ]
        if not answers:
            is_bare = item.type == "CodeableConcept" and _has_text(item.value)
            return issues if is_bare and severity == "error" else NONE
        return issues if all(answer is False for answer in answers) else NONE

    return check


def _codings(item: Item) -> list[tuple[str, str, str]]:
    """Return system, code and version of what can be in a value set."""
    value = item.value
    if isinstance(value, str):
        return [("", value, "")] if item.type in ("code", "string", "uri") else []
    if not isinstance(value, dict):
        return []
    coded = value.get("coding") if item.type == "CodeableConcept" else [value]
    found = []
    for each in coded if isinstance(coded, list) else ():
        if isinstance(each, dict) and isinstance(each.get("code"), str):
            system, version = each.get("system", ""), each.get("version", "")
            if isinstance(system, str) and isinstance(version, str):
                # a Coding without a system is in no value set
                found.append((system or "urn:none", each["code"], version))
    return found


def _has_text(value: Any) -> bool:
    return isinstance(value, dict) and ("text" in value or "coding" in value)
