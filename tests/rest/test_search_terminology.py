"""Search by value set and by hierarchy: `:in`, `:not-in`, `:below`, `:above` on tokens.

Spec: https://hl7.org/fhir/R4/search.html#modifiers
"""

import pytest

ACTS = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"
FINDINGS = "http://a.example/findings"
SYSTEM = {
    "resourceType": "CodeSystem",
    "id": "findings",
    "url": FINDINGS,
    "status": "active",
    "content": "complete",
    "concept": [
        {"code": "fever", "concept": [{"code": "high"}, {"code": "low"}]},
        {"code": "cough"},
    ],
}
FEVERS = {
    "resourceType": "ValueSet",
    "id": "fevers",
    "url": "http://a.example/fevers",
    "status": "active",
    "compose": {
        "include": [
            {
                "system": FINDINGS,
                "filter": [{"property": "concept", "op": "is-a", "value": "fever"}],
            }
        ]
    },
}


def condition(logical_id, code, system=FINDINGS):
    return {
        "resourceType": "Condition",
        "id": logical_id,
        "subject": {"display": "somebody"},
        "code": {"coding": [{"system": system, "code": code}]},
    }


@pytest.fixture
async def filled(client):
    resources = [SYSTEM, FEVERS]
    resources += [condition(code, code) for code in ("fever", "high", "low", "cough")]
    resources.append(condition("other", "high", "http://b.example"))
    resources += [
        {"resourceType": "Patient", "id": gender, "gender": gender} for gender in ("male", "other")
    ]
    resources.append({"resourceType": "Patient", "id": "none"})
    for resource in resources:
        answer = await client.put(f"{resource['resourceType']}/{resource['id']}", json=resource)
        assert answer.status_code == 201, answer.text
    return client


async def found(client, address, **query):
    answer = await client.get(address, params=query | {"_count": 100})
    assert answer.status_code == 200, answer.text
    return {entry["resource"]["id"] for entry in answer.json().get("entry", ())}


@pytest.mark.parametrize(
    ("name", "value", "ids"),
    [
        ("code:in", "http://a.example/fevers", {"fever", "high", "low"}),
        ("code:in", "ValueSet/fevers", {"fever", "high", "low"}),
        ("code:in", "http://hub.test/fhir/ValueSet/fevers", {"fever", "high", "low"}),
        ("code:not-in", "ValueSet/fevers", {"cough", "other"}),
        ("code:below", f"{FINDINGS}|fever", {"fever", "high", "low"}),
        ("code:below", f"{FINDINGS}|high", {"high"}),
        ("code:above", f"{FINDINGS}|high", {"fever", "high"}),
        ("code:above", f"{FINDINGS}|fever,{FINDINGS}|cough", {"fever", "cough"}),
        ("_filter", "code in ValueSet/fevers and not (code eq low)", {"fever", "high"}),
        ("_filter", f'code ss "{FINDINGS}|fever"', {"fever", "high", "low"}),
    ],
)
async def test_a_code_is_found_by_value_set_and_hierarchy(filled, name, value, ids):
    assert await found(filled, "Condition", **{name: value}) == ids


async def test_a_code_element_has_the_system_of_its_binding(filled):
    assert await found(filled, "Patient", **{"gender:in": GENDERS}) == {"male", "other"}
    assert await found(filled, "Patient", **{"gender:not-in": GENDERS}) == {"none"}


async def test_a_value_set_that_changes_is_what_it_is_now(filled):
    changed = FEVERS | {
        "compose": {"include": [{"system": FINDINGS, "concept": [{"code": "low"}]}]}
    }
    await filled.put("ValueSet/fevers", json=changed)

    assert await found(filled, "Condition", **{"code:in": "ValueSet/fevers"}) == {"low"}


@pytest.mark.no_cover
async def test_a_value_set_of_many_codes_is_one_value_of_the_query(filled):
    many = {"include": [{"system": FINDINGS, "concept": [{"code": "cough"}]}]}
    many["include"].append(
        {"system": "http://c.example", "concept": [{"code": str(n)} for n in range(10_000)]}
    )
    big = {"resourceType": "ValueSet", "id": "big", "status": "active", "compose": many}
    await filled.put("ValueSet/big", json=big)

    assert await found(filled, "Condition", **{"code:in": "ValueSet/big"}) == {"cough"}


@pytest.mark.parametrize(
    ("address", "query", "said"),
    [
        ("Condition", {"code:in": "http://a.example/nowhere"}, "could not be found"),
        ("Condition", {"code:in": "ValueSet/nowhere"}, "no ValueSet with this id"),
        ("Condition", {"code:in": "http://hl7.org/fhir/ValueSet/all-languages"}, "grammar"),
        ("Condition", {"code:below": "http://b.example|x"}, "not known here"),
        ("Condition", {"code:below": "fever"}, "system|code"),
        ("Patient", {"identifier:in": GENDERS}, "in"),
    ],
)
async def test_what_is_not_known_is_an_error_that_says_so(filled, address, query, said):
    answer = await filled.get(address, params=query)

    assert answer.status_code == 400
    assert said in answer.json()["issue"][0]["diagnostics"]
