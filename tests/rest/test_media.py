"""XML and compression over HTTP, as a client sees them.

Spec: https://hl7.org/fhir/R4/http.html#mime-type and xml.html
"""

import gzip
import zlib

import httpx
import parts
import pytest

from fhir_hub.rest.http import FhirApp

XML, JSON = "application/fhir+xml", "application/fhir+json"
PATIENT = (
    b'<Patient xmlns="http://hl7.org/fhir"><id value="p"/><active value="true"/>'
    b'<text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">'
    b"<div>a <b>b</b></div><br/></div></text></Patient>"
)


@pytest.fixture
async def stored(client):
    answer = await client.put("Patient/p", content=PATIENT, headers={"Content-Type": XML})
    assert answer.status_code == 201, answer.text


@pytest.mark.usefixtures("stored")
async def test_what_came_as_xml_is_read_as_either(client):
    as_json = (await client.get("Patient/p")).json()
    answer = await client.get("Patient/p", headers={"Accept": XML})

    assert (as_json["active"], as_json["text"]["status"]) == (True, "generated")
    assert as_json["text"]["div"].endswith("<div>a <b>b</b></div><br/></div>")
    assert answer.headers["Content-Type"] == "application/fhir+xml; charset=utf-8"
    assert answer.headers["ETag"] == 'W/"1"'
    assert b'<active value="true"/>' in answer.content


@pytest.mark.parametrize(
    ("query", "accept", "is_xml"),
    [
        ("", "application/fhir+json;q=0.5, application/fhir+xml;q=0.9", True),
        ("", "application/xml", True),
        ("", "text/xml, */*;q=0.1", True),
        ("", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("", "*/*", False),
        ("", "*/*, application/fhir+json;q=0", True),
        ("", "*/*, application/fhir+json;fhirVersion=3.0;q=0", False),
        ("?_format=xml", "application/json", True),
        ("?_format=text/xml", "", True),
        ("?_format=application/fhir%2Bxml", "", True),
        ("?_format=application/fhir+xml", "", True),
        ("?_format=json", XML, False),
    ],
)
@pytest.mark.usefixtures("stored")
async def test_the_client_chooses_the_format(client, query, accept, is_xml):
    answer = await client.get(f"Patient/p{query}", headers={"Accept": accept})

    assert answer.status_code == 200
    assert answer.content.startswith(b"<?xml") is is_xml


@pytest.mark.usefixtures("stored")
async def test_bundles_and_errors_come_as_xml_too(client):
    bundle = await client.get("Patient?_format=xml&_pretty=true")
    error = await client.get("Patient?colour=red", headers={"Accept": XML})

    assert b'<Bundle xmlns="http://hl7.org/fhir">\n  <type value="searchset"/>' in bundle.content
    assert b"<div>a <b>b</b></div><br/></div>\n" in bundle.content
    assert (error.status_code, error.content[:5]) == (400, b"<?xml")
    assert b"<OperationOutcome" in error.content


async def test_a_transaction_and_a_patch_may_be_xml(client):
    transaction = (
        b'<Bundle xmlns="http://hl7.org/fhir"><type value="transaction"/><entry><resource>'
        + PATIENT.replace(b' xmlns="http://hl7.org/fhir"', b"")
        + b'</resource><request><method value="PUT"/><url value="Patient/p"/></request></entry>'
        b"</Bundle>"
    )
    patch = (
        b'<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/>'
        b'<part><name value="type"/><valueCode value="delete"/></part>'
        b'<part><name value="path"/><valueString value="Patient.text"/></part></parameter>'
        b"</Parameters>"
    )
    first = await client.post("", content=transaction, headers={"Content-Type": XML})
    second = await client.patch("Patient/p", content=patch, headers={"Content-Type": XML})

    assert first.status_code == 200, first.text
    assert second.status_code == 200, second.text
    assert "text" not in second.json()


@pytest.mark.parametrize(
    "content",
    [
        b"<",
        b'{"resourceType":"Patient"}',
        b'<!DOCTYPE x [<!ENTITY a "b">]>' + PATIENT.replace(b"true", b"&a;"),
        b'<Patient xmlns="http://hl7.org/fhir"><colour value="x"/></Patient>',
        b'<Patient xmlns="http://hl7.org/fhir"><active value="yes"/></Patient>',
        b'<Patient xmlns="http://hl7.org/fhir"><active/></Patient>',
        b'<Patient xmlns="http://hl7.org/fhir">\xff</Patient>',
        b'<Observation xmlns="http://hl7.org/fhir"/>',
        b"<a>" * 3000,
    ],
)
async def test_bad_xml_is_refused(client, content):
    answer = await client.post("Patient", content=content, headers={"Content-Type": XML})

    assert answer.status_code == 400, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"


PLAIN = b'{"resourceType":"Patient","name":[{"text":"' + b"x" * 3000 + b'"}]}'


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP", "identity"])
async def test_a_body_may_be_compressed(client, coding):
    content = PLAIN if coding == "identity" else gzip.compress(PLAIN, mtime=0)
    answer = await client.post("Patient", content=content, headers={"Content-Encoding": coding})

    assert answer.status_code == 201, answer.text
    assert answer.json()["name"][0]["text"] == "x" * 3000


@pytest.mark.parametrize(
    ("content", "coding", "status"),
    [
        (PLAIN, "gzip", 400),
        (gzip.compress(PLAIN, mtime=0)[:-9], "gzip", 400),
        (gzip.compress(PLAIN, mtime=0) + b"more", "gzip", 400),
        (zlib.compress(PLAIN), "deflate", 415),
        (PLAIN, "br", 415),
    ],
)
async def test_a_body_that_cannot_be_unpacked_is_refused(client, content, coding, status):
    answer = await client.post("Patient", content=content, headers={"Content-Encoding": coding})

    assert answer.status_code == status


async def test_a_compressed_body_counts_as_large_as_it_is_unpacked(repository):
    app = FhirApp(parts.service(repository), lambda _: None, max_body_bytes=100_000)
    bomb = gzip.compress(b" " * 50_000_000, mtime=0)
    assert len(bomb) < 100_000
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.test/fhir/") as client:
        answer = await client.post("Patient", content=bomb, headers={"Content-Encoding": "gzip"})

    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("accepted", "is_packed"),
    [("gzip", True), ("br, gzip;q=0.5", True), ("gzip;q=0", False), ("br", False), ("", False)],
)
@pytest.mark.parametrize("address", ["Patient/big", "metadata"])
async def test_a_large_answer_is_compressed_for_who_wants_it(client, address, accepted, is_packed):
    body = {"resourceType": "Patient", "id": "big", "name": [{"text": "x" * 2000}]}
    await client.put("Patient/big", json=body)
    async with client.stream("GET", address, headers={"Accept-Encoding": accepted}) as answer:
        raw = b"".join([part async for part in answer.aiter_raw()])

    assert ("content-encoding" in answer.headers) is is_packed
    assert answer.headers["Content-Length"] == str(len(raw))
    assert b'"resourceType"' in (gzip.decompress(raw) if is_packed else raw)
    assert answer.headers["Vary"] == "accept, accept-encoding"


