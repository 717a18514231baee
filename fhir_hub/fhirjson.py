"""FHIR's JSON: numbers keep their digits, a key stands once, and nothing is guessed.

A decimal is read as `Decimal` and written back digit for digit, because `1.10` says more than
`1.1` does. A key that stands twice in an object is refused: which of the two counts is
undefined, and a validator that reads the first guards a store that keeps the last.

Spec: https://hl7.org/fhir/R4/json.html and datatypes.html#decimal
"""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from fhir_hub.errors import InvalidResource

_DEPTH = 200  # deeper than any resource; a walk of that many levels is safe in every part
_NO_BRACKETS = bytes(set(range(256)) - set(b'[]{}"'))
_LOOSE_COLON = re.compile(rb'"[ \t\r\n]+:|\\":|\\u0022')
# what it needs: quick to look for
_LOOSE_MARKS = (b'\\":', b"\\u0022", b" :", b"\t:", b"\r:", b"\n:")

_MINUS_NOTHING = (b":-0", b",-0", b"[-0")  # `-0` is no whole number of Python's


class ExactDecimal(Decimal):
    """A decimal that Python would write differently (`1e3`, `0.00000001`): keeps its own text."""

    text: str

    def __new__(cls, text: str) -> "ExactDecimal":
        """Return the number that `text` writes."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __str__(self) -> str:
        """Return the text as it was read."""
        return self.text


def _decimal(text: str) -> Decimal:
    number = Decimal(text)
    return number if str(number) == text else ExactDecimal(text)


def _whole(text: str) -> int | Decimal:
    return Decimal(text) if text == "-0" else int(text)


def _exact(value: object) -> msgspec.Raw:
    if isinstance(value, ExactDecimal):
        return msgspec.Raw(value.text.encode())
    raise TypeError(f"{type(value).__name__} is not JSON")


_decoder = msgspec.json.Decoder(float_hook=_decimal)
_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=_exact)
_sorted = msgspec.json.Encoder(decimal_format="number", enc_hook=_exact, order="sorted")


def loads(raw: bytes) -> Any:
    """Return the value of the JSON text `raw` (UTF-8): dict, list, str, int, Decimal, bool, None.

    Raises `InvalidResource` for what is not JSON or not UTF-8, for a key that stands twice in
    one object, and for more than 200 levels.
    """
    try:
        value = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, ArithmeticError, ValueError) as error:
        raise InvalidResource(f"not JSON: {_reason(error)}") from None
    except RecursionError:
        raise InvalidResource("JSON is nested too deeply") from None
    if _may_be_deep(raw):
        require_shallow(value)
    again = _encoder.encode(value)
    if raw != again:
        if not _has_every_key(raw, again):
            json.loads(raw, object_pairs_hook=_refuse_duplicates)
        if raw.count(b"-0") != again.count(b"-0"):
            value = json.loads(raw, parse_float=_decimal, parse_int=_whole)
    return value


def reread(content: bytes) -> Any:
    """Return what `dumps` wrote: as `loads`, without looking again for what it never writes.

    What is stored was checked when it came.
    """
    if any(mark in content for mark in _MINUS_NOTHING):
        return loads(content)
    return _decoder.decode(content)


# Returns a value as compact UTF-8 JSON, decimals digit for digit. A message has 160 elements that
# are written to be known by their bytes: it is the encoder's own, without a call of Python's.
dumps: Callable[[Any], bytes] = _encoder.encode


def members(raw: bytes) -> dict[str, bytes]:
    """Return the members of a JSON object, their values as they stand. Raises `ValueError`."""
    found = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    return {name: bytes(value) for name, value in found.items()}


def canonical(value: Any) -> bytes:
    """Return `value` as JSON with sorted keys: equal bytes say the same, digit for digit."""
    return _sorted.encode(value)


def pretty(value: Any) -> bytes:
    """Return `value` as JSON to be read by people, two blanks a level."""
    return pretty_bytes(dumps(value))


def pretty_bytes(content: bytes) -> bytes:
    """Return the JSON text `content` with two blanks a level, its values as they stand."""
    return msgspec.json.format(content, indent=2)


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "invalid UTF-8"
    # msgspec's own sentence names a byte position and never the content
    return str(error) if isinstance(error, msgspec.DecodeError) else "a number out of range"


def _has_every_key(raw: bytes, again: bytes) -> bool:
    """Return whether every key of `raw` surely is in what was read of it, written `again`.

    They differ. A key that stood twice is written once. Where no string has an escape, each
    string and key has two quotes, and `again` has fewer. Else every `":` is one key, if no blank
    is before a colon and no quote in a string.
    """
    if b"\\" not in raw:
        return raw.count(b'"') == again.count(b'"')
    if any(mark in raw for mark in _LOOSE_MARKS) and _LOOSE_COLON.search(raw):
        return False
    return raw.count(b'":') == again.count(b'":')


def _may_be_deep(raw: bytes) -> bool:
    """Return whether the JSON text `raw` may have more than 200 levels.

    Each round takes the innermost brackets away. Where a string holds a bracket, or what might
    be a quote, one cannot tell.
    """
    if raw.count(b"{") + raw.count(b"[") <= _DEPTH:
        return False
    brackets = raw.translate(None, _NO_BRACKETS)
    # what is in a string as mm[Hg]; or an empty list between two strings, one level of two kinds
    brackets = brackets.replace(b'"[]"', b"").replace(b'"{}"', b"").replace(b'""', b"")
    if b'"' in brackets or b"\\" in raw:
        return True
    for _ in range(_DEPTH - 2):
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if not brackets:
            return False
    return True


def require_shallow(value: Any, depth: int = _DEPTH) -> None:
    """Raise `InvalidResource` for more than 200 levels of lists and objects."""
    if not depth:
        raise InvalidResource("JSON is nested too deeply")
    items = value.values() if type(value) is dict else value
    for item in items:
        if type(item) is dict or type(item) is list:
            require_shallow(item, depth - 1)


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> None:
    seen = set()
    for key, _ in pairs:
        if key in seen:
            raise InvalidResource(f"the key {key[:60]!r} stands twice in one object")
        seen.add(key)
