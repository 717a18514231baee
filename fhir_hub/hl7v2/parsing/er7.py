"""HL7v2's bars and hats, read lazily and without loss.

A message is its decoded text. It is split into segments once; a field, a repetition, a
component only when somebody asks. Nothing is normalised away: the text of every part is there,
so what no map reads can still be kept or reported. Delimiters are what MSH-1 and MSH-2 say.

Decode the whole message before it comes here: in GBK 464 ideographs contain a delimiter's byte.

Spec: HL7v2 chapter 2, 2.5 (delimiters), 2.7 (escape sequences); https://www.hl7.eu/HL7v2x/v251/std251/ch02.html
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

from fhir_hub.errors import InvalidMessage
from fhir_hub.hl7v2.parsing.lines import BROKEN, LINE_ENDS, lines_of

# no text of FHIR may hold a control character: each becomes the sign that pictures it (BEL is ␇)
_PICTURES = {n: 0x2400 + n for n in range(0x20) if chr(n) not in "\t\n\r"}
_CONTROLS = bytes(_PICTURES)
_PICTURES |= {0xFFFE: 0xFFFD, 0xFFFF: 0xFFFD}  # are no characters, and XML cannot hold them
_UNFRAMED = {**_PICTURES, 0x0B: None, 0x1C: None}  # the bytes of a block are no text
_SHIFT = re.compile(r"[CM]((?:[0-9A-Fa-f]{2}){2,4})")
_MOST_MARKS = 8  # more are no delimiters, and not kept
_MOST_FIELDS = 1000
_HEADERS = frozenset(["MSH", "BHS", "FHS"])
Issues = tuple[tuple[str, str], ...]


class Encoding(NamedTuple):
    """The delimiters in force, and the character set that `\\X..\\` escapes are written in.

    With `as_parsed` a bare delimiter delimits in a text and a unit too.
    """

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    charset: str = "utf-8"
    as_parsed: bool = False


class Message:
    """A message: its `text`, its `encoding`, its `segments` in order.

    `issues` are what was odd about its bytes, pairs of a code and a sentence.
    """

    __slots__ = ("_by_name", "encoding", "issues", "segments", "text")

    def __init__(self, text: str, encoding: Encoding, issues: Issues = ()) -> None:
        self.text = text
        self.encoding = encoding
        held = lines_of(text, encoding.field)
        self.issues = issues if held.is_plain else (*issues, BROKEN)
        self.segments = [Segment(line, encoding, index) for index, line in enumerate(held.lines)]
        self._by_name: dict[str, list[Segment]] | None = None

    def first(self, name: str) -> "Segment | None":
        """Return the first segment of that name."""
        found = self.all(name)
        return found[0] if found else None

    def all(self, name: str) -> "Sequence[Segment]":
        """Return the segments of that name, in order; whoever asks for many asks many times."""
        if self._by_name is None:
            self._by_name = {}
            for segment in self.segments:
                self._by_name.setdefault(segment.name, []).append(segment)
        return self._by_name.get(name, ())

    def as_parsed(self) -> "Message":
        """Return the message with every delimiter meant as one, in texts and units too."""
        return Message(self.text, self.encoding._replace(as_parsed=True), self.issues)

    @property
    def header(self) -> "Segment":
        """Return MSH."""
        return self.segments[0]


class Segment:
    """One segment: `name`, `text`, its `index` in the message. Fields are numbered from 1.

    `fields` are their texts; `fields[0]` is the segment's name. Bit n of `filled` says whether
    field n holds something, once it is counted.
    """

    __slots__ = ("encoding", "fields", "filled", "index", "name", "text")

    def __init__(self, text: str, encoding: Encoding, index: int = 0) -> None:
        self.text = text
        self.encoding = encoding
        self.index = index
        name = text[:3]
        is_plain = text[3:4] == encoding.field and name.isalnum()
        self.name = name if is_plain else text.partition(encoding.field)[0].strip()
        self.fields = fields = text.split(encoding.field)
        if self.name in _HEADERS:  # the separator itself is field 1
            fields.insert(1, encoding.field)
        self.filled = 0

    def count(self) -> None:
        """Note in `filled` which fields hold something: a conversion asks, other readers do not."""
        # no standard segment has so many, and what is counted is kept
        fields = self.fields
        if len(fields) > _MOST_FIELDS:
            fields = fields[:_MOST_FIELDS]
        self.filled = _bits(bytes(map(bool, fields)))

    def field(self, number: int) -> str:
        """Return field `number` as it stands in the message, `""` where absent."""
        fields = self.fields
        return fields[number] if number < len(fields) else ""

    def with_field(self, number: int, text: str) -> "Segment":
        """Return the segment with another text as field `number`, which it has."""
        other = Segment(self.text, self.encoding, self.index)
        other.fields = [*self.fields]
        other.fields[number] = text
        return other

    def repetitions(self, number: int) -> "list[Value]":
        """Return the repetitions of a field that are not empty."""
        fields = self.fields
        text = fields[number] if number < len(fields) else ""
        if not text:
            return []
        if number <= 2 and self.name in _HEADERS:
            return [Value(text, self.encoding._replace(escape="", component="", subcomponent=""))]
        separator = self.encoding.repetition
        if not separator or separator not in text:
            return [Value(text, self.encoding)]
        return [Value(part, self.encoding) for part in text.split(separator) if part]

    def whole(self, number: int) -> "Value":
        """Return a field as one value: for text, where a bare `~` is a character."""
        if self.encoding.as_parsed:
            return next(iter(self.repetitions(number)), Value("", self.encoding))
        return Value(self.field(number), self.encoding)

    def value(self, number: int, component: int = 1, subcomponent: int = 1) -> str:
        """Return the unescaped text of one part of the first repetition, `""` where absent."""
        fields = self.fields
        text = fields[number] if number < len(fields) else ""
        if not text:
            return ""
        separator = self.encoding.repetition
        if number > 2 and not (separator and separator in text):
            return _text(
                text.split(self.encoding.component), self.encoding, component, subcomponent
            )
        values = self.repetitions(number)
        return values[0].text(component, subcomponent) if values else ""


@lru_cache(maxsize=4096)  # a feed has the same few hundred
def _bits(are_filled: bytes) -> int:
    return sum(1 << number for number, is_filled in enumerate(are_filled) if is_filled)


class Value:
    """One repetition of a field: `raw` as it stands; parts by number from 1, unescaped."""

    __slots__ = ("_parts", "encoding", "raw")

    def __init__(self, raw: str, encoding: Encoding) -> None:
        self.raw = raw
        self.encoding = encoding
        self._parts: list[str] | None = None

    @property
    def components(self) -> list[str]:
        """Return the components' raw texts; `components[0]` is component 1."""
        if self._parts is None:
            separator = self.encoding.component
            self._parts = self.raw.split(separator) if separator else [self.raw]
        return self._parts

    def component(self, number: int) -> "Value":
        """Return a component as a value of its own: its components are the subcomponents."""
        parts = self.components
        raw = parts[number - 1] if number <= len(parts) else ""
        return Value(raw, _inner(self.encoding))

    def text(self, component: int = 1, subcomponent: int = 1) -> str:
        """Return one subcomponent's unescaped text, blanks around it cut, `""` where absent."""
        return _text(self._parts or self.components, self.encoding, component, subcomponent)

    @property
    def whole(self) -> str:
        """Return all of it unescaped, delimiters as characters: for text, units, ranges."""
        return unescape(self.raw, self.encoding).strip()

    @property
    def is_null(self) -> bool:
        """Say whether it is `""`, by which a sender deletes a value (empty leaves it)."""
        return self.raw == '""'

    def __bool__(self) -> bool:
        """Say whether there is anything in it but delimiters and blanks."""
        raw = self.raw
        if raw[:1].isalnum():
            return True
        return bool(raw.strip("^&~ " + self.encoding.component + self.encoding.subcomponent))


