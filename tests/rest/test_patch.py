"""The patch interaction, as a client sees it: JSON Patch and FHIRPath Patch.

Spec: https://hl7.org/fhir/R4/http.html#patch and fhirpatch.html
"""

import asyncio
import base64
import json

import pytest

JSON_PATCH = {"Content-Type": "application/json-patch+json"}
FHIR = {"Content-Type": "application/fhir+json"}
PATIENT = {
    "resourceType": "Patient",
    "id": "p",
    "active": True,
    "identifier": [{"system": "urn:a", "value": "1"}],
    "name": [{"use": "official", "family": "沈", "given": ["桂", "芳"]}, {"text": "old"}],
    "contact": [{"name": {"text": "c"}, "gender": "male"}],
    "multipleBirthInteger": 2,
}
OBSERVATION = (
    b'{"resourceType":"Observation","id":"o","status":"preliminary","code":{"text":"c"},'
    b'"valueQuantity":{"value":1.10},"component":[{"code":{"text":"d"},'
    b'"valueQuantity":{"value":2.50}}]}'
)


def operation(kind, path, value=None, **more):
    parts = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    for name, given in more.items():
        key = "valueInteger" if isinstance(given, int) else "valueString"
        parts.append({"name": name, key: given})
    if value is not None:
        parts.append({"name": "value"} | value)
    return {"name": "operation", "part": parts}


def fhirpath(*operations):
    return {"resourceType": "Parameters", "parameter": list(operations)}


NAMED = {"valueHumanName": {"text": "n"}}
NAMELESS = {"part": [{"valueCode": "x"}]}
PHONE = {"value": "1", "system": "sms"}


@pytest.fixture
async def stored(client):
    assert (await client.put("Patient/p", json=PATIENT)).status_code == 201
    put = await client.put("Observation/o", content=OBSERVATION, headers=FHIR)
    assert put.status_code == 201


async def send(client, document, address="Patient/p", headers=None):
    is_json = isinstance(document, list)
    content = json.dumps(document)
    return await client.patch(
        address, content=content, headers={**(JSON_PATCH if is_json else FHIR), **(headers or {})}
    )


@pytest.mark.parametrize(
    ("document", "changed"),
    [
        ([{"op": "replace", "path": "/active", "value": False}], {"active": False}),
        ([{"op": "add", "path": "/gender", "value": "female"}], {"gender": "female"}),
        ([{"op": "remove", "path": "/name/1"}], {"name": PATIENT["name"][:1]}),
        (
            [
                {"op": "test", "path": "/name/0/family", "value": "沈"},
                {"op": "copy", "from": "/name/0/family", "path": "/name/1/text"},
            ],
            {"name": [PATIENT["name"][0], {"text": "沈"}]},
        ),
        (
            fhirpath(operation("replace", "Patient.active", {"valueBoolean": False})),
            {"active": False},
        ),
        (
            fhirpath(operation("add", "Patient", {"valueDate": "1953-04-12"}, name="birthDate")),
            {"birthDate": "1953-04-12"},
        ),
        (
            fhirpath(operation("add", "Patient", {"valueHumanName": {"text": "n"}}, name="name")),
            {"name": [*PATIENT["name"], {"text": "n"}]},
        ),
        (
            fhirpath(operation("insert", "Patient.name", NAMED, index=0)),
            {"name": [{"text": "n"}, *PATIENT["name"]]},
        ),
        (fhirpath(operation("delete", "Patient.name[1]")), {"name": PATIENT["name"][:1]}),
        (fhirpath(operation("delete", "Patient.multipleBirth")), {"multipleBirthInteger": None}),
        (fhirpath(operation("delete", "Patient.photo")), {}),
        (
            fhirpath(operation("delete", "Patient.name.where(use = 'official').given.first()")),
            {"name": [{"use": "official", "family": "沈", "given": ["芳"]}, {"text": "old"}]},
        ),
        (
            fhirpath(operation("move", "Patient.name", source=1, destination=0)),
            {"name": PATIENT["name"][::-1]},
        ),
        (
            fhirpath(operation("replace", "Patient.multipleBirth", {"valueBoolean": True})),
            {"multipleBirthInteger": None, "multipleBirthBoolean": True},
        ),
        (
            fhirpath(
                operation(
                    "add",
                    "Patient",
                    {
                        "part": [
                            {"name": "gender", "valueCode": "female"},
                            {"name": "name", "valueHumanName": {"text": "d"}},
                            {
                                "name": "telecom",
                                "valueContactPoint": {"value": "1", "system": "sms"},
                            },
                        ]
                    },
                    name="contact",
                )
            ),
            {
                "contact": [
                    PATIENT["contact"][0],
                    {
                        "gender": "female",
                        "name": {"text": "d"},
                        "telecom": [{"value": "1", "system": "sms"}],
                    },
                ]
            },
        ),
        (
            fhirpath(
                operation(
                    "replace",
                    "Patient.name[0].given[1]",
                    {"valueString": "方", "_valueString": {"id": "x"}},
                )
            ),
            {
                "name": [
                    PATIENT["name"][0] | {"given": ["桂", "方"], "_given": [None, {"id": "x"}]},
                    {"text": "old"},
                ]
            },
        ),
        (
            fhirpath(
                operation("delete", "Patient.contact[0].name.text"),
                operation("delete", "Patient.contact[0].gender"),
            ),
            {"contact": None},
        ),
        (fhirpath(), {}),
    ],
)
@pytest.mark.usefixtures("stored")
async def test_a_patch_makes_the_next_version(client, document, changed):
    answer = await send(client, document)

    assert answer.status_code == 200, answer.text
    got = answer.json()
    expected = {k: v for k, v in (PATIENT | changed).items() if v is not None}
    assert {k: v for k, v in got.items() if k != "meta"} == expected
    version = "1" if expected == PATIENT else "2"
    assert (got["meta"]["versionId"], answer.headers["ETag"]) == (version, f'W/"{version}"')
    assert (await client.get("Patient/p")).json() == got


