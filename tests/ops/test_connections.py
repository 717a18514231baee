"""What goes over a connection, byte by byte: answers whole, in order, and closed when asked for.

Spec: RFC 9112, 9.3
"""

import asyncio

import pytest

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
