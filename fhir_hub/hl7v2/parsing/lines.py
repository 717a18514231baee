"""The lines of a message: each a segment, or the rest of one.

A text with a line break in it that is not written `\\.br\\` goes on in the next line, which is no
segment: it begins with no segment's name. It belongs to the field before, as it was meant; else
its words would be nobody's, and the fields behind it (a result's status) in no segment. What ADD
tells is the rest of the segment before it, from where that stopped.

Spec: HL7v2 chapter 2, 2.5 (a segment's name is of three capitals or digits, the first a capital),
2.7.6 (`\\.br\\`), 2.10.2 and 2.14.1 (ADD)
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

LINE_ENDS = re.compile(r"\r\n|\n|\r")
BROKEN = ("broken-line", "a line that is no segment is a line of the text before it")
_ADDED = "ADD"
_HEADERS = ("MSH", "BHS", "FHS")
_PICTURES = re.compile(r"[\u2400-\u243f\s]*")


class Lines(NamedTuple):
    """The texts of the segments; `is_plain` if none goes on in a line that is no segment."""

    lines: Sequence[str]
    is_plain: bool


def lines_of(text: str, field: str) -> Lines:
    """Return the segments of a message with this field separator, whatever ends its lines."""
    lines = LINE_ENDS.split(text) if "\n" in text else text.split("\r")
    held = [line for line in lines if line and not line.isspace()]
    is_whole = f"{_ADDED}{field}" not in text
    if is_whole and {line[3:4] for line in held} == {field} and min(held) >= "A":  # quick to see
        return Lines(held, is_plain=True)
    return _joined(held, field)


def begins(line: str, field: str) -> bool:
    """Say whether a line begins a segment, also one of an odd name: `ZPAT|1`, a bare `NTE`.

    >>> begins("NTE", "|"), begins("ZPAT|1", "|"), begins("see above", "|"), begins("120|80", "|")
    (True, True, False, False)
    """
    name, separator, _ = line.partition(field)
    name = name.strip()
    if not (name.isascii() and name.isalnum() and name[0].isalpha()):
        return _PICTURES.fullmatch(line) is not None
    if separator:  # small letters: `obx|` is told as such
        return name.isupper() or len(name) == 3
    return name.isupper() and len(name) == 3


def _joined(held: Sequence[str], field: str) -> Lines:
    """Return the lines, each that begins no segment behind the one before; a header stays alone."""
    found: list[list[str]] = []
    is_plain = True
    for line in held:
        goes_on = bool(found) and not found[-1][0].startswith(_HEADERS)
        if goes_on and (rest := _rest(line, field)):
            found[-1].append(rest)
        elif goes_on and not begins(line, field):
            found[-1] += ["\n", line]
            is_plain = False
        else:
            found.append([line])
    return Lines(["".join(one) for one in found], is_plain)


def _rest(line: str, field: str) -> str:
    """Return what ADD adds to the segment before; a bare one says that a later message does."""
    name, _, rest = line.partition(field)
    return rest if name == _ADDED and not rest.isspace() else ""
