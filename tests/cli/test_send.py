"""`fhir-hub send` against a receiver on a socket."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import parts
import pytest

from fhir_hub.hl7v2.listener import Listener, everyone
from fhir_hub.hl7v2.mllp import Block


@contextmanager
def receiver(ack_code: str) -> Iterator[int]:
    """A receiver in a thread that answers every message with `ack_code`; yields its port."""
    ports: list[int] = []
    started = threading.Event()
    loop = asyncio.new_event_loop()
    end = asyncio.Event()

    async def answer(block: Block) -> bytes:
        control_id = block.raw.split(b"\r")[0].split(b"|")[9]
        return b"MSH|^~\\&|B||A||2024||ACK|1|P|2.4\rMSA|%s|%s\r" % (ack_code.encode(), control_id)

    async def serve() -> None:
        async with Listener(everyone(answer)) as listener:
            await listener.start()
            ports.append(listener.port)
            started.set()
            await end.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert started.wait(parts.PATIENCE_S)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(parts.PATIENCE_S)
        loop.close()


def test_each_message_is_shown_with_its_acknowledgment(run, first, tmp_path):
    two = tmp_path / "two.hl7"
    two.write_bytes(first.read_bytes() * 2)
    with receiver("AA") as port:
        ended = run("send", first, two, "--to", f"mllp://127.0.0.1:{port}")

    assert (ended.code, ended.err) == (0, "")
    *shown, summary = ended.out.splitlines()
    assert summary == "3 messages: 3 accepted, 0 not"
    assert [line.split()[1:] for line in shown] == [["AA", "ZJJ20250310083015001"]] * 3
    assert shown[0].startswith(str(first))


def test_a_message_that_is_refused_ends_with_1(run, first):
    with receiver("AE") as port:
        ended = run("send", first, "--to", f"mllp://localhost:{port}")

    assert ended.code == 1
    assert ended.out.splitlines()[-1] == "1 message: 0 accepted, 1 not"


def test_a_file_without_a_message_is_told_and_the_others_are_sent(run, first, tmp_path):
    empty = tmp_path / "empty.hl7"
    empty.write_bytes(b"\x00\xff nothing")
    with receiver("AA") as port:
        ended = run("send", empty, first, "--to", f"mllp://127.0.0.1:{port}")

    assert ended.code == 1
    assert f"{empty}: no HL7v2 message" in ended.err
    assert ended.out.splitlines()[-1] == "1 message: 1 accepted, 0 not"


def test_a_host_where_nobody_listens_is_told(run, first):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    ended = run("send", first, "--to", f"mllp://127.0.0.1:{port}")

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"fhir-hub: nobody answers at 127.0.0.1:{port}")


@pytest.mark.parametrize(
    "to", ["127.0.0.1:2575", "http://a:1", "mllp://a", "mllp://a:0", "mllp://a:99999", "mllp://:1"]
)
def test_an_address_that_is_none_is_wrong_usage(run, first, to):
    ended = run("send", first, "--to", to)

    assert ended.code == 2
    assert "write mllp://HOST:PORT" in ended.err


def test_a_missing_file_is_wrong_usage(run):
    assert run("send", "none.hl7", "--to", "mllp://a:1").code == 2


def test_a_batch_whose_count_is_wrong_is_sent_and_told(run, first, tmp_path):
    batch = tmp_path / "batch.hl7"
    batch.write_bytes(b"BHS|^~\\&\r" + first.read_bytes() * 2 + b"BTS|3\r")
    with receiver("AA") as port:
        ended = run("send", batch, "--to", f"mllp://127.0.0.1:{port}")

    assert ended.code == 1
    assert "BTS-1 says 3, but 2 messages came" in ended.err
    assert ended.out.splitlines()[-1] == "2 messages: 2 accepted, 0 not"
