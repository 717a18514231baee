"""Search parameters of a site's own, as a client sees them.

Spec: https://hl7.org/fhir/R4/searchparameter.html
"""

from contextlib import asynccontextmanager

import httpx
import parts
import pytest

from fhir_hub.search.plan import Has, Query

URL = "http://hospital.test/SearchParameter/"


def parameter(code="contact-name", **changes):
    """Return a SearchParameter: the family name of a Patient's contact."""
    return {
        "resourceType": "SearchParameter",
        "url": f"{URL}{code}",
        "name": "Contact",
        "status": "active",
        "description": "who to call",
        "code": code,
        "base": ["Patient"],
        "type": "string",
        "expression": "Patient.contact.name.family",
    } | changes


def patient(family, **more):
    return {"resourceType": "Patient", "contact": [{"name": {"family": family}}]} | more


class Process:
    """What one process of a hub has: a client of its FHIR side, and its indexing."""

    def __init__(self, client, indexing):
        self.client, self.indexing = client, indexing

    async def post(self, resource):
        answer = await self.client.post(resource["resourceType"], json=resource)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    async def found(self, query):
        answer = await self.client.get(query)
        assert answer.status_code == 200, answer.text
        return [entry["resource"]["id"] for entry in answer.json().get("entry", ())]

    async def refused(self, query):
        answer = await self.client.get(query)
        assert answer.status_code == 400, answer.text
        return answer.json()["issue"][0]["diagnostics"]

    async def status(self, path="SearchParameter/$status"):
        answer = await self.client.get(path)
        assert answer.status_code == 200, answer.text
        return [
            {part["name"]: value for part in one["part"] for value in list(part.values())[1:]}
            for one in answer.json().get("parameter", ())
        ]


@asynccontextmanager
async def starting(store, clock, new_id):
    service, indexing = parts.indexed(store, clock, new_id)
    await indexing.refresh()
    transport = httpx.ASGITransport(app=parts.fhir_app(service, []))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.test/fhir/") as client:
        yield Process(client, indexing)


@pytest.fixture
def new_id():
    return parts.ids()


@pytest.fixture
async def hub(store, clock, new_id):
    async with starting(store, clock, new_id) as process:
        yield process


async def test_it_may_be_searched_by_once_everything_stored_is_indexed(hub):
    before = [await hub.post(patient("沈" if n % 2 else "Wang")) for n in range(230)]
    await hub.post(parameter())
    during = await hub.post(patient("沈"))

    assert "is being built, 0 % done" in await hub.refused("Patient?contact-name=沈")
    while await hub.indexing.step():
        percent = (await hub.status())[0]["percent"]
        if percent < 100:
            assert f"is being built, {percent} % done" in await hub.refused(
                "Patient?contact-name=x"
            )
    after = await hub.post(patient("沈"))

    found = await hub.found("Patient?contact-name=沈&_count=1000")
    assert found == [*before[1::2], during, after]
    assert await hub.found("Patient?contact-name:missing=true") == []
    assert (await hub.status())[0] == {
        "url": f"{URL}contact-name",
        "code": "contact-name",
        "base": "Patient",
        "reference": {"reference": "SearchParameter/a231"},
        "status": "active",
        "percent": 100,
    }


async def test_what_changes_while_it_is_built_is_indexed_as_it_is_then(hub):
    ids = [await hub.post(patient("Old")) for _ in range(250)]
    await hub.post(parameter())
    await hub.indexing.step()
    await hub.indexing.step()
    for logical_id in (ids[0], ids[-1]):  # one that the pass has been at, one that it has not
        body = patient("New", id=logical_id)
        assert (await hub.client.put(f"Patient/{logical_id}", json=body)).status_code == 200
    assert (await hub.client.delete(f"Patient/{ids[-2]}")).status_code in (200, 204)
    await hub.indexing.work()

    assert await hub.found("Patient?contact-name=New") == [ids[0], ids[-1]]
    assert await hub.found("Patient?contact-name=Old&_count=1000") == ids[1:-2]


async def test_the_capability_statement_lists_it_when_it_works(hub):
    async def listed():
        statement = (await hub.client.get("metadata")).json()
        (of_patient,) = (r for r in statement["rest"][0]["resource"] if r["type"] == "Patient")
        return [row for row in of_patient["searchParam"] if "definition" in row]

    await hub.post(parameter())
    assert await listed() == []
    await hub.indexing.work()
    assert await listed() == [
        {
            "name": "contact-name",
            "type": "string",
            "definition": f"{URL}contact-name",
            "documentation": "FHIRPath: Patient.contact.name.family",
        }
    ]