async def test_a_small_answer_is_not_compressed(client):
    await client.put("Patient/p", json={"resourceType": "Patient", "id": "p"})
    answer = await client.get("Patient/p", headers={"Accept-Encoding": "gzip"})

    assert "content-encoding" not in answer.headers


@pytest.mark.usefixtures("stored")
async def test_head_says_what_get_would_send(client):
    for headers in ({}, {"Accept": XML}):
        head = await client.head("Patient/p", headers=headers)
        get = await client.get("Patient/p", headers=headers)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("Content-Length", "Content-Type", "ETag", "Last-Modified"):
            assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize(
    ("method", "address", "allowed"),
    [
        ("DELETE", "metadata", "GET, HEAD"),
        ("PUT", "Patient/1/_history", "GET, HEAD"),
        ("OPTIONS", "Patient/1/_history", "GET, HEAD"),
        ("TRACE", "metadata", "GET, HEAD"),
    ],
)
async def test_an_address_that_takes_other_methods_names_them(client, method, address, allowed):
    answer = await client.request(method, address)

    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)


@pytest.mark.usefixtures("stored")
async def test_not_modified_has_a_tag_and_no_body(client):
    headers = {"Accept": XML, "If-None-Match": 'W/"1"'}
    answer = await client.get("Patient/p", headers=headers)

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["ETag"] == 'W/"1"'


PDF = {"resourceType": "Binary", "id": "pdf", "contentType": "application/pdf", "data": "JVBERg=="}


@pytest.mark.parametrize("address", ["Binary/pdf", "Binary/pdf/_history/1"])
async def test_a_binary_is_read_as_what_it_holds(client, address):
    await client.put("Binary/pdf", json=PDF)
    for accept in ("application/pdf", "application/*;q=0.1, application/pdf"):
        answer = await client.get(address, headers={"Accept": "application/pdf"})
        head = await client.head(address, headers={"Accept": accept})
        assert (answer.status_code, answer.content) == (200, b"%PDF")
        assert (answer.headers["Content-Type"], answer.headers["ETag"]) == (
            "application/pdf",
            'W/"1"',
        )
    known = await client.get(address, headers={"Accept": "application/pdf", "If-None-Match": "*"})
    as_json = await client.get(address, headers={"Accept": JSON})
    other = await client.get(address, headers={"Accept": "image/png"})
    missing = await client.get("Binary/none", headers={"Accept": "image/png"})
    for number, kind in enumerate(("text/plain;\nX-Evil:1", "text/plain;名")):  # no header
        odd = PDF | {"id": f"odd{number}", "contentType": kind}
        await client.put(f"Binary/odd{number}", json=odd)
        refused = await client.get(f"Binary/odd{number}", headers={"Accept": "text/plain"})
        assert (refused.status_code, "X-Evil" in refused.headers) in ((406, False), (404, False))

    assert (head.status_code, known.status_code, other.status_code) == (200, 304, 406)
    assert (missing.status_code, missing.json()["resourceType"]) == (404, "OperationOutcome")
    assert as_json.json()["data"] == "JVBERg=="


async def test_what_is_sent_to_binary_as_it_is_becomes_one(client):
    await client.put("Patient/p", json={"resourceType": "Patient", "id": "p"})
    headers = {"Content-Type": "image/png", "X-Security-Context": "Patient/p"}
    created = await client.post("Binary", content=b"PNG", headers=headers)
    stored = await client.put("Binary/b", content=gzip.compress(b"text"), headers=PACKED)
    elsewhere = await client.post("Patient", content=b"PNG", headers=headers)
    read = await client.get(created.headers["Location"], headers={"Accept": "image/png"})
    shown = (await client.get("Binary/b", headers={"Accept": JSON})).json()

    assert (created.status_code, stored.status_code, elsewhere.status_code) == (201, 201, 415)
    assert (read.content, read.headers["X-Security-Context"]) == (b"PNG", "Patient/p")
    assert (shown["contentType"], shown["data"]) == ("text/plain; charset=gbk", "dGV4dA==")


PACKED = {"Content-Type": "text/plain; charset=gbk", "Content-Encoding": "gzip"}
