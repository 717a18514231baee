"""The check of a JSON object: the hot loop of validation, and its careful twin.

An object is a `Shape`: which names it may have and the check of each, what it must have, and its
rules. A name's check is made when the name is first met, so a type costs what is used of it.
Objects with `_name` keys (extensions of primitives) are rare and take the careful way, where
values and their extensions are looked at in pairs.

Spec: https://hl7.org/fhir/R4/json.html
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from fhir_hub.errors import Issue
from fhir_hub.r4.checks.issues import (
    LIMIT,
    NONE,
    Check,
    Issues,
    Scope,
    within,
    wrong_kind,
)

Rule = Callable[[dict[str, Any], Scope], Issues]


class Shortcut(NamedTuple):
    """A rule that does what some invariants of R4 say in FHIRPath; `keys` are theirs."""

    keys: tuple[str, ...]
    check: Rule


_MOST_KEPT = 500
_PAIRED: Issues = (Issue("structure", "a name and its _name are checked as a pair"),)
_SAYS_NOTHING = Issue("invariant", "give more than an id, or leave the element out (ele-1)")
_is_name = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}").fullmatch


class Field(NamedTuple):
    """One JSON name of an object: `item` checks one value, `step` is its FHIRPath."""

    item: Check
    step: str
    is_list: bool
    is_primitive: bool


class Needed(NamedTuple):
    """An element that must be there, under one of `names`."""

    names: tuple[str, ...]
    step: str


class Shape(NamedTuple):
    """What an object may and must have. `label` is for messages: `Patient.contact`.

    `field` makes the field of a name, None if there is none; `advice` says why not.
    `choices` is JSON name → step of the choice element that it is a form of. One that
    `says_more` says more than an id.
    """

    label: str
    field: Callable[[str], Field | None]
    advice: Callable[[str], str]
    needed: tuple[Needed, ...]
    choices: Mapping[str, str]
    rules: tuple[Rule, ...]
    extension: Check
    says_more: bool


class _Fields(dict[str, tuple[Check, str]]):
    """JSON name → check of its value and its step, filled as names are met (known names only)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._shape = shape

    def __missing__(self, name: str) -> tuple[Check, str]:
        field = self._shape.field(name.removeprefix("_"))
        if field is None or (name.startswith("_") and not field.is_primitive):
            return _unknown(self._shape, name), ""
        if name.startswith("_"):
            found: tuple[Check, str] = _pair, ""
        else:
            found = list_of(field.item) if field.is_list else field.item, field.step
        self[name] = found
        return found


def object_of(shape: Shape) -> Check:
    """Return the check of an object that is as `shape` says."""
    fields = _Fields(shape)
    needed = tuple((each.names[0], each) for each in shape.needed)
    choices, rules, says_more = shape.choices, shape.rules, shape.says_more
    complete: set[tuple[str, ...]] = set()  # names that have all that is needed, each once

    def check(value: Any, scope: Scope) -> Issues:
        if type(value) is not dict:
            return wrong_kind("an object", value)
        found: list[Issue] | None = None
        looked: Iterable[tuple[str, Any]] = value.items()
        if (unknown := scope.unknown) is not None:
            if value is scope.root:
                looked = [(name, value[name]) for name in unknown.names]
            elif value is scope.meta:
                looked = [(name, value[name]) for name in unknown.in_meta]
        for name, item in looked:
            each_is_right, step = fields[name]
            issues = each_is_right(item, scope)
            if issues:
                if issues is _PAIRED:
                    return _carefully(shape, fields, value, scope)
                found = [*(found or ()), *within(step, issues)]
                if len(found) >= LIMIT:
                    return found
        if choices:
            names = tuple(value)
            if names not in complete:
                found = _one_each(choices, value, _all_needed(shape, value, found))
                if not found and len(complete) < _MOST_KEPT:
                    complete.add(names)
        else:
            for name, each in needed:
                if name not in value and not any(other in value for other in each.names):
                    found = [*(found or ()), _missing(shape, each)]
        if found:
            return found
        if says_more and len(value) == 1 and "id" in value:
            found = [_SAYS_NOTHING]
        elif not value:
            return [Issue("invalid", "leave the element out: an object must not be empty")]
        for rule in rules:
            issues = rule(value, scope)
            if issues:
                found = [*(found or ()), *issues]
        return found or NONE

    return check


