"""Sending message files over MLLP, as they stand, and reading what the receiver says.

A file may hold one message or many, in a batch's wrapping, in MLLP frames, or bare. Bytes are
not decoded: only line ends become CR, which no character of UTF-8, GBK or GB 18030 contains.

A receiver in enhanced mode answers a message twice: that he has it, and what became of it, which is
a message of its own and acknowledged. The second is waited for where MSH-16 asks for it.

Spec: HL7v2 chapter 2, 2.9.2 (acknowledgments), 2.10.3 (batch); HL7 Minimal Lower Layer Protocol
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncGenerator, Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from fhir_hub.errors import FhirError, InvalidMessage, Unavailable
from fhir_hub.hl7v2 import ack
from fhir_hub.hl7v2.parsing import er7
from fhir_hub.hl7v2.wire import charset
from fhir_hub.hl7v2.wire.mllp import Block, Framer, frame

_BOM = b"\xef\xbb\xbf"
_MOST_ANSWER = 1 << 20
_PERHAPS_S = 1.0  # for an acknowledgment that comes only of what is refused


class Result(NamedTuple):
    """What became of a message. `ack_code` is empty, and `text` says why, if nothing came.

    `answer` is all that came, decoded; `commit_code` is what came first, if there were two.
    """

    control_id: str
    ack_code: str
    text: str = ""
    answer: str = ""
    commit_code: str = ""

    @property
    def is_accepted(self) -> bool:
        """Say whether the receiver took the message."""
        return self.ack_code in ("AA", "CA")


def control_id(message: bytes) -> str:
    """Return MSH-10 as it stands, `""` if there is none."""
    fields = message.removeprefix(_BOM).lstrip().partition(b"\r")[0]
    parts = fields.split(fields[3:4]) if len(fields) > 3 else []
    return parts[9].decode("utf-8", "replace").strip() if len(parts) > 9 else ""


def read_answer(raw: bytes) -> Result:
    """Return what an acknowledgment says; raises `InvalidMessage` if it is none."""
    decoded = charset.decode(raw)
    message = er7.parse(decoded.text, decoded.charset)
    acknowledgment = message.first("MSA")
    if acknowledgment is None:
        raise InvalidMessage("the answer has no MSA segment / 应答没有 MSA 段", error_code="100")
    texts = [acknowledgment.whole(3).whole]
    for segment in message.all("ERR"):
        texts += [segment.whole(8).whole, segment.value(3, 2), segment.value(1, 4, 2)]
    text = next(filter(None, texts), "")
    return Result(acknowledgment.value(2), acknowledgment.value(1), text, decoded.text)


async def send(
    messages: Iterable[bytes],
    host: str,
    port: int,
    *,
    timeout_s: float = 30.0,
    tls: ssl.SSLContext | None = None,
) -> AsyncGenerator[Result, None]:
    """Send the messages over one connection, each after the answer to the one before.

    Yields one result a message. After a silence or a broken connection it connects anew, so
    that a late answer is not taken for the next one. Raises `Unavailable` if nobody listens,
    or TLS ends before a connection is there.
    """
    connection: _Connection | None = None
    try:
        for message in messages:
            if connection is None:
                connection = await _connect(host, port, timeout_s, tls)
            try:
                yield await connection.deliver(message, timeout_s)
            except (TimeoutError, OSError, FhirError) as error:
                connection.close()
                connection = None
                yield Result(
                    control_id(message), "", _reason(error, timeout_s, is_tls=tls is not None)
                )
    finally:
        if connection is not None:
            connection.close()
            with contextlib.suppress(OSError):
                await connection.writer.wait_closed()


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.framer = Framer(_MOST_ANSWER)
        self._came: list[Block] = []
        self._committed: set[str] = set()  # by MSH-10, of which more may be said

    async def deliver(self, message: bytes, timeout_s: float) -> Result:
        """Send a message; return what the receiver says of it, in the end."""
        own = control_id(message)
        async with asyncio.timeout(timeout_s):
            self.writer.write(frame(message))
            first = await self._answer_to(own)
        header = ack.read_header(message.partition(b"\r")[0].decode("latin-1"))
        if first.ack_code != "CA" or not ack.owes(header):
            return first._replace(control_id=own)
        self._committed.add(own)
        is_certain = ack.is_wanted(header.field(16), is_good=True)
        wait_s = timeout_s if is_certain else min(timeout_s, _PERHAPS_S)
        try:
            async with asyncio.timeout(wait_s):
                second = await self._answer_to(own)
        except TimeoutError:
            if not is_certain:
                return first._replace(control_id=own)
            text = f"no application acknowledgment within {wait_s:g} s / 没有应用应答"
            return Result(own, "", text, first.answer, first.ack_code)
        both = first.answer + second.answer
        return second._replace(control_id=own, answer=both, commit_code=first.ack_code)

    async def _answer_to(self, own: str) -> Result:
        """Return what comes next; what is said only now of a message before is but answered."""
        while True:
            result = read_answer(raw := await self._next())
            is_later = result.ack_code[:1] == "A" and result.control_id in self._committed
            if is_later:
                self._commit(raw)
            if not is_later or result.control_id == own:
                return result

    def _commit(self, raw: bytes) -> None:
        """Say to the receiver that his acknowledgment is here, if he asks for that."""
        decoded = charset.decode(raw)
        header = ack.read_header(decoded.text)
        if ack.is_wanted(header.field(15), is_good=True):
            moment = datetime.now(UTC)
            heard = (header, decoded.charset, ack.COMMITTED)
            mine = f"SEND{moment:%H%M%S%f}"
            known = ack.acknowledge(*heard, moment=moment, control_id=mine, zone=UTC)
            self.writer.write(frame(known))

    async def _next(self) -> bytes:
        await self.writer.drain()
        while not self._came:
            data = await self.reader.read(1 << 16)
            if not data:
                raise ConnectionResetError
            if data.startswith(b"HTTP/"):
                raise InvalidMessage(
                    "this is a port of HTTP, not of MLLP / 该端口是 HTTP 端口", error_code="100"
                )
            self._came += self.framer.feed(data)
        return self._came.pop(0).raw

    def close(self) -> None:
        self.writer.close()


async def _connect(
    host: str, port: int, timeout_s: float, tls: ssl.SSLContext | None
) -> _Connection:
    try:
        async with asyncio.timeout(timeout_s):
            return _Connection(*await asyncio.open_connection(host, port, ssl=tls))
    except ssl.SSLError as error:
        raise Unavailable(f"TLS with {host}:{port} / TLS 握手失败: {_of_tls(error)}") from None
    except (socket.gaierror, UnicodeError):  # the second: it can be no name
        raise Unavailable(f"no host is known by the name {host} / 无法解析主机名") from None
    except (TimeoutError, OSError) as error:
        told = f"nobody answers at {host}:{port} / 无法连接 {host}:{port}"
        if tls and not isinstance(error, ConnectionRefusedError):
            told = f"no TLS from {host}:{port}: is it an mllp:// port? / 对方未使用 TLS"
        raise Unavailable(told) from None


def _of_tls(error: ssl.SSLError) -> str:
    """Return why: what the receiver's certificate lacks, or what he says of ours."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{error.verify_message} (whose certificates are good: --tls-ca / 用 --tls-ca 指定)"
    return (error.reason or type(error).__name__).replace("_", " ").lower()


def _reason(error: Exception, timeout_s: float, *, is_tls: bool) -> str:
    if isinstance(error, TimeoutError):
        return f"no acknowledgment within {timeout_s:g} s / {timeout_s:g} 秒内没有应答"
    if isinstance(error, FhirError):
        return f"the answer is no acknowledgment / 应答无效: {error}"
    if is_tls:  # TLS 1.3 refuses a client's certificate behind the handshake, and may not say so
        closed = "the receiver closed the connection: does he take this certificate?"
        return f"{closed} / 对方关闭了连接, 请检查客户端证书"
    closed = (
        "the receiver closed the connection: does he want TLS (mllps://), may this address send?"
    )
    return f"{closed} / 对方关闭了连接, 请检查是否需要 TLS (mllps://), 以及本地址是否允许发送"
