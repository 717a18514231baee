"""What a sender is still to be told goes to `ack_to`: once, in order, over TLS if that is asked.

Spec: HL7v2 chapter 2, 2.9.3
"""

import asyncio
import ssl
from functools import partial

import parts
import pytest
import trustme
from channel_parts import adt, held_until

from fhir_hub.hl7v2.wire.listener import Listener, everyone
from fhir_hub.hl7v2.wire.sender import read_answer
from fhir_hub.settings import InvalidSettings

message = partial(adt, msh_15="AL", msh_16="AL")


class Crash(BaseException):
    """The power goes."""


class Receiver:
    """Where late acknowledgments go: takes them, or is not there yet."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.got: list[bytes] = []
        self.listener = Listener(everyone(self._take), tls=tls)

    async def _take(self, block):
        self.got.append(block.raw)
        number = block.raw.split(b"|")[9].decode()
        return adt("R1", msh_9="ACK").replace(b"PID|1||T1", b"MSA|CA|" + number.encode())


@pytest.mark.parametrize("moment", ["before it is done", "before it is told"])
async def test_after_a_crash_the_application_acknowledgment_is_told_once(start, tmp_path, moment):
    """The connection is gone with the process that had it: `ack_to` hears it."""
    url = f"sqlite:{tmp_path / 'hub.sqlite'}"
    there = Receiver()
    await there.listener.start()
    to = f"mllp://127.0.0.1:{there.listener.port}"
    channels = {"mllp": {"ack_mode": "enhanced", "ack_to": to}}
    stuck = asyncio.Event()

    def around(take):
        async def untold(*way):
            await take(*way)
            await stuck.wait()

        return untold

    async with start(url=url, around=around, channels=channels, drain_s=0.01) as ways:
        ways.seen.fault = Crash() if moment == "before it is done" else None
        client = await ways.connect()
        assert read_answer(await client.send(message())).ack_code == "CA"
        await ways.seen.came.wait()
    assert there.got == []

    async with start(url=url, channels=channels) as ways:
        await ways.receiver.replay()
        for _ in range(3):
            await ways.intake.pay()
        assert [read_answer(raw)[:2] for raw in there.got] == [("C1", "AA")]
        assert await ways.kept() == [("mllp", "done")]
    await there.listener.close()


async def test_where_nobody_answers_it_is_tried_again(start, tmp_path):
    (port,) = parts.free_ports()
    channels = {"mllp": {"ack_mode": "enhanced", "ack_to": f"mllp://127.0.0.1:{port}"}}

    def around(take):
        async def gone(*way):
            answer = await take(*way)
            ways.clients[0].writer.transport.abort()
            await ended.wait()
            return answer

        return gone

    ended = asyncio.Event()
    async with start(around=around, channels=channels) as ways:
        client = await ways.connect()
        client.writer.write(b"\x0b" + message() + b"\x1c\r")
        await ways.seen.came.wait()
        while ways.intake.connections and not client.writer.transport.is_closing():
            await asyncio.sleep(0)
        ended.set()
        await ways.intake.close()
        for _ in range(2):
            await ways.intake.pay()
        assert len(await ways.backend.journal.owed()) == 1
        again = Receiver()
        await again.listener.start(port=port)
        for _ in range(2):
            await ways.intake.pay()
        assert [read_answer(raw)[:2] for raw in again.got] == [("C1", "AA")]
        assert await ways.backend.journal.owed() == []
        await again.listener.close()


def commit(told, code="CA"):
    """Return the sender's acknowledgment of what it was told."""
    number = told.split(b"\r")[0].split(b"|")[9].decode()
    text = f"MSA|{code}|{number}"
    return adt("K1", msh_9="ACK").replace(b"PID|1||T1", text.encode())


async def test_what_a_sender_that_acknowledges_did_not_acknowledge_is_told_again(start):
    """Whether its system got what was written to a connection that ended nobody else knows."""
    there = Receiver()
    await there.listener.start()
    to = f"mllp://127.0.0.1:{there.listener.port}"
    channels = {"mllp": {"ack_mode": "enhanced", "ack_to": to}}
    async with start(channels=channels) as ways:
        client = await ways.connect()
        await client.send(message("C1"))
        await client.send_only(commit(await client.answer()))
        assert read_answer(await client.send(message("C2"))).ack_code == "CA"
        told = await client.answer()
        client.writer.close()
        while ways.intake.connections:
            await asyncio.sleep(0)
        for _ in range(2):
            await ways.intake.pay()

        assert there.got == [told]  # with the same control id, so that it can know
        assert await ways.backend.journal.owed() == []
    await there.listener.close()


