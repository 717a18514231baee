"""`fhir-hub send` against a receiver on a socket."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import parts
import pytest
import trustme

from fhir_hub.hl7v2.wire.listener import Listener, everyone
from fhir_hub.hl7v2.wire.mllp import Block, Framer, frame


@contextmanager
def receiver(ack_code: str, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A receiver in a thread that answers every message with `ack_code`; yields its port."""
    ports: list[int] = []
    started = threading.Event()
    loop = asyncio.new_event_loop()
    end = asyncio.Event()

    async def answer(block: Block) -> bytes:
        control_id = block.raw.split(b"\r")[0].split(b"|")[9]
        return b"MSH|^~\\&|B||A||2024||ACK|1|P|2.4\rMSA|%s|%s\r" % (ack_code.encode(), control_id)

    async def serve() -> None:
        async with Listener(everyone(answer), tls=tls) as listener:
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


def test_the_answer_is_shown_whole_if_asked_for(run, first):
    with receiver("AA") as port:
        ended = run("send", first, "--to", f"mllp://127.0.0.1:{port}", "--answer")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[1:] == [
        "MSH|^~\\&|B||A||2024||ACK|1|P|2.4",
        "MSA|AA|ZJJ20250310083015001",
        "",
        "1 message: 1 accepted, 0 not",
    ]


def test_a_message_that_is_refused_ends_with_1(run, first):
    with receiver("AE") as port:
        ended = run("send", first, "--to", f"mllp://localhost:{port}")

    assert ended.code == 1
    assert ended.out.splitlines()[-1] == "1 message: 0 accepted, 1 not"


@contextmanager
def receiver_of_two_minds(codes: list[str], heard: list[str]) -> Iterator[int]:
    """A receiver in enhanced mode: CA, then one of `codes`, and no more before that is answered."""

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            framer, waiting, at = Framer(1 << 20), list(codes), 0
            while data := connection.recv(1 << 16):
                for block in framer.feed(data):
                    fields = block.raw.decode().split("\r")[0].split("|")
                    heard.append(f"{fields[8]} {fields[9] if at % 2 == 0 else ''}".strip())
                    at += 1
                    if at % 2 == 0:
                        continue
                    ack = "MSH|^~\\&|B||A||2024||ACK^A08|{}|P|2.5|||{}|NE\rMSA|{}|" + fields[9]
                    committed, later = ack.format(at, "NE", "CA"), waiting.pop(0)
                    connection.sendall(frame(committed.encode() + b"\r"))
                    if later:
                        connection.sendall(frame(ack.format(f"L{at}", "AL", later).encode()))

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join(parts.PATIENCE_S)


def test_of_a_receiver_in_enhanced_mode_both_acknowledgments_are_shown(run, tmp_path):
    message = "MSH|^~\\&|A|B|C|D|2025||ADT^A08|K{}|P|2.5|||AL|AL\rPID|1\r"
    file, heard = tmp_path / "three.hl7", list[str]()
    file.write_text("".join(map(message.format, range(3))))
    with receiver_of_two_minds(["AA", "AE", ""], heard) as port:
        ended = run("send", file, "--to", f"mllp://127.0.0.1:{port}", "--timeout", 1)

    *shown, summary = [line.removeprefix(str(file)).split() for line in ended.out.splitlines()]
    assert [line[:3] for line in shown] == [
        ["CA", "AA", "K0"],
        ["CA", "AE", "K1"],
        ["CA", "--", "K2"],
    ]
    assert "no application acknowledgment within 1 s" in ended.out
    assert (ended.code, summary) == (1, ["3", "messages:", "1", "accepted,", "2", "not"])
    assert heard == ["ADT^A08 K0", "ACK^A08^ACK", "ADT^A08 K1", "ACK^A08^ACK", "ADT^A08 K2"]


def test_a_file_without_a_message_is_told_and_the_others_are_sent(run, first, tmp_path):
    empty = tmp_path / "empty.hl7"
    empty.write_bytes(b"\x00\xff nothing")
    with receiver("AA") as port:
        ended = run("send", empty, first, "--to", f"mllp://127.0.0.1:{port}")

    assert ended.code == 1
    assert f"{empty}: no HL7v2 message" in ended.err
    assert ended.out.splitlines()[-1] == "1 message: 1 accepted, 0 not"


def test_a_host_where_nobody_listens_is_told(run, first):
    (port,) = parts.free_ports()
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
    assert "BTS-1 says 3, but 2 messages came / BTS-1 为 3，实收 2 条消息" in ended.err
    assert ended.out.splitlines()[-1] == "2 messages: 2 accepted, 0 not"


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """Return the paths of an authority's certificate and of one by it for a client, by name."""
    folder, authority = tmp_path_factory.mktemp("pem"), trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    client = authority.issue_cert("lis.hospital.example")
    client.private_key_and_cert_chain_pem.write_to_path(folder / "lis.pem")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.pem")
    server.verify_mode = ssl.CERT_REQUIRED
    authority.issue_cert("127.0.0.1").configure_cert(server)
    return {"ca": folder / "ca.pem", "lis": folder / "lis.pem", "server": server}


def test_over_tls_both_show_certificates(run, first, pem):
    with receiver("AA", pem["server"]) as port:
        to = f"mllps://127.0.0.1:{port}"
        shown = ("--tls-ca", pem["ca"], "--tls-certificate", pem["lis"])
        ended = run("send", first, "--to", to, *shown)
        without = run("send", first, "--to", to, "--tls-ca", pem["ca"])
        unknown = run("send", first, "--to", to)

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[-1] == "1 message: 1 accepted, 0 not"
    assert without.code == 1
    assert "does he take this certificate?" in without.out
    assert (unknown.code, unknown.out) == (1, "")
    assert f"TLS with 127.0.0.1:{port}" in unknown.err
    assert "self-signed certificate in certificate chain" in unknown.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("mllp://a:1", "--tls-ca", "ca"), "write mllps://"),
        (("mllps://a:1", "--tls-key", "ca"), "give its --tls-certificate"),
        (("mllps://a:1", "--tls-certificate", "ca"), "no certificate with its key in PEM"),
        (("mllps://a:1", "--tls-ca", "message"), "no certificates in PEM"),
    ],
)
def test_files_of_tls_that_cannot_be_used_are_wrong_usage(run, first, pem, words, told):
    files = {"ca": pem["ca"], "message": first}
    ended = run("send", first, "--to", *(files.get(word, word) for word in words))

    assert ended.code == 2
    assert told in ended.err
