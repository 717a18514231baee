"""Tags of a system and a code alone, as keys of messages are: ever another code of one system.

What is right of one code of a system is right of any other that R4 allows as a code, and the
entries are those of the same parameters.

Spec: https://hl7.org/fhir/R4/resource.html#tag
"""

from collections.abc import Sequence
from typing import Any

from fhir_hub.r4.checks.primitives import is_code
from fhir_hub.search.entry import Entry, entry_of
from fhir_hub.search.found import Found, Part, found_of

_MOST = 256  # systems; a feed has a few


class PlainCodings:
    """What one plain Coding in a list says, of systems of which one has been right there.

    `parameters` are those that find it, each by the Coding itself.
    """

    def __init__(self, parameters: Sequence[str]) -> None:
        self._parameters = parameters
        self._right: dict[str, str] = {}  # with the system that it is found by

    def found(self, value: Any) -> Found | None:
        """Return what a value says, None for what is no plain Coding that is surely right."""
        if type(value) is not list or len(value) != 1 or (coding := _plain(value[0])) is None:
            return None
        system, code = self._right.get(coding[0]), coding[1]
        if system is None or not is_code(code):
            return None
        return self._found(code, system)

    def learn(self, value: Any, found: Found) -> bool:
        """Take note of a value with which nothing is wrong; say whether all of it is plain."""
        coding = _plain(value[0]) if type(value) is list and len(value) == 1 else None
        if coding is None or len(self._right) >= _MOST:
            return False
        system = found.entries[0].system if found.entries else ""
        if found != self._found(coding[1], system):
            return False
        self._right[coding[0]] = system
        return True

    def _found(self, code: str, system: str) -> Found:
        entries: list[Entry] = [
            entry_of((parameter, "token", code, system, None, None, "", 0))
            for parameter in self._parameters
        ]
        return found_of((Part(entries), [], (), True))


def _plain(item: Any) -> tuple[str, str] | None:
    """Return system and code of a Coding that has nothing else, None for any other."""
    if type(item) is not dict or len(item) != 2:
        return None
    system, code = item.get("system"), item.get("code")
    return (system, code) if type(system) is str and type(code) is str else None