async def test_chains_includes_reverse_chains_and_sorts_work_by_it(hub):
    ward = await hub.post({"resourceType": "Location", "name": "Ward 3", "alias": ["Third"]})
    await hub.post(parameter("alias", base=["Location"], expression="Location.alias"))
    await hub.post(
        parameter(
            "stay",
            base=["Encounter"],
            type="reference",
            expression="Encounter.location.location",
            target=["Location"],
        )
    )
    await hub.post(
        parameter("due", base=["Encounter"], type="date", expression="Encounter.location.period")
    )
    encounters = [
        await hub.post(
            {
                "resourceType": "Encounter",
                "status": "finished",
                "class": {"code": "IMP"},
                "location": [
                    {"location": {"reference": f"Location/{ward}"}, "period": {"start": day}}
                ],
            }
        )
        for day in ("2025-03-02", "2025-03-01")
    ]
    await hub.indexing.work()

    assert await hub.found("Encounter?stay.alias=third") == encounters
    assert await hub.found("Encounter?_sort=due") == encounters[::-1]
    first = await hub.found("Encounter?_sort=due&_count=1&_include=Encounter:stay")
    assert first == [encounters[1], ward]
    assert await hub.found("Location?_has:Encounter:stay:due=ge2025") == [ward]
    assert await hub.found("Location?_revinclude=Encounter:stay") == [ward, *encounters]


async def test_a_composite_of_two_parameters_works(hub):
    await hub.post(
        parameter(
            "name-gender",
            type="composite",
            expression="Patient",
            component=[
                {
                    "definition": "http://hl7.org/fhir/SearchParameter/individual-family",
                    "expression": "name.family",
                },
                {
                    "definition": "http://hl7.org/fhir/SearchParameter/individual-gender",
                    "expression": "gender",
                },
            ],
        )
    )
    shen = await hub.post(
        {"resourceType": "Patient", "name": [{"family": "Shen"}], "gender": "female"}
    )
    await hub.indexing.work()

    assert await hub.found("Patient?name-gender=Shen$female") == [shen]
    assert await hub.found("Patient?name-gender=Shen$male") == []


async def test_a_composite_of_what_no_parameter_looks_at_works(hub):
    code = {"definition": "http://hl7.org/fhir/SearchParameter/clinical-code"}
    value = {"definition": "http://hl7.org/fhir/SearchParameter/Observation-value-concept"}
    await hub.post(
        parameter(
            "code-truth",
            base=["Observation"],
            type="composite",
            expression="Observation",
            component=[code | {"expression": "code"}, value | {"expression": "value.as(boolean)"}],
        )
    )
    told = {"resourceType": "Observation", "status": "final", "code": {"coding": [{"code": "a"}]}}
    seen = await hub.post(told | {"valueBoolean": True})
    await hub.post(told | {"valueBoolean": False})
    await hub.indexing.work()

    assert await hub.found("Observation?code-truth=a$true") == [seen]


@pytest.mark.parametrize(
    ("changes", "status", "element", "told"),
    [
        ({"expression": "Patient.contact.shoe"}, 422, "expression", "no element shoe"),
        ({"expression": "Patient.name.iif(a)"}, 422, "expression", "cannot be indexed"),
        ({"expression": "Observation.status"}, 422, "expression", "finds nothing in Patient"),
        ({"type": "date"}, 422, "expression", "finds nothing in Patient that is indexed as date"),
        ({"expression": None}, 422, "expression", "without an expression"),
        ({"type": "special"}, 422, "type", "what it means is not in the resource"),
        ({"type": "colour"}, 400, "type", ""),
        ({"code": "birthdate"}, 400, "code", "R4 has a parameter birthdate for Patient"),
        ({"code": "_id"}, 400, "code", "a code begins with a letter"),
        ({"code": "a.b"}, 400, "code", "a code begins with a letter"),
        ({"base": ["Patient", "Person2"]}, 400, "base", ""),
        ({"target": ["Nobody"]}, 400, "target", ""),
        ({"type": "composite"}, 400, "component", "two parts or more"),
    ],
)
async def test_one_that_cannot_work_is_refused_when_it_is_written(
    hub, changes, status, element, told
):
    body = {name: value for name, value in (parameter() | changes).items() if value is not None}
    answer = await hub.client.post("SearchParameter", json=body)

    issue = answer.json()["issue"][0]
    assert answer.status_code == status, answer.text
    assert issue["expression"][0].startswith(f"SearchParameter.{element}")
    assert told in issue["diagnostics"]
    assert await hub.found("SearchParameter") == []


