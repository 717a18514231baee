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


async def entries(client, body):
    """Return the entries of what matches."""
    answer = await client.post("Patient/$match", json=body)
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset")
    found = [one for one in bundle.get("entry", []) if one["search"]["mode"] == "match"]
    assert bundle["total"] == len(found)
    return found


async def grades(client, body):
    """Return the ids that match, each with its grade; the surest come first."""
    found, scores = [], []
    for entry in await entries(client, body):
        extension = entry["search"]["extension"][0]
        assert extension["url"] == "http://hl7.org/fhir/StructureDefinition/match-grade"
        found.append((entry["resource"]["id"], extension["valueCode"]))
        scores.append(entry["search"]["score"])
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)
    return found


@pytest.fixture
async def stored(client):
    brother = SHEN | {"id": "brother", "identifier": [{"system": "urn:hospital", "value": "T9"}]}
    for resource in (SHEN, brother | {"gender": "male"}):
        address = f"Patient/{resource['id']}"
        assert (await client.put(address, json=resource)).status_code == 201


SHE, HE = "shen", "brother"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (patient(identifier=SHEN["identifier"][:1]), [(SHE, "certain")]),
        (patient(identifier=SHEN["identifier"][1:]), [(SHE, "certain")]),
        (
            patient(name=NAME, birthDate="1953-04-12", telecom=PHONE, gender="female"),
            [(SHE, "certain"), (HE, "possible")],
        ),
        (
            patient(name=NAME, birthDate="1953-04-12", gender="female"),
            [(SHE, "certain"), (HE, "possible")],
        ),
        (
            patient(telecom=PHONE, birthDate="1953-04-12", gender="male"),
            [(HE, "possible"), (SHE, "possible")],
        ),
        (
            patient(name=[{"family": "沈", "given": ["桂芳"]}], telecom=PHONE, gender="female"),
            [(SHE, "probable"), (HE, "possible")],
        ),
        (patient(name=NAME), []),
        (patient(birthDate="1953-04-12"), []),
        (patient(name=[{"text": "沈"}], birthDate="1953-04-12"), []),
        (patient(), []),
    ],
)
@pytest.mark.usefixtures("stored")
async def test_numbers_are_certain_and_descriptions_only_together(client, wanted, found):
    assert await grades(client, wanted) == found


@pytest.mark.usefixtures("stored")
async def test_each_match_tells_what_each_field_said(client):
    [entry, _] = await entries(
        client, patient(name=NAME, birthDate="1953-04-12", telecom=PHONE, gender="female")
    )

    said = [one["valueString"] for one in entry["search"]["extension"][1:]]
    assert [one.rpartition(" ")[0] for one in said] == [
        "name: same",
        "birthDate: same",
        "gender: same",
        "phone: same",
    ]


@pytest.mark.usefixtures("stored")
async def test_one_with_another_valid_resident_id_is_another_person(client):
    other = {"system": RESIDENT, "value": "11010519491231002X"}
    wanted = patient(identifier=[other], name=NAME, birthDate="1953-04-12", telecom=PHONE)

    assert [row[0] for row in await grades(client, wanted)] == [HE]


@pytest.mark.usefixtures("stored")
async def test_the_answer_can_be_limited(client):
    wanted = patient(name=NAME, birthDate="1953-04-12", telecom=PHONE, gender="female")

    assert await grades(client, asked(wanted, onlyCertainMatches=True)) == [(SHE, "certain")]
    assert len(await grades(client, asked(wanted))) == 2
    assert await grades(client, asked(wanted, count=1)) == [(SHE, "certain")]


@pytest.mark.usefixtures("stored")
async def test_of_several_certain_matches_none_is_the_certain_one(client):
    again = SHEN | {"id": "again", "identifier": SHEN["identifier"][1:]}
    assert (await client.put("Patient/again", json=again)).status_code == 201
    wanted = patient(identifier=SHEN["identifier"][1:])

    answer = await client.post("Patient/$match", json=asked(wanted, onlyCertainMatches=True))

    assert answer.json()["total"] == 0
    [entry] = answer.json()["entry"]
    assert entry["search"] == {"mode": "outcome"}
    assert entry["resource"]["issue"][0]["code"] == "multiple-matches"


@pytest.mark.usefixtures("stored")
async def test_who_was_merged_away_leads_to_the_survivor(client):
    link = [{"other": {"reference": f"Patient/{SHE}"}, "type": "replaced-by"}]
    gone = patient(id="gone", identifier=[{"system": "urn:old", "value": "9"}], link=link)
    assert (await client.put("Patient/gone", json=gone)).status_code == 201

    assert await grades(client, patient(identifier=gone["identifier"])) == [(SHE, "certain")]


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