def list_of(item: Check) -> Check:
    """Return the check of an array whose items `item` checks; it must not be empty."""

    def check(value: Any, scope: Scope) -> Issues:
        if type(value) is not list:
            return wrong_kind("an array", value)
        if not value:
            return [Issue("invalid", "leave the element out: an array must not be empty")]
        found: list[Issue] = []
        for place, each in enumerate(value):
            issues = item(each, scope)
            if issues:
                found += within(f"[{place}]", issues)
                if len(found) >= LIMIT:
                    break
        return found

    return check


def _unknown(shape: Shape, name: str) -> Check:
    def check(value: Any, scope: Scope) -> Issues:
        if not _is_name(name):
            return [Issue("structure", f"leave out what is no element name in {shape.label}")]
        step = "." + name.removeprefix("_")
        return [Issue("structure", shape.advice(name), step)]

    return check


def _pair(value: Any, scope: Scope) -> Issues:
    """Stand for `_name`: the loop takes the careful way when it is told so."""
    return _PAIRED


def _all_needed(
    shape: Shape, value: dict[str, Any], found: list[Issue] | None
) -> list[Issue] | None:
    """Return `found` and the issues of what is needed and not there."""
    missing = [
        _missing(shape, each)
        for each in shape.needed
        if not any(name in value for name in each.names)
    ]
    return [*(found or ()), *missing] if missing else found


def _missing(shape: Shape, each: Needed) -> Issue:
    element = each.step.removeprefix(".")
    return Issue("required", f"give {element}: {shape.label} needs it", each.step)


def _one_each(
    choices: Mapping[str, str], value: dict[str, Any], found: list[Issue] | None
) -> list[Issue] | None:
    """Return `found` and the issues of choice elements that stand in more than one form."""
    if len(value.keys() & choices.keys()) < 2:
        return found
    steps: dict[str, str] = {}
    for name in value:
        step = choices.get(name)
        if step is not None and steps.setdefault(step, name.lstrip("_")) != name.lstrip("_"):
            issue = Issue("structure", f"give {step[1:]}[x] in one type only", step)
            found = [*(found or ()), issue]
    return found


def _carefully(shape: Shape, fields: _Fields, value: dict[str, Any], scope: Scope) -> Issues:
    """Return the issues of an object that has a `_name`."""
    found: list[Issue] = []
    for name, item in value.items():
        plain = name.removeprefix("_")
        field = shape.field(plain)
        if field is None or not field.is_primitive or "_" + plain not in value:
            check, step = fields[name]
            found += within(step, check(item, scope))
        elif name == plain or plain not in value:
            found += within(field.step, _paired(field, shape.extension, value, plain, scope))
        if len(found) >= LIMIT:
            return found
    found = _one_each(shape.choices, value, _all_needed(shape, value, found)) or []
    for rule in shape.rules if not found else ():
        found += rule(value, scope)
    return found


def _paired(
    field: Field, extension: Check, value: dict[str, Any], name: str, scope: Scope
) -> Issues:
    """Return the issues of the primitive `name` and its `_name`."""
    extended = value["_" + name]
    if not field.is_list:
        if name in value:
            return [*field.item(value[name], scope), *extension(extended, scope)]
        return _alone(extension, extended, scope)
    plain = value.get(name)
    found: list[Issue] = []
    for items in (extended,) if plain is None and name not in value else (plain, extended):
        if type(items) is not list:
            found += wrong_kind("an array", items)
    if found:
        return found
    if plain is not None and len(plain) != len(extended):
        advice = f"make {name} and _{name} equally long; null stands where one has nothing"
        return [Issue("structure", advice)]
    if not extended:
        return [Issue("invalid", "leave the element out: an array must not be empty")]
    for place, more in enumerate(extended):
        item = plain[place] if plain is not None else None
        found += within(f"[{place}]", _aligned(field, extension, item, more, scope))
        if len(found) >= LIMIT:
            break
    return found


def _aligned(field: Field, extension: Check, item: Any, more: Any, scope: Scope) -> Issues:
    if item is None:
        if more is None:
            return [Issue("invalid", "give a value or an extension: null cannot stand for both")]
        return _alone(extension, more, scope)
    issues = field.item(item, scope)
    return [*issues, *extension(more, scope)] if more is not None else issues


def _alone(extension: Check, extended: Any, scope: Scope) -> Issues:
    """Return the issues of an extension without a value beside it: it must say something."""
    issues = extension(extended, scope)
    if not issues and "extension" not in extended:
        return [Issue("invariant", "give a value or an extension, not only an id (ele-1)")]
    return issues
