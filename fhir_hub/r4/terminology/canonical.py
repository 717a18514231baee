"""Canonical addresses and business versions: `url|1.2.0`, `url|1.x`, and which version is newest.

A version is any text to FHIR. Those that look like numbers are compared as numbers, so that
1.10 comes after 1.9; a date is such a text too. `x` and `*` stand for any part.

Spec: https://hl7.org/fhir/R4/references.html#canonical
"""

import re
from typing import NamedTuple

Order = tuple[tuple[int, int, str], ...]

_PARTS = re.compile(r"[.\-+]")
_ANY = ("x", "X", "*")


class Canonical(NamedTuple):
    """A canonical in two parts; `version` is empty where none is named."""

    url: str
    version: str = ""

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"{self.url}|{self.version}" if self.version else self.url


def read_canonical(text: str) -> Canonical:
    """Return the parts of a canonical; a fragment stays with the address.

    >>> read_canonical("http://a.example/vs|1.0")
    Canonical(url='http://a.example/vs', version='1.0')
    """
    url, _, version = text.partition("|")
    return Canonical(url, version)


def is_pattern(version: str) -> bool:
    """Say whether a version stands for several, as `1.x` does."""
    return any(part in _ANY for part in version.split("."))


def matches(pattern: str, version: str) -> bool:
    """Say whether `version` is the one, or one of those, that `pattern` names.

    >>> matches("1.x", "1.2.0"), matches("1.0.x", "1.2.0"), matches("1", "1.2.0")
    (True, False, False)
    """
    if pattern == version:
        return True
    if not is_pattern(pattern):
        return False
    wanted, given = pattern.split("."), version.split(".")
    if len(given) < len(wanted) or (len(given) > len(wanted) and wanted[-1] not in _ANY):
        return False
    return all(part in _ANY or part == one for part, one in zip(wanted, given, strict=False))


def order(version: str) -> Order:
    """Return a key that sorts versions from the oldest to the newest.

    >>> sorted(["1.10", "1.9", "", "2018-08-12", "1.9-rc"], key=order)
    ['', '1.9', '1.9-rc', '1.10', '2018-08-12']
    """
    return tuple(
        (1, int(part), "") if part.isdecimal() and part.isascii() else (0, 0, part)
        for part in _PARTS.split(version)
        if part
    )
