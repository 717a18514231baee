"""A chained condition is evaluated inside contained resources too.

Spec: https://hl7.org/fhir/R4/search.html#contained
"""

import pytest

ORDER = {
    "resourceType": "MedicationRequest",
    "status": "active",
    "intent": "order",
    "subject": {"reference": "Patient/p"},
}
MAKER = {"resourceType": "Organization", "id": "maker", "name": "Maker"}


def medication(code, **more):
    return {
        "resourceType": "Medication",
        "code": {"coding": [{"system": "urn:m", "code": code}]},
        "ingredient": [{"itemCodeableConcept": {"coding": [{"code": f"{code}-1"}]}}],
        **more,
    }


@pytest.fixture
async def orders(client):
    """Orders `out` (of a stored Medication), `in` (of a contained one), `other` and `none`."""
    made_here = {"manufacturer": {"reference": "#maker"}}
    made_there = {"manufacturer": {"reference": "Organization/o"}}
    inside, outside = {"reference": "#m"}, {"reference": "Medication/m"}
    about = "medicationReference"
    for resource in (
        {"resourceType": "Patient", "id": "p"},
        {"resourceType": "Organization", "id": "o", "name": "Other"},
        medication("abc", id="m", **made_there),
        {**ORDER, "id": "out", about: outside},
        {
            **ORDER,
            "id": "in",
            "contained": [medication("abc", id="m", **made_here), MAKER],
            about: inside,
        },
        {
            **ORDER,
            "id": "other",
            "contained": [medication("xyz", id="m", **made_there)],
            about: inside,
        },
        {**ORDER, "id": "none", "medicationCodeableConcept": {"coding": [{"code": "abc"}]}},
        {
            "resourceType": "Observation",
            "id": "seen",
            "status": "final",
            "code": {"text": "c"},
            "contained": [
                {"resourceType": "Practitioner", "id": "a", "name": [{"family": "Shen"}]},
                {"resourceType": "Organization", "id": "b", "name": "Ward"},
            ],
            "performer": [{"reference": "#a"}, {"reference": "#b"}],
        },
    ):
        place = f"{resource['resourceType']}/{resource['id']}"
        answer = await client.put(place, json=resource)
        assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("MedicationRequest?medication.ingredient-code=abc-1", "in out"),
        ("MedicationRequest?medication.code=urn:m|abc&_sort=_id", "in out"),
        ("MedicationRequest?medication:Medication.code=xyz", "other"),
        ("MedicationRequest?medication.code:not=abc", "other"),
        ("MedicationRequest?medication.status:missing=true", "in other out"),
        ("MedicationRequest?medication.status:missing=false", ""),
        ("MedicationRequest?medication.manufacturer.name=maker", "in"),
        ("MedicationRequest?medication.manufacturer.name=other", "other out"),
        ("MedicationRequest?medication.manufacturer=Organization/o", "other out"),
        ("MedicationRequest?medication._id=m", "in other out"),
        (
            "MedicationRequest?_filter=medication.code eq abc and not (medication.code pr false)",
            "in out",
        ),
        ("MedicationRequest?_filter=medication[code eq abc].ingredient-code eq abc-1", "in out"),
        ("MedicationRequest?medication.code=abc&subject._id=p&_total=accurate", "in out"),
        ("Patient?_has:MedicationRequest:subject:medication.code=xyz", "p"),
        ("Medication?code=abc", "m"),
        ("Organization?name=maker", ""),
        ("Observation?performer.name=shen", "seen"),
        ("Observation?performer:Practitioner.name=shen", "seen"),
        ("Observation?performer:Organization.name=shen", ""),
        ("Observation?performer:Organization.name=ward", "seen"),
    ],
)
@pytest.mark.usefixtures("orders")
async def test_a_chain_leads_into_what_is_contained(client, address, found):
    answer = await client.get(address)
    entries = answer.json().get("entry", [])

    assert sorted(entry["resource"]["id"] for entry in entries) == found.split()
    if found:
        assert answer.json()["total"] == len(found.split())


@pytest.mark.usefixtures("orders")
async def test_it_follows_updates_and_deletes(client):
    changed = {**ORDER, "id": "in", "contained": [medication("new", id="m")]}
    answer = await client.put(
        "MedicationRequest/in", json=changed | {"medicationReference": {"reference": "#m"}}
    )
    assert answer.status_code == 200
    deleted = await client.delete("MedicationRequest/other")

    async def found(query):
        entries = (await client.get(f"MedicationRequest?{query}")).json().get("entry", [])
        return [entry["resource"]["id"] for entry in entries]

    assert deleted.status_code == 204
    assert await found("medication.code=abc") == ["out"]
    assert await found("medication.code=new") == ["in"]
    assert await found("medication.code=xyz") == []
    assert await found("medication.manufacturer.name=maker") == []


TEAM = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"text": "c"},
    "contained": [
        {"resourceType": "Practitioner", "id": "a", "name": [{"family": "Shen", "given": ["Wei"]}]},
        {"resourceType": "Practitioner", "id": "b", "name": [{"family": "Li", "given": ["Min"]}]},
    ],
    "performer": [{"reference": "#a"}, {"reference": "#b"}],
}


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        ("_filter=performer[family eq shen].given eq wei", True),
        ("_filter=performer[family eq shen].given eq min", False),
        ("_filter=performer[not (family eq shen)].given eq min", True),
        ("_filter=performer[not (family eq shen)].given eq wei", False),
        ("performer:Practitioner._id:not=a", True),
        ("performer.family=shen&performer.given=min", True),
    ],
)
async def test_what_is_asked_of_one_resource_is_not_told_by_two_that_are_contained(
    client, query, is_found
):
    assert (await client.put("Observation/team", json=TEAM | {"id": "team"})).status_code == 201
    answer = await client.get(f"Observation?{query}")

    assert answer.json()["total"] == is_found, answer.text


async def test_a_pair_is_told_by_one_of_many_that_are_contained(client):
    results = [
        {
            "resourceType": "Observation",
            "id": f"o{number}",
            "status": "final",
            "code": {"coding": [{"code": f"c{number}"}]},
            "valueQuantity": {"value": number},
        }
        for number in range(12)
    ]
    report = {
        "resourceType": "DiagnosticReport",
        "id": "r",
        "status": "final",
        "code": {"text": "c"},
        "contained": results,
        "result": [{"reference": f"#o{number}"} for number in range(12)],
    }
    assert (await client.put("DiagnosticReport/r", json=report)).status_code == 201

    async def total(query):
        answer = await client.get(f"DiagnosticReport?result:Observation.{query}")
        return answer.json()["total"]

    pair = "combo-code-value-quantity"
    assert await total("code-value-quantity=c2$2") == await total(f"{pair}=c11$11") == 1
    assert await total("code-value-quantity=c2$11") == await total(f"{pair}=c11$2") == 0
    assert await total("code-value-quantity:missing=false") == 1
