"""A message of which nothing is made is refused: to answer AA would say that it is stored.

What says only who sent it (of MSH, SFT and EVN) is nothing made of what the message tells, nor is
a Patient of whom nothing is said: nobody could find that record again. Names of segments are
capitals: what stands behind `obx` would be no result, which who sent it must know.

Spec: HL7v2 chapter 2, 2.5.2 (segments); docs/hl7v2.md, what if something fails
"""

from fhir_hub.errors import InvalidMessage
from fhir_hub.hl7v2.conversion.convert import Conversion, Converted
from fhir_hub.hl7v2.conversion.small_names import is_small
from fhir_hub.hl7v2.parsing.er7 import Message

_OF_SENDER = ("MSH", "SFT", "UAC", "EVN")
# What a Patient says who is told of by nothing that was read: `PID|1`, `PID|1||||||tomorrow`
_SAYS_NOTHING = frozenset({"resourceType", "meta", "active"})


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
    if all(one.segment in _OF_SENDER or _is_nobody(one) for one in conversion.resources):
        raise InvalidMessage(
            "nothing can be made of what the message tells / 该消息的内容无法生成任何资源",
            error_code="100",
        )


def _is_nobody(one: Converted) -> bool:
    """Say whether this is a Patient without a number, a name or anything else."""
    is_person = one.segment == "PID" and one.resource["resourceType"] == "Patient"
    return is_person and not one.match and one.resource.keys() <= _SAYS_NOTHING
