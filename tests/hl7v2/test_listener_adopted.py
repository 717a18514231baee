"""A connection that another process accepted is served as one of the listener's own.

Spec: HL7 Minimal Lower Layer Protocol, release 1
"""

import asyncio
import socket
import ssl
from contextlib import suppress

import parts
import pytest
import trustme

from fhir_hub.hl7v2.wire.listener import Limits, Listener, everyone
from fhir_hub.hl7v2.wire.mllp import frame


async def test_an_adopted_connection_is_answered_and_its_end_is_told():
    ended = asyncio.Event()

    async def echo(block):
        return b"heard " + block.raw

    ours, theirs = socket.socketpair()
    async with Listener(everyone(echo)) as listener:
        await listener.adopt(ours, ended.set)
        reader, writer = await asyncio.open_connection(sock=theirs)
        writer.write(frame(b"one") + frame(b"two"))
        expected = frame(b"heard one") + frame(b"heard two")
        assert await reader.readexactly(len(expected)) == expected
        assert (listener.connections, ended.is_set()) == (1, False)
        writer.close()
        await asyncio.wait_for(ended.wait(), parts.PATIENCE_S)


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["silent", "half"])
async def test_why_a_client_that_never_speaks_tls_is_let_go_is_told(said):
    told: list[tuple[str, dict[str, object]]] = []
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    with socket.create_server(("127.0.0.1", 0)) as server:
        theirs = socket.create_connection(server.getsockname(), timeout=parts.PATIENCE_S)
        ours, _ = server.accept()
    ours.setblocking(False)
    theirs.sendall(said)

    def log(event: str, **fields: object) -> None:
        told.append((event, fields))

    async with Listener(everyone(None), Limits(handshake_s=0.1), log, tls) as listener:
        with theirs, pytest.raises(ConnectionAbortedError):
            await listener.adopt(ours, lambda: None)
    given = {"reason": "no end in 0.1 s", "client_ip": "127.0.0.1"}
    assert told == [("mllp_tls_refused", given)]

    told.clear()
    async with Listener(everyone(None), Limits(handshake_s=0.1), log, tls) as listener:
        await listener.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(said)
        with suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), parts.PATIENCE_S) == b""
        writer.close()
    assert told == [("mllp_tls_refused", given)]


@pytest.mark.parametrize("steps", range(6))
async def test_what_comes_while_it_closes_is_answered_or_not_begun(steps):
    heard = []

    async def echo(block):
        heard.append(block.raw)
        return b"heard"

    ours, theirs = socket.socketpair()
    async with Listener(everyone(echo)) as listener:
        await listener.adopt(ours, lambda: None)
        reader, writer = await asyncio.open_connection(sock=theirs)
        writer.write(frame(b"one"))
        assert await reader.readexactly(len(frame(b"heard"))) == frame(b"heard")
        writer.write(frame(b"two"))
        for _ in range(steps):  # from what is not read yet to what is answered
            await asyncio.sleep(0)
        await listener.close()
    answers = b""
    with suppress(ConnectionResetError):  # what was not read is refused so
        answers = await reader.read()
    assert answers == frame(b"heard") * (len(heard) - 1)
    writer.close()
