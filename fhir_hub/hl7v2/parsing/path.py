"""Where something stands in a message: `PID-3`, `OBX-5.1`, `PID-3.4.2`.

A path names a segment, a field, and perhaps a component and subcomponent, all numbered from 1,
as the standard writes them.
"""

import re
from functools import lru_cache
from typing import NamedTuple

_PATH = re.compile(r"([A-Z][A-Z0-9]{2})-([1-9][0-9]{0,2})(?:\.([1-9][0-9]?)(?:\.([1-9][0-9]?))?)?")


class Path(NamedTuple):
    """A place in a segment; `component` and `subcomponent` 0 mean the whole of what is above."""

    segment: str
    field: int
    component: int = 0
    subcomponent: int = 0

    def __str__(self) -> str:
        """Return the path as the standard writes it."""
        tail = f".{self.component}" if self.component else ""
        tail += f".{self.subcomponent}" if self.subcomponent else ""
        return f"{self.segment}-{self.field}{tail}"


@lru_cache(maxsize=2048)  # the maps name the same few hundred places thousands of times
def parse_path(text: str) -> Path:
    """Return the path that `text` writes; raises `ValueError` if it writes none.

    >>> parse_path("PID-3.4.2")
    Path(segment='PID', field=3, component=4, subcomponent=2)
    """
    match = _PATH.fullmatch(text)
    if not match:
        raise ValueError(f"not an HL7v2 path: {text!r} (write PID-3, PID-3.4 or PID-3.4.2)")
    segment, *numbers = match.groups()
    return Path(segment, *(int(number) for number in numbers if number))
