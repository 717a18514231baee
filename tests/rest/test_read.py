"""Read and vread, as a client sees them.

Spec: https://hl7.org/fhir/R4/http.html#read and #vread
"""

import pytest


@pytest.fixture
async def patient(client, clock):
    """A Patient of two versions, `Patient/a1`."""
    await client.post("Patient", json={"resourceType": "Patient", "gender": "female"})
    clock.tick()
    await client.put("Patient/a1", json={"resourceType": "Patient", "id": "a1", "active": True})


@pytest.mark.usefixtures("patient")
async def test_read_answers_the_current_version(client):
    answer = await client.get("Patient/a1")

    assert (answer.status_code, answer.headers["ETag"]) == (200, 'W/"2"')
    assert answer.headers["Last-Modified"] == "Thu, 29 Feb 2024 10:00:01 GMT"
    assert "gender" not in answer.json()


@pytest.mark.usefixtures("patient")
async def test_vread_answers_an_old_version(client):
    answer = await client.get("Patient/a1/_history/1")

    assert (answer.status_code, answer.headers["ETag"]) == (200, 'W/"1"')
    assert answer.json()["gender"] == "female"


@pytest.mark.usefixtures("patient")
async def test_head_answers_as_get_without_the_body(client):
    answer = await client.head("Patient/a1")

    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 50


@pytest.mark.parametrize(
    "address",
    ["Patient/none", *(f"Patient/a1/_history/{name}" for name in ("3", "x", "0", "01", "+1"))],
)
@pytest.mark.usefixtures("patient")
async def test_what_never_was_is_not_found(client, address):
    answer = await client.get(address)

    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (404, "not-found")


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("Pateint", "did you mean Patient?"),
        ("patient/1", "did you mean Patient?"),
        ("Pateint/1/_history/1", "did you mean Patient?"),
        ("Xyzzy", "(they are case-sensitive); see /metadata"),
    ],
)
async def test_of_a_type_that_r4_does_not_have_the_nearest_is_named(client, address, hint):
    answer = await client.get(address)

    (issue,) = answer.json()["issue"]
    assert (answer.status_code, issue["code"]) == (404, "not-found")
    assert issue["diagnostics"].startswith("the address names no resource type of R4")
    assert issue["diagnostics"].endswith(hint)


@pytest.mark.usefixtures("patient")
async def test_what_was_deleted_is_gone_and_its_old_versions_are_not(client):
    await client.delete("Patient/a1")

    assert (await client.get("Patient/a1")).status_code == 410
    assert (await client.get("Patient/a1/_history/3")).status_code == 410
    assert (await client.get("Patient/a1/_history/2")).status_code == 200


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("If-None-Match", 'W/"2"', 304),
        ("If-None-Match", 'W/"1", W/"2"', 304),
        ("If-None-Match", 'W/"1"', 200),
        ("If-None-Match", "*", 304),
        ("If-Modified-Since", "Thu, 29 Feb 2024 10:00:01 GMT", 304),
        ("If-Modified-Since", "Thu, 29 Feb 2024 10:00:00 GMT", 200),
        ("If-Modified-Since", "Thu, 29 Feb 2024 10:00:01 -0000", 304),
        ("If-Modified-Since", "yesterday", 200),
    ],
)
@pytest.mark.usefixtures("patient")
async def test_a_client_that_has_it_gets_304(client, header, value, status):
    answer = await client.get("Patient/a1", headers={header: value})

    assert answer.status_code == status
    assert bool(answer.content) == (status == 200)


@pytest.mark.usefixtures("patient")
async def test_a_read_refuses_a_parameter_that_it_does_not_know(client):
    assert (await client.get("Patient/a1?name=x")).status_code == 400


async def test_elements_and_summary_answer_parts_that_say_so(client):
    await client.post(
        "Observation",
        json={
            "resourceType": "Observation",
            "text": {
                "status": "generated",
                "div": '<div xmlns="http://www.w3.org/1999/xhtml">c</div>',
            },
            "status": "final",
            "code": {"text": "c"},
            "valueString": "v",
            "note": [{"text": "n"}],
            "component": [{"code": {"text": "d"}, "valueInteger": 1}],
        },
    )

    async def names(query):
        body = (await client.get(f"Observation/a1?{query}")).json()
        assert (body["id"], body["meta"]["tag"][0]["code"]) == ("a1", "SUBSETTED")
        return set(body) - {"resourceType", "id", "meta"}

    assert await names("_elements=note") == {"note", "status", "code"}
    assert await names("_summary=true") == {"status", "code", "valueString", "component"}
    assert await names("_summary=text") == {"text", "status", "code"}
    assert await names("_summary=data") == {"status", "code", "valueString", "note", "component"}
    assert "text" in (await client.get("Observation/a1?_summary=false")).json()
    assert (await client.get("Observation/a1?_summary=some")).status_code == 400