@pytest.mark.usefixtures("stored")
async def test_digits_that_a_patch_does_not_touch_stay(client):
    document = [{"op": "replace", "path": "/status", "value": "final"}]
    await send(client, document, "Observation/o")
    change = operation("replace", "Observation.value.value", {"valueDecimal": 3})
    answer = await send(client, fhirpath(change), "Observation/o")

    assert b'"value":2.50' in answer.content
    assert b'"value":3}' in answer.content
    entries = (await client.get("Observation/o/_history")).json()["entry"]
    assert [e["request"]["method"] for e in entries] == ["PATCH", "PATCH", "PUT"]


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ([{"op": "test", "path": "/active", "value": False}], 422),
        ([{"op": "remove", "path": "/nothing"}], 422),
        ([{"op": "add", "path": "/a/b/c", "value": 1}], 422),
        ([{"op": "replace", "path": "/id", "value": "q"}], 422),
        ([{"op": "remove", "path": "/resourceType"}], 422),
        ([{"op": "replace", "path": "", "value": 5}], 422),
        ([{"op": "replace", "path": "/active", "value": "true"}], 400),
        ([{"op": "add", "path": "/colour", "value": "red"}], 400),
        ([{"op": "explode", "path": "/active"}], 400),
        ([{"op": "add", "path": "/active"}], 400),
        ([{"op": "add", "path": 5, "value": 1}], 400),
        ([5], 400),
        ([{"op": "remove", "path": "/active"}] * 1001, 400),
        ({"resourceType": "Patient"}, 400),
        (fhirpath(5), 400),
        (fhirpath({"name": "operation"}), 400),
        (fhirpath({"name": "other", "part": []}), 400),
        (fhirpath({"name": "operation", "part": [5]}), 400),
        (fhirpath(operation("explode", "Patient.active")), 400),
        (fhirpath(operation("delete", "Patient.active", colour=1)), 400),
        (fhirpath(operation("delete", "Patient.name.count() + 1")), 400),
        (fhirpath(operation("delete", "Patient.name.where(given.all(true))")), 400),
        (fhirpath(operation("delete", "")), 400),
        (fhirpath(operation("delete", "Patient.name")), 422),
        (fhirpath(operation("delete", "Patient")), 422),
        (fhirpath(operation("replace", "Patient", {"valueString": "x"})), 422),
        (fhirpath(operation("replace", "Patient.gender", {"valueCode": "male"})), 422),
        (fhirpath(operation("replace", "Patient.active")), 400),
        (fhirpath(operation("replace", "Patient.active", {"colour": 1})), 400),
        (fhirpath(operation("replace", "Patient.multipleBirth", {"valueCode": "x"})), 422),
        (fhirpath(operation("add", "Patient", {"valueBoolean": True}, name="active")), 422),
        (fhirpath(operation("add", "Patient", {"valueBoolean": True}, name="colour")), 422),
        (fhirpath(operation("add", "Patient.active", {"valueBoolean": True}, name="id")), 422),
        (fhirpath(operation("add", "Patient", {"valueBoolean": True})), 400),
        (fhirpath(operation("insert", "Patient.name", {"valueHumanName": {}}, index=9)), 422),
        (fhirpath(operation("insert", "Patient.active", {"valueBoolean": True}, index=0)), 422),
        (fhirpath(operation("insert", "Patient", {"valueBoolean": True}, index=0)), 422),
        (fhirpath(operation("insert", "Patient.name", {"valueHumanName": {"text": "x"}})), 400),
        (fhirpath(operation("move", "Patient.name", source=0, destination=2)), 422),
        (
            fhirpath(operation("add", "Patient", NAMELESS, name="contact")),
            400,
        ),
        (fhirpath(operation("delete", "Patient.name.single()")), 400),
    ],
)
@pytest.mark.usefixtures("stored")
async def test_a_patch_that_does_not_fit_changes_nothing(client, document, status):
    answer = await send(client, document)

    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert (await client.get("Patient/p")).json()["meta"]["versionId"] == "1"


