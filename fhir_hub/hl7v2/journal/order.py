"""The patients' numbers in a message's text: what puts messages in order.

They are read before anything is converted, from PID-2, 3, 4, 19 and MRG-1, 4, without the
parser: a merge has the numbers of both patients, so it comes after all that came before about
either, and before all that come after. Who assigned a number is not looked at, nor what is behind
its first 64 characters: two patients of one number are served one after the other, which costs a
little and is never wrong.

Spec: HL7v2 chapter 3, PID and MRG
"""

import re
from collections.abc import Iterator

from fhir_hub.hl7v2.ack import Header

_FIELDS = {"PID": (2, 3, 4, 19), "MRG": (1, 4)}
_NULLS = ("", '""')
_MOST = 64
_LINE_END = re.compile("[\r\n]")


def patient_numbers(text: str, header: Header) -> tuple[str, ...]:
    """Return the numbers of all patients of a message, in capitals, each once.

    >>> patient_numbers("MSH|^~\\\\&|A\\rPID|1||7^^^X~8|", Header())
    ('7', '8')
    """
    marks = header.marks
    component, repetition = marks[:1], marks[1:2]
    subcomponent = marks[3:4]
    found: dict[str, None] = {}
    for line in _lines(text):
        fields = line.split(header.separator)
        for number in _FIELDS[line[:3]]:
            if number >= len(fields) or not fields[number]:
                continue
            for one in (
                fields[number].split(repetition) if repetition else fields[number : number + 1]
            ):
                value = one.split(component, 1)[0]
                if subcomponent:
                    value = value.split(subcomponent, 1)[0]
                value = value.strip()[:_MOST].upper()
                if value not in _NULLS:
                    found[value] = None
    return tuple(found)


def _lines(text: str) -> Iterator[str]:
    """Yield the segments of `_FIELDS`; of a message that brings a file nothing else is read."""
    for at in sorted(at for name in _FIELDS for at in _places(text, name)):
        if not (before := text[max(0, at - 80) : at].rstrip(" \t")) or before[-1] in "\r\n":
            end = _LINE_END.search(text, at)
            yield text[at : end.start() if end else len(text)]


def _places(text: str, name: str) -> Iterator[int]:
    at = text.find(name)
    while at >= 0:
        yield at
        at = text.find(name, at + 1)
