"""A message of which nothing is made is refused: to answer AA would say that it is stored.

What says only who sent it (of MSH, SFT and EVN) is nothing made of what the message tells. Names
of segments are capitals: what stands behind `obx` would be no result, which who sent it must know.

Spec: HL7v2 chapter 2, 2.5.2 (segments); docs/hl7v2.md, what if something fails
"""

from fhir_hub.errors import InvalidMessage
from fhir_hub.hl7v2.conversion.convert import Conversion
from fhir_hub.hl7v2.conversion.small_names import is_small
from fhir_hub.hl7v2.parsing.er7 import Message

_OF_SENDER = ("MSH", "SFT", "UAC", "EVN")


def require_made(message: Message, conversion: Conversion) -> None:
    """Raise `InvalidMessage` for names in small letters, and where nothing is made."""
    for segment in message.segments:
        if is_small(segment):
            raise InvalidMessage(
                f"segment names are capitals: {segment.name.upper()} is in small letters"
                f" / 段名须大写：{segment.name.upper()} 写成了小写",
                error_code="100",
                location=segment.name.upper(),
            )
    if all(one.segment in _OF_SENDER for one in conversion.resources):
        raise InvalidMessage(
            "nothing can be made of what the message tells / 该消息的内容无法生成任何资源",
            error_code="100",
        )
