"""MLLP framing on bytes: a stream in any pieces goes in, blocks come out. No I/O.

A block stands between VT and FS CR. None of the three bytes is ever part of a character in
UTF-8, GBK or GB 18030, so blocks are found before anything is decoded. Senders are forgiven a
missing CR, bytes between blocks, and a block begun anew before its end. Every byte is looked
at a fixed number of times, and of a block over the limit only the head is kept.

In UTF-16 and UTF-32, which MLLP does not provide for, they are: U+4E1C, the east, has an FS in
it, and U+4E0B, below, a VT. A block that begins so ends with FS CR, both of them, and is not begun
anew: these two bytes follow each other in no letters but of a few scripts (U+0D1C, U+1C0D).

Spec: HL7 Minimal Lower Layer Protocol, release 1; https://www.hl7.org/documentcenter/public/wg/inm/mllp_transport_specification.PDF
"""

import re
from typing import NamedTuple

START = b"\x0b"
END = b"\x1c"
_CR = b"\r"
_HEAD_BYTES = 4096
_FS_CR = END + _CR
# how a block of two or four bytes a letter begins: with a byte order mark, MSH, FHS or BHS
_WIDE = (
    *(b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff"),
    *(letter + b"\0" for letter in (b"M", b"F", b"B")),
    *(zeros + letter for letter in (b"M", b"F", b"B") for zeros in (b"\0", b"\0\0\0")),
)
_PERHAPS_WIDE = re.compile(rb"\x0b(?=[\xff\xfe\0]|[MFB]\0)")
_MARK_BYTES = 4
_PLAIN = b"MSH"
_OTHERS = {"TLS": re.compile(rb"\x16\x03"), "HTTP": re.compile(rb"[A-Z]{3,7} \S+ HTTP/")}


class Block(NamedTuple):
    """What stood between VT and FS; `is_cut`: it was over the limit, `raw` is only its head."""

    raw: bytes
    is_cut: bool = False


class Framer:
    """Finds the blocks of one connection. `junk` counts the bytes that belong to no block."""

    def __init__(self, limit: int) -> None:
        self.junk = 0
        self._limit = limit
        self._block: bytearray | None = None
        self._size_bytes = 0  # of the block as it came, not as it is kept
        self._after_end = False
        self._mark = b""  # how the block begins, until that tells
        self._is_wide: bool | None = None
        self._is_ending = False  # the FS of a wide block was the last byte that came

    @property
    def is_inside(self) -> bool:
        """Say whether a block has begun and not ended."""
        return self._block is not None

    @property
    def held_bytes(self) -> int:
        """Return how many bytes are kept of a block that has not ended."""
        return len(self._block or b"")

    def feed(self, data: bytes) -> list[Block]:
        """Return the blocks that `data` completes, in order; empty blocks are left out."""
        blocks: list[Block] = []
        position, size = 0, len(data)
        end = -1  # the next FS, where there is none the end of what came; looked for once
        while position < size:
            if self._block is None:
                position = self._begin(data, position)
                continue
            if self._is_wide is None and data.startswith(_PLAIN, position) and not self._mark:
                self._is_wide = False
            elif self._is_wide is None:
                self._mark += data[position : position + _MARK_BYTES - len(self._mark)]
                self._is_wide = _is_wide(self._mark)
            if self._is_wide:
                position = self._feed_wide(data, position, blocks)
                continue
            if end < position:
                end = size if (later := data.find(END, position)) < 0 else later
            again = data.rfind(START, position, end)
            if again >= 0:  # the sender gave up and began anew: so do we
                wide = _PERHAPS_WIDE.search(data, position, end)
                again = wide.start() if wide else again
                self.junk += 1 + self._size_bytes + again - position
                self._open()
                position = again + 1
                continue
            self._keep(data, position, end)
            position = end
            if end < size:
                self._end(blocks)
                position += 1
        return blocks

    def forget(self) -> None:
        """Let go of a block that has not ended."""
        self._open()
        self._block = None

    def _feed_wide(self, data: bytes, position: int, blocks: list[Block]) -> int:
        """Take bytes of a block of UTF-16 or UTF-32; return the position behind them."""
        if self._is_ending:
            self._is_ending = False
            if data.startswith(_CR, position):
                self._end(blocks)
                return position
            self._keep(END, 0, 1)
        end = data.find(_FS_CR, position)
        if end >= 0:
            self._keep(data, position, end)
            self._end(blocks)
            return end + 1
        self._is_ending = data.endswith(END)
        self._keep(data, position, len(data) - self._is_ending)
        return len(data)

    def _open(self) -> None:
        self._block, self._size_bytes = bytearray(), 0
        self._mark, self._is_wide, self._is_ending = b"", None, False

    def _begin(self, data: bytes, position: int) -> int:
        """Skip to the start of the next block; return the position behind it."""
        if self._after_end and data.startswith(_CR, position):
            position += 1
        self._after_end = False
        start = data.find(START, position)
        if start < 0:
            self.junk += len(data) - position
            return len(data)
        self.junk += start - position
        self._open()
        return start + 1

    def _keep(self, data: bytes, position: int, stop: int) -> None:
        assert self._block is not None
        is_whole = self._size_bytes <= self._limit
        self._size_bytes += stop - position
        if is_whole:
            room = self._limit - len(self._block)
            self._block += data[position : min(stop, position + room)]
            if self._size_bytes > self._limit:
                del self._block[_HEAD_BYTES:]

    def _end(self, blocks: list[Block]) -> None:
        if self._block:
            blocks.append(Block(bytes(self._block), self._size_bytes > self._limit))
        self._block, self._after_end = None, True


def _is_wide(mark: bytes) -> bool | None:
    """Say whether a block that begins so is UTF-16 or UTF-32, None if that cannot be told yet."""
    if mark.startswith(_WIDE):
        return True
    return None if any(wide.startswith(mark) for wide in _WIDE) else False


def other_protocol(first: bytes) -> str:
    """Return what a client speaks whose first bytes are these, empty if it may be MLLP.

    >>> other_protocol(b"GET /health HTTP/1.1\\r\\n"), other_protocol(b"\\x0bMSH|")
    ('HTTP', '')
    """
    return next((name for name, begins in _OTHERS.items() if begins.match(first)), "")


def frame(raw: bytes) -> bytes:
    """Return `raw` as a block."""
    return START + raw + END + _CR
