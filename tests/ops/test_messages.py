"""`POST /hl7v2`: messages over HTTP, answered by their acknowledgment and a status that fits."""

import asyncio
import gzip

import pytest
from channel_parts import adt

from fhir_hub.store.base import Finish

ER7 = {"content-type": "x-application/hl7-v2+er7"}
CHANNELS = {
    "lab": {"transport": "http", "match": {"MSH-3": "LIS"}, "processing_ids": "P"},
    "far": {"transport": "http", "allow": "10.0.0.0/8", "match": {"MSH-3": "FAR"}},
    "small": {"transport": "http", "match": {"MSH-3": "S"}, "max_message_bytes": 1024},
}


@pytest.fixture
async def hub(start):
    async with start(channels=CHANNELS) as hub:
        yield hub


@pytest.fixture
async def client(hub):
    async with hub.client() as client:
        yield client


async def test_a_message_is_stored_and_its_acknowledgment_answered(client):
    kinds = ["x-application/hl7-v2+er7", "application/hl7-v2", "text/plain; charset=gbk"]
    for number, kind in enumerate(kinds):
        text = adt(f"C{number}").decode()
        raw = text.encode("gbk" if "gbk" in kind else "utf-8")
        answer = await client.post("/hl7v2", content=raw, headers={"content-type": kind})

        assert (answer.status_code, f"MSA|AA|C{number}" in answer.text) == (200, True)
        assert "hl7-v2" in answer.headers["content-type"]
    found = (await client.get("/fhir/Patient", params={"name": "沈桂芳"})).json()
    assert found["total"] == 1
    framed = b"\x0b" + adt("C9") + b"\x1c\r"
    assert b"MSA|AA|C9" in (await client.post("/hl7v2", content=framed, headers=ER7)).content
    frames = framed.replace(b"C9", b"C10") + framed.replace(b"C9", b"C11")
    answer = (await client.post("/hl7v2", content=frames, headers=ER7)).content
    assert (b"MSA|AA|C10" in answer, b"MSA|AA|C11" in answer) == (True, True)


async def test_a_body_may_be_compressed_and_is_limited_as_it_is_unpacked(hub, client):
    async def post(content, coding, path="/hl7v2"):
        packed = gzip.compress(content) if coding == "gzip" else content
        answer = await client.post(
            path, content=packed, headers={**ER7, "content-encoding": coding}
        )
        return answer.status_code, answer.content

    status, answer = await post(adt(), "gzip")
    assert (status, b"MSA|AA|C1" in answer) == (200, True)
    assert (await hub.hub.backend.journal.recent())[0].message.raw == adt()
    assert (await post(adt("C2"), "br"))[0] == 415
    assert (await post(b"\0" * 2000, "gzip", "/hl7v2/small"))[0] == 413
    broken = {**ER7, "content-encoding": "gzip"}
    assert (await client.post("/hl7v2", content=adt("C3"), headers=broken)).status_code == 400
    assert len(await hub.hub.backend.journal.recent()) == 1


async def test_channels_have_addresses_and_shares(hub, client):
    lab, every = adt("C1", msh_3="LIS"), adt("C2")
    assert (await client.post("/hl7v2/lab", content=lab, headers=ER7)).status_code == 200
    assert (await client.post("/hl7v2", content=lab, headers=ER7)).status_code == 200
    assert (await client.post("/hl7v2", content=every, headers=ER7)).status_code == 200
    assert (await client.post("/hl7v2/http", content=every, headers=ER7)).status_code == 200
    kept = await hub.hub.backend.journal.recent()
    assert [one.message.channel for one in kept] == ["http", "lab"]
    metrics = (await client.get("/metrics")).text
    assert 'fhir_hub_channel_messages_total{ack_code="AA",channel="lab"} 2.0' in metrics


REFUSED = [
    ("/hl7v2", b"hello", 400, b"MSA|AR"),
    ("/hl7v2", b"", 400, b"MSA|AR"),
    ("/hl7v2", adt(msh_9="XXX^Y01"), 400, b"MSA|AR|C1"),
    ("/hl7v2", adt(msh_3="LIS", msh_11="T"), 400, b"MSA|AR|C1"),
    ("/hl7v2/lab", adt(), 422, b"MSA|AR|C1"),
    ("/hl7v2/small", adt(msh_3="S") + b"NTE|" + b"x" * 9999, 413, b"MSA|AE|C1"),
    ("/hl7v2/far", adt(msh_3="FAR"), 403, b"OperationOutcome"),
    ("/hl7v2/none", adt(), 404, b"OperationOutcome"),
]


async def test_what_is_not_taken_has_a_status_that_says_so(client):
    for path, raw, status, code in REFUSED:
        answer = await client.post(path, content=raw, headers=ER7)
        assert (answer.status_code, code in answer.content) == (status, True), (path, answer.text)
    assert (await client.post("/hl7v2", content=adt("C5"), headers=ER7)).status_code == 200
    changed = await client.post("/hl7v2", content=adt("C5") + b"NTE|1\r", headers=ER7)
    assert (changed.status_code, b"MSA|AE|C5" in changed.content) == (409, True)
    batch = b"BHS|^~\\&|HIS\r" + adt("C6") + adt("C7", msh_9="XXX^Y01") + b"BTS|2\r"
    answer = await client.post("/hl7v2", content=batch, headers=ER7)
    assert (answer.status_code, answer.content.count(b"\rMSA|")) == (400, 2)
    form = {"content-type": "application/json"}
    assert (await client.post("/hl7v2", content=adt(), headers=form)).status_code == 415
    assert (await client.get("/hl7v2")).status_code == 405


async def test_an_address_with_a_slash_behind_it_is_the_same(client):
    for path in ("/hl7v2/", "/hl7v2/http/"):
        answer = await client.post(path, content=adt(), headers=ER7)
        assert (answer.status_code, b"MSA|AA|C1" in answer.content) == (200, True)


async def test_who_goes_in_the_middle_of_a_body_is_no_fault_of_the_hubs(start, caplog):
    async with start() as hub:
        port = int(hub.home.rpartition(":")[2])
        for path in ("/hl7v2", "/hl7v2/$convert", "/ops/messages/1/$correct"):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            head = f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\n\r\nMSH|"
            writer.write(head.encode())
            await writer.drain()
            writer.close()
            await writer.wait_closed()
    assert "Exception in ASGI application" not in caplog.text


async def test_a_fault_of_ours_has_an_outcome_and_is_logged(hub, client, caplog):
    await client.post("/hl7v2", content=adt(), headers=ER7)
    (entered,) = await hub.hub.backend.journal.recent()
    no_such_time = Finish(entered.number, "done", b"", finished=1 << 60, is_again=True)
    await hub.hub.backend.journal.finish(no_such_time)
    answer = await client.get("/ops/messages")
    (issue,) = answer.json()["issue"]
    assert (answer.status_code, issue["code"]) == (500, "exception")
    assert "internal error" in issue["diagnostics"]
    assert "Exception in ASGI application" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/hl7v2", 405, "takes POST"),
        ("PUT", "/hl7v2/lab", 405, "takes POST"),
        ("POST", "/health/live", 405, "takes GET"),
        ("GET", "/nowhere", 404, "/docs"),
    ],
)
async def test_an_address_or_method_that_is_not_there_has_an_outcome(
    client, method, path, status, said
):
    answer = await client.request(method, path)
    (issue,) = answer.json()["issue"]
    assert (answer.status_code, said in issue["diagnostics"]) == (status, True)
    assert "fhir+json" in answer.headers["content-type"]
    assert answer.headers.get("allow", "") == (said.split()[-1] if status == 405 else "")
