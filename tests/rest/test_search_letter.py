"""Sentences of R4's search page that stand by themselves: MIME types, versions, letters.

Spec: https://hl7.org/fhir/R4/search.html
"""

import pytest


@pytest.fixture
async def records(client):
    """Documents of three MIME types, a questionnaire in two versions, a reference to a version."""

    def document(name, kind):
        content = [{"attachment": {"contentType": kind}}]
        return {
            "resourceType": "DocumentReference",
            "id": name,
            "status": "current",
            "content": content,
        }

    def questionnaire(name, version):
        url = {"url": "http://x.test/q", "version": version}
        return {"resourceType": "Questionnaire", "id": name, "status": "draft", **url}

    patient = {"resourceType": "Patient", "id": "p"}
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": "c"}}
    for resource in (
        document("xml", "text/xml; charset=UTF-8"),
        document("bare", "text/xml"),
        document("xmlish", "text/xml-external"),
        document("image", "image/png"),
        questionnaire("q1", "V1"),
        questionnaire("q2", "v2"),
        patient | {"gender": "male"},
        patient | {"gender": "female"},
        observation | {"id": "old", "subject": {"reference": "Patient/p/_history/1"}},
        observation | {"id": "never", "subject": {"reference": "Patient/p"}},
    ):
        place = f"{resource['resourceType']}/{resource['id']}"
        assert (await client.put(place, json=resource)).status_code in (200, 201)


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("DocumentReference?contenttype=text/xml", "bare"),
        ("DocumentReference?contenttype:below=text/xml", "bare xml"),
        ("DocumentReference?contenttype:below=text/xml,image", "bare image xml"),
        ("DocumentReference?contenttype:below=text", "bare xml xmlish"),
        ("DocumentReference?contenttype:below=tex", ""),
        ("DocumentReference?contenttype:above=text/xml; charset=UTF-8", "bare xml"),
        ("Questionnaire?url=http://x.test/q", "q1 q2"),
        ("Questionnaire?url=http://x.test/q|V1", "q1"),
        ("Questionnaire?url=http://x.test/q|3", ""),
        ("Questionnaire?url=http://x.test/q|3,http://x.test/q|v2", "q2"),
        ("Questionnaire?url=http://x.test/q\\|V1", ""),
        ("Questionnaire?version=v1", "q1"),
        ("Questionnaire?version=V1,V2", "q1 q2"),
        ("Questionnaire?version:not=v1", "q2"),
        ("QuestionnaireResponse?questionnaire.url=http://x.test/q|V1", ""),
    ],
)
@pytest.mark.usefixtures("records")
async def test_search_finds(client, address, found):
    answer = await client.get(address)
    entries = answer.json().get("entry", [])

    assert sorted(entry["resource"]["id"] for entry in entries) == found.split()


@pytest.mark.usefixtures("records")
async def test_of_a_versioned_reference_the_version_that_it_names_is_included(client):
    async def included(query):
        bundle = (await client.get(f"Observation?{query}")).json()
        one = (e["resource"] for e in bundle["entry"] if e["search"]["mode"] == "include")
        return [(resource["meta"]["versionId"], resource["gender"]) for resource in one]

    assert await included("_id=old&_include=Observation:subject") == [("1", "male")]
    assert await included("_id=old&_include=*") == [("1", "male")]
    assert await included("_id=never&_include=Observation:subject") == [("2", "female")]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("Observation?subject:below=Patient/1", "not supported"),
        ("Observation?encounter:below=", "no value"),
        ("Patient?general-practitioner:under=1", "not known"),
        ("Observation?derived-from:below=1", "not supported"),
        ("Patient?_query=x", "no named queries"),
        ("Patient?_offset=20", "pages follow the link `next`"),
        ("Patient?_limit=20", "use _count"),
        ("Patient?gender=femal", "gender: R4 has no such code here; did you mean female, male?"),
    ],
)
async def test_search_refuses(client, address, said):
    answer = await client.get(address)
    lenient = await client.get(address, headers={"Prefer": "handling=lenient"})

    assert answer.status_code == 400
    assert said in answer.json()["issue"][0]["diagnostics"]
    # R4 search.html#query: an unknown query SHALL be refused
    assert lenient.status_code == (400 if "_query" in address else 200)


async def test_a_search_in_a_list_that_is_not_there_says_so(client):
    for name in ("there", "gone"):
        empty = {"resourceType": "List", "id": name, "status": "current", "mode": "working"}
        assert (await client.put(f"List/{name}", json=empty)).status_code == 201
    assert (await client.delete("List/gone")).status_code == 204

    async def said(ids):
        bundle = (await client.get(f"Patient?_list={ids}")).json()
        return [
            (issue["severity"], issue["code"], issue["diagnostics"])
            for entry in bundle.get("entry", [])
            for issue in entry["resource"]["issue"]
        ]

    assert await said("there") == []
    assert await said("nix,List/gone,there") == [
        ("warning", "not-found", "_list: there is no List with the id nix"),
        ("warning", "not-found", "_list: there is no List with the id gone"),
    ]
