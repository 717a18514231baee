"""What a strict sender is refused: what HL7 does not allow, though the hub could read it.

A tolerant sender's quirks are put right on the way (`Context.normalised` says where); of a strict
one the first is the reason why its message is refused, with the field and the code of table 0357.

Spec: DOMAIN 4 (the column "strict"); HL7v2 chapter 2, table 0357
"""

import re
from collections.abc import Iterable
from types import MappingProxyType

from fhir_hub.errors import InvalidMessage
from fhir_hub.hl7v2.parsing.er7 import Message
from fhir_hub.hl7v2.quirks import CHINESE
from fhir_hub.hl7v2.rows.row import Row

# Issue → code of table 0357: 102 is a data type error, 103 a value that its table lacks.
REFUSED = MappingProxyType(
    {
        "broken-line": "100",
        "invalid-resident-id": "103",
        "unmapped-code": "103",
        "unreadable-date": "102",
        "unreadable-number": "102",
        "unreadable-boolean": "102",
        "retyped-value": "103",
        "placeholder-date": "102",
        "written-date": "102",
        "foreign-code": "103",
        "unsplit-name": "102",
        "misplaced-resident-id": "103",
        "charset-misplaced": "103",
        "charset-unknown": "103",
        "charset-private-use": "102",
    }
)
VERSION = re.compile(r"2\.(?:[12469]|3(?:\.1)?|5(?:\.1)?|7(?:\.1)?|8(?:\.[12])?)")


def require_hl7(message: Message) -> None:
    """Raise `InvalidMessage` for a frame or header that HL7 does not allow."""
    header = message.header
    if "\n" in message.text:
        raise _refusal("segments end in CR, not in LF / 段应以 CR 结尾，而非 LF", "100", "MSH")
    if not header.value(10):
        raise _refusal("the message has no control id / 消息没有控制号", "101", "MSH-10")
    if not VERSION.fullmatch(header.value(12)):
        raise _refusal("MSH-12 is no version of HL7 / MSH-12 不是 HL7 版本", "203", "MSH-12")
    for number, segment in enumerate(message.all("OBX"), start=1):
        if not segment.field(11):
            raise _refusal("a result has no status / 检验结果没有状态", "101", f"OBX[{number}]-11")


def require_no_quirk(issues: Iterable[tuple[str, str, Row | None]]) -> None:
    """Raise `InvalidMessage` for the first issue for which a strict sender is refused."""
    for code, text, row in issues:
        if error_code := REFUSED.get(code):
            location = str(row.sources[0]) if row and row.sources else ""
            if code.startswith("charset"):
                location = "MSH-18"
            raise _refusal(f"{text} / {CHINESE[code]}", error_code, location)


def _refusal(text: str, error_code: str, location: str) -> InvalidMessage:
    return InvalidMessage(text, error_code=error_code, location=location)