async def owe(ways):
    """Have the end of the message C2 owed to a sender that is gone."""
    client = await ways.connect()
    await client.send(message("C1"))
    await client.send_only(commit(await client.answer()))
    await client.send(message("C2"))
    await client.answer()
    client.writer.close()
    while ways.intake.connections:
        await asyncio.sleep(0)


async def test_over_tls_it_goes_to_who_shows_the_right_certificate_alone(
    start, authority, tmp_path
):
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    authority.configure_trust(theirs)
    theirs.verify_mode = ssl.CERT_REQUIRED  # and that of the hub too
    there = Receiver(theirs)
    await there.listener.start()
    ca, own = tmp_path / "ca.pem", tmp_path / "own.pem"
    trustme.CA().cert_pem.write_to_path(ca)
    authority.issue_cert("hub.example").private_key_and_cert_chain_pem.write_to_path(own)
    to = f"mllps://127.0.0.1:{there.listener.port}"
    lab = {"ack_mode": "enhanced", "ack_to": to, "tls_ca": ca, "tls_certificate": own}
    async with start(channels={"mllp": lab}) as ways:
        await owe(ways)
        await ways.intake.pay()
        assert there.got == []
        [line] = ways.seen.lines
        assert line["event"] == "answer_not_delivered"
        assert "TLS with 127.0.0.1:" in str(line["fault"])

        ca.write_text("no certificate")
        await ways.intake.pay()
        authority.cert_pem.write_to_path(ca)  # it was renewed: that holds from now on
        await ways.intake.pay()
        assert [read_answer(raw)[:2] for raw in there.got] == [("C2", "AA")]
        assert await ways.backend.journal.owed() == []
        assert "TLS files cannot be used" in str(ways.seen.lines[1]["fault"])
    await there.listener.close()


@pytest.mark.parametrize(
    ("to", "files", "problem"),
    [
        ("mllps://127.0.0.1:1", {"tls_ca": "none.pem"}, "tls_ca: there is no file "),
        ("mllps://127.0.0.1:1", {"tls_ca": "bad.pem"}, "tls_ca: cannot be used: "),
        ("mllp://127.0.0.1:1", {"tls_ca": "bad.pem"}, "ack_to: tls_ca: for mllps:// only"),
    ],
)
async def test_what_cannot_be_used_for_tls_stops_the_start(start, tmp_path, to, files, problem):
    (tmp_path / "bad.pem").write_text("no certificate")
    own = {name: tmp_path / file for name, file in files.items()}
    with pytest.raises(InvalidSettings) as raised:
        async with start(channels={"lab": {"port": 0, "ack_to": to, **own}}):
            pass
    assert str(raised.value).startswith(f"channels.lab.{problem}")


async def test_what_is_owed_is_delivered_in_order_and_what_is_refused_holds_up_nothing(start):
    codes = iter(["AR", "", "CA", "CA"])
    got = []

    async def take(block):
        got.append(read_answer(block.raw).control_id)
        code = next(codes)
        return commit(block.raw, code) if code else b""

    there = Listener(everyone(take))
    await there.start()
    to = f"mllp://127.0.0.1:{there.port}"
    channels = {"mllp": {"ack_mode": "enhanced", "ack_to": to}}
    gone = asyncio.Event()

    async with start(around=held_until(gone), channels=channels) as ways:
        client = await ways.connect()
        for control_id in ("C1", "C2", "C3"):
            assert read_answer(await client.send(message(control_id))).ack_code == "CA"
        client.writer.transport.abort()
        (caller_gone,) = [ways.intake.connections]
        assert caller_gone == 1
        gone.set()
        while ways.intake.connections:
            await asyncio.sleep(0)
        paying = asyncio.create_task(ways.intake.pay())
        while len(got) < 2:
            await asyncio.sleep(0)
        await there.close()  # C2 is not answered
        await paying
        assert (got, len(await ways.backend.journal.owed())) == (["C1", "C2"], 2)

        again = Listener(everyone(take))
        await again.start(port=int(to.rpartition(":")[2]))
        await ways.intake.pay()
        assert got == ["C1", "C2", "C2", "C3"]
        assert await ways.backend.journal.owed() == []
        await again.close()