def _text(parts: list[str], encoding: Encoding, component: int, subcomponent: int) -> str:
    """Return one subcomponent of a value split into components, unescaped, `""` where absent."""
    if component > len(parts):
        return ""
    raw = parts[component - 1]
    separator = encoding.subcomponent
    if separator and separator in raw:
        pieces = raw.split(separator)
        raw = pieces[subcomponent - 1] if subcomponent <= len(pieces) else ""
    elif subcomponent > 1:
        return ""
    if encoding.escape in raw:
        raw = unescape(raw, encoding)
    return raw.strip()


@lru_cache(maxsize=64)
def _inner(encoding: Encoding) -> Encoding:
    """Return the delimiters inside a component: its components are the subcomponents."""
    return encoding._replace(component=encoding.subcomponent, subcomponent="")


def parse(text: str, charset: str = "utf-8", issues: Issues = ()) -> Message:
    """Return the message that `text` (decoded, any line ends, a BOM or none) writes.

    `charset` is what it was decoded from, `issues` what was odd about that. Raises
    `InvalidMessage` (AR 100) if there is no MSH at its start or MSH-2 has no delimiters.
    """
    text = text.lstrip("\ufeff\x0b\r\n \t")
    if _has_controls(text):
        text = text.translate(_UNFRAMED)
        issues = (*issues, ("control-character", "control characters became their pictures"))
    if not text.startswith("MSH") or len(text) < 8:
        raise InvalidMessage(
            "no MSH segment at the start / 开头没有 MSH 段", error_code="100", ack_code="AR"
        )
    field = text[3]
    end = text.find(field, 4)
    marks = LINE_ENDS.split(text[4 : end if end >= 0 else None], 1)[0].rstrip(" ")
    if len(marks) == 5 and marks[2:4] == "\\\\":  # `^~\\&`: a doubled backslash, seen in feeds
        marks = marks[:3] + marks[4:]
    if not are_delimiters(field, marks):
        raise InvalidMessage(
            "MSH-1 and MSH-2 hold no delimiters / MSH-1、MSH-2 没有分隔符",
            error_code="101",
            location="MSH-2",
            ack_code="AR",
        )
    defaults = Encoding()
    padded = marks + defaults[1] + defaults[2] + defaults[3] + defaults[4]
    component, repetition = padded[0], (marks[1] if len(marks) > 1 else defaults.repetition)
    escape = marks[2] if len(marks) > 2 else defaults.escape
    subcomponent = marks[3] if len(marks) > 3 else defaults.subcomponent
    encoding = Encoding(field, component, repetition, escape, subcomponent, charset)
    return Message(text, encoding, issues)


