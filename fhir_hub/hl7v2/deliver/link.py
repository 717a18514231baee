"""One MLLP connection to a partner: a message goes, the acknowledgment that names it comes back.

Only an acknowledgment whose MSA-2 is the message's control id counts; one of an earlier message
that comes late is passed over. A refusal that names no message is of the one that is on its way:
who cannot read a message cannot name it. Whatever else goes wrong ends the connection, so that a
late answer is never taken for the next one's. Many systems end theirs after each answer, or when
nothing has come for a while: that is no failure, the message goes by a new one.

In enhanced mode what became of an earlier message may come on it too, behind the commit
acknowledgment or while nothing is on its way: `late` gives that. Who says more of that than a
partner has to say, and not what became of the message on its way, loses the connection.

Spec: HL7v2 chapter 2, 2.9.2 (MSA-2) and 2.9.3; HL7 Minimal Lower Layer Protocol
"""

import asyncio
import re
import ssl
from contextlib import suppress
from typing import NamedTuple

from fhir_hub.errors import FhirError
from fhir_hub.hl7v2.parsing import er7
from fhir_hub.hl7v2.wire import charset
from fhir_hub.hl7v2.wire.batches import MESSAGE, is_batch, parts_of
from fhir_hub.hl7v2.wire.certificates import Certificates, fault_of
from fhir_hub.hl7v2.wire.mllp import Block, Framer, frame
from fhir_hub.settings.partners import PartnerSettings

_MOST_ANSWER, _MOST_LATE = 1 << 20, 1 << 22  # bytes
_CLOSING_S = 1.0
_OTHERS = "acknowledgments of other messages alone"
_NAMELESS = "acknowledgments without MSA-2 alone"
_PIECE = 1 << 16
ACCEPTED, REFUSED = ("AA", "CA"), ("AR", "CR")
_CODES = (*ACCEPTED, *REFUSED, "AE", "CE")
_ERROR_CODE = re.compile(r"[A-Za-z0-9.-]{1,10}", re.ASCII)
_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}", re.ASCII)
_NUMBER = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
_NO_ERROR = ("I", "W")  # of ERR-4: what is said beside


