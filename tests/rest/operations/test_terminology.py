"""The terminology operations, as a client asks them: of R4's own codes and of what is stored.

Spec: https://hl7.org/fhir/R4/terminology-service.html
"""

import pytest

GENDER = "http://hl7.org/fhir/administrative-gender"
GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"
ACTS = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
COLOURS = {
    "resourceType": "CodeSystem",
    "id": "colours",
    "url": "http://a.example/colours",
    "version": "1",
    "name": "Colours",
    "status": "active",
    "content": "complete",
    "caseSensitive": True,
    "language": "en",
    "valueSet": "http://a.example/all-colours",
    "concept": [
        {
            "code": "red",
            "display": "Red",
            "designation": [{"language": "zh", "value": "红"}],
            "concept": [{"code": "scarlet", "display": "Scarlet"}],
        },
        {"code": "blue", "display": "Blue"},
    ],
}
REDS = {
    "resourceType": "ValueSet",
    "id": "reds",
    "url": "http://a.example/reds",
    "status": "active",
    "compose": {
        "include": [
            {
                "system": COLOURS["url"],
                "filter": [{"property": "concept", "op": "is-a", "value": "red"}],
            }
        ]
    },
}
TO_FRENCH = {
    "resourceType": "ConceptMap",
    "id": "french",
    "url": "http://a.example/french",
    "status": "active",
    "sourceUri": "http://a.example/reds",
    "group": [
        {
            "source": COLOURS["url"],
            "target": "http://a.example/couleurs",
            "element": [
                {"code": "red", "target": [{"code": "rouge", "equivalence": "wider"}]},
            ],
            "unmapped": {"mode": "provided"},
        }
    ],
}


def parameters(**values):
    """Return a Parameters resource; a name's suffix after `_` is the type of its value."""
    rows = []
    for name, value in values.items():
        name, _, kind = name.rpartition("_")
        rows.append({"name": name.replace("_", "-"), kind: value})
    return {"resourceType": "Parameters", "parameter": rows}


def said(answer):
    """Return name → value of the Parameters that were answered."""
    assert answer.status_code == 200, answer.text
    return {
        row["name"]: next((v for k, v in row.items() if k != "name"), None)
        for row in answer.json()["parameter"]
    }


def codes(answer):
    assert answer.status_code == 200, answer.text
    rows, found = list(answer.json()["expansion"].get("contains", [])), []
    while rows:
        row = rows.pop(0)
        found.append(row["code"])
        rows = row.get("contains", []) + rows
    return found


@pytest.fixture
async def stored(client):
    for resource in (COLOURS, REDS, TO_FRENCH):
        answer = await client.put(f"{resource['resourceType']}/{resource['id']}", json=resource)
        assert answer.status_code == 201, answer.text
    return client


async def test_expand_lists_a_value_set_of_r4(client):
    answer = await client.get("ValueSet/$expand", params={"url": GENDERS})

    assert codes(answer) == ["male", "female", "other", "unknown"]
    expansion = answer.json()["expansion"]
    assert expansion["total"] == 4
    assert expansion["identifier"].startswith("urn:uuid:")
    assert {"name": "used-codesystem", "valueUri": f"{GENDER}|4.0.1"} in expansion["parameter"]


async def test_expand_filters_and_pages(client):
    url = "http://terminology.hl7.org/ValueSet/v3-ActCode"
    found = await client.get("ValueSet/$expand", params={"url": url, "filter": "emerg"})
    first = await client.get("ValueSet/$expand", params={"url": url, "count": 2})
    second = await client.get("ValueSet/$expand", params={"url": url, "count": 2, "offset": 2})

    assert "EMER" in codes(found)
    assert first.json()["expansion"]["total"] == 1116
    assert len(codes(first)) == len(codes(second)) == 2
    assert not set(codes(first)) & set(codes(second))


