"""The pieces of a value as datatypes read them: HL7's null is nothing, blanks are one blank.

Spec: HL7v2 chapter 2, 2.5.3 (`""` deletes; the map's engine sees to that)
"""

import unicodedata
from collections.abc import Callable
from typing import Any

from fhir_hub.hl7v2.parsing.er7 import Value

_NULL = '""'
_HOLLOW = '"^&~ '


def part(value: Value, component: int = 1, subcomponent: int = 1) -> str:
    """Return a component's text, `""` where it is absent or HL7's null."""
    parts = value.components
    if component > len(parts):
        return ""
    raw = parts[component - 1]
    if not raw:
        return ""
    if raw.isalnum():  # a code, a number, a word: there is nothing in it to resolve
        return raw if subcomponent == 1 else ""
    text = value.text(component, subcomponent)
    if not text.isprintable():
        text = clean(text)
    return "" if text == _NULL else text


def whole(value: Value) -> str:
    """Return all of a value as one text, `""` for HL7's null and for bare delimiters.

    Delimiters at its end hold nothing. Where every delimiter is meant as one, its first part is
    the text.
    """
    encoding, raw = value.encoding, value.raw
    if encoding.as_parsed:
        return part(value)
    if not value or not raw.strip(_HOLLOW):
        return ""
    if not raw[-1].isalnum():
        ends = encoding.repetition + encoding.component + encoding.subcomponent
        raw = raw.rstrip(ends) if ends else raw
        value = value if raw == value.raw else Value(raw, encoding)
    return clean(value.whole)


def reader_of(value: Value) -> Callable[[Value, int], str]:
    """Return what reads a component of `value` that has no subcomponents: a text, a name.

    It is `part`, unless the value holds the mark between subcomponents: in a text a sender who
    does not escape means `&` (`History & Physical`), and it is kept.
    """
    mark = value.encoding.subcomponent
    return _all_of if mark and mark in value.raw else part


def _all_of(value: Value, component: int) -> str:
    return whole(value.component(component)).rstrip(value.encoding.subcomponent).rstrip()


def clean(text: str) -> str:
    """Return `text` without the control characters that FHIR strings may not hold."""
    if text.isprintable():
        return text.strip()
    return "".join(c for c in text if c in "\t\n\r" or unicodedata.category(c) != "Cc").strip()


def one_line(text: str) -> str:
    """Return `text` with each run of white space as one blank: a code, a name."""
    return text if text.isalnum() else " ".join(text.split())


def compact(parts: dict[str, Any]) -> dict[str, Any] | None:
    """Return the parts that hold something, `None` if none does."""
    kept = {name: part for name, part in parts.items() if part not in ("", None, [], {})}
    return kept or None


def half_width(text: str) -> str:
    """Return `text` with full-width letters, digits and marks in half width."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text)
