"""References lead somewhere: a write to nothing is refused, a deletion that would orphan too.

Spec: https://hl7.org/fhir/R4/http.html#delete and references.html
"""

import asyncio

import httpx
import parts
import pytest

BASE = "http://hub.test/fhir"


def observation(**more):
    return {"resourceType": "Observation", "status": "final", "code": {"text": "c"}, **more}


def about(reference):
    return observation(subject={"reference": reference})


@pytest.fixture
def connect(store, clock):
    """Return a maker of clients, by what the hub does about references."""
    new_id = parts.ids()

    def make(references):
        service = parts.service(parts.repository(store, clock, new_id, references))
        transport = httpx.ASGITransport(app=parts.fhir_app(service, []))
        return httpx.AsyncClient(transport=transport, base_url=f"{BASE}/")

    return make


@pytest.fixture
async def client(connect):
    async with connect("enforce") as client:
        await client.put("Patient/p", json={"resourceType": "Patient", "id": "p"})
        await client.put("Patient/gone", json={"resourceType": "Patient", "id": "gone"})
        await client.delete("Patient/gone")
        yield client


def issues(answer):
    return [(one["code"], one.get("expression", [""])[0]) for one in answer.json()["issue"]]


@pytest.mark.parametrize(
    "reference", ["Patient/none", "Patient/gone", "Patient/p/_history/2", "Patient?_id=p"]
)
async def test_a_reference_to_nothing_is_refused_and_named(client, reference):
    answer = await client.post("Observation", json=about(reference))

    assert answer.status_code == 422
    assert issues(answer) == [("not-found", "Observation.subject.reference")]
    assert (await client.get("Observation?_summary=count")).json()["total"] == 0


@pytest.mark.parametrize(
    "reference",
    [
        "Patient/p",
        "Patient/p/_history/1",
        "https://other.example/fhir/Patient/none",
        "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
    ],
)
async def test_what_leads_somewhere_or_elsewhere_is_taken(client, reference):
    assert (await client.post("Observation", json=about(reference))).status_code == 201


async def test_every_such_element_is_named_wherever_it_stands(client):
    nothing = {"reference": "Patient/none"}
    resource = observation(
        contained=[{"resourceType": "Specimen", "id": "s", "subject": nothing}],
        specimen={"reference": "#s"},
        subject={"reference": "Patient/p"},
        performer=[{"identifier": {"value": "1"}}, nothing, {"reference": "Practitioner/none"}],
        note=[{"text": '{"reference":"Patient/none"}', "authorReference": nothing}],
        extension=[{"url": "urn:x", "valueReference": nothing}],
    )
    answer = await client.post("Observation", json=resource)

    assert answer.status_code == 422
    assert sorted(expression for _, expression in issues(answer)) == [
        "Observation.contained[0].subject.reference",
        "Observation.extension[0].valueReference.reference",
        "Observation.note[0].authorReference.reference",
        "Observation.performer[1].reference",
        "Observation.performer[2].reference",
    ]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "$meta-add"])
async def test_every_way_to_write_is_checked(client, connect, method):
    async with connect("off") as careless:
        await careless.put("Observation/o", json=about("Patient/none") | {"id": "o"})
    if method == "PUT":
        changed = about("Patient/gone") | {"id": "o"}
        answer = await client.put("Observation/o", json=changed)
    elif method == "PATCH":
        patch = [{"op": "replace", "path": "/subject/reference", "value": "Patient/gone"}]
        answer = await client.patch("Observation/o", json=patch)
    else:
        meta = {"name": "meta", "valueMeta": {"tag": [{"code": "x"}]}}
        body = {"resourceType": "Parameters", "parameter": [meta]}
        answer = await client.post("Observation/o/$meta-add", json=body)

    assert answer.status_code == 422
    assert issues(answer) == [("not-found", "Observation.subject.reference")]