async def test_expand_of_too_much_is_refused_with_too_costly(client):
    url = "http://terminology.hl7.org/ValueSet/v3-ActCode"
    answer = await client.get("ValueSet/$expand", params={"url": url})
    grammar = await client.get(
        "ValueSet/$expand", params={"url": "http://hl7.org/fhir/ValueSet/all-languages"}
    )

    for one in (answer, grammar):
        assert (one.status_code, one.json()["issue"][0]["code"]) == (422, "too-costly")


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"url": "http://a.example/nowhere"}, 404, "not-found"),
        ({"url": "http://hl7.org/fhir/ValueSet/observation-codes"}, 404, "not-found"),
        ({}, 400, "value"),
        ({"url": GENDERS, "count": "many"}, 400, "value"),
        ({"url": GENDERS, "cuont": "1"}, 400, "not-supported"),
        ({"url": GENDERS, "displayLanguage": "-"}, 422, "processing"),
    ],
)
async def test_expand_refuses(client, query, status, code):
    answer = await client.get("ValueSet/$expand", params=query)

    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (status, code)


async def test_what_is_stored_is_usable_at_once_and_gone_when_deleted(stored):
    assert codes(await stored.get("ValueSet/reds/$expand")) == ["red", "scarlet"]
    everything = {"url": "http://a.example/all-colours"}
    assert codes(await stored.get("ValueSet/$expand", params=everything)) == [
        "red", "scarlet", "blue",
    ]  # fmt: skip

    more = COLOURS | {"concept": [*COLOURS["concept"], {"code": "green"}]}
    await stored.put("CodeSystem/colours", json=more)
    assert "green" in codes(await stored.get("ValueSet/$expand", params=everything))

    await stored.delete("CodeSystem/colours")
    answer = await stored.get("ValueSet/$expand", params=everything)
    assert answer.status_code == 404


async def test_expand_takes_a_value_set_in_the_body_and_names_in_a_language(stored):
    answer = await stored.post(
        "ValueSet/$expand", params={"displayLanguage": "zh", "excludeNested": "true"}, json=REDS
    )

    rows = answer.json()["expansion"]["contains"]
    assert [(row["code"], row["display"]) for row in rows] == [
        ("red", "红"),
        ("scarlet", "Scarlet"),
    ]


async def test_validate_code_says_yes_and_why_not(client):
    query = {"url": GENDERS, "system": GENDER, "code": "male", "display": "Male"}
    good = said(await client.get("ValueSet/$validate-code", params=query))
    wrong = said(await client.get("ValueSet/$validate-code", params=query | {"code": "mann"}))
    name = said(await client.get("ValueSet/$validate-code", params=query | {"display": "Mann"}))

    assert good["result"] is True
    assert good["display"] == "Male"
    assert wrong["result"] is False
    kinds = [issue["details"]["coding"][0]["code"] for issue in wrong["issues"]["issue"]]
    assert kinds == ["invalid-code", "not-in-vs"]
    assert name["result"] is False
    assert "Valid display is 'Male'" in name["message"]


async def test_validate_code_takes_a_concept_and_judges_each_coding(stored):
    concept = {
        "coding": [
            {"system": GENDER, "code": "male"},
            {"system": COLOURS["url"], "code": "scarlet"},
        ]
    }
    body = parameters(codeableConcept_valueCodeableConcept=concept)
    answer = said(await stored.post("ValueSet/reds/$validate-code", json=body))

    assert answer["result"] is True
    assert answer["code"] == "scarlet"
    assert answer["issues"]["issue"][0]["severity"] == "information"


async def test_validate_code_of_a_code_system(client):
    query = {"url": GENDER, "code": "male"}
    good = said(await client.get("CodeSystem/$validate-code", params=query))
    wrong = said(await client.get("CodeSystem/$validate-code", params=query | {"code": "x"}))
    unit = {"url": "http://unitsofmeasure.org", "code": "mm[Hg]"}

    assert (good["result"], wrong["result"]) == (True, False)
    assert said(await client.get("CodeSystem/$validate-code", params=unit))["result"] is True


