"""How a query's values are written: separators, escapes, prefixes.

Spec: https://hl7.org/fhir/R4/search.html#escaping and #prefix
"""

import re
from collections.abc import Collection

from fhir_hub.errors import UnknownParameter

_unescape = re.compile(r"\\([,|$\\])").sub

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
# what others write for some of them
_SIGNS = {">=": "ge", "<=": "le", "!=": "ne", ">": "gt", "<": "lt", "=": "eq", "~": "ap"}


def split(text: str, separator: str) -> list[str]:
    r"""Return the parts of `text` between separators that no backslash precedes, still escaped.

    >>> split("a,b\\,c", ",")
    ['a', 'b\\,c']
    """
    if "\\" not in text:
        return text.split(separator)
    parts, start, place = [], 0, 0
    while place < len(text):
        if text[place] == "\\":
            place += 1
        elif text[place] == separator:
            parts.append(text[start:place])
            start = place + 1
        place += 1
    return [*parts, text[start:]]


def unescape(text: str) -> str:
    r"""Return `text` with `\,`, `\|`, `\$` and `\\` as the characters they mean.

    >>> unescape("a\\,b\\\\,c")
    'a,b\\,c'
    """
    return _unescape(r"\1", text) if "\\" in text else text


def escape(text: str, signs: str = ",|$") -> str:
    r"""Return `text` so that `unescape` returns it: with a backslash before `signs` and itself.

    >>> escape("a,b", ",")
    'a\\,b'
    """
    return "".join(f"\\{sign}" if sign in signs or sign == "\\" else sign for sign in text)


def prefixed(text: str, known: Collection[str] = PREFIXES) -> tuple[str, str]:
    """Return the prefix (`eq` if there is none) and the rest.

    Raises `UnknownParameter` for two letters or a sign in front of a digit that are no prefix.

    >>> prefixed("ge2024"), prefixed("-5.4")
    (('ge', '2024'), ('eq', '-5.4'))
    """
    if text[:2] in known:
        return text[:2], text[2:]
    for length in (2, 1):
        written = text[:length]
        is_prefix = written in _SIGNS or (length == 2 and written.isalpha())
        if is_prefix and text[length : length + 1].isdigit():
            raise UnknownParameter(_no_prefix(written, known))
    return "eq", text


def _no_prefix(written: str, known: Collection[str]) -> str:
    meant = _SIGNS.get(written, written.lower())
    near = [one for one in known if one == meant] or [one for one in known if one[0] == meant[0]]
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    return f"the prefix {written!r} is not known; known are {', '.join(known)}{hint}"