def _has_controls(text: str) -> bool:
    """Say whether a control character is in a text that is no blank: bytes are quickest to see."""
    raw = text.encode("utf-8", "surrogatepass")
    return len(raw.translate(None, _CONTROLS)) != len(raw) or "\ufffe" in text or "\uffff" in text


def are_delimiters(field: str, marks: str) -> bool:
    """Say whether MSH-1 and MSH-2 can be what they should: ASCII signs, and each another."""
    return (_are_delimiters if len(marks) < _MOST_MARKS else _are_delimiters.__wrapped__)(
        field, marks
    )


@lru_cache(maxsize=64)  # those of a feed are always the same
def _are_delimiters(field: str, marks: str) -> bool:
    signs = field + marks
    are_signs = all("!" <= sign <= "~" and not sign.isalnum() for sign in signs)
    return bool(marks) and are_signs and len(set(signs)) == len(signs)


def unescape(text: str, encoding: Encoding) -> str:
    r"""Return `text` with its escape sequences resolved.

    `\F\ \S\ \T\ \R\ \E\` are delimiters, `\X..\` bytes in the message's character set (also
    several that make one character), `\C..\` and `\M..\` shift to another character set of
    ISO 2022 until the next of them, `\.br\` and `\.sp\` are line breaks; highlighting is dropped;
    what is local (`\Z..\`) or unknown stays as it stands.

    >>> unescape(r"10\S\9/L", Encoding())
    '10^9/L'
    """
    mark = encoding.escape
    if not mark or mark not in text:
        return text
    parts = text.split(mark)
    out: list[str] = [parts[0]]
    pending: list[bytes] = []
    delimiters, position = _delimiters(encoding), 1
    while position < len(parts):
        body = parts[position]
        closed = position + 1 < len(parts)
        if closed and body[:1] == "X" and (octets := _hex(body[1:])) is not None:
            pending.append(octets)
            after = parts[position + 1]
            if after or position + 2 >= len(parts):
                out.append(_decode(b"".join(pending), encoding.charset) + after)
                pending.clear()
            position += 2
            continue
        if pending:
            out.append(_decode(b"".join(pending), encoding.charset))
            pending.clear()
        if closed and body[:1] in {"Z", "C", "M"} and (span := _span(parts, position, mark)):
            out.append(span[0])
            position = span[1]
            continue
        resolved = _resolve(body, delimiters) if closed else None
        if resolved is None:  # not an escape sequence: the mark is a character
            out.append(mark + body)
            position += 1
        else:
            out.append(resolved + parts[position + 1])
            position += 2
    return "".join(out)


