"""What goes over a connection, byte by byte: answers whole, in order, and closed when asked for.

Spec: RFC 9112, 9.3
"""

import asyncio

import pytest

from fhir_hub.server import Front

BASIC = {"resourceType": "Basic", "code": {"text": "note"}}
PATIENT = b'{"resourceType": "Patient", "id": "p", "active": true}'


def asked(method: bytes, path: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    length = b"content-length: %d\r\ncontent-type: application/fhir+json\r\n" % len(body)
    return b"%b %b HTTP/%b\r\nhost: hub\r\n%b\r\n%b" % (method, path, version, length, body)


async def read_answer(reader: asyncio.StreamReader, *, has_body: bool = True):
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:-2])
    size = int(headers.get("content-length", 0)) if has_body else 0
    return int(head[0].split()[1]), headers, await reader.readexactly(size)


async def test_what_is_asked_in_one_packet_is_answered_in_order(start):
    requests = [
        asked(b"PUT", b"/fhir/Patient/p", PATIENT),
        asked(b"GET", b"/fhir/Patient/p"),
        asked(b"HEAD", b"/fhir/Patient/p"),
        asked(b"GET", b"/fhir/Patient/none"),
        asked(b"DELETE", b"/fhir/Patient/p"),
        asked(b"GET", b"/fhir/Patient?active=true"),
    ]
    async with start() as hub:
        port = int(hub.home.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"".join(requests))
        answers = [
            await read_answer(reader, has_body=not request.startswith(b"HEAD"))
            for request in requests
        ]
        writer.write(asked(b"GET", b"/fhir/Patient?_count=0", version=b"1.0"))
        last = await read_answer(reader)
        rest = await reader.read()
        writer.close()

    assert [status for status, _, _ in answers] == [201, 200, 200, 404, 204, 200]
    assert answers[1][2] == answers[0][2]
    assert int(answers[2][1]["content-length"]) == len(answers[1][2])
    assert "content-length" not in answers[4][1]
    assert all({"date", "x-request-id"} <= headers.keys() for _, headers, _ in answers)
    assert (last[1]["connection"], rest) == ("close", b"")


@pytest.mark.parametrize("size", [1000, 400_000])
async def test_an_answer_of_any_size_comes_whole(start, size):
    note = b'{"resourceType": "Basic", "code": {"text": "%b"}}' % (b"x" * size)
    async with start() as hub:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(hub.home.rpartition(":")[2])
        )
        writer.write(asked(b"POST", b"/fhir/Basic", note))
        status, _, body = await read_answer(reader)
        writer.close()

    assert status == 201
    assert body.count(b"x") >= size


async def test_any_number_of_reads_behind_a_write_are_answered(start):
    many = 1500
    read = b"GET /fhir/Patient/p HTTP/1.1\r\nhost: hub\r\n\r\n"
    async with start() as hub:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(hub.home.rpartition(":")[2])
        )
        writer.write(asked(b"PUT", b"/fhir/Patient/p", PATIENT) + read * many)
        answers = [await read_answer(reader) for _ in range(1 + many)]
        writer.close()

    assert [status for status, _, _ in answers] == [201] + [200] * many


async def test_others_have_their_turn_between_the_reads_of_one_packet(start):
    many, turns = 500, 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with start() as hub:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(hub.home.rpartition(":")[2])
        )
        writer.write(asked(b"PUT", b"/fhir/Patient/p", PATIENT))
        await read_answer(reader)
        beside = asyncio.create_task(other())
        writer.write(asked(b"GET", b"/fhir/Patient/p") * many)
        await read_answer(reader)
        first = turns
        for _ in range(many - 1):
            await read_answer(reader)
        beside.cancel()
        writer.close()

    assert turns - first >= many // 2


async def test_a_reading_that_has_to_wait_goes_on_in_a_task(start, tmp_path):
    async with start(store=f"sqlite:{tmp_path}/hub.sqlite") as hub, hub.client() as client:
        made = (await client.post("/fhir/Basic", json=BASIC)).json()
        answer = await client.get("/fhir/_history?_since=2024")  # read in a thread

    assert [entry["resource"]["id"] for entry in answer.json()["entry"]] == [made["id"]]


async def test_a_reading_that_was_begun_and_waits_too_long_gets_503():
    seen, sent = [], []

    async def endless(scope, receive, send):
        await asyncio.Event().wait()

    async def send(event):
        sent.append(event)

    front = Front(endless, None, 0.01, seen.append, is_prompt=True)
    rest = front.begin({"method": "GET", "path": "/fhir/Patient"}, None, send)
    assert rest is not None
    await asyncio.create_task(rest)

    assert sent[0]["status"] == 503
    assert [exchange.status for exchange in seen] == [503]