async def test_a_deletion_that_would_orphan_is_refused_with_who_refers(client):
    unnamed = {"text": "n", "authorReference": {"reference": "Patient/p"}}
    await client.put("Observation/a", json=about("Patient/p") | {"id": "a"})
    await client.put("Observation/b", json=observation(note=[unnamed], id="b"))
    for number in range(22):
        await client.put(f"Group/g{number}", json=group(f"g{number}"))

    answer = await client.delete("Patient/p")

    assert answer.status_code == 409
    assert issues(answer) == [("conflict", "Patient")]
    told = answer.json()["issue"][0]["diagnostics"]
    assert told.startswith(
        "24 still refer to this Patient: Observation/a (subject), Observation/b,"
    )
    assert "Group/g17 (member)" in told
    assert told.endswith(" and 4 more")
    assert (await client.get("Patient/p")).status_code == 200


def group(logical_id):
    member = [{"entity": {"reference": "Patient/p"}}]
    own = {"id": logical_id, "type": "person", "actual": True, "member": member}
    return {"resourceType": "Group", **own}


async def test_once_nobody_refers_it_can_be_deleted(client):
    await client.put("Observation/a", json=about("Patient/p") | {"id": "a"})
    await client.put("Observation/b", json=about("Patient/p/_history/1") | {"id": "b"})
    refused = [await client.delete("Patient/p"), await client.delete("Patient?_id=p")]
    await client.delete("Observation/a")
    refused.append(await client.delete("Patient/p"))
    await client.put("Observation/b", json=observation(id="b"))

    assert [answer.status_code for answer in refused] == [409, 409, 409]
    assert (await client.delete("Patient/p")).status_code == 204


async def test_a_resource_may_refer_to_itself_and_go(client):
    link = [{"other": {"reference": "Patient/p"}, "type": "seealso"}]
    await client.put("Patient/p", json={"resourceType": "Patient", "id": "p", "link": link})

    assert (await client.delete("Patient/p")).status_code == 204


async def test_a_record_of_what_happened_outlives_it(client):
    record = {
        "resourceType": "Provenance",
        "target": [{"reference": "Patient/p"}],
        "recorded": "2024-02-29T10:00:00Z",
        "agent": [{"who": {"display": "a"}}],
    }
    before = await client.post("Provenance", json=record)
    deleted = await client.delete("Patient/p")
    after = await client.post("Provenance", json=record)
    record["target"] = [{"reference": "Patient/none"}]
    never = await client.post("Provenance", json=record)

    codes = [answer.status_code for answer in (before, deleted, after, never)]
    assert codes == [201, 204, 201, 422]


def entry(method, url, resource=None):
    made = {"request": {"method": method, "url": url}}
    return made | ({"resource": resource} if resource else {})


async def send(client, *entries, kind="transaction", **headers):
    bundle = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
    return await client.post("", json=bundle, headers=headers)


async def test_within_a_transaction_references_lead_to_each_other(client):
    patient = {"resourceType": "Patient", "id": "new", "generalPractitioner": []}
    patient["generalPractitioner"] = [{"reference": "Practitioner/dr"}]
    answer = await send(
        client,
        entry("PUT", "Observation/o", about("Patient/new/_history/1") | {"id": "o"}),
        entry("PUT", "Patient/new", patient),
        entry("PUT", "Practitioner/dr", {"resourceType": "Practitioner", "id": "dr"}),
    )

    assert answer.status_code == 200


async def test_an_entry_that_refers_to_nothing_is_named(client):
    answer = await send(
        client,
        entry("POST", "Observation", about("Patient/p")),
        entry("POST", "Observation", about("Patient/none")),
        entry("DELETE", "Patient/p"),
    )

    assert answer.status_code == 422
    found = [expression for _, expression in issues(answer)]
    assert found == [f"Bundle.entry[{n}].resource.subject.reference" for n in (0, 1)]
    assert (await client.get("Observation?_summary=count")).json()["total"] == 0


async def test_a_transaction_deletes_a_patient_with_all_that_refers_to_her(client):
    await client.put("Observation/a", json=about("Patient/p") | {"id": "a"})
    await client.put("Observation/b", json=about("Patient/p") | {"id": "b"})
    alone = await send(client, entry("DELETE", "Patient/p"), entry("DELETE", "Observation/a"))
    moved = entry("PUT", "Observation/b", observation(id="b"))
    together = await send(
        client, entry("DELETE", "Patient?_id=p"), moved, entry("DELETE", "Observation/a")
    )

    assert (alone.status_code, issues(alone)) == (409, [("conflict", "Bundle.entry[0]")])
    assert "Observation/b (subject)" in alone.json()["issue"][0]["diagnostics"]
    assert together.status_code == 200


