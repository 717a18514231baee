"""Sending files over MLLP: what is sent, what is heard, and what happens when nobody answers."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from fhir_hub.errors import InvalidMessage, Unavailable
from fhir_hub.hl7v2.wire.batches import MESSAGE, parts_of
from fhir_hub.hl7v2.wire.listener import Listener, everyone
from fhir_hub.hl7v2.wire.mllp import Block
from fhir_hub.hl7v2.wire.sender import Result, control_id, read_answer, send

MESSAGES = Path(__file__).parent / "messages"


def message(name: str = "C1") -> bytes:
    return f"MSH|^~\\&|HIS|SHTH01|||20250314||ADT^A08|{name}|P|2.4\rPID|1\r".encode()


def ack(block: Block) -> bytes:
    return b"MSH|^~\\&|HUB\rMSA|AA|" + control_id(block.raw).encode() + b"\r"


@pytest.fixture
async def listen() -> AsyncIterator[Callable[..., Awaitable[int]]]:
    listeners = []

    async def start(handle: Callable[[Block], Awaitable[bytes]]) -> int:
        listener = Listener(everyone(handle))
        await listener.start()
        listeners.append(listener)
        return listener.port

    yield start
    for listener in listeners:
        await listener.close()


async def sent(port: int, *messages: bytes, timeout_s: float = 10) -> list[Result]:
    return [r async for r in send(messages, "127.0.0.1", port, timeout_s=timeout_s)]


def split_messages(raw: bytes) -> list[bytes]:
    """Return what `fhir-hub send` sends of a file, batch segments left out."""
    return [part.raw for part in parts_of(raw) if part.kind == MESSAGE]


def test_line_ends_become_cr_and_the_bytes_stay():
    raw = "MSH|^~\\&|HIS\nPID|1||T1||李珅\r\nPV1|1\n\n".encode("gbk")

    assert split_messages(raw) == ["MSH|^~\\&|HIS\rPID|1||T1||李珅\rPV1|1\r".encode("gbk")]


def test_a_file_with_several_messages_is_split():
    assert split_messages(message("a") + b"\r\n" + message("b")) == [message("a"), message("b")]


def test_a_batchs_wrapping_is_left_out():
    raw = b"FHS|^~\\&\rBHS|^~\\&\r" + message("a") + message("b") + b"BTS|2\rFTS|1\r"

    assert split_messages(raw) == [message("a"), message("b")]


def test_a_file_of_frames_is_split():
    raw = (MESSAGES / "quirks" / "q6_mllp_split_and_double.hl7").read_bytes()

    assert [control_id(one) for one in split_messages(raw)] == [
        "IOT0310084500-17",
        "SHTH01-S12-889001",
    ]


def test_a_byte_order_mark_stays_with_its_message():
    raw = (MESSAGES / "quirks" / "q2_lf_line_endings_and_bom.hl7").read_bytes()

    (only,) = split_messages(raw)
    assert only.startswith(b"\xef\xbb\xbfMSH|")
    assert control_id(only) == "ZJJ20250310083015001"


@pytest.mark.parametrize("raw", [b"", b"hello", b"PID|1\rPV1|1\r", b"FHS|^~\\&\r"])
def test_a_file_without_a_message_gives_none(raw):
    assert split_messages(raw) == []


@pytest.mark.parametrize("raw", [b"", b"MSH", b"MSH|^~\\&|HIS", b"\xff\xfe"])
def test_a_message_may_have_no_control_id(raw):
    assert control_id(raw) == ""


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"MSH|^~\\&|HUB\rMSA|AA|C1\r", Result("C1", "AA")),
        (b"MSH|^~\\&|HUB\rMSA|AE|C1|no\\F\\\r", Result("C1", "AE", "no|")),
        (
            b"MSH|^~\\&|HUB\rMSA|AE|C1\rERR||PID^1^3|101^Missing^HL70357|E||||why\r",
            Result("C1", "AE", "why"),
        ),
        (
            b"MSH|^~\\&|HUB\rMSA|AE|C1\rERR||PID^1^3|101^Missing^HL70357|E\r",
            Result("C1", "AE", "Missing"),
        ),
        (b"MSH|^~\\&|HUB\rMSA|AR|C1\rERR|PID^1^3^101&Missing\r", Result("C1", "AR", "Missing")),
        (b"MSH|^~\\&|HUB\rMSA|CA|\r", Result("", "CA")),
    ],
)
def test_an_acknowledgment_says_its_code_and_its_reason(answer, expected):
    assert read_answer(answer) == expected._replace(answer=answer.decode())
    assert read_answer(answer).is_accepted == (expected.ack_code in ("AA", "CA"))


@pytest.mark.parametrize("answer", [b"", b"hello", b"MSH|^~\\&|HUB\r", b"\xff\xff"])
def test_what_is_no_acknowledgment_is_refused(answer):
    with pytest.raises(InvalidMessage):
        read_answer(answer)


async def test_messages_are_answered_one_after_the_other(listen):
    heard: list[bytes] = []

    async def handle(block: Block) -> bytes:
        heard.append(block.raw)
        return ack(block)

    results = await sent(await listen(handle), message("a"), message("b"))

    assert [one[:3] for one in results] == [("a", "AA", ""), ("b", "AA", "")]
    assert results[1].answer.endswith("MSA|AA|b\r")
    assert heard == [message("a"), message("b")]


async def test_a_silence_is_a_result_and_the_next_message_gets_a_new_connection(listen, waited):
    never = asyncio.Event()

    async def handle(block: Block) -> bytes:
        if control_id(block.raw) == "slow":
            waited(61)
            await never.wait()
        return ack(block)

    results = await sent(await listen(handle), message("slow"), message("b"), timeout_s=60)
    never.set()

    assert [(r.control_id, r.ack_code) for r in results] == [("slow", ""), ("b", "AA")]
    assert "60 s" in results[0].text
    assert not results[0].is_accepted


async def test_a_closed_connection_is_a_result(listen):
    async def handle(block: Block) -> bytes:
        raise ConnectionResetError

    (result,) = await sent(await listen(handle), message())

    assert (result.ack_code, result.text.split(" /")[0]) == (
        "",
        "the receiver closed the connection: does he want TLS (mllps://), may this address send?",
    )


async def test_an_answer_that_is_no_acknowledgment_is_a_result(listen):
    async def handle(block: Block) -> bytes:
        return b"who are you?"

    (result,) = await sent(await listen(handle), message())

    assert result.text.startswith("the answer is no acknowledgment")


async def test_a_port_of_another_protocol_and_a_name_of_nobody_are_told():
    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (await reader.read(1 << 16)).startswith(b"\x0b"):
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(http, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        (result,) = await sent(port, message())
        assert "this is a port of HTTP, not of MLLP / 该端口是 HTTP 端口" in result.text
        with pytest.raises(Unavailable, match=f"no TLS from 127.0.0.1:{port}: .* / "):
            await anext(send([message()], "127.0.0.1", port, tls=ssl.create_default_context()))
    with pytest.raises(Unavailable, match=r"no host is known by the name a\.\.b"):
        await anext(send([message()], "a..b", port))


async def test_nobody_listening_is_an_error_that_names_the_address(listen):
    async def handle(block: Block) -> bytes:
        return ack(block)

    listener = Listener(everyone(handle))
    await listener.start()
    port = listener.port
    await listener.close()

    with pytest.raises(Unavailable, match=f"127.0.0.1:{port}"):
        await sent(port, message())
