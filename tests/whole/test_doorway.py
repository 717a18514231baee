"""The way of a connection to a worker, both sides of it here.

Spec: unix(7), SCM_RIGHTS; getrlimit(2), RLIMIT_NOFILE
"""

import asyncio
import os
import socket

import parts
import pytest

from fhir_hub.workers.doorway import HTTP, Doorway, hand_over, mllp_kind
from fhir_hub.workers.reception import Door, Reception

MLLP = mllp_kind(0)


@pytest.fixture
def sides():
    own, other = socket.socketpair()
    own.setblocking(False)
    yield own, other
    own.close()
    other.close()


class Asked(socket.socket):
    """A socket that counts how often a connection is asked of it."""

    times = 0

    def accept(self):
        self.times += 1
        return super().accept()


async def test_where_there_is_no_descriptor_callers_wait_and_are_not_asked_for_without_end(sides):
    lines = []
    with Asked() as listening, socket.socket() as caller:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        reception = Reception(
            {MLLP: listening},
            {MLLP: ("lab", 9)},
            lambda event, **fields: lines.append((event, fields["reason"], fields["channel"])),
        )
        caller.connect(listening.getsockname())
        caller.setblocking(False)
        with parts.no_descriptors():
            reception.open(Door(*sides))
            await asyncio.sleep(0.35)  # real time: how often a loop turns in it is the claim
        assert 1 <= listening.times <= 4
        assert lines == [("mllp_not_accepted", "Too many open files", "lab")]

        async with asyncio.timeout(parts.PATIENCE_S):
            while not reception.mllp_connections:
                await asyncio.sleep(0)
        kind, (descriptor,), _, _ = socket.recv_fds(sides[1], 9, 1)
        os.close(descriptor)
        assert kind == MLLP

        times = listening.times
        with socket.create_connection(listening.getsockname()), parts.no_descriptors():
            async with asyncio.timeout(parts.PATIENCE_S):
                while listening.times < times + 2:
                    await asyncio.sleep(0)
        assert len(lines) == 1  # though one was accepted between
        reception.shut()


async def test_of_who_is_one_too_many_again_and_again_one_line_a_minute_tells(sides, waited):
    lines = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        reception = Reception(
            {MLLP: listening},
            {MLLP: ("lab", 0)},
            lambda event, **fields: lines.append((event, fields.get("times"))),
        )
        reception.open(Door(*sides))

        async def come(times):
            for _ in range(times):
                reader, writer = await asyncio.open_connection(*listening.getsockname())
                assert await reader.read() == b""
                writer.close()
                await writer.wait_closed()

        await come(5)
        waited(61)
        await come(2)
        assert lines == [("mllp_connection_refused", times) for times in (None, 5)]
        reception.shut()


async def test_a_connection_that_a_worker_has_no_descriptor_for_is_over_for_all(sides):
    own, other = sides
    lines = []
    doorway = Doorway(other, {}, lambda event, **fields: lines.append((event, fields["reason"])))
    caller, connection = socket.socketpair()
    for kind in (MLLP, HTTP):
        assert hand_over(own, kind, connection)
    connection.close()
    with parts.no_descriptors():
        await doorway.close()

    assert lines == [("connections_closed", "Too many open files")]
    assert own.recv(9) == MLLP + HTTP
    assert caller.recv(1) == b""
    caller.close()


async def test_however_many_connections_end_while_nobody_listens_each_is_heard_of(sides):
    own, other = sides
    ends = []

    async def adopt(connection, ended):
        connection.close()
        ends.append(ended)

    doorway = Doorway(other, {MLLP: adopt}, print)
    one, peer = socket.socketpair()
    while len(ends) < 1000:
        while hand_over(own, MLLP, one):
            pass
        await asyncio.sleep(0)
    over = list(ends)
    for ended in over:
        ended()

    heard = b""
    async with asyncio.timeout(parts.PATIENCE_S):
        while len(heard) < len(over):
            heard += await asyncio.get_running_loop().sock_recv(own, 4096)
    assert heard == MLLP * len(over)
    await doorway.close()
    one.close()
    peer.close()
