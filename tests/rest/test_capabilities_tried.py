"""What the CapabilityStatement says of a type is tried, by requests made from what it says.

Spec: https://hl7.org/fhir/R4/capabilitystatement.html
"""

import json

import httpx
import parts
import pytest

from fhir_hub.r4.placeholders import placeholder
from fhir_hub.rest.routes import ROUTES

TYPES = ("Account", "Encounter", "Observation", "Patient", "Practitioner", "Slot", "ValueSet")
FHIR = {"json": "application/fhir+json", "xml": "application/fhir+xml"}


@pytest.fixture
async def client(store, clock):
    """A hub whose references are enforced, as they are unless a setting says otherwise."""
    service = parts.service(parts.repository(store, clock, parts.ids(), "enforce"))
    transport = httpx.ASGITransport(app=parts.fhir_app(service, []))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.test/fhir/") as client:
        yield client


@pytest.fixture
async def statement(client):
    return (await client.get("metadata")).json()


@pytest.fixture
def said(statement):
    """Return what the statement says of a type."""
    return {row["type"]: row for row in statement["rest"][0]["resource"]}.__getitem__


def resource(resource_type, logical_id="x", **more):
    """Return the least valid resource of a type."""
    made = placeholder(parts.definitions(), parts.checks().require, (resource_type, logical_id), {})
    assert made is not None
    return made | more


async def tried(client, interaction, name):
    """Do what an interaction does to a type where `x` is stored; return the answer."""
    marked = resource(name, language="zh")
    patch = [{"op": "add", "path": "/language", "value": "en"}]
    requests = {
        "read": ("GET", f"{name}/x", None),
        "vread": ("GET", f"{name}/x/_history/1", None),
        "update": ("PUT", f"{name}/x", marked),
        "patch": ("PATCH", f"{name}/x", patch),
        "delete": ("DELETE", f"{name}/y", None),
        "history-instance": ("GET", f"{name}/x/_history", None),
        "history-type": ("GET", f"{name}/_history", None),
        "create": ("POST", name, resource(name)),
        "search-type": ("GET", name, None),
    }
    method, address, body = requests[interaction]
    return await client.request(method, address, json=body)


@pytest.mark.parametrize("name", TYPES)
async def test_every_interaction_of_a_type_works(client, said, name):
    first = await client.put(f"{name}/x", json=resource(name))
    answers = {
        row["code"]: (await tried(client, row["code"], name)).status_code
        for row in said(name)["interaction"]
    }

    assert said(name)["updateCreate"] is (first.status_code == 201)
    assert len(answers) == 9
    assert dict.fromkeys(answers, 200) | {"create": 201, "delete": 204} == answers
    old = (await client.get(f"{name}/x/_history/1")).json()
    assert said(name)["readHistory"] is ("language" not in old)


@pytest.mark.parametrize("name", TYPES)
async def test_every_condition_of_a_type_holds(client, said, name):
    assert said(name)["versioning"] == "versioned-update"
    assert said(name)["conditionalRead"] == "full-support"
    assert said(name)["conditionalDelete"] == "multiple"
    assert said(name)["conditionalCreate"] is said(name)["conditionalUpdate"] is True
    await client.put(f"{name}/x", json=resource(name))
    body, stale = resource(name, language="zh"), {"If-Match": 'W/"7"'}

    lost = await client.put(f"{name}/x", json=body, headers=stale)
    known = await client.get(f"{name}/x", headers={"If-None-Match": 'W/"1"'})
    there = await client.post(name, json=body, headers={"If-None-Exist": "_id=x"})
    again = await client.put(f"{name}?_id=x", json=body)
    await client.put(f"{name}/y", json=resource(name, "y"))
    gone = await client.delete(f"{name}?_id=x,y")

    codes = [answer.status_code for answer in (lost, known, there, again, gone)]
    assert codes == [412, 304, 200, 200, 204]
    assert (await client.get(f"{name}/y")).status_code == 410


