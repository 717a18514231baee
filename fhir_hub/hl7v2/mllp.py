"""MLLP framing on bytes: a stream in any pieces goes in, blocks come out. No I/O.

A block stands between VT and FS CR. None of the three bytes is ever part of a character in
UTF-8, GBK or GB 18030, so blocks are found before anything is decoded. Senders are forgiven a
missing CR, bytes between blocks, and a block begun anew before its end. Every byte is looked
at a fixed number of times, and of a block over the limit only the head is kept.

Spec: HL7 Minimal Lower Layer Protocol, release 1; https://www.hl7.org/documentcenter/public/wg/inm/mllp_transport_specification.PDF
"""

from typing import NamedTuple

START = b"\x0b"
END = b"\x1c"
_CR = b"\r"
_HEAD_BYTES = 4096


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
        while position < size:
            if self._block is None:
                position = self._begin(data, position)
                continue
            end = data.find(END, position)
            stop = size if end < 0 else end
            again = data.rfind(START, position, stop)
            if again >= 0:  # the sender gave up and began anew: so do we
                self.junk += 1 + self._size_bytes + again - position
                self._block.clear()
                self._size_bytes = 0
                position = again + 1
            self._keep(data, position, stop)
            position = stop
            if end >= 0:
                self._end(blocks)
                position += 1
        return blocks

    def forget(self) -> None:
        """Let go of a block that has not ended."""
        self._block, self._size_bytes = None, 0

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
        self._block, self._size_bytes = bytearray(), 0
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


def frame(raw: bytes) -> bytes:
    """Return `raw` as a block."""
    return START + raw + END + _CR
