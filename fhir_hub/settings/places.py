"""What is wrong with settings, told with the file and row where it stands.

Spec: https://toml.io/en/v1.0.0
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

PREFIX = "FHIR_HUB_"  # of the variables of the environment


class InvalidSettings(ValueError):
    """The settings cannot be used; the text says which, where it was set and what is right."""


def located(config: Path | None, problems: str) -> str:
    """Return what is wrong with settings, each line with the file and, of a channel, the row."""
    lines = []
    for line in problems.splitlines():
        path, colon, why = line.partition(": ")
        is_channel = path.startswith("channels.") and colon
        lines.append(f"{place(config, path)}: {why}" if is_channel else f"{config}: {line}")
    return "\n".join(lines)


def place(config: Path | None, path: str) -> str:
    """Return the file, the row if it is in the table of a channel, and the path of a key."""
    row = _row(config, path.split(".")) if config and path.startswith("channels.") else 0
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
        name, path = str(one["loc"][0]), ".".join(map(str, one["loc"]))
        if name in given:
            where = "--" + name.replace("_", "-")
        elif name in variables:
            where = PREFIX + name.upper()
        else:
            where = place(config, path)
        reason = one["msg"].removeprefix("Value error, ")
        if one["type"] == "extra_forbidden":
            reason = f"there is no such key{nearest(str(one['loc'][-1]), keys_at(one['loc']))}"
        yield f"{where}: {reason[0].lower()}{reason[1:]} / 配置值无效"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint: the nearest of the names that are known, else where they are told."""
    found = difflib.get_close_matches(name, list(known), n=2)
    return f"; did you mean {' or '.join(found)}?" if found else "; see docs/settings.md"


def _row(config: Path, path: list[str]) -> int:
    """Return the row of the key, else of the table that it should stand in, 0 if there is none."""
    row, is_within = 0, False
    table = re.compile(
        r"\[\s*" + r"\s*\.\s*".join(rf"[\"']?{re.escape(p)}[\"']?" for p in path[:2])
    )
    key = re.compile(rf"[\"']?{re.escape(path[2])}[\"']?\s*[=.]") if len(path) > 2 else None
    for number, line in enumerate(config.read_text("utf-8").splitlines(), start=1):
        text = line.lstrip()
        if text.startswith("["):
            is_within = table.match(text) is not None
            row = row or number * is_within
        elif is_within and key is not None and key.match(text):
            return number
    return row