@pytest.mark.parametrize(
    ("operation", "told"),
    [
        ({"op": "add", "path": "/a/b/c", "value": "沈"}, "'/a/b/c' does not fit the resource"),
        ({"op": "move", "from": "/x", "path": "/active"}, "'/x' or '/active' does not fit"),
        ({"op": "test", "path": "/active", "value": "沈"}, "the test of '/active' fails"),
    ],
)
@pytest.mark.usefixtures("stored")
async def test_the_path_that_does_not_fit_is_told(client, operation, told):
    assert told in (await send(client, [operation])).json()["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"Content-Type": "text/plain"}, b"[]", 415),
        (JSON_PATCH, b"{}", 400),
        (JSON_PATCH, b"[", 400),
        (JSON_PATCH, b"", 400),
        ({"Content-Type": "application/json"}, b"[]", 200),
        ({"Content-Type": "application/json"}, b"5", 400),
        (JSON_PATCH | {"If-Match": 'W/"7"'}, b'[{"op":"remove","path":"/active"}]', 412),
        (JSON_PATCH | {"If-Match": 'W/"1"'}, b'[{"op":"remove","path":"/active"}]', 200),
    ],
)
@pytest.mark.usefixtures("stored")
async def test_the_headers_of_a_patch_count(client, headers, content, status):
    answer = await client.patch("Patient/p", content=content, headers=headers)

    assert answer.status_code == status, answer.text


async def test_nothing_and_what_is_deleted_cannot_be_patched(client):
    assert (await send(client, [], "Patient/never")).status_code == 404
    await client.put("Patient/p", json=PATIENT)
    await client.delete("Patient/p")
    assert (await send(client, [])).status_code == 410


@pytest.mark.usefixtures("stored")
async def test_criteria_find_what_to_patch(client):
    document = [{"op": "replace", "path": "/active", "value": False}]

    one = await send(client, document, "Patient?identifier=urn:a|1")
    none = await send(client, document, "Patient?identifier=urn:a|2")
    await client.post("Patient", json=PATIENT)
    several = await send(client, document, "Patient?identifier=urn:a|1")

    assert (one.status_code, one.json()["active"]) == (200, False)
    assert (none.status_code, several.status_code) == (404, 412)
    assert (await send(client, document, "Patient")).status_code == 400


