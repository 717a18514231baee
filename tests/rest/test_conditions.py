"""Conditions and wishes of a request: `If-None-Match`, `Prefer`, parameters that are none.

Spec: https://hl7.org/fhir/R4/http.html; RFC 9110, 13.1; RFC 7240
"""

import pytest

PATIENT = {"resourceType": "Patient", "id": "p"}


@pytest.mark.parametrize("tag", ['W/"1"', '"1"', 'W/"9", "1"', "*"])
async def test_a_copy_is_known_by_weak_comparison(client, tag):
    await client.put("Patient/p", json=PATIENT)

    answer = await client.get("Patient/p", headers={"If-None-Match": tag})

    assert (answer.status_code, answer.headers["ETag"]) == (304, 'W/"1"')


@pytest.mark.parametrize(("tag", "status"), [("*", 412), ('W/"1"', 412), ('W/"2"', 200)])
async def test_an_update_that_must_not_find_what_is_there_does_not(client, tag, status):
    first = await client.put("Patient/p", json=PATIENT, headers={"If-None-Match": tag})
    body = PATIENT | {"active": True}
    again = await client.put("Patient/p", json=body, headers={"If-None-Match": tag})

    assert (first.status_code, again.status_code) == (201, status)


@pytest.mark.parametrize(
    "prefer",
    ["return=minimal", "Return=minimal", 'return="minimal"', "handling=strict;return=minimal"],
)
async def test_a_preference_is_read_however_it_is_written(client, prefer):
    answer = await client.put("Patient/p", json=PATIENT, headers={"Prefer": prefer})

    assert (answer.status_code, answer.content) == (201, b"")


async def test_a_header_that_comes_twice_says_both(client):
    headers = [("Prefer", "return=minimal"), ("Prefer", "handling=strict")]

    assert (await client.put("Patient/p", json=PATIENT, headers=headers)).content == b""


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("POST", "Patient?foo=1"),
        ("PUT", "Patient/p?foo=1"),
        ("PATCH", "Patient/p?foo=1"),
        ("DELETE", "Patient/p?foo=1"),
        ("POST", "?foo=1"),
        ("GET", "metadata?foo=1"),
        ("GET", "Patient/p?foo=1"),
        ("GET", "Patient/p/_history?foo=1"),
    ],
)
async def test_a_parameter_that_an_address_does_not_take_is_refused(client, method, address):
    await client.put("Patient/p", json=PATIENT)
    answer = await client.request(method, address, json=PATIENT)

    assert answer.status_code == 400
    assert "'foo'" in answer.json()["issue"][0]["diagnostics"]
    assert (await client.get("Patient/p")).status_code == 200


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("_elements=nme", "did you mean name"),
        ("_summary=count", "counts what a search"),
        ("_summary=true&_summary=text", "stands once"),
    ],
)
@pytest.mark.parametrize("address", ["Patient/p", "Patient/p/_history/1"])
async def test_a_part_that_there_is_not_is_refused(client, address, query, told):
    await client.put("Patient/p", json=PATIENT)
    answer = await client.get(f"{address}?{query}")

    assert answer.status_code == 400
    assert told in answer.json()["issue"][0]["diagnostics"]


@pytest.mark.parametrize("address", ["Patient/p/_history", "Patient/_history", "_history"])
async def test_a_history_shows_parts_and_counts(client, address):
    await client.put("Patient/p", json=PATIENT | {"active": True, "photo": [{"title": "t"}]})
    await client.delete("Patient/p")

    summary = (await client.get(f"{address}?_summary=true")).json()["entry"][1]["resource"]
    active = (await client.get(f"{address}?_elements=active")).json()["entry"][1]["resource"]
    counts = [
        (await client.get(f"{address}?{query}")).json() for query in ("_summary=count", "_count=0")
    ]

    assert "photo" not in summary
    assert "photo" not in active
    assert active["active"] is True
    assert active["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert [(one["total"], "entry" in one) for one in counts] == [(2, False), (2, False)]
