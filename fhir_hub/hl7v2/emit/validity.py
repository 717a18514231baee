"""Whether a message is one of its version, by hl7apy: its segments, groups, fields and components.

It is slow (tens of milliseconds a message), so it is for who asks, and for tests; `emit` writes
by the same tables. Z-segments are the sender's own and are not looked at. hl7apy knows no
tables of China: a code that it does not list is no fault here.

Spec: HL7v2 chapter 2, 2.5.2; https://github.com/crs4/hl7apy
"""

import re
import tempfile
from pathlib import Path

from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message
from hl7apy.validation import Validator

from fhir_hub.hl7v2.parsing.structure import structure_in

_LINE_END = "\r"
# The suffix of an observation's code (7.1.3) is a subcomponent of what is simple in the tables.
_SUFFIX = re.compile(r"^(OBX\|[^|]*\|[^|]*\|[^|&^]*)&IMP")
# Groups that 2.8 put before OBR: hl7apy takes the OBX behind it for one of them.
_MISPLACED = ("ORU_R01_COMMON_ORDER", "ORU_R01_ORDER_DOCUMENT")


def faults(text: str) -> list[str]:
    """Return what is wrong with the structure of a message; nothing: it is one of its version."""
    lines = [line for line in _named(text).split(_LINE_END) if line and not line.startswith("Z")]
    lines = [_SUFFIX.sub(r"\1", line) for line in lines]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report"
        try:
            message = parse_message(_LINE_END.join(lines), find_groups=True)
            Validator.validate(message, report_file=str(report))
        except (HL7apyException, ValueError) as error:
            if not report.exists():
                return [type(error).__name__]
        said = report.read_text("utf-8").splitlines()
    found = [line.removeprefix("Error: ") for line in said if line.startswith("Error: ")]
    return [one for one in found if not any(name in one for name in _MISPLACED)]


def _named(text: str) -> str:
    """Return a message of 2.3, where MSH-9 has no structure, under an event that hl7apy knows."""
    header = text.partition(_LINE_END)[0].split("|")
    code, *rest = header[8].split("^")
    event = {
        "ADT": "A39" if "\rMRG|" in text else "A01",
        "REF": "I12",
        "RRI": "I12",
        "SIU": "S12",
    }.get(code)
    if len(rest) != 1 or event is None or structure_in("_".join([code, *rest]), header[11]):
        return text
    return text.replace(f"|{header[8]}|", f"|{code}^{event}|", 1)
