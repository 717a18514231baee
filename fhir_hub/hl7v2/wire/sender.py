"""Sending message files over MLLP, as they stand, and reading what the receiver says.

A file may hold one message or many, in a batch's wrapping, in MLLP frames, or bare. Bytes are
not decoded: only line ends become CR, which no character of UTF-8, GBK or GB 18030 contains.

Spec: HL7v2 chapter 2, 2.10.3 (batch); HL7 Minimal Lower Layer Protocol
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncGenerator, Iterable
from typing import NamedTuple

from fhir_hub.errors import FhirError, InvalidMessage, Unavailable
from fhir_hub.hl7v2.parsing import er7
from fhir_hub.hl7v2.wire import charset
from fhir_hub.hl7v2.wire.mllp import Framer, frame

_BOM = b"\xef\xbb\xbf"
_MOST_ANSWER = 1 << 20


class Result(NamedTuple):
    """What became of a message. `ack_code` is empty, and `text` says why, if nothing came.

    `answer` is all that came, decoded.
    """

    control_id: str
    ack_code: str
    text: str = ""
    answer: str = ""

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
                async with asyncio.timeout(timeout_s):
                    answer = await connection.exchange(message)
                yield read_answer(answer)._replace(control_id=control_id(message))
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

    async def exchange(self, message: bytes) -> bytes:
        self.writer.write(frame(message))
        await self.writer.drain()
        while data := await self.reader.read(1 << 16):
            if data.startswith(b"HTTP/"):
                raise InvalidMessage(
                    "this is a port of HTTP, not of MLLP / 该端口是 HTTP 端口", error_code="100"
                )
            if blocks := self.framer.feed(data):
                return blocks[0].raw
        raise ConnectionResetError

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
