"""How large a message may be: in bytes, and in parts, because these are what takes long to convert.

A part is a segment or a repetition of a field: what may become a resource, or an item of one. They
are counted in the bytes, before anything is decoded or split. In GBK one letter in two hundred has
the byte of `~`: too few to matter to a limit that is generous. Each patient is compared with all
others, so there may be fewer of these.

Spec: HL7v2 chapter 2, 2.5 (delimiters)
"""

from fhir_hub.errors import TooLarge

MOST_PATIENTS = 1000
TOO_MANY = (
    f"a message may be about {MOST_PATIENTS} patients; send a batch of messages"
    f" / 一条消息最多涉及 {MOST_PATIENTS} 个患者，请拆成批次"
)
_HEAD = 64  # bytes in which MSH begins
_SMALL = len("PID||\r") * MOST_PATIENTS  # bytes in which there cannot be so many


def excess(raw: bytes, most_bytes: int, most_parts: int) -> TooLarge | None:
    """Return why a message is not taken, None if it is not too large; 0 is no limit."""
    if most_bytes and len(raw) > most_bytes:
        return TooLarge(f"a message may have {most_bytes} bytes / 消息不得超过 {most_bytes} 字节")
    if most_parts and len(raw) > most_parts and parts_in(raw) > most_parts:
        return TooLarge(
            f"a message may have {most_parts} segments and repetitions of fields"
            f" / 消息的段与字段重复合计不得超过 {most_parts} 个"
        )
    return TooLarge(TOO_MANY) if len(raw) > _SMALL and patients_in(raw) > MOST_PATIENTS else None


def patients_in(raw: bytes) -> int:
    """Return how many segments are PID, each of which is a patient.

    >>> patients_in(b"MSH|^~\\\\&|A\\rPID|1||7\\rPID|2||8\\r")
    2
    """
    at = raw.find(b"MSH", 0, _HEAD)
    head = b"PID" + raw[at + 3 : at + 4]
    return raw.count(b"\r" + head) + raw.count(b"\n" + head) if at >= 0 else 0


def parts_in(raw: bytes) -> int:
    """Return how many segments and repetitions there are.

    >>> parts_in(b"MSH|^~\\\\&|A\\rPID|1||7~8~9\\r")
    5
    """
    segments = raw.count(b"\r") + raw.count(b"\n") - raw.count(b"\r\n")
    at = raw.find(b"MSH", 0, _HEAD)
    mark = raw[at + 5 : at + 6] if at >= 0 else b""
    is_mark = b" " < mark <= b"~" and not mark.isalnum()
    return segments + raw.count(mark) if is_mark else segments