async def test_an_entry_of_a_batch_is_refused_alone(client):
    answer = await send(
        client,
        entry("POST", "Observation", about("Patient/none")),
        entry("POST", "Observation", about("Patient/p")),
        kind="batch",
    )

    assert [one["response"]["status"][:3] for one in answer.json()["entry"]] == ["422", "201"]


async def test_a_stored_bundle_refers_to_what_is_in_it(client):
    inside = {"fullUrl": "http://a.example/Observation/1", "resource": about("Patient/none")}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [inside]}

    assert (await client.post("Bundle", json=bundle)).status_code == 201


async def test_with_warn_it_is_done_and_the_answer_says_so(client, connect):
    await client.put("Observation/a", json=about("Patient/p") | {"id": "a"})
    async with connect("warn") as warned:
        created = await warned.post("Observation", json=about("Patient/none"))
        prefer = {"Prefer": "return=OperationOutcome"}
        told = await warned.post("Observation", json=about("Patient/none"), headers=prefer)
        sent = await send(warned, entry("POST", "Observation", about("Patient/none")))
        deleted = await warned.delete("Patient/p")
        fine = await warned.post("Observation", json=observation())

    assert created.status_code == 201
    assert created.headers["Warning"].startswith('199 fhir-hub "Observation.subject.reference: ')
    assert [one["severity"] for one in told.json()["issue"]] == ["information", "warning"]
    response = sent.json()["entry"][0]["response"]
    assert response["status"] == "201 Created"
    assert response["outcome"]["issue"][0]["expression"] == [
        "Bundle.entry[0].resource.subject.reference"
    ]
    assert deleted.status_code == 204
    assert "1 still refer to this Patient: Observation/a (subject)" in deleted.headers["Warning"]
    assert "Warning" not in fine.headers


async def test_with_off_nothing_is_asked(client, connect):
    await client.put("Observation/a", json=about("Patient/p") | {"id": "a"})
    async with connect("off") as careless:
        created = await careless.post("Observation", json=about("Patient/none"))
        deleted = await careless.delete("Patient/p")

    assert (created.status_code, deleted.status_code) == (201, 204)
    assert "Warning" not in created.headers


async def test_of_200_clients_who_delete_and_refer_at_once_nobody_is_left_orphaned(client):
    for number in range(20):
        patient = {"resourceType": "Patient", "id": f"p{number}"}
        await client.put(f"Patient/p{number}", json=patient)

    def one(number):
        target = f"Patient/p{number % 20}"
        if (number + number // 20) % 2:
            return client.post("Observation", json=about(target))
        return client.delete(target)

    answers = await asyncio.gather(*(one(number) for number in range(200)))

    assert {answer.status_code for answer in answers} <= {201, 204, 409, 422}
    found = (await client.get("Observation?_count=1000")).json().get("entry", [])
    for target in {one["resource"]["subject"]["reference"] for one in found}:
        assert (await client.get(target)).status_code == 200


@pytest.mark.parametrize(
    ("references", "severity", "code"),
    [
        ("enforce", "error", "conflict"),
        ("warn", "warning", "conflict"),
        ("off", "information", "informational"),
    ],
)
async def test_validate_says_whether_a_deletion_would_orphan(connect, references, severity, code):
    client = connect(references)
    await client.put("Patient/p", json={"resourceType": "Patient", "id": "p"})
    link = [{"other": {"reference": "Patient/p"}, "type": "seealso"}]
    await client.put("Patient/q", json={"resourceType": "Patient", "id": "q", "link": link})

    (issue,) = (await client.get("Patient/p/$validate?mode=delete")).json()["issue"]
    (free,) = (await client.get("Patient/q/$validate?mode=delete")).json()["issue"]

    assert (issue["severity"], issue["code"]) == (severity, code)
    assert ("Patient/q" in issue["diagnostics"]) == (references != "off")
    assert free["severity"] == "information"
    assert (await client.get("Patient/p")).status_code == 200
