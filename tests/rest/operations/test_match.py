"""`Patient/$match`, as a client sees it.

Spec: https://hl7.org/fhir/R4/patient-operation-match.html
"""

import pytest

RESIDENT = "urn:oid:2.16.156.10011.1.3"
SHEN = {
    "resourceType": "Patient",
    "id": "shen",
    "identifier": [
        {"system": RESIDENT, "value": "310229195304129989"},
        {"system": "urn:hospital", "value": "T0088123"},
    ],
    "name": [{"text": "沈桂芳", "family": "沈", "given": ["桂芳"]}],
    "gender": "female",
    "birthDate": "1953-04-12",
    "telecom": [{"system": "phone", "value": "+86 139 1612 3456"}],
}
NAME = [{"text": "沈桂芳"}]
PHONE = [{"system": "phone", "value": "139-1612-3456"}]


def patient(**more):
    return {"resourceType": "Patient"} | more


def asked(resource, **values):
    rows = [{"name": "resource", "resource": resource}]
    for name, value in values.items():
        rows.append({"name": name, ("valueInteger" if name == "count" else "valueBoolean"): value})
    return {"resourceType": "Parameters", "parameter": rows}


async def grades(client, body):
    """Return the ids that match, each with its grade and score."""
    answer = await client.post("Patient/$match", json=body)
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset")
    assert bundle["total"] == len(bundle.get("entry", []))
    found = []
    for entry in bundle.get("entry", []):
        [extension] = entry["search"]["extension"]
        assert extension["url"] == "http://hl7.org/fhir/StructureDefinition/match-grade"
        found.append((entry["resource"]["id"], extension["valueCode"], entry["search"]["score"]))
    return found


@pytest.fixture
async def stored(client):
    twin = SHEN | {"id": "twin", "identifier": [{"system": "urn:hospital", "value": "T9"}]}
    for resource in (SHEN, twin | {"gender": "male"}):
        address = f"Patient/{resource['id']}"
        assert (await client.put(address, json=resource)).status_code == 201


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (patient(identifier=SHEN["identifier"][:1]), [("shen", "certain", 1.0)]),
        (patient(identifier=SHEN["identifier"][1:]), [("shen", "certain", 1.0)]),
        (
            patient(name=NAME, birthDate="1953-04-12", telecom=PHONE, gender="female"),
            [("shen", "probable", 0.8), ("twin", "possible", 0.5)],
        ),
        (
            patient(name=NAME, birthDate="1953-04-12", gender="female"),
            [("shen", "possible", 0.5)],
        ),
        (
            patient(telecom=PHONE, birthDate="1953-04-12", gender="male"),
            [("twin", "possible", 0.5)],
        ),
        (patient(name=[{"family": "沈", "given": ["桂芳"]}], telecom=PHONE), None),
        (patient(name=NAME), []),
        (patient(birthDate="1953-04-12"), []),
        (patient(name=[{"text": "沈"}], birthDate="1953-04-12"), []),
        (patient(), []),
    ],
)
@pytest.mark.usefixtures("stored")
async def test_numbers_are_certain_and_descriptions_only_together(client, wanted, found):
    if found is None:
        found = [("shen", "possible", 0.5), ("twin", "possible", 0.5)]

    assert await grades(client, wanted) == found


@pytest.mark.usefixtures("stored")
async def test_one_with_another_valid_resident_id_is_another_person(client):
    other = {"system": RESIDENT, "value": "11010519491231002X"}
    wanted = patient(identifier=[other], name=NAME, birthDate="1953-04-12", telecom=PHONE)

    assert [row[0] for row in await grades(client, wanted)] == ["twin"]


@pytest.mark.usefixtures("stored")
async def test_the_answer_can_be_limited(client):
    wanted = patient(name=NAME, birthDate="1953-04-12", telecom=PHONE)

    assert await grades(client, asked(wanted, onlyCertainMatches=True)) == []
    assert len(await grades(client, asked(wanted))) == 2
    assert len(await grades(client, asked(wanted, count=1))) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"resourceType": "Observation"},
        {"resourceType": "Parameters"},
        asked(patient(name="boo")),
        asked(patient(), onlyCertainMatches="maybe"),
        asked(patient(), onlyCertainMatches=1),
        asked(patient(), count=0),
        asked(patient(), count=True),
        {"resourceType": "Parameters", "parameter": [{"name": "resource", "valueString": "x"}]},
    ],
)
async def test_what_cannot_be_matched_is_refused(client, body):
    answer = await client.post("Patient/$match", json=body)

    assert answer.status_code == 400, answer.text


async def test_match_is_of_patients(client):
    assert (await client.post("Observation/$match", json=patient())).status_code == 404
