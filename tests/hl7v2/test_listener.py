"""The MLLP server over real sockets: order, limits, faults, and closing without loss."""

import asyncio
import os
import resource
import socket
from collections.abc import Awaitable, Callable

import parts
import pytest

from fhir_hub.hl7v2.wire.listener import Limits, Listener, everyone
from fhir_hub.hl7v2.wire.mllp import Block, frame
from fhir_hub.hl7v2.wire.unfinished import Unfinished

Handle = Callable[[Block], Awaitable[bytes]]


class Client:
    """A connection that reads answers as blocks."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def write(self, raw: bytes) -> None:
        self.writer.write(raw)

    async def answer(self) -> bytes:
        raw = await asyncio.wait_for(self.reader.readuntil(b"\x1c\r"), parts.PATIENCE_S)
        assert raw[:1] == b"\x0b"
        return raw[1:-2]

    async def is_closed(self) -> bool:
        try:
            return await asyncio.wait_for(self.reader.read(), parts.PATIENCE_S) == b""
        except ConnectionResetError:
            return True


async def echo(block: Block) -> bytes:
    return b"cut" if block.is_cut else block.raw


class Gate:
    """A handler that waits to be opened, and tells when it was entered."""

    def __init__(self) -> None:
        self.entered, self.open = asyncio.Event(), asyncio.Event()

    async def __call__(self, block: Block) -> bytes:
        self.entered.set()
        await self.open.wait()
        return block.raw


class Log:
    def __init__(self) -> None:
        self.events: list[str] = []
        self.fields: list[dict[str, object]] = []
        self._came = asyncio.Event()

    def __call__(self, event: str, **fields: object) -> None:
        self.events.append(event)
        self.fields.append(fields)
        self._came.set()

    async def has(self, event: str) -> None:
        while event not in self.events:
            self._came.clear()
            await asyncio.wait_for(self._came.wait(), parts.PATIENCE_S)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
async def start(log):
    """Start listeners; close them at the end."""
    listeners: list[Listener] = []

    async def make(
        handle: Handle = echo, unfinished: Unfinished | None = None, **limits: float
    ) -> Listener:
        listener = Listener(everyone(handle), Limits(**limits), log, unfinished=unfinished)
        await listener.start()
        listeners.append(listener)
        return listener

    yield make
    for listener in listeners:
        await listener.close()


@pytest.fixture
async def connect():
    """Connect clients; close them at the end."""
    clients: list[Client] = []

    async def make(listener: Listener) -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        clients.append(Client(reader, writer))
        return clients[-1]

    yield make
    for client in clients:
        client.writer.transport.abort()
    await asyncio.sleep(0)


async def test_a_message_is_answered(start, connect):
    client = await connect(await start())

    client.write(frame(b"hello"))
    assert await client.answer() == b"hello"


async def test_messages_sent_at_once_are_answered_in_order(start, connect):
    client = await connect(await start())

    client.write(b"".join(frame(str(n).encode()) for n in range(500)))
    assert [await client.answer() for _ in range(500)] == [str(n).encode() for n in range(500)]


async def test_a_message_byte_by_byte_with_junk_around_is_answered(start, log, connect):
    client = await connect(await start())

    for byte in b"\n\n" + frame(b"hello") + b"\0":
        client.write(bytes([byte]))
        await client.writer.drain()
    assert await client.answer() == b"hello"
    client.writer.close()
    await log.has("mllp_junk")


async def test_who_comes_while_too_many_files_are_open_waits_and_that_is_told(start, connect, log):
    listener, before = await start(), resource.getrlimit(resource.RLIMIT_NOFILE)
    client = socket.create_connection(("127.0.0.1", listener.port))
    with open(os.devnull) as nothing:
        free = nothing.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        await log.has("mllp_not_accepted")
        await asyncio.sleep(0.3)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert log.fields == [{"fault": log.fields[0]["fault"], "reason": "Too many open files"}]

    reader, writer = await asyncio.open_connection(sock=client)
    writer.write(frame(b"hello"))
    assert await reader.readuntil(b"\x1c\r") == frame(b"hello")
    writer.close()


@pytest.mark.parametrize(
    ("first", "reason"),
    [(b"\x16\x03\x01\x02\0\x01", "TLS"), (b"POST /fhir HTTP/1.1\r\nHost: hub\r\n", "HTTP")],
)
async def test_who_speaks_another_protocol_is_let_go_at_once(start, connect, log, first, reason):
    client = await connect(await start())

    client.write(first)
    assert await client.is_closed()
    assert log.events == ["mllp_other_protocol"]
    assert log.fields[0]["reason"] == reason


async def test_messages_of_one_connection_are_handled_one_after_the_other(start, connect):
    most = now = 0

    async def handle(block: Block) -> bytes:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return block.raw

    client = await connect(await start(handle))
    client.write(frame(b"a") * 20)
    for _ in range(20):
        await client.answer()
    assert most == 1


async def test_a_slow_message_holds_up_no_other_connection(start, connect):
    gate = Gate()

    async def handle(block: Block) -> bytes:
        return await gate(block) if block.raw == b"slow" else block.raw

    listener = await start(handle)
    slow, quick = await connect(listener), await connect(listener)
    slow.write(frame(b"slow"))
    await gate.entered.wait()
    quick.write(frame(b"quick"))
    assert await quick.answer() == b"quick"
    assert listener.connections == 2
    gate.open.set()
    assert await slow.answer() == b"slow"


async def test_a_message_over_the_limit_is_answered_and_the_next_is_whole(start, connect):
    client = await connect(await start(size_bytes=100_000))

    client.write(frame(b"x" * 300_000) + frame(b"next"))
    assert [await client.answer(), await client.answer()] == [b"cut", b"next"]


async def test_a_silent_connection_is_closed(start, log, connect):
    client = await connect(await start(idle_s=0.05))

    assert await client.is_closed()
    await log.has("mllp_idle")


async def test_a_sender_that_reads_no_answers_is_closed(start, log, connect):
    async def handle(block: Block) -> bytes:
        return b"x" * 10_000_000

    client = await connect(await start(handle, idle_s=0.2))
    client.write(frame(b"a") * 10)
    await log.has("mllp_idle")
    client.writer.transport.abort()


async def test_a_sender_that_closes_its_side_still_gets_its_answers(start, connect):
    client = await connect(await start())

    client.write(frame(b"a") + frame(b"b"))
    client.writer.write_eof()
    assert [await client.answer(), await client.answer()] == [b"a", b"b"]
    assert await client.is_closed()


async def test_a_handler_that_fails_costs_its_connection_and_no_other(start, log, connect):
    async def handle(block: Block) -> bytes:
        if block.raw == b"bad":
            raise ValueError("the patient's name")
        return block.raw

    listener = await start(handle)
    bad, good = await connect(listener), await connect(listener)
    bad.write(frame(b"bad"))
    assert await bad.is_closed()
    good.write(frame(b"good"))
    assert await good.answer() == b"good"
    await log.has("mllp_fault")
    assert [type(fields.get("fault")) for fields in log.fields] == [ValueError]


async def test_a_connection_that_breaks_in_a_message_harms_no_other(start, log, connect):
    gate = Gate()
    listener = await start(gate)
    broken, other = await connect(listener), await connect(listener)
    broken.write(frame(b"a") * 3)
    await gate.entered.wait()
    broken.writer.transport.abort()
    gate.open.set()
    other.write(frame(b"b"))
    assert await other.answer() == b"b"


async def test_of_messages_that_never_end_the_first_to_begin_goes_beyond_the_bound(
    start, log, connect
):
    unfinished = Unfinished(2_000)
    listener = await start(unfinished=unfinished)
    clients = [await connect(listener) for _ in range(3)]
    for number, client in enumerate(clients[:2], start=1):
        client.write(frame(b"whole") + b"\x0b" + b"h" * 900)
        assert await client.answer() == b"whole"
        while unfinished.size_bytes < number * 900:
            await asyncio.sleep(0)

    clients[2].write(b"\x0b" + b"h" * 900)

    assert await clients[0].is_closed()
    for client in clients[1:]:
        client.write(b"\x1c\r")
        assert await client.answer() == b"h" * 900
    assert log.events.count("mllp_unfinished") == 1
    assert unfinished.size_bytes == 0


async def test_who_sends_ahead_is_not_cut_off_while_an_earlier_message_is_answered(
    start, log, connect
):
    gate, unfinished = Gate(), Unfinished(2_000)
    listener = await start(gate, unfinished=unfinished)
    ahead, *others = [await connect(listener) for _ in range(3)]
    ahead.write(frame(b"whole") + b"\x0b" + b"h" * 900)
    await gate.entered.wait()
    for number, client in enumerate(others, start=1):
        client.write(b"\x0b" + b"i" * 900)
        while unfinished.size_bytes < number * 900:
            await asyncio.sleep(0)
    for client in others:
        client.write(b"\x1c\r")
    while unfinished.size_bytes:
        await asyncio.sleep(0)
    gate.open.set()

    assert await ahead.answer() == b"whole"
    ahead.write(b"\x1c\r")
    assert await ahead.answer() == b"h" * 900
    for client in others:
        assert await client.answer() == b"i" * 900
    assert log.events == []


async def test_one_message_alone_may_be_larger_than_the_bound(start, connect):
    unfinished = Unfinished(100)
    client = await connect(await start(unfinished=unfinished))
    for _ in range(2):
        client.write(b"\x0b" + b"h" * 500)
        while unfinished.size_bytes < 500:
            await asyncio.sleep(0)
        client.write(b"h" * 500 + b"\x1c\r")
        assert await client.answer() == b"h" * 1000


async def test_connections_over_the_limit_are_refused(start, log, connect):
    listener = await start(connections=2)
    first, second = await connect(listener), await connect(listener)
    for client in (first, second):
        client.write(frame(b"a"))
        assert await client.answer() == b"a"
    assert await (await connect(listener)).is_closed()
    assert "mllp_connection_refused" in log.events


async def test_a_connection_that_cannot_be_counted_takes_no_place(log, connect):
    changes = iter((OSError("too many open files"),))

    def on_change(change: int) -> None:
        for error in changes:
            raise error

    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    async with Listener(everyone(echo), Limits(connections=1), log, on_change=on_change) as made:
        await made.start()
        assert await (await connect(made)).is_closed()
        client = await connect(made)
        client.write(frame(b"a"))
        assert await client.answer() == b"a"


async def test_closing_lets_the_message_under_way_finish_and_takes_no_more(start, connect):
    gate = Gate()
    listener = await start(gate)
    busy, idle = await connect(listener), await connect(listener)
    busy.write(frame(b"under way") + frame(b"not begun"))
    await gate.entered.wait()
    closing = asyncio.create_task(listener.close())
    assert await idle.is_closed()
    assert not closing.done()
    gate.open.set()
    assert await busy.answer() == b"under way"
    assert await busy.is_closed()
    await closing
    assert listener.connections == 0


async def test_closing_gives_up_on_what_does_not_finish(start, connect):
    gate = Gate()
    listener = await start(gate, drain_s=0.05)
    client = await connect(listener)
    client.write(frame(b"for ever"))
    await gate.entered.wait()
    await listener.close()
    assert listener.connections == 0
    assert await client.is_closed()


async def test_a_listener_may_be_closed_before_it_starts():
    async with Listener(everyone(echo)):
        pass


async def test_a_taken_port_is_an_error(start):
    listener = await start()
    with pytest.raises(OSError, match="Address already in use"):
        await Listener(everyone(echo)).start(port=listener.port)