@lru_cache(maxsize=64)
def _delimiters(encoding: Encoding) -> dict[str, str]:
    """Return what the escape sequences of one meaning are."""
    return {
        "F": encoding.field,
        "S": encoding.component or "^",
        "T": encoding.subcomponent or "&",
        "R": encoding.repetition,
        "E": encoding.escape,
        "H": "",
        "N": "",
        ".br": "\n",
        ".nf": "",
        ".fi": "",
        ".ce": "\n",
    }


def _resolve(body: str, delimiters: dict[str, str]) -> str | None:
    if (found := delimiters.get(body)) is not None:
        return found
    if match := re.fullmatch(r"\.(sp|sk|in|ti)\s*\+?(\d*)", body):
        count = int(match[2][:4] or 1)
        return {"sp": "\n", "sk": " "}.get(match[1], "") * min(count, 100)
    return None


def _span(parts: list[str], position: int, mark: str) -> tuple[str, int] | None:
    r"""Return what `\Z..\`, `\C..\` or `\M..\` and the text after it are, and what follows them.

    What follows a shift, `\X..\` too, is in the character set that it designates, where it was sent
    in seven bits; eight-bit text came decoded, and of it the shift is dropped.
    """
    body, after, end = parts[position], parts[position + 1], position + 2
    if body[0] == "Z":
        return mark + body + mark + after, end
    if not (shift := _SHIFT.fullmatch(body)):
        return None
    if not after.isascii():
        return after, end
    run = [after.encode()]
    while end + 1 < len(parts) and parts[end][:1] == "X" and parts[end + 1].isascii():
        run += [_hex(parts[end][1:]) or b"\xff", parts[end + 1].encode()]
        end += 2
    for octets, behind in ((b"".join(run), end), (run[0], position + 2)):
        with suppress(UnicodeDecodeError):
            text = (b"\x1b" + bytes.fromhex(shift[1]) + octets).decode("iso2022_jp_2")
            return text.translate(_PICTURES), behind
    return mark + body + mark + after, position + 2


def _hex(digits: str) -> bytes | None:
    try:
        return bytes.fromhex(digits) if digits else None
    except ValueError:
        return None


def _decode(octets: bytes, charset: str) -> str:
    for name in (charset, "utf-8", "gb18030"):
        try:
            return octets.decode(name).translate(_PICTURES)
        except (UnicodeDecodeError, LookupError):
            continue
    return octets.decode("latin-1").translate(_PICTURES)