async def test_a_code_is_taken_once_for_each_type(hub):
    first = await hub.post(parameter())
    assert (await hub.client.post("SearchParameter", json=parameter())).status_code == 400
    await hub.post(parameter(base=["Person"], type="uri", expression="Person.link.target.type"))
    same = parameter(id=first, description="other words")
    assert (await hub.client.put(f"SearchParameter/{first}", json=same)).status_code == 200

    url = "SearchParameter/"
    twice = [
        {"resource": parameter("twice", id=name), "request": {"method": "PUT", "url": url + name}}
        for name in ("x", "y")
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": twice}
    answer = await hub.client.post("", json=bundle)
    assert answer.status_code == 400
    assert "is the code of SearchParameter/x already" in answer.text


async def test_a_draft_stays_inactive_and_r4s_own_need_no_resource(hub):
    draft = await hub.post(parameter(status="draft", expression="whatever(("))
    own = await hub.post(
        parameter("birthdate", url="http://hl7.org/fhir/SearchParameter/individual-birthdate")
    )
    await hub.indexing.work()

    assert "no parameter 'contact-name'" in await hub.refused("Patient?contact-name=x")
    (told,) = await hub.status(f"SearchParameter/{draft}/$status")
    assert (told["status"], told["reason"]) == (
        "inactive",
        "its status is draft; with active it would work",
    )
    (told,) = await hub.status(f"SearchParameter/{own}/$status")
    assert told["reason"] == "it is one of R4's own and works without this resource"
    assert (await hub.client.get("Patient/$status")).status_code == 404


@pytest.mark.parametrize("how", ["retired", "deleted"])
async def test_one_that_is_withdrawn_is_refused_and_its_entries_go(hub, store, how):
    await hub.post(patient("Shen"))
    logical_id = await hub.post(parameter())
    await hub.indexing.work()
    address = f"SearchParameter/{logical_id}"
    plan = Query(("Patient",), Has("contact-name", "string"))
    assert len((await store.search(plan)).matches) == 1

    if how == "retired":
        await hub.client.put(address, json=parameter(id=logical_id, status="retired"))
    else:
        await hub.client.delete(address)

    assert "no parameter 'contact-name'" in await hub.refused("Patient?contact-name=Shen")
    await hub.indexing.work()
    assert (await store.search(plan)).matches == []


async def test_one_that_comes_back_is_built_anew(hub):
    logical_id = await hub.post(parameter())
    await hub.indexing.work()
    address = f"SearchParameter/{logical_id}"
    await hub.client.put(address, json=parameter(id=logical_id, status="retired"))
    meanwhile = await hub.post(patient("Shen"))  # indexed without it
    await hub.client.put(address, json=parameter(id=logical_id))

    assert "is being built" in await hub.refused("Patient?contact-name=Shen")
    await hub.indexing.work()
    assert await hub.found("Patient?contact-name=Shen") == [meanwhile]


async def test_other_words_about_it_leave_it_as_it_is(hub):
    logical_id = await hub.post(parameter())
    await hub.indexing.work()
    changed = parameter(id=logical_id, description="who to call at night")
    await hub.client.put(f"SearchParameter/{logical_id}", json=changed)

    assert await hub.found("Patient?contact-name=Shen") == []


@pytest.mark.no_cover
async def test_a_build_goes_on_after_a_crash(hub, store, clock, new_id):
    ids = [await hub.post(patient("Shen")) for _ in range(350)]
    await hub.post(parameter())
    for _ in range(3):
        await hub.indexing.step()
    percent = (await hub.status())[0]["percent"]
    assert 0 < percent < 100

    async with starting(store, clock, new_id) as restarted:
        assert (await restarted.status())[0]["percent"] == percent
        await restarted.indexing.work()
        assert await restarted.found("Patient?contact-name=Shen&_count=1000") == ids


async def test_a_process_that_has_not_heard_of_it_indexes_by_it_all_the_same(
    hub, store, clock, new_id
):
    async with starting(store, clock, new_id) as other:
        await hub.post(parameter())
        await hub.indexing.work()
        written = await other.post(patient("Shen"))

        assert await hub.found("Patient?contact-name=Shen") == [written]
        assert await other.found("Patient?contact-name=Shen") == [written]
        await hub.post(parameter("second"))
        again = await other.client.post("SearchParameter", json=parameter("second"))
        assert again.status_code == 400


async def test_reindex_builds_it_anew_while_it_is_searched_by(hub):
    shen = await hub.post(patient("Shen"))
    logical_id = await hub.post(parameter())
    assert (await hub.client.post("SearchParameter/x/$reindex")).status_code == 404
    await hub.indexing.work()

    answer = await hub.client.post(f"SearchParameter/{logical_id}/$reindex")
    assert answer.status_code == 202
    assert hub.indexing.left == 1
    assert await hub.found("Patient?contact-name=Shen") == [shen]
    await hub.indexing.work()
    assert hub.indexing.left == 0
    assert await hub.found("Patient?contact-name=Shen") == [shen]
