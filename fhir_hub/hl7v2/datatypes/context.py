"""What a datatype's function knows besides the value: the sender, the zone, the code tables.

One `Context` is made a message. A function returns the FHIR value and tells what it found wrong
with `issue`, by a code of its own and a text that holds nothing of the patient.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir/datatype_maps.html
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any, NamedTuple

_NUMBER = re.compile(r"\d+", re.ASCII)
_SHORT = 500  # a longer text is not remembered
CHINA = timezone(timedelta(hours=8))


class Coded(NamedTuple):
    """What a code table says of one source code; `properties` are the row's other keys."""

    code: str
    display: str = ""
    system: str = ""
    properties: Mapping[str, Any] = {}

    def coding(self) -> dict[str, Any]:
        """Return the FHIR Coding."""
        code, display, system, _ = self
        if system and code and display:
            return {"system": system, "code": code, "display": display}
        parts = {"system": system, "code": code, "display": display}
        return {name: part for name, part in parts.items() if part}


@dataclass(frozen=True, slots=True)
class Table:
    """A code table: source codes, written as `table_key` writes them, to what they mean.

    `default` is what any other code means; without it such a code has no meaning here. In an
    open table a bare code that is not listed is a code of `system` all the same, elsewhere one of
    `others` is (by `table_key`); it must look like `shape`, if there is one, and in a table that
    `is_english` have no name in Chinese: that is of a list of the sender's own. `spelled` has the
    source codes as the file writes them, for messages that we write. `standard` are the codes
    that HL7 itself has, where that matters; elsewhere every ASCII code may be one. A closed table
    is of an element to which R4 binds its codes: another is left out. In one that
    `is_numbered` a `#` of a source code is any number. `finer` has of a code those that say it more
    exactly: a name that means it beside one of them overrules nothing (`HH^偏高`).
    """

    name: str
    system: str = ""
    rows: Mapping[str, Coded] = field(default_factory=dict)
    default: Coded | None = None
    is_open: bool = False
    spelled: Mapping[str, str] = field(default_factory=dict)
    standard: frozenset[str] = frozenset()
    is_closed: bool = False
    others: Mapping[str, str] = field(default_factory=dict)
    shape: re.Pattern[str] | None = None
    is_numbered: bool = False
    is_english: bool = False
    finer: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def get(self, code: str) -> Coded | None:
        """Return what `code` means, the default if it is unknown, `None` without one."""
        return self.rows.get(self._key(code) if self.is_numbered else table_key(code), self.default)

    def taken(self, code: str, name: str = "") -> str:
        """Return the code of `system` that a bare one is which is not listed, `""` if none."""
        if not code.isascii() or (self.is_english and not name.isascii()):
            return ""
        if self.shape is not None and not self.shape.fullmatch(code):
            return ""
        return code if self.is_open else self.others.get(table_key(code), "")

    def is_standard(self, code: str) -> bool:
        """Say whether a strict sender may write this code."""
        return table_key(code) in self.standard if self.standard else code.isascii()

    def knows(self, code: str) -> bool:
        """Say whether the table lists `code`."""
        return (self._key(code) if self.is_numbered else table_key(code)) in self.rows

    def _key(self, code: str) -> str:
        key = table_key(code)
        return key if key in self.rows else _NUMBER.sub("#", key)


def table_key(code: str) -> str:
    """Return `code` as tables look it up: full width as half width, upper case, no blanks around.

    >>> table_key(" ｍ")
    'M'
    """
    return (_table_key if len(code) < _SHORT else _table_key.__wrapped__)(code)


@lru_cache(maxsize=4096)
def _table_key(code: str) -> str:
    return unicodedata.normalize("NFKC", code).strip().upper()


def no_issue(code: str, text: str) -> None:
    """Take an issue and forget it."""


def no_task(system: str, code: str, display: str) -> None:
    """Take a code without a standard one and forget it."""


Meaning = tuple[dict[str, Any], ...] | None


def unknown_code(system: str, code: str) -> Meaning:
    """Return None: nobody knows what a local code means."""
    return None


@dataclass(frozen=True, slots=True)
class Context:
    """The message's sender and settings.

    `facility` (MSH-4, with its campus) names what has no assigning authority, `home` is MSH-4
    alone; a time without an offset is in
    `zone`; `issue(code, text)` takes data-quality warnings. With `by_table` each mention of a
    person, institution or place is told as the standard's tables have it: with the institutions
    and places behind it, as resources where a reference belongs. `is_strict`: what has to be put
    right is an issue. `meaning(system, code)` gives the standard codings of a local code,
    `unmapped(system, code, display)` takes one that has none: not as an issue, whose text must
    hold nothing that a sender wrote. `country` is MSH-17 as it stands,
    else what the sender's file says.
    """

    facility: str
    zone: tzinfo = CHINA
    tables: Mapping[str, Table] = field(default_factory=dict)
    issue: Callable[[str, str], None] = no_issue
    by_table: bool = False
    home: str = ""
    is_strict: bool = False
    meaning: Callable[[str, str], Meaning] = unknown_code
    unmapped: Callable[[str, str, str], None] = no_task
    country: str = ""

    def namespace(self, authority: str) -> str:
        """Return who gave a number: the authority, or the campus where it is the sender's own."""
        return self.facility if authority in ("", self.home) else authority

    def normalised(self, code: str, text: str) -> None:
        """Take note of what was put right: of a strict sender it is an issue."""
        if self.is_strict:
            self.issue(code, text)

    def table(self, name: str) -> Table:
        """Return the code table of that name, an empty one if there is none."""
        return self.tables.get(name) or Table(name)
