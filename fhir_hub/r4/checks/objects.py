"""The check of a JSON object: the hot loop of validation, and its careful twin.

An object is a `Shape`: which names it may have and the check of each, what it must have, and its
rules. A name's check is made when the name is first met, so a type costs what is used of it.
Objects with `_name` keys (extensions of primitives) are rare and take the careful way, where
values and their extensions are looked at in pairs.

Spec: https://hl7.org/fhir/R4/json.html
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fhir_hub.errors import Issue
from fhir_hub.r4.checks.issues import LIMIT, NONE, Check, Issues, Scope, within, wrong_kind

Rule = Callable[[dict[str, Any], Scope], Issues]


class Shortcut(NamedTuple):
    """A rule that does what some invariants of R4 say in FHIRPath; `keys` are theirs."""

    keys: tuple[str, ...]
    check: Rule


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
    `choices` is JSON name → step of the choice element that it is a form of.
    """

    label: str
    field: Callable[[str], Field | None]
    advice: Callable[[str], str]
    needed: tuple[Needed, ...]
    choices: Mapping[str, str]
    rules: tuple[Rule, ...]
    extension: Check


class _Fields(dict[str, Check]):
    """JSON name → check of its value, filled as names are met (known names only)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._shape = shape

    def __missing__(self, name: str) -> Check:
        field = self._shape.field(name.removeprefix("_"))
        if field is None or (name.startswith("_") and not field.is_primitive):
            return _unknown(self._shape, name)
        if name.startswith("_"):
            check: Check = _pair
        else:
            check = _stepped(list_of(field.item) if field.is_list else field.item, field.step)
        self[name] = check
        return check


def object_of(shape: Shape) -> Check:
    """Return the check of an object that is as `shape` says."""
    fields = _Fields(shape)
    needed = tuple((each.names[0], each) for each in shape.needed)
    choices, rules = shape.choices, shape.rules

    def check(value: Any, scope: Scope) -> Issues:
        if type(value) is not dict:
            return wrong_kind("an object", value)
        found: list[Issue] | None = None
        right = scope.right if value is scope.root else ()
        for name, item in value.items():
            if name in right:
                continue
            field = fields[name]
            if field is _pair:
                return _carefully(shape, fields, value, scope)
            issues = field(item, scope)
            if issues:
                found = [*found, *issues] if found else [*issues]
                if len(found) >= LIMIT:
                    return found
        for name, each in needed:
            if name not in value and not any(other in value for other in each.names):
                found = [*(found or ()), _missing(shape, each)]
        if choices:
            found = _one_each(choices, value, found)
        if found:
            return found
        if not value:
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


def _stepped(check: Check, step: str) -> Check:
    def stepped(value: Any, scope: Scope) -> Issues:
        issues = check(value, scope)
        return within(step, issues) if issues else NONE

    return stepped


def _unknown(shape: Shape, name: str) -> Check:
    def check(value: Any, scope: Scope) -> Issues:
        if not _is_name(name):
            return [Issue("structure", f"leave out what is no element name in {shape.label}")]
        step = "." + name.removeprefix("_")
        return [Issue("structure", shape.advice(name), step)]

    return check


def _pair(value: Any, scope: Scope) -> Issues:
    """Stand for `_name`: the loop sees it and takes the careful way, which never calls it."""
    raise AssertionError("a pair is checked by its object")  # pragma: no cover


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
            found += fields[name](item, scope)
        elif name == plain or plain not in value:
            found += within(field.step, _paired(field, shape.extension, value, plain, scope))
        if len(found) >= LIMIT:
            return found
    found += [
        _missing(shape, each)
        for each in shape.needed
        if not any(name in value for name in each.names)
    ]
    found = _one_each(shape.choices, value, found) or []
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
