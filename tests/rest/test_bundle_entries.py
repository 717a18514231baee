"""Each entry of a bundle is a request like any other, with all its conditions.

Spec: https://hl7.org/fhir/R4/http.html#transaction and bundle.html
"""

import base64
import json

import pytest

PATIENT = {"resourceType": "Patient", "id": "p"}
each_kind = pytest.mark.parametrize("kind", ["batch", "transaction"])


def entry(method, url, resource=None, full_url="", **conditions):
    made = {"request": {"method": method, "url": url, **conditions}}
    more = {"fullUrl": full_url} if full_url else {}
    return more | made | ({"resource": resource} if resource else {})


@pytest.fixture
async def send(client):
    """Return what sends entries as a bundle, where Patient/p is stored."""
    await client.put("Patient/p", json=PATIENT)

    async def post(kind, *entries, **headers):
        bundle = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
        return await client.post("", json=bundle, headers=headers)

    return post


@each_kind
@pytest.mark.parametrize(
    ("made", "status"),
    [
        (entry("GET", "Patient/p", ifNoneMatch='W/"1"'), "304"),
        (entry("GET", "Patient/p", ifNoneMatch='W/"2"'), "200"),
        (entry("GET", "Patient/p", ifModifiedSince="2030-01-01T00:00:00Z"), "304"),
        (entry("GET", "Patient/p", ifModifiedSince="2020-01-01T00:00:00Z"), "200"),
        (entry("HEAD", "Patient/p"), "200"),
        (entry("HEAD", "Patient/q"), "404"),
        (entry("GET", "Patient/p?_format=xml&_pretty=true"), "200"),
        (entry("GET", "/Patient/p/"), "200"),
        (entry("GET", "http://hub.test/fhir/Patient/p"), "200"),
        (entry("GET", "Patient/p?foo=1"), "400"),
    ],
)
async def test_a_reading_entry_is_answered_as_alone(send, kind, made, status):
    answer = await send(kind, made)

    (shown,) = answer.json()["entry"]
    assert shown["response"]["status"][:3] == status
    assert ("resource" in shown) == (status == "200" and made["request"]["method"] == "GET")


@pytest.mark.parametrize(
    ("made", "status"),
    [
        (entry("PUT", "Patient/p", PATIENT | {"active": True}, ifMatch='W/"2"'), 412),
        (entry("PUT", "Patient/p", PATIENT | {"active": True}, ifNoneMatch="*"), 412),
        (entry("DELETE", "Patient/p", ifMatch='W/"2"'), 412),
        (entry("PUT", "Patient/p", {"resourceType": "Patient", "id": "q"}), 400),
        (entry("PUT", "Patient/p", {"resourceType": "Patient"}), 400),
        (entry("PUT", "Patient?_id=p", {"resourceType": "Patient", "id": "q"}), 400),
        (entry("POST", "Patient?foo=1", PATIENT), 400),
        (entry("POST", "Observation", PATIENT), 400),
    ],
)
async def test_a_writing_entry_is_refused_as_alone(client, send, made, status):
    alone = await send("batch", made)
    together = await send("transaction", entry("POST", "Patient", PATIENT), made)

    assert int(alone.json()["entry"][0]["response"]["status"][:3]) == status
    assert together.status_code == status
    assert together.json()["issue"][0]["expression"][0].startswith("Bundle.entry[1]")
    assert (await client.get("Patient?_summary=count")).json()["total"] == 1


@each_kind
@pytest.mark.parametrize(
    ("made", "place"),
    [
        (entry("GET", "Patient", search={"mode": "match"}), "request"),
        (entry("GET", "Patient") | {"search": {"mode": "match"}}, ""),
        (entry("GET", "Patient") | {"respnse": {}}, ""),
        (entry("GET", "Patient", ifMtch="x"), "request"),
        (entry("GET", "Patient", ifModifiedSince="soon"), "request.ifModifiedSince"),
        (entry("GET", "Patient?name=%ff"), "request.url"),
        (entry("GET", "Patient/%ff"), "request.url"),
        (entry("PUT", "Patient/p"), "resource"),
        (entry("GET", "Patient/p") | {"fullUrl": 4}, "fullUrl"),
        (entry("GET", 4), "request.url"),
        (None, "request"),
    ],
)
async def test_what_no_entry_has_is_refused_and_named(send, kind, made, place):
    answer = await send(kind, entry("GET", "Patient/p"), made)

    assert answer.status_code == 400
    (told,) = answer.json()["issue"][0]["expression"]
    assert told == "Bundle.entry[1]" + (f".{place}" if place else "")


