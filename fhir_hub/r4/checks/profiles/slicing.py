"""Slices: which values of an element belong to which kind, and whether the kinds are kept.

A value belongs to the first slice whose discriminators it meets. What a discriminator asks for is
read from the slice itself, the way that the check of the slice reads it: a value at the path that
meets fixed values, patterns, bindings and what is below them.

Spec: https://hl7.org/fhir/R4/profiling.html#slicing
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from fhir_hub.errors import Issue
from fhir_hub.r4.checks.issues import Scope, within
from fhir_hub.r4.checks.messages import issue
from fhir_hub.r4.checks.profiles.discriminators import Matcher, matcher
from fhir_hub.r4.checks.profiles.items import Item, ItemCheck
from fhir_hub.r4.checks.profiles.tree import Tools, item_check
from fhir_hub.r4.snapshots import Part

_DEFAULT = "@default"
SliceCheck = Callable[[list[Item], Scope], list[Issue]]


class _Slice(NamedTuple):
    part: Part
    meets: Matcher
    each: ItemCheck | None
    inner: SliceCheck | None


def slicing_check(part: Part, profile: str, tools: Tools) -> SliceCheck | None:
    """Return the check of the slices of an element; None if it has none."""
    slicing = _slicing(part)
    if not part.slices and slicing.get("rules") != "closed":
        return None
    slices = [
        _Slice(
            each,
            matcher(each, slicing, profile, tools),
            item_check(each, profile, tools),
            slicing_check(each, profile, tools),
        )
        for name, each in part.slices.items()
        if name != _DEFAULT
    ]
    default = part.slices.get(_DEFAULT)
    other = item_check(default, profile, tools) if default else None
    rest = _Rest(part, slicing, profile)

    def check(items: list[Item], scope: Scope) -> list[Issue]:
        found: list[Issue] = []
        groups: list[list[Item]] = [[] for _ in slices]
        numbers: list[int] = []
        for item in items:
            at = next((at for at, each in enumerate(slices) if each.meets(item, scope)), -1)
            numbers.append(at)
            if at >= 0:
                groups[at].append(item)
            elif other:
                found += within(item.step, other(item, scope))
        for each, group in zip(slices, groups, strict=True):
            found += _of_slice(each, group, scope, profile)
        return found + rest.issues(items, numbers, is_default=default is not None)

    return check


def _of_slice(each: _Slice, group: list[Item], scope: Scope, profile: str) -> list[Issue]:
    part = each.part
    step = "." + part.name.removesuffix("[x]")
    told = {"element": step[1:], "slice": part.slice_name, "profile": profile}
    found: list[Issue] = []
    if len(group) < part.min:
        found.append(issue("required", "slice-min", step, least=part.min, **told))
    if part.max.isdecimal() and len(group) > int(part.max):
        found.append(issue("structure", "slice-max", step, most=part.max, **told))
    for item in group if each.each else ():
        if each.each and (issues := each.each(item, scope)):
            found += within(item.step, issues)
    if each.inner:
        found += each.inner(group, scope)
    return found


class _Rest:
    """What the rules of a slicing say of order, and of values of no slice."""

    def __init__(self, part: Part, slicing: dict[str, Any], profile: str) -> None:
        self._rules, self._is_ordered = slicing.get("rules", "open"), slicing.get("ordered", False)
        self._step = "." + part.name.removesuffix("[x]")
        self._told = {
            "element": self._step[1:],
            "slices": ", ".join(part.slices) or "-",
            "profile": profile,
        }

    def issues(self, items: list[Item], numbers: list[int], *, is_default: bool) -> list[Issue]:
        """Return the issues of values, of each of which `numbers` has the slice, -1 for none."""
        found: list[Issue] = []
        if self._rules == "closed" and not is_default:
            for item, at in zip(items, numbers, strict=True):
                if at < 0:
                    found.append(issue("structure", "slice-closed", item.step, **self._told))
        last = max((place for place, at in enumerate(numbers) if at >= 0), default=-1)
        if self._rules == "openAtEnd" and -1 in numbers[:last]:
            found.append(issue("structure", "slice-end", self._step, **self._told))
        known = [at for at in numbers if at >= 0]
        if self._is_ordered and known != sorted(known):
            found.append(issue("structure", "slice-order", self._step, **self._told))
        return found


def _slicing(part: Part) -> dict[str, Any]:
    """Return how an element is sliced; extensions and choices are so without being said."""
    slicing: dict[str, Any] = dict(part.facts.get("slicing") or {})
    if not slicing.get("discriminator"):
        if part.name in ("extension", "modifierExtension"):
            slicing["discriminator"] = [{"type": "value", "path": "url"}]
        elif part.is_choice:
            slicing["discriminator"] = [{"type": "type", "path": "$this"}]
    return slicing
