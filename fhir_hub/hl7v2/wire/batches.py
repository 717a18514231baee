"""Batches: the messages of a file or a block, one after the other, and whether all are there.

A file is read in pieces and never held whole, so a batch of any size needs the memory of one
message. What the trailers count (BTS-1 the messages of a batch, FTS-1 the batches of a file) is
compared with what came; a difference is told and takes nothing away from what came.

Spec: HL7v2 chapter 2, 2.10.3 (batch protocol), 2.15 (FHS, BHS, BTS, FTS)
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_LINE_ENDS = re.compile(rb"[\r\n\x0b\x1c]+")
_WRAPPER = re.compile(rb"(FHS|BHS|BTS|FTS)(?![A-Za-z0-9 ])")
_BOM = b"\xef\xbb\xbf"
_BEHIND_END = re.compile(rb"MSH(?<=[\r\n\x0b\x1c]MSH)")
_BEHIND_BLANK = re.compile(rb"MSH(?<=[ \t\xef\xbb\xbf]MSH)")
# before it are an end of a line, blanks, a BOM
_HEADER = re.compile(rb"(?:\A|[\r\n\x0b\x1c])[ \t\xef\xbb\xbf]{0,64}MSH")
_PIECE_BYTES = 1 << 20
MOST_REFUSED = 1000  # at the start of a batch, with none taken
MESSAGE = "message"


class Part(NamedTuple):
    """A message, or a segment that wraps messages (`kind` FHS, BHS, BTS, FTS).

    The segments of `raw` end with CR.
    """

    kind: str
    raw: bytes

    def field(self, number: int) -> str:
        """Return a field of a wrapping segment as it stands, `""` where it is absent."""
        line = self.raw.rstrip(b"\r")
        parts = line.split(line[3:4]) if len(line) > 3 else []
        place = number if self.kind in ("BTS", "FTS") else number - 1
        text = parts[place].decode("latin-1") if 0 < place < len(parts) else ""
        return text.strip()


class Fault(NamedTuple):
    """What is wrong with a batch: the code of table 0357, the field, what is said of it."""

    error_code: str
    location: str
    text: str
    chinese: str


def is_batch(raw: bytes) -> bool:
    """Say whether the bytes are a batch: begun by FHS or BHS, or more than one message."""
    start = raw[:64].removeprefix(_BOM).lstrip()
    if start.startswith((b"FHS", b"BHS")):
        return True
    # what begins with a text is found quickest; a message may bring a film, or be made of MSH
    if _BEHIND_BLANK.search(raw) is None:
        headers = _BEHIND_END.finditer(raw)
        return next(headers, None) is not None and (
            raw.startswith(b"MSH") or next(headers, None) is not None
        )
    headers = _HEADER.finditer(raw)
    return next(headers, None) is not None and next(headers, None) is not None


def parts_of(raw: bytes | Iterable[bytes]) -> Iterator[Part]:
    """Yield the messages and wrapping segments of bytes, or of pieces of them, in order.

    What stands before the first MSH, or behind a trailer, belongs to no message: it is yielded
    with an empty kind. Of character sets only those are understood whose line ends are bytes.
    """
    message: list[bytes] = []
    for line in _lines(_pieces(raw) if isinstance(raw, bytes) else raw):
        segment = line.removeprefix(_BOM).lstrip()
        wrapper = _WRAPPER.match(segment)
        begins = segment.startswith(b"MSH")
        if message and (begins or wrapper):
            yield _message(message)
            message = []
        if wrapper:
            yield Part(wrapper[1].decode(), segment + b"\r")
        elif begins or message:
            if segment:
                message.append(line)
        elif segment:
            yield Part("", line + b"\r")
    if message:
        yield _message(message)


def _message(lines: list[bytes]) -> Part:
    return Part(MESSAGE, b"\r".join(lines) + b"\r")


def _pieces(raw: bytes) -> Iterator[bytes]:
    return (raw[at : at + _PIECE_BYTES] for at in range(0, len(raw), _PIECE_BYTES))


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest: list[bytes] = []
    for piece in pieces:
        first, *others = _LINE_ENDS.split(piece)
        rest.append(first)
        if others:
            yield b"".join(rest)
            yield from others[:-1]
            rest = [others[-1]]
    yield b"".join(rest)


class Tally:
    """Counts what comes and compares it with the trailers; `faults` are what did not agree."""

    def __init__(self) -> None:
        self.messages = 0
        self.faults: list[Fault] = []
        self._batches = self._in_batch = self._strays = 0
        self._is_open = self._is_file = False

    def take(self, part: Part) -> list[Fault]:
        """Count a part; return what is wrong now."""
        before = len(self.faults)
        if part.kind == MESSAGE:
            self.messages += 1
            self._in_batch += 1
        elif part.kind == "FHS":
            self._is_file = True
        elif part.kind == "BHS":
            self._end_batch()
            self._is_open = True
        elif part.kind == "BTS":
            self._is_open = False
            self._compare(part, "BTS-1", self._in_batch, ("messages", "条消息"))
            self._batches += 1
            self._in_batch = 0
        elif part.kind == "FTS":
            self._end_batch()
            self._compare(part, "FTS-1", self._batches, ("batches", "个批次"))
            self._is_file, self._batches = False, 0
        else:
            self._strays += 1
        return self.faults[before:]

    def close(self) -> list[Fault]:
        """Return what is wrong at the end: a trailer is missing, lines belong to nothing."""
        before = len(self.faults)
        self._end_batch()
        if self._is_file:
            told = "no FTS ends the file: it may be cut"
            self.faults.append(Fault("100", "FTS", told, "文件缺少 FTS 结尾，可能不完整"))
        if self._strays and self.messages:
            told = f"{self._strays} segments belong to no message"
            chinese = f"有 {self._strays} 个段不属于任何消息"
            self.faults.append(Fault("100", "BHS", told, chinese))
        return self.faults[before:]

    def _end_batch(self) -> None:
        """Count the batch before, which has no trailer."""
        if self._is_open:
            told = f"no BTS ends the batch of {self._in_batch} messages: it may be cut"
            chinese = f"该批次（{self._in_batch} 条消息）缺少 BTS 结尾，可能不完整"
            self.faults.append(Fault("100", "BTS", told, chinese))
        if self._is_open or self._in_batch:
            self._batches += 1
        self._is_open, self._in_batch = False, 0

    def _compare(self, part: Part, location: str, came: int, what: tuple[str, str]) -> None:
        said = part.field(1)
        if said and not (said.isascii() and said.isdigit()):
            told, chinese = f"{location} is no number", f"{location} 不是数字"
            self.faults.append(Fault("102", location, told, chinese))
        elif said and int(said[:18]) != came:
            told = f"{location} says {said[:18]}, but {came} {what[0]} came"
            chinese = f"{location} 为 {said[:18]}，实收 {came} {what[1]}"
            self.faults.append(Fault("100", location, told, chinese))
