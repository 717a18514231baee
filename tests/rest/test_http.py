"""What HTTP clients and attackers do, and what they get: always an answer that says why."""

import httpx
import parts
import pytest

from fhir_hub.rest.http import FhirApp, is_fault


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [
        ("GET", "Patient/", 200),
        ("GET", "patient", 404),
        ("GET", "Nothing/1", 404),
        ("GET", "Patient/1/2/3/4/5", 404),
        ("GET", "Patient/1/$nothing", 404),
        ("GET", "$nothing", 404),
        ("GET", "_nothing", 404),
        ("PATCH", "Patient/1", 404),
        ("DELETE", "metadata", 405),
        ("TRACE", "Patient/1", 405),
        ("GET", "Patient/%ff", 400),
        ("GET", "Patient?name=%ff", 400),
        ("GET", "Patient?" + "&".join(["name=x"] * 1001), 400),
        ("GET", "Patient?_format=json", 200),
        ("GET", "Patient?_format=turtle", 406),
        ("GET", "Patient?_format=json&_pretty=maybe", 400),
        ("GET", "Patient?name", 400),
        ("GET", "Patient?_format=xml&_format=json", 400),
        ("GET", "Patient?_pretty=true&_pretty=true", 400),
    ],
)
async def test_an_address_gets_the_status_that_r4_gives(client, method, address, status):
    answer = await client.request(method, address)

    assert answer.status_code == status
    expected = "Bundle" if status == 200 else "OperationOutcome"
    assert answer.json()["resourceType"] == expected


_NO_FORM = "no interaction has an address of this form"


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("Patient/1/$everythng", "$everythng; did you mean $everything?"),
        ("Observation/$lastN", "$lastN; did you mean $lastn?"),
        ("Patient/1/$nothing", "$nothing; see [base]/metadata"),
        ("$export", "$export; see [base]/metadata"),
        (
            "Patient/$everything",
            "$everything; it is Patient/ID/$everything, Encounter/ID/$everything",
        ),
        ("Patient/1/$match", "$match; it is Patient/$match"),
        ("$validate", "$validate; it is [type]/$validate, [type]/ID/$validate"),
        ("Patient/1/2/3/4/5", "; see [base]/metadata"),
        ("Patient/_histry", "; did you mean _history?"),
    ],
)
async def test_of_an_operation_that_is_not_there_the_nearest_is_named(client, address, hint):
    (issue,) = (await client.get(address)).json()["issue"]

    told = "no operation is here by the name " if "$" in address else _NO_FORM
    assert issue["diagnostics"] == told + hint


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/fhir+json", 200),
        ("application/json;q=0.9, text/html", 200),
        ("*/*", 200),
        ("application/fhir+json; fhirVersion=4.0", 200),
        ("application/fhir+xml", 200),
        ("application/fhir+json; fhirVersion=5.0", 406),
        ("application/fhir+json;q=0", 406),
        ("application/fhir+json;q=x", 406),
        ("text/turtle", 406),
    ],
)
async def test_accept_must_take_json_or_xml(client, accept, status):
    assert (await client.get("Patient", headers={"Accept": accept})).status_code == status


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/fhir+json", 201),
        ("application/json; charset=utf-8", 201),
        ("", 201),
        ("application/fhir+json; fhirVersion=3.0", 415),
        ("application/json; charset=gb18030", 415),
        ("application/fhir+xml", 400),
        ("json", 415),
        ("text/plain", 415),
    ],
)
async def test_the_body_must_be_json_unless_it_says_otherwise(client, kind, status):
    answer = await client.post(
        "Patient", content=b'{"resourceType":"Patient"}', headers={"Content-Type": kind}
    )

    assert answer.status_code == status


async def test_a_body_over_the_limit_is_refused(repository):
    app = FhirApp(parts.service(repository), lambda _: None, max_body_bytes=100)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.test/fhir/") as client:
        answer = await client.post("Patient", content=b" " * 101)

    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (413, "too-long")


async def test_pretty_indents(client):
    answer = await client.get("metadata?_pretty=true")

    assert answer.text.startswith('{\n  "resourceType": "CapabilityStatement"')


async def test_the_request_id_comes_back_and_the_exchange_is_observed(client, exchanges):
    answer = await client.post(
        "Patient", json={"resourceType": "Patient"}, headers={"X-Request-Id": "r1"}
    )
    await client.get("Nothing")

    assert answer.headers["X-Request-Id"] == "r1"
    seen = [(e.interaction, e.resource_type, e.status) for e in exchanges]
    assert seen == [("create", "Patient", 201), ("search-type", "", 404)]
    assert exchanges[0].request_id == "r1"
    assert not is_fault(exchanges[1].error)


async def test_a_fault_of_ours_shows_no_detail(client, repository, exchanges):
    repository.store = None  # a hub that was put together wrongly

    answer = await client.get("Patient/1")

    assert answer.status_code == 500
    assert answer.json()["issue"][0]["diagnostics"] == "internal error; see the server log"
    assert is_fault(exchanges[-1].error)


async def test_a_fixed_base_url_is_in_every_link(repository):
    app = FhirApp(parts.service(repository), lambda _: None, base_url="https://fhir.example/r4")
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.test/fhir/") as client:
        answer = await client.post("Patient", json={"resourceType": "Patient"})
        bundle = (await client.get("Patient")).json()

    assert answer.headers["Location"].startswith("https://fhir.example/r4/Patient/")
    assert bundle["entry"][0]["fullUrl"].startswith("https://fhir.example/r4/Patient/")
