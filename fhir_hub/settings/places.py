"""What is wrong with settings, told with the file and row where it stands.

Spec: https://toml.io/en/v1.0.0
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fhir_hub.nearest import did_you_mean
from fhir_hub.settings.reasons import in_both, reason

PREFIX = "FHIR_HUB_"  # of the variables of the environment
_PATH = re.compile(r"[a-z_]+(?:\..+)?")


class InvalidSettings(ValueError):
    """The settings cannot be used; the text says which, where it was set and what is right."""


def located(config: Path | None, problems: str) -> str:
    """Return what is wrong with settings, each line with the file and the row of the key."""
    lines = []
    for line in problems.splitlines():
        path, colon, why = line.partition(": ")
        is_path = colon and _PATH.fullmatch(path)
        lines.append(f"{place(config, path)}: {why}" if is_path else f"{config}: {line}")
    return "\n".join(lines)


def place(config: Path | None, path: str) -> str:
    """Return the file, the row of the key or of its table, and the path of the key."""
    row = _row(config, path.split(".")) if config else 0
    return f"{config} line {row}: {path}" if row else f"{config}: {path}"


def told(
    errors: Iterable[Mapping[str, Any]],
    given: Mapping[str, Any],
    variables: Mapping[str, str],
    config: Path | None,
    keys_at: Callable[[Sequence[Any]], Iterable[str]],
) -> Iterator[str]:
    """Yield what is wrong, each with where it was set: an option, a variable, or the file.

    `keys_at` says which keys the table has that a path ends in.
    """
    for one in errors:
        name, path = str(one["loc"][0]), ".".join(map(str, one["loc"])).removesuffix(".[key]")
        if name in given:
            where = "--" + name.replace("_", "-")
        elif name in variables:
            where = PREFIX + name.upper()
        else:
            where = place(config, path)
        why = reason(one)
        if one["type"] == "extra_forbidden":
            why = _no_such_key(str(one["loc"][-1]), keys_at(one["loc"]))
        elif one["loc"][-1] == "[key]":  # of a table whose keys are names of FHIR
            known = re.findall(r"'(\w+)'", str(one["ctx"]["expected"]))
            why = _no_such_key(str(one["loc"][-2]), known)
        yield f"{where}: {why}"


def _no_such_key(key: str, known: Iterable[str]) -> str:
    return in_both(f"there is no such key{nearest(key, known)}", "没有这个键")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint: the nearest of the names that are known, else where they are told."""
    return did_you_mean(name, known, "see docs/settings.md", most=2)


def _row(config: Path, path: list[str]) -> int:
    """Return the row of the key, else of the table that it should stand in, 0 if there is none."""
    row, table = 0, list[str]()
    for number, line in enumerate(config.read_text("utf-8-sig").split("\n"), start=1):
        text = line.lstrip()
        if text.startswith("["):
            table = [one.strip(" \t\"'") for one in text.strip("[ \t").partition("]")[0].split(".")]
            if table == path[: len(table)] or (table[: len(path)] == path and not row):
                row = number
        elif table == path[: len(table)] != path:
            key = re.escape(path[len(table)])
            if re.match(rf"[\"']?{key}[\"']?\s*[=.]", text):
                return number
    return row
