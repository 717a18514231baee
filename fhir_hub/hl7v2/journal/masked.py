"""A message's text as it may be shown to those who look after the hub: without the patient.

What says how a message is built and what it is about stays: the header, event codes, order
codes, units, states. Of everything else each character is a star, so that one still sees
which fields are there, how they repeat and how long they are.
"""

import re
from itertools import count

from fhir_hub.hl7v2.ack import Header
from fhir_hub.hl7v2.parsing.lines import begins

_EVERY = frozenset(range(1, 100))
_SHOWN = {
    "MSH": _EVERY - {8},
    "EVN": frozenset((1, 2, 3, 4, 6)),
    "MSA": frozenset((1, 2)),
    "ERR": _EVERY,
    "SFT": _EVERY,
    "PID": frozenset((1, 8)),
    "PV1": frozenset((1, 2, 4, 10, 14, 18, 36)),
    "ORC": frozenset((1, 5, 9, 15)),
    "OBR": frozenset((1, 4, 7, 22, 24, 25)),
    "OBX": frozenset((1, 2, 3, 4, 6, 7, 8, 11, 14)),
    "TQ1": frozenset((1, 2, 3, 7, 8, 9)),
    "SPM": frozenset((1, 4, 17, 18)),
    "AIS": frozenset((1, 2, 3, 4, 10)),
    "AL1": frozenset((1, 2, 4)),
    "DG1": frozenset((1, 2, 5, 6, 15)),
    "TXA": frozenset((1, 2, 3, 17)),
    "BHS": _EVERY - {8},
    "FHS": _EVERY - {8},
}
_LINE = re.compile(r"[^\r\n]+")


def masked(text: str, header: Header) -> str:
    """Return the text of a message in which what may tell of a person is stars.

    >>> masked("OBX|1|TX|K||a\\r沈桂芳", Header())
    'OBX|1|TX|K||*\\r***'
    >>> masked("MSH|^~\\\\&|LIS\\rPID|1||7^^^X||沈^桂芳", Header())
    'MSH|^~\\\\&|LIS\\rPID|1||*^^^*||*^**'
    """
    marks = set(header.marks[:2] + header.marks[3:4])
    hidden = re.compile(f"[^{re.escape(''.join(marks))}]")
    separator = header.separator

    def line(match: re.Match[str]) -> str:
        name, *fields = match[0].split(separator)
        first = 2 if name in ("MSH", "BHS", "FHS") else 1  # MSH-1 is the separator itself
        shown = _SHOWN.get(name, frozenset())
        if not begins(match[0], separator):  # a line of a text
            name = hidden.sub("*", name)
        elif len(name) > 3:
            name = name[:3] + "*" * (len(name) - 3)
        parts = [
            field if number in shown else hidden.sub("*", field)
            for number, field in zip(count(first), fields, strict=False)
        ]
        return separator.join((name, *parts))

    return _LINE.sub(line, text)
