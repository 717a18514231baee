"""What a check is: a function of one JSON value that answers the issues in it, or nothing.

A check does not know where it stands. It answers expressions relative to its value, and whoever
called it puts its own step in front. So a valid resource, which is nearly every one, costs no path
at all.

Spec: https://hl7.org/fhir/R4/operationoutcome.html
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from fhir_hub.errors import Issue

LIMIT = 100

Issues = Sequence[Issue]
NONE: Issues = ()


class Unknown(NamedTuple):
    """The names of a resource's elements, and of those in its `meta`, that may not be right.

    All others are known to be right, so that they are passed over.
    """

    names: Collection[str]
    in_meta: Collection[str] = ()


class Scope(NamedTuple):
    """Where a value is checked: in `resource`, which is `root` or contained in it.

    `contained` is id → type of what the root contains; `unknown` is what to look at of the root and
    of its `meta`, None for all.
    """

    contained: Mapping[str, str]
    resource: dict[str, Any]
    root: dict[str, Any]
    unknown: Unknown | None = None
    meta: Any = None


NO_SCOPE = Scope({}, {}, {})
# `Scope` of all its values, without a call of Python's own
scope_of: Callable[
    [tuple[Mapping[str, str], dict[str, Any], dict[str, Any], Unknown | None, Any]], Scope
] = partial(tuple.__new__, Scope)

Check = Callable[[Any, Scope], Issues]


def within(step: str, issues: Issues) -> list[Issue]:
    """Return `issues` with `step` (`.name`, `[0]`) in front of their expressions."""
    return [
        Issue(issue.code, issue.diagnostics, step + issue.expression, issue.severity, issue.chinese)
        for issue in issues
    ]


def kind_of(value: Any) -> str:
    """Return what JSON calls `value`, for a message that must not show the value.

    >>> kind_of([1])
    'an array'
    """
    for kinds, name in _KINDS:
        if isinstance(value, kinds):
            return name
    return "a number"


_KINDS: tuple[tuple[type, str], ...] = (
    (dict, "an object"),
    (list, "an array"),
    (str, "a string"),
    (bool, "true or false"),
    (type(None), "null"),
)


def wrong_kind(expected: str, value: Any) -> list[Issue]:
    """Return the issue that `value` is not `expected` (`a string`)."""
    return [Issue("structure", f"give {expected} here, not {kind_of(value)}")]
