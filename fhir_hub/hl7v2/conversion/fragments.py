"""Whether a message is whole: a part of one is refused, as what it cuts off would be lost.

A sender whose messages may not be long ends one with DSC, and goes on in the next behind MSH-14,
the rest of a segment in ADD. A result whose text stops in the middle is worse than none.

Spec: HL7v2 chapter 2, 2.10.2 (continuation messages and segments), table 0398
"""

from fhir_hub.errors import InvalidMessage
from fhir_hub.hl7v2.parsing.er7 import Message

_ANSWERS = ("MSA", "QAK", "QRD")  # whoever asked asks for the rest
_TOLD = "the message is a part of one: send it whole / 消息只是一个片段，请完整发送"


def require_whole(message: Message) -> None:
    """Raise `InvalidMessage` for a message that goes on in another one, or goes on with one."""
    for segment in message.all("ADD"):  # its rest is with no segment of this message
        raise InvalidMessage(_TOLD, error_code="207", location=segment.name)
    going_on = message.first("DSC")
    if going_on is None or not going_on.value(1) or going_on.value(1) == '""':
        return
    style = going_on.value(2)
    if style == "F" or (not style and not any(map(message.first, _ANSWERS))):
        raise InvalidMessage(_TOLD, error_code="207", location="DSC-1")
