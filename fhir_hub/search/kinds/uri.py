"""Uri: the whole of it, or a tree of them by `:below` and `:above`.

Spec: https://hl7.org/fhir/R4/search.html#uri
"""

from collections.abc import Callable, Mapping
from typing import Any

from fhir_hub.search.context import Context
from fhir_hub.search.entry import Entry, entry_of
from fhir_hub.search.kinds.modifier import Meaning, Modifier
from fhir_hub.search.kinds.values import unescape
from fhir_hub.search.plan import Is, Test, Text

Add = Callable[[Any, int, list[Entry]], None]

TYPES = ("uri", "url", "canonical", "oid", "uuid")


def adder(parameter: str, _: str, __: Context) -> Add:
    """Return what adds the entry of one value."""

    def add(value: Any, group: int, out: list[Entry]) -> None:
        if type(value) is str:
            out.append(entry_of((parameter, "uri", value, "", None, None, "", group)))

    return add


def equals(text: str, _: Meaning) -> tuple[Test, ...]:
    """Return what a query's value asks: the uri, character by character."""
    return (Is(unescape(text)),)


def below(text: str, _: Meaning) -> tuple[Test, ...]:
    """Return what `:below` asks: the uri, and those that start with it."""
    return (Text(unescape(text), "below"),)


def above(text: str, _: Meaning) -> tuple[Test, ...]:
    """Return what `:above` asks: the uri, and those that it starts with."""
    return (Text(unescape(text), "above"),)


MODIFIERS: Mapping[str, Modifier] = {
    "": Modifier(equals),
    "above": Modifier(above),
    "below": Modifier(below),
}
