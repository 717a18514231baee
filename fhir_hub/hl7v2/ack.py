"""The acknowledgment: what the sender hears of a message, in its own delimiters and charset.

It is built from the header's text alone, without the parser, because a message that cannot be
parsed must be answered too. Original mode: AA taken, AE refused, AR cannot be processed. In
enhanced mode CA, CE, CR say first whether the message is kept, and those follow.

Spec: HL7v2 chapter 2, 2.9.2, 2.9.3, MSA and ERR; tables 0008, 0155 and 0357
"""

import re
from collections.abc import Sequence
from datetime import datetime, tzinfo
from types import MappingProxyType
from typing import NamedTuple

from fhir_hub.errors import Ack
from fhir_hub.hl7v2.parsing.er7 import are_delimiters
from fhir_hub.hl7v2.wire.charset import codec, encode, hl7_name

ACCEPTED = Ack("AA", "0", "", "")
COMMITTED = Ack("CA", "0", "", "")
_MOST_TEXT = 250  # the length of ERR-8
_MOST_ECHO = 1000
_MOST_CONTROL_ID = 20  # the length of MSH-10 before version 2.7
_SHORT_HEADER = 8  # MSH|^~\&
_CONTROLS = dict.fromkeys(range(32))
_LINE_END = re.compile(r"[\r\n]")
_VERSION = re.compile(r"2\.(\d)")
_TOO_LONG = re.compile(r"2\.\d(?:\.\d){2}\s*$")
_IN_SECOND = re.compile(r" / [^:]*")  # of `Title / 标题: detail`
_VERSION_AT = 12
_LOCATION = re.compile(
    r"([A-Z][A-Z0-9]{2})(?:\[(\d+)\])?(?:-(\d+)(?:\[(\d+)\])?(?:\.(\d+)(?:\.(\d+))?)?)?"
)

# Table 0357
_CONDITIONS = MappingProxyType(
    {
        "100": "Segment sequence error",
        "101": "Required field missing",
        "102": "Data type error",
        "103": "Table value not found",
        "104": "Value too long",
        "200": "Unsupported message type",
        "201": "Unsupported event code",
        "202": "Unsupported processing id",
        "203": "Unsupported version id",
        "204": "Unknown key identifier",
        "205": "Duplicate key identifier",
        "206": "Application record locked",
        "207": "Application internal error",
    }
)


class Header(NamedTuple):
    """What can be known of a message's MSH: its delimiters (MSH-1, MSH-2) and its fields."""

    separator: str = "|"
    marks: str = "^~\\&"
    fields: tuple[str, ...] = ()

    def field(self, number: int) -> str:
        """Return field `number` as it stands, without control characters, `""` where absent."""
        text = self.fields[number - 1] if number <= len(self.fields) else ""
        if not text.isprintable() or len(text) > _MOST_ECHO:
            text = text[:_MOST_ECHO].translate(_CONTROLS)
        return text.strip()

    def component(self, number: int, component: int) -> str:
        """Return one component of a field, `""` where absent."""
        parts = self.field(number).split(self.marks[0])
        return parts[component - 1].strip() if component <= len(parts) else ""

    @property
    def key(self) -> str:
        """Return sending application, facility and control id, `""` without a control id."""
        control_id = self.field(10)
        return "|".join((self.field(3), self.field(4), control_id)) if control_id else ""


def is_enhanced(header: Header) -> bool:
    """Say whether a message asks for enhanced mode: MSH-15 or MSH-16 is valued."""
    return bool(header.field(15) or header.field(16))


def control_id(answer: bytes) -> str:
    """Return MSH-10 of an acknowledgment of ours."""
    fields = answer.partition(b"\r")[0].split(answer[3:4])
    return fields[9].decode("ascii", "replace") if len(fields) > 9 else ""


def code(answer: bytes) -> str:
    """Return MSA-1 of an acknowledgment, empty if there is none."""
    at = answer.find(b"\rMSA")
    return answer[at + 5 : at + 7].decode("ascii", "replace") if at >= 0 else ""


def owes(header: Header) -> bool:
    """Say whether the sender may want to hear later how a message ended."""
    return is_wanted(header.field(16), is_good=True) or is_wanted(header.field(16), is_good=False)


def own_conditions(header: Header, verdict: Ack, ack_mode: str) -> tuple[str, str]:
    """Return MSH-15 and MSH-16 of an acknowledgment: one that comes later is to be committed."""
    is_late = ack_mode == "enhanced" and is_enhanced(header) and verdict.ack_code[0] == "A"
    return ("AL", "NE") if is_late else ("", "")


def is_wanted(condition: str, *, is_good: bool) -> bool:
    """Say whether a sender wants an acknowledgment, by MSH-15 or MSH-16 (table 0155).

    `AL` always, `NE` or nothing never, `SU` if it `is_good`, `ER` if not; what is unknown: always.
    """
    known = {"": False, "NE": False, "SU": is_good, "ER": not is_good}
    return known.get(condition.strip().upper(), True)


def read_header(text: str, version: str = "") -> Header:
    """Return what the beginning of a message's text tells; of what is no message: nothing.

    `version` stands in for an empty MSH-12; of `2.3.1.0` what HL7 has is taken.
    """
    text = text[: 100 * _MOST_ECHO].lstrip("\ufeff\x0b\r\n \t")
    line = _LINE_END.split(text, maxsplit=1)[0]
    if not line.startswith("MSH") or len(line) < _SHORT_HEADER:
        return Header()
    separator = line[3]
    fields = line.split(separator)
    marks = fields[1].strip()
    if len(marks) == 5 and marks[2:4] == "\\\\":  # `^~\\&`, as `er7.parse` reads it
        marks = marks[:3] + marks[4:]
    if not are_delimiters(separator, marks):
        return Header()
    if version:
        fields += [""] * (_VERSION_AT - len(fields))
    elif len(fields) < _VERSION_AT:
        return Header(separator, marks, tuple(fields))
    written = fields[_VERSION_AT - 1].strip()
    if not written or _TOO_LONG.match(written):
        fields[_VERSION_AT - 1] = written[: written.rfind(".")] if written else version
    return Header(separator, marks, tuple(fields))


