"""`$diff` of two versions, as a client sees it.

Spec: https://hl7.org/fhir/R4/fhirpatch.html
"""

import pytest

FIRST = {
    "resourceType": "Patient",
    "id": "p",
    "active": True,
    "name": [{"family": "沈", "given": ["桂", "芳"]}, {"text": "old"}],
    "gender": "female",
    "contact": [{"gender": "male", "name": {"text": "c"}}],
    "multipleBirthBoolean": False,
}


async def operations(client, second, query=""):
    """Store both versions; return the operations as (type, path, name or index, value)."""
    for body in (FIRST, FIRST | second):
        left = {name: value for name, value in body.items() if value is not None}
        assert (await client.put("Patient/p", json=left)).status_code < 300
    answer = await client.get(f"Patient/p/$diff{query}")
    assert answer.status_code == 200, answer.text
    found = []
    for row in answer.json().get("parameter", []):
        assert row["name"] == "operation"
        parts = {part["name"]: part for part in row["part"]}
        place = parts.get("name", {}).get("valueString", parts.get("index", {}).get("valueInteger"))
        value = {k: v for k, v in parts.get("value", {}).items() if k != "name"} or None
        found.append((parts["type"]["valueCode"], parts["path"]["valueString"], place, value))
    return found


@pytest.mark.parametrize(
    ("second", "shown"),
    [
        ({"gender": "other"}, [("replace", "Patient.gender", None, {"valueCode": "other"})]),
        ({"active": None}, [("delete", "Patient.active", None, None)]),
        (
            {"birthDate": "1953-04-12"},
            [("add", "Patient", "birthDate", {"valueDate": "1953-04-12"})],
        ),
        (
            {"name": [{"family": "沈", "given": ["桂", "方"]}, {"text": "old"}]},
            [("replace", "Patient.name[0].given[1]", None, {"valueString": "方"})],
        ),
        ({"name": FIRST["name"][:1]}, [("delete", "Patient.name[1]", None, None)]),
        (
            {"name": [*FIRST["name"], {"text": "new"}]},
            [("insert", "Patient.name", 2, {"valueHumanName": {"text": "new"}})],
        ),
        (
            {"multipleBirthBoolean": None, "multipleBirthInteger": 2},
            [("replace", "Patient.multipleBirth", None, {"valueInteger": 2})],
        ),
        (
            {"contact": [FIRST["contact"][0], {"name": {"text": "x"}}]},
            [
                (
                    "insert",
                    "Patient.contact",
                    1,
                    {"part": [{"name": "name", "valueHumanName": {"text": "x"}}]},
                )
            ],
        ),
        (
            {"contact": [{"gender": "male", "name": {"text": "d"}}]},
            [("replace", "Patient.contact[0].name.text", None, {"valueString": "d"})],
        ),
        (
            {"_gender": {"extension": [{"url": "urn:x", "valueCode": "y"}]}},
            [
                (
                    "replace",
                    "Patient.gender",
                    None,
                    {
                        "valueCode": "female",
                        "_valueCode": {"extension": [{"url": "urn:x", "valueCode": "y"}]},
                    },
                )
            ],
        ),
        (
            {
                "contained": [{"resourceType": "Organization", "id": "o", "name": "O"}],
                "managingOrganization": {"reference": "#o"},
            },
            [
                (
                    "add",
                    "Patient",
                    "contained",
                    {"resource": {"resourceType": "Organization", "id": "o", "name": "O"}},
                ),
                (
                    "add",
                    "Patient",
                    "managingOrganization",
                    {"valueReference": {"reference": "#o"}},
                ),
            ],
        ),
        (
            {
                "text": {
                    "status": "generated",
                    "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>',
                }
            },
            [
                (
                    "add",
                    "Patient",
                    "text",
                    {
                        "part": [
                            {"name": "status", "valueCode": "generated"},
                            {
                                "name": "div",
                                "valueString": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>',
                            },
                        ]
                    },
                )
            ],
        ),
        (
            {"meta": {"tag": [{"code": "x"}]}},
            [("add", "Patient.meta", "tag", {"valueCoding": {"code": "x"}})],
        ),
        ({}, []),
    ],
)
async def test_the_difference_is_a_fhirpath_patch(client, second, shown):
    assert await operations(client, second, "?fromVersion=1") == shown


async def test_the_last_two_versions_are_compared_unless_others_are_named(client):
    assert len(await operations(client, {"gender": "other"})) == 1
    same = await client.get("Patient/p/$diff?fromVersion=2&toVersion=2")

    assert same.json() == {"resourceType": "Parameters"}
    back = (await client.get("Patient/p/$diff?fromVersion=2&toVersion=1")).json()
    assert back["parameter"][0]["part"][2]["valueCode"] == "female"


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("Patient/never/$diff", 404),
        ("Patient/p/$diff?fromVersion=9", 404),
        ("Patient/p/$diff?fromVersion=x", 400),
        ("Patient/p/$diff?x=1", 400),
        ("Nothing/p/$diff", 404),
    ],
)
async def test_what_cannot_be_compared_is_refused(client, address, status):
    await client.put("Patient/p", json=FIRST)
    answer = await client.get(address)

    assert answer.status_code == status, answer.text
