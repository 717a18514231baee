"""The answer to a batch: an acknowledgment of each message, in a batch of their own.

Each message is taken for itself, with its own entry in the journal, several at once
(`together.py`), and answered in its place; so after a crash the sender
sends the batch again, and what was done is answered as before and not done again. What is wrong
with the batch itself (a count, a missing trailer) is an acknowledgment more, AE, whose MSA-2 is
the batch's control id, in the character set of the messages.

A batch that begins with a thousand messages of which not one is taken is given up: it is none, or
is for somebody else, and each refused message is a line of the journal.

Spec: HL7v2 chapter 2, 2.10.3.3 (acknowledging batches)
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from datetime import datetime, tzinfo

from fhir_hub.clock import Clock, IdMaker
from fhir_hub.errors import Ack, InvalidMessage
from fhir_hub.hl7v2 import ack
from fhir_hub.hl7v2.answers.together import Take, Together
from fhir_hub.hl7v2.wire import charset
from fhir_hub.hl7v2.wire.batches import MESSAGE, MOST_REFUSED, Fault, Part, Tally

_DEFAULT = b"BHS|^~\\&|\r"
_GIVEN_UP = Fault(
    "207",
    "BHS",
    f"the first {MOST_REFUSED} messages were all refused: the rest was not looked at",
    f"前 {MOST_REFUSED} 条消息均被拒绝，其余未处理",
)
_TAKEN = Part(MESSAGE, b"")  # what is under way has its bytes, and nobody else


class BatchAnswer:
    """Writes the answer to a batch while its parts come; `forced` is its channel's charset."""

    def __init__(self, clock: Clock, new_id: IdMaker, zone: tzinfo, forced: str = "") -> None:
        self._clock, self._new_id, self._zone, self._forced = clock, new_id, zone, forced
        self._sample = b""
        self.tally = Tally()
        self._out: list[bytes] = []
        self._batch: Part | None = None
        self._file: Part | None = None
        self._in_batch = self._batches = 0
        self._left = MOST_REFUSED  # until it is given up; of which one was taken is not
        self._is_given_up = False
        self._texts: list[str] = []

    async def write(self, parts: Iterable[Part], take: Take) -> bytes:
        """Return the answer; `take` answers one message."""
        together = Together(take)
        try:
            coming = deque[tuple[Part, asyncio.Task[bytes] | None]]()
            for part in parts:
                if self._is_given_up:
                    break
                answer = await self._begun(part, together)
                coming.append((part if answer is None else _TAKEN, answer))
                while coming and ((answer := coming[0][1]) is None or answer.done()):
                    await self._write(*coming.popleft())
            for one in coming:
                await self._write(*one)
        finally:
            await together.close()
        self._told([_GIVEN_UP] if self._is_given_up else self.tally.close())
        self._end()
        if self._file is not None:
            self._out.append(f"FTS{self._mark}{self._batches}\r".encode())
        return b"".join(self._out)

    async def _begun(self, part: Part, together: Together) -> "asyncio.Task[bytes] | None":
        if part.kind != MESSAGE:
            return None
        if self._sample.isascii():
            self._sample = part.raw
        return await together.begin(part.raw)

    async def _write(self, part: Part, answer: "asyncio.Task[bytes] | None") -> None:
        faults = self.tally.take(part)
        if answer is not None:
            self._begin()
            if written := await answer:
                self._out.append(written)
                self._in_batch += 1
                self._left -= self._left > 0
                if ack.code(b"\r" + written) == "AA":
                    self._left = -1
                self._is_given_up |= self._left == 0
        elif part.kind == "FHS":
            self._file = part
            self._out.append(self._header(part))
        elif part.kind == "BHS":
            self._told(faults)
            self._end()
            self._begin(part)
        elif part.kind in ("BTS", "FTS"):
            if part.kind == "BTS":
                self._begin()
            self._told(faults)
            self._end()

    @property
    def _mark(self) -> str:
        return (self._file or self._batch or Part("BHS", _DEFAULT)).raw[3:4].decode("latin-1")

    def _begin(self, part: Part | None = None) -> None:
        """Begin a batch of answers, if there is none begun."""
        if self._batch is None:
            self._batch = part or Part("BHS", (self._file or Part("", _DEFAULT)).raw)
            self._out.append(self._header(self._batch))

    def _end(self) -> None:
        if self._batch is None:
            return
        mark = self._batch.raw[3:4].decode("latin-1")
        fields = ["BTS", str(self._in_batch), "; ".join(self._texts)]
        self._out.append(mark.join(filter(None, fields)).encode() + b"\r")
        self._batch, self._in_batch = None, 0
        self._texts.clear()
        self._batches += 1

    def _told(self, faults: list[Fault]) -> None:
        """Write an acknowledgment of what is wrong with the batch."""
        for fault in faults:
            self._begin()
            of_file = fault.location.startswith("FTS")
            header = _as_header((self._file if of_file else self._batch) or self._batch)
            verdict = Ack("AE", fault.error_code, fault.location, f"{fault.text} / {fault.chinese}")
            self._out.append(
                ack.acknowledge(
                    header,
                    self._charset(),
                    verdict,
                    moment=self._clock(),
                    control_id=self._new_id(),
                    zone=self._zone,
                )
            )
            self._in_batch += 1
            self._texts.append(fault.text)

    def _charset(self) -> str:
        """Return the character set of the first message that has other letters than ASCII."""
        try:
            return charset.decode(self._sample, self._forced).charset
        except InvalidMessage:
            return "utf-8"

    def _header(self, part: Part) -> bytes:
        """Return FHS or BHS of the answer: from the receiver, with the control id in field 12."""
        line = part.raw.decode("latin-1").rstrip("\r")
        fields = (line.split(line[3]) if len(line) > 3 else []) + [""] * 12
        moment = self._clock().astimezone(self._zone)
        answer = [
            part.kind,
            fields[1] or "^~\\&",
            fields[4] or "FHIRHUB",
            *(fields[5], fields[2], fields[3]),
            _written(moment),
            *("", "", ""),
            self._new_id()[:20],  # the length of BHS-11
            fields[10],
        ]
        return line[3:4].join(answer).encode("latin-1") + b"\r"


def _written(moment: datetime) -> str:
    return moment.strftime("%Y%m%d%H%M%S%z")


def _as_header(part: Part | None) -> ack.Header:
    """Return a batch's header as that of a message: who sent it to whom, its control id."""
    line = (part.raw if part else _DEFAULT).decode("latin-1").rstrip("\r")
    fields = (line.split(line[3]) + [""] * 12)[:12]
    as_message = [*fields[:7], "", "", fields[10], "", ""]
    return ack.Header(line[3], fields[1] or "^~\\&", tuple(as_message))
