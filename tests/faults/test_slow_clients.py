"""Clients that send a byte now and then, or take no answer: they are cut off, others are not.

And a disk without room, on the same hub. Spec: RFC 9110, 15.5.9 (408 Request Timeout)
"""

import contextlib
import json
import re
import resource
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import parts
import pytest
from whole.test_durability import oru


def connect(hub) -> socket.socket:
    port = urlsplit(hub.fhir).port
    return socket.create_connection(("127.0.0.1", port), timeout=parts.PATIENCE_S)


def drip(connection: socket.socket, content: bytes, stop: threading.Event) -> None:
    """Send a byte every 50 ms, for ever; or nothing."""
    with contextlib.suppress(OSError):
        while content and not stop.wait(0.05):
            connection.sendall(content)


def answer(connection: socket.socket) -> bytes:
    """Return what comes until the hub closes the connection."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


PAGE = b"POST /hl7v2 HTTP/1.1\r\nhost: x\r\ncontent-type: application/hl7-v2\r\n"
HEAD = b"POST /fhir/Patient HTTP/1.1\r\nhost: x\r\ncontent-type: application/fhir+json\r\n"


# what is sent at once, what then comes byte by byte, and the status of the last answer
ENDLESS = {
    "nothing": (b"", b"", b""),
    "headers": (b"GET /fhir/metadata HTTP/1.1\r\nhost: x\r\nx: ", b"y", b"408"),
    "body": (HEAD + b"content-length: 100000\r\n\r\n{", b" ", b"503"),
    "body of another page": (PAGE + b"content-length: 90000\r\n\r\nMSH", b"|", b""),
    "headers of a second request": (HEAD + b"content-length: 2\r\n\r\n{}" + HEAD, b"x", b"408"),
}


def cut_off(hub, begun: bytes, dripped: bytes) -> bytes:
    """Return what is answered until the hub closes the connection, however much still comes."""
    stop = threading.Event()
    with connect(hub) as connection:
        connection.sendall(begun)
        thread = threading.Thread(target=drip, args=(connection, dripped, stop))
        thread.start()
        try:
            return answer(connection)
        finally:
            stop.set()
            thread.join()


@pytest.fixture(scope="module")
def told(hub):
    """What each of them is told; they wait together."""
    with ThreadPoolExecutor(len(ENDLESS)) as pool:
        answers = pool.map(lambda one: cut_off(hub, *one[:2]), ENDLESS.values())
        return dict(zip(ENDLESS, answers, strict=True))


@pytest.mark.parametrize("name", ENDLESS)
def test_a_request_that_does_not_end_is_cut_off(hub, told, name):
    status = ENDLESS[name][2]
    found = re.findall(rb"HTTP/1.1 (\d+)", told[name])
    assert found[-1:] == [status][: bool(status)], told[name]
    hub.get("health/live")


GET = b"GET /fhir/Patient?name=%b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n%b\r\n"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01", b"400"),
        (b"HELLO\r\n\r\n", b"400"),
        (HEAD + b"content-length: -1\r\n\r\n", b"400"),
        (GET % (b"x" * 70_000, b""), b"414"),
        (GET % (b"x", b"x: %b\r\n" % (b"y" * 140_000)), b"431"),
        (GET % (b"x", b"x: y\r\n" * 40_000), b"431"),
        (GET % (b"x", b"x: y\r\n" * 22_000), b"431"),
        (b"GET /fhir/Patient HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 600_000, b"431"),
        (GET % (b"x" * 60_000, b"x: %b\r\n" % (b"y" * 60_000)), b"200"),
        (b"GET /fhir/Patient?_count=0 HTTP/1.1\r\nconnection: close\r\n\r\n", b"400"),
        (GET % (b"x", b"host: y\r\n"), b"400"),
        (b"GET /fhir/Patient?_count=0 HTTP/1.0\r\n\r\n", b"200"),
    ],
    ids=[
        *("TLS", "line", "length", "address", "header", "headers"),
        *("fewer headers", "no end", "large"),
        *("no host", "two hosts", "HTTP/1.0"),
    ],
)
def test_what_is_no_request_or_too_large_is_told_so(hub, content, status):
    with connect(hub) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(content)
        told = answer(connection)

    head, _, body = told.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == status
    assert b"application/fhir+json" in head
    kind = "Bundle" if status == b"200" else "OperationOutcome"
    assert json.loads(body)["resourceType"] == kind


def test_an_address_with_bare_characters_is_told_how_to_write_them(hub):
    with connect(hub) as connection:
        connection.sendall("GET /fhir/Patient?name=沈 HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        told = answer(connection)

    issue = json.loads(told.partition(b"\r\n\r\n")[2])["issue"][0]
    assert issue["diagnostics"] == (
        "the address has characters that must be percent-encoded: 沈 is %E6%B2%88"
        " (curl -G --data-urlencode)"
    )
    assert "地址中的汉字须经百分号编码" in issue["details"]["text"]


def test_a_request_in_pieces_that_ends_in_time_is_answered(hub):
    body = b'{"resourceType":"Patient"}'
    request = HEAD + b"content-length: %d\r\n\r\n" % len(body) + body
    with connect(hub) as connection:
        for _ in range(2):
            for place in range(0, len(request), 9):
                connection.sendall(request[place : place + 9])
            told = b""
            while not told.endswith(b'"}}'):
                told += connection.recv(65536)
            assert told.startswith(b"HTTP/1.1 201")


def test_a_client_that_takes_no_answer_holds_nothing_for_long(hub):
    with hub.client() as client:
        for number in range(4):
            body = {"resourceType": "Basic", "id": f"big{number}", "code": {"text": "x" * 900_000}}
            assert client.put(f"Basic/big{number}", json=body).status_code in (200, 201)
    with connect(hub) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /fhir/Basic HTTP/1.1\r\nhost: x\r\n\r\n" * 4)
        until(lambda: is_held(hub, connection), "the hub does not take the connection")
        until(lambda: not is_held(hub, connection), "the connection is still there")


def until(is_so: Callable[[], bool], otherwise: str) -> None:
    deadline, pause = time.monotonic() + 120, threading.Event()
    while not is_so():
        assert time.monotonic() < deadline, otherwise
        pause.wait(0.1)


def is_held(hub, connection: socket.socket) -> bool:
    """Say whether the hub has its end of a connection open, as the kernel knows it."""
    ports = (urlsplit(hub.fhir).port, connection.getsockname()[1])
    for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]:
        words = line.split()
        found = tuple(int(word.rpartition(":")[2], 16) for word in words[1:3])
        if found == ports and words[9] != "0":
            return True
    return False


def limit(hub, size: int) -> None:
    """Let no file of the hub be written beyond `size`: what a full disk is to who writes."""
    resource.prlimit(hub.ready["pid"], resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_full_disk_refuses_writes_and_messages_and_the_hub_goes_on_when_there_is_room(hub):
    with hub.client() as client, hub.mllp() as mllp:
        patient = {"resourceType": "Patient", "name": [{"family": "沈"}]}
        while (stored := client.post("Patient", json=patient)).status_code == 503:
            pass  # a busy machine is slower than the hub's patience
        first = stored.json()
        before = versions(client)
        limit(hub, 1)
        try:
            refused = client.post("Patient", json=patient)
            assert (refused.status_code, refused.json()["issue"][0]["code"]) == (503, "transient")
            assert b"MSA|AE|K1" in mllp.send(oru(1))
            entry = {"resource": patient, "request": {"method": "POST", "url": "Patient"}}
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry] * 3}
            assert client.post("", json=bundle).status_code == 503
            until(lambda: "not writable" in ready(hub), "the hub says that it is ready")
            assert client.get(f"Patient/{first['id']}").json() == first
            assert versions(client) == before
        finally:
            limit(hub, resource.RLIM_INFINITY)
        until(lambda: client.post("", json=bundle).status_code == 200, "no bundle is taken again")
        until(lambda: ready(hub) == "ok", "the hub does not say that it is ready again")
        for _ in range(2):
            until(lambda: b"MSA|AA|K1" in mllp.send(oru(1)), "no message is taken again")
        assert client.get("DiagnosticReport?identifier=F1&_count=0").json()["total"] == 1
        assert versions(client) > before + 3


def ready(hub) -> str:
    """Return what the hub says of its store."""
    url = f"{hub.fhir.removesuffix('/fhir')}/health/ready"
    return httpx.get(url, verify=False, timeout=parts.PATIENCE_S).json()["store"]


def versions(client) -> int:
    return len(client.get("_history?_count=1000").json()["entry"])