@pytest.mark.parametrize("name", TYPES)
async def test_the_reference_policy_is_kept(client, said, name):
    def with_reference(**reference):
        return resource(name, extension=[{"url": "urn:x", "valueReference": reference}])

    literal = await client.post(name, json=with_reference(reference=f"{name}/none"))
    logical = await client.post(name, json=with_reference(identifier={"value": "1"}))

    assert said(name)["referencePolicy"] == ["literal", "logical", "enforced"]
    assert (literal.status_code, logical.status_code) == (422, 201)


async def test_where_references_are_not_enforced_the_statement_does_not_say_so(store, clock):
    service = parts.service(parts.repository(store, clock, parts.ids(), "warn"))
    transport = httpx.ASGITransport(app=parts.fhir_app(service, []))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.test/fhir/") as client:
        (rest,) = (await client.get("metadata")).json()["rest"]

    assert rest["resource"][0]["referencePolicy"] == ["literal", "logical"]


@pytest.mark.parametrize("name", ["Account", "Observation", "Patient"])
async def test_every_include_that_a_type_names_is_taken(client, said, name):
    for parameter, values in (("_include", "searchInclude"), ("_revinclude", "searchRevInclude")):
        for value in said(name)[values]:
            answer = await client.get(name, params={parameter: value})
            assert answer.status_code == 200, (parameter, value, answer.text)
    assert "Observation:subject" in said("Patient")["searchRevInclude"]
    assert "Observation:subject" not in said("Practitioner")["searchRevInclude"]


@pytest.mark.parametrize("name", TYPES)
async def test_every_operation_of_a_type_has_an_address(client, said, name):
    for operation in said(name)["operation"]:
        shapes = {
            (route.method, route.shape)
            for route in ROUTES
            if route.interaction == f"${operation['name']}"
        }
        method, shape = min(shapes)
        address = "/".join(
            {"T": name, "I": "x", "V": "1"}.get(step, step) for step in shape.split("/")
        )
        answer = await client.request(method, address)
        assert "no operation is here" not in answer.text, address
        assert answer.status_code < 500


async def test_every_format_is_spoken_both_ways(client, statement):
    patient = resource("Patient")
    for name in statement["format"]:
        answer = await client.get("metadata", params={"_format": name})
        kind = "xml" if "xml" in name else "json"
        assert answer.headers["content-type"].startswith(FHIR[kind])
    for name in {name for name in statement["format"] if "/" in name}:
        await client.put("Patient/x", json=patient)
        content = (await client.get("Patient/x", headers={"Accept": name})).content
        stored = await client.put("Patient/x", content=content, headers={"Content-Type": name})
        assert stored.status_code == 200, name


async def test_every_patch_format_is_taken(client, statement):
    await client.put("Patient/x", json=resource("Patient"))
    operation = (
        '<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/>'
        '<part><name value="type"/><valueCode value="add"/></part>'
        '<part><name value="path"/><valueString value="Patient"/></part>'
        '<part><name value="name"/><valueString value="active"/></part>'
        '<part><name value="value"/><valueBoolean value="true"/></part></parameter></Parameters>'
    )
    part = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Patient.active"},
        {"name": "value", "valueBoolean": False},
    ]
    parameters = [{"name": "operation", "part": part}]
    bodies = {
        FHIR["xml"]: operation,
        FHIR["json"]: json.dumps({"resourceType": "Parameters", "parameter": parameters}),
        "application/json-patch+json": '[{"op": "replace", "path": "/active", "value": true}]',
    }
    assert set(bodies) == set(statement["patchFormat"])
    for name, body in bodies.items():
        answer = await client.patch("Patient/x", content=body, headers={"Content-Type": name})
        assert answer.status_code == 200, (name, answer.text)


async def test_every_interaction_of_the_system_works(client, statement):
    empty = {"resourceType": "Bundle"}
    requests = {
        "transaction": ("POST", "", empty | {"type": "transaction"}),
        "batch": ("POST", "", empty | {"type": "batch"}),
        "search-system": ("GET", "?_lastUpdated=gt2020", None),
        "history-system": ("GET", "_history", None),
    }
    said = [row["code"] for row in statement["rest"][0]["interaction"]]
    assert sorted(said) == sorted(requests)
    for method, address, body in requests.values():
        assert (await client.request(method, address, json=body)).status_code == 200