@pytest.mark.usefixtures("stored")
async def test_patches_at_once_are_all_applied(client):
    async def add(number):
        given = {"system": "urn:n", "value": str(number)}
        return await send(client, [{"op": "add", "path": "/identifier/-", "value": given}])

    answers = await asyncio.gather(*map(add, range(20)))

    assert {answer.status_code for answer in answers} == {200}
    values = [one["value"] for one in (await client.get("Patient/p")).json()["identifier"]]
    assert sorted(values[1:], key=int) == [str(number) for number in range(20)]


def entry(url, resource, method="PATCH", **more):
    return {"resource": resource, "request": {"method": method, "url": url} | more}


def binary(document, kind="application/json-patch+json"):
    data = base64.b64encode(json.dumps(document).encode()).decode()
    return {"resourceType": "Binary", "contentType": kind, "data": data}


@pytest.mark.parametrize("kind", ["transaction", "batch"])
@pytest.mark.usefixtures("stored")
async def test_an_entry_may_be_a_patch(client, kind):
    change = operation("replace", "Observation.status", {"valueCode": "final"})
    bundle = {
        "resourceType": "Bundle",
        "type": kind,
        "entry": [
            entry("Patient?identifier=urn:a|1", binary([{"op": "remove", "path": "/contact"}])),
            entry("Observation/o", fhirpath(change), ifMatch='W/"1"'),
        ],
    }
    answer = await client.post("", json=bundle)

    assert answer.status_code == 200, answer.text
    assert [e["response"]["status"] for e in answer.json()["entry"]] == ["200 OK", "200 OK"]
    assert "contact" not in (await client.get("Patient/p")).json()
    assert (await client.get("Observation/o")).json()["status"] == "final"


@pytest.mark.parametrize(
    ("url", "resource", "status"),
    [
        ("Patient/p", binary([], "text/plain"), 415),
        ("Patient/p", binary([]) | {"data": "%"}, 400),
        ("Patient?identifier=none", binary([]), 404),
        ("Patient/p", fhirpath(operation("delete", "Patient.name")), 422),
    ],
)
@pytest.mark.usefixtures("stored")
async def test_a_bad_patch_fails_the_transaction_by_name(client, url, resource, status):
    first = entry("Patient", {"resourceType": "Patient"}, "POST")
    bundle = {"resourceType": "Bundle", "type": "transaction"}
    answer = await client.post("", json=bundle | {"entry": [first, entry(url, resource)]})

    assert answer.status_code == status, answer.text
    assert answer.json()["issue"][0]["expression"][0].startswith("Bundle.entry[1]")
    assert (await client.get("Patient?_summary=count")).json()["total"] == 1


@pytest.mark.no_cover  # many rounds of what other tests cover
@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("count", [18, 40, 1000])
async def test_copies_of_copies_are_refused_before_they_are_made(client, count):
    twice = {"op": "copy", "from": "/name", "path": "/name/-"}
    answer = await client.patch(
        "Patient/p", content=json.dumps([twice] * count), headers=JSON_PATCH
    )

    assert answer.status_code == 422
    assert "at most 100000 values" in answer.json()["issue"][0]["diagnostics"]


@pytest.mark.usefixtures("stored")
async def test_operations_cannot_nest_what_a_body_could_not(client):
    nested = json.loads("[" * 150 + "]" * 150)
    operations = [
        {"op": "add", "path": f"/name{'/0' * (150 * done)}/0", "value": nested}
        for done in range(1, 30)
    ]
    operations.insert(0, {"op": "add", "path": "/name/0", "value": nested})
    answer = await client.patch("Patient/p", content=json.dumps(operations), headers=JSON_PATCH)

    assert answer.status_code == 400
    assert "nested too deeply" in answer.text


@pytest.mark.usefixtures("stored")
async def test_a_patch_that_fails_late_changes_nothing(client):
    operations = [
        {"op": "replace", "path": "/active", "value": False},
        {"op": "copy", "from": "/name", "path": "/name"},
        {"op": "remove", "path": "/deceasedBoolean"},
    ]
    before = (await client.get("Patient/p")).json()
    answer = await client.patch("Patient/p", content=json.dumps(operations), headers=JSON_PATCH)

    assert answer.status_code == 422
    assert (await client.get("Patient/p")).json() == before
