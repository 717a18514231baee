"""What was made of a code once is not made again: most of a feed is the same few hundred codes.

A memory belongs to one program, so new maps begin with an empty one. It holds codes, ranges and
who and what a sender's staff, rooms and devices are; nothing of a patient. What it gives out is
a copy: callers may change it.
"""

import marshal
from collections.abc import Callable, Hashable
from typing import Any

from fhir_hub.hl7v2.er7 import Encoding

Issues = tuple[tuple[str, str], ...]
_MOST, _FACILITIES = 4096, 256


class Memory:
    """What was made of the codes of one facility, in one set of delimiters."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[Hashable, tuple[Any, bytes, Issues]] = {}

    def get(
        self, key: Hashable, make: Callable[[], Any], issues: list[tuple[str, str, Any]], row: Any
    ) -> Any:
        """Return the value of `key`, made by `make` the first time; its issues come each time."""
        held = self._held.get(key)
        if held is None:
            before = len(issues)
            value = make()
            raised = tuple((code, text) for code, text, _ in issues[before:])
            if len(self._held) >= _MOST:
                self._held.clear()
            self._held[key] = (copied(value), _packed(value), raised)
            return value
        value, packed, raised = held
        if raised:
            issues.extend((code, text, row) for code, text in raised)
        if packed:
            return marshal.loads(packed)
        return value if type(value) is str else copied(value)


class Memories:
    """The memories of a program, by facility and delimiters; at most some hundred of them."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[Hashable, Memory] = {}

    def clear(self) -> None:
        """Forget everything: codes mean something else now."""
        self._held.clear()

    def of(self, facility: str, encoding: Encoding, by_table: bool = False) -> Memory:
        """Return the memory for messages of a facility with these delimiters."""
        key = (facility, encoding, by_table)
        memory = self._held.get(key)
        if memory is None:
            if len(self._held) >= _FACILITIES:
                self._held.clear()
            memory = self._held[key] = Memory()
        return memory


def _packed(value: Any) -> bytes:
    """Return what `marshal` unpacks to a copy, much faster than one made piece by piece."""
    if type(value) is not dict and type(value) is not list:
        return b""
    try:
        return marshal.dumps(value)
    except ValueError:  # a Decimal
        return b""


def copied(value: Any) -> Any:
    """Return a JSON value that shares no object or array with `value`."""
    kind = type(value)
    if kind is dict:
        twin = value.copy()
        for name, item in value.items():
            if type(item) is dict or type(item) is list:
                twin[name] = copied(item)
        return twin
    if kind is list:
        return [copied(item) for item in value]
    return value