@each_kind
async def test_two_entries_have_two_full_urls(send, kind):
    url = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    answer = await send(
        kind, entry("POST", "Patient", PATIENT, url), entry("POST", "Patient", PATIENT, url)
    )

    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[1].fullUrl"]


@each_kind
async def test_an_unknown_element_of_the_bundle_is_refused(client, kind):
    bundle = {"resourceType": "Bundle", "type": kind, "entries": []}
    answer = await client.post("", json=bundle)

    assert (answer.status_code, "'entries'" in answer.text) == (400, True)


@each_kind
async def test_what_was_written_is_shown_as_the_client_prefers(send, kind):
    shown = {}
    for wish in ("minimal", "representation", "OperationOutcome"):
        made = entry("POST", "Patient", PATIENT)
        answer = await send(kind, made, Prefer=f"return={wish}")
        (shown[wish],) = answer.json()["entry"]

    assert {one["response"]["lastModified"] for one in shown.values()} == {"2024-02-29T10:00:00Z"}
    assert {name: "resource" in one for name, one in shown.items()} == {
        "minimal": False,
        "representation": True,
        "OperationOutcome": False,
    }
    outcome = shown["OperationOutcome"]["response"]["outcome"]
    assert outcome["issue"][0]["severity"] == "information"
    assert "outcome" not in shown["minimal"]["response"]


async def test_an_operation_in_a_batch_comes_back(send):
    answer = await send(
        "batch",
        entry("POST", "Patient/$validate", PATIENT),
        entry("POST", "Patient/_search?_id=p"),
    )

    assert [one["resource"]["resourceType"] for one in answer.json()["entry"]] == [
        "OperationOutcome",
        "Bundle",
    ]


LABELS = {
    "resourceType": "Parameters",
    "parameter": [{"name": "meta", "valueMeta": {"tag": [{"system": "urn:t", "code": "a"}]}}],
}
SAME = {
    "resourceType": "Parameters",
    "parameter": [{"name": "resource", "resource": {"resourceType": "Patient", "active": True}}],
}


@each_kind
async def test_an_operation_by_post_is_an_entry_too(send, client, kind):
    answer = await send(
        kind,
        entry("POST", "Patient/$validate", SAME),
        entry("POST", "Patient/_search?_id=p,new"),
        entry("POST", "Patient/p/$meta-add", LABELS),
        entry("PUT", "Patient/new", {"resourceType": "Patient", "id": "new"}),
    )

    checked, searched, labelled, stored = answer.json()["entry"]
    assert [one["response"]["status"][:3] for one in (checked, searched, labelled, stored)] == [
        "200",
        "200",
        "200",
        "201",
    ]
    assert checked["resource"]["resourceType"] == "OperationOutcome"
    assert searched["resource"]["total"] == (2 if kind == "transaction" else 1)
    assert labelled["resource"]["parameter"][0]["valueMeta"]["versionId"] == "2"
    found = (await client.get("Patient?_tag=urn:t|a")).json()["entry"]
    assert [one["resource"]["id"] for one in found] == ["p"]


@pytest.mark.parametrize(
    ("made", "status"),
    [
        (entry("POST", "Patient/nobody/$meta-add", LABELS), 404),
        (entry("POST", "Patient/p/$meta-add", SAME), 400),
        (entry("POST", "Patient/p/$meta-delete", LABELS, ifMatch='W/"9"'), 412),
    ],
)
async def test_an_operation_that_cannot_write_undoes_the_transaction(send, client, made, status):
    answer = await send("transaction", made, entry("PUT", "Patient/new", PATIENT | {"id": "new"}))

    assert answer.status_code == status
    assert answer.json()["issue"][0]["expression"][0].startswith("Bundle.entry[0]")
    assert (await client.get("Patient/new")).status_code == 404


async def test_what_is_labelled_and_written_by_two_entries_is_refused(send):
    answer = await send(
        "transaction",
        entry("POST", "Patient/p/$meta-add", LABELS),
        entry("PUT", "Patient/p", PATIENT | {"active": True}),
    )

    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[1]"]


def named(resource_type, number, **more):
    return {"resourceType": resource_type, "identifier": [{"value": number}], **more}


def about(reference, number):
    return named("Basic", number, code={"text": "c"}, subject={"reference": reference})


