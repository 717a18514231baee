"""References: the type that one names must be a type that its element may refer to.

Whether the target exists is asked where it is written. Here it counts what the text tells:
`Type/id`, `Type?criteria` (before a transaction resolves it), an absolute address that ends so,
and `#id` of a contained resource.

Spec: https://hl7.org/fhir/R4/references.html
"""

import re
from collections.abc import Mapping
from typing import Any

from fhir_hub.errors import Issue
from fhir_hub.r4.checks.issues import NONE, Check, Issues, Scope
from fhir_hub.r4.references import ID

_is_absolute = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:").match
_is_relative = re.compile(
    rf"([A-Za-z]{{1,64}})(?:/{ID}(?:/_history/{ID})?|\?.+)", re.DOTALL
).fullmatch
_is_plain = re.compile(rf"([A-Za-z]{{1,64}})/{ID}(?:/_history/{ID})?").fullmatch
# R4's own example of a DeviceMetric has a DeviceDefinition as parent, against its definition
ERRATA: Mapping[str, tuple[str, ...]] = {"DeviceMetric.parent": ("DeviceDefinition",)}


def reference(shape: Check, targets: tuple[str, ...], resource_types: frozenset[str]) -> Check:
    """Return `shape`, the check of a Reference's elements, extended by that of its target."""
    allowed = resource_types
    if targets and "Resource" not in targets:
        allowed = frozenset(targets)

    def check(value: Any, scope: Scope) -> Issues:
        if type(value) is dict and len(value) == 1 and type(value.get("reference")) is str:
            match = _is_plain(value["reference"])
            if match and match[1] in allowed:
                return NONE  # nearly all are so, and nothing in it can be wrong
        found = shape(value, scope)
        if found:
            return found
        text = value.get("reference")
        if text is None:
            return _unnamed(value, allowed)
        match = _is_relative(text)
        if match and match[1] in allowed and "type" not in value:
            return NONE
        return _named(text, value.get("type"), scope)

    def _named(text: str, stated: Any, scope: Scope) -> Issues:
        if text.startswith("#"):
            if text == "#":
                return NONE
            if text[1:] not in scope.contained:
                return _refuse("contain the resource that #id names, or name one that is there")
        resource_type = scope.contained[text[1:]] if text.startswith("#") else named_type(text)
        if resource_type not in resource_types:
            if resource_type is not None and _is_absolute(text):
                return NONE  # an address of something else than a FHIR server
            return _refuse("give Type/id, where Type is a resource type of R4")
        if resource_type not in allowed:
            return _refuse(f"refer to {_list(allowed)}, not to {resource_type}")
        if stated is not None and stated in resource_types and stated != resource_type:
            return _refuse(f"make type and reference agree: {stated} is not {resource_type}")
        return NONE

    return check


def _unnamed(value: Any, allowed: frozenset[str]) -> Issues:
    stated = value.get("type")
    if stated is None or ":" in stated or stated in allowed:
        return NONE
    return [Issue("invalid", f"refer to {_list(allowed)}", ".type")]


def _refuse(advice: str) -> Issues:
    return [Issue("invalid", advice, ".reference")]


def _list(allowed: frozenset[str]) -> str:
    return " or ".join(sorted(allowed)) if len(allowed) < 20 else "a resource type of R4"


def named_type(text: str) -> str | None:
    """Return the resource type that the reference `text` names.

    Empty if an absolute address does not tell; None if a relative one is not Type/id.

    >>> named_type("Patient/1"), named_type("https://a.example/fhir/Patient/1/_history/2")
    ('Patient', 'Patient')
    >>> named_type("urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"), named_type("Patient")
    ('', None)
    """
    if not _is_absolute(text):
        match = _is_relative(text)
        return match[1] if match else None
    if not text.startswith("http"):
        return ""
    steps = text.rsplit("/", 4)
    if steps[-2:-1] == ["_history"]:
        steps = steps[:-2]
    # R4 references.html#literal: an address that ends in Type/id is of a resource of that type
    return steps[-2] if len(steps) > 2 and steps[-2].isalpha() and steps[-1] else ""
