"""Compare an answer with the pattern that a terminology test expects.

A pattern is JSON with marks: `$optional$` and `$optional-properties$` say what may be missing,
`$instant$`, `$uuid$` and their like what form a text has, `$external:…$` that the words are the
server's own as long as they name the thing. The order of arrays says nothing.

Spec: the readme of the FHIR terminology test cases
"""

import re
from collections.abc import Mapping
from typing import Any

_FORMS = {
    "$id$": r"[A-Za-z0-9\-.]{1,64}",
    "$uuid$": r"(urn:uuid:)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "$instant$": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
    "$date$": r"\d{4}(-\d\d(-\d\d)?)?.*",
    "$version$": r".*",
    "$semver$": r"\d+\.\d+.*",
    "$url$": r"\w+:.*",
    "$token$": r".+",
    "$string$": r"(?s).*",
    "$$": r"(?s).*",
}


def difference(expected: Any, actual: Any, path: str = "") -> str:
    """Return the first place where `actual` is not as `expected`, and how; empty if it is."""
    if isinstance(expected, dict):
        if not isinstance(actual, dict):
            return f"{path}: expected an object, not {_short(actual)}"
        return _of_objects(expected, actual, path)
    if isinstance(expected, list):
        if not isinstance(actual, list):
            return f"{path}: expected an array, not {_short(actual)}"
        return _of_arrays(expected, actual, path)
    if isinstance(expected, str) and "$version$" in expected:
        form = re.escape(expected).replace(re.escape("$version$"), ".*")
        fits = re.fullmatch(form, str(actual))
        return "" if fits else f"{path}: {_short(actual)} is not {expected}"
    if isinstance(expected, str) and expected.startswith("$") and expected.endswith("$"):
        fits = _fits(expected, str(actual))
        return "" if fits else f"{path}: {_short(actual)} is not {expected}"
    same = expected == actual and isinstance(expected, bool) == isinstance(actual, bool)
    return "" if same else f"{path}: expected {_short(expected)}, not {_short(actual)}"


def is_optional(expected: Any) -> bool:
    """Say whether the item of an array may be missing, for a server of R4 that any may be."""
    mark = expected.get("$optional$", False) if isinstance(expected, dict) else False
    return mark is True or (isinstance(mark, str) and mark != "version:5")


def _of_objects(expected: Mapping[str, Any], actual: Mapping[str, Any], path: str) -> str:
    optional = expected.get("$optional-properties$", [])
    wanted = {name: value for name, value in expected.items() if not name.startswith("$")}
    for name, value in wanted.items():
        if name in actual:
            if found := difference(value, actual[name], f"{path}.{name}"):
                return found
        elif name not in optional and not _all_optional(value):
            return f"{path}.{name}: missing, expected {_short(value)}"
    for name, value in actual.items():
        if name not in wanted and name not in optional:
            return f"{path}.{name}: not expected: {_short(value)}"
    return ""


def _all_optional(value: Any) -> bool:
    if isinstance(value, dict):
        return is_optional(value)
    return isinstance(value, list) and all(is_optional(item) for item in value)


def _of_arrays(expected: list[Any], actual: list[Any], path: str) -> str:
    left = list(actual)
    for item in sorted(expected, key=is_optional):
        found = [difference(item, other, path) for other in left]
        if "" in found:
            del left[found.index("")]
        elif not is_optional(item):
            why = max(found, key=_depth, default="nothing left")
            return f"{path}: no {_short(item)} ({why})" if "(" not in why else why
    return f"{path}: not expected: {_short(left[0])}" if left else ""


def _depth(text: str) -> int:
    """Return how far a comparison came: the likeliest counterpart comes farthest."""
    return text.partition(":")[0].count(".") * 10 - ("name:" in text or "code:" in text)


def _fits(pattern: str, actual: str) -> bool:
    if pattern in _FORMS:
        return re.fullmatch(_FORMS[pattern], actual) is not None
    kind, _, rest = pattern.strip("$").partition(":")
    if kind == "choice":
        return actual in rest.split("|")
    if kind == "fragments":
        return all(part in actual for part in rest.split("|"))
    if kind == "external":
        return all(part in actual for part in rest.partition(":")[2].split(",") if part)
    raise ValueError(f"an unknown pattern: {pattern}")


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 160 else f"{text[:157]}…"