async def read(client, answer, index):
    location = answer.json()["entry"][index]["response"]["location"]
    return (await client.get(location)).json()


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    "made",
    [
        entry("POST", "Patient", named("Patient", "1")),
        entry("POST", "Patient", named("Patient", "1"), ifNoneExist="identifier=1"),
        entry("PUT", "Patient/q", named("Patient", "1", id="q")),
        entry("PUT", "Patient?identifier=1", named("Patient", "1")),
    ],
)
async def test_a_conditional_reference_may_mean_what_another_entry_makes(
    client, send, made, turned
):
    entries = [entry("POST", "Basic", about("Patient?identifier=1", "b")), made]
    answer = await send("transaction", *(reversed(entries) if turned else entries))

    assert answer.status_code == 200, answer.text
    patient = await read(client, answer, 0 if turned else 1)
    basic = await read(client, answer, 1 if turned else 0)
    assert basic["subject"]["reference"] == f"Patient/{patient['id']}"


async def test_conditional_references_may_go_in_a_circle(client, send):
    answer = await send(
        "transaction",
        entry("POST", "Basic", about("Basic?identifier=2", "1")),
        entry("POST", "Basic", about("Basic?identifier=3", "2")),
        entry("POST", "Basic", about("Basic?identifier=1", "3")),
    )

    assert answer.status_code == 200, answer.text
    made = [await read(client, answer, index) for index in range(3)]
    assert [one["meta"]["versionId"] for one in made] == ["1", "1", "1"]
    referred = [one["subject"]["reference"] for one in made]
    assert referred == [f"Basic/{made[index]['id']}" for index in (1, 2, 0)]


async def test_a_conditional_reference_counts_what_is_there_when_all_is_written(client, send):
    await client.put("Patient/old", json=named("Patient", "1", id="old"))
    basic = entry("POST", "Basic", about("Patient?identifier=1", "b"))

    two = await send("transaction", basic, entry("POST", "Patient", named("Patient", "1")))
    none = await send("transaction", basic, entry("DELETE", "Patient/old"))
    other = await send(
        "transaction", basic, entry("PUT", "Patient/old", named("Patient", "2", id="old"))
    )
    strange = await send("transaction", entry("POST", "Basic", about("Thing?identifier=1", "b")))
    again = entry("PUT", "Basic/b", about("Patient?identifier=1", "b") | {"id": "b"})
    first = await send("transaction", again)
    second = await send("transaction", again)

    assert [one.status_code for one in (two, none, other, strange)] == [412, 412, 412, 400]
    for answer in (two, none, other, strange):
        assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[0]"]
    assert first.status_code == second.status_code == 200
    assert second.json()["entry"][0]["response"]["etag"] == 'W/"1"'


async def test_many_conditional_references_to_as_many_new_resources(client, send):
    numbers = [str(number) for number in range(300)]
    answer = await send(
        "transaction",
        *(entry("POST", "Basic", about(f"Patient?identifier={one}", one)) for one in numbers),
        *(entry("POST", "Patient", named("Patient", one)) for one in numbers),
    )

    assert answer.status_code == 200, answer.text
    places = [one["response"]["location"] for one in answer.json()["entry"]]
    basic = (await client.get(places[7])).json()
    assert f"{basic['subject']['reference']}/_history/1" == places[307]


URN = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
ORGANIZATION = {"resourceType": "Organization", "name": "O"}


def json_patch(*operations):
    data = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "/managingOrganization", "value": {"reference": URN}},
        {"op": "add", "path": "/generalPractitioner", "value": [{"reference": URN}]},
    ],
)
async def test_a_json_patch_refers_to_what_another_entry_makes(client, send, operation):
    patched = entry("PATCH", "Patient/p", json_patch(operation))
    alone = await send("transaction", patched)
    answer = await send("transaction", patched, entry("POST", "Organization", ORGANIZATION, URN))
    made = answer.json()["entry"][1]["response"]["location"].partition("/_history")[0]
    stored = (await client.get("Patient/p")).text

    assert alone.status_code == 400
    assert alone.json()["issue"][0]["expression"] == ["Bundle.entry[0].resource.data"]
    assert f'"reference":"{made}"' in stored


@pytest.mark.parametrize("deletion", ["Patient/q", "Patient?identifier=urn:i|1"])
async def test_a_conditional_create_finds_nothing_that_is_deleted_before_it(client, send, deletion):
    numbered = {"resourceType": "Patient", "identifier": [{"system": "urn:i", "value": "1"}]}
    await client.put("Patient/q", json=numbered | {"id": "q"})
    created = entry("POST", "Patient", numbered, URN, ifNoneExist="identifier=urn:i|1")
    answer = await send("transaction", created, entry("DELETE", deletion))
    found = (await client.get("Patient?identifier=urn:i|1")).json()["entry"]

    assert answer.json()["entry"][0]["response"]["status"] == "201 Created"
    assert [one["resource"]["id"] for one in found] != ["q"]
    assert (len(found), (await client.get("Patient/q")).status_code) == (1, 410)
