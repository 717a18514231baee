"""A connection that another process accepted is served as one of the listener's own.

Spec: HL7 Minimal Lower Layer Protocol, release 1
"""

import asyncio
import socket

import parts

from fhir_hub.hl7v2.wire.listener import Listener, everyone
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