async def test_lookup_tells_names_and_hierarchy(stored):
    answer = await stored.get(
        "CodeSystem/$lookup", params={"system": COLOURS["url"], "code": "red"}
    )

    found = said(answer)
    assert (found["name"], found["display"]) == ("Colours", "Red")
    properties = [row["part"] for row in answer.json()["parameter"] if row["name"] == "property"]
    children = [part[1]["valueCode"] for part in properties if part[0]["valueCode"] == "child"]
    assert children == ["scarlet"]
    unknown = await stored.get(
        "CodeSystem/$lookup", params={"system": COLOURS["url"], "code": "green"}
    )
    assert (unknown.status_code, unknown.json()["issue"][0]["code"]) == (404, "code-invalid")


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        ("_ActEncounterCode", "AMB", "subsumes"),
        ("AMB", "_ActEncounterCode", "subsumed-by"),
        ("AMB", "AMB", "equivalent"),
        ("AMB", "EMER", "not-subsumed"),
    ],
)
async def test_subsumes_walks_the_hierarchy(client, first, second, outcome):
    query = {"system": ACTS, "codeA": first, "codeB": second}

    assert said(await client.get("CodeSystem/$subsumes", params=query)) == {"outcome": outcome}


async def test_translate_by_r4s_own_maps_and_by_stored_ones(stored):
    own = said(
        await stored.get(
            "ConceptMap/$translate",
            params={
                "system": GENDER,
                "code": "male",
                "targetsystem": "http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender",
            },
        )
    )
    query = {"system": COLOURS["url"], "code": "red"}
    red = said(await stored.get("ConceptMap/french/$translate", params=query))
    back = {"system": "http://a.example/couleurs", "code": "rouge", "reverse": "true"}
    reverse = said(await stored.get("ConceptMap/french/$translate", params=back))
    blue = said(await stored.get("ConceptMap/french/$translate", params=query | {"code": "blue"}))

    assert own["result"] is True
    assert own["match"][1]["valueCoding"]["code"] == "M"
    assert [red["match"][0]["valueCode"], red["match"][1]["valueCoding"]["code"]] == [
        "wider", "rouge",
    ]  # fmt: skip
    assert [reverse["match"][0]["valueCode"], reverse["match"][1]["valueCoding"]["code"]] == [
        "narrower", "red",
    ]  # fmt: skip
    assert blue["match"][1]["valueCoding"]["code"] == "blue"


async def test_translate_without_a_match_says_so(stored):
    query = {"system": "http://b.example", "code": "x", "url": TO_FRENCH["url"]}
    answer = said(await stored.get("ConceptMap/$translate", params=query))
    unknown = await stored.get(
        "ConceptMap/$translate", params=query | {"url": "http://a.example/none"}
    )

    assert answer["result"] is False
    assert unknown.status_code == 404


@pytest.mark.parametrize(
    ("address", "query"),
    [
        ("ValueSet/$validate-code", {"url": GENDERS, "code": "male"}),
        ("ValueSet/$validate-code", {"url": GENDERS}),
        ("CodeSystem/$lookup", {"system": GENDER}),
        ("CodeSystem/$subsumes", {"system": GENDER, "codeA": "male"}),
        ("ConceptMap/$translate", {"code": "male"}),
        ("ConceptMap/$translate", {"coding": "male"}),
    ],
)
async def test_a_question_that_is_none_is_refused(client, address, query):
    answer = await client.get(address, params=query)

    assert answer.status_code == 400


async def test_a_regular_expression_of_a_stranger_takes_no_time(client):
    bomb = REDS | {
        "compose": {
            "include": [
                {
                    "system": GENDER,
                    "filter": [{"property": "code", "op": "regex", "value": "(([a-z])+.)+[A-Z]"}],
                }
            ]
        }
    }

    assert codes(await client.post("ValueSet/$expand", json=bomb)) == []


async def test_an_operation_is_only_of_its_types(client):
    answer = await client.get("Patient/$expand")

    assert answer.status_code == 404
