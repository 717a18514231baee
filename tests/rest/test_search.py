"""The search interactions, as a client sees them.

Spec: https://hl7.org/fhir/R4/search.html
"""

import pytest

NAMES = ["沈桂芳", "沈一", "王䶮", "陆建国", "Müller"]


@pytest.fixture
async def people(client, clock):
    """Five Patients a1 … a5, and for the first two a blood sugar a6, a7 and a doctor."""
    for number, name in enumerate(NAMES, 1):
        patient = {
            "resourceType": "Patient",
            "identifier": [{"system": "urn:oid:2.16.156.10011.1.3", "value": f"id{number}"}],
            "name": [{"text": name, "family": name[0], "given": [name[1:]]}],
            "birthDate": f"19{50 + number}-04-12",
            "gender": "female" if number % 2 else "male",
        }
        assert (await client.post("Patient", json=patient)).status_code == 201
        clock.tick()
    for number, value in ((1, "9.8"), (2, "5.40")):
        body = (
            '{"resourceType":"Observation","status":"final",'
            '"code":{"coding":[{"system":"http://loinc.org","code":"14771-0"}]},'
            f'"subject":{{"reference":"Patient/a{number}"}},'
            f'"effectiveDateTime":"2025-03-1{number}T08:10:00+08:00",'
            f'"valueQuantity":{{"value":{value},"unit":"mmol/L",'
            '"system":"http://unitsofmeasure.org","code":"mmol/L"}}'
        )
        assert (await client.post("Observation", content=body.encode())).status_code == 201
        clock.tick()


def found(answer):
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset")
    return [
        entry["resource"]["id"]
        for entry in bundle.get("entry", [])
        if entry["search"]["mode"] == "match"
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Patient?identifier=urn:oid:2.16.156.10011.1.3|id1", ["a1"]),
        ("Patient?identifier=id1,id2", ["a1", "a2"]),
        ("Patient?identifier=|id1", []),
        ("Patient?name=沈", ["a1", "a2"]),
        ("Patient?name=沈桂芳", ["a1"]),
        ("Patient?family=沈&given=桂芳", ["a1"]),
        ("Patient?name=muller", ["a5"]),
        ("Patient?name:exact=muller", []),
        ("Patient?name:contains=桂", ["a1"]),
        ("Patient?gender=male", ["a2", "a4"]),
        ("Patient?gender:not=male", ["a1", "a3", "a5"]),
        ("Patient?birthdate=1951-04-12", ["a1"]),
        ("Patient?birthdate=ge1953", ["a3", "a4", "a5"]),
        ("Patient?birthdate=gt1951&birthdate=lt1954", ["a2", "a3"]),
        ("Patient?birthdate:missing=true", []),
        ("Patient?_id=a1,a4", ["a1", "a4"]),
        ("Patient?_lastUpdated=gt2024-02-29T10:00:02Z", ["a4", "a5"]),
        ("Patient?_sort=-birthdate&_count=2", ["a5", "a4"]),
        ("Patient?_sort=gender,-birthdate", ["a5", "a3", "a1", "a4", "a2"]),
        ("Observation?patient=a1", ["a6"]),
        ("Observation?subject=Patient/a1", ["a6"]),
        ("Observation?patient=http://hub.test/fhir/Patient/a1", ["a6"]),
        ("Observation?patient.identifier=urn:oid:2.16.156.10011.1.3|id2", ["a7"]),
        ("Observation?patient.name=沈&_sort=-date", ["a7", "a6"]),
        ("Observation?code=http://loinc.org|14771-0&date=2025-03-11", ["a6"]),
        ("Observation?value-quantity=gt6|http://unitsofmeasure.org|mmol/L", ["a6"]),
        ("Observation?code-value-quantity=http://loinc.org|14771-0$gt9", ["a6"]),
        ("?_type=Patient,Observation&_sort=-_id", ["a7", "a6", "a5", "a4", "a3", "a2", "a1"]),
        ("?_type=Observation,Patient&_sort=-_lastUpdated&_count=2", ["a7", "a6"]),
        ("Observation?_sort=-combo-value-quantity", ["a6", "a7"]),
        ("Observation?_sort=patient", ["a6", "a7"]),
        ("Patient?_sort=-family,_id&gender=female", ["a3", "a1", "a5"]),
        ("Patient?_has:Observation:patient:code=14771-0", ["a1", "a2"]),
    ],
)
@pytest.mark.usefixtures("people")
async def test_search_finds(client, query, expected):
    assert found(await client.get(query)) == expected


@pytest.mark.parametrize(
    ("query", "code", "named"),
    [
        ("Patient?nmae=x", "not-supported", "name"),
        ("Patient?name:exat=x", "not-supported", "exact"),
        ("Patient?birthdate=yesterday", "value", "birthdate"),
        ("Patient?_count=many", "value", "_count"),
        ("Patient?_sort=nmae", "not-supported", "name"),
        ("Observation?patient.nmae=x", "not-supported", "name"),
        ("Patient?_include=Patient:nothing", "not-supported", "nothing"),
        ("Patient?_cursor=garbage", "value", "cursor"),
    ],
)
@pytest.mark.usefixtures("people")
async def test_search_names_what_it_does_not_know(client, query, code, named):
    answer = await client.get(query)

    issue = answer.json()["issue"][0]
    assert (answer.status_code, issue["code"]) == (400, code)
    assert named in issue["diagnostics"]


