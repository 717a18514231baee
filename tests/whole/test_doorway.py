"""The way of a connection to a worker, both sides of it here.

Spec: unix(7), SCM_RIGHTS; getrlimit(2), RLIMIT_NOFILE
"""

import asyncio
import os
import resource
import socket

import parts
import pytest

from fhir_hub.workers.doorway import HTTP, Doorway, hand_over, mllp_kind

MLLP = mllp_kind(0)


@pytest.fixture
def sides():
    own, other = socket.socketpair()
    own.setblocking(False)
    yield own, other
    own.close()
    other.close()


async def test_a_connection_that_a_worker_has_no_descriptor_for_is_over_for_all(sides):
    own, other = sides
    doorway = Doorway(other, {})
    caller, connection = socket.socketpair()
    for kind in (MLLP, HTTP):
        assert hand_over(own, kind, connection)
    connection.close()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(own.fileno())
    os.close(free)

    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        await doorway.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    assert own.recv(9) == MLLP + HTTP
    assert caller.recv(1) == b""
    caller.close()


async def test_however_many_connections_end_while_nobody_listens_each_is_heard_of(sides):
    own, other = sides
    ends = []

    async def adopt(connection, ended):
        connection.close()
        ends.append(ended)

    doorway = Doorway(other, {MLLP: adopt})
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
