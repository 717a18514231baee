"""What the fields that are filled decide before any is read: most rows of a map have nothing to do.

A shape says which fields of a segment, and of those near it, hold something, and what the trigger
event is. A feed has the same few shapes, so what is decided by one is decided once: a row whose
fields are empty, or whose condition cannot hold, is not even called, and one whose condition holds
whatever the fields say is called without asking it.

Spec: DESIGN 2a
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fhir_hub.hl7v2.parsing.path import Path, parse_path

EVENT = Path("MSH", 9, 2)
Asked = tuple[tuple[Path, Any], ...]


class Shape(NamedTuple):
    """What is `filled` of the segments, by name: bit n is field n, 0 for one that is not there.

    Where texts are known too, `text` is what stands at a path that a condition compares with
    something, and `is_valued` says whether anything does, None where that is not known.
    """

    filled: Mapping[str, int]
    event: str = ""
    text: Callable[[Path], str] | None = None
    is_valued: Callable[[Path], bool | None] | None = None

    def is_empty(self, path: Path) -> bool:
        """Say whether nothing at all stands in the field of a path, as far as that is known."""
        filled = self.filled.get(path.segment)
        return filled is not None and not filled >> path.field & 1

    def decides(self, when: Asked, unless: Asked) -> bool | None:
        """Say whether a condition holds, None where that depends on what the fields say."""
        wanted = self._all(when)
        unwanted = self._all(unless) if unless else False
        if wanted is False or unwanted is True:
            return False
        return True if wanted and unwanted is False else None

    def _all(self, asked: Asked) -> bool | None:
        found = [self._one(path, wanted) for path, wanted in asked]
        if False in found:
            return False
        return None if None in found else True

    def _one(self, path: Path, wanted: Any) -> bool | None:
        if isinstance(wanted, bool):
            if self.is_empty(path):
                return not wanted
            is_valued = self.is_valued(path) if self.is_valued is not None else None
            return None if is_valued is None else is_valued is wanted
        among = [wanted] if isinstance(wanted, str) else wanted
        if path == EVENT:
            return self.event in among
        if self.text is not None:
            return self.text(path) in among
        return "" in among if self.is_empty(path) else None


def asked(written: Any) -> Asked:
    """Return what a `when` or `unless` asks of each path."""
    if isinstance(written, str):
        written = {written: True} if written else {}
    return tuple((parse_path(key), wanted) for key, wanted in (written or {}).items())