@pytest.mark.usefixtures("people")
async def test_lenient_ignores_and_says_so(client):
    answer = await client.get("Patient?nmae=x&gender=male", headers={"Prefer": "handling=lenient"})

    assert found(answer) == ["a2", "a4"]
    last = answer.json()["entry"][-1]
    assert last["search"]["mode"] == "outcome"
    assert "nmae" in last["resource"]["issue"][0]["diagnostics"]
    assert answer.json()["link"][0]["url"] == "http://hub.test/fhir/Patient?gender=male"


@pytest.mark.usefixtures("people")
async def test_pages_are_linked_and_stable_while_others_write(client):
    answer = await client.get("Patient?_count=2&_sort=birthdate&_total=accurate")
    pages = [found(answer)]
    assert answer.json()["total"] == 5
    while True:
        new = {"resourceType": "Patient", "birthDate": "1940-01-01"}
        await client.post("Patient", json=new)
        links = {link["relation"]: link["url"] for link in answer.json()["link"]}
        if "next" not in links:
            break
        answer = await client.get(links["next"])
        pages.append(found(answer))

    assert pages == [["a1", "a2"], ["a3", "a4"], ["a5"]]


@pytest.mark.usefixtures("people")
async def test_a_cursor_of_another_search_is_refused(client):
    links = (await client.get("Patient?_count=2&_sort=birthdate")).json()["link"]
    cursor = links[1]["url"].rpartition("_cursor=")[2]

    assert (await client.get(f"Patient?_count=2&_cursor={cursor}")).status_code == 400


@pytest.mark.usefixtures("people")
async def test_count_0_and_summary_count_answer_the_total_alone(client):
    for query in ("Patient?_count=0", "Patient?_summary=count"):
        bundle = (await client.get(query)).json()
        assert bundle["total"] == 5
        assert "entry" not in bundle


@pytest.mark.usefixtures("people")
async def test_an_only_page_says_its_exact_total(client):
    assert (await client.get("Patient?gender=male")).json()["total"] == 2
    assert "total" not in (await client.get("Patient?_count=2")).json()