class NoAnswer(Exception):
    """No acknowledgment came; `reason` is one of a few words, without anything of the message."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Answer(NamedTuple):
    """MSA-1 (`unknown` if it is no code of table 0008), MSA-2, and what ERR says in codes.

    That is its code of table 0357 with the place, as far as it names one: `101 PID-3`. What it says
    in words may hold patient data.
    """

    ack_code: str
    control_id: str
    error_code: str = ""


def read_answer(raw: bytes) -> Answer:
    """Return what an acknowledgment says; raises `FhirError` if it is none."""
    try:
        decoded = charset.decode(raw)
        message = er7.parse(decoded.text, decoded.charset)
    except FhirError:  # all that is asked of it is ASCII, whatever his remarks are written in
        message = er7.parse(raw.decode("latin-1"), "latin-1")
    acknowledgment = message.first("MSA")
    if acknowledgment is None:
        return Answer("", "")
    ack_code = acknowledgment.value(1).strip().upper()
    if ack_code and ack_code not in _CODES:
        ack_code = "unknown"  # it may be anything, and is logged
    errors = (_error(one) for one in message.all("ERR") if one.value(4) not in _NO_ERROR)
    return Answer(ack_code, acknowledgment.value(2).strip(), next(filter(None, errors), ""))


def _error(error: er7.Segment) -> str:
    """Return the code of an ERR and its place: ERR-3 and ERR-2, before 2.5 both are in ERR-1."""
    code = error.value(3) or error.value(1, 4)
    at = (2, 1, 2, 3, 5) if error.value(2) else (1, 1, 2, 3, 0)
    segment, sequence, field, component = (error.value(at[0], one) if one else "" for one in at[1:])
    place = ""
    if _SEGMENT.fullmatch(segment):
        is_later = sequence != "1" and _NUMBER.fullmatch(sequence)
        place = f"{segment}[{sequence}]" if is_later else segment
        if _NUMBER.fullmatch(field):
            place += f"-{field}"
            place += f".{component}" if _NUMBER.fullmatch(component) else ""
    return " ".join(filter(None, (code if _ERROR_CODE.fullmatch(code) else "", place)))


class Link:
    """The connection, made when it is needed and kept while it is good."""

    def __init__(self, partner: PartnerSettings) -> None:
        self._partner, self._certificates = partner, Certificates(partner)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._framer = Framer(_MOST_ANSWER)
        self._late: list[bytes] = []
        self._late_bytes = 0
        # since the message on its way went: why answers that came are none to it
        self._others = ""

    def late(self) -> list[bytes]:
        """Return the application acknowledgments of earlier messages that came, each once."""
        late, self._late, self._late_bytes = self._late, [], 0
        return late

    async def look(self) -> None:
        """Take what he has said while nothing was on its way; does not wait for it."""
        if self._reader is None or not self._is_enhanced:
            return
        with suppress(TimeoutError, OSError):  # else the next message sees that it is gone
            async with asyncio.timeout(0):
                self._take(await self._reader.read(_PIECE), "")

    async def commit(self, raw: bytes) -> None:
        """Send the commit acknowledgment of what `late` gave, if the connection is still there."""
        if self._writer is not None:
            with suppress(OSError):
                self._writer.write(frame(raw))
                await self._writer.drain()

    @property
    def _is_enhanced(self) -> bool:
        return self._partner.ack_mode == "enhanced"

    async def exchange(self, raw: bytes, control_id: str) -> Answer:
        """Send a message and return the answer to it; raises `NoAnswer`."""
        self._others = ""
        try:
            async with asyncio.timeout(self._partner.timeout_s):
                answer = await self._exchange(raw, control_id)
        except TimeoutError:
            reason = "no connection in time" if self._writer is None else "no answer in time"
            await self.close()
            raise NoAnswer(self._others or reason) from None
        except (OSError, UnicodeError, FhirError) as error:
            reason = _reason(error, is_connected=self._writer is not None)
            await self.close()
            raise NoAnswer(self._others or reason) from None
        except BaseException:
            await self.close()
            raise
        if not answer.control_id:
            await self.close()  # if it comes twice, the other is not the next message's
        return answer

    async def _exchange(self, raw: bytes, control_id: str) -> Answer:
        if self._reader is not None and self._reader.at_eof():
            await self.close()
        if self._writer is not None:
            try:
                return await self._sent(raw, control_id)
            except ConnectionError:  # ended while nothing was on its way
                await self.close()
        self._framer = Framer(_MOST_ANSWER)
        try:
            tls = self._certificates.context()
        except OSError as error:
            raise NoAnswer(f"TLS files cannot be used: {fault_of(error)}") from None
        self._reader, self._writer = await asyncio.open_connection(
            self._partner.host, self._partner.port, ssl=tls
        )
        return await self._sent(raw, control_id)

    async def _sent(self, raw: bytes, control_id: str) -> Answer:
        assert self._reader is not None
        assert self._writer is not None
        self._writer.write(frame(raw))
        await self._writer.drain()
        while data := await self._reader.read(_PIECE):
            if (answer := self._take(data, control_id)) is not None:
                return answer
        raise ConnectionResetError

    def _take(self, data: bytes, control_id: str) -> Answer | None:
        """Return the answer to a message, keep what is late; noise raises `FhirError`."""
        found: Answer | None = None
        for raw in (raw for block in self._framer.feed(data) for raw in _messages(block)):
            try:
                answer = read_answer(raw)
            except FhirError:
                if found is None and control_id:
                    raise
                continue
            if found is None and control_id and answer.ack_code and _is_of(answer, control_id):
                found = answer
                continue
            if answer.ack_code:
                self._others = _OTHERS if answer.control_id else self._others or _NAMELESS
            if self._is_enhanced and answer.ack_code[:1] == "A" and answer.control_id:
                self._late.append(raw)
                self._late_bytes += len(raw)
                if found is None and self._late_bytes > _MOST_LATE:
                    raise NoAnswer("too many acknowledgments")
        return found

    async def close(self) -> None:
        """End the connection; over TLS he may never say that he ends it too."""
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.close()
            with suppress(OSError):
                try:
                    async with asyncio.timeout(_CLOSING_S):
                        await writer.wait_closed()
                except TimeoutError:
                    writer.transport.abort()


def _messages(block: Block) -> list[bytes]:
    """Return the acknowledgments of a block, which may be a batch; of a cut one the whole ones."""
    if not is_batch(block.raw):
        return [block.raw]
    found = [part.raw for part in parts_of(block.raw) if part.kind == MESSAGE]
    return found[:-1] if block.is_cut else found


def _is_of(answer: Answer, control_id: str) -> bool:
    is_refusal = answer.ack_code not in ACCEPTED
    return answer.control_id == control_id or (is_refusal and not answer.control_id)


def _reason(error: Exception, *, is_connected: bool) -> str:
    if isinstance(error, FhirError):
        return "no acknowledgment"
    if isinstance(error, ssl.SSLError):
        return f"TLS refused: {fault_of(error)}"
    # by TLS 1.3 who does not like our certificate says so only then, or only ends
    return "connection ended" if is_connected else "no connection"
