"""Channels of a hub of two processes, as other people's clients and many idle ones meet them.

Spec: issue D, "two external MLLP clients work"; python-hl7's MLLPClient, mllp_send and its asyncio
client are such.
"""

import asyncio
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import hl7
import httpx
import parts
import pytest
import trustme
from hl7.client import MLLPClient
from hl7.mllp import open_hl7_connection
from whole.running import RunningHub, message

MESSAGES = Path(__file__).parents[2] / "examples" / "messages"
FIRST = message(MESSAGES / "01_ADT_A04_chc_register.hl7")
IDLE = 1000


def named(control_id: str) -> bytes:
    """Return the first message under another control id."""
    return FIRST.replace(b"ZJJ20250310083015001", control_id.encode())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("channels")


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def hub(folder, authority):
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        folder / "hub.pem"
    )
    (folder / "hub.toml").write_text(
        f"""
        [channels.shared]
        match = {{ "MSH-3" = "SHARED" }}
        [channels.secure]
        transport = "mllps"
        port = 0
        certificate = "{folder / "hub.pem"}"
        [channels.web]
        transport = "http"
        [channels.night]
        transport = "folder"
        folder = "{folder / "in"}"
        poll_s = 0.05
        """
    )
    (folder / "in").mkdir()
    arguments = ("--workers", "2", "--config", str(folder / "hub.toml"))
    with RunningHub(f"sqlite:{folder / 'hub.sqlite'}", *arguments) as hub:
        yield hub


def count(hub, channel: str) -> float:
    """Return how many messages of a channel were taken, of all processes."""
    text = hub.get("metrics").text
    head = f'fhir_hub_channel_messages_total{{ack_code="AA",channel="{channel}"}} '
    return sum(float(line[len(head) :]) for line in text.splitlines() if line.startswith(head))


def test_python_hl7s_client_is_answered(hub):
    with MLLPClient("127.0.0.1", hub.ready["mllp"]) as client:
        for number in range(3):
            answer = client.send_message(named(f"HL7-{number}").decode())
            assert answer.startswith(b"\x0bMSH|")
            assert f"MSA|AA|HL7-{number}".encode() in answer


def test_mllp_send_is_answered(hub, tmp_path):
    file = tmp_path / "message.hl7"
    file.write_bytes(b"\x0b" + named("SENT") + b"\x1c\r")
    port = str(hub.ready["mllp"])
    script = "from hl7.client import mllp_send; mllp_send()"
    done = subprocess.run(
        [sys.executable, "-c", script, "-p", port, "-f", str(file), "127.0.0.1"],
        capture_output=True,
        timeout=parts.PATIENCE_S,
    )
    assert b"MSA|AA|SENT" in done.stdout, done.stderr


async def test_python_hl7s_asyncio_client_is_answered_over_tls(hub, authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    port = hub.ready["channels"]["secure"]
    reader, writer = await open_hl7_connection("127.0.0.1", port, ssl=context, encoding="utf-8")
    writer.writemessage(hl7.parse(named("TLS").decode()))
    await writer.drain()
    answer = await asyncio.wait_for(reader.readmessage(), parts.PATIENCE_S)
    assert str(answer.segment("MSA")) == "MSA|AA|TLS"
    writer.close()
    await writer.wait_closed()


def test_every_way_in_works_in_several_processes_and_is_counted(hub, folder):
    before = {name: count(hub, name) for name in ("shared", "secure", "web", "night")}
    with hub.mllp() as client:
        shared = named("SHARED-1").replace(FIRST.split(b"|")[2], b"SHARED", 1)
        assert b"MSA|AA|SHARED-1" in client.send(shared)
    home = hub.fhir.removesuffix("/fhir")
    web = httpx.post(
        f"{home}/hl7v2/web",
        content=named("WEB"),
        headers={"content-type": "application/hl7-v2"},
        verify=False,
        timeout=parts.PATIENCE_S,
    )
    assert (web.status_code, b"MSA|AA|WEB" in web.content) == (200, True)
    (folder / "in" / "a.tmp").write_bytes(named("NIGHT"))
    (folder / "in" / "a.tmp").replace(folder / "in" / "a.hl7")
    while not (folder / "in" / "done" / "a.hl7").exists():
        hub.get("health/live")
    assert b"MSA|AA|NIGHT" in (folder / "in" / "done" / "a.hl7.ack").read_bytes()
    for name in ("shared", "web", "night"):
        assert count(hub, name) == before[name] + 1
    assert hub.ready["channels"]["shared"] == hub.ready["mllp"]
    assert hub.get("health/ready").status_code == 200


def test_a_thousand_idle_connections_and_half_a_message_hold_up_nobody(hub):
    idle = []
    try:
        for number in range(IDLE):
            one = socket.create_connection(
                ("127.0.0.1", hub.ready["mllp"]), timeout=parts.PATIENCE_S
            )
            idle.append(one)
            if number % 10 == 0:
                one.sendall(b"\x0b" + FIRST[:100])
        with hub.mllp() as client:
            assert b"MSA|AA|BUSY" in client.send(named("BUSY"))
        assert idle[-1].fileno() >= 0
        for one in (idle[0], idle[500]):
            one.sendall(named("LATE")[100:] + b"\x1c\r")
            assert b"MSA|AA" in one.recv(4096)
    finally:
        for one in idle:
            one.close()