def acknowledge(
    header: Header,
    charset: str,
    verdict: Ack,
    *,
    moment: datetime,
    control_id: str,
    zone: tzinfo,
    kind: Sequence[str] = (),
    more: Sequence[Sequence[str]] = (),
    conditions: tuple[str, str] = ("", ""),
    words: str = "",
) -> bytes:
    """Return the acknowledgment that says `verdict` to the sender of `header`.

    `charset` is what `decode` found, `moment` and `control_id` (as much of it as MSH-10 takes in
    every version) are for MSH-7 and MSH-10. With
    `kind` it is another message than ACK, with `more` segments (fields, escaped) behind.
    `conditions` are its own MSH-15 and MSH-16. `words` is the character set of what is said, where
    `charset` is one that only echoes a sender's bytes.
    """
    writer = _Writer(header, charset, kind, words)
    writer.has(more)
    acknowledgment = ["MSA", verdict.ack_code, header.field(10)]
    answer = [acknowledgment]
    if verdict.ack_code not in ("AA", "CA"):
        answer = writer.refusal(acknowledgment, verdict)
    answer.insert(0, writer.header(moment.astimezone(zone), control_id, conditions))
    answer += [list(segment) for segment in more]
    return encode("".join(header.separator.join(line) + "\r" for line in answer), charset)


class _Writer:
    """Writes segments as lists of fields, in the sender's delimiters."""

    def __init__(self, header: Header, charset: str, kind: Sequence[str], words: str) -> None:
        self._header = header
        self._charset, self._words = charset, words or charset
        self._kind = kind
        marks = header.marks
        self._component = marks[0]
        self._escape = marks[2:3]
        self._is_wide = False

    def header(self, moment: datetime, control_id: str, conditions: tuple[str, str]) -> list[str]:
        own = self._header
        trigger_event = own.component(9, 2)
        kinds = self._kind or (["ACK", trigger_event, "ACK"] if trigger_event else ["ACK"])
        fields = [
            "MSH",
            own.marks,
            own.field(5) if own.fields else "FHIRHUB",
            own.field(6),
            own.field(3),
            own.field(4),
            moment.strftime("%Y%m%d%H%M%S%z"),
            "",
            self._component.join(kinds),
            control_id[:_MOST_CONTROL_ID],
            own.field(11) or "P",
            own.field(12) or "2.4",
        ]
        fields += ["", "", *conditions, "", self._declaration()]
        while not fields[-1]:
            del fields[-1]
        return fields

    def refusal(self, acknowledgment: list[str], verdict: Ack) -> list[list[str]]:
        """Return MSA and ERR: from version 2.5 on ERR-2, 3, 4 and 8, before that ERR-1."""
        condition = _CONDITIONS.get(verdict.error_code, "")
        text = self._text(verdict.text)
        place = _place(verdict.location)
        version = _VERSION.match(self._header.field(12))
        if version and int(version[1]) >= 5:
            coded = self._component.join((verdict.error_code, condition, "HL70357"))
            location = self._component.join(place)
            return [acknowledgment, ["ERR", "", location, coded, "E", "", "", "", text]]
        inner = self._header.marks[3:4] or " "
        coded = inner.join((verdict.error_code, condition, "HL70357"))
        three = (*place, "", "", "")[:3]
        return [[*acknowledgment, text], ["ERR", self._component.join((*three, coded))]]

    def _declaration(self) -> str:
        """Return MSH-18: the sender's own word where it is true, else HL7's where it matters."""
        theirs = self._header.field(18)
        if theirs and codec(theirs.partition(self._header.marks[1:2] or "~")[0]) == self._words:
            return theirs
        return hl7_name(self._words) if theirs or self._is_wide else ""

    def has(self, segments: Sequence[Sequence[str]]) -> None:
        """Take note of what segments will be written behind, for what MSH-18 says."""
        self._is_wide |= any(not field.isascii() for segment in segments for field in segment)

    def _text(self, text: str) -> str:
        fits = self._said(text).encode(self._words, "ignore").decode(self._words)
        self._is_wide |= not fits.isascii()
        plain = " ".join(fits[:_MOST_TEXT].split())
        delimiters = zip("FSRET", (self._header.separator, *self._header.marks[:4]), strict=False)
        escapes = {
            ord(mark): f"{self._escape}{letter}{self._escape}" if self._escape else " "
            for letter, mark in delimiters
        }
        written = plain.translate(escapes).translate(_CONTROLS)
        is_echo = self._words != self._charset
        return written.encode(self._words).decode(self._charset) if is_echo else written

    def _said(self, text: str) -> str:
        """Return the text without what stands in a second language that cannot be written."""
        return _IN_SECOND.sub(lambda found: found[0] if self._can_write(found[0]) else "", text)

    def _can_write(self, text: str) -> bool:
        return text.encode(self._words, "ignore").decode(self._words) == text


def _place(location: str) -> tuple[str, ...]:
    """Return the components of ERL (segment, its number, field …) for `PID-3` or `OBX[2]-5.1`."""
    match = _LOCATION.fullmatch(location)
    if not match:
        return ()
    segment, sequence, field, repetition, component, subcomponent = match.groups()
    if component and not repetition:
        repetition = "1"
    parts = (segment, sequence or "1", field, repetition, component, subcomponent)
    return tuple(part for part in parts if part)