@pytest.mark.usefixtures("people")
async def test_post_search_takes_a_form(client):
    answer = await client.post("Patient/_search?_sort=-birthdate", data={"name": "沈"})

    assert found(answer) == ["a2", "a1"]
    wrong = await client.post("Patient/_search", json={"name": "x"})
    assert wrong.status_code == 415
    shown = await client.post("Patient/_search", data={"name": "沈", "_format": "xml"})
    assert shown.headers["Content-Type"].startswith("application/fhir+xml")
    twice = await client.post("Patient/_search?_format=json", data={"_format": "xml"})
    assert twice.status_code == 400
    as_fhir = await client.post(
        "Patient/_search", content=b"name=x", headers={"Content-Type": "application/fhir+json"}
    )
    assert as_fhir.status_code == 415
    latin = await client.post(
        "Patient/_search",
        content=b"name=\xe9",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert latin.status_code == 400


@pytest.mark.usefixtures("people")
async def test_include_and_revinclude_add_each_resource_once(client):
    forward = await client.get("Observation?_include=Observation:subject&_sort=date")
    entries = [
        (entry["search"]["mode"], entry["resource"]["id"]) for entry in forward.json()["entry"]
    ]
    assert entries == [("match", "a6"), ("match", "a7"), ("include", "a1"), ("include", "a2")]

    reverse = await client.get("Patient?name=沈桂芳&_revinclude=Observation:subject")
    assert [entry["resource"]["id"] for entry in reverse.json()["entry"]] == ["a1", "a6"]


@pytest.mark.usefixtures("people")
async def test_a_search_of_all_types_finds_over_types(client):
    assert found(await client.get("?_id=a1,a6")) == ["a1", "a6"]
    assert found(await client.post("_search", data={"_id": "a1,a6"})) == ["a1", "a6"]


@pytest.mark.usefixtures("people")
async def test_elements_answers_parts_and_digits_stay(client):
    answer = await client.get("Observation?_elements=value&_sort=date&_include=*")
    whole = (await client.get("Patient/a1")).json()

    assert b'"value":5.40' in answer.content
    assert "subject" not in answer.json()["entry"][0]["resource"]
    included = [one["resource"] for one in answer.json()["entry"] if one["resource"]["id"] == "a1"]
    assert included == [whole]  # the list of elements is that of matches


@pytest.mark.usefixtures("people")
async def test_a_search_sees_updates_and_deletes_at_once(client):
    await client.delete("Patient/a1")
    patient = {"resourceType": "Patient", "id": "a2", "name": [{"text": "沈桂芬"}]}
    await client.put("Patient/a2", json=patient)

    assert found(await client.get("Patient?name=沈")) == ["a2"]
    assert found(await client.get("Patient?name=沈一")) == []
    assert found(await client.get("Patient?identifier=id2")) == []


EVERY, NEWER = ["any", "deep", "new", "none", "old", "ten"], ["new", "none"]


async def ask_by_canonicals(client) -> None:
    """Store a questionnaire in two versions, and answers to either, to any, and to none."""
    for name, version in (("q1", "1"), ("q2", "2")):
        questionnaire = {"resourceType": "Questionnaire", "id": name, "status": "draft"}
        named = {"url": "http://x.test/q", "version": version, "title": f"title {version}"}
        await client.put(f"Questionnaire/{name}", json=questionnaire | named)
    nameless = {"resourceType": "Questionnaire", "id": "nameless", "status": "draft"}
    await client.put("Questionnaire/nameless", json=nameless)
    named = {"old": "|1", "any": "", "new": "|2", "none": "|3", "deep": "|1.2.3", "ten": "|10.2"}
    for name, canonical in named.items():
        response = {"resourceType": "QuestionnaireResponse", "id": name, "status": "completed"}
        await client.put(
            f"QuestionnaireResponse/{name}",
            json=response | {"questionnaire": f"http://x.test/q{canonical}"},
        )


async def test_includes_follow_canonicals_to_the_version_that_they_name(client):
    await ask_by_canonicals(client)

    async def included(address):
        entries = (await client.get(address)).json()["entry"]
        return sorted(e["resource"]["id"] for e in entries if e["search"]["mode"] == "include")

    forward = "QuestionnaireResponse?_include=QuestionnaireResponse:questionnaire&_id="
    assert await included(forward + "old") == ["q1"]
    assert await included(forward + "any") == ["q1", "q2"]
    assert await included(forward + "none") == []
    assert await included("QuestionnaireResponse?_id=new&_include=*") == ["q2"]
    reverse = "Questionnaire?_revinclude=QuestionnaireResponse:questionnaire&_id="
    assert await included(reverse + "q1") == ["any", "old"]
    assert await included("Questionnaire?_revinclude=*&_id=q2") == ["any", "new"]


async def test_the_fragment_of_a_canonical_names_a_part_of_what_has_the_url(client):
    await ask_by_canonicals(client)
    response = {"resourceType": "QuestionnaireResponse", "id": "part", "status": "completed"}
    named = response | {"questionnaire": "http://x.test/q|2#a"}
    assert (await client.put("QuestionnaireResponse/part", json=named)).status_code == 201

    for asked in (".title=title 2", "=http://x.test/q|2", "=http://x.test/q|2%23a"):
        assert "part" in found(await client.get(f"QuestionnaireResponse?questionnaire{asked}"))
    entries = (await client.get("QuestionnaireResponse?_id=part&_include=*")).json()["entry"]
    assert [entry["resource"]["id"] for entry in entries] == ["part", "q2"]


@pytest.mark.parametrize(
    ("address", "ids"),
    [
        ("QuestionnaireResponse?questionnaire.version=1", ["any", "old"]),
        ("QuestionnaireResponse?questionnaire:Questionnaire.title=title 2", ["any", "new"]),
        ("QuestionnaireResponse?questionnaire.title=other", []),
        ("QuestionnaireResponse?questionnaire._id=nameless", []),
        ("QuestionnaireResponse?_filter=questionnaire.version eq 1", ["any", "old"]),
        ("Questionnaire?_has:QuestionnaireResponse:questionnaire:_id=new,none", ["q2"]),
        ("Questionnaire?_has:QuestionnaireResponse:questionnaire:status=completed", ["q1", "q2"]),
        ("Questionnaire?_has:QuestionnaireResponse:questionnaire:_id=none", []),
        ("QuestionnaireResponse?questionnaire:below=http://x.test/q", EVERY),
        ("QuestionnaireResponse?questionnaire:below=http://x.test/q|1", ["deep", "old"]),
        ("QuestionnaireResponse?questionnaire:below=http://x.test/q|1.2%23a", ["deep"]),
        ("QuestionnaireResponse?questionnaire:below=http://x.test/q|1.", []),
        ("QuestionnaireResponse?questionnaire:below=http://x.test/", []),
        ("QuestionnaireResponse?questionnaire:below=http://x.test/q|3,http://x.test/q|2", NEWER),
        ("QuestionnaireResponse?questionnaire:above=http://x.test/q|1.2.3", ["any", "deep", "old"]),
        ("QuestionnaireResponse?questionnaire:above=http://x.test/q|1", ["any", "old"]),
        ("QuestionnaireResponse?questionnaire:above=http://x.test/q", ["any"]),
        ("Questionnaire?_has:QuestionnaireResponse:questionnaire:questionnaire:below=urn:x", []),
    ],
)
async def test_a_chain_follows_a_canonical_to_the_version_that_it_names(client, address, ids):
    await ask_by_canonicals(client)

    assert sorted(found(await client.get(address))) == ids
